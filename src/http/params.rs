//! The parameters of a request, from its query or its form body. One pass, and no copy where nothing is escaped: the token
//! endpoint reads every request through this.

use std::borrow::Cow;

use axum::http::{HeaderMap, header};

use super::form_encoding::{self, Malformed};

/// The largest form body that is read, in bytes.
pub const MAX_BODY: usize = 64 * 1024;

/// The most parameters that one request may have.
pub const MAX_PARAMS: usize = 100;

/// Parameters by name. Those without a value are left out (RFC 6749 §3.1: "as if they were omitted").
#[derive(Default)]
pub struct Params<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    repeated: Option<String>,
}

/// May come more than once (RFC 8707 §2, RFC 8693 §2.1).
const REPEATABLE: [&str; 2] = ["resource", "audience"];

/// Why parameters are refused: `invalid_request` in each case. Safe to show: what the client sent appears only as a name
/// that is a plain word.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamsError {
    #[error("the request is larger than {MAX_BODY} bytes")]
    TooLarge,
    #[error("the request has more than {MAX_PARAMS} parameters")]
    TooMany,
    #[error("{0} is given more than once")]
    Duplicate(String),
    #[error("a parameter {0}")]
    Encoding(#[from] Malformed),
}

impl<'a> Params<'a> {
    /// Reads a query (without its `?`) or a form body.
    ///
    /// # Errors
    /// When there is too much of it, when it is not well-formed, or when a parameter is repeated (RFC 6749 §3.1, §3.2).
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParamsError> {
        let params = Self::parse_with_repeated(bytes)?;
        match params.repeated {
            Some(name) => Err(ParamsError::Duplicate(name)),
            None => Ok(params),
        }
    }

    /// As `parse`, but a repeated parameter is only noted: the authorization endpoint tells the client of it by redirect.
    ///
    /// # Errors
    /// When there is too much of it, or when it is not well-formed.
    pub fn parse_with_repeated(bytes: &'a [u8]) -> Result<Self, ParamsError> {
        if bytes.len() > MAX_BODY {
            return Err(ParamsError::TooLarge);
        }
        let mut params = Self { pairs: Vec::with_capacity(8), repeated: None };
        for (count, pair) in bytes.split(|&b| b == b'&').filter(|pair| !pair.is_empty()).enumerate() {
            if count == MAX_PARAMS {
                return Err(ParamsError::TooMany);
            }
            let (name, value) = match pair.iter().position(|&b| b == b'=') {
                Some(at) => pair.split_at(at),
                None => (pair, &b"="[..]),
            };
            let name = form_encoding::decode(name)?;
            let value = form_encoding::decode(value.strip_prefix(b"=").unwrap_or(value))?;
            if value.is_empty() {
                continue;
            }
            if params.pairs.iter().any(|(seen, _)| *seen == name) && !REPEATABLE.contains(&&*name) {
                params.repeated.get_or_insert_with(|| plain_name(&name));
            }
            params.pairs.push((name, value));
        }
        Ok(params)
    }

    /// Parameters that did not come as a form, by the same rules: empty ones are left out, and none has a NUL.
    ///
    /// # Errors
    /// When there are too many, when one has a NUL, or when a parameter is repeated.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (Cow<'a, str>, Cow<'a, str>)>) -> Result<Self, ParamsError> {
        let mut params = Self::default();
        for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
            if params.pairs.len() == MAX_PARAMS {
                return Err(ParamsError::TooMany);
            }
            if name.contains('\0') || value.contains('\0') {
                return Err(Malformed.into());
            }
            if !REPEATABLE.contains(&&*name) && params.get(&name).is_some() {
                return Err(ParamsError::Duplicate(plain_name(&name)));
            }
            params.pairs.push((name, value));
        }
        Ok(params)
    }

    /// A parameter that came more than once, if one did.
    pub fn repeated(&self) -> Option<&str> {
        self.repeated.as_deref()
    }

    /// The value of `name`, if it has one. Of a repeatable parameter, the first.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Every value of `name`, in the order in which they were sent.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter(move |(seen, _)| seen == name).map(|(_, value)| &**value)
    }

    /// Every parameter, in the order in which they were sent.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (&**name, &**value))
    }
}

/// Whether the body is a form: `Content-Type: application/x-www-form-urlencoded`, with or without a `charset`.
pub fn is_form(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| {
        let media_type = value.split(';').next().unwrap_or("").trim();
        media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
    })
}

