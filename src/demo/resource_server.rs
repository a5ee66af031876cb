//! The demo's API (a resource server): `GET /notes` for access tokens with the scope `notes:read`. It verifies tokens by itself, with
//! `tessera-verifier`: the provider's published keys for the signature, its revocation feed for what was taken back. Each answer says which
//! checks were made and how they went, so that the demo's page can show them. Nothing is logged for a call: the page calls without a pause.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::get;
use serde::Serialize;
use serde_json::{Value, json};
use tessera_verifier::{BuildError, Denied, Refused, Token, Verifier, bearer_token};

use crate::http::headers::{api_headers, json_no_store};
use crate::model::Secret;

/// The scope that reading notes takes.
pub const SCOPE: &str = "notes:read";
/// How often a token under an unknown key may cause a look at the JWK set. In the demo keys are revoked as fast as a person presses a button.
const KEYS_INTERVAL: Duration = Duration::from_secs(1);

/// The API, apart from its sockets.
pub struct ResourceServer {
    issuer: String,
    /// The audience that it answers for.
    audience: String,
    /// Its own `client_id` and secret: the feed is read with them.
    client_id: String,
    client_secret: Secret,
    /// Empty until `follow`.
    verifier: OnceLock<Verifier>,
}

/// What is checked, as the page shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Check {
    Signature,
    Issuer,
    Audience,
    Time,
    NotRevoked,
    Scope,
}

const ORDER: [Check; 6] = [Check::Signature, Check::Issuer, Check::Audience, Check::Time, Check::NotRevoked, Check::Scope];

/// How a request fared.
struct Checked {
    outcome: Result<Token, Denied>,
    /// The feed was too old, so the provider was asked about the token.
    asked: bool,
}

impl ResourceServer {
    /// An API that knows nothing of the provider yet, and so refuses every token.
    pub fn new(issuer: &str, audience: &str, client_id: &str, client_secret: Secret) -> Self {
        Self {
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            client_id: client_id.to_owned(),
            client_secret,
            verifier: OnceLock::new(),
        }
    }

    /// Begins to follow the provider. One that does not answer yet is tried again and again, in the background.
    ///
    /// # Errors
    /// If the provider is not the one of these settings.
    pub async fn follow(&self) -> Result<(), BuildError> {
        let verifier = Verifier::builder(&self.issuer)
            .audience(&self.audience)
            .credentials(&self.client_id, self.client_secret.expose())
            .keys_interval(KEYS_INTERVAL)
            .build()
            .await?;
        self.verifier.get_or_init(|| verifier);
        Ok(())
    }

    /// May this request read notes? While the feed is too old (the machine has slept, say) the provider is asked about each token rather than
    /// all refused: notes are read by few, and the demo is to go on. An API with many callers would refuse, to spare a provider in trouble.
    async fn check(&self, headers: &HeaderMap) -> Checked {
        let mut asked = false;
        let outcome = async {
            let token = bearer_token(headers)?;
            let verifier = self.verifier.get().ok_or(Refused::Unavailable)?;
            let token = match verifier.verify_or_fetch_keys(token).await {
                Err(Refused::Stale) => {
                    asked = true;
                    verifier.verify_or_introspect(token).await
                }
                verified => verified,
            }?;
            if token.has_scope(SCOPE) { Ok(token) } else { Err(Denied::Scope(SCOPE)) }
        }
        .await;
        Checked { outcome, asked }
    }

    /// How old what is known of revocations is, and how much that is; null before the first message.
    fn feed(&self) -> Value {
        let status = self.verifier.get().map(Verifier::status);
        let known = status.and_then(|status| Some((status.age?, status.entries)));
        known.map_or(Value::Null, |(age, entries)| json!({ "age_ms": age.as_millis(), "entries": entries }))
    }
}

/// Every URL of the API.
pub fn router(server: Arc<ResourceServer>) -> Router {
    Router::new().route("/", get(index)).route("/notes", get(notes)).layer(api_headers(false)).with_state(server)
}

/// For people who open the address of the API.
async fn index() -> Response {
    let words =
        json!({ "what": "The API of Tessera's demo.", "try": "GET /notes with an access token for the scope notes:read" });
    json_no_store(StatusCode::OK, &words)
}

async fn notes(State(server): State<Arc<ResourceServer>>, headers: HeaderMap) -> Response {
    // Before the check: asking takes so long that the feed may be back.
    let feed = server.feed();
    let Checked { outcome, asked } = server.check(&headers).await;
    let (status, mut body) = match &outcome {
        Ok(token) => (
            StatusCode::OK,
            json!({ "notes": ["Water the basil", "Two tesserae fit only each other", "Ask who took the token back"], "sub": token.sub() }),
        ),
        Err(denied) => (denied.status(), json!({ "error_description": denied.to_string() })),
    };
    body["checks"] = outcomes(outcome.as_ref().err()).into();
    body["feed"] = feed;
    body["asked"] = asked.into();
    if let Err(Denied::Token(Refused::Revoked(kind))) = &outcome {
        body["revoked_by"] = kind.name().into();
    }
    let mut response = json_no_store(status, &body);
    if let Err(denied) = outcome {
        let challenge = denied.www_authenticate().and_then(|value| HeaderValue::try_from(value).ok());
        let (name, value) = match challenge {
            Some(challenge) => (WWW_AUTHENTICATE, challenge),
            None => (RETRY_AFTER, HeaderValue::from_static("1")),
        };
        response.headers_mut().insert(name, value);
    }
    response
}

/// Each check and how it went, up to the one that failed; those after it were not made. None where no token was looked at.
fn outcomes(denied: Option<&Denied>) -> Vec<Value> {
    let failed = match denied {
        None => None,
        Some(Denied::Token(refused)) => Some((check_of(*refused), refused.to_string())),
        Some(denied @ (Denied::Scope(_) | Denied::Role(_))) => Some((Check::Scope, denied.to_string())),
        Some(_) => return Vec::new(),
    };
    let last = failed.as_ref().and_then(|(failed, _)| ORDER.iter().position(|check| check == failed));
    let made = ORDER.iter().take(last.map_or(ORDER.len(), |index| index + 1));
    made.map(|check| match &failed {
        Some((failed, reason)) if failed == check => json!({ "check": check, "passed": false, "reason": reason }),
        _ => json!({ "check": check, "passed": true }),
    })
    .collect()
}

/// Which of the checks on the page a refusal belongs to.
fn check_of(refused: Refused) -> Check {
    use tessera_verifier::Kind;
    match refused {
        Refused::Issuer | Refused::Claim("iss") => Check::Issuer,
        Refused::Audience | Refused::Claim("aud") => Check::Audience,
        Refused::Expired | Refused::NotYetValid | Refused::IssuedInFuture | Refused::Claim("iat" | "exp" | "nbf") => Check::Time,
        // The signature of a revoked key is not even looked at.
        Refused::Revoked(Kind::Kid) => Check::Signature,
        // By the other claims a token is looked up.
        Refused::Revoked(_) | Refused::Inactive | Refused::Stale | Refused::Claim(_) => Check::NotRevoked,
        _ => Check::Signature,
    }
}

#[cfg(test)]
mod tests;
