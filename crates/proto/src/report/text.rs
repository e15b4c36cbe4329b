//! A report for people.

use std::fmt;

use epode_sasl::{BindingType, MechanismName, NoMechanism, PassedOver};

use super::{LoginReport, Outcome};
use crate::{Authenticating, Explanation};

/// What was thought of one mechanism. `Display` writes it as a row below
/// [`HEADINGS`](Self::HEADINGS).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// Its name, as the server wrote it.
    pub mechanism: String,
    /// Whether the server offers it.
    pub offered: bool,
    /// Whether it was chosen.
    pub chosen: bool,
    /// Why, in words.
    pub reason: String,
}

impl Verdict {
    /// What stands above the rows.
    pub const HEADINGS: &'static str = "MECHANISM             OFFERED  VERDICT";
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offered = if self.offered { "yes" } else { "no" };
        write!(f, "{:<20}  {offered:<7}  {}", self.mechanism, self.reason)
    }
}

impl Explanation {
    /// What was thought of each mechanism: the chosen one first, then what the server offers, in
    /// its order, then what this program knows besides.
    #[must_use]
    pub fn verdicts(&self) -> Vec<Verdict> {
        let chosen = self.choice.as_ref().ok().map(|choice| Verdict {
            mechanism: choice.mechanism.to_string(),
            offered: true,
            chosen: true,
            reason: format!(
                "chosen: of those usable it has the highest priority, {}",
                choice.priority
            ),
        });
        let passed = passed_over(&self.choice).iter().map(|passed| Verdict {
            mechanism: passed.mechanism.to_string(),
            offered: passed.offered,
            chosen: false,
            reason: passed.reason.to_string(),
        });
        let is_name = |text: &str| text.parse::<MechanismName>().is_ok();
        let nameless = self.considered().iter().filter(|name| !is_name(name));
        let nameless = nameless.map(|name| Verdict {
            mechanism: name.clone(),
            offered: true,
            chosen: false,
            reason: "not the name of a mechanism".to_owned(),
        });
        chosen.into_iter().chain(passed).chain(nameless).collect()
    }

    /// The mechanisms that the choice was made of: those of the profile that would be used.
    fn considered(&self) -> &[String] {
        match (&self.choice, &self.sasl2) {
            (Ok(Authenticating { profile: crate::Profile::Sasl2, .. }), Some(sasl2)) => {
                &sasl2.mechanisms
            }
            _ => &self.offered,
        }
    }

    /// How the connection is encrypted, in one line, and what a login would be bound to, in
    /// another.
    #[must_use]
    pub fn channel_lines(&self) -> [String; 2] {
        let chosen = self.choice.as_ref().ok().and_then(|choice| choice.binding);
        let listed = match &self.offered_bindings {
            None => "the server lists none".to_owned(),
            Some(types) if types.is_empty() => "the server's list is empty".to_owned(),
            Some(types) => format!("the server lists {}", types.join(", ")),
        };
        [
            format!("encryption: {}", self.encryption.name()),
            format!("channel binding: {}; {listed}", binding(chosen)),
        ]
    }
}

fn passed_over(choice: &Result<Authenticating, NoMechanism>) -> &[PassedOver] {
    match choice {
        Ok(choice) => &choice.passed_over,
        Err(none) => &none.passed_over,
    }
}

fn binding(kind: Option<BindingType>) -> &'static str {
    kind.map_or("none", BindingType::name)
}

/// Each line is of one thing, and begins with what it is. What the server wrote is shown as it is:
/// whoever prints it to a terminal is to take control characters out.
impl fmt::Display for LoginReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(explanation) = &self.explanation {
            for line in explanation.channel_lines() {
                writeln!(f, "{line}")?;
            }
            writeln!(f, "{}", Verdict::HEADINGS)?;
            for verdict in explanation.verdicts() {
                writeln!(f, "{verdict}")?;
            }
        }
        self.write_course(f)
    }
}

impl LoginReport {
    /// What was done, how long it took, and what came of it.
    fn write_course(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for attempt in &self.attempts {
            let (mechanism, profile) = (&attempt.mechanism, attempt.profile);
            let early = if attempt.early_data { " in early data" } else { "" };
            let bound = binding(attempt.binding);
            writeln!(f, "tried: {mechanism} by {profile}{early}, bound to {bound}")?;
        }
        for pair in self.stages.windows(2) {
            let took = pair[1].at.saturating_sub(pair[0].at).as_secs_f64() * 1000.0;
            writeln!(f, "waited: {took:.3} ms for {}", pair[0].phase.wait())?;
        }
        for check in self.checks() {
            writeln!(f, "checked: {check}")?;
        }
        match &self.outcome {
            Outcome::Closed => {}
            Outcome::Connected(connected) => {
                let (jid, flights) = (&connected.jid, connected.flights);
                writeln!(f, "result: connected as {jid} in {flights} flights")?;
            }
            Outcome::Failed(error) => writeln!(f, "result: {}: {error}", error.condition())?,
        }
        for finding in self.findings() {
            writeln!(f, "note: {finding}")?;
        }
        Ok(())
    }
}
