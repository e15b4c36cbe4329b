//! XMPP as plain bytes over TCP (RFC 6120), outside TLS, inside, or first the one and then the other.
//! Where the streams and elements in them begin and end is for `epode_proto` to say.

use std::{
    collections::VecDeque,
    future::poll_fn,
    io, mem,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use epode_sasl::Channel;
use tokio::{
    io::{AsyncRead, AsyncWriteExt, ReadBuf},
    net::TcpStream,
};
use zeroize::Zeroizing;

use super::{
    Secured,
    byte_stream::{ByteStream, Outgoing},
    dial::Deadline,
    error::TransportError,
    peer::{Peer, Phase},
    tls::{self, EarlyHandshake, Handshake},
};

/// An open byte stream.
///
/// What is sent is kept in a buffer of ours that is wiped once it is out; what TLS and the system
/// do with it afterwards is theirs. No byte is read that is not handed over at once, so that none
/// from before TLS can count as one from inside it.
pub(super) struct Tcp {
    state: State,
    outgoing: Outgoing,
    /// What is to go out after `outgoing`.
    queue: VecDeque<Zeroizing<Vec<u8>>>,
    is_sending: bool,
    peer: Peer,
    timeout: Duration,
}

enum State {
    /// Before a handshake that may take along what is queued until it begins.
    Early(Box<EarlyHandshake<TcpStream>>),
    Plain(Box<dyn ByteStream>),
    /// Inside TLS, ours or the caller's.
    Secured(Box<dyn ByteStream>),
    Closed,
}

impl State {
    fn stream(&mut self) -> Option<&mut Box<dyn ByteStream>> {
        match self {
            Self::Plain(stream) | Self::Secured(stream) => Some(stream),
            Self::Early(_) | Self::Closed => None,
        }
    }
}

impl Tcp {
    /// A stream that leads to `peer`, protected as `channel` says.
    pub(super) fn new(
        stream: Box<dyn ByteStream>,
        channel: &Channel,
        peer: Peer,
        timeout: Duration,
    ) -> Self {
        let state =
            if channel.is_encrypted() { State::Secured(stream) } else { State::Plain(stream) };
        Self::of(state, peer, timeout)
    }

    /// One whose handshake is still to begin: what is queued before [`finish`](Self::finish) goes
    /// along, and is all that may be done before.
    pub(super) fn early(
        handshake: Box<EarlyHandshake<TcpStream>>,
        peer: Peer,
        timeout: Duration,
    ) -> Self {
        Self::of(State::Early(handshake), peer, timeout)
    }

    fn of(state: State, peer: Peer, timeout: Duration) -> Self {
        Self {
            state,
            outgoing: Outgoing::default(),
            queue: VecDeque::new(),
            is_sending: false,
            peer,
            timeout,
        }
    }

    /// Changes to TLS. When this fails or is dropped, the stream is closed: there is no way back.
    pub(super) async fn secure(
        &mut self,
        handshake: Handshake,
        deadline: Deadline,
    ) -> Result<Channel, TransportError> {
        if !matches!(self.state, State::Plain(_)) {
            return Err(TransportError::NotPlain { peer: self.peer.clone() });
        }
        let peer = self.peer.clone();
        deadline.bound(Phase::Send, &peer, self.send_queued()).await?;
        let State::Plain(stream) = mem::replace(&mut self.state, State::Closed) else {
            return Err(TransportError::Closed { peer });
        };
        let (stream, channel) = handshake.run(stream, &peer, deadline).await?;
        self.state = State::Secured(Box::new(stream));
        Ok(channel)
    }

    /// Does the handshake, and takes along what is queued; says whether the server has that. Where it
    /// does not, it is forgotten. When this fails or is dropped, the stream is closed.
    pub(super) async fn finish(&mut self, deadline: Deadline) -> Result<Secured, TransportError> {
        let peer = self.peer.clone();
        let State::Early(handshake) = mem::replace(&mut self.state, State::Closed) else {
            return Err(TransportError::Closed { peer });
        };
        let length = self.queue.iter().map(|bytes| bytes.len()).sum();
        let mut early = Zeroizing::new(Vec::with_capacity(length));
        self.queue.drain(..).for_each(|bytes| early.extend_from_slice(&bytes));
        self.is_sending = false;
        let (stream, channel, is_early) = handshake.finish(&early, &peer, deadline).await?;
        self.state = State::Secured(Box::new(stream));
        Ok(Secured { channel, is_early })
    }

    /// Whether its handshake is still to begin.
    pub(super) fn is_early(&self) -> bool {
        matches!(self.state, State::Early(_))
    }

    /// Queues bytes; [`send_queued`](Self::send_queued) sends them as they are.
    pub(super) fn queue(&mut self, bytes: &[u8]) -> Result<(), TransportError> {
        if matches!(self.state, State::Closed) {
            return Err(TransportError::Closed { peer: self.peer.clone() });
        }
        self.queue.push_back(Zeroizing::new(bytes.to_vec()));
        self.is_sending = true;
        Ok(())
    }

    /// True while something that was queued is not out.
    pub(super) fn is_sending(&self) -> bool {
        self.is_sending
    }

    /// How many bytes have gone out.
    pub(super) fn sent(&self) -> u64 {
        self.outgoing.total()
    }

    /// Sends all that was queued. May be dropped and called again: nothing goes out twice or in
    /// another order.
    pub(super) async fn send_queued(&mut self) -> Result<(), TransportError> {
        let Some(stream) = self.state.stream() else {
            return Err(TransportError::Closed { peer: self.peer.clone() });
        };
        loop {
            let flushed = flush(&mut self.outgoing, stream).await;
            flushed.map_err(|error| tls::broken(&self.peer, Phase::Send, &error))?;
            match self.queue.pop_front() {
                Some(bytes) => self.outgoing.queue(bytes),
                None => {
                    self.is_sending = false;
                    return Ok(());
                }
            }
        }
    }

    /// Sends bytes, in the time that the options allow.
    #[cfg(test)]
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), TransportError> {
        self.queue(bytes)?;
        let (peer, deadline) = (self.peer.clone(), Deadline::after(self.timeout));
        deadline.bound(Phase::Send, &peer, self.send_queued()).await
    }

    /// Waits for bytes, and gives those that are there, at most 8 KiB; `None` once the peer has
    /// ended the stream, inside TLS by saying so.
    ///
    /// May be dropped and called again; no byte is lost. After an error or the end there is
    /// nothing more to receive.
    pub(super) async fn receive(&mut self) -> Result<Option<Vec<u8>>, TransportError> {
        let Some(stream) = self.state.stream() else { return Ok(None) };
        match poll_fn(|cx| poll_read(stream, cx)).await {
            Ok(bytes) => Ok(Some(bytes).filter(|bytes| !bytes.is_empty())),
            Err(error) => {
                self.state = State::Closed;
                Err(tls::broken(&self.peer, Phase::Receive, &error))
            }
        }
    }

    /// Sends what was queued and ends the stream, inside TLS by saying so first. What still
    /// arrives is dropped.
    pub(super) async fn close(&mut self) -> Result<(), TransportError> {
        let peer = self.peer.clone();
        let deadline = Deadline::after(self.timeout.min(CLOSE_WAIT));
        let closing = async {
            // Whoever closes first finds the other end gone; that is no failure.
            if self.send_queued().await.is_ok()
                && let Some(stream) = self.state.stream()
            {
                let _ = stream.shutdown().await;
            }
            Ok(())
        };
        let closed = deadline.bound(Phase::Close, &peer, closing).await;
        self.state = State::Closed;
        closed
    }
}

