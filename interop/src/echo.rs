//! What an echoed message costs with a real server, beside the project's own: `cargo xtask echo`.
//!
//! What the transports cost among themselves is a bench of the client's,
//! `crates/client/benches/echo.rs`.

use std::{
    error::Error,
    fmt,
    time::{Duration, Instant},
};

use epode::{Element, Session};
use epode_interop::{Release, Rig, Transport};
use rustix::time::{ClockId, clock_gettime};
use tokio::{runtime, task::spawn_blocking, time::timeout};

use crate::{
    cut_streams::message,
    servers::Servers,
    stream_target::{StreamTarget, client},
};

/// The transports over which it is measured and whose names have all of these words.
pub(crate) fn transports(words: &[String]) -> Vec<Transport> {
    let all = [Transport::Tcp, Transport::Starttls, Transport::Ws, Transport::Wss];
    let mut chosen = all.to_vec();
    chosen.retain(|transport| words.iter().all(|word| transport.to_string().contains(word)));
    chosen
}

/// What it costs over one transport.
pub(crate) struct Comparison {
    transport: Transport,
    /// One at a time, and in bursts: with the small server, and with the real one.
    costs: [[Cost; 2]; 2],
}

impl Comparison {
    /// Sends messages through both servers by turns. The client has a thread for itself, so that the
    /// CPU time of that thread is the client's alone.
    ///
    /// # Errors
    /// When a login fails, or a message does not come back.
    pub(crate) async fn make(
        rig: &Rig,
        servers: &Servers,
        transport: Transport,
    ) -> Result<Self, Box<dyn Error>> {
        let small = StreamTarget::testpeer(rig, transport).await?;
        let real = StreamTarget::of(rig, &servers.of(REAL).server, transport);
        let accounts = [&small, &real].map(|target| target.arguments("alice"));
        let costs = spawn_blocking(move || measure(&accounts).map_err(|error| error.to_string()));
        Ok(Self { transport, costs: costs.await?? })
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((name, _), [small, real]) in MODES.iter().zip(&self.costs) {
            let via = self.transport;
            for (server, cost) in [("testpeer", small), (REAL.name, real)] {
                let (rate, cpu) = (cost.rate(), cost.cpu_each());
                writeln!(f, "{server:14} {via:8} {name:15} {rate:>10.0} {cpu:>11.1}")?;
            }
            let (rate, cpu) = (real.rate() / small.rate(), real.cpu_each() / small.cpu_each());
            writeln!(f, "{:14} {:8} {:15} {rate:>9.2}× {cpu:>10.2}×", "  ratio", "", "")?;
        }
        Ok(())
    }
}

/// What it takes to echo all messages.
#[derive(Clone, Copy, Debug)]
struct Cost {
    time: Duration,
    cpu: Duration,
}

impl Cost {
    const MAX: Self = Self { time: Duration::MAX, cpu: Duration::MAX };

    fn min(self, other: Self) -> Self {
        Self { time: self.time.min(other.time), cpu: self.cpu.min(other.cpu) }
    }

    /// Messages in a second.
    fn rate(self) -> f64 {
        MESSAGES as f64 / self.time.as_secs_f64()
    }

    /// Microseconds for one message.
    fn cpu_each(self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / MESSAGES as f64
    }
}

fn measure(accounts: &[[String; 4]; 2]) -> Result<[[Cost; 2]; 2], Box<dyn Error>> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut sessions = Vec::new();
        for account in accounts {
            sessions.push(client(account)?.connect().await?);
        }
        let mut costs = [[Cost::MAX; 2]; 2];
        for _ in 0..ROUNDS {
            for ((_, burst), costs) in MODES.iter().zip(&mut costs) {
                for (session, least) in sessions.iter_mut().zip(costs) {
                    *least = least.min(round(session, *burst).await?);
                }
            }
        }
        for session in sessions {
            session.disconnect().await?;
        }
        Ok(costs)
    })
}

async fn round(session: &mut Session, burst: usize) -> Result<Cost, Box<dyn Error>> {
    let (time, cpu) = (Instant::now(), cpu_time()?);
    timeout(ROUND_WITHIN, echo(session, burst)).await??;
    Ok(Cost { time: time.elapsed(), cpu: cpu_time()? - cpu })
}

/// The client sends itself all messages, so many before it listens.
async fn echo(session: &mut Session, burst: usize) -> Result<(), Box<dyn Error>> {
    let message = message(session.jid().as_ref(), 1);
    for _ in 0..MESSAGES / burst {
        for _ in 0..burst {
            session.send(message.clone()).await?;
        }
        for _ in 0..burst {
            let stanza = session.receive().await.ok_or("the session has ended")?;
            if !is_echo(&stanza) {
                return Err(format!("no message of ours: {stanza}").into());
            }
        }
    }
    Ok(())
}

fn is_echo(stanza: &Element) -> bool {
    stanza.name() == "message" && stanza.attr("type") == Some("chat")
}

/// Of this thread.
fn cpu_time() -> Result<Duration, Box<dyn Error>> {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Ok(Duration::new(now.tv_sec.try_into()?, now.tv_nsec.try_into()?))
}

/// What stands above the lines: the least of all rounds.
pub(crate) const HEADLINE: &str = "server         via      messages        messages/s CPU µs each";
const REAL: &Release = &Release::PROSODY_13;
/// How many messages are under way.
const MODES: [(&str, usize); 2] = [("one at a time", 1), ("in bursts of 50", 50)];
const MESSAGES: usize = 1_000;
const ROUNDS: usize = 7;
const ROUND_WITHIN: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_choose_transports() {
        assert_eq!(transports(&[]).len(), 4);
        assert_eq!(transports(&["starttls".to_owned()]), [Transport::Starttls]);
        assert!(transports(&["bosh".to_owned()]).is_empty());
    }

    #[test]
    fn columns_stand_below_their_names_and_ratios_are_of_the_small_server() {
        let cost =
            |millis| Cost { time: Duration::from_millis(millis), cpu: millis_of_cpu(millis) };
        let costs = [[cost(10), cost(20)], [cost(5), cost(5)]];
        let table = Comparison { transport: Transport::Ws, costs }.to_string();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 6);
        assert_eq!(
            lines[0].split_whitespace().collect::<Vec<_>>(),
            ["testpeer", "ws", "one", "at", "a", "time", "100000", "2.5"]
        );
        assert_eq!(lines[2].split_whitespace().collect::<Vec<_>>(), ["ratio", "0.50×", "2.00×"]);
        assert_eq!(lines[5].split_whitespace().collect::<Vec<_>>(), ["ratio", "1.00×", "1.00×"]);
        for line in lines {
            assert_eq!(line.chars().count(), HEADLINE.chars().count(), "{line}");
        }
    }

    fn millis_of_cpu(millis: u64) -> Duration {
        Duration::from_millis(millis) / 4
    }
}
