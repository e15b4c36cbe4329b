//! A wire between a client and a server that sees records of TLS, and decides which of them arrive.
//! What is inside them it cannot see.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// What becomes of what a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It arrives.
    Pass,
    /// What comes up to the early data does not arrive, and nothing does after it.
    Withhold,
    /// What comes before the server has spoken arrives, and the rest once that has changed.
    HoldBack,
    /// The next connection is cut when the server has spoken, and all others pass.
    CutOnce,
}

/// A port that leads to another one.
pub(crate) struct Wire {
    address: SocketAddr,
    mode: Arc<watch::Sender<Mode>>,
    /// Of each connection, what the client said before the server did.
    flights: watch::Receiver<Vec<Vec<u8>>>,
    cuts: watch::Sender<u32>,
}

impl Wire {
    pub(crate) async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((target.ip(), 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mode = Arc::new(watch::Sender::new(Mode::Pass));
        let (recorder, flights) = watch::channel(Vec::new());
        let recorder = Arc::new(recorder);
        let (cuts, cut) = watch::channel(0);
        let modes = Arc::clone(&mode);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(target).await.unwrap();
                let connection =
                    Connection { modes: Arc::clone(&modes), recorder: Arc::clone(&recorder) };
                let mut cut = cut.clone();
                cut.mark_unchanged();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = connection.carry(near, far) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Self { address, mode, flights, cuts }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Cuts all connections.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// What the client said first on the last connection.
    pub(crate) fn last(&self) -> Vec<u8> {
        self.flights.borrow().last().cloned().unwrap_or_default()
    }

    /// The same on the one before.
    pub(crate) fn before_last(&self) -> Vec<u8> {
        self.flights.borrow().iter().nth_back(1).cloned().unwrap_or_default()
    }

    /// Waits for the next first flight, and gives it.
    pub(crate) async fn withheld(&self) -> Vec<u8> {
        let mut flights = self.flights.clone();
        flights.mark_unchanged();
        flights.changed().await.unwrap();
        flights.borrow().last().cloned().unwrap_or_default()
    }
}

struct Connection {
    modes: Arc<watch::Sender<Mode>>,
    recorder: Arc<watch::Sender<Vec<Vec<u8>>>>,
}

impl Connection {
    /// To its end, or until nobody is there any more.
    async fn carry(self, mut near: TcpStream, mut far: TcpStream) -> std::io::Result<()> {
        let (mut first, mut heard, mut said) = (Vec::new(), [0; 16 * 1024], [0; 16 * 1024]);
        let withholds = *self.modes.borrow() == Mode::Withhold;
        let spoken = loop {
            tokio::select! {
                length = near.read(&mut heard) => {
                    let length = length?;
                    first.extend_from_slice(&heard[..length]);
                    if length == 0 {
                        return Ok(());
                    } else if !withholds {
                        far.write_all(&heard[..length]).await?;
                    } else if has_early_data(&first) {
                        self.record(first);
                        while near.read(&mut heard).await? > 0 {}
                        return Ok(());
                    }
                }
                length = far.read(&mut said) => break length?,
            }
        };
        self.record(first);
        let cuts = |mode: &mut Mode| {
            let cuts = *mode == Mode::CutOnce;
            if cuts {
                *mode = Mode::Pass;
            }
            cuts
        };
        if self.modes.send_if_modified(cuts) {
            return Ok(());
        }
        near.write_all(&said[..spoken]).await?;
        let (mut from_client, mut to_client) = near.split();
        let (mut from_server, mut to_server) = far.split();
        let up = async {
            let _ = self.modes.subscribe().wait_for(|mode| *mode != Mode::HoldBack).await;
            copy(&mut from_client, &mut to_server).await?;
            to_server.shutdown().await
        };
        let down = async {
            copy(&mut from_server, &mut to_client).await?;
            to_client.shutdown().await
        };
        tokio::try_join!(up, down).map(drop)
    }

    fn record(&self, flight: Vec<u8>) {
        self.recorder.send_modify(|flights| flights.push(flight));
    }
}

/// Whether there is early data among these records: application data, before the server has said
/// anything (RFC 8446, section 5.1).
pub(crate) fn has_early_data(mut records: &[u8]) -> bool {
    const APPLICATION_DATA: u8 = 23;
    while let [kind, _, _, high, low, rest @ ..] = records {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if rest.len() < length {
            return false;
        }
        if *kind == APPLICATION_DATA {
            return true;
        }
        records = &rest[length..];
    }
    false
}
