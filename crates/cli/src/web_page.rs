//! The page of `serve --web`, which is in the binary if that was built with the feature `web`.
//! What the page does is in `npm/page`.

use epode_testpeer::ServerBuilder;
use serde::Serialize;

use crate::exit::Failure;

/// An account to log in to. A secret that is not to be told is none.
#[derive(Serialize)]
pub(crate) struct Hint<'a> {
    pub(crate) jid: String,
    pub(crate) password: Option<&'a str>,
    pub(crate) token: Option<&'a str>,
}

/// Has the server give the page to browsers, and the accounts to pages that have the key.
pub(crate) fn add_to(
    mut server: ServerBuilder,
    domain: &str,
    accounts: &[Hint<'_>],
    key: &str,
) -> Result<ServerBuilder, Failure> {
    let Some(files) = FILES else {
        return Err(Failure::usage("--web needs a page, and this binary was built without it")
            .hint("`cargo xtask web` builds one that has it, in a checkout of the project"));
    };
    for (path, content_type, contents) in files {
        server = server.web_file(path, content_type, contents);
    }
    let domain = json(&Domain { domain })?;
    Ok(server.web_file("/server.json", JSON, domain).guarded_web_file(
        "/accounts.json",
        JSON,
        json(&accounts)?,
        key,
    ))
}

/// What any page may know of the server.
#[derive(Serialize)]
struct Domain<'a> {
    domain: &'a str,
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(value)
        .map_err(|error| Failure::internal(format!("what the page is told: {error}")))
}

const JSON: &str = "application/json";

/// Path, content type, contents.
type File = (&'static str, &'static str, &'static [u8]);

#[cfg(feature = "web")]
const FILES: Option<[File; 4]> = Some([
    ("/", "text/html; charset=utf-8", include_bytes!("../../../npm/dist/page/index.html")),
    ("/style.css", "text/css; charset=utf-8", include_bytes!("../../../npm/dist/page/style.css")),
    ("/icon.svg", "image/svg+xml", include_bytes!("../../../npm/dist/page/icon.svg")),
    (
        "/page.js",
        "text/javascript; charset=utf-8",
        include_bytes!("../../../npm/dist/page/page.js"),
    ),
]);

#[cfg(not(feature = "web"))]
const FILES: Option<[File; 4]> = None;
