//! Authorization requests: the input is the query, or the form of a POST, sent with or without somebody signed in.

use axum::body::Body;
use axum::http::Request;
use axum::http::Uri;
use axum::http::header::{CONTENT_TYPE, COOKIE};

use crate::provider::Provider;

/// The first byte says how the rest is sent.
pub fn run(input: &[u8]) {
    let Some((how, rest)) = input.split_first() else { return };
    let provider = Provider::get();
    let request = match how % 3 {
        0 => Request::post("/authorize")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(rest.to_vec()))
            .unwrap(),
        signed_in => {
            let Some(uri) = uri(rest) else { return };
            let request = Request::get(uri);
            match signed_in {
                1 => request.body(Body::empty()).unwrap(),
                _ => request.header(COOKIE, provider.session()).body(Body::empty()).unwrap(),
            }
        }
    };
    let signed_in = request.headers().contains_key(COOKIE);
    let answer = provider.send(request);
    // A code is for somebody, and comes with everything that a client needs to tell ours from a stranger's (RFC 9207).
    let answered = answer.parameter("code").or_else(|| answer.parameter("error"));
    if answer.parameter("code").is_some() {
        assert!(signed_in, "a code for nobody");
    }
    if answered.is_some() {
        assert_eq!(answer.parameter("iss").as_deref(), Some("https://id.example"));
    }
}

/// A URI as a client could send it; most bytes cannot stand in one.
fn uri(query: &[u8]) -> Option<Uri> {
    let query = std::str::from_utf8(query).ok()?;
    format!("/authorize?{query}").parse().ok()
}
