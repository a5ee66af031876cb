//! Reading a private key that was made elsewhere: PEM (PKCS#8, PKCS#1, SEC1) or JWK, RSA or P-256. Whatever else is said in words; nothing
//! of the private half is ever in them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::pkcs8::der::oid::AssociatedOid;
use rsa::BigUint;
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs8::der::asn1::ObjectIdentifier;
use rsa::pkcs8::{EncodePrivateKey, PrivateKeyInfo, SecretDocument};
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

use super::generate::{public_jwk, sealed};
use super::sign::TokenSigner;
use super::verify::PublicKeys;
use super::{KeyEncryptionKey, strict_json};
use crate::clock::Timestamp;
use crate::model::{Algorithm, KeyState, SigningKey};

/// Longer than any key that we take.
const MAX_BYTES: usize = 32 * 1024;
const MIN_RSA_BITS: usize = 2048;
/// A longer one makes each token slow: the time to sign grows with the cube.
const MAX_RSA_BITS: usize = 4096;
/// Smaller exponents are legal and have been the ground of many attacks (FIPS 186-5 §5.4 (e)); larger ones are not read everywhere.
const MIN_EXPONENT: u32 = 65_537;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

/// Why a key cannot be imported, in words for an operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ImportError(String);

/// A key that can be stored.
#[derive(Debug)]
pub struct ImportedKey {
    pub key: SigningKey,
    /// The `kid` in its file, if it is not the RFC 7638 thumbprint, which is what we call it.
    pub named: Option<String>,
}

type Der = Zeroizing<Vec<u8>>;

fn refused(words: impl Into<String>) -> ImportError {
    ImportError(words.into())
}

/// Reads one private key and seals it. With `alg` it must be a key for that.
///
/// # Errors
/// If it is anything but an unencrypted RSA key of 2048 to 4096 bits or a P-256 key whose halves belong together.
pub fn import(
    text: &[u8],
    alg: Option<Algorithm>,
    kek: &KeyEncryptionKey,
    state: KeyState,
    now: Timestamp,
) -> Result<ImportedKey, ImportError> {
    if text.len() > MAX_BYTES {
        return Err(refused(format!("this is no key: it has more than {MAX_BYTES} bytes")));
    }
    let text = std::str::from_utf8(text).map_err(|_| refused("this is not text: a key in DER must be converted to PEM first"))?;
    let (found, der, named) = if text.trim_start().starts_with('{') { from_jwk(text)? } else { from_pem(text)? };
    if let Some(wanted) = alg.filter(|wanted| *wanted != found) {
        return Err(refused(format!("this is a key for {}, not for {}", found.as_str(), wanted.as_str())));
    }
    let key = sealed(found, &der, kek, state, now).ok_or_else(|| refused("the key cannot be encoded"))?;
    check_halves(&key, &der)?;
    let named = named.filter(|named| *named != key.kid);
    Ok(ImportedKey { key, named })
}

/// The private half must sign what the public half verifies.
fn check_halves(key: &SigningKey, der: &[u8]) -> Result<(), ImportError> {
    let unsound = || refused("the key is not sound: what it signs cannot be verified");
    let token = TokenSigner::new(key, der).and_then(|signer| signer.sign("JWT", &Map::new()).ok()).ok_or_else(unsound)?;
    let jwk = public_jwk(key.alg, der).ok_or_else(unsound)?;
    let mut public = PublicKeys::default();
    public.add(key.kid.clone(), key.alg, &jwk).map_err(|reason| refused(format!("the key is not usable: {reason}")))?;
    public.verify(&token, "JWT").map(drop).map_err(|_| unsound())
}

