//! Where a secret comes from: a file, an environment variable, a prompt.
//! What is done with it is the library's business.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

use epode::{
    Jid,
    sasl::{MechanismName, Secret, SecretKind},
};
use zeroize::Zeroizing;

use crate::{
    args::{ClientArgs, PasswordArgs},
    exit::Failure,
    interrupt, key_file,
    output::complain,
    secret_file::{FileError, SecretFile},
    shell_word::shell_word,
};

/// The secret for a login, and where it is from.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) secret: Secret,
    pub(crate) source: Source,
    /// For keys that no longer fit.
    pub(crate) password: Option<Zeroizing<String>>,
}

/// Where a secret is from, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    PasswordFile(PathBuf),
    Variable(String),
    Prompt,
    TokenFile(PathBuf),
    Keys(PathBuf),
    /// A session that is logged in already.
    Session,
    /// A token that an earlier login left.
    KeptToken,
    /// A client certificate, or nothing at all.
    Nothing,
}

impl Source {
    /// Whether it was a password.
    pub(crate) fn is_password(&self) -> bool {
        matches!(self, Self::PasswordFile(_) | Self::Variable(_) | Self::Prompt)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PasswordFile(path) => write!(f, "the password in {}", path.display()),
            Self::Variable(name) => write!(f, "the password in the variable {name}"),
            Self::Prompt => f.write_str("the password that was typed"),
            Self::TokenFile(path) => write!(f, "the token in {}", path.display()),
            Self::Keys(path) => write!(f, "the keys in {}", path.display()),
            Self::Session => f.write_str("the session"),
            Self::KeptToken => f.write_str("the token of an earlier login"),
            Self::Nothing => f.write_str("no secret"),
        }
    }
}

/// Reads the secret that the flags name; asks for it where they name none and one is needed.
pub(crate) fn resolve(jid: &Jid, args: &ClientArgs) -> Result<Given, Failure> {
    if let Some(given) = read(jid, args)? {
        return Ok(given);
    }
    match wanted(jid, args) {
        Some(SecretKind::Password) => {
            let password =
                ask_for_password(&format!("Password for {}: ", jid.bare()), LOGIN_FLAGS)?;
            Ok(Given::new(Secret::Password(password), Source::Prompt))
        }
        Some(SecretKind::Token) => Err(Failure::usage("an access token is needed")
            .hint("put it into a file and name that with --token-file FILE")),
        None => Ok(Given::new(Secret::None, Source::Nothing)),
    }
}

/// Like [`resolve`], but nobody is asked: there is a token of an earlier login.
pub(crate) fn beside_token(jid: &Jid, args: &ClientArgs) -> Result<Given, Failure> {
    Ok(read(jid, args)?.unwrap_or_else(|| Given::new(Secret::None, Source::KeptToken)))
}

/// Like [`resolve`], but where it would ask, only the kind of the secret is told.
pub(crate) fn assume(jid: &Jid, args: &ClientArgs) -> Result<Given, Failure> {
    let given = read(jid, args)?;
    Ok(given.unwrap_or_else(|| {
        let secret = wanted(jid, args).map_or(Secret::None, Secret::Ask);
        Given::new(secret, Source::Nothing)
    }))
}

/// The password that the flags name.
pub(crate) fn password(
    args: &PasswordArgs,
) -> Result<Option<(Zeroizing<String>, Source)>, Failure> {
    if let Some(path) = &args.password_file {
        let password = read_line(path, "password")?;
        return Ok(Some((password, Source::PasswordFile(path.clone()))));
    }
    let Some(name) = &args.password_env else { return Ok(None) };
    let problem = match std::env::var(name) {
        Ok(password) if !password.is_empty() => {
            return Ok(Some((Zeroizing::new(password), Source::Variable(name.clone()))));
        }
        Ok(_) => "is empty",
        Err(std::env::VarError::NotPresent) => "is not set",
        Err(std::env::VarError::NotUnicode(_)) => "is not UTF-8",
    };
    Err(if is_variable_name(name) {
        Failure::usage(format!("the environment variable {name} {problem}"))
            .hint(format!("export {name} with the password in it"))
    } else {
        // It may be the password itself, so it is not repeated.
        Failure::usage(format!("the environment variable that --password-env names {problem}"))
            .hint("the flag takes the name of a variable, not the password")
    })
}

