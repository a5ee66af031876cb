//! The key-encryption key: what seals private keys (and other secrets that must be readable again) for the database.
//! A sealed value is a compact JWE, `dir` with `A256GCM` (RFC 7516, RFC 7518 §4.5 and §5.3). This is not for what others send.

use std::fmt;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::jwe::JweContentEncryption;
use josekit::jwe::enc::A256GCM;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::model::secret::random_bytes;

const KEY_BYTES: usize = 32;
const IV_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
/// The one protected header that is written, and the only one that is accepted: no other `alg` or `enc`, no `zip`, no `crit`.
const HEADER: &str = r#"{"alg":"dir","enc":"A256GCM"}"#;

/// A 256-bit key that seals other secrets, and perhaps a second one that only opens: while the key is being changed, values are met
/// that were sealed under either. Wiped from memory when dropped, never printed.
#[derive(Clone)]
pub struct KeyEncryptionKey {
    current: Zeroizing<[u8; KEY_BYTES]>,
    accepted: Option<Zeroizing<[u8; KEY_BYTES]>>,
}

/// Why there is no usable key-encryption key. Meant for the operator; holds no part of a key.
#[derive(Debug, thiserror::Error)]
pub enum KekError {
    #[error("a key-encryption key is 32 random bytes in base64url without padding (43 characters); this is not")]
    Encoding,
    #[error(
        "the key-encryption key {path} can be read by others (mode {mode:04o}): run `chmod 600 {path}`; if others may have read both it and the database, revoke the signing keys (`tessera key revoke`)"
    )]
    Permissions { path: PathBuf, mode: u32 },
    #[error("{path} does not hold a key-encryption key: 32 random bytes in base64url without padding (43 characters)")]
    FileContent { path: PathBuf },
    #[error("cannot {action} {path}: {source}")]
    File { action: &'static str, path: PathBuf, source: std::io::Error },
}

/// Sealing or opening failed. Says no more, so that nothing is learnt by trying.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("the value could not be encrypted")]
    Seal,
    #[error("the key-encryption key does not open this value, or it was changed")]
    Open,
}

impl KeyEncryptionKey {
    /// A new random key.
    pub fn random() -> Self {
        Self::of(random_bytes())
    }

    /// The key from its text form, base64url (43 characters). Padding and white space around it are ignored.
    ///
    /// # Errors
    /// `KekError::Encoding` if it is anything else.
    pub fn from_base64url(text: &str) -> Result<Self, KekError> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.trim().trim_end_matches('=')).map_err(|_| KekError::Encoding)?);
        let key = <[u8; KEY_BYTES]>::try_from(bytes.as_slice()).map_err(|_| KekError::Encoding)?;
        Ok(Self::of(key))
    }

    fn of(key: [u8; KEY_BYTES]) -> Self {
        Self { current: Zeroizing::new(key), accepted: None }
    }

    /// This key, which also opens what was sealed under `other`.
    #[must_use]
    pub fn accepting(self, other: Self) -> Self {
        Self { current: self.current, accepted: Some(other.current) }
    }

    /// The same two keys, the other way round; `None` if there is but one.
    pub fn swapped(&self) -> Option<Self> {
        Some(Self { current: self.accepted.clone()?, accepted: Some(self.current.clone()) })
    }

    /// This key without the second one.
    #[must_use]
    pub fn alone(&self) -> Self {
        Self { current: self.current.clone(), accepted: None }
    }

    /// Whether there is a second key.
    pub fn accepts_another(&self) -> bool {
        self.accepted.is_some()
    }

    /// Whether both seal and open the same.
    pub fn is_same(&self, other: &Self) -> bool {
        let accepted = match (&self.accepted, &other.accepted) {
            (None, None) => true,
            (Some(one), Some(two)) => one.as_slice().ct_eq(two.as_slice()).into(),
            _ => false,
        };
        bool::from(self.current.as_slice().ct_eq(other.current.as_slice())) && accepted
    }

    /// The text form of the key that seals.
    pub(super) fn to_base64url(&self) -> Zeroizing<String> {
        // Room for the line feed of the file: a string that grows leaves its old, unwiped copy behind.
        let mut text = Zeroizing::new(String::with_capacity(KEY_BYTES * 4 / 3 + 4));
        URL_SAFE_NO_PAD.encode_string(self.current.as_slice(), &mut text);
        text
    }

    /// Encrypts `secret` into a compact JWE. The same secret gives a different text each time.
    ///
    /// # Errors
    /// `SealError::Seal` if OpenSSL fails.
    pub fn seal(&self, secret: &[u8]) -> Result<String, SealError> {
        let header = URL_SAFE_NO_PAD.encode(HEADER);
        // Random 96-bit initialisation vectors are safe for 2^32 values under one key (NIST SP 800-38D §8.3): far more than we seal.
        let iv = random_bytes::<IV_BYTES>();
        let (ciphertext, tag) =
            A256GCM.encrypt(self.current.as_slice(), Some(&iv), secret, header.as_bytes()).map_err(|_| SealError::Seal)?;
        let tag = tag.ok_or(SealError::Seal)?;
        let [iv, ciphertext, tag] = [&iv[..], &ciphertext, &tag].map(|part| URL_SAFE_NO_PAD.encode(part));
        Ok(format!("{header}..{iv}.{ciphertext}.{tag}"))
    }

    /// Decrypts what `seal` made, under this key or the second one.
    ///
    /// # Errors
    /// `SealError::Open`, whatever was wrong.
    pub fn open(&self, sealed: &str) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let opened = open_with(&self.current, sealed);
        match &self.accepted {
            Some(accepted) => opened.or_else(|_| open_with(accepted, sealed)),
            None => opened,
        }
    }

    /// The secret in `sealed` sealed anew, or `None` if it is sealed under the current key already.
    ///
    /// # Errors
    /// `SealError::Open` if no key opens it.
    pub fn reseal(&self, sealed: &str) -> Result<Option<String>, SealError> {
        if open_with(&self.current, sealed).is_ok() {
            return Ok(None);
        }
        self.seal(&self.open(sealed)?).map(Some)
    }
}

