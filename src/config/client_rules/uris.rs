//! Addresses: where browsers are sent, what becomes a link, what this provider fetches or calls.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::{Host, Url};

use super::{MOST_VALUES, few, refuse_if};
use crate::config::Config;
use crate::model::client::{AuthMethod, ClientMetadata};
use crate::model::{RedirectUri, redirect_uri};

/// The longest address, in bytes: what proxies and browsers take.
const LONGEST_URI: usize = 2_000;

/// The most `request_uris`.
const MOST_REQUEST_URIS: usize = 20;

pub(super) fn check(metadata: &ClientMetadata, config: &Config, broken: &mut Vec<String>) {
    // The same rules for both: a browser is sent there too, and what must not happen on the way in must not on the way out.
    let lists = [("redirect_uris", &metadata.redirect_uris), ("post_logout_redirect_uris", &metadata.post_logout_redirect_uris)];
    for (name, list) in lists {
        if !few(name, list, MOST_VALUES, broken) {
            continue;
        }
        for uri in list {
            match RedirectUri::parse(uri, metadata.application_type) {
                Err(error) => broken.push(format!("{name}: {} {error}", shown(uri))),
                Ok(_) => refuse_if(uri.len() > LONGEST_URI, format!("{name}: one is longer than {LONGEST_URI} bytes"), broken),
            }
        }
    }
    links(metadata, broken);
    let sector = metadata.sector_identifier_uri.as_deref().and_then(|uri| fetched(uri, config));
    broken.extend(sector.map(|what| format!("sector_identifier_uri: {what}")));
    if few("request_uris", &metadata.request_uris, MOST_REQUEST_URIS, broken) {
        for what in metadata.request_uris.iter().filter_map(|uri| wrong_request_uri(uri, config)) {
            broken.push(format!("request_uris: {what}"));
        }
    }
    if let Some(uri) = &metadata.initiate_login_uri {
        // OpenID Connect Core §4: https, without exception.
        let right = web_address(uri).is_some_and(|url| url.scheme() == "https");
        refuse_if(!right, "initiate_login_uri: must be an https URL", broken);
    }
    logout(metadata, config, broken);
}

fn links(metadata: &ClientMetadata, broken: &mut Vec<String>) {
    let links = [
        ("client_uri", &metadata.client_uri),
        ("logo_uri", &metadata.logo_uri),
        ("policy_uri", &metadata.policy_uri),
        ("tos_uri", &metadata.tos_uri),
    ];
    let plain = links.into_iter().filter_map(|(name, uri)| Some((name, uri.as_deref()?)));
    let is_link = |member: &str| member.split_once('#').is_some_and(|(name, _)| links.iter().any(|(link, _)| *link == name));
    let localized = metadata.localized.iter().filter(|(member, _)| is_link(member));
    for (name, uri) in plain.chain(localized.map(|(name, uri)| (name.as_str(), uri.as_str()))) {
        // They become links on the consent page, where `javascript:` must never stand.
        let right = web_address(uri).is_some();
        refuse_if(!right, format!("{name}: {} is not a URL; it must begin with https:// or http://", shown(uri)), broken);
    }
}

fn wrong_request_uri(uri: &str, config: &Config) -> Option<String> {
    let (address, hash) = uri.split_once('#').map_or((uri, None), |(address, hash)| (address, Some(hash)));
    // OpenID Connect Core §6.2: the fragment, if there is one, is the SHA-256 hash of what is found there.
    let is_hash = |hash: &str| URL_SAFE_NO_PAD.decode(hash).is_ok_and(|bytes| bytes.len() == 32);
    match hash {
        Some(hash) if !is_hash(hash) => {
            Some("the fragment must be the SHA-256 hash of the request object in base64url".to_owned())
        }
        _ => fetched(address, config),
    }
}

fn logout(metadata: &ClientMetadata, config: &Config, broken: &mut Vec<String>) {
    if let Some(uri) = &metadata.backchannel_logout_uri {
        let what = match fetched(uri, config) {
            // OpenID Connect Back-Channel Logout 1.0 §2.2: http is for confidential clients alone.
            None if uri.starts_with("http:") && metadata.token_endpoint_auth_method == AuthMethod::None => {
                Some("must be an https URL, since the client is public".to_owned())
            }
            what => what,
        };
        broken.extend(what.map(|what| format!("backchannel_logout_uri: {what}")));
    }
    if let Some(uri) = &metadata.frontchannel_logout_uri {
        // OpenID Connect Front-Channel Logout 1.0 §2: where a frame may point.
        let own = web_address(uri).is_some_and(|url| {
            let at_home = |redirect_uri: &String| Url::parse(redirect_uri).is_ok_and(|other| other.origin() == url.origin());
            RedirectUri::parse(uri, metadata.application_type).is_ok() && metadata.redirect_uris.iter().any(at_home)
        });
        refuse_if(!own, "frontchannel_logout_uri: must have the scheme, host and port of one of the redirect_uris", broken);
    }
}

/// Why this provider cannot fetch from, or post to, such an address; none if it can. Whether the host's address may be reached is seen
/// when it is resolved (`outbound`).
pub(super) fn fetched(uri: &str, config: &Config) -> Option<String> {
    let Some(url) = web_address(uri) else { return Some(format!("{} is not an https URL", shown(uri))) };
    if uri.contains('#') {
        return Some(format!("{} has a fragment", shown(uri)));
    }
    let allowed = &config.outbound.allow_networks;
    let inside = match url.host() {
        Some(Host::Ipv4(ip)) => allowed.iter().any(|network| network.contains(&IpAddr::V4(ip))),
        Some(Host::Ipv6(ip)) => allowed.iter().any(|network| network.contains(&IpAddr::V6(ip))),
        _ => !allowed.is_empty(),
    };
    let wrong = url.scheme() != "https" && !inside;
    wrong.then(|| format!("{} must begin with https://", shown(uri)))
}

/// An `http` or `https` URL with a host, without user name, of bounded length, and of characters that a URI may have.
fn web_address(uri: &str) -> Option<Url> {
    let url = Url::parse(uri).ok().filter(|_| uri.len() <= LONGEST_URI && redirect_uri::has_uri_characters(uri))?;
    let right =
        matches!(url.scheme(), "https" | "http") && url.has_host() && url.username().is_empty() && url.password().is_none();
    (right && redirect_uri::names_host(uri)).then_some(url)
}

/// An address in a message: not longer than a line or two.
fn shown(uri: &str) -> String {
    match uri.char_indices().nth(100) {
        Some((end, _)) => format!("{}…", uri.get(..end).unwrap_or_default()),
        None => uri.to_owned(),
    }
}
