//! The four servers as data: of each only what the others do not share.
//!
//! How a Prosody or an ejabberd is told all this stands in `prosody.rs` and `ejabberd.rs`.

use std::fmt;

use crate::Error;

/// A version of a server.
///
/// | domain | what it is for | who has it |
/// |---|---|---|
/// | `localhost` | SCRAM-SHA-1, PLAIN; X-OAUTH2 on ejabberd | all |
/// | `sha256.localhost` | SCRAM-SHA-256 | all |
/// | `sha384.localhost` | SCRAM-SHA-384, by a plugin of ours | Prosody |
/// | `sha512.localhost` | SCRAM-SHA-512 | ejabberd |
/// | `anonymous.localhost` | ANONYMOUS | all |
/// | `oauth.localhost` | OAUTHBEARER | Prosody |
/// | `sasl2.localhost` | SASL2, Bind 2, FAST; SCRAM-SHA-256 | those of the backports |
/// | `rotating.localhost` | the same; a token is rotated at each login | Prosody 13 |
/// | `expiring.localhost` | the same; a token is good for 2 seconds | Prosody 13 |
/// | `cert.localhost` | EXTERNAL; STARTTLS is a must | all |
/// | `clear.localhost` | SCRAM-SHA-1; never TLS on [`Ports::plain`](crate::Ports::plain) | all |
/// | `brief.localhost` | SCRAM-SHA-1; a session is kept for a second, if the client asks for that | all |
/// | `unlisted.localhost` | nothing: the server's certificate does not name it | all |
/// | `expired.localhost` | nothing: its certificate has expired | all |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// What the table calls it.
    pub name: &'static str,
    /// Whose server it is.
    pub software: Software,
    /// How its version begins.
    pub(crate) version: &'static str,
    pub(crate) origin: Origin,
    /// The configuration, with placeholders.
    pub(crate) template: &'static str,
    /// The domains that it serves.
    pub domains: &'static [&'static str],
}

/// Whose server a release is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Software {
    /// <https://prosody.im>
    Prosody,
    /// <https://www.ejabberd.im>
    Ejabberd,
}

/// Where the packages of a release are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Installed.
    System,
    /// Unpacked, in the folder that the rig was given for that.
    Backports,
}

impl Release {
    /// Prosody as Debian 12 has it.
    pub const PROSODY_0_12: Self = Self {
        name: "prosody-0.12",
        software: Software::Prosody,
        version: "0.12.",
        origin: Origin::System,
        template: concat!(
            include_str!("../prosody/prosody.cfg.lua"),
            include_str!("../prosody/prosody-0.12.cfg.lua")
        ),
        domains: PROSODY_DOMAINS,
    };

    /// Prosody as Debian 12's backports have it.
    pub const PROSODY_13: Self = Self {
        name: "prosody-13",
        software: Software::Prosody,
        version: "13.",
        origin: Origin::Backports,
        template: concat!(
            include_str!("../prosody/prosody.cfg.lua"),
            include_str!("../prosody/prosody-13.cfg.lua")
        ),
        domains: PROSODY_13_DOMAINS,
    };

    /// ejabberd as Debian 12 has it.
    pub const EJABBERD_23: Self = Self {
        name: "ejabberd-23.01",
        software: Software::Ejabberd,
        version: "23.01",
        origin: Origin::System,
        template: include_str!("../ejabberd/ejabberd.yml"),
        domains: EJABBERD_DOMAINS,
    };

    /// ejabberd as Debian 12's backports have it.
    pub const EJABBERD_24: Self = Self {
        name: "ejabberd-24.12",
        software: Software::Ejabberd,
        version: "24.12",
        origin: Origin::Backports,
        template: concat!(
            include_str!("../ejabberd/ejabberd.yml"),
            include_str!("../ejabberd/ejabberd-24.12.yml")
        ),
        domains: EJABBERD_DOMAINS,
    };

