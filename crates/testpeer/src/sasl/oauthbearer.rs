//! OAUTHBEARER (RFC 7628), the server's side.
//!
//! Leaves out the host and port that a client may name: behind a test's address or a proxy they
//! say nothing, and only their form is checked.

use std::fmt::Write;

use super::{Context, Exchange, MALFORMED, SaslCondition, SaslOptions, Step, gs2_authzid, utf8};

/// Takes the GS2 header and the key/value pairs; a token that nobody owns is answered with a
/// description of the error, which the client has to acknowledge.
pub(super) fn respond(cx: &Context<'_>, message: &[u8]) -> Result<Step, SaslCondition> {
    let request = Request::parse(utf8(message)?)?;
    match cx.accounts.owner_of_token(request.token) {
        Some(owner) => cx.accounts.admit(owner, request.authzid.as_deref()).map(Step::success),
        None => {
            let challenge = description(cx.options).into_bytes();
            Ok(Step::Challenge(Exchange::OauthBearerRefused, challenge))
        }
    }
}

/// Takes the acknowledgement of an error, a lone SOH.
pub(super) fn respond_to_refusal(message: &[u8]) -> Result<Step, SaslCondition> {
    Err(if message == b"\x01" { SaslCondition::NotAuthorized } else { MALFORMED })
}

struct Request<'a> {
    authzid: Option<String>,
    token: &'a str,
}

impl<'a> Request<'a> {
    fn parse(message: &'a str) -> Result<Self, SaslCondition> {
        let (header, rest) = message.split_once('\x01').ok_or(MALFORMED)?;
        let (flag, names) = header.split_once(',').ok_or(MALFORMED)?;
        // The mechanism has no form with channel binding, and so `p=` has no meaning here.
        if flag != "n" && flag != "y" {
            return Err(MALFORMED);
        }
        let authzid = gs2_authzid(names.strip_suffix(',').ok_or(MALFORMED)?)?;
        let pairs = rest.strip_suffix('\x01').ok_or(MALFORMED)?;
        let mut token = None;
        for pair in pairs.split_terminator('\x01') {
            let (key, value) = pair.split_once('=').ok_or(MALFORMED)?;
            let is_digits = || value.bytes().all(|b| b.is_ascii_digit());
            match key {
                "auth" if token.is_none() => token = Some(bearer(value)?),
                "auth" => return Err(MALFORMED),
                "port" if value.is_empty() || !is_digits() => return Err(MALFORMED),
                _ if key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphabetic()) => {
                    return Err(MALFORMED);
                }
                _ => {}
            }
        }
        // Each pair brings its own terminator, so that exactly one SOH is left for the whole.
        let well_ended = pairs.is_empty() || pairs.ends_with('\x01');
        Ok(Self { authzid, token: token.filter(|_| well_ended).ok_or(MALFORMED)? })
    }
}

fn bearer(value: &str) -> Result<&str, SaslCondition> {
    let (scheme, token) = value.split_once(' ').ok_or(MALFORMED)?;
    let is_token = !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
    (scheme.eq_ignore_ascii_case("bearer") && is_token).then_some(token).ok_or(MALFORMED)
}

fn description(options: &SaslOptions) -> String {
    let mut json = r#"{"status":"invalid_token""#.to_owned();
    let further =
        [("scope", &options.scope), ("openid-configuration", &options.openid_configuration)];
    for (key, value) in further {
        if let Some(value) = value {
            write!(json, r#","{key}":{}"#, quoted(value)).expect("a string takes all");
        }
    }
    json + "}"
}

/// A JSON string (RFC 8259, section 7).
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\0'..='\x1f' => write!(out, "\\u{:04x}", u32::from(c)).expect("a string takes all"),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_request_of_the_rfc() {
        let message = "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01\
                       auth=Bearer vF9dft4qmT==\x01\x01";
        let request = Request::parse(message).unwrap();
        assert_eq!(request.authzid.as_deref(), Some("user@example.com"));
        assert_eq!(request.token, "vF9dft4qmT==");
    }

    #[test]
    fn refuses_what_the_grammar_does_not_have() {
        for wrong in [
            "\x01",
            "n,,\x01\x01",
            "n,\x01auth=Bearer t\x01\x01",
            "p=x,,\x01auth=Bearer t\x01\x01",
            "n,,\x01auth=Bearer t\x01",
            "n,,\x01auth=Bearer t",
            "n,,\x01auth=Basic t\x01\x01",
            "n,,\x01auth=Bearer \x01\x01",
            "n,,\x01auth=Bearer a b\x01\x01",
            "n,,\x01auth=Bearer t\x01auth=Bearer t\x01\x01",
            "n,,\x01port=x\x01auth=Bearer t\x01\x01",
            "n,,\x01=x\x01auth=Bearer t\x01\x01",
        ] {
            assert!(Request::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn describes_the_error_in_json() {
        let options = SaslOptions { scope: Some("a\"\\\n".into()), ..SaslOptions::default() };
        let json = r#"{"status":"invalid_token","scope":"a\"\\\u000a"}"#;
        assert_eq!(description(&options), json);
    }
}
