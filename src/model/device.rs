//! A device without a browser that asks for access (RFC 8628), and the short code that a person types for it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::secret::random_bytes;
use super::{Json, ScopeSet};
use crate::clock::Timestamp;

/// A device's request, from its asking until it expires, decided or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceAuthorization {
    /// Of the `device_code`, which has 256 random bits. What a person allowed is an authorization code under the same hash.
    pub device_code_hash: Vec<u8>,
    /// `UserCode::as_str`. In the clear: it has too few possibilities for a hash to hide it, lives for minutes, and opens nothing: whoever
    /// knows it can only give the device access to an account of their own.
    pub user_code: String,
    pub client_id: String,
    pub scope: Json<ScopeSet>,
    /// The audiences that were asked for (RFC 8707).
    pub resource: Json<Vec<String>>,
    /// Where the device asked from.
    pub ip: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// Seconds that must lie between two polls; more after each poll that came too early.
    pub poll_interval: i64,
    pub polled_at: Option<Timestamp>,
    pub decision: Option<DeviceDecision>,
    pub decided_at: Option<Timestamp>,
}

/// What a person said to a device's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceDecision {
    Allowed,
    Denied,
}

/// Capital letters that are not mistaken for one another, and no vowels: no word comes out by chance (RFC 8628 §6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// 20 to the power of 8: 34 bits, guarded by a limit on attempts and a short life.
const LENGTH: usize = 8;

/// More than this is not read: eight letters with generous punctuation.
const LONGEST_TYPED: usize = 64;

/// A `user_code` (RFC 8628 §6.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UserCode(String);

impl UserCode {
    /// A new one.
    pub fn random() -> Self {
        let mut code = String::with_capacity(LENGTH);
        while code.len() < LENGTH {
            for byte in random_bytes::<16>() {
                // 240 is the largest multiple of 20 in a byte: each letter is as likely as any other.
                let letter = LETTERS.get(usize::from(byte % 20)).filter(|_| byte < 240 && code.len() < LENGTH);
                code.extend(letter.map(|letter| char::from(*letter)));
            }
        }
        Self(code)
    }

    /// Reads what a person typed: in either case, with or without punctuation and spaces.
    pub fn parse(typed: &str) -> Option<Self> {
        if typed.len() > LONGEST_TYPED {
            return None;
        }
        let letters = typed.chars().filter(|c| c.is_alphanumeric()).map(|c| c.to_ascii_uppercase());
        let code: String = letters.collect();
        let known = code.len() == LENGTH && code.bytes().all(|letter| LETTERS.contains(&letter));
        known.then_some(Self(code))
    }

    /// The letters alone.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// In two halves, which are easier to read and to say: `WDJB-MJHT`.
impl fmt::Display for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, second) = self.0.split_at_checked(LENGTH / 2).unwrap_or((&self.0, ""));
        write!(f, "{first}-{second}")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_eight_of_twenty_letters() {
        let codes: Vec<UserCode> = (0..2_000).map(|_| UserCode::random()).collect();
        let seen: HashSet<char> = codes.iter().flat_map(|code| code.as_str().chars()).collect();
        assert_eq!(seen.len(), 20, "every letter comes");
        assert!(seen.iter().all(|letter| letter.is_ascii_uppercase() && !"AEIOUY".contains(*letter)));
        for code in &codes {
            assert_eq!(UserCode::parse(code.as_str()).as_ref(), Some(code));
            assert_eq!(UserCode::parse(&code.to_string()).as_ref(), Some(code));
        }
        assert_eq!(codes.iter().collect::<HashSet<_>>().len(), codes.len());
    }

    #[test]
    fn what_people_type_is_understood() {
        let code = UserCode("WDJBMJHT".to_owned());
        assert_eq!(code.to_string(), "WDJB-MJHT");
        for typed in ["WDJB-MJHT", "wdjbmjht", " WdJb mJhT ", "W.D.J.B/M.J.H.T", "wdjb\u{2013}mjht", "\"WDJB_MJHT\""] {
            assert_eq!(UserCode::parse(typed).as_ref(), Some(&code), "{typed}");
        }
        let long = format!("WDJB{}MJHT", "-".repeat(60));
        for typed in ["", "WDJB-MJH", "WDJB-MJHTT", "WDJB-MJHA", "WDJB-MJH1", "WDJB-MJHÄ", "ＷＤＪＢＭＪＨＴ", "ΒDJB-MJHT", &long]
        {
            assert_eq!(UserCode::parse(typed), None, "{typed}");
        }
    }
}
