//! `explain`: how the server is reached, what it offers, what a login would use, and why not the
//! rest.

use epode::{Explanation, LoginReport, Report, proto::report::Verdict};

use crate::{
    args::ExplainArgs,
    client,
    exit::{Exit, Failure},
    interrupt::unless_interrupted,
    output::{Colour, Output, printable},
    report_lines::ReportObject,
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
    let output = Output::new(args.client.connection.json);
    let bare = args.jid.bare().to_string();
    if output.is_json() {
        let offer = LoginReport::of(report.explanation.clone());
        output.object(&ReportObject::of(&bare, Some(&report.route), &offer))?;
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
    for line in explanation.channel_lines() {
        output.line(&printable(&line))?;
    }
    output.line("")?;
    output.line(&format!("{domain} offers {}.", count(explanation)))?;
    output.line(&match &explanation.choice {
        Ok(choice) => format!("{jid} would log in by {}.", choice.mechanism),
        Err(_) => format!("{jid} could not log in: none of them is usable."),
    })?;
    if let Some(weaker) = &explanation.weaker {
        let line = format!("It would be refused: {}", printable(&weaker.to_string()));
        output.line(&output.paint(Colour::Yellow, &line))?;
    }
    output.line("")?;
    output.line(&output.paint(Colour::Grey, Verdict::HEADINGS))?;
    for verdict in explanation.verdicts() {
        let row = printable(&verdict.to_string()).into_owned();
        output.line(&if verdict.chosen { output.paint(Colour::Green, &row) } else { row })?;
    }
    for finding in LoginReport::of(explanation.clone()).findings() {
        output.line(&output.paint(Colour::Grey, &format!("note: {finding}")))?;
    }
    Ok(())
}

/// How many mechanisms, and by which profile where both are offered.
fn count(explanation: &Explanation) -> String {
    let mechanisms = |count: usize| match count {
        1 => "1 mechanism".to_owned(),
        count => format!("{count} mechanisms"),
    };
    let sasl1 = mechanisms(explanation.offered.len());
    match &explanation.sasl2 {
        Some(sasl2) => format!("{} by SASL2, {sasl1} by SASL", mechanisms(sasl2.mechanisms.len())),
        None => sasl1,
    }
}
