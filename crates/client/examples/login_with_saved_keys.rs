//! Logs in with the keys of the last login, or with the password where there are none, and saves
//! the keys for the next one.
//!
//! `cargo run -p epode --example login_with_saved_keys`, which logs in three times; or with a
//! server: `EPODE_PASSWORD=… cargo run -p epode --example login_with_saved_keys -- \
//!  alice@example.org wss://example.org/xmpp-websocket keys.json`

mod place;

use std::{
    env,
    error::Error,
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    path::Path,
};

use epode::sasl::{Secret, scram::ScramKeys};
use place::Place;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let place = Place::find("EPODE_PASSWORD").await?;
    match place.rest.first() {
        Some(file) => log_in(&place, Path::new(file)).await?,
        None => {
            let file = env::temp_dir().join(format!("epode-keys-{}.json", std::process::id()));
            for _ in 0..3 {
                log_in(&place, &file).await?;
            }
            fs::remove_file(file)?;
        }
    }
    place.leave().await;
    Ok(())
}

async fn log_in(place: &Place, file: &Path) -> Result<(), Box<dyn Error>> {
    let client = place.client()?;
    let saved = load(file)?;
    let how = if saved.is_some() { "saved keys" } else { "the password" };
    let password = place.secret.clone();
    let client = match saved {
        // Asked once, if the server has changed salt or iteration count since.
        Some(keys) => client.keys(keys).ask(move |_| {
            let password = password.clone();
            async { Ok(Secret::password(password)) }
        }),
        None => client.password(password),
    };
    let session = client.connect().await?;
    if let Some(login) = session.login() {
        println!("{} by {} with {how}", login.jid, login.mechanism);
    }
    if let Some(keys) = session.scram_keys() {
        save(file, &keys)?;
    }
    session.disconnect().await?;
    Ok(())
}

fn load(file: &Path) -> Result<Option<ScramKeys>, Box<dyn Error>> {
    match fs::read_to_string(file) {
        Ok(json) => Ok(Some(ScramKeys::from_json(&json)?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// For the user's eyes only: who has the keys can log in.
fn save(file: &Path, keys: &ScramKeys) -> Result<(), Box<dyn Error>> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)?.write_all(keys.to_json().as_bytes())?;
    Ok(())
}
