//! Which address a request comes from, for rate limits and audit events. `Host` and `X-Forwarded-Host` are not read anywhere:
//! the issuer comes from the configuration alone.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

/// The right-most address of `X-Forwarded-For` that is not a trusted proxy; the peer itself unless that is one.
///
/// From the right, because each proxy appends whom it saw: everything left of the first stranger is the stranger's claim.
/// A hop that is no address ends the walk at the proxy that reported it. An IPv4 address written as IPv6 becomes IPv4.
pub fn client_ip(peer: SocketAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |ip: IpAddr| trusted.iter().any(|network| network.contains(&ip));
    let mut client = peer.ip().to_canonical();
    if !is_trusted(client) {
        return client;
    }
    for value in headers.get_all("x-forwarded-for").iter().rev() {
        for hop in value.as_bytes().rsplit(|&b| b == b',') {
            let Some(hop) = parse_hop(hop) else { return client };
            client = hop;
            if !is_trusted(client) {
                return client;
            }
        }
    }
    client
}

/// What one client is counted by: an IPv4 address, or the /64 network of an IPv6 address, which one household has whole.
pub fn rate_limit_key(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("{}/64", Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

/// An address, as proxies write it: bare, with a port, or in brackets.
fn parse_hop(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?.trim();
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let ip = bracketed.parse::<IpAddr>().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))?;
    Some(ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn seen(peer: &str, forwarded: &[&str]) -> IpAddr {
        let headers = forwarded.iter().map(|line| ("x-forwarded-for".parse().unwrap(), HeaderValue::from_str(line).unwrap()));
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        client_ip(SocketAddr::new(ip(peer), 1), &headers.collect(), &trusted)
    }

    #[test]
    fn a_strangers_header_is_not_believed() {
        assert_eq!(seen("203.0.113.9", &["198.51.100.1"]), ip("203.0.113.9"));
    }

    #[test]
    fn the_last_hop_before_the_proxies_counts() {
        assert_eq!(seen("10.0.0.1", &["198.51.100.1"]), ip("198.51.100.1"));
        assert_eq!(seen("10.0.0.1", &["6.6.6.6, 198.51.100.1, 10.0.0.2"]), ip("198.51.100.1"));
        assert_eq!(seen("10.0.0.1", &["6.6.6.6", "198.51.100.1,10.0.0.2"]), ip("198.51.100.1"));
        assert_eq!(seen("fd00::1", &["[2001:db8::7]:4711"]), ip("2001:db8::7"));
        assert_eq!(seen("fd00::1", &["[2001:db8::7]"]), ip("2001:db8::7"));
        assert_eq!(seen("10.0.0.1", &["198.51.100.1:4711"]), ip("198.51.100.1"));
        assert_eq!(seen("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), ip("10.0.0.3"), "all are proxies: the farthest");
        assert_eq!(seen("10.0.0.1", &[]), ip("10.0.0.1"));
    }

    #[test]
    fn a_hop_that_is_no_address_ends_the_walk() {
        assert_eq!(seen("10.0.0.1", &["198.51.100.1, unknown, 10.0.0.2"]), ip("10.0.0.2"));
        assert_eq!(seen("10.0.0.1", &["198.51.100.1,"]), ip("10.0.0.1"));
    }

    #[test]
    fn ipv4_written_as_ipv6_is_ipv4() {
        assert_eq!(seen("::ffff:10.0.0.1", &["::ffff:198.51.100.1"]), ip("198.51.100.1"));
        assert_eq!(seen("::ffff:203.0.113.9", &["198.51.100.1"]), ip("203.0.113.9"));
        assert_eq!(rate_limit_key(ip("::ffff:198.51.100.1")), "198.51.100.1");
    }

    #[test]
    fn a_household_is_counted_once() {
        assert_eq!(rate_limit_key(ip("2001:db8:1:2:3:4:5:6")), rate_limit_key(ip("2001:db8:1:2:ffff::1")));
        assert_ne!(rate_limit_key(ip("2001:db8:1:2::1")), rate_limit_key(ip("2001:db8:1:3::1")));
        assert_eq!(rate_limit_key(ip("2001:db8:1:2::1")), "2001:db8:1:2::/64");
    }

    proptest! {
        #[test]
        fn whatever_the_client_claims_its_proxy_decides(claim in "[ -~]{0,60}", real: std::net::Ipv4Addr) {
            prop_assume!(real.octets()[0] != 10);
            prop_assert_eq!(seen("10.0.0.1", &[&format!("{claim}, {real}")]), IpAddr::V4(real));
            prop_assert_eq!(seen("10.0.0.1", &[&claim, &real.to_string()]), IpAddr::V4(real));
        }

        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse_hop(&bytes);
        }
    }
}
