//! What a server is told before it runs: accounts, mechanisms, limits, and quirks.
//!
//! Leaves out most misbehaviour: what is not allowed to a server is played from a
//! [`script`](crate::script). The exceptions need an honest server around them, because they are
//! about the TLS connection or the HTTP requests by which it is reached, or about proofs and tokens
//! that only it can make.

mod sasl2;

use std::borrow::Cow;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use epode_proto::Jid;
use epode_proto::xml::Element;

use crate::accounts::Accounts;
use crate::bosh::BoshFault;
use crate::components::Components;
use crate::hub::ResourceConflict;
use crate::offer::{BindingList, DowngradeHash};
use crate::sasl::{self, CustomMechanism, SaslCondition, SaslOptions};
use crate::server::{Config, LegacySession, Limits, Server, StartTls};
use crate::session::sasl2::Sasl2Options;
use crate::transport::{EarlyData, WebFile, WebFiles};

/// Collects the parts of a [`Server`]; made by [`Server::builder`].
///
/// Names of accounts are compared as addresses are: after SASLprep, in lower case.
#[derive(Debug)]
#[must_use = "call `build` to get the server"]
pub struct ServerBuilder(Config, Components);

impl ServerBuilder {
    pub(crate) fn new(domain: &str) -> Self {
        assert!(is_domain(domain), "{domain:?} should be a domain");
        let config = Config {
            accounts: Accounts::new(domain.to_owned(), DEFAULT_ITERATIONS),
            starttls: StartTls::default(),
            mechanisms: sasl::ALL.map(str::to_owned).to_vec(),
            changed_mechanisms: Mutex::default(),
            plaintext_mechanisms: None,
            too_weak: Vec::new(),
            encryption_required: false,
            binding_list: BindingList::default(),
            mismatched_bindings: Vec::new(),
            sasl: SaslOptions::default(),
            sasl2: Sasl2Options::default(),
            legacy_session: LegacySession::default(),
            stream_management: true,
            resumption: DEFAULT_RESUMPTION,
            resumption_location: None,
            features: Vec::new(),
            answers: Vec::new(),
            conflict: ResourceConflict::default(),
            bosh_fault: None,
            web_files: WebFiles::default(),
            limits: Limits::default(),
            early_data: EarlyData::default(),
        };
        Self(config, Components::default())
    }

    /// An account with a password, for SCRAM and PLAIN.
    ///
    /// # Panics
    ///
    /// If SASLprep (RFC 4013) prohibits the name or the password, or leaves nothing of it.
    pub fn account(mut self, user: &str, password: &str) -> Self {
        self.0.accounts.set_password(user, password);
        self
    }

    /// One more token of an account, for OAUTHBEARER and X-OAUTH2.
    ///
    /// # Panics
    ///
    /// If SASLprep prohibits the name.
    pub fn token(mut self, user: &str, token: &str) -> Self {
        self.0.accounts.add_token(user, token);
        self
    }

    /// Lets an account log in by EXTERNAL, with a certificate that holds its address.
    ///
    /// # Panics
    ///
    /// If SASLprep prohibits the name.
    pub fn certificate_account(mut self, user: &str) -> Self {
        self.0.accounts.allow_certificate(user);
        self
    }

    /// Refuses an account with this condition, even when its credentials are right.
    ///
    /// # Panics
    ///
    /// If SASLprep prohibits the name.
    pub fn refuse(mut self, user: &str, condition: SaslCondition) -> Self {
        self.0.accounts.refuse(user, condition);
        self
    }

    /// The iteration count of SCRAM. Default 4096.
    pub fn iterations(mut self, iterations: u32) -> Self {
        self.0.accounts.set_iterations(iterations.max(1));
        self
    }

    /// The mechanisms to offer, in this order. Default all thirteen, the strongest first.
    ///
    /// EXTERNAL is offered only on a channel with a client certificate, and SCRAM's forms with
    /// channel binding only on one with something to bind to. A name that the server does not know
    /// is offered as well, and answered with `invalid-mechanism`.
    pub fn mechanisms<I>(mut self, names: I) -> Self
    where
        I: IntoIterator<Item: Into<String>>,
    {
        self.0.mechanisms = names.into_iter().map(Into::into).collect();
        self
    }

