//! The cookies of one server, which a balancer needs to send all requests of a session the same
//! way (RFC 6265).
//!
//! There is one URL, so that names and values are all that is kept: whatever a browser would also
//! send to other hosts or paths is sent to this one.

use std::fmt;

use http::{HeaderMap, HeaderValue, header};

/// The cookies of one server. They may be as good as a login: `Debug` shows names only.
#[derive(Default)]
pub(super) struct Cookies(Vec<(String, String)>);

impl Cookies {
    /// Takes those of an answer. One that is too large, or one too many, is not taken.
    pub(super) fn take(&mut self, headers: &HeaderMap) {
        for value in headers.get_all(header::SET_COOKIE) {
            if let Some(cookie) = value.to_str().ok().and_then(Cookie::parse) {
                self.put(cookie);
            }
        }
    }

    /// The header for the next request: these cookies behind those that the caller has set.
    pub(super) fn header(&self, own: &HeaderMap) -> Option<HeaderValue> {
        let kept = self.0.iter().map(|(name, value)| format!("{name}={value}"));
        let own = own.get_all(header::COOKIE).iter().filter_map(|own| own.to_str().ok());
        let pairs: Vec<_> = own.map(str::to_owned).chain(kept).collect();
        let mut header = HeaderValue::from_str(&pairs.join("; ")).ok()?;
        header.set_sensitive(true);
        Some(header).filter(|header| !header.is_empty())
    }

    fn put(&mut self, cookie: Cookie<'_>) {
        self.0.retain(|(name, _)| name != cookie.name);
        if !cookie.is_removed && self.0.len() < MAX_COOKIES {
            self.0.push((cookie.name.to_owned(), cookie.value.to_owned()));
        }
    }
}

impl fmt::Debug for Cookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

struct Cookie<'a> {
    name: &'a str,
    value: &'a str,
    /// It has expired, which is how a server takes one back.
    is_removed: bool,
}

impl<'a> Cookie<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (name, value) = parts.next()?.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() || name.len() + value.len() > MAX_SIZE {
            return None;
        }
        let max_age = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case("max-age").then(|| value.trim())
        });
        let is_removed = max_age.is_some_and(|age| age.starts_with(['-', '0']));
        Some(Self { name, value, is_removed })
    }
}

/// More than any balancer sets.
const MAX_COOKIES: usize = 16;
const MAX_SIZE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn after(set: &[&str]) -> Cookies {
        let mut headers = HeaderMap::new();
        for value in set {
            headers.append(header::SET_COOKIE, HeaderValue::from_str(value).unwrap());
        }
        let mut cookies = Cookies::default();
        cookies.take(&headers);
        cookies
    }

    fn sent(cookies: &Cookies) -> Option<String> {
        cookies.header(&HeaderMap::new()).map(|header| header.to_str().unwrap().to_owned())
    }

    #[test]
    fn what_is_set_is_sent_back() {
        let cookies = after(&["route=a1; Path=/; HttpOnly", " b = c=d ; Max-Age=60", "e="]);
        assert_eq!(sent(&cookies).as_deref(), Some("route=a1; b=c=d; e="));
        let mut own = HeaderMap::new();
        own.append(header::COOKIE, HeaderValue::from_static("mine=1"));
        own.append(header::COOKIE, HeaderValue::from_static("yours=2"));
        let both = cookies.header(&own).unwrap();
        assert_eq!(both, "mine=1; yours=2; route=a1; b=c=d; e=");
        assert!(both.is_sensitive());
        assert_eq!(Cookies::default().header(&own).unwrap(), "mine=1; yours=2");
        assert_eq!(sent(&Cookies::default()), None);
    }

    #[test]
    fn a_later_one_replaces_or_removes_an_earlier_one() {
        assert_eq!(sent(&after(&["a=1", "b=2", "a=3"])).as_deref(), Some("b=2; a=3"));
        for age in ["max-age=0", "Max-Age = -1"] {
            assert_eq!(sent(&after(&["a=1", &format!("a=2; {age}")])), None, "{age}");
        }
    }

    #[test]
    fn what_is_none_or_too_large_is_not_kept() {
        for odd in ["", "a", "=b", ";a=b", &format!("a={}", "x".repeat(MAX_SIZE))] {
            assert_eq!(sent(&after(&[odd])), None, "{odd}");
        }
        let many: Vec<_> = (0..MAX_COOKIES + 1).map(|n| format!("c{n}=x")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert_eq!(sent(&after(&many)).unwrap().split(';').count(), MAX_COOKIES);
        assert_eq!(format!("{:?}", after(&["a=hunter2"])), r#"["a"]"#);
    }
}
