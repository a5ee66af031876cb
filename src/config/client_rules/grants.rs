//! Grants and response types: each needs the other, and something to stand on (OpenID Connect Registration 1.0 §2, RFC 7591 §2.1).

use url::Url;

use super::refuse_if;
use crate::config::Config;
use crate::model::ClientMetadata;
use crate::model::client::{ApplicationType, AuthMethod, GrantType, ResponseType, SubjectType};
use crate::model::sector::sector;

pub(super) fn check(metadata: &ClientMetadata, config: &Config, broken: &mut Vec<String>) {
    let uses = |grant: GrantType| metadata.grant_types.contains(&grant);
    let public = metadata.token_endpoint_auth_method == AuthMethod::None;
    refuse_if(metadata.grant_types.len() > GrantType::ALL.len(), "grant_types: has a value twice", broken);
    refuse_if(metadata.response_types.len() > 1 + ResponseType::LEGACY.len(), "response_types: has a value twice", broken);
    refuse_if(
        (uses(GrantType::AuthorizationCode) || uses(GrantType::Implicit)) && metadata.redirect_uris.is_empty(),
        "redirect_uris: is empty; authorization_code needs at least one (or set grant_types to those that are meant)",
        broken,
    );
    refuse_if(
        uses(GrantType::ClientCredentials) && public,
        "grant_types: client_credentials is not for a public client; choose another token_endpoint_auth_method",
        broken,
    );
    refuse_if(
        uses(GrantType::TokenExchange) && public,
        "grant_types: token exchange is not for a public client; choose another token_endpoint_auth_method",
        broken,
    );
    refuse_if(
        uses(GrantType::RefreshToken) && !uses(GrantType::AuthorizationCode) && !uses(GrantType::DeviceCode),
        "grant_types: refresh_token needs authorization_code or device_code beside it",
        broken,
    );
    refuse_if(
        !metadata.token_exchange.is_empty() && !uses(GrantType::TokenExchange),
        "token_exchange: says how, but grant_types does not have the grant",
        broken,
    );
    refuse_if(metadata.token_exchange.len() > 2, "token_exchange: has a value twice", broken);
    refuse_if(
        !metadata.resource_server_for.is_empty() && public,
        "resource_server_for: a resource server must authenticate to introspect (RFC 7662 §2.1); choose another token_endpoint_auth_method",
        broken,
    );
    response_types(metadata, config, broken);
    pairwise(metadata, broken);
}

fn response_types(metadata: &ClientMetadata, config: &Config, broken: &mut Vec<String>) {
    let uses = |grant: GrantType| metadata.grant_types.contains(&grant);
    let legacy = metadata.response_types.iter().any(|wanted| wanted.is_legacy());
    if !config.oauth.legacy_response_types {
        let switch = "needs oauth.legacy_response_types, which is off (RFC 9700 §2.1.2)";
        refuse_if(legacy, format!("response_types: all but code {switch}"), broken);
        refuse_if(uses(GrantType::Implicit), format!("grant_types: implicit {switch}"), broken);
        return;
    }
    for wanted in &metadata.response_types {
        // What a client has that says nothing; beside other grants it is of no use and no harm.
        if *wanted == ResponseType::CODE {
            continue;
        }
        let needed = [GrantType::Implicit].into_iter().chain(wanted.code.then_some(GrantType::AuthorizationCode));
        for grant in needed.filter(|grant| !uses(*grant)) {
            broken.push(format!("response_types: {} needs the grant {}", wanted.as_str(), grant.as_str()));
        }
    }
    // OpenID Connect Registration 1.0 §2, application_type: tokens go to a host that is not the reader's own, encrypted on the way.
    if uses(GrantType::Implicit) && metadata.application_type == ApplicationType::Web {
        let local = |uri: &String| {
            Url::parse(uri).is_ok_and(|url| {
                url.scheme() != "https" || url.host_str().is_some_and(|host| host == "localhost" || host.ends_with(".localhost"))
            })
        };
        refuse_if(
            metadata.redirect_uris.iter().any(local),
            "redirect_uris: with the implicit grant, those of a web app must be https and not on localhost",
            broken,
        );
    }
}

/// OpenID Connect Core §8.1: what is pairwise is so for one host, or for those that a sector lists.
fn pairwise(metadata: &ClientMetadata, broken: &mut Vec<String>) {
    refuse_if(
        metadata.subject_type == SubjectType::Pairwise && sector(metadata).is_none(),
        "sector_identifier_uri: is missing; pairwise subjects need it unless all redirect_uris have the same host, and not a loopback one",
        broken,
    );
}