/// josekit would accept a shortened tag and unpack a `zip` without bound, so everything but the ciphertext is checked here first:
/// exactly our header, no encrypted key, 12 bytes of initialisation vector, 16 bytes of tag.
fn open_with(key: &[u8; KEY_BYTES], sealed: &str) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let mut parts = sealed.split('.');
    let (Some(header), Some(""), Some(iv), Some(ciphertext), Some(tag), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(SealError::Open);
    };
    let decode = |part| URL_SAFE_NO_PAD.decode(part).map_err(|_| SealError::Open);
    let (protected, iv, ciphertext, tag) = (decode(header)?, decode(iv)?, decode(ciphertext)?, decode(tag)?);
    if protected != HEADER.as_bytes() || iv.len() != IV_BYTES || tag.len() != TAG_BYTES {
        return Err(SealError::Open);
    }
    A256GCM
        .decrypt(key.as_slice(), Some(&iv), &ciphertext, header.as_bytes(), Some(&tag))
        .map(Zeroizing::new)
        .map_err(|_| SealError::Open)
}

impl fmt::Debug for KeyEncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyEncryptionKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(sealed: &str, part: usize, change: impl Fn(Vec<u8>) -> Vec<u8>) -> String {
        let mut parts: Vec<String> = sealed.split('.').map(str::to_owned).collect();
        parts[part] = URL_SAFE_NO_PAD.encode(change(URL_SAFE_NO_PAD.decode(&parts[part]).unwrap()));
        parts.join(".")
    }

    #[test]
    fn what_is_sealed_opens_with_the_same_key_only() {
        let kek = KeyEncryptionKey::random();
        let sealed = kek.seal(b"a private key").unwrap();
        assert_eq!(kek.open(&sealed).unwrap().as_slice(), b"a private key");
        assert_ne!(kek.seal(b"a private key").unwrap(), sealed);
        assert_eq!(KeyEncryptionKey::random().open(&sealed), Err(SealError::Open));
    }

    #[test]
    fn a_second_key_opens_and_never_seals() {
        let (old, new) = (KeyEncryptionKey::random(), KeyEncryptionKey::random());
        let both = new.clone().accepting(old.clone());
        let sealed = old.seal(b"secret").unwrap();
        assert_eq!(both.open(&sealed).unwrap().as_slice(), b"secret");
        assert!(new.open(&both.seal(b"secret").unwrap()).is_ok() && old.open(&both.seal(b"secret").unwrap()).is_err());
        let resealed = both.reseal(&sealed).unwrap().unwrap();
        assert_eq!(new.open(&resealed).unwrap().as_slice(), b"secret");
        assert_eq!(both.reseal(&resealed), Ok(None), "once is enough");
        assert_eq!(both.alone().open(&sealed), Err(SealError::Open));
        assert_eq!(both.reseal(&KeyEncryptionKey::random().seal(b"secret").unwrap()), Err(SealError::Open));
        let swapped = both.swapped().unwrap();
        assert!(old.open(&swapped.seal(b"secret").unwrap()).is_ok() && swapped.open(&resealed).is_ok());
        assert!(new.swapped().is_none() && both.is_same(&swapped.swapped().unwrap()) && !both.is_same(&swapped));
        assert!(!both.is_same(&new) && new.is_same(&both.alone()));
        assert!(!format!("{both:?}").contains(both.to_base64url().as_str()));
    }

    #[test]
    fn a_sealed_value_is_a_jwe_that_josekit_reads() {
        let kek = KeyEncryptionKey::random();
        let decrypter = josekit::jwe::Dir.decrypter_from_bytes(kek.current.as_slice()).unwrap();
        let (payload, _) = josekit::jwe::deserialize_compact(&kek.seal(b"secret").unwrap(), &decrypter).unwrap();
        assert_eq!(payload, b"secret");
    }

    #[test]
    fn a_changed_value_does_not_open() {
        let kek = KeyEncryptionKey::random();
        let sealed = kek.seal(&[7; 40]).unwrap();
        let header = |text: &str| changed(&sealed, 0, |_| text.as_bytes().to_vec());
        let hostile = [
            ("no tag", changed(&sealed, 4, |_| Vec::new())),
            ("a tag of one byte", changed(&sealed, 4, |tag| tag[..1].to_vec())),
            ("a tag of 12 bytes", changed(&sealed, 4, |tag| tag[..12].to_vec())),
            ("a longer tag", changed(&sealed, 4, |tag| [tag, vec![0]].concat())),
            ("another tag", changed(&sealed, 4, |tag| tag.iter().map(|byte| byte ^ 1).collect())),
            ("a short iv", changed(&sealed, 2, |iv| iv[..11].to_vec())),
            ("another iv", changed(&sealed, 2, |iv| iv.iter().map(|byte| byte ^ 1).collect())),
            ("another ciphertext", changed(&sealed, 3, |text| text.iter().map(|byte| byte ^ 1).collect())),
            ("a shortened ciphertext", changed(&sealed, 3, |text| text[1..].to_vec())),
            ("an encrypted key", sealed.replacen("..", ".AAAA.", 1)),
            ("zip", header(r#"{"alg":"dir","enc":"A256GCM","zip":"DEF"}"#)),
            ("crit", header(r#"{"alg":"dir","enc":"A256GCM","crit":["b64"]}"#)),
            ("another alg", header(r#"{"alg":"A256KW","enc":"A256GCM"}"#)),
            ("another enc", header(r#"{"alg":"dir","enc":"A128CBC-HS256"}"#)),
            ("a space in the header", header(r#"{"alg":"dir", "enc":"A256GCM"}"#)),
            ("padding", format!("{sealed}=")),
            ("a sixth part", format!("{sealed}.")),
            ("four parts", sealed.rsplit_once('.').unwrap().0.to_owned()),
            ("nothing", String::new()),
        ];
        for (what, text) in hostile {
            assert_eq!(kek.open(&text), Err(SealError::Open), "{what}");
        }
    }

    #[test]
    fn the_text_form_is_exact() {
        let key = KeyEncryptionKey::random();
        let text = key.to_base64url();
        for same in [format!("{}\n", *text), format!("{}=", *text)] {
            assert_eq!(*KeyEncryptionKey::from_base64url(&same).unwrap().current, *key.current);
        }
        for wrong in ["", "short", &text[1..], &format!("{}A", *text), &format!("={}", *text), &"!".repeat(43)] {
            assert!(matches!(KeyEncryptionKey::from_base64url(wrong), Err(KekError::Encoding)), "{wrong}");
        }
        assert!(!format!("{key:?}").contains(text.as_str()));
    }
}
