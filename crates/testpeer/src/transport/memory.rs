//! The server in the same process, without any port.
//!
//! Leaves out TLS: what it would have shown is said by the [`SessionChannel`].

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, duplex};

use super::shutdown::Shutdown;
use super::{tcp, websocket};
use crate::server::Server;
use crate::session::SessionChannel;

impl Server {
    /// A byte stream at whose other end the server waits for a WebSocket handshake, for the path
    /// `/xmpp-websocket` and the subprotocol `xmpp`.
    ///
    /// # Panics
    ///
    /// If called outside of a tokio runtime, since the server's half becomes a task of it.
    #[must_use]
    pub fn memory_link(&self, channel: SessionChannel) -> DuplexStream {
        let (near, far) = duplex(BUFFER);
        let server = self.clone();
        tokio::spawn(async move { server.serve_websocket(far, channel).await });
        near
    }

    /// Serves one WebSocket connection over this byte stream, from the handshake to its end.
    ///
    /// [`memory_link`](Self::memory_link) does so in a task of the caller's runtime; here the
    /// caller chooses where.
    pub async fn serve_websocket<S>(&self, stream: S, channel: SessionChannel)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        websocket::serve(stream, self, channel, &mut Shutdown::never()).await;
    }

    /// Serves one connection of RFC 6120 over this byte stream, to its end. There is no STARTTLS:
    /// that needs [`listen`](Self::listen).
    pub async fn serve_tcp<S>(&self, stream: S, channel: SessionChannel)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        tcp::serve(stream, self, channel, None, &mut Shutdown::never()).await;
    }
}

const BUFFER: usize = 64 * 1024;
