//! The rows of the matrix: what each server offers over each way into it, once with the right
//! secret and once with a wrong one; what its logins can be bound to; and what must be refused.
//!
//! The address that is dialled is 127.0.0.1 for all of them; a server offers a mechanism for a
//! domain, and the domain is that of the account.

use epode::sasl::{BindingType, MechanismName};
use epode_interop::{Release, Software, Transport};

use crate::{
    matrix::{
        Credentials, Demand,
        Expected::{Online, Refused},
        Row, Tls, Way,
    },
    servers::ALICE,
};

/// All rows, server by server.
pub(crate) fn rows() -> Vec<Row> {
    Release::ALL
        .into_iter()
        .flat_map(|server| [mechanisms(server), bindings(server), refusals(server)])
        .flatten()
        .collect()
}

/// A mechanism, where it is offered.
struct Offer {
    mechanism: MechanismName,
    jid: &'static str,
    /// Where the server offers it.
    ways: &'static [Way],
    right: Credentials,
    wrong: Vec<Wrong>,
}

/// A login that must fail.
struct Wrong {
    jid: &'static str,
    credentials: Credentials,
    offence: &'static str,
}

/// Each mechanism over each way, with the right secret. With a wrong one once for each transport:
/// the version of TLS has no part in that.
fn mechanisms(server: &'static Release) -> Vec<Row> {
    let mut rows = Vec::new();
    for offer in offers(server) {
        for &way in offer.ways {
            let row = |jid, credentials, expected| Row {
                server,
                way,
                mechanism: offer.mechanism.clone(),
                jid,
                credentials,
                demand: Demand::Nothing,
                expected,
            };
            rows.push(row(offer.jid, offer.right, Online(None)));
            if way.tls != Some(Tls::V1_2) {
                let wrong = offer.wrong.iter();
                rows.extend(wrong.map(|it| row(it.jid, it.credentials, Refused(it.offence))));
            }
        }
    }
    rows
}

fn offers(server: &Release) -> Vec<Offer> {
    let password = |mechanism, jid, ways| Offer {
        mechanism,
        jid,
        ways,
        right: Credentials::Password,
        wrong: vec![Wrong { jid, credentials: Credentials::WrongPassword, offence: NO }],
    };
    let token = |mechanism, jid, ways| Offer {
        mechanism,
        jid,
        ways,
        right: Credentials::Token,
        wrong: vec![Wrong { jid, credentials: Credentials::WrongToken, offence: NO }],
    };
    let mut offers = vec![
        password(MechanismName::SCRAM_SHA_1, ALICE, ALL_WAYS),
        password(MechanismName::SCRAM_SHA_256, SHA_256, ALL_WAYS),
        anonymous(),
        external(server),
    ];
    offers.extend(match server.software {
        // PLAIN and OAUTHBEARER are for encrypted connections only, by its configuration and ours.
        Software::Prosody => [
            password(MechanismName::PLAIN, ALICE, ENCRYPTED),
            password(MechanismName::SCRAM_SHA_384, SHA_384, ALL_WAYS),
            token(MechanismName::OAUTHBEARER, OAUTH, ENCRYPTED),
        ],
        // It offers them everywhere; the client uses them since nobody else hears the loopback.
        Software::Ejabberd => [
            password(MechanismName::PLAIN, ALICE, ALL_WAYS),
            password(MechanismName::SCRAM_SHA_512, SHA_512, ALL_WAYS),
            token(MechanismName::X_OAUTH2, ALICE, ALL_WAYS),
        ],
    });
    offers
}

/// There is no wrong secret, but there are domains that take no guests.
fn anonymous() -> Offer {
    let no_guests = Wrong {
        jid: "localhost",
        credentials: Credentials::Nothing,
        offence: "no-auth-mech, NotOffered",
    };
    Offer {
        mechanism: MechanismName::ANONYMOUS,
        jid: "anonymous.localhost",
        ways: ALL_WAYS,
        right: Credentials::Nothing,
        wrong: vec![no_guests],
    }
}

