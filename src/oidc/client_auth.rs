//! Who is this client? (RFC 6749 §2.3, OpenID Connect Core §9.) Whatever is wrong, the client learns only `invalid_client`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::app::App;
use crate::clock::Timestamp;
use crate::error::{ErrorCode, OAuthError};
use crate::http::basic_auth;
use crate::http::params::Params;
use crate::keyring;
use crate::model::client::{AuthMethod, ClientAlgorithm};
use crate::model::{Client, Secret};
use crate::oidc::{client_document, client_keys, client_secret};
use crate::store::clients;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A client assertion is made for one request: one that is good for longer than this is refused (RFC 7523 §3).
const LONGEST_ASSERTION: Duration = Duration::from_secs(600);

/// Where clients present assertions, below the issuer.
const ASSERTION_ENDPOINTS: [&str; 5] = ["/token", "/revoke", "/introspect", "/par", "/device_authorization"];

/// What the client sent to prove who it is.
enum Proof {
    Nothing,
    Basic(Secret),
    Post(Secret),
    Assertion(String),
}

/// Authenticates the client of a request.
///
/// # Errors
/// `invalid_client`; `invalid_request` if more than one method is used (RFC 6749 §2.3).
pub async fn authenticate(app: &App, headers: &HeaderMap, params: &Params<'_>) -> Result<Arc<Client>, OAuthError> {
    let (client_id, proof) = read(headers, params)?;
    let client = match app.clients.find(&app.store, &client_id, app.now()).await? {
        Some(client) => client_document::follow(app, client).await?,
        None => None,
    };
    prove(app, client, client_id, proof).await
}

/// As `authenticate`, where a request may be the first that is heard of a client: one whose `client_id` is the address of a metadata document
/// is made known. `from`: who sent it.
///
/// # Errors
/// As `authenticate`; `temporarily_unavailable` if there are too many such clients.
pub async fn authenticate_newcomer(
    app: &App,
    headers: &HeaderMap,
    params: &Params<'_>,
    from: IpAddr,
) -> Result<Arc<Client>, OAuthError> {
    let (client_id, proof) = read(headers, params)?;
    let client = client_document::find(app, &client_id, from).await?;
    prove(app, client, client_id, proof).await
}

/// The client, if it is in use and the proof is what it registered for.
async fn prove(app: &App, client: Option<Arc<Client>>, client_id: String, proof: Proof) -> Result<Arc<Client>, OAuthError> {
    let now = app.now();
    let client = client.ok_or_else(|| OAuthError::invalid_client("the client_id is unknown"))?;
    if client.disabled_at.is_some() {
        return Err(OAuthError::invalid_client(format!("the client {client_id} is disabled")));
    }
    match (client.metadata.token_endpoint_auth_method, proof) {
        (AuthMethod::None, Proof::Nothing) => {}
        (AuthMethod::ClientSecretBasic, Proof::Basic(secret)) | (AuthMethod::ClientSecretPost, Proof::Post(secret)) => {
            check_secret(app, &client, &secret)?;
        }
        (AuthMethod::PrivateKeyJwt | AuthMethod::ClientSecretJwt, Proof::Assertion(assertion)) => {
            let claims = match client.metadata.token_endpoint_auth_method {
                AuthMethod::ClientSecretJwt => verify_by_secret(app, &client, &assertion, now).await?,
                _ => verify_by_key(app, &client, &assertion, now).await?,
            };
            check_assertion(app, &client, &claims, now).await?;
        }
        (registered, _) => {
            return Err(OAuthError::invalid_client(format!(
                "the client {client_id} is registered for {registered:?} and used another method"
            )));
        }
    }
    Ok(client)
}

/// As `authenticate`, for endpoints that a public client may not use.
///
/// # Errors
/// As `authenticate`.
pub async fn authenticate_confidential(app: &App, headers: &HeaderMap, params: &Params<'_>) -> Result<Arc<Client>, OAuthError> {
    let client = authenticate(app, headers, params).await?;
    match client.is_public() {
        true => Err(OAuthError::invalid_client(format!("the client {} is public", client.id))),
        false => Ok(client),
    }
}

fn read(headers: &HeaderMap, params: &Params<'_>) -> Result<(String, Proof), OAuthError> {
    let basic = match headers.get(AUTHORIZATION) {
        Some(header) => Some(basic_auth::parse(header).map_err(|error| OAuthError::invalid_client(error.to_string()))?),
        None => None,
    };
    let (post, assertion) = (params.get("client_secret"), params.get("client_assertion"));
    if usize::from(basic.is_some()) + usize::from(post.is_some()) + usize::from(assertion.is_some()) > 1 {
        return Err(OAuthError::new(ErrorCode::InvalidRequest, "More than one client authentication method is used."));
    }
    let named = params.get("client_id").map(str::to_owned);
    let (proven, proof) = match (basic, post, assertion) {
        (Some((client_id, secret)), ..) => (Some(client_id), Proof::Basic(secret)),
        (_, Some(secret), _) => (None, Proof::Post(Secret::new(secret))),
        (.., Some(assertion)) => {
            if params.get("client_assertion_type") != Some(ASSERTION_TYPE) {
                return Err(OAuthError::invalid_client("client_assertion_type is wrong"));
            }
            (subject_of(assertion), Proof::Assertion(assertion.to_owned()))
        }
        _ => (None, Proof::Nothing),
    };
    match (proven, named) {
        (Some(proven), Some(named)) if proven != named => {
            Err(OAuthError::invalid_client("client_id differs from the authentication's"))
        }
        (Some(client_id), _) | (None, Some(client_id)) => Ok((client_id, proof)),
        (None, None) => Err(OAuthError::invalid_client("no client_id")),
    }
}

