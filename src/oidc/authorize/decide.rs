//! "Must we ask the person something?" as one pure function over what is known.

use crate::clock::Timestamp;
use crate::error::{ErrorCode, OAuthError};
use crate::model::authorization::{AuthorizationRequest, Prompt};
use crate::model::{Client, Grant, ScopeSet, Session};

/// What happens next.
#[derive(Debug)]
pub enum Decision {
    /// The person signs in, or proves again who they are.
    SignIn,
    /// The person says which account to use.
    SelectAccount,
    /// The person is asked whether the app may have this.
    Consent(ScopeSet),
    /// Nothing is left to ask: a code is issued for this scope.
    Issue(ScopeSet),
    /// The client gets an error.
    Refuse(OAuthError),
}

/// Decides on `request` (OpenID Connect Core §3.1.2.3, §3.1.2.4). `session` is one that is alive; `grant` is what its person
/// granted to the client before.
pub fn decide(
    request: &AuthorizationRequest,
    client: &Client,
    session: Option<&Session>,
    grant: Option<&Grant>,
    now: Timestamp,
) -> Decision {
    let wants = |prompt| request.parameters.prompt.contains(&prompt);
    // prompt=none: never a page, an error instead (OpenID Connect Core §3.1.2.1).
    let ask = |question: Decision, error| match wants(Prompt::None) {
        true => Decision::Refuse(OAuthError::new(error, "The request says prompt=none, but the person must be asked.")),
        false => question,
    };
    let Some(session) = session else {
        return ask(Decision::SignIn, ErrorCode::LoginRequired);
    };
    if wants(Prompt::SelectAccount) && !proved_since(request, session) {
        return ask(Decision::SelectAccount, ErrorCode::AccountSelectionRequired);
    }
    if must_authenticate_again(request, session, now) {
        return ask(Decision::SignIn, ErrorCode::LoginRequired);
    }
    if is_somebody_else(request, session) {
        // Having just signed in as the wrong person, asking again would go round in circles.
        return match proved_since(request, session) {
            true => Decision::Refuse(OAuthError::new(
                ErrorCode::LoginRequired,
                "The person who signed in is not the one of the id_token_hint.",
            )),
            false => ask(Decision::SignIn, ErrorCode::LoginRequired),
        };
    }
    let scope = request.parameters.scope.clone();
    if must_consent(request, client, grant, &scope) {
        return ask(Decision::Consent(scope), ErrorCode::ConsentRequired);
    }
    Decision::Issue(scope)
}

/// Whether the person proved who they are after this request came in.
fn proved_since(request: &AuthorizationRequest, session: &Session) -> bool {
    session.auth_time >= request.created_at
}

/// `prompt=login`, and `max_age` (OpenID Connect Core §3.1.2.1).
fn must_authenticate_again(request: &AuthorizationRequest, session: &Session, now: Timestamp) -> bool {
    let too_long_ago =
        request.parameters.max_age.is_some_and(|max_age| now.since(session.auth_time) > std::time::Duration::from_secs(max_age));
    !proved_since(request, session) && (request.parameters.prompt.contains(&Prompt::Login) || too_long_ago)
}

/// `id_token_hint` names who is expected.
fn is_somebody_else(request: &AuthorizationRequest, session: &Session) -> bool {
    request.parameters.hinted_subject.as_ref().is_some_and(|expected| *expected != session.user_id)
}

/// Consent is needed unless the client is trusted or was granted at least this much; `prompt=consent` wants it afresh.
fn must_consent(request: &AuthorizationRequest, client: &Client, grant: Option<&Grant>, scope: &ScopeSet) -> bool {
    let fresh = |grant: &Grant| grant.updated_at >= request.created_at;
    let covered = |grant: &Grant| scope.is_subset_of(&grant.scope);
    if request.parameters.prompt.contains(&Prompt::Consent) {
        return !grant.is_some_and(|grant| fresh(grant) && covered(grant));
    }
    !client.metadata.skip_consent && !grant.is_some_and(covered)
}
