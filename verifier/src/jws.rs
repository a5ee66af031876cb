//! A JWS in compact form (RFC 7515 §3.1), taken apart and checked for its form. Who signed it is asked of `keys`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::json;
use crate::keys::Alg;

/// Longer key ids are refused.
const MAX_KID: usize = 256;

/// The three parts, decoded.
pub(crate) struct Jws<'t> {
    pub(crate) header: Header,
    pub(crate) payload: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    /// What was signed: the first two parts as they were sent.
    pub(crate) signing_input: &'t [u8],
}

/// What of the header counts. Keys that it brings along or points at (`jwk`, `jku`, `x5c`, `x5u`) do not: RFC 8725 §3.10.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) alg: Alg,
    pub(crate) kid: String,
    /// Lower case, without `application/` (RFC 7515 §4.1.9); empty if there is none.
    pub(crate) typ: String,
}

/// Why it is none that we take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// Not three parts of base64url, or a header that is not what it must be.
    Form(&'static str),
    /// `alg` is neither RS256 nor ES256.
    Alg,
}

impl<'t> Jws<'t> {
    /// Takes `token` apart. Base64url must be canonical: no padding, no bits behind the end.
    pub(crate) fn parse(token: &'t str, max_length: usize) -> Result<Self, Malformed> {
        if token.len() > max_length {
            return Err(Malformed::Form("too long"));
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(Malformed::Form("not three parts"))?;
        let (header, payload) = signing_input.split_once('.').ok_or(Malformed::Form("not three parts"))?;
        if payload.contains('.') {
            return Err(Malformed::Form("not three parts"));
        }
        let header = Header::parse(&decode(header)?)?;
        Ok(Self { header, payload: decode(payload)?, signature: decode(signature)?, signing_input: signing_input.as_bytes() })
    }
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut header = json::object(bytes).map_err(|_| Malformed::Form("header is not a JSON object"))?;
        let mut text = |name| match header.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let alg = text("alg").and_then(|alg| Alg::from_name(&alg)).ok_or(Malformed::Alg)?;
        let kid = text("kid").filter(|kid| !kid.is_empty() && kid.len() <= MAX_KID).ok_or(Malformed::Form("no kid"))?;
        let mut typ = text("typ").unwrap_or_default().to_ascii_lowercase();
        if let Some(short) = typ.strip_prefix("application/") {
            typ = short.to_owned();
        }
        // Nothing that may be critical is understood here (RFC 7515 §4.1.11); `b64` (RFC 7797) changes what is signed.
        if header.contains_key("crit") || header.contains_key("b64") {
            return Err(Malformed::Form("crit"));
        }
        Ok(Self { alg, kid, typ })
    }
}

fn decode(part: &str) -> Result<Vec<u8>, Malformed> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Malformed::Form("not base64url"))
}
