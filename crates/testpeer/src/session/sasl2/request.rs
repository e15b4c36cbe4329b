//! What a client asks for with `<authenticate/>`, as a parsed value.
//!
//! Leaves out whether it is offered: the login judges that.

use epode_proto::xml::Element;
use zeroize::Zeroizing;

use super::fast::FastUse;
use super::tasks::upgrade_name;
use super::terms::Terms;
use super::{BIND, FAST, NAMESPACE, UPGRADE};
use crate::sasl::SaslCondition;
use crate::sasl::hash::Hash;
use crate::session::services::carbons;
use crate::session::stream_management;

/// The request of a login.
#[derive(Debug)]
pub(super) struct Request {
    /// The id by which the client knows itself.
    pub(super) client: Option<String>,
    pub(super) resume: Option<Element>,
    pub(super) bind: Option<BindRequest>,
    /// The login is by a token.
    pub(super) fast: Option<FastUse>,
    /// The mechanism that a token is wanted for.
    pub(super) token: Option<String>,
    /// The hashes that the client would bring keys for.
    pub(super) upgrades: Vec<Hash>,
}

/// What Bind 2 is to do (XEP-0386, section 3.2).
#[derive(Debug)]
pub(super) struct BindRequest {
    pub(super) tag: Option<String>,
    pub(super) enable: Option<Element>,
    pub(super) carbons: bool,
}

impl Request {
    pub(super) fn parse(authenticate: &Element, terms: &Terms) -> Result<Self, SaslCondition> {
        let agent = authenticate.child("user-agent", NAMESPACE);
        let client = match agent.and_then(|agent| agent.attr("id")) {
            Some(id) if is_random_uuid(id) => Some(id.to_ascii_lowercase()),
            Some(_) => return Err(SaslCondition::MalformedRequest),
            None => None,
        };
        let token = wanted_token(authenticate, terms)?;
        if token.is_some() && (client.is_none() || terms.from.is_none()) {
            return Err(SaslCondition::MalformedRequest);
        }
        let fast = authenticate.child("fast", FAST).map(FastUse::parse).transpose()?;
        Ok(Self {
            client,
            fast,
            token,
            upgrades: upgrades(authenticate),
            resume: authenticate.child("resume", stream_management::NAMESPACE).cloned(),
            bind: authenticate.child("bind", BIND).map(BindRequest::parse),
        })
    }

    /// Whether a replay of it would be told by its count (XEP-0484, section 3.4).
    pub(super) fn is_counted(&self) -> bool {
        self.fast.is_some_and(|fast| fast.count.is_some())
    }
}

impl BindRequest {
    fn parse(bind: &Element) -> Self {
        Self {
            tag: bind.child("tag", BIND).map(Element::text).filter(|tag| !tag.is_empty()),
            enable: bind.child("enable", stream_management::NAMESPACE).cloned(),
            carbons: bind.child("enable", carbons::NAMESPACE).is_some(),
        }
    }
}

/// The mechanism that a token is wanted for, which has to be one that is offered (XEP-0484, section
/// 3.2). Where none is, the request means nothing.
fn wanted_token(authenticate: &Element, terms: &Terms) -> Result<Option<String>, SaslCondition> {
    let request = authenticate.child("request-token", FAST);
    let (Some(request), Some(offer)) = (request, &terms.fast) else { return Ok(None) };
    let name = request.attr("mechanism").unwrap_or_default();
    match offer.mechanisms().iter().find(|offered| *offered == name) {
        Some(name) => Ok(Some(name.clone())),
        None => Err(SaslCondition::MalformedRequest),
    }
}

fn upgrades(authenticate: &Element) -> Vec<Hash> {
    let named = authenticate.children().filter(|it| it.is("upgrade", UPGRADE)).map(Element::text);
    let hash_of = |name: String| Hash::ALL.into_iter().find(|hash| upgrade_name(*hash) == name);
    named.filter_map(hash_of).collect()
}

/// The mechanism's first message, in base64, if the client speaks first.
pub(super) fn initial_response(authenticate: &Element) -> Option<Zeroizing<String>> {
    authenticate.child("initial-response", NAMESPACE).map(|it| Zeroizing::new(it.text()))
}

/// A UUID of version 4 (RFC 9562, section 5.4).
fn is_random_uuid(id: &str) -> bool {
    let parts: Vec<_> = id.split('-').collect();
    let is_hex = |part: &&str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let lengths: Vec<_> = parts.iter().map(|part| part.len()).collect();
    lengths == [8, 4, 4, 4, 12]
        && parts.iter().all(is_hex)
        && parts[2].starts_with('4')
        && parts[3].starts_with(['8', '9', 'a', 'b', 'A', 'B'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_named_by_a_random_uuid() {
        assert!(is_random_uuid("d4565fa7-4d72-4749-b3d3-740edbf87770"));
        assert!(is_random_uuid("D4565FA7-4D72-4749-B3D3-740EDBF87770"));
        for wrong in [
            "",
            "d4565fa7-4d72-1749-b3d3-740edbf87770",
            "d4565fa7-4d72-4749-c3d3-740edbf87770",
            "d4565fa7-4d72-4749-b3d3-740edbf8777",
            "d4565fa7-4d72-4749-b3d3-740edbf8777g",
            "d4565fa74d724749b3d3740edbf87770",
            "d4565fa7-4d72-4749-b3d3-740edbf87770-",
        ] {
            assert!(!is_random_uuid(wrong), "{wrong}");
        }
    }
}
