//! `explain`: how the server is reached, what it offers, what a login would use, and why not the
//! rest.

use epode::{
    Explanation, Report,
    sasl::{BindingType, PassedOver},
};
use serde::Serialize;

use crate::{
    args::ExplainArgs,
    client,
    exit::{Exit, Failure},
    interrupt::unless_interrupted,
    output::{Colour, Output, printable},
    secrets::{self, Source},
    status_lines::{RouteObject, Seen, encryption_name},
};

pub(crate) async fn run(args: &ExplainArgs) -> Result<Exit, Failure> {
    let builder = client::builder(&args.jid, &args.client)?;
    let given = secrets::assume(&args.jid, &args.client)?;
    let report = unless_interrupted(client::entrust(builder, given).explain()).await?;
    let report = report.map_err(|error| {
        client::failure(&error, &Seen::default(), &Source::Nothing, &args.client)
    })?;
    let output = Output::new(args.client.json);
    let bare = args.jid.bare().to_string();
    if output.is_json() {
        output.object(&Object::of(&bare, &report))?;
    } else {
        show(&bare, args.jid.domain(), &report, output)?;
    }
    let explanation = &report.explanation;
    Ok(match &explanation.choice {
        Ok(_) if explanation.weaker.is_some() => Exit::Policy,
        Ok(_) => Exit::Connected,
        Err(none) if none.is_policy() => Exit::Policy,
        Err(_) => Exit::Authentication,
    })
}

fn show(jid: &str, domain: &str, report: &Report, output: Output) -> Result<(), Failure> {
    let explanation = &report.explanation;
    for line in report.route.to_string().lines() {
        output.line(&printable(line))?;
    }
    output.line(&format!("encryption: {}", encryption_name(explanation.encryption)))?;
    output.line(&format!("channel binding: {}", binding(explanation)))?;
    output.line("")?;
    let count = explanation.offered.len();
    let mechanisms = if count == 1 { "mechanism" } else { "mechanisms" };
    output.line(&format!("{domain} offers {count} {mechanisms}."))?;
    output.line(&match &explanation.choice {
        Ok(choice) => format!("{jid} would log in by {}.", choice.mechanism),
        Err(_) => format!("{jid} could not log in: none of them is usable."),
    })?;
    if let Some(weaker) = &explanation.weaker {
        let line = format!("It would be refused: {}", printable(&weaker.to_string()));
        output.line(&output.paint(Colour::Yellow, &line))?;
    }
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

/// What a login would be bound to, and what the server says of that.
fn binding(explanation: &Explanation) -> String {
    let chosen = explanation.choice.as_ref().ok().and_then(|choice| choice.binding);
    let chosen = chosen.map_or("none", BindingType::name);
    let listed = match &explanation.offered_bindings {
        None => "the server lists none".to_owned(),
        Some(types) if types.is_empty() => "the server's list is empty".to_owned(),
        Some(types) => format!("the server lists {}", printable(&types.join(", "))),
    };
    format!("{chosen}; {listed}")
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
    route: RouteObject,
    /// As `TLS 1.3`; `none` without TLS.
    encryption: String,
    /// What a login over this connection can be bound to.
    bindings: Vec<&'static str>,
    /// What the server says that it can be bound to (XEP-0440); null if it says nothing.
    offered_bindings: Option<&'a [String]>,
    /// What is weaker than at an earlier login, which is then refused.
    weaker: Option<String>,
}

#[derive(Serialize)]
struct Chosen<'a> {
    mechanism: &'a str,
    priority: i32,
    binding: Option<&'static str>,
}

#[derive(Serialize)]
struct Passed<'a> {
    mechanism: &'a str,
    offered: bool,
    reason: String,
}

impl<'a> Object<'a> {
    fn of(jid: &'a str, report: &'a Report) -> Self {
        let explanation = &report.explanation;
        let chosen = explanation.choice.as_ref().ok().map(|choice| Chosen {
            mechanism: choice.mechanism.as_str(),
            priority: choice.priority,
            binding: choice.binding.map(BindingType::name),
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
        Self {
            jid,
            route: RouteObject::of(&report.route),
            encryption: encryption_name(explanation.encryption),
            bindings: explanation.bindings.iter().copied().map(BindingType::name).collect(),
            offered_bindings: explanation.offered_bindings.as_deref(),
            offered: &explanation.offered,
            chosen,
            weaker: explanation.weaker.as_ref().map(ToString::to_string),
            passed_over,
        }
    }
}

const NO_NAME: &str = "not the name of a mechanism";
