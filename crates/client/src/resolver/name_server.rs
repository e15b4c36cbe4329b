//! A name server for tests, on a loopback port: it answers what it was told to, over UDP and TCP.
//! It writes its messages by itself (RFC 1035, section 4), so that no library judges its own.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinSet,
};

use super::SrvRecord;

/// What is said when a name is asked for. A name without a reply does not exist.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Srv(Vec<SrvRecord>),
    Addresses(Vec<IpAddr>),
    /// A response code without records: 0 none, 2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED.
    Code(u8),
    /// Nothing at all.
    Silence,
    /// The right first bytes, then no message.
    Garbage,
}

impl Reply {
    pub(crate) fn srv(records: &[SrvRecord]) -> Self {
        Self::Srv(records.to_vec())
    }

    pub(crate) fn addresses(addresses: &[IpAddr]) -> Self {
        Self::Addresses(addresses.to_vec())
    }
}

pub(crate) fn srv(priority: u16, weight: u16, port: u16, target: &str) -> SrvRecord {
    SrvRecord::new(priority, weight, port, target)
}

/// A server that runs until it is dropped.
pub(crate) struct NameServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

struct Shared {
    replies: HashMap<String, Reply>,
    by_udp: AtomicUsize,
    by_tcp: AtomicUsize,
}

impl NameServer {
    pub(crate) async fn start(replies: &[(&str, Reply)]) -> Self {
        let (udp, tcp) = sockets().await;
        let address = udp.local_addr().unwrap();
        let replies =
            replies.iter().map(|(name, reply)| ((*name).to_owned(), reply.clone())).collect();
        let (by_udp, by_tcp) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let shared = Arc::new(Shared { replies, by_udp, by_tcp });
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_udp(udp, Arc::clone(&shared)));
        tasks.spawn(serve_tcp(tcp, Arc::clone(&shared)));
        Self { address, shared, _tasks: tasks }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many questions came, by whichever way.
    pub(crate) fn asked(&self) -> usize {
        self.shared.by_udp.load(Ordering::SeqCst) + self.asked_by_tcp()
    }

    pub(crate) fn asked_by_tcp(&self) -> usize {
        self.shared.by_tcp.load(Ordering::SeqCst)
    }
}

/// Two sockets on the same free port.
async fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
    panic!("no port is free for both UDP and TCP");
}

async fn serve_udp(socket: UdpSocket, shared: Arc<Shared>) {
    let mut query = [0; 4096];
    while let Ok((length, client)) = socket.recv_from(&mut query).await {
        shared.by_udp.fetch_add(1, Ordering::SeqCst);
        let Some(answer) = shared.answer(&query[..length]) else { continue };
        // More than that does not fit, or would be cut into pieces on its way.
        let answer = if answer.len() > MAX_UDP { truncated(&query[..length]) } else { answer };
        let _ = socket.send_to(&answer, client).await;
    }
}

async fn serve_tcp(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        while serve_one(&mut stream, &shared).await.is_ok() {}
    }
}

async fn serve_one(stream: &mut TcpStream, shared: &Shared) -> io::Result<()> {
    let length = stream.read_u16().await?;
    let mut query = vec![0; length.into()];
    stream.read_exact(&mut query).await?;
    shared.by_tcp.fetch_add(1, Ordering::SeqCst);
    if let Some(answer) = shared.answer(&query) {
        stream.write_u16(u16::try_from(answer.len()).unwrap()).await?;
        stream.write_all(&answer).await?;
    }
    Ok(())
}

impl Shared {
    fn answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let question = Question::read(query);
        let reply = self.replies.get(&question.name).unwrap_or(&Reply::Code(NXDOMAIN));
        let records: Vec<Vec<u8>> = match reply {
            Reply::Silence => return None,
            Reply::Garbage => return Some([&query[..4], &[0xff; 40]].concat()),
            Reply::Code(code) => return Some(message(query, *code, false, &[])),
            Reply::Srv(records) if question.kind == SRV => {
                records.iter().map(|record| resource(SRV, &srv_data(record))).collect()
            }
            Reply::Addresses(addresses) => {
                addresses.iter().filter_map(|a| address(*a, question.kind)).collect()
            }
            Reply::Srv(_) => Vec::new(),
        };
        Some(message(query, 0, false, &records))
    }
}

struct Question {
    name: String,
    kind: u16,
    end: usize,
}

impl Question {
    fn read(query: &[u8]) -> Self {
        let (mut labels, mut at) = (Vec::new(), HEADER);
        while query[at] != 0 {
            let end = at + 1 + usize::from(query[at]);
            labels.push(str::from_utf8(&query[at + 1..end]).unwrap().to_ascii_lowercase());
            at = end;
        }
        let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
        Self { name: labels.join("."), kind, end: at + 5 }
    }
}

fn truncated(query: &[u8]) -> Vec<u8> {
    message(query, 0, true, &[])
}

fn message(query: &[u8], code: u8, truncated: bool, records: &[Vec<u8>]) -> Vec<u8> {
    let question = &query[HEADER..Question::read(query).end];
    let count = u16::try_from(records.len()).unwrap().to_be_bytes();
    // An answer, as it was asked for, to one question; recursion is to be had.
    let flags = [0x81 | if truncated { 0x02 } else { 0 }, 0x80 | code];
    let counts = [&[0, 1][..], &count, &[0, 0], &[0, 0]].concat();
    [&query[..2], &flags, &counts, question, &records.concat()].concat()
}

/// A record of the name that was asked for, good for a minute.
fn resource(kind: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap().to_be_bytes();
    let to_question = [0xc0, 0x0c];
    [&to_question[..], &kind.to_be_bytes(), &[0, 1], &[0, 0, 0, 60], &length, data].concat()
}

fn srv_data(record: &SrvRecord) -> Vec<u8> {
    let mut data = Vec::new();
    for number in [record.priority, record.weight, record.port] {
        data.extend(number.to_be_bytes());
    }
    for label in record.target.split('.').filter(|label| !label.is_empty()) {
        data.push(u8::try_from(label.len()).unwrap());
        data.extend(label.as_bytes());
    }
    data.push(0);
    data
}

fn address(address: IpAddr, kind: u16) -> Option<Vec<u8>> {
    match (address, kind) {
        (IpAddr::V4(address), A) => Some(resource(A, &address.octets())),
        (IpAddr::V6(address), AAAA) => Some(resource(AAAA, &address.octets())),
        _ => None,
    }
}

const HEADER: usize = 12;
const MAX_UDP: usize = 1232;
const NXDOMAIN: u8 = 3;
const A: u16 = 1;
const AAAA: u16 = 28;
const SRV: u16 = 33;