/// Asks for a password at the terminal, without showing it. `flags` says what to give instead.
pub(crate) fn ask_for_password(prompt: &str, flags: &str) -> Result<Zeroizing<String>, Failure> {
    if !can_ask() {
        return Err(
            Failure::usage("no secret was given, and there is no terminal to ask at").hint(flags)
        );
    }
    interrupt::hold();
    let password = match rpassword::prompt_password(prompt) {
        Ok(password) => Zeroizing::new(password),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {
            return Err(Failure::interrupted());
        }
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            let _ = writeln!(io::stderr()); // the prompt's line was not ended
            return Err(Failure::usage("no password was typed"));
        }
        Err(error) => {
            let message = format!("cannot ask for the password: {error}");
            return Err(Failure::usage(message).hint(flags));
        }
    };
    if password.is_empty() {
        return Err(Failure::usage("the password that was typed is empty"));
    }
    Ok(password)
}

/// Says so when others can read the file. It is used all the same: it may be on a file system that
/// knows no better.
pub(crate) fn warn_if_lax(path: &Path, file: &SecretFile) {
    if let Some(mode) = file.lax_mode() {
        let path = path.display().to_string();
        let word = shell_word(&path);
        complain(
            "warning",
            &format!("{path} can be read by others (mode {mode:04o}): chmod 600 {word}"),
        );
    }
}

/// Whether there is somebody to ask.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal()
}

impl Given {
    /// For a session that somebody else has logged in.
    pub(crate) fn none_needed() -> Self {
        Self::new(Secret::None, Source::Session)
    }

    pub(crate) fn new(secret: Secret, source: Source) -> Self {
        Self { secret, source, password: None }
    }
}

/// The secret that the flags name.
fn read(jid: &Jid, args: &ClientArgs) -> Result<Option<Given>, Failure> {
    let flags = &args.secret;
    if let Some(path) = &flags.token_file {
        let token = read_line(path, "token")?;
        return Ok(Some(Given::new(Secret::Token(token), Source::TokenFile(path.clone()))));
    }
    let password = password(&flags.password)?;
    if let Some(path) = &flags.keys {
        let keys = key_file::read(path, jid).map_err(|error| Failure::usage(error.to_string()))?;
        let password = password.map(|(password, _)| password);
        let (secret, source) = (Secret::Keys(keys), Source::Keys(path.clone()));
        return Ok(Some(Given { secret, source, password }));
    }
    Ok(password.map(|(password, source)| Given::new(Secret::Password(password), source)))
}

/// The kind of secret that a login needs for which the flags name none.
fn wanted(jid: &Jid, args: &ClientArgs) -> Option<SecretKind> {
    let has_name = jid.local().is_some() || args.secret.authcid.is_some();
    let allowed = &args.connection.policy.allowed;
    if allowed.is_empty() {
        return (has_name && args.secret.cert.is_none()).then_some(SecretKind::Password);
    }
    let takes_token = [MechanismName::OAUTHBEARER, MechanismName::X_OAUTH2];
    let takes_nothing = [MechanismName::ANONYMOUS, MechanismName::EXTERNAL];
    let takes_password =
        |name: &MechanismName| !takes_token.contains(name) && !takes_nothing.contains(name);
    if has_name && allowed.iter().any(takes_password) {
        return Some(SecretKind::Password);
    }
    allowed.iter().all(|name| takes_token.contains(name)).then_some(SecretKind::Token)
}

fn read_line(path: &Path, what: &str) -> Result<Zeroizing<String>, Failure> {
    let refused = |error: FileError| {
        let failure = Failure::usage(error.to_string());
        match error {
            FileError::Empty { .. } => failure.hint(format!("put the {what} into it, on one line")),
            _ => failure,
        }
    };
    let file = SecretFile::read(path).map_err(refused)?;
    warn_if_lax(path, &file);
    file.line().map_err(refused)
}

fn is_variable_name(name: &str) -> bool {
    let is_usual = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    !name.is_empty() && name.chars().all(is_usual)
}

/// What to do where nobody can be asked.
pub(crate) const LOGIN_FLAGS: &str =
    "name it with --password-file FILE, --password-env VARIABLE, --token-file FILE or --keys FILE";

/// The same, where only a password will do.
pub(crate) const PASSWORD_FLAGS: &str =
    "name it with --password-file FILE or --password-env VARIABLE";
