//! EXTERNAL (RFC 4422, appendix A) with the addresses of a client certificate (XEP-0178).

use super::{Context, SaslCondition, Step, utf8};

/// Takes the authorization identity, or nothing, which stands for the certificate's one address.
pub(super) fn respond(cx: &Context<'_>, message: &[u8]) -> Result<Step, SaslCondition> {
    let authzid = utf8(message)?;
    let users = cx.accounts.users_of_certificate(cx.certificate);
    match (users.as_slice(), authzid) {
        ([], _) => Err(SaslCondition::NotAuthorized),
        ([only], "") => cx.accounts.admit(only, None).map(Step::success),
        (_, "") => Err(SaslCondition::InvalidAuthzid),
        (several, _) => {
            let user = several.iter().find(|user| cx.accounts.is_address_of(user, authzid));
            let user = user.ok_or(SaslCondition::InvalidAuthzid)?;
            cx.accounts.admit(user, None).map(Step::success)
        }
    }
}