/// The name of a repeated parameter as an error may repeat it: an `error_description` allows few characters (RFC 6749 §5.2).
fn plain_name(name: &str) -> String {
    let plain = name.len() <= 40 && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    if plain { name.to_owned() } else { "a parameter".to_owned() }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Params<'_>, ParamsError> {
        Params::parse(text.as_bytes())
    }

    fn refused(text: &str) -> Option<ParamsError> {
        parse(text).err()
    }

    #[test]
    fn names_and_values_are_decoded() {
        let params = parse("grant_type=authorization_code&sc%6fpe=openid+email&empty=&novalue&&state=a%3Db=c").unwrap();
        assert_eq!(params.get("grant_type"), Some("authorization_code"));
        assert_eq!(params.get("scope"), Some("openid email"));
        assert_eq!(params.get("state"), Some("a=b=c"));
        assert_eq!(params.get("empty"), None);
        assert_eq!(params.get("novalue"), None);
        assert_eq!(params.iter().count(), 3);
    }

    #[test]
    fn a_repeated_parameter_is_named() {
        assert_eq!(refused("code=1&x=2&c%6fde=3"), Some(ParamsError::Duplicate("code".to_owned())));
        assert_eq!(refused("code=1&x=2&code=1"), Some(ParamsError::Duplicate("code".to_owned())));
        assert_eq!(refused("%22=1&%22=2"), Some(ParamsError::Duplicate("a parameter".to_owned())));
        assert_eq!(refused("code=&code=1&code="), None, "a parameter without a value was not sent");
    }

    #[test]
    fn a_repeatable_parameter_keeps_every_value_in_order() {
        let params = parse("resource=https://a.example&x=1&resource=https://b.example").unwrap();
        assert_eq!(params.all("resource").collect::<Vec<_>>(), ["https://a.example", "https://b.example"]);
        assert_eq!(params.get("resource"), Some("https://a.example"));
    }

    #[test]
    fn there_are_limits() {
        let many = |count: usize| (0..count).map(|i| format!("p{i}=1")).collect::<Vec<_>>().join("&");
        assert_eq!(refused(&many(MAX_PARAMS)), None);
        assert_eq!(refused(&many(MAX_PARAMS + 1)), Some(ParamsError::TooMany));
        assert_eq!(refused(&"a&".repeat(MAX_PARAMS + 1)), Some(ParamsError::TooMany), "those without a value count too");
        let long = |length: usize| format!("x={}", "a".repeat(length - 2));
        assert_eq!(refused(&long(MAX_BODY)), None);
        assert_eq!(refused(&long(MAX_BODY + 1)), Some(ParamsError::TooLarge));
    }

    #[test]
    fn what_is_not_text_is_refused() {
        for text in ["a=%ff", "%ff=a", "a=%00", "a=%2"] {
            assert_eq!(refused(text), Some(ParamsError::Encoding(Malformed)), "{text}");
        }
    }

    #[test]
    fn what_is_a_form() {
        let form =
            |value: &'static str| is_form(&HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(value))]));
        assert!(form("application/x-www-form-urlencoded"));
        assert!(form("Application/X-WWW-Form-Urlencoded; charset=UTF-8"));
        assert!(!form("application/x-www-form-urlencodedx"));
        assert!(!form("application/json"));
        assert!(!is_form(&HeaderMap::new()));
    }

    proptest! {
        #[test]
        fn what_a_client_encodes_comes_back(pairs in proptest::collection::btree_map("[^\0]{0,12}", "[^\0]{1,30}", 0..20)) {
            let encoded = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
            let params = Params::parse(encoded.as_bytes()).unwrap();
            prop_assert_eq!(params.iter().count(), pairs.len());
            for (name, value) in &pairs {
                prop_assert_eq!(params.get(name), Some(value.as_str()));
            }
        }

        #[test]
        fn it_agrees_with_the_standard_reader(bytes in "[a-c=&+%0-9A-F]{0,60}") {
            if let Ok(params) = Params::parse(bytes.as_bytes()) {
                let standard: Vec<_> = form_urlencoded::parse(bytes.as_bytes()).filter(|(_, value)| !value.is_empty()).collect();
                prop_assert_eq!(params.pairs, standard);
            }
        }

        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Params::parse(&bytes);
        }
    }
}
