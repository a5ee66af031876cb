//! A relying party that we did not write, the `openidconnect` crate, through the whole life of a sign-in at the real
//! `tessera serve`: discovery, sign-in and consent by their pages, code, tokens, userinfo, refresh, revocation, sign-out.

use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreIdToken, CoreIdTokenVerifier, CoreJwsSigningAlgorithm, CoreRevocableToken,
    CoreTokenResponse, CoreUserInfoClaims,
};
use openidconnect::{
    AccessTokenHash, AuthType, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest, HttpResponse, IssuerUrl,
    LogoutRequest, Nonce, OAuth2TokenResponse, PkceCodeChallenge, PostLogoutRedirectUrl, ProviderMetadataWithLogout, RedirectUrl,
    RequestTokenError, RevocationUrl, Scope, TokenResponse,
};
use tessera::model::client::AuthMethod;
use tessera::model::{Algorithm, ClientMetadata, ScopeSet};
use url::Url;

use crate::harness::engines::on_both_engines;
use crate::harness::live::Live;
use crate::harness::provider::{PASSWORD, REDIRECT_URI, TestClient, new_email};
use crate::harness::visitor::{Visitor, parameter};

const SIGNED_OUT: &str = "https://app.example/signed-out";

/// How the relying party's library reaches the provider.
async fn http(request: HttpRequest) -> Result<HttpResponse, reqwest::Error> {
    let (parts, body) = request.into_parts();
    // The library revokes over https only, and on loopback there is none.
    let url = parts.uri.to_string().replacen("https://127.0.0.1:", "http://127.0.0.1:", 1);
    let answer = reqwest::Client::new().request(parts.method, url).headers(parts.headers).body(body).send().await?;
    let mut response = HttpResponse::new(Vec::new());
    (*response.status_mut(), *response.headers_mut()) = (answer.status(), answer.headers().clone());
    *response.body_mut() = answer.bytes().await?.to_vec();
    Ok(response)
}

on_both_engines! {
    async fn a_complete_sign_in(db: TestDatabase) {
        let live = Live::start(db).await;
        let email = new_email();
        let (user, _) = live.signed_in(&email).await;
        let cases = [
            ("basic-rs256", AuthMethod::ClientSecretBasic, Algorithm::Rs256),
            ("post-es256", AuthMethod::ClientSecretPost, Algorithm::Es256),
            ("public-es256", AuthMethod::None, Algorithm::Es256),
            ("public-rs256", AuthMethod::None, Algorithm::Rs256),
        ];
        for (id, method, alg) in cases {
            let client = live
                .client(id, |metadata: &mut ClientMetadata| {
                    metadata.token_endpoint_auth_method = method;
                    metadata.id_token_signed_response_alg = alg;
                    metadata.skip_consent = false;
                    metadata.scope = ScopeSet::from("openid email profile".to_owned());
                })
                .await;
            sign_in_refresh_and_leave(&live.issuer, &client, alg, &email, &user.id).await;
        }
    }
}

