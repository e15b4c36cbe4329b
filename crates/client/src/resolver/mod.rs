//! Names to addresses and service records: what can be asked, and who answers.
//! What the answers mean for XMPP is for `discovery` to say.

#[cfg(feature = "hickory")]
mod hickory;
#[cfg(all(test, feature = "hickory"))]
pub(crate) mod name_server;
mod system;

use std::{fmt, net::IpAddr, pin::Pin, sync::Arc};

#[cfg(feature = "hickory")]
pub use self::hickory::HickoryResolver;
pub use self::system::SystemResolver;

/// Looks names up.
///
/// [`SystemResolver`] asks the system, which knows addresses only; [`HickoryResolver`] (feature
/// `hickory`, on by default) knows SRV records too. A program may bring its own, for its tests or
/// for another way to DNS:
///
/// ```
/// use std::net::{IpAddr, Ipv4Addr};
///
/// use epode::discovery::{Lookup, LookupError, Resolver, SrvRecord};
///
/// /// One server, whatever the name.
/// #[derive(Debug)]
/// struct OneServer(Ipv4Addr);
///
/// impl Resolver for OneServer {
///     fn srv<'a>(&'a self, name: &'a str) -> Lookup<'a, Vec<SrvRecord>> {
///         let found = match name.starts_with("_xmpps-client.") {
///             true => Ok(vec![SrvRecord::new(0, 0, 5223, "xmpp.example.org")]),
///             false => Err(LookupError::NoRecords),
///         };
///         Box::pin(std::future::ready(found))
///     }
///
///     fn addresses<'a>(&'a self, _host: &'a str) -> Lookup<'a, Vec<IpAddr>> {
///         Box::pin(std::future::ready(Ok(vec![self.0.into()])))
///     }
/// }
///
/// let options = epode::TransportOptions::new()
///     .with_resolver(std::sync::Arc::new(OneServer(Ipv4Addr::LOCALHOST)));
/// # let _ = options;
/// ```
pub trait Resolver: fmt::Debug + Send + Sync {
    /// The SRV records (RFC 2782) of a name such as `_xmpp-client._tcp.example.org`, in any order.
    ///
    /// # Errors
    ///
    /// [`LookupError::NoRecords`] when it is sure that there are none; another [`LookupError`] when
    /// that is not known.
    fn srv<'a>(&'a self, name: &'a str) -> Lookup<'a, Vec<SrvRecord>>;

    /// The addresses of a host, the best first.
    ///
    /// # Errors
    ///
    /// A [`LookupError`]; an empty list counts as [`LookupError::NoRecords`].
    fn addresses<'a>(&'a self, host: &'a str) -> Lookup<'a, Vec<IpAddr>>;
}

/// A lookup that is going on.
pub type Lookup<'a, T> = Pin<Box<dyn Future<Output = Result<T, LookupError>> + Send + 'a>>;

/// What is used unless another resolver is given: [`HickoryResolver::system`] with the feature
/// `hickory`, else [`SystemResolver`].
pub(crate) fn default_resolver() -> Arc<dyn Resolver> {
    #[cfg(feature = "hickory")]
    return Arc::new(HickoryResolver::system());
    #[cfg(not(feature = "hickory"))]
    return Arc::new(SystemResolver);
}

/// One place where a service is to be had (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SrvRecord {
    /// Those with the lowest number are to be tried first.
    pub priority: u16,
    /// The share of clients among records of the same priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host, without a dot at its end; `.` alone says that there is no such service.
    pub target: String,
}

impl SrvRecord {
    /// A record; a dot at the end of the target is dropped.
    #[must_use]
    pub fn new(priority: u16, weight: u16, port: u16, target: &str) -> Self {
        let target = match target.strip_suffix('.') {
            None => target,
            Some("") => ".",
            Some(target) => target,
        };
        Self { priority, weight, port, target: target.to_owned() }
    }

    /// True when the target is `.`: the service is decidedly not available.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.target == "."
    }
}

/// Why a lookup found nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// There are none: the name does not exist, or has no records of this kind.
    #[error("there are no such records")]
    NoRecords,
    /// The resolver cannot look SRV records up.
    #[error("SRV records cannot be looked up here; build with the feature hickory")]
    Unsupported,
    /// It is not known whom to ask.
    #[error("no name server to ask ({reason}); see /etc/resolv.conf, or name a server")]
    NoNameServer {
        /// What was missing.
        reason: String,
    },
    /// DNS cannot hold such a name.
    #[error("this is no name that DNS can hold; check the domain")]
    BadName,
    /// The name server answered, but could not or would not say.
    #[error("the name server answered '{code}'; try later, or ask another")]
    ServerFailed {
        /// The response code, in words.
        code: String,
    },
    /// The time was over.
    #[error("the name server took too long to answer; try again, or ask another")]
    TimedOut,
    /// Something else went wrong.
    #[error("{reason}")]
    Failed {
        /// What the resolver says.
        reason: String,
    },
}

/// No more records than this are taken from one answer.
pub(crate) const MAX_RECORDS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_knows_a_refusal() {
        let target = |target: &str| SrvRecord::new(1, 2, 3, target);
        assert_eq!(target("a.example.").target, "a.example");
        assert_eq!(target("a.example").target, "a.example");
        assert!(target(".").is_refusal());
        assert!(!target("a.example.").is_refusal());
        assert!(!target("").is_refusal());
    }
}
