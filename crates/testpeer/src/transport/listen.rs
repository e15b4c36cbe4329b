//! The server on ports: TCP with STARTTLS and over TLS, HTTP and HTTPS for WebSocket and BOSH.
//!
//! Leaves out what happens on a connection once it is accepted.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::certificates::{
    CertificateNames, CertificateSignature, CertificateStyle, CertificateValidity, Certificates,
    ClientCertificate,
};
use super::shutdown::{Shutdown, Trigger};
use super::tls::{EarlyData, Entrance, Tls, TlsVersions};
use super::{http, tcp, websocket};
use crate::server::Server;
use crate::session::SessionChannel;

/// Where a server listens. The default is free ports of 127.0.0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenOptions {
    /// The address.
    pub address: IpAddr,
    /// The port of TCP, with STARTTLS if the server has it; 0 is a free one.
    pub tcp_port: u16,
    /// The port of direct TLS; 0 is a free one.
    pub direct_tls_port: u16,
    /// The port of `ws`, and of BOSH over `http`; 0 is a free one.
    pub ws_port: u16,
    /// The port of `wss`, and of BOSH over `https`; 0 is a free one.
    pub wss_port: u16,
    /// The port of external components, if the server has any; 0 is a free one.
    pub component_port: u16,
    /// The versions of TLS. Default both.
    pub tls_versions: TlsVersions,
    /// How the server's certificate is signed. Default ECDSA with SHA-256.
    pub signature: CertificateSignature,
    /// When the server's certificate is valid. Default now.
    pub validity: CertificateValidity,
    /// Whom the server's certificate is for. Default the server.
    pub names: CertificateNames,
}

/// A server that listens. Dropped, it ends at once; [`shutdown`](Self::shutdown) lets its
/// sessions end in order.
#[derive(Debug)]
pub struct Running {
    tcp: SocketAddr,
    direct_tls: SocketAddr,
    ws_url: String,
    wss_url: String,
    bosh_url: String,
    secure_bosh_url: String,
    web_url: String,
    secure_web_url: String,
    component_url: Option<String>,
    ca_pem: String,
    clients: Vec<ClientCertificate>,
    trigger: Trigger,
    listeners: JoinSet<()>,
}

impl ListenOptions {
    /// Sets [`address`](Self::address).
    #[must_use]
    pub fn with_address(mut self, address: IpAddr) -> Self {
        self.address = address;
        self
    }

    /// Sets the ports of TCP, `ws` and `wss`.
    #[must_use]
    pub fn with_ports(mut self, tcp: u16, ws: u16, wss: u16) -> Self {
        (self.tcp_port, self.ws_port, self.wss_port) = (tcp, ws, wss);
        self
    }

    /// Sets [`direct_tls_port`](Self::direct_tls_port).
    #[must_use]
    pub fn with_direct_tls_port(mut self, port: u16) -> Self {
        self.direct_tls_port = port;
        self
    }

    /// Sets [`component_port`](Self::component_port).
    #[must_use]
    pub fn with_component_port(mut self, port: u16) -> Self {
        self.component_port = port;
        self
    }

    /// Sets [`tls_versions`](Self::tls_versions).
    #[must_use]
    pub fn with_tls_versions(mut self, versions: TlsVersions) -> Self {
        self.tls_versions = versions;
        self
    }

    /// Sets [`signature`](Self::signature).
    #[must_use]
    pub fn with_signature(mut self, signature: CertificateSignature) -> Self {
        self.signature = signature;
        self
    }

    /// Sets [`validity`](Self::validity).
    #[must_use]
    pub fn with_validity(mut self, validity: CertificateValidity) -> Self {
        self.validity = validity;
        self
    }

    /// Sets [`names`](Self::names).
    #[must_use]
    pub fn with_names(mut self, names: CertificateNames) -> Self {
        self.names = names;
        self
    }
}

impl Server {
    /// Listens with TCP, direct TLS, `ws` and `wss`, each on a port of its own, and makes the
    /// certificates. BOSH is on the ports of the last two. External components have a port as well,
    /// if the server has any.
    ///
    /// # Errors
    ///
    /// If a port cannot be had, or a domain fits no certificate.
    pub async fn listen(&self, options: ListenOptions) -> io::Result<Running> {
        let users = self.config().accounts.certificate_users();
        let ListenOptions { signature, validity, names, .. } = options;
        let style = CertificateStyle { signature, validity, names };
        let certificates = Certificates::make(self.domain(), options.address, users, style)?;
        let (versions, early_data) = (options.tls_versions, self.config().early_data);
        let tls = Tls::new(&certificates, versions, early_data, self.limits().handshake)?;
        let tls = Arc::new(tls);
        let (trigger, shutdown) = Shutdown::channel();
        let mut listeners = JoinSet::new();
        let mut listen = async |port, kind| {
            let listener = TcpListener::bind((options.address, port)).await?;
            let address = listener.local_addr()?;
            let (server, tls) = (self.clone(), Arc::clone(&tls));
            listeners.spawn(accept_all(listener, server, kind, tls, shutdown.clone()));
            io::Result::Ok(address)
        };
        let tcp = listen(options.tcp_port, Kind::Tcp).await?;
        let direct_tls = listen(options.direct_tls_port, Kind::DirectTls).await?;
        let ws = listen(options.ws_port, Kind::Http).await?;
        let wss = listen(options.wss_port, Kind::Https).await?;
        let component_url = if self.components().domains().next().is_some() {
            let components = listen(options.component_port, Kind::Component).await?;
            Some(format!("tcp://{components}"))
        } else {
            None
        };
        Ok(Running {
            tcp,
            direct_tls,
            ws_url: format!("ws://{ws}{}", websocket::PATH),
            wss_url: format!("wss://{wss}{}", websocket::PATH),
            bosh_url: format!("http://{ws}{}", http::PATH),
            secure_bosh_url: format!("https://{wss}{}", http::PATH),
            web_url: format!("http://{ws}/"),
            secure_web_url: format!("https://{wss}/"),
            component_url,
            ca_pem: certificates.ca_pem,
            clients: certificates.clients,
            trigger,
            listeners,
        })
    }
}

