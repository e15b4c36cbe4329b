//! What is at the bottom of every connection: bytes both ways, and a message on its way out.
//! What the bytes mean is known above.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite};
use zeroize::{Zeroize, Zeroizing};

/// Anything that carries bytes both ways.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

/// At most one message that is not yet written as a whole, wiped once it is. Whoever waits for it
/// may stop; the rest of it still goes out before anything else.
#[derive(Default)]
pub(super) struct Outgoing {
    message: Zeroizing<Vec<u8>>,
    written: usize,
    /// How many bytes of all messages were written.
    total: u64,
}

impl Outgoing {
    /// Takes a message. The one before it must be out.
    pub(super) fn queue(&mut self, message: Zeroizing<Vec<u8>>) {
        debug_assert!(self.message.is_empty(), "written before");
        self.message = message;
    }

    /// How many bytes of all messages were written.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Writes what is left of the message.
    pub(super) fn poll_write<W>(
        &mut self,
        stream: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>>
    where
        W: AsyncWrite + Unpin + ?Sized,
    {
        while self.written < self.message.len() {
            let rest = &self.message[self.written..];
            match ready!(Pin::new(&mut *stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => {
                    self.written += written;
                    self.total += written as u64;
                }
            }
        }
        self.message.zeroize();
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}
