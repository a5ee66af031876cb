//! The key-encryption key: what seals private keys (and other secrets that must be readable again) for the database.
//! A sealed value is a compact JWE, `dir` with `A256GCM` (RFC 7516, RFC 7518 §4.5 and §5.3). This is not for what others send.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::jwe::JweContentEncryption;
use josekit::jwe::enc::A256GCM;
use zeroize::Zeroizing;

use crate::model::secret::random_bytes;

const KEY_BYTES: usize = 32;
const IV_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
/// Longer than any file that could hold a key: what else the path names is not read into memory.
const MAX_FILE_BYTES: u64 = 1024;
/// The one protected header that is written, and the only one that is accepted: no other `alg` or `enc`, no `zip`, no `crit`.
const HEADER: &str = r#"{"alg":"dir","enc":"A256GCM"}"#;

/// A 256-bit key that seals other secrets. Wiped from memory when dropped, never printed.
pub struct KeyEncryptionKey(Zeroizing<[u8; KEY_BYTES]>);

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
        Self(Zeroizing::new(random_bytes()))
    }

    /// The key from its text form, base64url (43 characters). Padding and white space around it are ignored.
    ///
    /// # Errors
    /// `KekError::Encoding` if it is anything else.
    pub fn from_base64url(text: &str) -> Result<Self, KekError> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.trim().trim_end_matches('=')).map_err(|_| KekError::Encoding)?);
        let key = <[u8; KEY_BYTES]>::try_from(bytes.as_slice()).map_err(|_| KekError::Encoding)?;
        Ok(Self(Zeroizing::new(key)))
    }

    /// The key from the file at `path`. If there is no such file, makes a new key and writes it there with mode 0600 (missing
    /// folders are made with mode 0700). An existing file is never changed. If two processes start at once, both get the same key.
    ///
    /// # Errors
    /// If group or others may read the file, if it holds no key, or if it can be neither read nor made.
    pub fn read_or_create(path: &Path) -> Result<Self, KekError> {
        let failed = |action| move |source| KekError::File { action, path: path.to_owned(), source };
        match File::open(path) {
            Ok(file) => return Self::read(file, path),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed("read")(error)),
        }
        create(path, &Self::random()).map_err(failed("create"))?;
        // Read back, since another process may have been first.
        Self::read(File::open(path).map_err(failed("read"))?, path)
    }

    fn read(file: File, path: &Path) -> Result<Self, KekError> {
        let failed = |source| KekError::File { action: "read", path: path.to_owned(), source };
        // Of the open file, so that what was checked is what is read.
        let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KekError::Permissions { path: path.to_owned(), mode });
        }
        let mut text = Zeroizing::new(String::with_capacity(64));
        file.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(failed)?;
        Self::from_base64url(&text).map_err(|_| KekError::FileContent { path: path.to_owned() })
    }

    fn to_base64url(&self) -> Zeroizing<String> {
        // Room for the line feed of the file: a string that grows leaves its old, unwiped copy behind.
        let mut text = Zeroizing::new(String::with_capacity(KEY_BYTES * 4 / 3 + 4));
        URL_SAFE_NO_PAD.encode_string(self.0.as_slice(), &mut text);
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
            A256GCM.encrypt(self.0.as_slice(), Some(&iv), secret, header.as_bytes()).map_err(|_| SealError::Seal)?;
        let tag = tag.ok_or(SealError::Seal)?;
        let [iv, ciphertext, tag] = [&iv[..], &ciphertext, &tag].map(|part| URL_SAFE_NO_PAD.encode(part));
        Ok(format!("{header}..{iv}.{ciphertext}.{tag}"))
    }

    /// Decrypts what `seal` made.
    ///
    /// josekit would accept a shortened tag and unpack a `zip` without bound, so everything but the ciphertext is checked here
    /// first: exactly our header, no encrypted key, 12 bytes of initialisation vector, 16 bytes of tag.
    ///
    /// # Errors
    /// `SealError::Open`, whatever was wrong.
    pub fn open(&self, sealed: &str) -> Result<Zeroizing<Vec<u8>>, SealError> {
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
            .decrypt(self.0.as_slice(), Some(&iv), &ciphertext, header.as_bytes(), Some(&tag))
            .map(Zeroizing::new)
            .map_err(|_| SealError::Open)
    }
}

impl fmt::Debug for KeyEncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyEncryptionKey(…)")
    }
}

/// Writes `key` under a temporary name and links it to `path`, so that a whole file appears there at once, and only if there was none.
fn create(path: &Path, key: &KeyEncryptionKey) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut text = key.to_base64url();
    text.push('\n');
    let temporary = folder.join(format!(".master-key-{}", crate::model::secret::new_id()));
    if let Err(error) = write_new(&temporary, text.as_bytes()) {
        // Half a file is of no use, and that it could not be written is what the operator needs to know.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    let linked = match fs::hard_link(&temporary, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        // Some file systems have no hard links. Written in place, the file is still never overwritten.
        Err(_) => match write_new(path, text.as_bytes()) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            written => written,
        },
        Ok(()) => Ok(()),
    };
    fs::remove_file(&temporary)?;
    linked?;
    // The name must survive a power failure before anything is sealed under the key.
    File::open(folder)?.sync_all()
}

fn write_new(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

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
    fn a_sealed_value_is_a_jwe_that_josekit_reads() {
        let kek = KeyEncryptionKey::random();
        let decrypter = josekit::jwe::Dir.decrypter_from_bytes(kek.0.as_slice()).unwrap();
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
            assert_eq!(*KeyEncryptionKey::from_base64url(&same).unwrap().0, *key.0);
        }
        for wrong in ["", "short", &text[1..], &format!("{}A", *text), &format!("={}", *text), &"!".repeat(43)] {
            assert!(matches!(KeyEncryptionKey::from_base64url(wrong), Err(KekError::Encoding)), "{wrong}");
        }
        assert!(!format!("{key:?}").contains(text.as_str()));
    }

    #[test]
    fn a_key_file_is_made_once_and_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/keys/master.key");
        let first = KeyEncryptionKey::read_or_create(&path).unwrap();
        let content = fs::read(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary file stays");
        let second = KeyEncryptionKey::read_or_create(&path).unwrap();
        assert_eq!(*first.0, *second.0);
        assert_eq!(fs::read(&path).unwrap(), content);
    }

    #[test]
    fn starting_together_gives_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/master.key");
        let start = std::sync::Barrier::new(8);
        let keys: Vec<[u8; 32]> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        *KeyEncryptionKey::read_or_create(&path).unwrap().0
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn an_exposed_or_broken_file_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        KeyEncryptionKey::read_or_create(&path).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o660] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = KeyEncryptionKey::read_or_create(&path).unwrap_err();
            assert!(matches!(error, KekError::Permissions { .. }) && error.to_string().contains("chmod 600"), "{error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        for broken in ["", "not a key", &"A".repeat(2000)] {
            fs::write(&path, broken).unwrap();
            assert!(matches!(KeyEncryptionKey::read_or_create(&path), Err(KekError::FileContent { .. })));
            assert_eq!(fs::read_to_string(&path).unwrap(), broken);
        }
        assert!(matches!(
            KeyEncryptionKey::read_or_create(folder.path()),
            Err(KekError::File { .. } | KekError::Permissions { .. })
        ));
    }
}
