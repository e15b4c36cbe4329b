//! Who may log in, and with what.
//!
//! Leaves out the mechanisms: they ask here for verifiers, owners of tokens and permission.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::random;
use crate::sasl::hash::{Hash, Keys};
use crate::sasl::{SaslCondition, prepared};

/// The users of one domain.
pub(crate) struct Accounts {
    domain: String,
    iterations: u32,
    users: BTreeMap<String, Account>,
    tokens: Vec<Token>,
    /// Makes up salts for users that do not exist, so that they look like others.
    decoy_key: [u8; 32],
}

#[derive(Default)]
struct Account {
    password: Option<Password>,
    certificate: bool,
    refusal: Option<SaslCondition>,
}

/// A password as its verifiers. Each is derived when a login first needs it, since a derivation
/// takes long; that is why the password itself is kept, and wiped with the server.
struct Password {
    password: Zeroizing<String>,
    salt: Vec<u8>,
    verifiers: [OnceLock<Verifier>; Hash::ALL.len()],
    /// The hashes whose verifiers may be derived; the others come by an upgrade, or not at all.
    stored: Vec<Hash>,
}

/// What a server needs to check a SCRAM proof, and to give its own.
pub(crate) struct Verifier {
    pub(crate) stored_key: Zeroizing<Vec<u8>>,
    pub(crate) server_key: Zeroizing<Vec<u8>>,
}

struct Token {
    token: Zeroizing<String>,
    user: String,
}

impl From<Keys> for Verifier {
    fn from(Keys { stored_key, server_key, .. }: Keys) -> Self {
        Self { stored_key, server_key }
    }
}

impl Accounts {
    pub(crate) fn new(domain: String, iterations: u32) -> Self {
        let (users, tokens) = (BTreeMap::new(), Vec::new());
        Self { domain, iterations, users, tokens, decoy_key: random::bytes() }
    }

    pub(crate) fn domain(&self) -> &str {
        &self.domain
    }

    /// The name under which an account is known; `None` when SASLprep prohibits the text.
    pub(crate) fn canonical(name: &str) -> Option<String> {
        prepared(name).map(|name| name.to_lowercase())
    }

    /// Whether `name` is the user's name or bare address.
    pub(crate) fn is_named(&self, user: &str, name: &str) -> bool {
        Self::canonical(name).is_some_and(|name| name == user) || self.is_address_of(user, name)
    }

    /// Whether `address` is the user's bare address.
    pub(crate) fn is_address_of(&self, user: &str, address: &str) -> bool {
        self.user_of_address(address).is_some_and(|name| name == user)
    }

    /// The salt and the count for SCRAM, made up for a user that has no password here.
    pub(crate) fn salt_and_iterations(&self, name: &str) -> (Vec<u8>, u32) {
        let salt = match self.password(name) {
            Some(password) => password.salt.clone(),
            None => {
                let mut salt = Hash::Sha256.hmac(&self.decoy_key, name.as_bytes());
                salt.truncate(SALT_LENGTH);
                salt
            }
        };
        (salt, self.iterations)
    }

    /// The verifier of a user's password, derived now if it was not before.
    pub(crate) fn keys(&self, name: &str, hash: Hash) -> Option<&Verifier> {
        let password = self.password(name)?;
        let verifier = &password.verifiers[hash.index()];
        if !password.stored.contains(&hash) {
            return verifier.get();
        }
        Some(
            verifier.get_or_init(|| {
                hash.keys(&password.password, &password.salt, self.iterations).into()
            }),
        )
    }

    /// Whether the user has a password, and no verifier of it for this hash.
    pub(crate) fn lacks(&self, name: &str, hash: Hash) -> bool {
        self.password(name).is_some_and(|password| {
            !password.stored.contains(&hash) && password.verifiers[hash.index()].get().is_none()
        })
    }

    /// Keeps the verifier for this hash that follows from a salted password (XEP-0480), unless there
    /// is one.
    pub(crate) fn upgrade(&self, name: &str, hash: Hash, salted: &[u8]) {
        if let Some(password) = self.password(name) {
            // Whoever came first has shown the right password as well.
            let _ = password.verifiers[hash.index()].set(hash.keys_of(salted).into());
        }
    }

    /// Whether the user has this password: compared by the keys that both give.
    pub(crate) fn has_password(&self, name: &str, password: &str) -> bool {
        let Some(candidate) = prepared(password) else { return false };
        let (salt, iterations) = self.salt_and_iterations(name);
        let stored = self.password(name).and_then(|it| it.stored.first().copied());
        let hash = stored.unwrap_or(Hash::Sha256);
        let candidate = hash.keys(&candidate, &salt, iterations).stored_key;
        match self.keys(name, hash) {
            Some(verifier) => candidate.ct_eq(&verifier.stored_key).into(),
            None => false,
        }
    }

    /// The user whose token this is. Every token is compared, so that time tells nothing.
    pub(crate) fn owner_of_token(&self, token: &str) -> Option<&str> {
        let is_right = |known: &&Token| bool::from(known.token.as_bytes().ct_eq(token.as_bytes()));
        let mut matches = self.tokens.iter().filter(is_right);
        let owner = matches.next();
        matches.for_each(drop);
        owner.map(|token| token.user.as_str())
    }

    /// The users who may log in with a certificate that holds these addresses.
    pub(crate) fn users_of_certificate(&self, addresses: &[String]) -> Vec<String> {
        let users = addresses.iter().filter_map(|address| self.user_of_address(address));
        users.filter(|user| self.users.get(user).is_some_and(|it| it.certificate)).collect()
    }

