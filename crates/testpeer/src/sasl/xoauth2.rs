//! X-OAUTH2, the server's side: the frame of PLAIN with a token where the password would be.
//!
//! There is no standard. Clients send the user as a bare JID, as its local part, or not at all.

use super::plain::three_parts;
use super::{Context, MALFORMED, SaslCondition, Step};

/// Takes `NUL [user] NUL token`.
pub(super) fn respond(cx: &Context<'_>, message: &[u8]) -> Result<Step, SaslCondition> {
    let (authzid, user, token) = three_parts(message)?;
    if !authzid.is_empty() || token.is_empty() {
        return Err(MALFORMED);
    }
    let owner = cx.accounts.owner_of_token(token).ok_or(SaslCondition::NotAuthorized)?;
    if !user.is_empty() && !cx.accounts.is_named(owner, user) {
        return Err(SaslCondition::NotAuthorized);
    }
    cx.accounts.admit(owner, None).map(Step::success)
}
