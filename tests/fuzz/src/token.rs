//! Token requests: the input is the form. `CODE` in it stands for a live code whose `code_verifier` nobody knows, `SECRET` for the client's
//! secret.

use axum::body::Body;
use axum::http::Request;
use axum::http::header::CONTENT_TYPE;
use serde_json::Value;

use crate::provider::{CLIENT_ID, Provider, REDIRECT_URI};

/// S256 of a text that was thrown away.
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

thread_local! {
    static CODE: String = code();
}

/// Whatever the form says, that code yields nothing; and without the client's secret nothing is to be had at all.
pub fn run(input: &[u8]) {
    let provider = Provider::get();
    let form = String::from_utf8_lossy(input);
    let knows_secret = form.contains("SECRET");
    let form = CODE.with(|code| form.replace("CODE", code)).replace("SECRET", &provider.secret);
    let request =
        Request::post("/token").header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(Body::from(form)).unwrap();
    let answer = provider.send(request);
    let json: Value = serde_json::from_str(&answer.body).expect("the token endpoint answers in JSON");
    match answer.status.as_u16() {
        // Of all grants only `client_credentials` needs nothing but the secret, and this client is not registered for it.
        200 => panic!("tokens, and the secret was known: {knows_secret}: {json}"),
        400 | 401 => assert!(json["error"].is_string(), "{json}"),
        413 | 415 | 429 => {}
        other => panic!("{other}: {json}"),
    }
    assert!(answer.header("cache-control").contains("no-store"));
}

fn code() -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("response_type", "code"),
            ("client_id", CLIENT_ID),
            ("redirect_uri", REDIRECT_URI),
            ("scope", "openid"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ])
        .finish();
    let answer = Provider::get().visit(&format!("/authorize?{query}"));
    answer.parameter("code").unwrap_or_else(|| panic!("no code: {} {}", answer.status, answer.body))
}
