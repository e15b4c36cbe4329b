//! `epode probe` on each server: what it finds, beside what it is known to find.
//!
//! What is expected is data, a file for each release in `../probe/`.

use std::{env, error::Error, fs, path::Path, process::Command};

use epode_interop::{Release, Rig, Transport};
use serde_json::Value;

use crate::servers::Servers;

/// Probes the first domain of a release over all its ways with TLS.
///
/// # Errors
/// What is wrong with the command, or with what it printed.
pub(crate) fn findings(
    rig: &Rig,
    servers: &Servers,
    release: &Release,
) -> Result<Vec<String>, Box<dyn Error>> {
    let server = &servers.of(release).server;
    let mut command = Command::new(command()?);
    command.args(["probe", release.domains[0], "--json", "--no-proxy", "--ca"]);
    command.arg(rig.certificates().authority_file());
    let urls = WAYS.map(|way| server.url(way));
    for url in &urls {
        command.args(["--via", url]);
    }
    let output = command.output()?;
    let report: Value = serde_json::from_slice(&output.stdout)
        .map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let found = report["findings"].as_array().ok_or("a report without findings")?;
    let mut lines: Vec<_> = found.iter().map(|finding| line(finding, &urls)).collect();
    lines.sort();
    Ok(lines)
}

/// What the file of a release says, sorted.
///
/// # Errors
/// That it cannot be read.
pub(crate) fn expected(release: &Release) -> Result<Vec<String>, Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("probe");
    let path = folder.join(format!("{release}.txt"));
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut lines: Vec<_> = lines.map(str::to_owned).collect();
    lines.sort();
    Ok(lines)
}

/// `warning no-end-point-binding starttls`
fn line(finding: &Value, urls: &[String; WAYS.len()]) -> String {
    let word = |key: &str| finding[key].as_str().unwrap_or_default();
    let endpoint = word("endpoint");
    let way = urls.iter().position(|url| endpoint.starts_with(url.as_str()));
    let place = way.map_or_else(|| endpoint.to_owned(), |index| WAYS[index].to_string());
    format!("{} {} {place}", word("severity"), word("code")).trim_end().to_owned()
}

/// The command, beside this program.
fn command() -> Result<std::path::PathBuf, Box<dyn Error>> {
    let command = env::current_exe()?.with_file_name("epode");
    if command.exists() {
        return Ok(command);
    }
    Err(format!("{} is missing: cargo build -p epode-cli", command.display()).into())
}

const WAYS: [Transport; 3] = [Transport::Starttls, Transport::Tls, Transport::Wss];
