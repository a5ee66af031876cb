//! Redirect URIs: what may be registered, and what matches (RFC 9700 §2.1, §4.1.3; RFC 8252 §7).

use url::{Host, Url};

use super::client::ApplicationType;

/// A redirect URI that passed the rules for registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectUri(String);

/// Why a redirect URI cannot be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedirectUriError {
    #[error("is not an absolute URI")]
    NotAbsolute,
    #[error("has a fragment")]
    Fragment,
    #[error("has a user name or password")]
    UserInfo,
    #[error("has a wildcard")]
    Wildcard,
    #[error("has a character that a URI cannot have")]
    Character,
    #[error("uses http: only https is allowed, or http on a loopback address for a native app")]
    Insecure,
    #[error("uses a scheme that only a native app may use, and which must then have a dot in it (a reversed domain name)")]
    Scheme,
}

impl RedirectUri {
    /// Checks `text` by the rules for clients of `kind`.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn parse(text: &str, kind: ApplicationType) -> Result<Self, RedirectUriError> {
        if !has_uri_characters(text) {
            return Err(RedirectUriError::Character);
        }
        let url = Url::parse(text).map_err(|_| RedirectUriError::NotAbsolute)?;
        if text.contains('#') {
            return Err(RedirectUriError::Fragment);
        }
        if !url.username().is_empty() || url.password().is_some() || authority(text).contains('@') {
            return Err(RedirectUriError::UserInfo);
        }
        if text.contains('*') {
            return Err(RedirectUriError::Wildcard);
        }
        match url.scheme() {
            "https" | "http" if !names_host(text) => Err(RedirectUriError::NotAbsolute),
            "https" if url.has_host() => Ok(()),
            // `localhost` may resolve elsewhere, but only to where the machine's owner sends it (RFC 8252 §8.3 discourages, not forbids).
            "http" if is_loopback(&url) => Ok(()),
            "http" => Err(RedirectUriError::Insecure),
            "https" => Err(RedirectUriError::NotAbsolute),
            custom if kind == ApplicationType::Native && custom.contains('.') => Ok(()),
            _ => Err(RedirectUriError::Scheme),
        }?;
        Ok(Self(text.to_owned()))
    }

    /// The URI, as registered.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether `sent` is the registered URI: character by character, except that the port of a loopback IP literal may vary
/// (RFC 8252 §7.3).
pub fn matches(registered: &str, sent: &str) -> bool {
    registered == sent
        || match (without_loopback_port(registered), without_loopback_port(sent)) {
            (Some(registered), Some(sent)) => registered == sent,
            _ => false,
        }
}

/// Whether every character is one that a URI may have (RFC 3986 §2).
pub fn has_uri_characters(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'\\' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}'))
}

/// Whether a web address says its host after `//`, as RFC 9110 §4.2 wants it. `https:app.example/x` has one by the WHATWG's rules where it stands
/// alone; but on a page of ours it is relative, and leads to a path of ours.
pub fn names_host(text: &str) -> bool {
    let rest = text.split_once(':').and_then(|(_, rest)| rest.strip_prefix("//"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
}

/// Whether the answer stays on the person's device, with whatever listens there or is installed there (RFC 8252 §7).
pub fn is_on_device(uri: &str) -> bool {
    Url::parse(uri).is_ok_and(|url| !matches!(url.scheme(), "https" | "http") || is_loopback(&url))
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// What lies between `//` and the next `/`, `?` or `#`.
fn authority(text: &str) -> &str {
    let rest = text.split_once("//").map_or("", |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or("")
}

/// The two parts around the port of `http://127.0.0.1:<port>…` or `http://[::1]:<port>…`; `None` for anything else.
fn without_loopback_port(text: &str) -> Option<(&str, &str)> {
    ["http://127.0.0.1", "http://[::1]"].into_iter().find_map(|prefix| {
        let rest = text.strip_prefix(prefix)?;
        let Some(after_colon) = rest.strip_prefix(':') else {
            return (rest.is_empty() || rest.starts_with(['/', '?'])).then_some((prefix, rest));
        };
        let end = after_colon.find(|c: char| !c.is_ascii_digit()).unwrap_or(after_colon.len());
        let (port, tail) = after_colon.split_at(end);
        (port.parse::<u16>().is_ok() && (tail.is_empty() || tail.starts_with(['/', '?']))).then_some((prefix, tail))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_registered() {
        let web = |text| RedirectUri::parse(text, ApplicationType::Web).map(|_| ());
        let native = |text| RedirectUri::parse(text, ApplicationType::Native).map(|_| ());
        assert_eq!(web("https://app.example/cb?x=1"), Ok(()));
        assert_eq!(web("http://localhost:8001/callback"), Ok(()));
        assert_eq!(web("http://app.example/cb"), Err(RedirectUriError::Insecure));
        assert_eq!(web("http://127.0.0.1.example.com/cb"), Err(RedirectUriError::Insecure));
        assert_eq!(web("https://app.example/cb#x"), Err(RedirectUriError::Fragment));
        assert_eq!(web("https://user@app.example/cb"), Err(RedirectUriError::UserInfo));
        assert_eq!(web("https://@app.example/cb"), Err(RedirectUriError::UserInfo));
        assert_eq!(web("https://*.app.example/cb"), Err(RedirectUriError::Wildcard));
        assert_eq!(web("https://app.example\\@evil.example/cb"), Err(RedirectUriError::Character));
        assert_eq!(web("javascript:alert(1)"), Err(RedirectUriError::Scheme));
        assert_eq!(web("com.example.app:/cb"), Err(RedirectUriError::Scheme));
        assert_eq!(native("com.example.app:/cb"), Ok(()));
        assert_eq!(native("data:text/html,x"), Err(RedirectUriError::Scheme));
        assert_eq!(web("/relative"), Err(RedirectUriError::NotAbsolute));
        assert_eq!(web("HTTPS://app.example/cb"), Ok(()));
        for elsewhere in
            ["https:app.example/cb", "https:/cb", "https:///app.example/cb", "http:localhost/cb", "http:/127.0.0.1/cb"]
        {
            assert_eq!(web(elsewhere), Err(RedirectUriError::NotAbsolute), "{elsewhere}");
            assert_eq!(native(elsewhere), Err(RedirectUriError::NotAbsolute), "{elsewhere}");
        }
    }

    #[test]
    fn only_a_loopback_port_may_vary() {
        assert!(matches("http://127.0.0.1/cb", "http://127.0.0.1:49152/cb"));
        assert!(matches("http://[::1]:1/cb?a=b", "http://[::1]:2/cb?a=b"));
        assert!(!matches("http://127.0.0.1/cb", "http://127.0.0.1:49152/cb/"));
        assert!(!matches("http://127.0.0.1/cb", "http://[::1]/cb"));
        assert!(!matches("http://127.0.0.1/cb", "http://127.0.0.1:1@evil.example/cb"));
        assert!(!matches("http://127.0.0.1/cb", "http://127.0.0.1:99999/cb"));
        assert!(!matches("http://127.0.0.1", "http://127.0.0.1.evil.example"));
        assert!(!matches("http://localhost:1/cb", "http://localhost:2/cb"));
        assert!(!matches("https://app.example/cb", "https://app.example:443/cb"));
        assert!(!matches("https://app.example/cb", "https://APP.example/cb"));
        assert!(!matches("https://app.example/cb", "https://app.example/%63b"));
    }
}
