//! What an external component is told before it connects (XEP-0114).
//!
//! What it does then is what every session does; there is neither SASL nor discovery.

use std::time::Duration;

use epode_proto::{Jid, Liveness, Settings, sasl::Channel, xml};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    Builder, Direction, EndpointError, Error, Reconnect, Session, StatusEvents, TlsOptions,
    TransportOptions,
};

/// What an external component is told before it connects: see
/// [`Client::component`](crate::Client::component).
///
/// Its [`Session`] has the component's domain as its address. Stanzas of
/// anybody at that domain can be sent; one that does not say from whom it is, is from the domain
/// itself, and each has to say to whom it goes.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use epode::Client;
///
/// let mut session = Client::component("bridge.example.org", "secret")?
///     .endpoint("tcp://localhost:5347")?
///     .connect()
///     .await?;
/// while let Some(stanza) = session.receive().await {
///     println!("{stanza}");
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "a component does nothing until it connects"]
pub struct ComponentBuilder(Builder);

impl ComponentBuilder {
    /// A component of this domain, by its secret.
    pub fn new(domain: Jid, secret: impl Into<String>) -> Self {
        let builder = Builder::with(Settings::component(domain, secret));
        let builder = builder.stream_management(None).reconnect(Reconnect::default().redirects(0));
        let endpoint = format!("xmpp://localhost:{PORT}");
        Self(builder.endpoint(&endpoint).expect("the URL is right"))
    }

    /// Where the server awaits components: `tcp://host`, on port 5347 unless another is named; or
    /// `xmpps://host:port` where that is inside TLS. `tcp://localhost` otherwise.
    ///
    /// # Errors
    ///
    /// [`EndpointError`] says what is wrong with it.
    pub fn endpoint(self, url: &str) -> Result<Self, EndpointError> {
        let endpoint = match url.split_once("://") {
            Some((scheme, place)) if scheme.eq_ignore_ascii_case("tcp") => {
                let is_named = place.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
                let port = if is_named { String::new() } else { format!(":{PORT}") };
                format!("xmpp://{}{port}", place.trim_end_matches('/'))
            }
            Some((scheme, _)) if !scheme.eq_ignore_ascii_case("xmpps") => {
                return Err(EndpointError::NotOfComponents);
            }
            _ => url.to_owned(),
        };
        self.0.endpoint(&endpoint).map(Self)
    }

    /// Connects over a stream of the caller's, who vouches with `channel` for what protects it.
    pub fn over<S>(self, stream: S, channel: Channel) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Self(self.0.over(stream, channel))
    }

    /// Connects even where the connection is neither encrypted nor within this machine, or cannot
    /// be told to be: whoever is on the way then reads and changes everything.
    pub fn danger_allow_unencrypted_stream(self) -> Self {
        Self(self.0.danger_allow_unencrypted_stream())
    }

    /// See [`Builder::tls`].
    pub fn tls(self, tls: TlsOptions) -> Self {
        Self(self.0.tls(tls))
    }

    /// See [`Builder::transport`].
    pub fn transport(self, transport: TransportOptions) -> Self {
        Self(self.0.transport(transport))
    }

    /// How the session comes back when its connection is lost; see [`Builder::reconnect`]. A server
    /// that sends the component elsewhere is never followed.
    pub fn reconnect(self, policy: Reconnect) -> Self {
        Self(self.0.reconnect(policy.redirects(0)))
    }

    /// See [`Builder::liveness`].
    pub fn liveness(self, liveness: Liveness) -> Self {
        Self(self.0.liveness(liveness))
    }

    /// See [`Builder::timeout`].
    pub fn timeout(self, limit: Duration) -> Self {
        Self(self.0.timeout(limit))
    }

    /// See [`Builder::limits`].
    pub fn limits(self, limits: xml::Limits) -> Self {
        Self(self.0.limits(limits))
    }

    /// See [`Builder::watch`].
    pub fn watch(&mut self) -> StatusEvents {
        self.0.watch()
    }

    /// See [`Builder::transcript`].
    pub fn transcript(self, sink: impl FnMut(Direction, &str) + Send + 'static) -> Self {
        Self(self.0.transcript(sink))
    }

    /// Connects, and shows the server that it knows the secret.
    ///
    /// Must be called within a tokio runtime. To drop the future is to give up.
    ///
    /// # Errors
    ///
    /// [`Error`] says why there is no session, with
    /// [`epode_proto::Error::Component`] where the server refused; the connection is closed by then.
    pub async fn connect(self) -> Result<Session, Error> {
        self.0.connect().await
    }
}

/// Where servers await components, by custom.
const PORT: u16 = 5347;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_components_is_tcp_or_tls() {
        let endpoint = |url: &str| {
            let builder = crate::Client::component("bridge.localhost", "secret");
            let builder = builder.expect("the domain is right").endpoint(url)?;
            Ok(builder.0.endpoint_url())
        };
        for (url, expected) in [
            ("tcp://host", "xmpp://host:5347"),
            ("TCP://host/", "xmpp://host:5347"),
            ("tcp://host:15347", "xmpp://host:15347"),
            ("tcp://[::1]", "xmpp://[::1]:5347"),
            ("tcp://[::1]:9", "xmpp://[::1]:9"),
            ("xmpps://host:5348", "xmpps://host:5348"),
        ] {
            assert_eq!(endpoint(url).as_deref(), Ok(expected), "{url}");
        }
        for url in ["xmpp://host", "wss://host/ws", "https://host/bosh", "://host"] {
            assert_eq!(endpoint(url), Err(EndpointError::NotOfComponents), "{url}");
        }
        assert_eq!(endpoint("host:5347"), Err(EndpointError::MissingScheme));
        assert_eq!(endpoint("tcp://host/path"), Err(EndpointError::PathOfStream));
        assert_eq!(endpoint("tcp://host:0"), Err(EndpointError::Port));
    }
}
