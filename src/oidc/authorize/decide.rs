//! "Must we ask the person something?" as one pure function over what is known.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::{ErrorCode, OAuthError};
use crate::model::authorization::{AuthorizationRequest, Prompt};
use crate::model::{Client, Grant, ScopeSet, Session};
use crate::oidc::authentication;

/// What happens next.
#[derive(Debug)]
pub enum Decision {
    /// The person signs in, or proves again who they are.
    SignIn,
    /// The person says which account to use.
    SelectAccount,
    /// The person is asked whether the app may have this.
    Consent(ScopeSet),
    /// Nothing is left to ask: the answer is issued for this scope.
    Issue(ScopeSet),
    /// The client gets an error.
    Refuse(OAuthError),
}

/// Who is at the browser.
#[derive(Clone, Copy, Debug)]
pub struct Present<'a> {
    /// A session that is alive.
    pub session: &'a Session,
    /// By what `sub` the client knows, or will know, its person.
    pub sub: &'a str,
}

/// Decides on `request` (OpenID Connect Core §3.1.2.3, §3.1.2.4). `grant` is what the person granted to the client before.
pub fn decide(
    request: &AuthorizationRequest,
    client: &Client,
    present: Option<Present<'_>>,
    grant: Option<&Grant>,
    now: Timestamp,
) -> Decision {
    // prompt=none: never a page, an error instead (OpenID Connect Core §3.1.2.1).
    let ask = |question: Decision, error| match wants(request, Prompt::None) {
        true => Decision::Refuse(OAuthError::new(error, "The request says prompt=none, but the person must be asked.")),
        false => question,
    };
    if needs_unknown_authentication(request) {
        return unmet();
    }
    let Some(present) = present else {
        return ask(Decision::SignIn, ErrorCode::LoginRequired);
    };
    let proved = proved_since(request, present.session);
    if wants(request, Prompt::SelectAccount) && !proved {
        return ask(Decision::SelectAccount, ErrorCode::AccountSelectionRequired);
    }
    if !proved && must_authenticate_again(request, present.session, now) {
        return ask(Decision::SignIn, ErrorCode::LoginRequired);
    }
    let scope = offered_scope(request, client, grant);
    let to_consent = scope.union(&request.parameters.claims_scope);
    let unconsented = must_consent(request, client, &present.session.user_id, grant, &to_consent);
    // Before anything that depends on who it is: a client that nobody allowed anything must not learn whose browser this is.
    if unconsented && wants(request, Prompt::None) {
        return ask(Decision::Consent(to_consent), ErrorCode::ConsentRequired);
    }
    if !is_expected(request, present.sub) {
        // Having just signed in as the wrong person, asking again would go round in circles.
        return match proved {
            true => Decision::Refuse(OAuthError::new(
                ErrorCode::LoginRequired,
                "The person who signed in is not the one that the request names.",
            )),
            false => ask(Decision::SignIn, ErrorCode::LoginRequired),
        };
    }
    match step_up(request, present.session) {
        StepUp::Needless => {}
        StepUp::Essential if proved => return unmet(),
        StepUp::Essential => return ask(Decision::SignIn, ErrorCode::LoginRequired),
        // A wish: the tokens say what it was instead.
        StepUp::Voluntary if proved || wants(request, Prompt::None) => {}
        StepUp::Voluntary => return Decision::SignIn,
    }
    match unconsented {
        true => Decision::Consent(to_consent),
        false => Decision::Issue(scope),
    }
}

/// Whether the request allows this person to answer it: `id_token_hint`, and `sub` of `claims` (OpenID Connect Core §5.5.1).
pub fn is_expected(request: &AuthorizationRequest, sub: &str) -> bool {
    let parameters = &request.parameters;
    parameters.hinted_subject.as_ref().is_none_or(|expected| expected == sub)
        && parameters.claimed_subjects.as_ref().is_none_or(|expected| expected.iter().any(|expected| expected == sub))
}

