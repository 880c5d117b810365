//! Who may talk to this server: requests that name it, from pages that it served itself (D16).
//!
//! There is no login, so a web page in a user's browser must not reach the API. A page of another site is
//! told apart by its `Origin`; a page that made its own name point here is told apart by its `Host`.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use ::http::header::{HOST, ORIGIN};
use ::http::uri::Authority;
use ::http::{HeaderMap, Uri};

/// The names under which this server lets itself be called.
#[derive(Debug, Clone)]
pub struct Hosts {
    bound: IpAddr,
    configured: BTreeSet<String>,
}

/// Why a request is not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    /// No host is named, or something that is not a host.
    #[error("the request does not say which host it is for")]
    NoHost,
    /// The host is not one of ours.
    #[error("this server is not called `{host}`; if it should be, start it with --host {host}")]
    UnknownHost {
        /// What the request named.
        host: String,
    },
    /// The request was made by a page of another site.
    #[error("requests made by pages of `{origin}` are not answered")]
    ForeignOrigin {
        /// As the browser sent it.
        origin: String,
    },
}

impl Hosts {
    /// Loopback names, the address listened on, and the `configured` names.
    #[must_use]
    pub fn new(bound: SocketAddr, configured: &[String]) -> Self {
        Self { bound: bound.ip(), configured: configured.iter().map(|name| name.to_ascii_lowercase()).collect() }
    }

    /// Lets a request with this target and these headers pass, or says why not.
    ///
    /// # Errors
    /// [`Stranger`].
    pub fn admit(&self, target: &Uri, headers: &HeaderMap) -> Result<(), Stranger> {
        let header = |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let host: Authority = header(HOST).and_then(|text| text.parse().ok()).ok_or(Stranger::NoHost)?;
        for named in [Some(&host), target.authority()].into_iter().flatten() {
            if !self.knows(named.host()) {
                return Err(Stranger::UnknownHost { host: named.host().to_owned() });
            }
        }
        match header(ORIGIN) {
            Some(origin) if !self.is_own_page(&origin, &host) => Err(Stranger::ForeignOrigin { origin }),
            Some(_) | None => Ok(()),
        }
    }

    fn knows(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let host = host.trim_end_matches('.');
        if self.configured.contains(host) || host == "localhost" || host.ends_with(".localhost") {
            return true;
        }
        match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            // Bound to every address of the machine, each of them is a name of the server. An address
            // cannot be turned on us by a foreign name server, so any will do.
            Ok(address) => address.is_loopback() || address == self.bound || self.bound.is_unspecified(),
            Err(_) => false,
        }
    }

    /// A page's origin is its own when it has the authority that the request is for. A proxy may call us
    /// by another name than the page was called by; the page's name is then one of the configured.
    fn is_own_page(&self, origin: &str, host: &Authority) -> bool {
        let authority = origin.split_once("://").and_then(|(_, rest)| rest.parse::<Authority>().ok());
        authority.is_some_and(|page| page == *host || self.configured.contains(&page.host().to_ascii_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(bound: &str, target: &str, headers: &[(&'static str, &str)]) -> Result<(), Stranger> {
        let hosts = Hosts::new(bound.parse().unwrap(), &["Knit.Example.com".to_owned()]);
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        hosts.admit(&target.parse().unwrap(), &headers)
    }

    #[test]
    fn loopback_names_the_bound_address_and_configured_names_are_ours() {
        for host in ["localhost:30803", "LOCALHOST", "127.0.0.1:30803", "127.9.9.9", "[::1]:30803", "knit.localhost"] {
            assert_eq!(admit("127.0.0.1:30803", "/api/data", &[("host", host)]), Ok(()), "{host}");
        }
        assert_eq!(admit("192.168.0.9:30803", "/", &[("host", "192.168.0.9:30803")]), Ok(()));
        assert_eq!(admit("0.0.0.0:30803", "/", &[("host", "10.1.2.3:30803")]), Ok(()));
        assert_eq!(admit("127.0.0.1:30803", "/", &[("host", "knit.example.COM:443")]), Ok(()));
    }

    #[test]
    fn any_other_name_is_refused_even_if_it_points_here() {
        for host in ["evil.example", "127.0.0.1.evil.example", "192.168.0.9", "localhost.evil"] {
            let refused = admit("127.0.0.1:30803", "/", &[("host", host)]);
            assert_eq!(refused, Err(Stranger::UnknownHost { host: host.to_owned() }));
        }
        assert_eq!(admit("127.0.0.1:30803", "/", &[]), Err(Stranger::NoHost));
        let absolute = admit("127.0.0.1:30803", "http://evil.example/api", &[("host", "localhost")]);
        assert!(matches!(absolute, Err(Stranger::UnknownHost { .. })));
    }

    #[test]
    fn only_pages_of_this_server_may_ask() {
        let of = |origin| admit("127.0.0.1:30803", "/", &[("host", "localhost:30803"), ("origin", origin)]);
        assert_eq!(of("http://localhost:30803"), Ok(()));
        assert_eq!(of("https://knit.example.com"), Ok(()));
        for foreign in ["http://localhost:3000", "http://evil.example", "null", ""] {
            assert_eq!(of(foreign), Err(Stranger::ForeignOrigin { origin: foreign.to_owned() }));
        }
    }
}
