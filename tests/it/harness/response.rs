//! A response, and what a browser or a client finds in it.

use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;

/// A response, read whole.
#[derive(Debug)]
pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Response {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// `error` of a JSON answer or of a redirect.
    pub fn error(&self) -> String {
        match self.status.is_redirection() {
            true => self.param("error").or_else(|| self.fragment("error")).unwrap_or_default(),
            false => self.json()["error"].as_str().unwrap_or_default().to_owned(),
        }
    }

    pub fn location(&self) -> &str {
        self.header(LOCATION.as_str())
    }

    /// A parameter of the redirect's query.
    pub fn param(&self, name: &str) -> Option<String> {
        let (address, _) = self.location().split_once('#').unwrap_or((self.location(), ""));
        let (_, query) = address.split_once('?')?;
        form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// A parameter of the redirect's fragment.
    pub fn fragment(&self, name: &str) -> Option<String> {
        let (_, fragment) = self.location().split_once('#')?;
        form_urlencoded::parse(fragment.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// The value of the input `name` in a page.
    pub fn input(&self, name: &str) -> String {
        let at = self.body.find(&format!("name=\"{name}\"")).unwrap_or_else(|| panic!("no input {name} in {self:?}"));
        let tag_end = at + self.body[at..].find('>').unwrap();
        let tag_start = self.body[..at].rfind('<').unwrap();
        let tag = &self.body[tag_start..tag_end];
        let value = tag.split("value=\"").nth(1).unwrap_or_default();
        value.split('"').next().unwrap_or_default().to_owned()
    }
}
