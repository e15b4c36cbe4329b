//! The long form of the scenes that lose connections and processes: `cargo xtask soak`.
//!
//! How they are played stands in `cut_streams.rs` and `restarts.rs`.

use std::{error::Error, fmt};

use epode_interop::{Release, Rig, Transport};

use crate::{
    cut_streams::{self, Storm},
    figures::Figures,
    restarts,
    scenes::STREAMS,
    servers::Servers,
    stream_target::StreamTarget,
};

/// One storm over one server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// None is the project's own small server.
    server: Option<&'static Release>,
    transport: Transport,
    act: Act,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Cuts,
    Kills,
}

/// What is printed of a row.
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) is_perfect: bool,
}

/// The rows that have all these words in what is printed left of their figures.
pub(crate) fn rows(words: &[String]) -> Vec<Row> {
    let servers = [None].into_iter().chain(Release::ALL.map(Some));
    let streams = servers.flat_map(|server| STREAMS.map(|transport| (server, transport)));
    let all = streams.flat_map(|(server, transport)| {
        [Act::Cuts, Act::Kills].map(|act| Row { server, transport, act })
    });
    all.filter(|row| words.iter().all(|word| row.to_string().contains(word))).collect()
}

impl Row {
    /// Plays it; what went wrong is in the line.
    pub(crate) async fn play(&self, rig: &Rig, servers: &Servers, seed: u64) -> Line {
        match self.figures(rig, servers, seed).await {
            Ok(figures) => Line { text: self.line(&figures), is_perfect: figures.is_perfect() },
            Err(error) => Line { text: format!("{self} failed: {error}"), is_perfect: false },
        }
    }

    async fn figures(
        &self,
        rig: &Rig,
        servers: &Servers,
        seed: u64,
    ) -> Result<Figures, Box<dyn Error>> {
        let target = match self.server {
            Some(release) => StreamTarget::of(rig, &servers.of(release).server, self.transport),
            None => StreamTarget::testpeer(rig, self.transport).await?,
        };
        match self.act {
            Act::Cuts => cut_streams::exchange(&target, CUTS, seed).await,
            Act::Kills => {
                let folder = rig.folder().join(format!("kills-{}-{}", target.port, self.transport));
                restarts::exchange(&target, KILLS, (seed, &folder)).await
            }
        }
    }

    fn line(&self, figures: &Figures) -> String {
        let Figures { messages, blows, resumed, new, lost, doubled, disordered, .. } = figures;
        format!(
            "{self} {messages:>8} {blows:>5} {resumed:>7} {new:>4} {lost:>5} {doubled:>7} \
             {disordered:>12} {:>7.1} {}",
            figures.seconds,
            figures.trouble.join("; ")
        )
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = self.server.map_or("testpeer", |release| release.name);
        let act = match self.act {
            Act::Cuts => "cuts",
            Act::Kills => "kills",
        };
        write!(f, "{server:14} {:8} {act:5}", self.transport)
    }
}

/// What stands above the lines. Resumed and new are the logins after the first.
pub(crate) const HEADLINE: &str = "server         via      what  messages blows resumed  new  lost \
                                   doubled out of order seconds trouble";
const CUTS: Storm = Storm { messages: 10_000, blows: 1_000 };
const KILLS: Storm = Storm { messages: 10_000, blows: 400 };

#[cfg(test)]
mod tests {
    use super::{HEADLINE, rows};
    use crate::figures::Figures;

    #[test]
    fn words_choose_rows_and_columns_stand_below_their_names() {
        assert_eq!(rows(&[]).len(), 40);
        let chosen = rows(&["testpeer".to_owned(), "tcp".to_owned(), "kills".to_owned()]);
        let [row] = chosen[..] else { panic!("{chosen:?}") };
        let line = row.line(&Figures { seconds: 1.5, ..Figures::default() });
        let end = HEADLINE.find(" trouble").unwrap();
        assert_eq!(line.find("1.5").unwrap() + 3, end, "{line}");
    }
}