    /// The mechanisms to offer where the channel is not encrypted, so before STARTTLS too. Default
    /// the same as elsewhere.
    pub fn plaintext_mechanisms<I>(mut self, names: I) -> Self
    where
        I: IntoIterator<Item: Into<String>>,
    {
        self.0.plaintext_mechanisms = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// STARTTLS where the server listens with TCP. Default optional.
    pub fn starttls(mut self, starttls: StartTls) -> Self {
        self.0.starttls = starttls;
        self
    }

    /// The list of the types of channel binding (XEP-0440). Default an honest one.
    ///
    /// ```
    /// # use epode_testpeer::{BindingList, Server};
    /// let list = BindingList::these(["tls-unique"]);
    /// let server = Server::builder("localhost").binding_list(list);
    /// ```
    pub fn binding_list(mut self, list: BindingList) -> Self {
        self.0.binding_list = list;
        self
    }

    /// Has other data of this type of channel binding than the client, as behind a proxy that ends
    /// TLS: logins that are bound to it fail with `not-authorized`. Call it again for one more.
    pub fn mismatched_binding(mut self, kind: &str) -> Self {
        self.0.mismatched_bindings.push(kind.to_owned());
        self
    }

    /// What SCRAM tells of the offer (XEP-0474). Default nothing.
    pub fn downgrade_hash(mut self, rule: DowngradeHash) -> Self {
        self.0.sasl.downgrade_hash = rule;
        self
    }

    /// A mechanism of one message, offered after the others: `verdict` gives the user whom a
    /// message logs in.
    ///
    /// ```
    /// # use epode_testpeer::Server;
    /// let server = Server::builder("localhost").custom_mechanism("X-MY-MECHANISM", |message| {
    ///     (message == b"token=right").then(|| "alice".to_owned())
    /// });
    /// ```
    pub fn custom_mechanism<F>(mut self, name: &str, verdict: F) -> Self
    where
        F: Fn(&[u8]) -> Option<String> + Send + Sync + 'static,
    {
        self.0.mechanisms.push(name.to_owned());
        let name = name.to_owned();
        self.0.sasl.custom.push(CustomMechanism { name, verdict: Arc::new(verdict) });
        self
    }

    /// Offers this mechanism, and refuses it with `mechanism-too-weak`.
    pub fn too_weak(mut self, mechanism: &str) -> Self {
        self.0.too_weak.push(mechanism.to_owned());
        self
    }

    /// Offers PLAIN, OAUTHBEARER and X-OAUTH2 on encrypted channels only, and refuses them with
    /// `encryption-required` elsewhere. Default: they are offered everywhere, since a test server
    /// is on the same machine.
    pub fn require_encryption(mut self) -> Self {
        self.0.encryption_required = true;
        self
    }

    /// Sends SCRAM's server signature in a challenge of its own, not with the success.
    pub fn verifier_in_challenge(mut self) -> Self {
        self.0.sasl.verifier_in_challenge = true;
        self
    }

    /// The scope that OAUTHBEARER names when it refuses a token.
    pub fn oauth_scope(mut self, scope: &str) -> Self {
        self.0.sasl.scope = Some(scope.to_owned());
        self
    }

    /// The address of the OpenID configuration that OAUTHBEARER names when it refuses a token.
    pub fn openid_configuration(mut self, url: &str) -> Self {
        self.0.sasl.openid_configuration = Some(url.to_owned());
        self
    }

    /// The session request of RFC 3921. Default absent.
    pub fn legacy_session(mut self, legacy_session: LegacySession) -> Self {
        self.0.legacy_session = legacy_session;
        self
    }

    /// Leaves stream management (XEP-0198) out: it is not offered, and its elements are unknown.
    pub fn without_stream_management(mut self) -> Self {
        self.0.stream_management = false;
        self
    }

    /// How long a session waits to be resumed after its connection broke (XEP-0198), unless its
    /// client asks for less. Default 5 minutes; with zero, no session can be resumed.
    pub fn resumption(mut self, time: Duration) -> Self {
        self.0.resumption = time;
        self
    }

    /// The `location` at which a session is to be resumed: a host, with a port or without.
    pub fn resumption_location(mut self, location: &str) -> Self {
        self.0.resumption_location = Some(location.to_owned());
        self
    }

    /// One more feature to advertise, before the login and after it.
    pub fn feature(mut self, feature: Element) -> Self {
        self.0.features.push(feature);
        self
    }

    /// A fixed answer to a stream element that is no stanza, at any time after the first header:
    /// `<enable xmlns='urn:xmpp:sm:3'/>`, for one, may be answered before an address is bound.
    pub fn answer(mut self, name: &str, namespace: &str, answer: Element) -> Self {
        self.0.answers.push((name.to_owned(), namespace.to_owned(), answer));
        self
    }

    /// What happens when a resource is asked for that is taken. Default: another one is given.
    pub fn resource_conflict(mut self, rule: ResourceConflict) -> Self {
        self.0.conflict = rule;
        self
    }

    /// Misbehaves over BOSH from this request on: the first with POST that the server gets is 1,
    /// and those that come again count. Default never.
    pub fn bosh_fault(mut self, fault: BoshFault, first_request: u64) -> Self {
        self.0.bosh_fault = Some((fault, first_request.max(1)));
        self
    }

    /// A file that browsers get at this path, on the ports of the WebSocket. What belongs to a page
    /// may use scripts, WebAssembly and connections of this server alone. Default none.
    ///
    /// A server that has files is its pages' alone: it answers to `localhost`, to addresses of this
    /// machine's own and to the one that it was reached at, and to no other name; and pages of other
    /// sites can use neither its files nor its WebSocket nor BOSH.
    ///
    /// # Panics
    ///
    /// If the path is not that of a URL, the type is not the value of a header, or the path is one
    /// at which the server speaks XMPP.
    ///
    /// ```
    /// # use epode_testpeer::Server;
    /// let page = b"<!doctype html><title>Hello</title>";
    /// let server = Server::builder("localhost").web_file("/", "text/html", page).build();
    /// ```
    pub fn web_file<C>(mut self, path: &str, content_type: &str, contents: C) -> Self
    where
        C: Into<Cow<'static, [u8]>>,
    {
        self.0.web_files.add(path, WebFile::new(content_type, contents.into()));
        self
    }

    /// A [`web_file`](Self::web_file) for those alone who have this key, and send it as
    /// `Authorization: Bearer KEY`.
    ///
    /// # Panics
    ///
    /// As [`web_file`](Self::web_file).
    ///
    /// ```
    /// # use epode_testpeer::Server;
    /// let builder = Server::builder("localhost");
    /// let server = builder.guarded_web_file("/accounts", "text/plain", b"alice", "9f3c").build();
    /// ```
    pub fn guarded_web_file<C>(
        mut self,
        path: &str,
        content_type: &str,
        contents: C,
        key: &str,
    ) -> Self
    where
        C: Into<Cow<'static, [u8]>>,
    {
        self.0.web_files.add(path, WebFile::new(content_type, contents.into()).with_key(key));
        self
    }

    /// An external component (XEP-0114) that may connect with this secret, and gets what is sent to
    /// its domain. Call it again for one more.
    ///
    /// # Panics
    ///
    /// If the domain is not the domain of an XMPP address, or is that of the server.
    ///
    /// ```
    /// # use epode_testpeer::Server;
    /// let server = Server::builder("localhost").component("bridge.localhost", "secret").build();
    /// ```
    pub fn component(mut self, domain: &str, secret: &str) -> Self {
        let is_ours = domain.eq_ignore_ascii_case(self.0.accounts.domain());
        assert!(is_domain(domain) && !is_ours, "{domain:?} should be a domain of its own");
        self.1.add(domain, secret);
        self
    }

    /// How much the server takes from its clients.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.0.limits = limits;
        self
    }

    /// The server.
    #[must_use]
    pub fn build(self) -> Server {
        Server::new(self.0, self.1)
    }
}

fn is_domain(text: &str) -> bool {
    let address = text.parse::<Jid>();
    address.is_ok_and(|it| it.local().is_none() && it.resource().is_none())
}

const DEFAULT_ITERATIONS: u32 = 4096;
const DEFAULT_RESUMPTION: Duration = Duration::from_secs(5 * 60);
