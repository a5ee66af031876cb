//! From an authorization response to tokens: the token request, its answer, and what a whole flow yielded.

use axum::http::StatusCode;
use serde_json::Value;

use super::answer::Answer;
use super::client::Client;
use super::id_token::IdToken;
use super::request::AuthorizationRequest;
use super::suite::Suite;
use super::user_info::{self, Call};
use crate::harness::person::Asked;
use crate::harness::provider::{Response, VERIFIER};

/// What a flow yielded, all of it checked.
#[derive(Debug)]
pub struct SignIn {
    pub answer: Answer,
    /// From the authorization endpoint.
    pub front: Option<IdToken>,
    /// From the token endpoint.
    pub back: Option<IdToken>,
    /// The answer of the token endpoint.
    pub tokens: Value,
}

impl SignIn {
    /// Redeems the code, if there is one, checks each ID token, and calls the userinfo endpoint with each access token.
    pub async fn finish(suite: &Suite, client: &Client, request: &AuthorizationRequest, answer: Answer) -> Self {
        let nonce = request.get("nonce");
        let front = answer.get("id_token").map(|token| IdToken::check(suite, client, token, nonce));
        if let Some(front) = &front {
            // OpenID Connect Core §3.2.2.9, §3.3.2.11
            answer.get("code").into_iter().for_each(|code| front.check_hash("c_hash", code, true));
            answer.get("access_token").into_iter().for_each(|token| front.check_hash("at_hash", token, true));
        }
        let mut sign_in = Self { front, back: None, tokens: Value::Null, answer };
        if let Some(expires_in) = sign_in.answer.get("expires_in") {
            assert!(expires_in.parse::<u32>().unwrap() > 0);
        }
        if let Some(code) = sign_in.answer.get("code") {
            let verifier = request.get("code_challenge").map(|_| ("code_verifier", VERIFIER));
            let response = redeem(suite, client, code, verifier.as_slice()).await;
            sign_in.tokens = check_token_response(&response);
            let id_token = IdToken::check(suite, client, sign_in.tokens["id_token"].as_str().unwrap(), nonce);
            id_token.check_hash("c_hash", code, false);
            id_token.check_hash("at_hash", sign_in.tokens["access_token"].as_str().unwrap(), false);
            sign_in.back = Some(id_token);
        }
        if let (Some(front), Some(back)) = (&sign_in.front, &sign_in.back) {
            assert_eq!((front.sub(), front.get("iss")), (back.sub(), back.get("iss")), "OpenID Connect Core §3.3.3.6");
        }
        for token in sign_in.access_tokens() {
            let response = user_info::call(suite, Call::Get, token).await;
            assert_eq!(response.status, StatusCode::OK, "{response:?}");
        }
        sign_in
    }

    /// The ID token; of two, that from the token endpoint, which may say more.
    pub fn id_token(&self) -> &IdToken {
        self.back.as_ref().or(self.front.as_ref()).expect("there is an ID token")
    }

    pub fn id_tokens(&self) -> impl Iterator<Item = &IdToken> {
        self.front.iter().chain(&self.back)
    }

    /// Every access token that there is: from the authorization endpoint, and from the token endpoint.
    pub fn access_tokens(&self) -> impl Iterator<Item = &str> {
        self.answer.get("access_token").into_iter().chain(self.tokens["access_token"].as_str())
    }

    pub fn refresh_token(&self) -> &str {
        self.tokens["refresh_token"].as_str().unwrap_or_else(|| panic!("no refresh token: {}", self.tokens))
    }

    /// Whether the person had to prove who they are.
    pub fn asked_for_password(&self) -> bool {
        self.answer.asked.iter().any(|asked| matches!(asked, Asked::SignIn | Asked::Again))
    }

    /// "TWICE": the same person, and the same sign-in.
    pub fn check_same_sign_in(&self, first: &Self) {
        assert_eq!(self.id_token().sub(), first.id_token().sub());
        assert_eq!(self.id_token().get("auth_time"), first.id_token().get("auth_time"));
    }
}

/// RFC 7636 Appendix B: the challenge to `VERIFIER`, which a public client must send.
pub fn with_challenge_if_public(client: &Client, request: AuthorizationRequest) -> AuthorizationRequest {
    match client.auth.as_str() {
        "none" => {
            request.with("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").with("code_challenge_method", "S256")
        }
        _ => request,
    }
}

/// Redeems a code, with `more` parameters.
pub async fn redeem(suite: &Suite, client: &Client, code: &str, more: &[(&str, &str)]) -> Response {
    let form = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", client.redirect_uri.as_str())];
    token_request(suite, client, &[&form, more].concat()).await
}

/// Uses a refresh token, with `more` parameters.
pub async fn refresh(suite: &Suite, client: &Client, token: &str, more: &[(&str, &str)]) -> Response {
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    token_request(suite, client, &[&form, more].concat()).await
}

pub async fn token_request(suite: &Suite, client: &Client, form: &[(&str, &str)]) -> Response {
    let path = suite.endpoint("token_endpoint");
    suite.provider.send(client.request(suite, &path, form)).await
}

/// RFC 6749 §5.1, OpenID Connect Core §3.1.3.3
pub fn check_token_response(response: &Response) -> Value {
    assert_eq!(response.status, StatusCode::OK, "{response:?}");
    assert!(response.header("content-type").starts_with("application/json"), "{response:?}");
    assert!(response.header("cache-control").contains("no-store"), "{response:?}");
    let tokens = response.json();
    assert!(tokens.get("error").is_none(), "{tokens}");
    assert_eq!(tokens["token_type"], "Bearer");
    assert!(tokens["expires_in"].as_i64().is_some_and(|seconds| seconds > 0), "{tokens}");
    for name in ["access_token", "id_token"] {
        assert!(tokens[name].as_str().is_some_and(|token| !token.is_empty()), "{name}: {tokens}");
    }
    for name in ["access_token", "refresh_token"] {
        // RFC 6749 Appendix A.12, A.17: VSCHAR; and not to be guessed.
        if let Some(token) = tokens[name].as_str() {
            assert!(token.bytes().all(|b| (0x20..=0x7e).contains(&b)) && entropy(token) >= 96.0, "{name}: {token}");
        }
    }
    tokens
}

/// RFC 6749 §5.2
pub fn check_token_error(response: &Response, status: StatusCode, error: &str) {
    assert_eq!((response.status, response.error().as_str()), (status, error), "{response:?}");
    assert!(response.header("content-type").starts_with("application/json"), "{response:?}");
}

/// Shannon entropy, in bits, of a text whose letters are taken as its alphabet.
pub fn entropy(text: &str) -> f64 {
    let length = text.len() as f64;
    let count = |letter: u8| text.bytes().filter(|b| *b == letter).count() as f64;
    text.bytes().map(|letter| (length / count(letter)).log2()).sum()
}
