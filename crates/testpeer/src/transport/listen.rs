//! The server on ports: plain TCP, WebSocket, and WebSocket over TLS.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConnection;

use super::certificate_addresses::addresses;
use super::certificates::{Certificates, ClientCertificate};
use super::shutdown::{Shutdown, Trigger};
use super::websocket::PATH;
use super::{tcp, websocket};
use crate::server::Server;
use crate::session::SessionChannel;

/// Where a server listens. The default is free ports of 127.0.0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenOptions {
    /// The address.
    pub address: IpAddr,
    /// The port of plain TCP; 0 is a free one.
    pub tcp_port: u16,
    /// The port of `ws`; 0 is a free one.
    pub ws_port: u16,
    /// The port of `wss`; 0 is a free one.
    pub wss_port: u16,
}

/// A server that listens. Dropped, it ends at once; [`shutdown`](Self::shutdown) lets its
/// sessions end in order.
#[derive(Debug)]
pub struct Running {
    tcp: SocketAddr,
    ws_url: String,
    wss_url: String,
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

    /// Sets the ports of plain TCP, `ws` and `wss`.
    #[must_use]
    pub fn with_ports(mut self, tcp: u16, ws: u16, wss: u16) -> Self {
        (self.tcp_port, self.ws_port, self.wss_port) = (tcp, ws, wss);
        self
    }
}

impl Server {
    /// Listens with TCP, `ws` and `wss`, each on a port of its own, and makes the certificates
    /// for the latter.
    ///
    /// # Errors
    ///
    /// If a port cannot be had, or a domain fits no certificate.
    pub async fn listen(&self, options: ListenOptions) -> io::Result<Running> {
        let users = self.config().accounts.certificate_users();
        let certificates = Certificates::make(self.domain(), options.address, users)?;
        let bind = |port| TcpListener::bind((options.address, port));
        let tcp = bind(options.tcp_port).await?;
        let ws = bind(options.ws_port).await?;
        let wss = bind(options.wss_port).await?;
        let (tcp_address, ws_address) = (tcp.local_addr()?, ws.local_addr()?);
        let wss_address = wss.local_addr()?;
        let (trigger, shutdown) = Shutdown::channel();
        let mut listeners = JoinSet::new();
        let secure = Kind::SecureWebSocket(certificates.acceptor);
        for (listener, kind) in [(tcp, Kind::Tcp), (ws, Kind::WebSocket), (wss, secure)] {
            listeners.spawn(accept_all(listener, self.clone(), kind, shutdown.clone()));
        }
        Ok(Running {
            tcp: tcp_address,
            ws_url: format!("ws://{ws_address}{PATH}"),
            wss_url: format!("wss://{wss_address}{PATH}"),
            ca_pem: certificates.ca_pem,
            clients: certificates.clients,
            trigger,
            listeners,
        })
    }
}

impl Running {
    /// The address of plain TCP.
    #[must_use]
    pub fn tcp(&self) -> SocketAddr {
        self.tcp
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
        Self { address: Ipv4Addr::LOCALHOST.into(), tcp_port: 0, ws_port: 0, wss_port: 0 }
    }
}

#[derive(Clone)]
enum Kind {
    Tcp,
    WebSocket,
    SecureWebSocket(TlsAcceptor),
}

async fn accept_all(listener: TcpListener, server: Server, kind: Kind, mut shutdown: Shutdown) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                // Sessions are counted by the server; this bounds what is not one yet.
                Ok((stream, _)) if connections.len() <= server.limits().sessions.saturating_mul(2) => {
                    let (server, kind) = (server.clone(), kind.clone());
                    connections.spawn(serve(stream, server, kind, shutdown.clone()));
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

async fn serve(stream: TcpStream, server: Server, kind: Kind, mut shutdown: Shutdown) {
    // Without it, small frames wait for each other's acknowledgements; a failure costs only time.
    let _ = stream.set_nodelay(true);
    match kind {
        Kind::Tcp => {
            tcp::serve(stream, &server, SessionChannel::plaintext(), &mut shutdown).await;
        }
        Kind::WebSocket => {
            websocket::serve(stream, &server, SessionChannel::plaintext(), &mut shutdown).await;
        }
        Kind::SecureWebSocket(acceptor) => {
            let handshake = timeout(server.limits().handshake, acceptor.accept(stream));
            let secured = tokio::select! {
                secured = handshake => secured,
                () = shutdown.wait() => return,
            };
            let Ok(Ok(stream)) = secured else { return };
            let channel = channel_of(stream.get_ref().1);
            websocket::serve(stream, &server, channel, &mut shutdown).await;
        }
    }
}

fn channel_of(tls: &ServerConnection) -> SessionChannel {
    let certificate = tls.peer_certificates().and_then(<[_]>::first);
    let addresses = certificate.map(|der| addresses(der)).unwrap_or_default();
    addresses.into_iter().fold(SessionChannel::encrypted(), SessionChannel::with_certificate)
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
