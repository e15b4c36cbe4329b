//! Who logs in, and by what secret.

use zeroize::Zeroizing;

use crate::{
    HashedToken,
    scram::{Hash, ScramKeys},
    secret::{Secret, SecretKind},
};

/// Who we are and how we prove it. Moved into the login and wiped with it; not cloneable.
///
/// ```
/// use epode_sasl::Credentials;
///
/// let credentials = Credentials::password("alice", "pencil").with_account("alice@example.org");
/// assert!(!format!("{credentials:?}").contains("pencil"));
/// ```
#[derive(Debug, Default)]
pub struct Credentials {
    authcid: Option<String>,
    authzid: Option<String>,
    account: Option<String>,
    secret: Secret,
    /// The password that the keys were derived from, if the secret is keys and it is known.
    source_of_keys: Option<Box<Secret>>,
    may_ask: bool,
}

impl Credentials {
    /// An identity of its own, proved by `secret`.
    #[must_use]
    pub fn new(authcid: impl Into<String>, secret: Secret) -> Self {
        Self { authcid: Some(authcid.into()), secret, ..Self::default() }
    }

    /// A user name and a password.
    #[must_use]
    pub fn password(authcid: impl Into<String>, password: impl Into<String>) -> Self {
        Self::new(authcid, Secret::password(password))
    }

    /// A user name and an OAuth 2.0 access token.
    #[must_use]
    pub fn token(authcid: impl Into<String>, token: impl Into<String>) -> Self {
        Self::new(authcid, Secret::token(token))
    }

    /// A user name and the keys of an earlier SCRAM login.
    #[must_use]
    pub fn keys(authcid: impl Into<String>, keys: ScramKeys) -> Self {
        Self::new(authcid, Secret::Keys(keys))
    }

    /// A user name and a token that the server issued in an earlier login.
    #[must_use]
    pub fn hashed_token(authcid: impl Into<String>, token: HashedToken) -> Self {
        Self::new(authcid, Secret::HashedToken(token))
    }

    /// A user name, and a secret that the application is asked for once it is needed.
    #[must_use]
    pub fn ask(authcid: impl Into<String>, kind: SecretKind) -> Self {
        Self { may_ask: true, ..Self::new(authcid, Secret::Ask(kind)) }
    }

    /// No user name: for ANONYMOUS, for EXTERNAL where the certificate says who, and for a token
    /// that does.
    #[must_use]
    pub fn guest(secret: Secret) -> Self {
        Self { secret, ..Self::default() }
    }

    /// Acts as `authzid`, another identity than the one that the secret proves.
    #[must_use]
    pub fn with_authzid(mut self, authzid: impl Into<String>) -> Self {
        self.authzid = Some(authzid.into());
        self
    }

    /// The whole name of the account, as `alice@example.org`, where the user name is a part of
    /// it: what OAUTHBEARER and X-OAUTH2 send.
    #[must_use]
    pub fn with_account(mut self, account: impl Into<String>) -> Self {
        self.account = Some(account.into());
        self
    }

    /// The password that the keys were derived from. Where they no longer fit, others are derived
    /// from it in place of [`Error::StaleKeys`](crate::Error::StaleKeys): for their hash or a longer
    /// one. It is used for nothing else, so that the login is no weaker than one by the keys.
    ///
    /// ```
    /// # fn example(keys: epode_sasl::scram::ScramKeys, password: zeroize::Zeroizing<String>) {
    /// use epode_sasl::Credentials;
    ///
    /// let credentials = Credentials::keys("alice", keys).with_password_of_keys(password);
    /// # }
    /// ```
    #[must_use]
    pub fn with_password_of_keys(mut self, password: Zeroizing<String>) -> Self {
        self.source_of_keys = Some(Box::new(Secret::Password(password)));
        self
    }

    /// Says that somebody is there to ask: keys that no longer fit then lead to one
    /// [`Question::Secret`](crate::Question::Secret) instead of
    /// [`Error::StaleKeys`](crate::Error::StaleKeys).
    #[must_use]
    pub fn with_someone_to_ask(mut self) -> Self {
        self.may_ask = true;
        self
    }

    /// The authentication identity: whose secret it is.
    #[must_use]
    pub fn authcid(&self) -> Option<&str> {
        self.authcid.as_deref()
    }

    /// The authorization identity: whom to act as, if not as oneself.
    #[must_use]
    pub fn authzid(&self) -> Option<&str> {
        self.authzid.as_deref()
    }

    /// The whole name of the account, if one was given.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// The secret.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The password that the keys were derived from, if it is known.
    pub(crate) fn password_of_keys(&self) -> Option<&str> {
        match self.source_of_keys.as_deref() {
            Some(Secret::Password(password)) => Some(password),
            _ => None,
        }
    }

    /// Whether these keys are good for SCRAM with a hash, or others can be derived that are no
    /// weaker.
    pub(crate) fn keys_serve(&self, keys: &ScramKeys, hash: Hash) -> bool {
        let is_longer = hash.output_length() > keys.hash().output_length();
        keys.hash() == hash || (self.password_of_keys().is_some() && is_longer)
    }

    /// A password that was asked for, and is needed again.
    pub(crate) fn set_password(&mut self, password: Zeroizing<String>) {
        self.secret = Secret::Password(password);
    }

    /// Whether the application can be asked for a secret during the login.
    #[must_use]
    pub fn may_ask(&self) -> bool {
        self.may_ask
    }
}
