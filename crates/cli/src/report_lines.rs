//! Reports of logins, for people and for programs, and what has changed since the last one.
//! What is in a report is the library's affair.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use epode::{Builder, LoginReport, PrivateFile, Route, proto::report::differences};
use serde::Serialize;

use crate::{
    exit::Failure,
    output::{Colour, Output, printable},
    secret_file::SecretFile,
    status_lines::RouteObject,
};

/// A report for programs: that of the library, between whose login it was and how the server was
/// reached.
#[derive(Serialize)]
pub(crate) struct ReportObject<'a> {
    jid: &'a str,
    #[serde(flatten)]
    report: &'a LoginReport,
    /// Null where it was not.
    route: Option<RouteObject>,
}

impl<'a> ReportObject<'a> {
    pub(crate) fn of(jid: &'a str, route: Option<&Route>, report: &'a LoginReport) -> Self {
        Self { jid, report, route: route.map(RouteObject::of) }
    }
}

/// Where the report of a login arrives.
#[derive(Clone, Default)]
pub(crate) struct Reported(Arc<Mutex<Option<LoginReport>>>);

impl Reported {
    /// The last one is kept.
    pub(crate) fn ask(&self, builder: Builder) -> Builder {
        let place = Arc::clone(&self.0);
        builder.report(move |report| {
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(report.clone());
        })
    }

    pub(crate) fn take(&self) -> Option<LoginReport> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A line of its own for programs: `{"report":{…}}`, beside the objects of the statuses.
#[derive(Serialize)]
struct Line<'a> {
    report: ReportObject<'a>,
    /// What has changed since the last one, where there is a last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Vec<String>>,
}

/// Prints a report, and what has changed since the one in the file, which it replaces.
pub(crate) fn show(
    jid: &str,
    route: Option<&Route>,
    report: &LoginReport,
    file: Option<&Path>,
    output: Output,
) -> Result<(), Failure> {
    let changes = file.map(|file| replace(file, report)).transpose()?.flatten();
    if output.is_json() {
        let report = ReportObject::of(jid, route, report);
        return output.object(&Line { report, changes });
    }
    output.line("")?;
    for line in report.to_string().lines() {
        output.line(&printable(line))?;
    }
    match changes.as_deref() {
        None => Ok(()),
        Some([]) => output.line("changed since the last time: nothing"),
        Some(changes) => changes.iter().try_for_each(|change| {
            let line = format!("changed since the last time: {}", printable(change));
            output.line(&output.paint(Colour::Yellow, &line))
        }),
    }
}

/// What a report differs in from that in the file, if there is one; it takes its place.
fn replace(file: &Path, report: &LoginReport) -> Result<Option<Vec<String>>, Failure> {
    let json = report.to_json();
    let wrong = |words: String| Failure::usage(words).hint("name another file, or remove this one");
    let before = match SecretFile::read(file) {
        Err(error) if error.is_absence() => None,
        read => Some(read.map_err(|error| wrong(error.to_string()))?),
    };
    let changes = before.map(|before| {
        let before = before.text().map_err(|error| wrong(error.to_string()))?;
        let found = differences(before, &json);
        let found = found.map_err(|error| wrong(format!("{}: {error}", file.display())))?;
        Ok::<_, Failure>(found.iter().map(ToString::to_string).collect())
    });
    let changes = changes.transpose()?;
    let contents = format!("{json}\n");
    PrivateFile::new(file)
        .write(contents.as_bytes())
        .map_err(|error| Failure::usage(format!("the report is not kept: {error}")))?;
    Ok(changes)
}
