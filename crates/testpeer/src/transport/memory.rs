//! The server in the same process, without any port.
//!
//! Leaves out TLS: what it would have shown is said by the [`SessionChannel`].

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, duplex};

use super::shutdown::Shutdown;
use super::{http, tcp};
use crate::server::Server;
use crate::session::SessionChannel;

impl Server {
    /// A byte stream at whose other end the server waits for HTTP: for a WebSocket handshake, for
    /// the path `/xmpp-websocket` and the subprotocol `xmpp`, or for the requests of BOSH, for the
    /// path `/http-bind`. The sessions of BOSH are reached over any number of such streams.
    ///
    /// # Panics
    ///
    /// If called outside of a tokio runtime, since the server's half becomes a task of it.
    #[must_use]
    pub fn memory_link(&self, channel: SessionChannel) -> DuplexStream {
        let (near, far) = duplex(BUFFER);
        let server = self.clone();
        tokio::spawn(async move { server.serve_http(far, channel).await });
        near
    }

    /// Serves one HTTP connection over this byte stream, to its end or that of the WebSocket that
    /// it becomes.
    ///
    /// [`memory_link`](Self::memory_link) does so in a task of the caller's runtime; here the
    /// caller chooses where. A session of BOSH becomes a task all the same, since it is not tied
    /// to a connection.
    pub async fn serve_http<S>(&self, stream: S, channel: SessionChannel)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        http::serve(stream, self, channel, None, &mut Shutdown::never()).await;
    }

    /// As [`serve_http`](Self::serve_http), for a stream over which a WebSocket handshake comes.
    pub async fn serve_websocket<S>(&self, stream: S, channel: SessionChannel)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.serve_http(stream, channel).await;
    }

    /// Serves one connection of RFC 6120 over this byte stream, to its end. There is no STARTTLS:
    /// that needs [`listen`](Self::listen).
    pub async fn serve_tcp<S>(&self, stream: S, channel: SessionChannel)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        tcp::serve(stream, self, channel, None, &mut Shutdown::never()).await;
    }

    /// Serves one connection of an external component (XEP-0114) over this byte stream, to its
    /// end.
    pub async fn serve_component<S>(&self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        tcp::serve_component(stream, self, &mut Shutdown::never()).await;
    }
}

const BUFFER: usize = 64 * 1024;