impl Running {
    /// The address of TCP, which begins without TLS.
    #[must_use]
    pub fn tcp(&self) -> SocketAddr {
        self.tcp
    }

    /// The address of TCP with STARTTLS: the same as [`tcp`](Self::tcp).
    #[must_use]
    pub fn starttls(&self) -> SocketAddr {
        self.tcp
    }

    /// The address of TCP with TLS from the first byte (XEP-0368).
    #[must_use]
    pub fn direct_tls(&self) -> SocketAddr {
        self.direct_tls
    }

    /// The URL of the WebSocket without TLS.
    #[must_use]
    pub fn ws_url(&self) -> &str {
        &self.ws_url
    }

    /// The URL of the WebSocket over TLS.
    #[must_use]
    pub fn wss_url(&self) -> &str {
        &self.wss_url
    }

    /// The URL of BOSH without TLS, on the port of [`ws_url`](Self::ws_url).
    #[must_use]
    pub fn bosh_url(&self) -> &str {
        &self.bosh_url
    }

    /// The URL of BOSH over TLS, on the port of [`wss_url`](Self::wss_url).
    #[must_use]
    pub fn secure_bosh_url(&self) -> &str {
        &self.secure_bosh_url
    }

    /// The URL below which browsers get files without TLS, on the port of [`ws_url`](Self::ws_url).
    #[must_use]
    pub fn web_url(&self) -> &str {
        &self.web_url
    }

    /// The URL below which browsers get files over TLS, on the port of [`wss_url`](Self::wss_url).
    #[must_use]
    pub fn secure_web_url(&self) -> &str {
        &self.secure_web_url
    }

    /// Where external components connect (XEP-0114), as `tcp://127.0.0.1:5347`, if the server has
    /// any.
    #[must_use]
    pub fn component_url(&self) -> Option<&str> {
        self.component_url.as_deref()
    }

    /// The certificate of the authority that signed the server's and the clients', in PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// One certificate for each account that may log in by EXTERNAL, by name.
    #[must_use]
    pub fn client_certificates(&self) -> &[ClientCertificate] {
        &self.clients
    }

    /// The first client certificate in PEM, if an account may log in by EXTERNAL.
    #[must_use]
    pub fn client_certificate_pem(&self) -> Option<&str> {
        self.clients.first().map(ClientCertificate::certificate_pem)
    }

    /// The key of the first client certificate in PEM.
    #[must_use]
    pub fn client_key_pem(&self) -> Option<&str> {
        self.clients.first().map(ClientCertificate::key_pem)
    }

    /// Takes no more connections, ends the sessions with `system-shutdown`, and waits for that,
    /// for each no longer than [`Limits::write`](crate::Limits::write) allows.
    pub async fn shutdown(mut self) {
        self.trigger.pull();
        while self.listeners.join_next().await.is_some() {}
    }
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            address: Ipv4Addr::LOCALHOST.into(),
            tcp_port: 0,
            direct_tls_port: 0,
            ws_port: 0,
            wss_port: 0,
            component_port: 0,
            tls_versions: TlsVersions::default(),
            signature: CertificateSignature::default(),
            validity: CertificateValidity::default(),
            names: CertificateNames::default(),
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Tcp,
    DirectTls,
    Http,
    Https,
    Component,
}

async fn accept_all(
    listener: TcpListener,
    server: Server,
    kind: Kind,
    tls: Arc<Tls>,
    mut shutdown: Shutdown,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                // Sessions are counted by the server; this bounds what is not one yet.
                Ok((stream, _)) if connections.len() <= server.limits().sessions.saturating_mul(2) => {
                    let (server, tls) = (server.clone(), Arc::clone(&tls));
                    let shutdown = shutdown.clone();
                    connections.spawn(serve(stream, server, kind, tls, shutdown));
                }
                Ok(_) => {}
                // Out of file descriptors, for one: others may be closed soon.
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
            () = shutdown.wait() => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn serve(
    stream: TcpStream,
    server: Server,
    kind: Kind,
    tls: Arc<Tls>,
    mut shutdown: Shutdown,
) {
    // Without it, small frames wait for each other's acknowledgements; a failure costs only time.
    let _ = stream.set_nodelay(true);
    let address = stream.local_addr().ok().map(|address| address.ip());
    let (server, tls, shutdown) = (&server, &*tls, &mut shutdown);
    let plaintext = SessionChannel::plaintext();
    match kind {
        Kind::Tcp => tcp::serve(stream, server, plaintext, Some(tls), shutdown).await,
        Kind::Http => http::serve(stream, server, plaintext, address, shutdown).await,
        Kind::Component => tcp::serve_component(stream, server, shutdown).await,
        Kind::DirectTls if server.config().early_data != EarlyData::Absent => {
            tcp::serve_early(stream, server, tls, shutdown).await;
        }
        Kind::DirectTls => {
            if let Some((stream, channel)) = tls.accept(Entrance::Direct, stream, shutdown).await {
                tcp::serve(stream, server, channel, None, shutdown).await;
            }
        }
        Kind::Https => {
            let secured = tls.accept(Entrance::Http, stream, shutdown).await;
            if let Some((stream, channel)) = secured {
                http::serve(stream, server, channel, address, shutdown).await;
            }
        }
    }
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
