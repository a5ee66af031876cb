//! `response_type`: what an authorization response brings (RFC 6749 §3.1.1, OAuth 2.0 Multiple Response Types).

use serde::{Deserialize, Serialize};

/// A set of `code`, `token` and `id_token`, written in any order and never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ResponseType {
    pub code: bool,
    pub token: bool,
    pub id_token: bool,
}

/// A text that is no response type of OpenID Connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a response_type of OpenID Connect")]
pub struct NotAResponseType;

impl ResponseType {
    pub const CODE: Self = Self { code: true, token: false, id_token: false };

    /// Those of OpenID Connect Core §3 beside `code`. `token` alone is not among them: it signs nobody in.
    pub const LEGACY: [Self; 5] = [
        Self { code: false, token: false, id_token: true },
        Self { code: false, token: true, id_token: true },
        Self { code: true, token: false, id_token: true },
        Self { code: true, token: true, id_token: false },
        Self { code: true, token: true, id_token: true },
    ];

    /// Reads a value; the order of its words does not matter (OAuth 2.0 Multiple Response Types §3).
    ///
    /// # Errors
    /// If it is none of the six.
    pub fn parse(text: &str) -> Result<Self, NotAResponseType> {
        let mut found = Self { code: false, token: false, id_token: false };
        for word in text.split(' ') {
            let part = match word {
                "code" => &mut found.code,
                "token" => &mut found.token,
                "id_token" => &mut found.id_token,
                _ => return Err(NotAResponseType),
            };
            // A word that is there twice is no set.
            if std::mem::replace(part, true) {
                return Err(NotAResponseType);
            }
        }
        match found == Self::CODE || Self::LEGACY.contains(&found) {
            true => Ok(found),
            false => Err(NotAResponseType),
        }
    }

    /// The value, with its words in the order of OpenID Connect Core §3.
    pub const fn as_str(self) -> &'static str {
        match (self.code, self.id_token, self.token) {
            (true, true, true) => "code id_token token",
            (true, true, false) => "code id_token",
            (true, false, true) => "code token",
            (true, false, false) => "code",
            (false, true, true) => "id_token token",
            (false, true, false) => "id_token",
            (false, false, _) => "token",
        }
    }

    /// Whether anything but a code passes through the browser: then the answer belongs in the fragment.
    pub const fn is_legacy(self) -> bool {
        self.token || self.id_token
    }
}

impl TryFrom<String> for ResponseType {
    type Error = NotAResponseType;

    fn try_from(text: String) -> Result<Self, NotAResponseType> {
        Self::parse(&text)
    }
}

impl From<ResponseType> for String {
    fn from(response_type: ResponseType) -> Self {
        response_type.as_str().to_owned()
    }
}

impl Default for ResponseType {
    fn default() -> Self {
        Self::CODE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_the_words_does_not_matter() {
        for legacy in ResponseType::LEGACY {
            assert_eq!(ResponseType::parse(legacy.as_str()), Ok(legacy));
            assert!(legacy.is_legacy());
        }
        assert_eq!(ResponseType::parse("token id_token code").map(ResponseType::as_str), Ok("code id_token token"));
        for wrong in ["", " ", "token", "none", "code ", "code code", "id_token  token", "Code"] {
            assert_eq!(ResponseType::parse(wrong), Err(NotAResponseType), "{wrong:?}");
        }
    }
}
