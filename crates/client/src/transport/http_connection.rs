//! One HTTP/1.1 connection that is kept from request to request (RFC 9112, section 9.3).
//! What is asked, and what an answer means, is known above.

use std::{
    convert::Infallible,
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll},
};

use http::{Request, Response};
use hyper::{
    body::{Body, Bytes, Frame, Incoming, SizeHint},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;

use super::byte_stream::ByteStream;

/// One connection. There is no task behind it: it moves while somebody waits for something of it.
pub(crate) struct HttpConnection {
    sender: http1::SendRequest<Payload>,
    /// What reads and writes; none once the server has closed the connection.
    work: Option<Pin<Box<Work>>>,
}

type Work = http1::Connection<TokioIo<Box<dyn ByteStream>>, Payload>;

impl HttpConnection {
    pub(crate) async fn open(stream: Box<dyn ByteStream>) -> hyper::Result<Self> {
        let (sender, work) = http1::Builder::new()
            .max_buf_size(MAX_BUFFER)
            .max_headers(MAX_HEADERS)
            // Bodies are not copied into a buffer that nobody wipes.
            .writev(true)
            .handshake(TokioIo::new(stream))
            .await?;
        Ok(Self { sender, work: Some(Box::pin(work)) })
    }

    /// Whether it can take a request; it cannot if the server has closed it meanwhile.
    pub(crate) async fn is_ready(&mut self) -> bool {
        moving(&mut self.work, self.sender.ready()).await.is_ok() && self.is_open()
    }

    /// Sends a request, and waits for the head of the answer.
    pub(crate) async fn ask(
        &mut self,
        request: Request<Payload>,
    ) -> hyper::Result<Response<Incoming>> {
        moving(&mut self.work, self.sender.send_request(request)).await
    }

    /// Reads the body of an answer, of which more than so many bytes are not wanted: then there is
    /// one byte more, and the connection is of no use any more.
    pub(crate) async fn read(
        &mut self,
        mut body: Incoming,
        limit: usize,
    ) -> hyper::Result<Vec<u8>> {
        let mut read = Vec::new();
        loop {
            let next = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
            let Some(frame) = moving(&mut self.work, next).await else { return Ok(read) };
            let frame = frame?;
            let Some(data) = frame.data_ref() else { continue };
            let room = limit.saturating_add(1).saturating_sub(read.len()).min(data.len());
            read.extend_from_slice(&data[..room]);
            if read.len() > limit {
                self.work = None;
                return Ok(read);
            }
        }
    }

    /// Whether another request may follow.
    pub(crate) fn is_open(&self) -> bool {
        self.work.is_some() && !self.sender.is_closed()
    }
}

/// Waits for something, and lets the connection work meanwhile. What it had to say at its end is
/// what was waited for says.
async fn moving<T>(work: &mut Option<Pin<Box<Work>>>, awaited: impl Future<Output = T>) -> T {
    let mut awaited = pin!(awaited);
    poll_fn(|cx| {
        work.take_if(|work| work.as_mut().poll(cx).is_ready());
        awaited.as_mut().poll(cx)
    })
    .await
}

/// The body of a request, all of it at once.
pub(crate) struct Payload(Option<Bytes>);

impl Payload {
    pub(crate) fn none() -> Self {
        Self(None)
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

pub(crate) const MAX_HEADERS: usize = 64;
/// For the head of an answer, and for what is read at once.
pub(crate) const MAX_BUFFER: usize = 16 * 1024;
