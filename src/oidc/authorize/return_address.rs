//! The only way back to a client. A `ReturnAddress` can be made only by checking a redirect URI against the client's registered
//! ones, and only a `ReturnAddress` can send an authorization response: an open redirect cannot be written.

use axum::Extension;
use axum::response::{IntoResponse, Redirect, Response};

use crate::error::{OAuthError, PageError};
use crate::model::authorization::ResponseMode;
use crate::model::{Client, redirect_uri};

/// A validated `redirect_uri`, how the client wants the answer there, and its `state`.
#[derive(Clone, Debug)]
pub struct ReturnAddress {
    uri: String,
    mode: ResponseMode,
    state: Option<String>,
    /// `iss` of every response (RFC 9207).
    issuer: String,
}

/// OAuth 2.0 Form Post Response Mode §2: a page that posts itself to the client. The response carries it as an extension, and
/// `pages::draw` turns it into HTML.
#[derive(Clone, Debug)]
pub struct FormPost {
    pub action: String,
    pub fields: Vec<(&'static str, String)>,
}

impl ReturnAddress {
    /// Checks the `redirect_uri` of a request.
    ///
    /// # Errors
    /// A page, never a redirect: there is nowhere safe to send the person (RFC 6749 §4.1.2.1).
    pub fn check(
        client: &Client,
        sent: Option<&str>,
        mode: ResponseMode,
        state: Option<String>,
        issuer: &str,
    ) -> Result<Self, PageError> {
        let registered = &client.metadata.redirect_uris;
        let uri = match (sent, registered.as_slice()) {
            (Some(sent), _) if registered.iter().any(|uri| redirect_uri::matches(uri, sent)) => sent.to_owned(),
            (Some(_), _) => {
                return Err(PageError::bad_link("The redirect_uri of the request is not one that the client registered."));
            }
            (None, [only]) => only.clone(),
            (None, _) => return Err(PageError::bad_link("The request has no redirect_uri.")),
        };
        Ok(Self { uri, mode, state, issuer: issuer.to_owned() })
    }

    /// The URI itself.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// How the client wants its answer.
    pub fn mode(&self) -> ResponseMode {
        self.mode
    }

    /// `state`, as it will be returned.
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// The successful response (RFC 6749 §4.1.2, OpenID Connect Core §3.2.2.5, §3.3.2.5).
    pub fn send_success(&self, fields: Vec<(&'static str, String)>) -> Response {
        self.send(fields)
    }

    /// The error response (RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6).
    pub fn send_error(&self, error: &OAuthError) -> Response {
        error.log();
        self.send(vec![("error", error.code.as_str().to_owned()), ("error_description", error.description.to_string())])
    }

    fn send(&self, mut fields: Vec<(&'static str, String)>) -> Response {
        if let Some(state) = &self.state {
            fields.push(("state", state.clone()));
        }
        fields.push(("iss", self.issuer.clone()));
        match self.mode {
            ResponseMode::FormPost => Extension(FormPost { action: self.uri.clone(), fields }).into_response(),
            // 303, so that no browser repeats a POST there (RFC 9700 §4.12).
            ResponseMode::Query => Redirect::to(&with_query(&self.uri, &fields)).into_response(),
            ResponseMode::Fragment => Redirect::to(&with_fragment(&self.uri, &fields)).into_response(),
        }
    }
}

/// `uri` with `fields` added to its query; what it had there stays (RFC 6749 §3.1.2).
pub fn with_query(uri: &str, fields: &[(&'static str, String)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(fields);
    let separator = match uri.split_once('?') {
        None => "?",
        Some((_, present)) if present.is_empty() || present.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{uri}{separator}{}", query.finish())
}

/// `uri`, which has no fragment, with `fields` as its fragment (OAuth 2.0 Multiple Response Types §2.1).
fn with_fragment(uri: &str, fields: &[(&'static str, String)]) -> String {
    format!("{uri}#{}", form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_that_was_there_stays() {
        let fields = [("code", "a b&c".to_owned())];
        assert_eq!(with_query("https://a.example/cb", &fields), "https://a.example/cb?code=a+b%26c");
        assert_eq!(with_query("https://a.example/cb?x=1", &fields), "https://a.example/cb?x=1&code=a+b%26c");
        assert_eq!(with_query("https://a.example/cb?", &fields), "https://a.example/cb?code=a+b%26c");
    }
}
