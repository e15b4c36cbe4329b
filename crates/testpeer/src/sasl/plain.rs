//! PLAIN (RFC 4616), the server's side.
//!
//! Leaves out the comparison: the accounts compare keys, not passwords.

use super::{Context, MALFORMED, SaslCondition, Step, utf8};

/// Takes `[authzid] NUL authcid NUL password`.
pub(super) fn respond(cx: &Context<'_>, message: &[u8]) -> Result<Step, SaslCondition> {
    let (authzid, authcid, password) = three_parts(message)?;
    if authcid.is_empty() || password.is_empty() {
        return Err(MALFORMED);
    }
    if !cx.accounts.has_password(authcid, password) {
        return Err(SaslCondition::NotAuthorized);
    }
    cx.accounts.admit(authcid, Some(authzid).filter(|id| !id.is_empty())).map(Step::success)
}

/// The parts that two NULs separate.
pub(super) fn three_parts(message: &[u8]) -> Result<(&str, &str, &str), SaslCondition> {
    let mut parts = utf8(message)?.split('\0');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(first), Some(second), Some(third), None) => Ok((first, second, third)),
        _ => Err(MALFORMED),
    }
}
