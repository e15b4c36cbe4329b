//! Carries a session over a byte stream (RFC 6120, section 3), and over to TLS by STARTTLS.
//!
//! Leaves out the handshake itself, and when it is due, which the session knows.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};

use super::early_stream::EarlyStream;
use super::shutdown::Shutdown;
use super::tls::{Entrance, Tls};
use crate::server::{Limits, Server};
use crate::session::conditions::StreamCondition;
use crate::session::tcp::TcpSession;
use crate::session::{Conversation, SessionChannel};

/// Takes the conversation, to its end. STARTTLS is possible if there is a `tls` to do it.
pub(super) async fn serve<S>(
    mut stream: S,
    server: &Server,
    channel: SessionChannel,
    tls: Option<&Tls>,
    shutdown: &mut Shutdown,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let limits = *server.limits();
    let channel = if tls.is_some() { channel.with_starttls() } else { channel };
    let session = server.tcp_session(channel);
    let deadline = Instant::now() + limits.login;
    let mut visit = Visit { session, deadline, limits, injected: server.config().injected() };
    let end = visit.converse(&mut stream, shutdown).await;
    let (End::Secure, Some(tls)) = (end, tls) else {
        return visit.leave(stream, end).await;
    };
    let secured = tls.accept(Entrance::StartTls, stream, shutdown).await;
    let Some((mut stream, channel)) = secured else { return };
    visit.session.secured(channel);
    let end = visit.converse(&mut stream, shutdown).await;
    visit.leave(stream, end).await;
}

/// As [`serve`], inside TLS from the first byte, where a client may log in before the handshake is
/// over.
pub(super) async fn serve_early<S>(stream: S, server: &Server, tls: &Tls, shutdown: &mut Shutdown)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Some(mut stream) = tls.begin_early(stream) else { return };
    let limits = *server.limits();
    let session = server.tcp_session(tls.early_channel());
    let deadline = Instant::now() + limits.login;
    let mut visit = Visit { session, deadline, limits, injected: "" };
    let handshake = timeout(limits.handshake, visit.converse_early(&mut stream));
    let finished = tokio::select! {
        finished = handshake => finished,
        () = shutdown.wait() => return,
    };
    let Ok(Ok(())) = finished else { return };
    visit.session.finished(tls.channel(stream.connection()));
    let end = visit.converse(&mut stream, shutdown).await;
    visit.leave(stream, end).await;
}

/// As [`serve`], for an external component (XEP-0114).
pub(super) async fn serve_component<S>(mut stream: S, server: &Server, shutdown: &mut Shutdown)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let limits = *server.limits();
    let deadline = Instant::now() + limits.login;
    let mut visit = Visit { session: server.component_session(), deadline, limits, injected: "" };
    let end = visit.converse(&mut stream, shutdown).await;
    visit.leave(stream, end).await;
}

struct Visit<'a, C> {
    session: C,
    /// When the peer must have said who it is.
    deadline: Instant,
    limits: Limits,
    /// What follows `<proceed/>` and should not.
    injected: &'a str,
}

/// How a conversation over one stream ends.
#[derive(Clone, Copy)]
enum End {
    /// In order, on our side at least.
    Closed,
    /// With the handshake of TLS.
    Secure,
    /// The connection is lost.
    Lost,
}

impl Visit<'_, TcpSession> {
    /// Until the handshake is over, which others may have to say waits.
    async fn converse_early<S>(&mut self, stream: &mut EarlyStream<S>) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut buffer = [0; BUFFER];
        loop {
            let length = stream.read_early(&mut buffer).await?;
            if length == 0 {
                return Ok(());
            }
            let text = self.session.receive(&buffer[..length]);
            write(stream, &text, self.limits.write).await?;
        }
    }
}

impl<C: Conversation> Visit<'_, C> {
    async fn converse<S>(&mut self, stream: &mut S, shutdown: &mut Shutdown) -> End
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let session = &mut self.session;
        let mut buffer = [0; BUFFER];
        while !session.is_closed() {
            let established = session.is_established();
            let mut text = tokio::select! {
                read = stream.read(&mut buffer) => match read {
                    Ok(0) => break,
                    Ok(length) => session.receive(&buffer[..length]),
                    Err(_) => return End::Lost,
                },
                delivery = session.delivery() => session.deliver(delivery),
                () = sleep_until(self.deadline), if !established => {
                    session.end(StreamCondition::ConnectionTimeout)
                }
                () = shutdown.wait() => session.end(StreamCondition::SystemShutdown),
            };
            let securing = session.is_securing();
            if securing {
                text.push_str(self.injected);
            }
            if write(stream, &text, self.limits.write).await.is_err() {
                return End::Lost;
            }
            if securing {
                return End::Secure;
            }
        }
        End::Closed
    }

    /// Gives up the session's place, and closes what can be closed.
    async fn leave<S>(self, stream: S, end: End)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let patience = self.limits.write;
        drop(self);
        if matches!(end, End::Closed) {
            close(stream, patience).await;
        }
    }
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