fn from_pem(text: &str) -> Result<(Algorithm, Der, Option<String>), ImportError> {
    // `openssl ecparam -genkey` writes the curve's name before the key.
    let blocks: Vec<&str> = text.match_indices("-----BEGIN ").filter_map(|(at, _)| text.get(at..)).collect();
    let blocks: Vec<&str> = blocks.into_iter().filter(|block| !block.starts_with("-----BEGIN EC PARAMETERS-----")).collect();
    let [block] = blocks[..] else {
        return Err(refused(match blocks.len() {
            0 => "this is neither PEM (-----BEGIN PRIVATE KEY-----) nor a JWK ({\"kty\": …})",
            _ => "there is more than one PEM block: give the private key alone",
        }));
    };
    let label = block.strip_prefix("-----BEGIN ").and_then(|rest| rest.split("-----").next()).unwrap_or_default();
    if label == "ENCRYPTED PRIVATE KEY" || block.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(refused("the key is encrypted with a passphrase: decrypt it first, as `openssl pkey -in FILE` does"));
    }
    match label {
        "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" => {}
        label if label.ends_with("PUBLIC KEY") || label.contains("CERTIFICATE") => {
            return Err(refused("there is only a public key in it: the private key is wanted"));
        }
        "OPENSSH PRIVATE KEY" => {
            return Err(refused("this is a key of OpenSSH: convert it first, as `ssh-keygen -p -m PKCS8 -f FILE` does"));
        }
        _ => return Err(refused("this PEM block is no private key of a kind that is known: PKCS#8, PKCS#1 and SEC1 are")),
    }
    let (_, document) =
        SecretDocument::from_pem(block.trim_end()).map_err(|_| refused("the PEM block is damaged: it cannot be decoded"))?;
    let der = document.as_bytes();
    let (alg, der) = match label {
        "RSA PRIVATE KEY" => (Algorithm::Rs256, from_rsa(rsa::RsaPrivateKey::from_pkcs1_der(der).ok())?),
        // `p256` does not look at the curve that a SEC1 key names.
        "EC PRIVATE KEY" if !names_p256(der) => {
            return Err(refused(
                "this EC key is on another curve than P-256, or does not name its curve, and ES256 is on that alone",
            ));
        }
        "EC PRIVATE KEY" => (Algorithm::Es256, from_ec(p256::SecretKey::from_sec1_der(der).ok())?),
        _ => from_pkcs8(der)?,
    };
    Ok((alg, der, None))
}

/// Whether the object identifier of P-256 is in it.
fn names_p256(der: &[u8]) -> bool {
    let oid = p256::NistP256::OID;
    der.windows(oid.as_bytes().len()).any(|bytes| bytes == oid.as_bytes())
}

fn from_pkcs8(der: &[u8]) -> Result<(Algorithm, Der), ImportError> {
    let info = PrivateKeyInfo::try_from(der).map_err(|_| refused("the key is damaged: it is not PKCS#8"))?;
    match info.algorithm.oid {
        RSA => Ok((Algorithm::Rs256, from_rsa(rsa::RsaPrivateKey::try_from(info).ok())?)),
        RSA_PSS => Err(refused("this key is for RSASSA-PSS alone, and RS256 is another algorithm")),
        EC if info.algorithm.parameters_oid().ok() != Some(p256::NistP256::OID) => {
            Err(refused("this EC key is on another curve than P-256, and ES256 is on that alone"))
        }
        EC => Ok((Algorithm::Es256, from_ec(p256::SecretKey::try_from(info).ok())?)),
        _ => Err(refused("this is neither an RSA nor an EC key, and RS256 and ES256 are what this provider signs with")),
    }
}

fn from_rsa(key: Option<rsa::RsaPrivateKey>) -> Result<Der, ImportError> {
    let key =
        key.ok_or_else(|| refused("the RSA key is damaged, has more than two primes, or its numbers do not belong together"))?;
    let bits = key.n().bits();
    if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
        return Err(refused(format!("the RSA key has {bits} bits: {MIN_RSA_BITS} to {MAX_RSA_BITS} are possible")));
    }
    let exponent = key.e();
    if *exponent < BigUint::from(MIN_EXPONENT) || *exponent > BigUint::from(u32::MAX) {
        return Err(refused(format!(
            "the public exponent of the RSA key is {exponent}: it must be at least {MIN_EXPONENT} and fit 32 bits"
        )));
    }
    if key.primes().len() != 2 {
        return Err(refused("the RSA key has more than two primes"));
    }
    Ok(key.to_pkcs8_der().map_err(|_| refused("the RSA key cannot be encoded"))?.to_bytes())
}