async fn sign_in_refresh_and_leave(issuer: &str, registered: &TestClient, alg: Algorithm, email: &str, sub: &str) {
    let metadata = ProviderMetadataWithLogout::discover_async(IssuerUrl::new(issuer.to_owned()).unwrap(), &http).await.unwrap();
    let end_session = metadata.additional_metadata().end_session_endpoint.clone().unwrap();
    let revocation = format!("{issuer}/revoke").replacen("http://", "https://", 1);
    let client = CoreClient::from_provider_metadata(
        metadata,
        ClientId::new(registered.id.clone()),
        registered.secret.clone().map(ClientSecret::new),
    )
    .set_redirect_uri(RedirectUrl::new(REDIRECT_URI.to_owned()).unwrap())
    .set_revocation_url(RevocationUrl::new(revocation).unwrap())
    .set_auth_type(match registered.method {
        AuthMethod::ClientSecretBasic => AuthType::BasicAuth,
        _ => AuthType::RequestBody,
    });
    let signing = match alg {
        Algorithm::Rs256 => CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
        Algorithm::Es256 => CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    };
    let verifier = client.id_token_verifier().set_allowed_algs([signing]);

    let (challenge, pkce_verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, state, nonce) = client
        .authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random)
        .add_scopes(["email", "profile"].map(|scope| Scope::new(scope.to_owned())))
        .set_pkce_challenge(challenge)
        .url();
    let visitor = Visitor::new(issuer, &[]);
    let code = sign_in_by_hand(&visitor, url, &state, email).await;

    let tokens = client.exchange_code(code).unwrap().set_pkce_verifier(pkce_verifier).request_async(&http).await.unwrap();
    let id_token = tokens.id_token().unwrap();
    let claims = id_token.claims(&verifier, &nonce).unwrap();
    assert_eq!((claims.subject().as_str(), claims.issuer().as_str()), (sub, issuer));
    assert!(id_token.claims(&verifier, &Nonce::new("another".to_owned())).is_err(), "the library does check");
    check_access_token_hash(&tokens, id_token, &verifier);

    let about = client.user_info(tokens.access_token().clone(), Some(claims.subject().clone())).unwrap();
    let about: CoreUserInfoClaims = about.request_async(&http).await.unwrap();
    assert_eq!(about.email().unwrap().as_str(), email);
    assert_eq!(about.name().unwrap().get(None).unwrap().as_str(), "Ada Lovelace");

    let renewed = client.exchange_refresh_token(tokens.refresh_token().unwrap()).unwrap().request_async(&http).await.unwrap();
    assert_ne!(renewed.refresh_token().unwrap().secret(), tokens.refresh_token().unwrap().secret());
    let no_nonce = |nonce: Option<&Nonce>| nonce.map_or(Ok(()), |_| Err("there is a nonce".to_owned()));
    let again = renewed.id_token().unwrap().claims(&verifier, no_nonce).unwrap();
    assert_eq!((again.subject(), again.auth_time()), (claims.subject(), claims.auth_time()));
    check_access_token_hash(&renewed, renewed.id_token().unwrap(), &verifier);

    let refresh_token = renewed.refresh_token().unwrap().clone();
    let revoked = CoreRevocableToken::RefreshToken(refresh_token.clone());
    client.revoke_token(revoked).unwrap().request_async(&http).await.unwrap();
    match client.exchange_refresh_token(&refresh_token).unwrap().request_async(&http).await {
        Err(RequestTokenError::ServerResponse(refused)) => assert_eq!(refused.error().to_string(), "invalid_grant"),
        other => panic!("a revoked refresh token gives {other:?}"),
    }
    let about = client.user_info(renewed.access_token().clone(), None).unwrap();
    assert!(
        about.request_async::<_, _, openidconnect::core::CoreGenderClaim>(&http).await.map(|_: CoreUserInfoClaims| ()).is_err()
    );

    let state = CsrfToken::new_random();
    let leave = LogoutRequest::from(end_session)
        .set_id_token_hint(renewed.id_token().unwrap())
        .set_post_logout_redirect_uri(PostLogoutRedirectUrl::new(SIGNED_OUT.to_owned()).unwrap())
        .set_state(state.clone())
        .http_get_url();
    let left = visitor.open(leave).await;
    let location = left.location.unwrap_or_else(|| panic!("the app gets the browser back: {}", left.body));
    assert!(location.as_str().starts_with(SIGNED_OUT));
    assert_eq!(parameter(&location, "state").as_deref(), Some(state.secret().as_str()));
    let (again, ..) = client
        .authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random)
        .set_pkce_challenge(PkceCodeChallenge::new_random_sha256().0)
        .url();
    assert!(visitor.open(again).await.body.contains("name=\"password\""), "the person is signed out");
}

/// From the app's link through both pages, and back to the app.
async fn sign_in_by_hand(visitor: &Visitor, url: Url, state: &CsrfToken, email: &str) -> AuthorizationCode {
    let page = visitor.open(url).await;
    let wrong = visitor.submit(&page, &[("email", email), ("password", "not it")]).await;
    assert_eq!((wrong.status, wrong.location), (422, None));
    let page = visitor.submit(&page, &[("email", email), ("password", PASSWORD)]).await;
    assert!(page.body.contains("id=\"allow\""), "consent is asked for: {}", page.body);
    let back = visitor.submit(&page, &[("decision", "allow")]).await;
    let location = back.location.unwrap_or_else(|| panic!("the browser goes back to the app: {}", back.body));
    assert!(location.as_str().starts_with(REDIRECT_URI), "{location}");
    assert_eq!(parameter(&location, "state").as_deref(), Some(state.secret().as_str()));
    assert_eq!(parameter(&location, "iss").as_deref(), Some(visitor.issuer()));
    AuthorizationCode::new(parameter(&location, "code").unwrap())
}

fn check_access_token_hash(tokens: &CoreTokenResponse, id_token: &CoreIdToken, verifier: &CoreIdTokenVerifier) {
    let claims = id_token.claims(verifier, |_: Option<&Nonce>| Ok(())).unwrap();
    let key = id_token.signing_key(verifier).unwrap();
    let hash = AccessTokenHash::from_token(tokens.access_token(), id_token.signing_alg().unwrap(), key).unwrap();
    assert_eq!(claims.access_token_hash(), Some(&hash));
}
