//! `explain`: what the server offers, what a login would use, and why not the rest.

use epode::{Explanation, sasl::PassedOver};
use serde::Serialize;

use crate::{
    args::ExplainArgs,
    client,
    exit::{Exit, Failure},
    interrupt::unless_interrupted,
    output::{Colour, Output, printable},
    secrets::{self, Source},
    status_lines::Seen,
};

pub(crate) async fn run(args: &ExplainArgs) -> Result<Exit, Failure> {
    let builder = client::builder(&args.jid, &args.client)?;
    let given = secrets::assume(&args.jid, &args.client)?;
    let report = unless_interrupted(client::entrust(builder, given).explain()).await?;
    let report = report.map_err(|error| {
        client::failure(&error, &Seen::default(), &Source::Nothing, &args.client)
    })?;
    let explanation = report.explanation;
    let output = Output::new(args.client.json);
    let bare = args.jid.bare().to_string();
    if output.is_json() {
        output.object(&Object::of(&bare, &explanation))?;
    } else {
        show(&bare, args.jid.domain(), &explanation, output)?;
    }
    Ok(match &explanation.choice {
        Ok(_) => Exit::Connected,
        Err(none) if none.is_policy() => Exit::Policy,
        Err(_) => Exit::Authentication,
    })
}

fn show(jid: &str, domain: &str, explanation: &Explanation, output: Output) -> Result<(), Failure> {
    let count = explanation.offered.len();
    let mechanisms = if count == 1 { "mechanism" } else { "mechanisms" };
    output.line(&format!("{domain} offers {count} {mechanisms}."))?;
    output.line(&match &explanation.choice {
        Ok(choice) => format!("{jid} would log in by {}.", choice.mechanism),
        Err(_) => format!("{jid} could not log in: none of them is usable."),
    })?;
    output.line("")?;
    output.line(&output.paint(Colour::Grey, &row("MECHANISM", "OFFERED", "VERDICT")))?;
    if let Ok(choice) = &explanation.choice {
        let verdict =
            format!("chosen: of those usable it has the highest priority, {}", choice.priority);
        let row = row(choice.mechanism.as_str(), "yes", &verdict);
        output.line(&output.paint(Colour::Green, &row))?;
    }
    for passed in passed_over(explanation) {
        let offered = if passed.offered { "yes" } else { "no" };
        let row = row(passed.mechanism.as_str(), offered, &passed.reason.to_string());
        output.line(&printable(&row))?;
    }
    for name in nameless(explanation) {
        output.line(&printable(&row(name, "yes", NO_NAME)))?;
    }
    Ok(())
}

fn row(mechanism: &str, offered: &str, verdict: &str) -> String {
    format!("{mechanism:<20}  {offered:<7}  {verdict}")
}

fn passed_over(explanation: &Explanation) -> &[PassedOver] {
    match &explanation.choice {
        Ok(choice) => &choice.passed_over,
        Err(none) => &none.passed_over,
    }
}

/// What the server offers that cannot be the name of a mechanism.
fn nameless(explanation: &Explanation) -> impl Iterator<Item = &str> {
    let names = explanation.offered.iter().map(String::as_str);
    names.filter(|name| name.parse::<epode::sasl::MechanismName>().is_err())
}

#[derive(Serialize)]
struct Object<'a> {
    jid: &'a str,
    offered: &'a [String],
    chosen: Option<Chosen<'a>>,
    passed_over: Vec<Passed<'a>>,
}

#[derive(Serialize)]
struct Chosen<'a> {
    mechanism: &'a str,
    priority: i32,
}

#[derive(Serialize)]
struct Passed<'a> {
    mechanism: &'a str,
    offered: bool,
    reason: String,
}

impl<'a> Object<'a> {
    fn of(jid: &'a str, explanation: &'a Explanation) -> Self {
        let chosen = explanation.choice.as_ref().ok().map(|choice| Chosen {
            mechanism: choice.mechanism.as_str(),
            priority: choice.priority,
        });
        let known = passed_over(explanation).iter().map(|passed| Passed {
            mechanism: passed.mechanism.as_str(),
            offered: passed.offered,
            reason: passed.reason.to_string(),
        });
        let nameless = nameless(explanation).map(|mechanism| Passed {
            mechanism,
            offered: true,
            reason: NO_NAME.to_owned(),
        });
        let passed_over = known.chain(nameless).collect();
        Self { jid, offered: &explanation.offered, chosen, passed_over }
    }
}

const NO_NAME: &str = "not the name of a mechanism";