    /// The users who may log in with a certificate.
    pub(crate) fn certificate_users(&self) -> impl Iterator<Item = &str> {
        self.users.iter().filter(|(_, account)| account.certificate).map(|(user, _)| user.as_str())
    }

    /// Whether a user whose credentials were right may come in, and as whom.
    pub(crate) fn admit(&self, name: &str, authzid: Option<&str>) -> Result<String, SaslCondition> {
        let user = Self::canonical(name).ok_or(SaslCondition::NotAuthorized)?;
        if authzid.is_some_and(|authzid| !self.is_address_of(&user, authzid)) {
            return Err(SaslCondition::InvalidAuthzid);
        }
        match self.users.get(&user).and_then(|account| account.refusal) {
            Some(condition) => Err(condition),
            None => Ok(user),
        }
    }

    /// Gives the account a password, and makes the account if needed.
    ///
    /// # Panics
    ///
    /// If SASLprep prohibits the name or the password.
    pub(crate) fn set_password(&mut self, name: &str, password: &str) {
        let password = prepared(password).expect("SASLprep accepts the password of the account");
        let salt = random::bytes::<SALT_LENGTH>().to_vec();
        let verifiers = Default::default();
        // What most comparisons use comes first.
        let stored = vec![Hash::Sha256, Hash::Sha512, Hash::Sha384, Hash::Sha1];
        self.account(name).password = Some(Password { password, salt, verifiers, stored });
    }

    /// Has the password of an account stored for these hashes alone.
    ///
    /// # Panics
    ///
    /// If the account has no password.
    pub(crate) fn set_stored(&mut self, name: &str, hashes: Vec<Hash>) {
        let password = self.account(name).password.as_mut();
        password.expect("the account has a password").stored = hashes;
    }

    /// Gives the account one more token.
    pub(crate) fn add_token(&mut self, name: &str, token: &str) {
        self.account(name);
        let user = Self::canonical(name).expect("`account` has checked the name");
        self.tokens.push(Token { token: Zeroizing::new(token.to_owned()), user });
    }

    /// Lets the account log in with a certificate that holds its address.
    pub(crate) fn allow_certificate(&mut self, name: &str) {
        self.account(name).certificate = true;
    }

    /// Refuses the account, even with the right credentials.
    pub(crate) fn refuse(&mut self, name: &str, condition: SaslCondition) {
        self.account(name).refusal = Some(condition);
    }

    pub(crate) fn set_iterations(&mut self, iterations: u32) {
        self.iterations = iterations;
    }

    #[cfg(test)]
    pub(crate) fn set_salt(&mut self, name: &str, salt: Vec<u8>) {
        self.account(name).password.as_mut().expect("the account has a password").salt = salt;
    }

    fn account(&mut self, name: &str) -> &mut Account {
        let user = Self::canonical(name).expect("SASLprep accepts the name of the account");
        assert!(!user.contains(['@', '/']), "the name of an account is without `@` and `/`");
        self.users.entry(user).or_default()
    }

    fn password(&self, name: &str) -> Option<&Password> {
        self.users.get(&Self::canonical(name)?)?.password.as_ref()
    }

    fn user_of_address(&self, address: &str) -> Option<String> {
        let (local, domain) = address.split_once('@')?;
        if domain.eq_ignore_ascii_case(&self.domain) { Self::canonical(local) } else { None }
    }
}

const SALT_LENGTH: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        let mut accounts = Accounts::new("example.org".to_owned(), 2);
        accounts.set_password("Alice", "I\u{ad}X");
        accounts.add_token("bob", "t1");
        accounts.allow_certificate("carol");
        accounts
    }

    #[test]
    fn passwords_are_compared_after_saslprep() {
        let accounts = accounts();
        assert!(accounts.has_password("alice", "IX"));
        assert!(!accounts.has_password("alice", "ix"));
        assert!(!accounts.has_password("alice", "\u{7}"));
        assert!(!accounts.has_password("bob", "IX"));
        assert!(!accounts.has_password("nobody", "IX"));
    }

    #[test]
    fn tokens_have_owners() {
        let accounts = accounts();
        assert_eq!(accounts.owner_of_token("t1"), Some("bob"));
        assert_eq!(accounts.owner_of_token("t"), None);
        assert_eq!(accounts.owner_of_token(""), None);
    }

    #[test]
    fn certificates_count_for_their_domain_and_users() {
        let users = |address: &str| accounts().users_of_certificate(&[address.to_owned()]);
        assert_eq!(users("Carol@EXAMPLE.org"), ["carol"]);
        for wrong in ["alice@example.org", "carol@example.com", "carol", "dave@example.org"] {
            assert!(users(wrong).is_empty(), "{wrong}");
        }
    }

    #[test]
    fn nobody_acts_for_another() {
        let mut accounts = accounts();
        assert_eq!(accounts.admit("Alice", None).as_deref(), Ok("alice"));
        assert_eq!(accounts.admit("alice", Some("alice@example.org")).as_deref(), Ok("alice"));
        for wrong in ["bob@example.org", "alice@example.com", "alice", "alice@example.org/x"] {
            assert_eq!(accounts.admit("alice", Some(wrong)), Err(SaslCondition::InvalidAuthzid));
        }
        accounts.refuse("alice", SaslCondition::AccountDisabled);
        assert_eq!(accounts.admit("alice", None), Err(SaslCondition::AccountDisabled));
    }
}
