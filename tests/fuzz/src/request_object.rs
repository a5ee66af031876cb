//! Request objects: the input is the claims, which are signed here with the client's key; or, so that the outside is tried as well, the whole
//! JWS.

use axum::body::Body;
use axum::http::Request;
use axum::http::header::COOKIE;
use josekit::jws::{ES256, JwsHeader, serialize_compact};

use crate::provider::{CLIENT_ID, Provider, REDIRECT_URI};

/// The first byte says which.
pub fn run(input: &[u8]) {
    let Some((how, rest)) = input.split_first() else { return };
    let provider = Provider::get();
    let (object, is_signed) = match how % 4 {
        0 => (String::from_utf8_lossy(rest).into_owned(), false),
        typ => (sign(provider, rest, typ), true),
    };
    // Beside it stands a request that would be answered with a code.
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("response_type", "code"),
            ("client_id", CLIENT_ID),
            ("redirect_uri", REDIRECT_URI),
            ("scope", "openid"),
            ("nonce", "n"),
            ("request", &object),
        ])
        .finish();
    let request = Request::get(format!("/authorize?{query}")).header(COOKIE, provider.session());
    // A URI has at most 65,534 bytes; libFuzzer's inputs are shorter, also when encoded.
    let answer = provider.send(request.body(Body::empty()).unwrap());
    // RFC 6749 §3.1: without a value it is as if it were not there.
    let is_there = !object.is_empty();
    assert!(is_signed || !is_there || answer.parameter("code").is_none(), "a code for what nobody signed: {object}");
}

fn sign(provider: &Provider, claims: &[u8], typ: u8) -> String {
    let mut header = JwsHeader::new();
    match typ {
        1 => header.set_token_type("oauth-authz-req+jwt"),
        2 => header.set_token_type("JWT"),
        _ => {}
    }
    let signer = ES256.signer_from_jwk(&provider.key).unwrap();
    serialize_compact(claims, &header, &signer).unwrap()
}
