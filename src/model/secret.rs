//! Random secrets that we hand out, and what we keep of them.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

/// A secret string: never printed, wiped from memory when dropped.
#[derive(Clone, Zeroize)]
#[zeroize(drop)]
pub struct Secret(String);

impl Secret {
    /// 256 random bits in base64url: 43 characters.
    ///
    /// # Panics
    /// If the operating system cannot give random bytes, when nothing may go on.
    pub fn random() -> Self {
        Self(URL_SAFE_NO_PAD.encode(random_bytes::<32>()))
    }

    /// Wraps what a client or a person sent.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the one place that sends it or checks it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// SHA-256 of the secret: what the database keeps. Enough, since the secret has 256 random bits.
    pub fn hash(&self) -> Vec<u8> {
        Sha256::digest(self.0.as_bytes()).to_vec()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Random bytes from the operating system.
///
/// # Panics
/// If the operating system cannot give them, when nothing may go on.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // proof: getrandom(2) fails only where the system call does not exist, and no login may be served on such a machine.
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// A new random identifier (UUID version 4) in its usual text form.
pub fn new_id() -> String {
    uuid::Builder::from_random_bytes(random_bytes()).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::random();
        assert!(!format!("{secret:?}").contains(secret.expose()));
        assert_eq!(secret.expose().len(), 43);
    }
}
