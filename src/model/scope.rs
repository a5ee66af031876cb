//! A set of scope values (RFC 6749 §3.3), in the order in which they were asked for.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Scope values without duplicates. Serialised as the protocol's space-separated string.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct ScopeSet(Vec<String>);

impl ScopeSet {
    /// Splits a `scope` parameter. `None` if a value has a character that RFC 6749 §3.3 does not allow.
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |c: char| matches!(c, '\x21' | '\x23'..='\x5b' | '\x5d'..='\x7e');
        text.chars().all(|c| c == ' ' || allowed(c)).then(|| Self::from(text.to_owned()))
    }

    /// Whether `value` is in the set.
    pub fn contains(&self, value: &str) -> bool {
        self.0.iter().any(|scope| scope == value)
    }

    /// Whether each value of `self` is also in `other`.
    pub fn is_subset_of(&self, other: &ScopeSet) -> bool {
        self.0.iter().all(|scope| other.contains(scope))
    }

    /// The values of `self` for which `keep` holds.
    pub fn filter(&self, keep: impl Fn(&str) -> bool) -> ScopeSet {
        Self(self.0.iter().filter(|scope| keep(scope)).cloned().collect())
    }

    /// The values of both sets.
    pub fn union(&self, other: &ScopeSet) -> ScopeSet {
        self.iter().chain(other.iter()).map(str::to_owned).collect()
    }

    /// The values in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<String> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = String>>(values: I) -> Self {
        let mut set = Self::default();
        for value in values {
            if !value.is_empty() && !set.contains(&value) {
                set.0.push(value);
            }
        }
        set
    }
}

impl From<String> for ScopeSet {
    fn from(text: String) -> Self {
        text.split(' ').map(str::to_owned).collect()
    }
}

impl From<ScopeSet> for String {
    fn from(set: ScopeSet) -> Self {
        set.0.join(" ")
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_and_double_spaces_vanish() {
        assert_eq!(ScopeSet::parse("openid  email openid").map(|s| s.to_string()).as_deref(), Some("openid email"));
    }

    #[test]
    fn quotes_and_control_characters_are_refused() {
        assert!(ScopeSet::parse("open\"id").is_none());
        assert!(ScopeSet::parse("a\nb").is_none());
    }
}
