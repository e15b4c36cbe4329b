//! `keys`: SCRAM keys without a connection.

use epode::sasl;

use crate::{
    args::DeriveArgs,
    exit::{Exit, Failure},
    key_derivation, key_file,
    output::Output,
    private_file,
    secrets::{self, PASSWORD_FLAGS, Source},
};

/// `keys derive`.
pub(crate) fn derive(args: &DeriveArgs) -> Result<Exit, Failure> {
    if let Some(path) = &args.out {
        private_file::check(path).map_err(|error| Failure::usage(error.to_string()))?;
    }
    let (password, source) = match secrets::password(&args.password)? {
        Some(given) => given,
        None => {
            let account = args.jid.as_ref().map(|jid| format!(" for {}", jid.bare()));
            let prompt = format!("Password{}: ", account.unwrap_or_default());
            (secrets::ask_for_password(&prompt, PASSWORD_FLAGS)?, Source::Prompt)
        }
    };
    let keys = key_derivation::derive(args.hash, password, &args.salt.0, args.iterations);
    let keys = keys.map_err(|error| match error {
        sasl::Error::Password(reason) => {
            Failure::usage(format!("{source} cannot be used: {reason}"))
        }
        error => Failure::internal(error.to_string()),
    })?;
    let contents = key_file::contents(args.jid.as_ref(), &keys);
    match &args.out {
        None => Output::new(false).text(&contents)?,
        Some(path) => private_file::write(path, contents.as_bytes())
            .map_err(|error| Failure::usage(error.to_string()))?,
    }
    Ok(Exit::Connected)
}
