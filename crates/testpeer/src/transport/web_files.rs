//! Files that the server gives to browsers: a page, and what belongs to it.
//!
//! Leaves out where they come from: the caller brings them, and they stay in memory.

use std::borrow::Cow;
use std::collections::BTreeMap;

use hyper::body::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Response, StatusCode};

use super::{http, websocket};

/// The files, by their paths.
#[derive(Debug, Default)]
pub(crate) struct WebFiles(BTreeMap<String, WebFile>);

#[derive(Clone, Debug)]
struct WebFile {
    content_type: HeaderValue,
    contents: Bytes,
}

impl WebFiles {
    /// Adds a file, or replaces the one at its path.
    ///
    /// # Panics
    ///
    /// If no request could have the path or no answer the type, or XMPP is there.
    pub(crate) fn add(&mut self, path: &str, content_type: &str, contents: Cow<'static, [u8]>) {
        let is_visible = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'?');
        assert!(path.starts_with('/') && is_visible, "{path:?} should be the path of a URL");
        let is_ours = [websocket::PATH, http::PATH].contains(&path);
        assert!(!is_ours, "{path:?} should not be where the server speaks XMPP");
        let content_type =
            HeaderValue::from_str(content_type).expect("a content type should be a header's value");
        let contents = match contents {
            Cow::Borrowed(contents) => Bytes::from_static(contents),
            Cow::Owned(contents) => contents.into(),
        };
        self.0.insert(path.to_owned(), WebFile { content_type, contents });
    }

    /// The answer to a request, if there is such a file. An answer to HEAD loses its body on the
    /// way out.
    pub(crate) fn answer(&self, method: &Method, path: &str) -> Option<Response<Bytes>> {
        let file = self.0.get(path)?.clone();
        if ![Method::GET, Method::HEAD].contains(method) {
            let mut refusal = Response::new(Bytes::from_static(b"this is a file to GET\n"));
            *refusal.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            refusal.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return Some(refusal);
        }
        let mut response = Response::new(file.contents);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, file.content_type);
        for (name, value) in [
            (CONTENT_SECURITY_POLICY, WHAT_PAGES_MAY_DO),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "no-referrer"),
            // The next server at this port may have other files.
            (CACHE_CONTROL, "no-store"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        Some(response)
    }
}

/// Scripts, WebAssembly, styles, pictures and connections of this server alone, in no frame.
const WHAT_PAGES_MAY_DO: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; \
                                 style-src 'self'; img-src 'self'; connect-src 'self'; \
                                 base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
