//! `keys`: SCRAM keys without a connection.

use std::num::NonZeroU32;

use epode::{PrivateFile, sasl::scram::Derivation};

use crate::{
    args::DeriveArgs,
    exit::{Exit, Failure},
    key_file,
    output::Output,
    secrets::{self, PASSWORD_FLAGS, Source},
};

/// `keys derive`.
pub(crate) fn derive(args: &DeriveArgs) -> Result<Exit, Failure> {
    if let Some(path) = &args.out {
        PrivateFile::new(path).check().map_err(|error| Failure::usage(error.to_string()))?;
    }
    let (password, source) = match secrets::password(&args.password)? {
        Some(given) => given,
        None => {
            let account = args.jid.as_ref().map(|jid| format!(" for {}", jid.bare()));
            let prompt = format!("Password{}: ", account.unwrap_or_default());
            (secrets::ask_for_password(&prompt, PASSWORD_FLAGS)?, Source::Prompt)
        }
    };
    let iterations = NonZeroU32::new(args.iterations).expect("the flag's range begins above 0");
    let salt = args.salt.0.clone();
    let derivation = Derivation::prepared(args.hash, &password, salt, iterations);
    let derivation = derivation
        .map_err(|reason| Failure::usage(format!("{source} cannot be used: {reason}")))?;
    let contents = key_file::contents(args.jid.as_ref(), &derivation.run());
    match &args.out {
        None => Output::new(false).text(&contents)?,
        Some(path) => PrivateFile::new(path)
            .write(contents.as_bytes())
            .map_err(|error| Failure::usage(error.to_string()))?,
    }
    Ok(Exit::Connected)
}
