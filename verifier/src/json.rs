//! JSON as strictly as tokens want it: no member twice (RFC 8725 §2.4, RFC 7519 §4), bounded depth, nothing after the value.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Deeper values are refused.
pub(crate) const MAX_DEPTH: usize = 32;

/// One JSON object and nothing else. What is refused is not repeated in the error.
pub(crate) fn object(bytes: &[u8]) -> Result<Map<String, Value>, serde_json::Error> {
    // Two passes: the first looks for members that stand there twice and builds nothing. What a number is made into is for `serde_json`
    // alone to say: with its feature `arbitrary_precision`, which any crate of the program may switch on, numbers come to a visitor as
    // maps (`cargo test -p tessera-verifier --features serde_json/arbitrary_precision`).
    serde_json::from_slice::<NothingTwice>(bytes)?;
    match serde_json::from_slice(bytes)? {
        value if !is_within(MAX_DEPTH, &value) => Err(Error::custom("nested too deeply")),
        Value::Object(object) => Ok(object),
        _ => Err(Error::custom("not an object")),
    }
}

/// Whether the value opens no more than so many levels. `serde_json` reads none with more than 128, which bounds the recursion.
fn is_within(levels: usize, value: &Value) -> bool {
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(|item| is_within(levels - 1, item)),
        Value::Object(members) => levels > 0 && members.values().all(|member| is_within(levels - 1, member)),
        _ => true,
    }
}

/// Any JSON value in which no object has a member twice.
struct NothingTwice;

impl<'de> Deserialize<'de> for NothingTwice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for NothingTwice {
    type Value = Self;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON without a member twice")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E: Error>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            if !names.insert(name) {
                return Err(A::Error::custom("a member twice"));
            }
            members.next_value::<Self>()?;
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_parsers_read_differently() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"[{"a":[{"b":1,"b":2}]}]"#,
            r#"{"a":1}x"#,
            r#"{"a":1}{}"#,
            r#"{"a":NaN}"#,
            r#"{"a":01}"#,
            r#"{"a":1,}"#,
            r#"{'a':1}"#,
            "{\"a\":\"\u{1}\"}",
            r#"{"a":"\ud800"}"#,
            "[]",
            "1",
            "",
        ] {
            assert!(object(text.as_bytes()).is_err(), "{text}");
        }
        assert!(object(b"{\"a\":\"\xff\"}").is_err());
        assert_eq!(object(br#" {"a":[1,{"b":null}],"c":{"b":1.5}} "#).unwrap().len(), 2);
    }

    /// Also with the features of `serde_json` that another crate may have switched on.
    #[test]
    fn numbers_are_numbers() {
        let object = object(br#"{"a":7,"b":[-1,1.5],"c":253402300799}"#).unwrap();
        assert_eq!((object["a"].as_u64(), object["c"].as_u64()), (Some(7), Some(253_402_300_799)));
        assert_eq!((object["b"][0].as_i64(), object["b"][1].as_f64()), (Some(-1), Some(1.5)));
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        assert!(object(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert!(object(nested(MAX_DEPTH + 1).as_bytes()).is_err());
        assert!(object(nested(100_000).as_bytes()).is_err());
        let array = format!("{{\"a\":{}1{}}}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        assert!(object(array.as_bytes()).is_err());
    }
}
