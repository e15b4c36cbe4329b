//! Files that the server gives to browsers: a page, and what belongs to it.
//!
//! Leaves out where they come from: the caller brings them, and they stay in memory.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use hyper::body::Bytes;
use hyper::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap,
    HeaderName, HeaderValue, REFERRER_POLICY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{http, websocket};

/// The files, by their paths.
#[derive(Debug, Default)]
pub(crate) struct WebFiles(BTreeMap<String, WebFile>);

#[derive(Clone)]
pub(crate) struct WebFile {
    content_type: HeaderValue,
    contents: Bytes,
    /// What whoever wants it has to show (RFC 6750), if that is not anybody.
    key: Option<Zeroizing<String>>,
}

impl WebFiles {
    /// Adds a file, or replaces the one at its path.
    ///
    /// # Panics
    ///
    /// If no request could have the path, or XMPP is there.
    pub(crate) fn add(&mut self, path: &str, file: WebFile) {
        let is_visible = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'?');
        assert!(path.starts_with('/') && is_visible, "{path:?} should be the path of a URL");
        let is_ours = [websocket::PATH, http::PATH].contains(&path);
        assert!(!is_ours, "{path:?} should not be where the server speaks XMPP");
        self.0.insert(path.to_owned(), file);
    }

    /// Whether the server has none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The answer to a request, if there is such a file. An answer to HEAD loses its body on the
    /// way out.
    pub(super) fn answer<B>(&self, request: &Request<B>) -> Option<Response<Bytes>> {
        let file = self.0.get(request.uri().path())?;
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            let refusal = refusal(StatusCode::METHOD_NOT_ALLOWED, "this is a file to GET\n");
            return Some(with(refusal, ALLOW, "GET, HEAD"));
        }
        if !file.is_for(request.headers()) {
            return Some(with(
                refusal(StatusCode::UNAUTHORIZED, NO_KEY),
                WWW_AUTHENTICATE,
                "Bearer",
            ));
        }
        let mut response = Response::new(file.contents.clone());
        response.headers_mut().insert(CONTENT_TYPE, file.content_type.clone());
        Some(
            BOUNDS
                .into_iter()
                .fold(response, |response, (name, value)| with(response, name, value)),
        )
    }
}

impl WebFile {
    /// For anybody.
    ///
    /// # Panics
    ///
    /// If no answer could have the type.
    pub(crate) fn new(content_type: &str, contents: Cow<'static, [u8]>) -> Self {
        let content_type =
            HeaderValue::from_str(content_type).expect("a content type should be a header's value");
        let contents = match contents {
            Cow::Borrowed(contents) => Bytes::from_static(contents),
            Cow::Owned(contents) => contents.into(),
        };
        Self { content_type, contents, key: None }
    }

    /// For those who have this key.
    pub(crate) fn with_key(mut self, key: &str) -> Self {
        self.key = Some(Zeroizing::new(key.to_owned()));
        self
    }

    fn is_for(&self, headers: &HeaderMap) -> bool {
        let Some(key) = &self.key else { return true };
        let shown = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let shown = shown.and_then(|value| value.split_once(' '));
        shown.is_some_and(|(scheme, shown)| {
            scheme.eq_ignore_ascii_case("Bearer") && shown.as_bytes().ct_eq(key.as_bytes()).into()
        })
    }
}

impl fmt::Debug for WebFile {
    /// Without the contents, which may be as secret as the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebFile").field("content_type", &self.content_type).finish_non_exhaustive()
    }
}

fn refusal(status: StatusCode, reason: &'static str) -> Response<Bytes> {
    let mut refusal = Response::new(Bytes::from_static(reason.as_bytes()));
    *refusal.status_mut() = status;
    with(refusal, CONTENT_TYPE, "text/plain")
}

fn with(mut response: Response<Bytes>, name: HeaderName, value: &'static str) -> Response<Bytes> {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
    response
}

const NO_KEY: &str = "this file is for those who have its key: send `Authorization: Bearer KEY`\n";

/// What keeps a file, and what a page does, in bounds.
const BOUNDS: [(HeaderName, &str); 5] = [
    (CONTENT_SECURITY_POLICY, WHAT_PAGES_MAY_DO),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    // The next server at this port may have other files.
    (CACHE_CONTROL, "no-store"),
];

/// Scripts, WebAssembly, styles, pictures and connections of this server alone, in no frame.
const WHAT_PAGES_MAY_DO: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; \
                                 style-src 'self'; img-src 'self'; connect-src 'self'; \
                                 base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