    /// All of them.
    pub const ALL: [&'static Self; 4] =
        [&Self::PROSODY_0_12, &Self::PROSODY_13, &Self::EJABBERD_23, &Self::EJABBERD_24];

    /// The table has the version in its rows, so it had better be true.
    pub(crate) fn check_version(&self, found: &str) -> Result<(), Error> {
        if found.starts_with(self.version) {
            return Ok(());
        }
        let found = found.to_owned();
        Err(Error::WrongVersion { server: self.name, expected: self.version, found })
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

/// Every domain that the servers' certificate names, each once.
pub(crate) fn listed_domains() -> impl Iterator<Item = &'static str> {
    let more = EJABBERD_DOMAINS.iter().filter(|domain| !PROSODY_13_DOMAINS.contains(domain));
    PROSODY_13_DOMAINS
        .iter()
        .chain(more)
        .copied()
        .filter(|domain| ![UNLISTED, EXPIRED].contains(domain))
}

/// The domain whose sessions last no longer than a second without a connection, where the client
/// asks for that.
pub const BRIEF: &str = "brief.localhost";

/// The domain that the servers' certificate does not name.
pub(crate) const UNLISTED: &str = "unlisted.localhost";

/// The domain whose certificate has expired.
pub(crate) const EXPIRED: &str = "expired.localhost";

const PROSODY_DOMAINS: &[&str] = &[
    "localhost",
    "sha256.localhost",
    "sha384.localhost",
    "anonymous.localhost",
    "cert.localhost",
    "clear.localhost",
    BRIEF,
    UNLISTED,
    EXPIRED,
    "oauth.localhost",
];

const PROSODY_13_DOMAINS: &[&str] = &[
    "localhost",
    "sha256.localhost",
    "sha384.localhost",
    "anonymous.localhost",
    "cert.localhost",
    "clear.localhost",
    BRIEF,
    UNLISTED,
    EXPIRED,
    "oauth.localhost",
    "sasl2.localhost",
    "rotating.localhost",
    "expiring.localhost",
];

const EJABBERD_DOMAINS: &[&str] = &[
    "localhost",
    "sha256.localhost",
    "sha512.localhost",
    "anonymous.localhost",
    "cert.localhost",
    "clear.localhost",
    BRIEF,
    UNLISTED,
    EXPIRED,
    "sasl2.localhost",
];

#[cfg(test)]
mod tests {
    use super::{Release, Software, listed_domains};
    use crate::Error;

    #[test]
    fn the_templates_have_the_domains_of_the_lists() {
        for release in Release::ALL {
            assert_eq!(domains_of(release), release.domains, "{release}");
        }
    }

    #[test]
    fn two_domains_are_not_listed() {
        let listed: Vec<&str> = listed_domains().collect();
        assert_eq!(listed.len(), 12);
        for release in Release::ALL {
            let left_out: Vec<&&str> =
                release.domains.iter().filter(|domain| !listed.contains(domain)).collect();
            assert_eq!(left_out, [&"unlisted.localhost", &"expired.localhost"]);
        }
    }

    #[test]
    fn a_version_is_known_by_its_beginning() {
        let release = Release::PROSODY_0_12;
        assert!(release.check_version("0.12.3").is_ok());
        for wrong in ["0.11.9", "0.13.0", "13.0.1", ""] {
            match release.check_version(wrong) {
                Err(Error::WrongVersion { server: "prosody-0.12", expected: "0.12.", found }) => {
                    assert_eq!(found, wrong);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn domains_of(release: &Release) -> Vec<&'static str> {
        let mut lines = release.template.lines();
        match release.software {
            Software::Prosody => lines
                .filter_map(|line| line.strip_prefix("VirtualHost \"")?.split('"').next())
                .collect(),
            Software::Ejabberd => {
                let hosts = lines.find_map(|line| line.strip_prefix("hosts: [")).unwrap();
                hosts.trim_end_matches(']').split(", ").collect()
            }
        }
    }
}
