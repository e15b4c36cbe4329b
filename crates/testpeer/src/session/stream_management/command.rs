//! What a client says about stream management, as parsed values.
//!
//! Leaves out whether it is the time to say it.

use std::time::Duration;

use epode_proto::xml::Element;

/// An element that a client may send.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Stanzas are to be counted; the session is to outlive its connection by this time at the
    /// most, if at all.
    Enable { resumption: Option<Duration> },
    /// This session is to go on, of whose stanzas the client has so many.
    Resume { id: String, count: u32 },
    /// The count of handled stanzas is to be told.
    Request,
    /// So many stanzas were handled.
    Acknowledge(u32),
}

/// What is wrong with an element.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    Request,
    Acknowledgement,
    Unknown,
}

impl Command {
    pub(super) fn parse(element: &Element) -> Result<Self, Malformed> {
        let count = || element.attr("h").and_then(number);
        match element.name() {
            "enable" => {
                let max = match element.attr("max").map(number) {
                    None => Duration::MAX,
                    Some(Some(seconds)) if seconds > 0 => Duration::from_secs(seconds.into()),
                    Some(_) => return Err(Malformed::Request),
                };
                let resumption = match element.attr("resume") {
                    Some("true" | "1") => Some(max),
                    None | Some("false" | "0") => None,
                    Some(_) => return Err(Malformed::Request),
                };
                Ok(Self::Enable { resumption })
            }
            "resume" => {
                let id = element.attr("previd").ok_or(Malformed::Request)?.to_owned();
                Ok(Self::Resume { id, count: count().ok_or(Malformed::Request)? })
            }
            "r" => Ok(Self::Request),
            "a" => count().map(Self::Acknowledge).ok_or(Malformed::Acknowledgement),
            _ => Err(Malformed::Unknown),
        }
    }
}

/// `xs:unsignedInt`, without the sign that Rust would take.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Command, Malformed> {
        let xml = text.replacen("/>", " xmlns='urn:xmpp:sm:3'/>", 1);
        Command::parse(&Element::parse(&xml).unwrap())
    }

    #[test]
    fn commands_are_read() {
        let enable = |resumption| Ok(Command::Enable { resumption });
        assert_eq!(parse("<enable/>"), enable(None));
        assert_eq!(parse("<enable resume='0' max='7'/>"), enable(None));
        assert_eq!(parse("<enable resume='1'/>"), enable(Some(Duration::MAX)));
        assert_eq!(parse("<enable resume='true' max='7'/>"), enable(Some(Duration::from_secs(7))));
        let resume = Command::Resume { id: "x".to_owned(), count: u32::MAX };
        assert_eq!(parse("<resume previd='x' h='4294967295'/>"), Ok(resume));
        assert_eq!(parse("<r/>"), Ok(Command::Request));
        assert_eq!(parse("<a h='0'/>"), Ok(Command::Acknowledge(0)));
    }

    #[test]
    fn the_malformed_are_told_apart() {
        for request in [
            "<enable resume='yes'/>",
            "<enable resume='true' max='0'/>",
            "<enable max='soon'/>",
            "<resume h='1'/>",
            "<resume previd='x'/>",
            "<resume previd='x' h='-1'/>",
        ] {
            assert_eq!(parse(request), Err(Malformed::Request), "{request}");
        }
        for count in ["<a/>", "<a h=''/>", "<a h='+1'/>", "<a h='4294967296'/>"] {
            assert_eq!(parse(count), Err(Malformed::Acknowledgement), "{count}");
        }
        for name in ["<enabled/>", "<resumed/>", "<failed/>"] {
            assert_eq!(parse(name), Err(Malformed::Unknown), "{name}");
        }
    }
}
