//! The list of what happened, so that a person sees cause and effect.

use crate::clock::Timestamp;

/// How something went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Went {
    Well,
    /// Refused, as it should be or not: the words say.
    Refused,
    /// Taken back, signed out.
    Ended,
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub at: Timestamp,
    pub went: Went,
    /// "Called the API: 200".
    pub title: String,
    /// What it means, in a sentence or two.
    pub detail: String,
}

impl Event {
    pub fn new(at: Timestamp, went: Went, title: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { at, went, title: title.into(), detail: detail.into() }
    }

    /// The class that the style sheet knows.
    pub fn class(&self) -> &'static str {
        match self.went {
            Went::Well => "well",
            Went::Refused => "refused",
            Went::Ended => "ended",
        }
    }
}
