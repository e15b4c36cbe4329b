//! The resolver of the operating system: `getaddrinfo` on a thread of its own.
//! It has no way to SRV records.

use std::net::IpAddr;

use tokio::net::lookup_host;

use super::{Lookup, LookupError, MAX_RECORDS, Resolver, SrvRecord};

/// Asks the operating system, as most programs do: `/etc/hosts`, DNS and what else it is set up
/// for. It knows addresses only; [`srv`](Resolver::srv) says [`LookupError::Unsupported`].
///
/// A lookup that is dropped goes on in the background until the system ends it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn srv<'a>(&'a self, _name: &'a str) -> Lookup<'a, Vec<SrvRecord>> {
        Box::pin(std::future::ready(Err(LookupError::Unsupported)))
    }

    fn addresses<'a>(&'a self, host: &'a str) -> Lookup<'a, Vec<IpAddr>> {
        Box::pin(async move {
            // The system does not say which of its errors mean that there is no such name.
            let found = lookup_host((host, 0))
                .await
                .map_err(|error| LookupError::Failed { reason: error.to_string() })?;
            let addresses: Vec<_> = found.map(|address| address.ip()).take(MAX_RECORDS).collect();
            if addresses.is_empty() { Err(LookupError::NoRecords) } else { Ok(addresses) }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test]
    async fn addresses_are_found_and_srv_records_are_not() {
        let found = SystemResolver.addresses("127.0.0.1").await;
        assert_eq!(found, Ok(vec![Ipv4Addr::LOCALHOST.into()]));
        let error = SystemResolver.srv("_xmpp-client._tcp.example.org").await;
        assert_eq!(error, Err(LookupError::Unsupported));
    }

    #[tokio::test]
    async fn a_name_that_cannot_be_one_is_not_found() {
        // Longer than a label may be: no name service is asked.
        let host = format!("{}.example", "a".repeat(64));
        let error = SystemResolver.addresses(&host).await.unwrap_err();
        assert!(matches!(error, LookupError::Failed { .. }), "{error:?}");
    }
}
