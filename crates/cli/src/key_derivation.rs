//! SCRAM keys from a password, just as a login would derive them: the password is prepared
//! (SASLprep) and refused by the mechanism itself, of which only the first half is played.

use base64ct::{Base64, Encoding};
use epode::sasl::{
    Channel, Credentials, Error, Exchange, Limits, Policy, Question, Registry, Secret, Turn,
    scram::{Hash, ScramKeys},
};
use zeroize::Zeroizing;

/// Derives the keys for a server that has this salt and iteration count.
///
/// # Errors
///
/// [`Error::Password`] for a password that no login could use.
pub(crate) fn derive(
    hash: Hash,
    password: Zeroizing<String>,
    salt: &[u8],
    iterations: u32,
) -> Result<ScramKeys, Error> {
    let policy = Policy::default().limits(Limits::default().iterations(1..=iterations));
    let credentials = Credentials::new("user", Secret::Password(password));
    let channel = Channel::encrypted();
    let offered = [hash.mechanism()];
    let selection = policy.select(&Registry::default(), &credentials, &channel, &offered);
    let selection = selection.map_err(Error::NoMechanism)?;
    let Turn::Server(login, Some(first)) = Exchange::begin(selection, credentials, channel)? else {
        return Err(Error::ApiMisuse("SCRAM speaks first and asks nothing before"));
    };
    let first = String::from_utf8_lossy(first.as_bytes());
    let nonce = first.split_once(",r=").map_or("", |(_, nonce)| nonce);
    let salt = Base64::encode_string(salt);
    let challenge = format!("r={nonce}+,s={salt},i={iterations}");
    match login.challenge(challenge.as_bytes())? {
        Turn::Question(_, Question::Derive(derivation)) => Ok(derivation.run()),
        _ => Err(Error::ApiMisuse("SCRAM asks for keys after the first challenge")),
    }
}

#[cfg(test)]
mod tests {
    use epode::sasl::PreparationError;

    use super::*;

    fn password(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    /// The example of RFC 5802, section 5.
    #[test]
    fn the_keys_are_those_of_a_login() {
        let salt = Base64::decode_vec("QSXCR+Q6sek8bf92").unwrap();
        let keys = derive(Hash::Sha1, password("pencil"), &salt, 4096).unwrap();
        assert_eq!(
            *keys.to_json(),
            r#"{"name":"SHA-1","ck":"4jTEe/bDZpbdbYUrmaqiuiZVVyg=","sk":"D+CSWLOshSulAsxiupA+qs2/fTE=","iter":4096,"salt":"QSXCR+Q6sek8bf92"}"#
        );
    }

    #[test]
    fn passwords_are_prepared_as_for_a_login() {
        let derive = |text: &str| derive(Hash::Sha256, password(text), b"salt", 1);
        let (roman, letters) = (derive("\u{2168}").unwrap(), derive("IX").unwrap());
        assert_eq!(*roman.to_json(), *letters.to_json());
        let refused = |text: &str| derive(text).unwrap_err();
        assert_eq!(refused(""), Error::Password(PreparationError::Empty));
        assert_eq!(refused("a\tb"), Error::Password(PreparationError::Prohibited));
        assert_eq!(refused("\u{1f600}"), Error::Password(PreparationError::Unassigned));
    }
}
