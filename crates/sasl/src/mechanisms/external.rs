//! EXTERNAL (RFC 4422, appendix A): the TLS layer has shown who we are.

use crate::{
    Context, Error, Mechanism, MechanismFactory, MechanismName, Response, ServerProof, Step,
    selection::Skip,
};

/// EXTERNAL, priority 10: needs a client certificate on an encrypted connection. Sends the
/// authorization identity, or an empty message for "whom the certificate names". Where that is
/// several, or known to be somebody else, it sends the whole name of the account (XEP-0178,
/// section 2).
#[derive(Clone, Copy, Debug, Default)]
pub struct External;

impl MechanismFactory for External {
    fn name(&self) -> &MechanismName {
        &MechanismName::EXTERNAL
    }

    fn priority(&self) -> i32 {
        10
    }

    fn exposes_secret(&self) -> bool {
        false
    }

    fn test(&self, cx: &Context<'_>) -> Result<(), Skip> {
        let shown = cx.channel.is_encrypted() && cx.channel.has_client_certificate();
        if shown { Ok(()) } else { Err(Skip::NeedsCertificate) }
    }

    fn begin(&self) -> Box<dyn Mechanism> {
        Box::new(Login)
    }
}

#[derive(Debug)]
struct Login;

impl Mechanism for Login {
    fn start(&mut self, cx: &Context<'_>) -> Result<Step, Error> {
        let authzid =
            cx.credentials.authzid().or_else(|| cx.credentials.account().filter(needed(cx)));
        Ok(Step::Send(Response::new(authzid.unwrap_or_default())))
    }

    fn challenge(&mut self, _: &Context<'_>, _: &[u8]) -> Result<Step, Error> {
        super::no_challenge(&MechanismName::EXTERNAL)
    }

    fn verify(&mut self, _: &Context<'_>, last: Option<&[u8]>) -> Result<ServerProof, Error> {
        super::unproven(&MechanismName::EXTERNAL, last)
    }
}

/// Whether the certificate leaves open that this account is meant.
fn needed(cx: &Context<'_>) -> impl Fn(&&str) -> bool {
    let addresses = cx.channel.certified_addresses();
    |account| match addresses {
        [] => false,
        [only] => !only.eq_ignore_ascii_case(account),
        [..] => true,
    }
}
