//! What the browser brings back from an authorization request, and the checks that every such answer must pass.

use std::collections::BTreeMap;

use axum::http::StatusCode;

use super::request::AuthorizationRequest;
use crate::harness::person::{Asked, Form, Journey};
use crate::harness::provider::{ISSUER, Response};

/// Where an authorization request led.
#[derive(Debug)]
pub enum Outcome {
    /// Back to the client.
    Answer(Answer),
    /// To a page of the provider's that asks nothing.
    Page(Response),
}

/// An authorization response (RFC 6749 §4.1.2).
#[derive(Debug)]
pub struct Answer {
    pub params: BTreeMap<String, String>,
    /// What the person was asked before.
    pub asked: Vec<Asked>,
}

/// OAuth 2.0 Multiple Response Types §2.1, Form Post Response Mode §2
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Query,
    Fragment,
    FormPost,
}

impl Outcome {
    /// Reads the answer to `request`: it must come where and how the request says, with its `state`, from this issuer.
    pub fn read(journey: Journey, request: &AuthorizationRequest) -> Self {
        let Journey { asked, end } = journey;
        let form = Form::of(&end.body).filter(|form| form.action.contains("://"));
        if form.is_none() && end.location().is_empty() {
            return Self::Page(end);
        }
        let redirect_uri = request.get("redirect_uri").unwrap();
        let (mode, fields) = match form {
            Some(form) => {
                assert_eq!((end.status, form.method.as_str(), form.action.as_str()), (StatusCode::OK, "post", redirect_uri));
                // A browser would be stopped by a policy for forms that does not name the client.
                assert!(!end.header("content-security-policy").contains("form-action"), "{end:?}");
                assert!(end.body.contains("<script src="), "it posts itself: {end:?}");
                (Mode::FormPost, form.fields)
            }
            None => {
                assert_eq!(end.status, StatusCode::SEE_OTHER);
                redirected(end.location(), redirect_uri)
            }
        };
        assert_eq!(mode, expected_mode(request), "{fields:?}");
        let count = fields.len();
        let params: BTreeMap<String, String> = fields.into_iter().collect();
        assert_eq!(params.len(), count, "a parameter is there twice: {params:?}");
        assert_eq!(params.get("state").map(String::as_str), request.get("state"));
        // RFC 9207 §2: advertised, so it must be there.
        assert_eq!(params.get("iss").map(String::as_str), Some(ISSUER));
        Self::Answer(Answer { params, asked })
    }
}

/// The parameters of a redirect to `redirect_uri`, and where they were. What the URI's own query has stays there.
fn redirected(location: &str, redirect_uri: &str) -> (Mode, Vec<(String, String)>) {
    let added = location.strip_prefix(redirect_uri).unwrap_or_else(|| panic!("{location} is not {redirect_uri}"));
    let (mode, text) = match (added.split_at_checked(1), redirect_uri.contains('?')) {
        (Some(("#", fragment)), _) => (Mode::Fragment, fragment),
        (Some(("?", query)), false) | (Some(("&", query)), true) => (Mode::Query, query),
        _ => panic!("no answer in {location}"),
    };
    assert!(!text.contains('#') && !text.contains('?'), "{location}");
    (mode, form_urlencoded::parse(text.as_bytes()).into_owned().collect())
}

fn expected_mode(request: &AuthorizationRequest) -> Mode {
    match (request.get("response_mode"), request.get("response_type")) {
        (Some("form_post"), _) => Mode::FormPost,
        (Some("fragment"), _) => Mode::Fragment,
        (Some("query"), _) | (None, Some("code" | "none") | None) => Mode::Query,
        _ => Mode::Fragment,
    }
}

impl Answer {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.params.get(name).map(String::as_str)
    }

    /// An answer without an error, with exactly what `response_type` names.
    pub fn successful(self, response_type: &str) -> Self {
        assert!(self.get("error").is_none(), "{:?}", self.params);
        for (name, part) in [("code", "code"), ("id_token", "id_token"), ("access_token", "token")] {
            let wanted = response_type.split(' ').any(|word| word == part);
            assert_eq!(self.get(name).is_some_and(|value| !value.is_empty()), wanted, "{name}: {:?}", self.params);
        }
        self
    }

    /// "ERR": an error answer as RFC 6749 §4.1.2.1 has it, with one of `errors`.
    pub fn failed(self, errors: &[&str]) -> Self {
        let error = self.get("error").unwrap_or_else(|| panic!("no error: {:?}", self.params));
        assert!(errors.contains(&error), "{:?}", self.params);
        let allowed = ["error", "error_description", "error_uri", "state", "iss"];
        for name in self.params.keys() {
            assert!(allowed.contains(&name.as_str()), "{name} in an error: {:?}", self.params);
        }
        // %x20-21 / %x23-5B / %x5D-7E
        let plain = |text: &str| text.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e));
        assert!(plain(error) && self.get("error_description").is_none_or(plain), "{:?}", self.params);
        let uri = |text: &str| text.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
        assert!(self.get("error_uri").is_none_or(uri), "{:?}", self.params);
        self
    }
}