fn external(server: &Release) -> Offer {
    let wrong = |credentials, offence| Wrong { jid: CERT, credentials, offence };
    // Prosody sees no certificate then.
    let stranger = match server.software {
        Software::Prosody => "account-disabled",
        Software::Ejabberd => NO,
    };
    Offer {
        mechanism: MechanismName::EXTERNAL,
        jid: CERT,
        ways: match server.software {
            Software::Prosody => ENCRYPTED,
            // Its HTTP listener asks nobody for a certificate.
            Software::Ejabberd => STREAMS,
        },
        right: Credentials::Certificate(CERT),
        wrong: vec![
            wrong(Credentials::Certificate("mallory@elsewhere.example"), NO),
            wrong(Credentials::StrangeCertificate(CERT), stranger),
            wrong(Credentials::Nothing, "no-auth-mech, NeedsCertificate"),
        ],
    }
}

/// The `-PLUS` forms: with each binding that both sides have; where there is none, the login goes
/// on without, unless the policy requires one.
fn bindings(server: &'static Release) -> Vec<Row> {
    let mut rows = Vec::new();
    for (plain, plus, jid) in scram_forms(server) {
        for &way in ENCRYPTED {
            let row = |mechanism: &MechanismName, credentials, demand, expected| Row {
                server,
                way,
                mechanism: mechanism.clone(),
                jid,
                credentials,
                demand,
                expected,
            };
            let kinds = common_bindings(server, way);
            for &kind in kinds {
                let demand = Demand::Binding(kind);
                rows.push(row(&plus, Credentials::Password, demand, Online(Some(kind))));
                rows.push(row(&plus, Credentials::WrongPassword, demand, Refused(NO)));
            }
            let (welcome, required) = (Demand::PlusWelcome, Demand::PlusRequired);
            match kinds.first() {
                Some(&best) => {
                    let online = Online(Some(best));
                    rows.push(row(&plus, Credentials::Password, welcome, online));
                    rows.push(row(&plus, Credentials::Password, required, online));
                }
                None => {
                    let refused = Refused("no-auth-mech, NeedsChannelBinding");
                    rows.push(row(&plain, Credentials::Password, welcome, Online(None)));
                    rows.push(row(&plain, Credentials::Password, required, refused));
                }
            }
        }
    }
    rows
}

/// The hashes that a server has, with and without `-PLUS`, and the account.
fn scram_forms(server: &Release) -> Vec<(MechanismName, MechanismName, &'static str)> {
    let mut forms = vec![
        (MechanismName::SCRAM_SHA_1, MechanismName::SCRAM_SHA_1_PLUS, ALICE),
        (MechanismName::SCRAM_SHA_256, MechanismName::SCRAM_SHA_256_PLUS, SHA_256),
    ];
    forms.push(match server.software {
        Software::Prosody => {
            (MechanismName::SCRAM_SHA_384, MechanismName::SCRAM_SHA_384_PLUS, SHA_384)
        }
        Software::Ejabberd => {
            (MechanismName::SCRAM_SHA_512, MechanismName::SCRAM_SHA_512_PLUS, SHA_512)
        }
    });
    forms
}

/// The bindings that a server lists, as far as the client has them; best first.
fn common_bindings(server: &Release, way: Way) -> &'static [BindingType] {
    use BindingType::{TlsExporter, TlsServerEndPoint};

    match (server, way.transport, way.tls) {
        // None offers -PLUS: to Prosody 13 a BOSH session is secure, but not encrypted.
        (_, Transport::SecureBosh, _) => &[],
        (&Release::PROSODY_13, _, Some(Tls::V1_2)) => &[TlsServerEndPoint],
        (&Release::PROSODY_13, _, Some(Tls::V1_3)) => &[TlsExporter, TlsServerEndPoint],
        (&Release::EJABBERD_24, Transport::Starttls | Transport::Tls, Some(_)) => {
            &[TlsExporter, TlsServerEndPoint]
        }
        // Nothing but tls-unique, or nothing.
        _ => &[],
    }
}

