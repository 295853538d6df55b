//! Where the brokers are: `pulsar://host:port,host:port`.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};

/// Host and port of one broker or proxy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// A name or an IP address; IPv6 without brackets.
    pub host: String,
    pub port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A service URL, taken apart. There is at least one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceUrl {
    pub tls: bool,
    pub addresses: Vec<Address>,
}

impl ServiceUrl {
    pub fn parse(url: &str) -> Result<Self> {
        let refuse = |reason: &str| {
            let context = format!(
                "service URL {:?}: {reason}; expected pulsar://host:port or pulsar+ssl://host:port",
                without_credentials(url)
            );
            Error::new(ErrorKind::InvalidOption, context)
        };
        let (scheme, rest) = url.trim().split_once("://").ok_or_else(|| refuse("there is no scheme"))?;
        let tls = match scheme {
            "pulsar" => false,
            "pulsar+ssl" => true,
            "http" | "https" => return Err(refuse("lookup over HTTP is not supported")),
            _ => return Err(refuse("the scheme is unknown")),
        };
        let default_port = if tls { 6651 } else { 6650 };
        let addresses = rest
            .strip_suffix('/')
            .unwrap_or(rest)
            .split(',')
            .map(|part| address(part, default_port).map_err(refuse))
            .collect::<Result<_>>()?;
        Ok(Self { tls, addresses })
    }
}

fn address(text: &str, default_port: u16) -> Result<Address, &'static str> {
    let text = text.trim();
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or("a bracket is not closed")?;
        match after.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if after.is_empty() => (host, None),
            None => return Err("there is text after the bracket"),
        }
    } else {
        match text.split_once(':') {
            Some((_, port)) if port.contains(':') => return Err("an IPv6 address needs brackets"),
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    if host.is_empty() {
        return Err("a host is missing");
    }
    if host.contains(['/', '?', '#', '@']) || host.contains(char::is_whitespace) {
        return Err("a host has a character that hosts cannot have");
    }
    let port = match port {
        None => default_port,
        Some(port) => match port.parse() {
            Ok(0) | Err(_) => return Err("a port is not a number from 1 to 65535"),
            Ok(port) => port,
        },
    };
    Ok(Address { host: host.to_owned(), port })
}

/// The URL as it may be shown: what stands before an `@` could be a password.
fn without_credentials(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(url: &str) -> Vec<String> {
        ServiceUrl::parse(url).unwrap().addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn hosts_ports_and_schemes() {
        assert_eq!(addresses("pulsar://localhost"), ["localhost:6650"]);
        assert_eq!(addresses("pulsar+ssl://broker"), ["broker:6651"]);
        assert_eq!(addresses("pulsar://a:1,b:2, c/"), ["a:1", "b:2", "c:6650"]);
        assert_eq!(addresses("pulsar://[::1]:7000,[fe80::1]"), ["[::1]:7000", "[fe80::1]:6650"]);
        assert!(ServiceUrl::parse("pulsar+ssl://x").unwrap().tls);
    }

    #[test]
    fn malformed_urls_are_refused_with_a_reason() {
        for (url, reason) in [
            ("localhost:6650", "no scheme"),
            ("http://localhost:8080", "HTTP"),
            ("kafka://x", "scheme is unknown"),
            ("pulsar://", "host is missing"),
            ("pulsar://a,,b", "host is missing"),
            ("pulsar://a:0", "port"),
            ("pulsar://a:65536", "port"),
            ("pulsar://a:b", "port"),
            ("pulsar://::1", "brackets"),
            ("pulsar://[::1", "bracket"),
            ("pulsar://[::1]x", "bracket"),
            ("pulsar://a/b", "character"),
        ] {
            let error = ServiceUrl::parse(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidOption, "{url}");
            assert!(error.context().contains(reason), "{url}: {error}");
        }
    }

    #[test]
    fn a_password_in_the_url_is_not_shown() {
        let error = ServiceUrl::parse("pulsar://user:secret@host:1").unwrap_err();
        assert!(!error.to_string().contains("secret"));
    }
}
