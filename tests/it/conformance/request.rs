//! An authorization request of the suite's.

use crate::harness::provider::{encode, random};

/// The parameters, in their order.
#[derive(Clone, Debug, Default)]
pub struct AuthorizationRequest(Vec<(String, String)>);

impl AuthorizationRequest {
    /// Replaces a parameter, or adds it at the end.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => value.clone_into(known),
            None => self.0.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|(known, _)| known != name);
        self
    }

    pub fn reversed(mut self) -> Self {
        self.0.reverse();
        self
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn params(&self) -> &[(String, String)] {
        &self.0
    }

    /// As a query or a form.
    pub fn encoded(&self) -> String {
        encode(&self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>())
    }
}

/// A `state` or `nonce` as the suite's: ten letters and digits.
pub fn ten_random() -> String {
    random().chars().filter(char::is_ascii_alphanumeric).chain("0123456789".chars()).take(10).collect()
}

/// The "long state": as long as a provider is expected to take, ending with what stays as it is in a URL.
pub fn long_state() -> String {
    let letters: String = (0..4).map(|_| random()).collect();
    let letters: String = letters.chars().filter(char::is_ascii_alphanumeric).take(124).collect();
    format!("{letters}-._~")
}
