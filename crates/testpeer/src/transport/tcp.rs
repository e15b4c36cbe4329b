//! Carries a session over a plain byte stream (RFC 6120, section 3).
//!
//! Leaves out STARTTLS: who wants TLS has the secure WebSocket.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};

use super::shutdown::Shutdown;
use crate::server::Server;
use crate::session::SessionChannel;
use crate::session::conditions::StreamCondition;

/// Takes the conversation, to its end.
pub(super) async fn serve<S>(
    mut stream: S,
    server: &Server,
    channel: SessionChannel,
    shutdown: &mut Shutdown,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let limits = *server.limits();
    let deadline = Instant::now() + limits.login;
    let mut session = server.tcp_session(channel);
    let mut buffer = [0; BUFFER];
    while !session.is_closed() {
        let bound = session.is_bound();
        let text = tokio::select! {
            read = stream.read(&mut buffer) => match read {
                Ok(0) => break,
                Ok(length) => session.receive(&buffer[..length]),
                Err(_) => return,
            },
            delivery = session.delivery() => session.deliver(delivery),
            () = sleep_until(deadline), if !bound => {
                session.end(StreamCondition::ConnectionTimeout)
            }
            () = shutdown.wait() => session.end(StreamCondition::SystemShutdown),
        };
        if write(&mut stream, &text, limits.write).await.is_err() {
            return;
        }
    }
    drop(session);
    close(stream, limits.write).await;
}

/// Closes our half, and waits for the peer to do the same: closing at once could take back what
/// it has yet to read.
pub(super) async fn close<S>(mut stream: S, patience: Duration)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let farewell = async {
        stream.shutdown().await?;
        let mut rest = [0; BUFFER];
        while stream.read(&mut rest).await? > 0 {}
        Ok::<_, io::Error>(())
    };
    // A peer that does not answer has had its time.
    let _ = timeout(patience, farewell).await;
}

async fn write<S>(stream: &mut S, text: &str, patience: Duration) -> io::Result<()>
where
    S: AsyncWrite + Unpin,
{
    let written = async {
        stream.write_all(text.as_bytes()).await?;
        stream.flush().await
    };
    timeout(patience, written).await?
}

const BUFFER: usize = 8 * 1024;
