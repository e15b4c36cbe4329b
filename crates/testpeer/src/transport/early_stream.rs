//! The server's end of TLS 1.3 where early data is read, and answered, before the handshake is over
//! (RFC 8446, section 2.3).
//!
//! Leaves out which early data is taken: the configuration of TLS says that.

use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::rustls::{Error, ServerConfig, ServerConnection};

/// A connection from its first byte on. What is written before the handshake is over goes out in its
/// midst.
pub(super) struct EarlyStream<S> {
    stream: S,
    connection: ServerConnection,
}

impl<S: AsyncRead + AsyncWrite + Unpin> EarlyStream<S> {
    /// With `refuses`, early data is dropped, as the client learns.
    pub(super) fn new(config: Arc<ServerConfig>, refuses: bool, stream: S) -> Result<Self, Error> {
        let mut connection = ServerConnection::new(config)?;
        if refuses {
            connection.reject_early_data();
        }
        Ok(Self { stream, connection })
    }

    /// Reads early data; 0 once the handshake is over, and there is no more.
    pub(super) async fn read_early(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read_early(cx, buffer)).await
    }

    pub(super) fn connection(&self) -> &ServerConnection {
        &self.connection
    }

    fn poll_read_early(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            if let Some(mut early) = self.connection.early_data() {
                let length = early.read(buffer)?;
                if length > 0 {
                    return Poll::Ready(Ok(length));
                }
            }
            ready!(self.poll_send(cx))?;
            if !self.connection.is_handshaking() {
                return Poll::Ready(Ok(0));
            }
            if ready!(self.poll_hear(cx))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Takes bytes of the client's; 0 when there are no more.
    fn poll_hear(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let length =
            ready!(waiting(self.connection.read_tls(&mut Blocking(&mut self.stream, cx))))?;
        if let Err(error) = self.connection.process_new_packets() {
            let _ = self.poll_send(cx); // the alert, as far as it goes
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
        }
        Poll::Ready(Ok(length))
    }

    /// Sends what TLS has to send.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.connection.wants_write() {
            let written = self.connection.write_tls(&mut Blocking(&mut self.stream, cx));
            if ready!(waiting(written))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for EarlyStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match waiting(this.connection.reader().read(buffer.initialize_unfilled())) {
                Poll::Ready(read) => {
                    buffer.advance(read?);
                    return Poll::Ready(Ok(()));
                }
                Poll::Pending => ready!(this.poll_send(cx))?,
            }
            ready!(this.poll_hear(cx))?;
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for EarlyStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        Poll::Ready(this.connection.writer().write(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_send(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.connection.send_close_notify(); // once, however often it is called
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}

/// A stream as TLS wants it, which says `WouldBlock` where it has to wait.
struct Blocking<'a, 'b, S>(&'a mut S, &'a mut Context<'b>);

impl<S: AsyncRead + Unpin> Read for Blocking<'_, '_, S> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(bytes);
        match Pin::new(&mut *self.0).poll_read(self.1, &mut buffer) {
            Poll::Ready(read) => read.map(|()| buffer.filled().len()),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl<S: AsyncWrite + Unpin> Write for Blocking<'_, '_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match Pin::new(&mut *self.0).poll_write(self.1, bytes) {
            Poll::Ready(written) => written,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// It is flushed when all is written.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The same the other way round.
fn waiting<T>(result: io::Result<T>) -> Poll<io::Result<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        result => Poll::Ready(result),
    }
}
