//! From a public JWK to a verifier. The one place that decides which keys are good enough to verify with
//! (RFC 7517, RFC 7518 §6, RFC 8037 §2). Every member is checked here, so that josekit only ever sees a minimal, sound key.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::jwk::Jwk;
use josekit::jws::{ES256, EdDSA, JwsVerifier, PS256, RS256};
use serde_json::{Map, Value};

use crate::model::Algorithm;
use crate::model::client::ClientAlgorithm;

/// RSA keys under this are refused (RFC 7518 §3.3) ...
const MIN_RSA_BITS: usize = 2048;
/// ... and those above it too, since verifying with them costs too much to let others choose it.
const MAX_RSA_BITS: usize = 8192;

/// The algorithms that a signature may have. Neither `none` nor an HMAC can be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignatureAlg {
    Rs256,
    Ps256,
    Es256,
    /// Ed25519 only.
    EdDsa,
}

impl SignatureAlg {
    const ALL: [Self; 4] = [Self::Rs256, Self::Ps256, Self::Es256, Self::EdDsa];

    /// The algorithm of this exact name in a header; `Ed25519` is the newer name of RFC 9864 for what `EdDSA` means here.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "PS256" => Some(Self::Ps256),
            "ES256" => Some(Self::Es256),
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }

    /// What a client's registered algorithm is here; nothing for the one that is no signature.
    pub(super) const fn of_client(alg: ClientAlgorithm) -> Option<Self> {
        match alg {
            ClientAlgorithm::Rs256 => Some(Self::Rs256),
            ClientAlgorithm::Ps256 => Some(Self::Ps256),
            ClientAlgorithm::Es256 => Some(Self::Es256),
            ClientAlgorithm::EdDsa => Some(Self::EdDsa),
            ClientAlgorithm::Hs256 => None,
        }
    }

    /// The key type and curve that it needs.
    const fn key_type(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Rs256 | Self::Ps256 => ("RSA", None),
            Self::Es256 => ("EC", Some("P-256")),
            Self::EdDsa => ("OKP", Some("Ed25519")),
        }
    }
}

impl From<Algorithm> for SignatureAlg {
    fn from(alg: Algorithm) -> Self {
        match alg {
            Algorithm::Rs256 => Self::Rs256,
            Algorithm::Es256 => Self::Es256,
        }
    }
}

/// Whether `jwk` may verify signatures of `alg`, by its type, its curve, and its own `alg`, `use` and `key_ops` (RFC 7517 §4).
pub(super) fn suits(jwk: &Map<String, Value>, alg: SignatureAlg) -> bool {
    let (kty, crv) = alg.key_type();
    let text = |name: &str| jwk.get(name).map(|value| value.as_str().unwrap_or_default());
    text("kty") == Some(kty)
        && crv.is_none_or(|crv| text("crv") == Some(crv))
        && text("alg").is_none_or(|name| SignatureAlg::from_name(name) == Some(alg))
        && text("use").is_none_or(|key_use| key_use == "sig")
        && jwk.get("key_ops").is_none_or(|ops| ops.as_array().is_some_and(|ops| ops.iter().any(|op| op == "verify")))
}

/// Whether `jwk` may verify signatures of any algorithm.
pub(super) fn suits_any(jwk: &Map<String, Value>) -> Option<SignatureAlg> {
    SignatureAlg::ALL.into_iter().find(|alg| suits(jwk, *alg))
}

/// A verifier for `alg` with this key.
///
/// # Errors
/// What is wrong with the key, in words for whoever registers it.
pub(super) fn verifier(jwk: &Map<String, Value>, alg: SignatureAlg) -> Result<Box<dyn JwsVerifier>, String> {
    if !suits(jwk, alg) {
        return Err("the key is not meant for this algorithm".to_owned());
    }
    let (kty, crv) = alg.key_type();
    let mut minimal = Map::new();
    minimal.insert("kty".to_owned(), kty.into());
    if let Some(crv) = crv {
        minimal.insert("crv".to_owned(), crv.into());
    }
    let members: &[&str] = match alg {
        SignatureAlg::Rs256 | SignatureAlg::Ps256 => {
            check_rsa(&bytes(jwk, "n")?, &bytes(jwk, "e")?)?;
            &["n", "e"]
        }
        SignatureAlg::Es256 => {
            require_length(jwk, "x", 32)?;
            require_length(jwk, "y", 32)?;
            &["x", "y"]
        }
        SignatureAlg::EdDsa => {
            require_length(jwk, "x", 32)?;
            &["x"]
        }
    };
    for name in members {
        minimal.insert((*name).to_owned(), jwk.get(*name).cloned().unwrap_or_default());
    }
    // OpenSSL checks that a point is on its curve.
    let unsound = |_| format!("the {kty} key is not a valid key");
    let jwk = Jwk::from_map(minimal).map_err(unsound)?;
    Ok(match alg {
        SignatureAlg::Rs256 => Box::new(RS256.verifier_from_jwk(&jwk).map_err(unsound)?),
        SignatureAlg::Ps256 => Box::new(PS256.verifier_from_jwk(&jwk).map_err(unsound)?),
        SignatureAlg::Es256 => Box::new(ES256.verifier_from_jwk(&jwk).map_err(unsound)?),
        SignatureAlg::EdDsa => Box::new(EdDSA.verifier_from_jwk(&jwk).map_err(unsound)?),
    })
}

/// Whether `signature` is `alg`'s signature of `message`. Lengths are checked here: a DER-encoded ECDSA signature is not a JWS
/// signature (RFC 7518 §3.4), and zero is not a valid half of one.
pub(super) fn is_signed(verifier: &dyn JwsVerifier, alg: SignatureAlg, message: &[u8], signature: &[u8]) -> bool {
    let plausible = match alg {
        SignatureAlg::Es256 => signature.len() == 64 && signature.chunks(32).all(|half| half.iter().any(|byte| *byte != 0)),
        SignatureAlg::EdDsa => signature.len() == 64,
        SignatureAlg::Rs256 | SignatureAlg::Ps256 => (MIN_RSA_BITS / 8..=MAX_RSA_BITS / 8).contains(&signature.len()),
    };
    plausible && verifier.verify(message, signature).is_ok()
}

pub(super) fn check_rsa(n: &[u8], e: &[u8]) -> Result<(), String> {
    let bits = match n {
        [] | [0, ..] => return Err("`n` is empty or begins with a zero byte".to_owned()),
        [first, rest @ ..] => rest.len() * 8 + (u8::BITS - first.leading_zeros()) as usize,
    };
    if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
        return Err(format!("an RSA key has {MIN_RSA_BITS} to {MAX_RSA_BITS} bits; this one has {bits}"));
    }
    let exponent = e.iter().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
    if e.len() > 4 || e.first() == Some(&0) || exponent < 3 || exponent % 2 == 0 {
        return Err("`e` is not a usable RSA exponent".to_owned());
    }
    Ok(())
}

pub(super) fn require_length(jwk: &Map<String, Value>, name: &str, length: usize) -> Result<(), String> {
    match bytes(jwk, name)?.len() {
        found if found == length => Ok(()),
        found => Err(format!("`{name}` has {length} bytes; this one has {found}")),
    }
}

pub(super) fn bytes(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, String> {
    let text = jwk.get(name).and_then(Value::as_str).ok_or_else(|| format!("`{name}` is missing or not a string"))?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| format!("`{name}` is not base64url without padding"))
}
