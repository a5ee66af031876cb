//! Encrypting to a client (RFC 7516): ID tokens and userinfo. Nothing that others encrypted is ever decrypted here.

use josekit::jwe::{
    A128KW, A256KW, ECDH_ES, ECDH_ES_A128KW, ECDH_ES_A256KW, JweEncrypter, JweHeader, RSA_OAEP_256, serialize_compact,
};
use josekit::jwk::Jwk;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::public_key::{bytes, check_rsa, require_length};
use crate::model::Secret;
use crate::model::client::{ContentEncryption, KeyManagement};

/// What only the client can decrypt with.
pub enum Recipient<'a> {
    /// A public JWK of the client's, which it has the private half of.
    Key(&'a Map<String, Value>),
    /// The client's secret, for the algorithms that make their key from it.
    Secret(&'a Secret),
}

/// What is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// A signed token: the result is a nested JWT (RFC 7519 §5.2, `cty`).
    Signed(&'a str),
    /// A claims set in JSON.
    Claims(&'a [u8]),
}

/// Encrypts into a compact JWE. If the key has a `kid`, so has the header.
///
/// Costs a tenth of a millisecond of a core or two; an RSA key of 8192 bits, a millisecond.
///
/// # Errors
/// What is wrong with the key, in words for the log.
pub fn encrypt(content: Content<'_>, alg: KeyManagement, enc: ContentEncryption, to: &Recipient<'_>) -> Result<String, String> {
    let encrypter = encrypter(alg, to)?;
    let mut header = JweHeader::new();
    header.set_content_encryption(enc.as_str());
    if let Recipient::Key(jwk) = to
        && let Some(kid) = jwk.get("kid").and_then(Value::as_str)
    {
        header.set_key_id(kid);
    }
    let payload = match content {
        Content::Signed(token) => {
            header.set_content_type("JWT");
            token.as_bytes()
        }
        Content::Claims(json) => json,
    };
    serialize_compact(payload, &header, &*encrypter).map_err(|_| format!("OpenSSL could not encrypt by {}", alg.as_str()))
}

fn encrypter(alg: KeyManagement, to: &Recipient<'_>) -> Result<Box<dyn JweEncrypter>, String> {
    let unsound = |_| format!("the client's key is not a valid key for {}", alg.as_str());
    match (alg, to) {
        (KeyManagement::A128Kw, Recipient::Secret(secret)) => {
            let key = symmetric_key(secret);
            let (left, _) = key.split_at(16);
            Ok(Box::new(A128KW.encrypter_from_bytes(left).map_err(unsound)?))
        }
        (KeyManagement::A256Kw, Recipient::Secret(secret)) => {
            Ok(Box::new(A256KW.encrypter_from_bytes(symmetric_key(secret).as_slice()).map_err(unsound)?))
        }
        (KeyManagement::RsaOaep256, Recipient::Key(jwk)) => {
            Ok(Box::new(RSA_OAEP_256.encrypter_from_jwk(&minimal(jwk, &["RSA"])?).map_err(unsound)?))
        }
        (KeyManagement::EcdhEs | KeyManagement::EcdhEsA128Kw | KeyManagement::EcdhEsA256Kw, Recipient::Key(jwk)) => {
            let algorithm = match alg {
                KeyManagement::EcdhEsA128Kw => ECDH_ES_A128KW,
                KeyManagement::EcdhEsA256Kw => ECDH_ES_A256KW,
                _ => ECDH_ES,
            };
            Ok(Box::new(algorithm.encrypter_from_jwk(&minimal(jwk, &["EC", "OKP"])?).map_err(unsound)?))
        }
        _ => Err(format!("{} is not for this kind of key", alg.as_str())),
    }
}

/// OpenID Connect Core §10.2: SHA-256 of the secret's text; where the algorithm needs less, the left-most bits.
fn symmetric_key(secret: &Secret) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(Sha256::digest(secret.expose().as_bytes()).into())
}

/// The key with the members that it needs and no others, each of them checked: josekit sees nothing else.
fn minimal(jwk: &Map<String, Value>, types: &[&str]) -> Result<Jwk, String> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str).unwrap_or_default();
    if !types.contains(&text("kty")) {
        return Err(format!("`kty` is not {}", types.join(" or ")));
    }
    let members: &[&str] = match (text("kty"), text("crv")) {
        ("RSA", _) => {
            check_rsa(&bytes(jwk, "n")?, &bytes(jwk, "e")?)?;
            &["kty", "n", "e"]
        }
        ("EC", crv) => {
            let length = match crv {
                "P-256" => 32,
                "P-384" => 48,
                "P-521" => 66,
                _ => return Err("`crv` is not P-256, P-384 or P-521".to_owned()),
            };
            require_length(jwk, "x", length)?;
            require_length(jwk, "y", length)?;
            // OpenSSL checks that the point is on its curve.
            &["kty", "crv", "x", "y"]
        }
        (_, "X25519") => {
            require_length(jwk, "x", 32)?;
            &["kty", "crv", "x"]
        }
        _ => return Err("`crv` is not X25519".to_owned()),
    };
    let minimal = members.iter().map(|name| ((*name).to_owned(), jwk.get(*name).cloned().unwrap_or_default()));
    Jwk::from_map(minimal.collect::<Map<_, _>>()).map_err(|_| "it is not a valid JWK".to_owned())
}

/// Whether tokens can be encrypted to this key, by any algorithm: for whoever registers it.
///
/// # Errors
/// What is wrong with it, if it seems meant for that.
pub(super) fn validate(jwk: &Map<String, Value>) -> Result<bool, String> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str).unwrap_or_default();
    let alg = match (text("kty"), text("crv")) {
        ("RSA", _) => KeyManagement::RsaOaep256,
        ("EC", "P-256" | "P-384" | "P-521") | ("OKP", "X25519") => KeyManagement::EcdhEs,
        _ => return Ok(false),
    };
    if jwk.get("use").is_some_and(|usage| usage != "enc") {
        return Ok(false);
    }
    encrypter(alg, &Recipient::Key(jwk)).map(|_| true)
}