fn from_ec(key: Option<p256::SecretKey>) -> Result<Der, ImportError> {
    let key = key.ok_or_else(|| refused("the EC key is damaged, or not on the curve P-256"))?;
    Ok(key.to_pkcs8_der().map_err(|_| refused("the EC key cannot be encoded"))?.to_bytes())
}

fn from_jwk(text: &str) -> Result<(Algorithm, Der, Option<String>), ImportError> {
    let mut jwk = strict_json::object(text.as_bytes()).map_err(|_| refused("this is not a JWK: the JSON is damaged"))?;
    let read = read_jwk(&jwk);
    jwk.values_mut().for_each(wipe);
    read
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(values) => values.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn read_jwk(jwk: &Map<String, Value>) -> Result<(Algorithm, Der, Option<String>), ImportError> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    if jwk.contains_key("keys") {
        return Err(refused("this is a JWK set: give one key of it"));
    }
    let (alg, der) = match (text("kty"), text("crv")) {
        (Some("RSA"), _) => (Algorithm::Rs256, rsa_jwk(jwk)?),
        (Some("EC"), Some("P-256")) => (Algorithm::Es256, ec_jwk(jwk)?),
        (Some("EC"), _) => return Err(refused("this EC key is on another curve than P-256, and ES256 is on that alone")),
        _ => return Err(refused("`kty` is neither RSA nor EC, and RS256 and ES256 are what this provider signs with")),
    };
    if text("alg").is_some_and(|named| named != alg.as_str()) || (jwk.contains_key("alg") && text("alg").is_none()) {
        return Err(refused(format!("the JWK is for another `alg` than {}", alg.as_str())));
    }
    if jwk.get("use").is_some_and(|usage| usage != "sig") {
        return Err(refused("the JWK is not for signatures: its `use` is not `sig`"));
    }
    Ok((alg, der, text("kid").map(str::to_owned)))
}

fn number(jwk: &Map<String, Value>, name: &str) -> Result<Der, ImportError> {
    let text = jwk.get(name).and_then(Value::as_str).ok_or_else(|| {
        refused(if name == "d" {
            "the JWK is a public key: `d` is missing".to_owned()
        } else {
            format!("`{name}` of the JWK is missing")
        })
    })?;
    let decoded =
        URL_SAFE_NO_PAD.decode(text).map_err(|_| refused(format!("`{name}` of the JWK is not base64url without padding")))?;
    Ok(Zeroizing::new(decoded))
}

fn rsa_jwk(jwk: &Map<String, Value>) -> Result<Der, ImportError> {
    if jwk.contains_key("oth") {
        return Err(refused("the RSA key has more than two primes"));
    }
    let integer = |name| Ok::<_, ImportError>(BigUint::from_bytes_be(&number(jwk, name)?));
    let (n, e, d) = (integer("n")?, integer("e")?, integer("d")?);
    from_rsa(rsa::RsaPrivateKey::from_components(n, e, d, vec![integer("p")?, integer("q")?]).ok())
}

fn ec_jwk(jwk: &Map<String, Value>) -> Result<Der, ImportError> {
    let d = number(jwk, "d")?;
    let der = from_ec(p256::SecretKey::from_slice(&d).ok().filter(|_| d.len() == 32))?;
    let public = public_jwk(Algorithm::Es256, &der).unwrap_or_default();
    if ["x", "y"].into_iter().any(|name| jwk.get(name) != public.get(name)) {
        return Err(refused("`x` and `y` of the JWK are not those of its private key"));
    }
    Ok(der)
}