fn check_secret(app: &App, client: &Client, secret: &Secret) -> Result<(), OAuthError> {
    match &client.secret_hash {
        Some(hash) if app.secrets.is_client_secret(secret, hash) => Ok(()),
        Some(_) => Err(OAuthError::invalid_client(format!("wrong secret for the client {}", client.id))),
        None => Err(OAuthError::invalid_client(format!("the client {} has no secret", client.id))),
    }
}

fn refused_assertion(client: &Client, reason: impl std::fmt::Display) -> OAuthError {
    OAuthError::invalid_client(format!("client assertion of {}: {reason}", client.id))
}

/// The claims of a `private_key_jwt`: signed by a key of the client's, with the algorithm that it registered, if it did.
async fn verify_by_key(app: &App, client: &Client, assertion: &str, now: Timestamp) -> Result<Map<String, Value>, OAuthError> {
    let registered = client.metadata.token_endpoint_auth_signing_alg.as_ref();
    let allowed = registered.map_or(&keyring::ASYMMETRIC[..], std::slice::from_ref);
    keyring::check_type(assertion, &keyring::ASSERTION_TYPES).map_err(|error| refused_assertion(client, error))?;
    let claims = client_keys::verify(app, client, assertion, allowed).await.map_err(|error| refused_assertion(client, error))?;
    keyring::check_dates(&claims, now, app.leeway()).map_err(|error| refused_assertion(client, error))?;
    Ok(claims)
}

/// The claims of a `client_secret_jwt`: signed with the client's secret. HS256 is the only algorithm that can be meant.
async fn verify_by_secret(app: &App, client: &Client, assertion: &str, now: Timestamp) -> Result<Map<String, Value>, OAuthError> {
    if client.metadata.token_endpoint_auth_signing_alg.is_some_and(|alg| alg != ClientAlgorithm::Hs256) {
        return Err(refused_assertion(client, "token_endpoint_auth_signing_alg is not one of client_secret_jwt"));
    }
    let secret = client_secret::readable(app, client).await.map_err(OAuthError::internal)?;
    keyring::verify_with_secret(assertion, &secret, now).map_err(|error| refused_assertion(client, error))
}

/// RFC 7523 §3: from the client, about it, for us alone, short-lived, and used once.
async fn check_assertion(app: &App, client: &Client, claims: &Map<String, Value>, now: Timestamp) -> Result<(), OAuthError> {
    let refused = |reason: &str| refused_assertion(client, reason);
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let second = |name: &str| claims.get(name).and_then(Value::as_i64);
    if text("iss") != Some(&client.id) || text("sub") != Some(&client.id) {
        return Err(refused("iss and sub must be the client_id"));
    }
    if !is_for(claims, &app.issuer.url, app.config.oauth.legacy_client_assertion_audience) {
        return Err(refused("aud must be the issuer alone"));
    }
    let expires_at = second("exp").map(Timestamp::from_seconds).ok_or_else(|| refused("exp is missing"))?;
    if expires_at + app.leeway() <= now {
        return Err(refused("it has expired"));
    }
    if expires_at > now + LONGEST_ASSERTION + app.leeway() {
        return Err(refused("exp is too far away"));
    }
    let begins = [second("nbf"), second("iat")].into_iter().flatten().max();
    if begins.is_some_and(|begins| Timestamp::from_seconds(begins) > now + app.leeway()) {
        return Err(refused("nbf or iat is in the future"));
    }
    let jti = text("jti")
        .filter(|jti| jti.len() <= 256 && is_plain(jti))
        .ok_or_else(|| refused("jti is missing, too long or not plain"))?;
    let mut tx = app.store.begin().await?;
    if !clients::use_assertion(&mut tx, &client.id, jti, expires_at + app.leeway()).await? {
        return Err(refused("its jti was used before"));
    }
    tx.commit().await?;
    Ok(())
}

/// One audience and no other, since an assertion for several could be replayed by one of them at another; and that the issuer (RFC 10070
/// §4), since whoever runs another provider could have a client sign for an endpoint of ours. An operator can let that pass: then an endpoint
/// is as good as the issuer, and whichever it is, since an assertion is good only once.
fn is_for(claims: &Map<String, Value>, issuer: &str, legacy: bool) -> bool {
    let only = match claims.get("aud") {
        Some(Value::String(audience)) => audience,
        Some(Value::Array(audiences)) => match audiences.as_slice() {
            [Value::String(only)] => only,
            _ => return false,
        },
        _ => return false,
    };
    only == issuer || (legacy && only.strip_prefix(issuer).is_some_and(|path| ASSERTION_ENDPOINTS.contains(&path)))
}

/// JSON can hold a NUL, which PostgreSQL cannot: such text is refused before it gets there.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.contains('\0')
}

/// `sub` of an assertion that is not verified yet: only to find the client whose keys will verify it.
fn subject_of(assertion: &str) -> Option<String> {
    let payload = URL_SAFE_NO_PAD.decode(assertion.split('.').nth(1)?).ok()?;
    let claims: Map<String, Value> = serde_json::from_slice(&payload).ok()?;
    Some(claims.get("sub")?.as_str().filter(|sub| is_plain(sub))?.to_owned())
}
