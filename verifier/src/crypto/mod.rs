//! The cryptography that the crate needs, by one of two libraries: RS256 and ES256 with parsed keys, random bytes, and rustls' provider.
//! Both files have the same functions and types.

#[cfg(feature = "aws-lc-rs")]
mod aws_lc;
#[cfg(feature = "aws-lc-rs")]
pub(crate) use aws_lc::{EcKey, RsaKey, random, tls_provider};

#[cfg(all(feature = "openssl", not(feature = "aws-lc-rs")))]
mod openssl;
#[cfg(all(feature = "openssl", not(feature = "aws-lc-rs")))]
pub(crate) use openssl::{EcKey, RsaKey, random, tls_provider};

#[cfg(not(any(feature = "aws-lc-rs", feature = "openssl")))]
compile_error!("tessera-verifier needs one of its features `aws-lc-rs` and `openssl`");

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// 128 random bits in base64url: a nonce of the feed.
pub(crate) fn nonce() -> Option<String> {
    let mut bytes = [0; 16];
    random(&mut bytes).then(|| URL_SAFE_NO_PAD.encode(bytes))
}
