//! ANONYMOUS (RFC 4505), the server's side.
//!
//! The trace is checked for its form and then forgotten.

use super::{MALFORMED, SaslCondition, Step, utf8};
use crate::random;

/// Takes the optional trace and makes up a user for the session.
pub(super) fn respond(message: &[u8]) -> Result<Step, SaslCondition> {
    let trace = utf8(message)?;
    if trace.chars().count() > LONGEST_TRACE || trace.contains(char::is_control) {
        return Err(MALFORMED);
    }
    Ok(Step::success(format!("anonymous-{}", random::name())))
}

const LONGEST_TRACE: usize = 255;