/// The buffer is there for the moment of reading: a connection that waits needs none.
fn poll_read(stream: &mut Box<dyn ByteStream>, cx: &mut Context<'_>) -> Poll<io::Result<Vec<u8>>> {
    let mut bytes = [0; MAX_READ];
    let mut buffer = ReadBuf::new(&mut bytes);
    ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
    Poll::Ready(Ok(buffer.filled().to_vec()))
}

async fn flush(outgoing: &mut Outgoing, stream: &mut Box<dyn ByteStream>) -> io::Result<()> {
    poll_fn(|cx| outgoing.poll_write(stream, cx)).await?;
    stream.flush().await
}

/// How many bytes are read at once, at most.
const MAX_READ: usize = 8 * 1024;

/// How long closing may take, unless the time-out is shorter.
const CLOSE_WAIT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, DuplexStream, duplex},
        time::timeout,
    };

    use super::*;

    fn peer() -> Peer {
        Peer::server("example.org".to_owned(), 5222)
    }

    fn pair() -> (Tcp, DuplexStream) {
        let (ours, theirs) = duplex(4096);
        let timeout = Duration::from_secs(30);
        (Tcp::new(Box::new(ours), &Channel::plaintext(), peer(), timeout), theirs)
    }

    #[tokio::test]
    async fn bytes_go_both_ways_as_they_are() {
        let (mut client, mut server) = pair();
        client.send(b"<?xml version='1.0'?>").await.unwrap();
        client.send(b"<a>\0\xff").await.unwrap();
        let mut heard = [0; 21 + 5];
        server.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"<?xml version='1.0'?><a>\0\xff");
        server.write_all(b"<stream").await.unwrap();
        assert_eq!(client.receive().await, Ok(Some(b"<stream".to_vec())));
    }

    #[tokio::test]
    async fn only_so_much_is_received_at_once() {
        let (ours, mut theirs) = duplex(64 * 1024);
        let timeout = Duration::from_secs(30);
        let mut client = Tcp::new(Box::new(ours), &Channel::plaintext(), peer(), timeout);
        let sent: Vec<u8> = (0..20_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        theirs.write_all(&sent).await.unwrap();
        let mut received = Vec::new();
        for length in [MAX_READ, MAX_READ, 20_000 - 2 * MAX_READ] {
            let bytes = client.receive().await.unwrap().unwrap();
            assert_eq!(bytes.len(), length);
            received.extend(bytes);
        }
        assert_eq!(received, sent);
    }

    #[tokio::test]
    async fn receiving_may_be_given_up_without_loss() {
        let (mut client, mut server) = pair();
        for byte in b"<a/>" {
            timeout(Duration::ZERO, client.receive()).await.unwrap_err();
            server.write_all(&[*byte]).await.unwrap();
            assert_eq!(client.receive().await, Ok(Some(vec![*byte])));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_given_up_half_way_goes_out_whole_and_in_order() {
        let (mut client, mut server) = pair();
        let first = vec![b'1'; 10_000];
        let patience = Duration::from_secs(1);
        timeout(patience, client.send(&first)).await.unwrap_err();
        timeout(patience, client.send(b"2")).await.unwrap_err();
        let heard = async {
            let mut heard = vec![0; first.len() + 2];
            server.read_exact(&mut heard).await.unwrap();
            heard
        };
        let (sent, heard) = tokio::join!(client.send(b"3"), heard);
        assert_eq!(sent, Ok(()));
        assert!(heard == [first, b"23".to_vec()].concat());
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_does_not_read_ends_sending_and_closing() {
        let (mut client, _server) = pair();
        let timed_out = |phase| Err(TransportError::TimedOut { phase, peer: peer() });
        assert_eq!(client.send(&[b'x'; 10_000]).await, timed_out(Phase::Send));
        assert_eq!(client.close().await, timed_out(Phase::Close));
        let closed = TransportError::Closed { peer: peer() };
        assert_eq!(client.send(b"x").await, Err(closed));
    }

    #[tokio::test]
    async fn closing_ends_the_stream_after_what_was_sent() {
        let (mut client, mut server) = pair();
        client.send(b"</stream:stream>").await.unwrap();
        assert_eq!(client.close().await, Ok(()));
        let mut heard = Vec::new();
        server.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"</stream:stream>");
        assert_eq!(client.receive().await, Ok(None));
        assert_eq!(client.close().await, Ok(()));
    }

    #[tokio::test]
    async fn a_server_that_closes_is_heard_to_the_end() {
        let (mut client, mut server) = pair();
        server.write_all(b"</stream:stream>").await.unwrap();
        drop(server);
        assert_eq!(client.receive().await, Ok(Some(b"</stream:stream>".to_vec())));
        assert_eq!(client.receive().await, Ok(None));
        assert_eq!(client.receive().await, Ok(None));
        let lost = client.send(b"<a/>").await.unwrap_err();
        assert!(matches!(lost, TransportError::Lost { phase: Phase::Send, .. }), "{lost}");
        assert_eq!(client.close().await, Ok(()));
    }
}

#[cfg(all(test, any(feature = "ring", feature = "aws-lc-rs")))]
mod tls_tests {
    use std::sync::Arc;

    use epode_sasl::BindingType;
    use rustls::DEFAULT_VERSIONS;
    use tokio::io::{AsyncReadExt, DuplexStream, duplex};
    use tokio_rustls::server::TlsStream;

    use super::{
        super::{
            certificates::{Authority, Seen, accept},
            peer::CertificateProblem,
            tls::Inside,
            tls_options::TlsOptions,
        },
        *,
    };

    const NOW: (i32, i32) = (2020, 2100);
    const DOMAIN: &str = "example.org";

    fn peer() -> Peer {
        Peer::server("xmpp.example.net".to_owned(), 5222)
    }

    fn deadline() -> Deadline {
        Deadline::after(Duration::from_secs(30))
    }

    fn over(stream: DuplexStream) -> Tcp {
        let timeout = Duration::from_secs(30);
        Tcp::new(Box::new(stream), &Channel::plaintext(), peer(), timeout)
    }

    fn starttls(authority: &Authority) -> Handshake {
        let options = TlsOptions::new().with_ca_pem(authority.pem().as_bytes()).unwrap();
        Handshake::new(&options, DOMAIN, Inside::Starttls).unwrap()
    }

    /// A client that asks for TLS, and a server that agrees and shows a certificate for `host`.
    async fn upgrade(
        host: &str,
    ) -> (Tcp, Result<Channel, TransportError>, Option<(TlsStream<DuplexStream>, Seen)>) {
        let (ours, mut theirs) = duplex(64 * 1024);
        let authority = Authority::new();
        let server = authority.issue(host, NOW).server(None, DEFAULT_VERSIONS);
        let mut client = over(ours);
        let upgraded = async {
            client.send(b"<starttls/>").await.unwrap();
            assert_eq!(client.receive().await, Ok(Some(b"<proceed/>".to_vec())));
            client.secure(starttls(&authority), deadline()).await
        };
        let served = async {
            let mut asked = [0; 11];
            theirs.read_exact(&mut asked).await.unwrap();
            assert_eq!(&asked, b"<starttls/>");
            theirs.write_all(b"<proceed/>").await.unwrap();
            accept(server, theirs).await
        };
        let (upgraded, served) = tokio::join!(upgraded, served);
        (client, upgraded, served)
    }

    #[tokio::test]
    async fn starttls_changes_the_connection_in_place() {
        let (mut client, channel, served) = upgrade(DOMAIN).await;
        let (mut server, seen) = served.unwrap();
        assert_eq!(seen.name.as_deref(), Some(DOMAIN));
        assert!(seen.offered.is_empty());
        let channel = channel.unwrap();
        assert!(channel.is_encrypted());
        let exporter = &channel.bindings()[0];
        assert_eq!(exporter.kind(), BindingType::TlsExporter);
        assert_eq!(exporter.data(), seen.exported);

        client.send(b"<stream>").await.unwrap();
        let mut heard = [0; 8];
        server.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"<stream>");
        server.write_all(&[b'x'; 20_000]).await.unwrap();
        server.flush().await.unwrap();
        let mut received = 0;
        while received < 20_000 {
            let bytes = client.receive().await.unwrap().unwrap();
            assert!(bytes.len() <= MAX_READ);
            received += bytes.len();
        }
        timeout_now(client.receive()).await;
    }

    /// Nothing is there, and nothing is lost by having asked.
    async fn timeout_now<T: std::fmt::Debug>(receiving: impl Future<Output = T>) {
        tokio::time::timeout(Duration::ZERO, receiving).await.unwrap_err();
    }

    #[tokio::test]
    async fn a_failed_handshake_closes_the_connection() {
        let (mut client, channel, served) = upgrade("xmpp.example.net").await;
        assert!(served.is_none());
        let problem = CertificateProblem::WrongName {
            expected: DOMAIN.to_owned(),
            presented: vec!["xmpp.example.net".to_owned()],
        };
        assert_eq!(channel, Err(TransportError::Certificate { peer: peer(), problem }));
        let closed = TransportError::Closed { peer: peer() };
        assert_eq!(client.send(b"<auth>secret</auth>").await, Err(closed));
        assert_eq!(client.receive().await, Ok(None));
    }

    #[tokio::test]
    async fn plain_text_before_the_handshake_is_no_tls() {
        // Put into the stream behind <proceed/>, by the server or by whoever stands between.
        let authority = Authority::new();
        let (ours, mut theirs) = duplex(64 * 1024);
        let mut client = over(ours);
        theirs.write_all(b"<proceed/>").await.unwrap();
        assert_eq!(client.receive().await, Ok(Some(b"<proceed/>".to_vec())));
        theirs.write_all(b"<stream:features><mechanisms>PLAIN").await.unwrap();
        let secured = client.secure(starttls(&authority), deadline()).await;
        assert_eq!(secured, Err(TransportError::NotTls { peer: peer() }));
        assert_eq!(client.receive().await, Ok(None));
    }

    #[tokio::test]
    async fn what_comes_with_the_agreement_is_handed_over_with_it() {
        let (ours, mut theirs) = duplex(64 * 1024);
        let mut client = over(ours);
        theirs.write_all(b"<proceed/><iq/>").await.unwrap();
        assert_eq!(client.receive().await, Ok(Some(b"<proceed/><iq/>".to_vec())));
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_given_up_closes_the_connection() {
        let authority = Authority::new();
        let (ours, _theirs) = duplex(64 * 1024);
        let mut client = over(ours);
        let upgrading = client.secure(starttls(&authority), deadline());
        tokio::time::timeout(Duration::from_secs(1), upgrading).await.unwrap_err();
        let closed = TransportError::Closed { peer: peer() };
        assert_eq!(client.send(b"<auth>secret</auth>").await, Err(closed));
        assert_eq!(client.receive().await, Ok(None));

        let (ours, _theirs) = duplex(64 * 1024);
        let secured = over(ours).secure(starttls(&authority), deadline()).await;
        assert_eq!(secured, Err(TransportError::TimedOut { phase: Phase::Tls, peer: peer() }));
    }

    #[tokio::test]
    async fn tls_begins_once() {
        let (mut client, channel, served) = upgrade(DOMAIN).await;
        assert!(channel.is_ok());
        let not_plain = TransportError::NotPlain { peer: peer() };
        let authority = Authority::new();
        let again = client.secure(starttls(&authority), deadline()).await;
        assert_eq!(again, Err(not_plain.clone()));
        // The connection is none the worse for it.
        client.send(b"<a/>").await.unwrap();
        let mut heard = [0; 4];
        served.unwrap().0.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"<a/>");

        let (ours, _theirs) = duplex(1024);
        let timeout = Duration::from_secs(30);
        let mut secured = Tcp::new(Box::new(ours), &Channel::encrypted(), peer(), timeout);
        let again = secured.secure(starttls(&authority), deadline()).await;
        assert_eq!(again, Err(not_plain));
    }

    #[tokio::test]
    async fn closing_says_so_inside_tls() {
        let (mut client, _, served) = upgrade(DOMAIN).await;
        let (mut server, _) = served.unwrap();
        client.send(b"</stream:stream>").await.unwrap();
        assert_eq!(client.close().await, Ok(()));
        let mut heard = Vec::new();
        // Without the client's word this would be an error: cut off.
        server.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"</stream:stream>");
    }

    #[tokio::test]
    async fn a_server_ends_tls_in_good_order_or_not() {
        let (mut client, _, served) = upgrade(DOMAIN).await;
        let (mut server, _) = served.unwrap();
        server.write_all(b"<a/>").await.unwrap();
        server.shutdown().await.unwrap();
        assert_eq!(client.receive().await, Ok(Some(b"<a/>".to_vec())));
        assert_eq!(client.receive().await, Ok(None));
        assert_eq!(client.close().await, Ok(()));

        let (mut client, _, served) = upgrade(DOMAIN).await;
        let (server, _) = served.unwrap();
        drop(server);
        let dropped = TransportError::Dropped { peer: peer(), phase: Phase::Receive };
        assert_eq!(client.receive().await, Err(dropped));
        assert_eq!(client.receive().await, Ok(None));
        assert_eq!(client.close().await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn closing_inside_tls_does_not_wait_for_ever() {
        let (ours, theirs) = duplex(2048);
        let authority = Authority::new();
        let server = authority.issue(DOMAIN, NOW).server(None, DEFAULT_VERSIONS);
        let mut client = over(ours);
        let upgraded = client.secure(starttls(&authority), deadline());
        let (upgraded, _served) = tokio::join!(upgraded, accept(Arc::clone(&server), theirs));
        upgraded.unwrap();
        let timed_out = |phase| Err(TransportError::TimedOut { phase, peer: peer() });
        assert_eq!(client.send(&[b'x'; 100_000]).await, timed_out(Phase::Send));
        assert_eq!(client.close().await, timed_out(Phase::Close));
    }
}