/// What has nothing to do with secrets: certificates that are not good, no encryption.
fn refusals(server: &'static Release) -> Vec<Row> {
    let row = |way, jid, demand, credentials, expected| Row {
        server,
        way,
        mechanism: MechanismName::SCRAM_SHA_1,
        jid,
        credentials,
        demand,
        expected,
    };
    let certificate =
        |way, jid, demand, offence| row(way, jid, demand, Credentials::Password, Refused(offence));
    let mut rows = Vec::new();
    for &way in ENCRYPTED {
        let demand = Demand::OtherAuthority;
        rows.push(certificate(way, ALICE, demand, "certificate of an unknown issuer"));
        // Over HTTP the name is that of the URL's host, which is the same for all domains.
        if !way.transport.is_http() {
            let (nothing, name) = (Demand::Nothing, "certificate for other names");
            rows.push(certificate(way, "alice@unlisted.localhost", nothing, name));
            rows.push(certificate(way, "alice@expired.localhost", nothing, "certificate expired"));
        }
    }
    let (danger, clear) = (Demand::DangerUnencrypted, "alice@clear.localhost");
    rows.push(row(TCP, clear, danger, Credentials::Password, Online(None)));
    rows.push(row(TCP, clear, danger, Credentials::WrongPassword, Refused(NO)));
    let refused = Refused("encryption-required");
    rows.push(row(TCP, clear, Demand::Nothing, Credentials::Password, refused));
    if server.software == Software::Prosody {
        rows.extend(
            [Transport::Ws, Transport::Bosh].map(|transport| plain_over(transport, server)),
        );
    }
    rows
}

/// Prosody does not offer it without TLS, and the client must not insist.
fn plain_over(transport: Transport, server: &'static Release) -> Row {
    Row {
        server,
        way: Way { transport, tls: None },
        mechanism: MechanismName::PLAIN,
        jid: ALICE,
        credentials: Credentials::Password,
        demand: Demand::Nothing,
        expected: Refused("no-auth-mech, NotOffered"),
    }
}

const fn way(transport: Transport, tls: Tls) -> Way {
    Way { transport, tls: Some(tls) }
}

const TCP: Way = Way { transport: Transport::Tcp, tls: None };

/// Every way but plain TCP, which has a domain of its own.
const ALL_WAYS: &[Way] = &[
    way(Transport::Starttls, Tls::V1_2),
    way(Transport::Starttls, Tls::V1_3),
    way(Transport::Tls, Tls::V1_2),
    way(Transport::Tls, Tls::V1_3),
    way(Transport::Wss, Tls::V1_2),
    way(Transport::Wss, Tls::V1_3),
    way(Transport::SecureBosh, Tls::V1_2),
    way(Transport::SecureBosh, Tls::V1_3),
    Way { transport: Transport::Ws, tls: None },
    Way { transport: Transport::Bosh, tls: None },
];
const ENCRYPTED: &[Way] = ALL_WAYS.split_at(8).0;
const STREAMS: &[Way] = ALL_WAYS.split_at(4).0;

const SHA_256: &str = "alice@sha256.localhost";
const SHA_384: &str = "alice@sha384.localhost";
const SHA_512: &str = "alice@sha512.localhost";
const OAUTH: &str = "alice@oauth.localhost";
const CERT: &str = "alice@cert.localhost";

const NO: &str = "not-authorized";

#[cfg(test)]
mod tests {
    use epode_interop::Release;

    use super::{Row, rows};
    use crate::matrix::Expected;

    #[test]
    fn each_mechanism_of_each_server_succeeds_and_fails_over_each_transport() {
        let rows = rows();
        for row in &rows {
            let of_this = |expect_online: bool| {
                rows.iter().any(|other| {
                    other.server == row.server
                        && other.way.transport == row.way.transport
                        && other.mechanism == row.mechanism
                        && matches!(other.expected, Expected::Online(_)) == expect_online
                })
            };
            let has_none = row.mechanism.as_str() == "PLAIN" && !of_this(true);
            assert!(of_this(false) && (of_this(true) || has_none), "{row:?}");
        }
    }

    #[test]
    fn no_row_is_there_twice_and_no_server_without() {
        let rows = rows();
        let mut texts: Vec<String> = rows.iter().map(|row| format!("{row:?}")).collect();
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), rows.len());
        for server in Release::ALL {
            let of_this = |row: &&Row| row.server == server;
            assert!(rows.iter().filter(of_this).count() > 80, "{server}");
        }
    }

    #[test]
    fn an_account_is_of_a_domain_of_its_server() {
        for row in rows() {
            let domain = row.jid.split_once('@').map_or(row.jid, |(_, domain)| domain);
            assert!(row.server.domains.contains(&domain), "{row:?}");
        }
    }
}
