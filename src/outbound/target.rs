//! A URL as it may be fetched, taken apart once: whom to ask, and for what.

use std::fmt;
use std::net::IpAddr;

use axum::http::{HeaderValue, Uri};
use url::Url;

use super::FetchError;

/// Longer URLs are not fetched.
const LONGEST_URL: usize = 2_048;

/// Whom to ask, and for what.
#[derive(Debug)]
pub(super) struct Target {
    pub host: Host,
    pub port: u16,
    pub tls: bool,
    /// The `Host` header.
    pub authority: HeaderValue,
    pub path_and_query: Uri,
}

/// The host of a URL.
#[derive(Debug)]
pub(super) enum Host {
    Name(String),
    Address(IpAddr),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl Target {
    /// Takes a URL apart: `https` or `http`, no user name, no fragment, and nothing that a lenient parser would have to repair.
    pub(super) fn parse(text: &str) -> Result<Self, FetchError> {
        let refuse_if = |wrong, why| if wrong { Err(FetchError::Url(why)) } else { Ok(()) };
        refuse_if(text.len() > LONGEST_URL, "it is too long")?;
        refuse_if(!text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\'), "it has characters that no URL has")?;
        let url = Url::parse(text).map_err(|_| FetchError::Url("it is not a URL"))?;
        let tls = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(FetchError::Url("its scheme is not https")),
        };
        // The parser takes `https:host` and `https:///host` as well.
        let after_scheme = text.get(url.scheme().len()..).unwrap_or_default();
        let proper = after_scheme.strip_prefix("://").is_some_and(|rest| !rest.starts_with('/'));
        refuse_if(!proper, "its scheme is not followed by two slashes and a host")?;
        let authority = after_scheme.trim_start_matches("://").split(['/', '?', '#']).next().unwrap_or_default();
        refuse_if(authority.contains('@'), "it has a user name")?;
        refuse_if(url.fragment().is_some(), "it has a fragment")?;
        let host = match url.host() {
            Some(url::Host::Domain(name)) => Host::Name(name.to_owned()),
            Some(url::Host::Ipv4(address)) => Host::Address(address.into()),
            Some(url::Host::Ipv6(address)) => Host::Address(address.into()),
            None => return Err(FetchError::Url("it has no host")),
        };
        let port = url.port_or_known_default().filter(|port| *port != 0).ok_or(FetchError::Url("its port is 0"))?;
        let unsendable = FetchError::Url("it cannot be sent");
        let authority = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => HeaderValue::try_from(format!("{host}:{port}")),
            (host, _) => HeaderValue::try_from(host.unwrap_or_default()),
        };
        let Ok(authority) = authority else { return Err(unsendable) };
        let Ok(path_and_query) = url[url::Position::BeforePath..].parse() else { return Err(unsendable) };
        Ok(Self { host, port, tls, authority, path_and_query })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let table = [
            ("https://app.example", "app.example", 443, true, "app.example", "/"),
            ("https://app.example:443/keys", "app.example", 443, true, "app.example", "/keys"),
            ("https://APP.example:8443/a/../b?c=d%20e", "app.example", 8443, true, "app.example:8443", "/b?c=d%20e"),
            ("http://127.0.0.1:9/keys", "127.0.0.1", 9, false, "127.0.0.1:9", "/keys"),
            ("https://[2a00::1]/keys", "2a00::1", 443, true, "[2a00::1]", "/keys"),
            // However an address is written, it is checked as what it is.
            ("https://0x7f.1/", "127.0.0.1", 443, true, "127.0.0.1", "/"),
            ("https://2130706433/", "127.0.0.1", 443, true, "127.0.0.1", "/"),
            ("https://127.0.0.1./", "127.0.0.1", 443, true, "127.0.0.1", "/"),
            ("https://%31%32%37.0.0.1/", "127.0.0.1", 443, true, "127.0.0.1", "/"),
            ("https://[::ffff:7f00:1]/", "::ffff:127.0.0.1", 443, true, "[::ffff:7f00:1]", "/"),
        ];
        for (url, host, port, tls, authority, path_and_query) in table {
            let target = Target::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!((target.host.to_string().as_str(), target.port, target.tls), (host, port, tls), "{url}");
            assert_eq!(
                (target.authority.to_str().unwrap(), target.path_and_query.to_string().as_str()),
                (authority, path_and_query),
                "{url}"
            );
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let long = format!("https://app.example/{}", "a".repeat(LONGEST_URL));
        let refused = [
            "",
            "app.example",
            "/keys",
            "ftp://app.example/",
            "file:///etc/passwd",
            "gopher://app.example/",
            "data:application/json,{}",
            "javascript:alert(1)",
            "unix:///run/socket",
            "https:",
            "https://",
            "https:///app.example/",
            "https:app.example",
            "https:/app.example",
            "https:\\\\app.example",
            "https://app.example\\@inside/",
            "https://user@app.example/",
            "https://user:password@app.example/",
            "https://@app.example/",
            "https://:@app.example/",
            "https://app.example/#",
            "https://app.example/#a",
            "https://app.example:0/",
            "https://app.example:65536/",
            "https://app.example/a b",
            " https://app.example/",
            "https://app.example/\r\nHost: inside",
            "https://app.ex\tample/",
            "https://\u{e4}pp.example/",
            "https://[::1",
            "https://1.2.3.4.5/",
            "https://256.1.1.1/",
            &long,
        ];
        for url in refused {
            assert!(matches!(Target::parse(url), Err(FetchError::Url(_))), "{url:?}");
        }
    }
}
