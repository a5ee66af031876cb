//! How options are read, and how they change a member: what is not given changes nothing, and an empty value clears.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::model::client::GrantType;

/// The word by which an option goes back to what the installation has, or to nothing.
pub(super) const DEFAULT: &str = "default";

/// A value, or the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Setting<T>(pub Option<T>);

pub(super) fn set<T>(field: &mut T, given: Option<T>) {
    if let Some(value) = given {
        *field = value;
    }
}

pub(super) fn set_text(field: &mut Option<String>, given: &Option<String>) {
    set(field, given.as_ref().map(|text| Some(text.trim().to_owned()).filter(|text| !text.is_empty())));
}

pub(super) fn set_list(field: &mut Vec<String>, given: &Option<Vec<String>>) {
    set(field, given.as_ref().map(|list| list.iter().filter(|one| !one.is_empty()).cloned().collect()));
}

/// One of these words, which the protocol has for `T`.
pub(super) fn word<T: DeserializeOwned + Clone + Send + Sync + 'static>(
    words: &'static [&'static str],
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(words).try_map(|word| serde_json::from_value::<T>(Value::from(word)))
}

/// One of these words, or `default`.
pub(super) fn or_default<T: DeserializeOwned + Clone + Send + Sync + 'static>(
    words: &'static [&'static str],
) -> impl TypedValueParser<Value = Setting<T>> {
    PossibleValuesParser::new(words).try_map(|word| match word.as_str() {
        DEFAULT => Ok(Setting(None)),
        word => serde_json::from_value::<T>(Value::from(word)).map(|value| Setting(Some(value))),
    })
}

pub(super) fn seconds(text: &str) -> Result<Setting<u32>, String> {
    match text {
        DEFAULT => Ok(Setting(None)),
        text => text.parse().map(|seconds| Setting(Some(seconds))).map_err(|_| "give whole seconds, or \"default\"".to_owned()),
    }
}

/// A grant by its word; the two long ones by what everybody calls them as well.
pub(super) fn grant() -> impl TypedValueParser<Value = GrantType> {
    const WORDS: &[&str] =
        &["authorization_code", "refresh_token", "client_credentials", "implicit", "device_code", "token_exchange"];
    PossibleValuesParser::new(WORDS).try_map(|word| {
        let word = match word.as_str() {
            "device_code" => GrantType::DeviceCode.as_str(),
            "token_exchange" => GrantType::TokenExchange.as_str(),
            word => word,
        };
        serde_json::from_value::<GrantType>(Value::from(word))
    })
}

/// `member#tag=text`, such as `client_name#de=Büro`.
pub(super) fn localized(text: &str) -> Result<(String, String), String> {
    let (member, value) = text.split_once('=').ok_or("write it as client_name#de=Name")?;
    Ok((member.to_owned(), value.to_owned()))
}