/// Whether consent to this request is remembered for the next one. Who is behind a custom scheme or a loopback address nobody can tell,
/// so a public client that is reached by one is a stranger each time (RFC 8252 §8.6); and a confidential one too, where what comes through
/// the browser is worth something without its secret.
pub fn remembers_consent(request: &AuthorizationRequest, client: &Client) -> bool {
    let needs_secret = !client.is_public() && !request.parameters.response_type.is_legacy();
    needs_secret || request.parameters.redirect_uri.starts_with("https://")
}

fn wants(request: &AuthorizationRequest, prompt: Prompt) -> bool {
    request.parameters.prompt.contains(&prompt)
}

/// Whether the person proved who they are after this request came in.
fn proved_since(request: &AuthorizationRequest, session: &Session) -> bool {
    session.auth_time >= request.created_at
}

/// `prompt=login`, and `max_age` (OpenID Connect Core §3.1.2.1); `max_age=0` is the same as `prompt=login`.
fn must_authenticate_again(request: &AuthorizationRequest, session: &Session, now: Timestamp) -> bool {
    let too_long_ago = |max_age| max_age == 0 || now.since(session.auth_time) > Duration::from_secs(max_age);
    wants(request, Prompt::Login) || request.parameters.max_age.is_some_and(too_long_ago)
}

/// No sign-in here can be what is essential to the client: there is no use in asking anybody.
fn needs_unknown_authentication(request: &AuthorizationRequest) -> bool {
    let essential = &request.parameters.essential_acr_values;
    !essential.is_empty() && !authentication::is_reachable(essential)
}

/// OpenID Connect Core Error Code unmet_authentication_requirements §1
fn unmet() -> Decision {
    let description = "No sign-in here has an acr that the request says is essential.";
    Decision::Refuse(OAuthError::new(ErrorCode::UnmetAuthenticationRequirements, description))
}

/// Whether another sign-in is wanted that may reach an `acr` which the present one has not.
enum StepUp {
    Needless,
    Voluntary,
    Essential,
}

/// OpenID Connect Core §5.5.1.1, RFC 9470 §5
fn step_up(request: &AuthorizationRequest, session: &Session) -> StepUp {
    let acr = authentication::acr_of(&session.amr);
    let lacks = |wanted: &[String]| !wanted.is_empty() && !wanted.iter().any(|wanted| Some(wanted.as_str()) == acr);
    let parameters = &request.parameters;
    if lacks(&parameters.essential_acr_values) {
        return StepUp::Essential;
    }
    match lacks(&parameters.acr_values) && authentication::is_reachable(&parameters.acr_values) {
        true => StepUp::Voluntary,
        false => StepUp::Needless,
    }
}

/// The scope of the request, without an `offline_access` that it cannot have (OpenID Connect Core §11). It needs a code; and the person's
/// explicit consent: to be given on our page, which names it, or given before. The operator may have consented for everybody.
fn offered_scope(request: &AuthorizationRequest, client: &Client, grant: Option<&Grant>) -> ScopeSet {
    let consented = client.metadata.skip_consent || grant.is_some_and(|grant| grant.scope.contains("offline_access"));
    let offline = request.parameters.response_type.code && (consented || !wants(request, Prompt::None));
    request.parameters.scope.filter(|value| value != "offline_access" || offline)
}

/// Consent is needed unless the client is trusted or was granted at least this much; `prompt=consent` wants it afresh.
fn must_consent(request: &AuthorizationRequest, client: &Client, user_id: &str, grant: Option<&Grant>, scope: &ScopeSet) -> bool {
    if !wants(request, Prompt::Consent) && client.metadata.skip_consent {
        return false;
    }
    let afresh = wants(request, Prompt::Consent) || !remembers_consent(request, client);
    // Given to this request: one that waits beside it was not meant.
    let given_now = request.parameters.consented_by.as_deref() == Some(user_id);
    !grant.is_some_and(|grant| scope.is_subset_of(&grant.scope) && (given_now || !afresh))
}
