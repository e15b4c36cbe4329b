//! `probe`: what a server offers, and what is wrong with that. Nobody logs in.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use epode::Endpoint;

use crate::{
    args::ProbeArgs,
    client,
    exit::{Exit, Failure},
    interrupt::unless_interrupted,
    output::{Output, complain},
    probe::{Object, Probe, ProbeError, Severity, judge, show},
    secret_file::SecretFile,
};

pub(crate) async fn run(args: &ProbeArgs) -> Result<Exit, Failure> {
    let tls = client::trusting(args.ca.as_deref())?;
    let ca = args.ca.as_deref().map(|path| SecretFile::read(path).map(|it| it.bytes().to_vec()));
    let probe = Probe {
        domain: args.domain.clone(),
        endpoints: endpoints(args)?,
        tls,
        ca: ca.transpose().map_err(|error| Failure::usage(error.to_string()))?,
        no_proxy: args.no_proxy,
        timeout: Duration::from_secs(args.timeout),
    };
    let is_watched = io::stderr().is_terminal();
    let tell = |what: &str| {
        if is_watched {
            complain("probe", what);
        }
    };
    let facts = unless_interrupted(probe.run(tell)).await?.map_err(|error| match error {
        ProbeError::Domain(error) => Failure::usage(error.to_string()),
        ProbeError::Judge(error) => Failure::internal(error.to_string()),
    })?;
    let findings = judge(&facts);
    let output = Output::new(args.json);
    output.object(&Object::of(&facts, &findings))?;
    show(&facts, &findings, output)?;
    Ok(match findings.iter().map(|finding| finding.severity).max() {
        None | Some(Severity::Note) => Exit::Connected,
        Some(Severity::Warning) => Exit::Warning,
        Some(Severity::Error) => Exit::Error,
    })
}

fn endpoints(args: &ProbeArgs) -> Result<Vec<Endpoint>, Failure> {
    let parse = |url: &String| -> Result<Endpoint, Failure> {
        url.parse().map_err(|error| Failure::usage(format!("--via: {error}")))
    };
    args.via.iter().map(parse).collect()
}
