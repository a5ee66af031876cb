//! The installation's root secret, made once and sealed under the key-encryption key, and the keys derived from it.
//! A new key-encryption key only re-seals it, so nothing derived from it changes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::keyring::KeyEncryptionKey;
use crate::model::Secret;
use crate::model::secret::random_bytes;
use crate::store::{Store, StoreError, Tx, installation};

const NAME: &str = "root_secret";

/// Why the derived keys are not to be had.
#[derive(Debug, thiserror::Error)]
pub enum RootSecretError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "the key-encryption key is not the one that sealed this database: give the right one (TESSERA_MASTER_KEY, or the file keys/master.key from your backup)"
    )]
    WrongKey,
}

/// Keys for keyed hashes, one for each purpose.
pub struct DerivedKeys {
    pub csrf: [u8; 32],
    client_secrets: [u8; 32],
    refresh_tokens: [u8; 32],
    subjects: [u8; 32],
}

impl DerivedKeys {
    /// Opens the root secret, or makes it in a new database.
    ///
    /// # Errors
    /// If the database does not answer, or `kek` is not the key that sealed the secret.
    pub async fn load_or_create(store: &Store, kek: &KeyEncryptionKey) -> Result<Self, RootSecretError> {
        let stored = installation::get(&mut store.read().await?, NAME).await?;
        let sealed = match stored {
            Some(sealed) => sealed,
            None => {
                let fresh = kek.seal(&random_bytes::<32>()).map_err(|_| RootSecretError::WrongKey)?;
                let mut tx = store.begin().await?;
                // Another replica may have been quicker: what is stored counts.
                let sealed = installation::put_if_absent(&mut tx, NAME, &fresh).await?;
                tx.commit().await?;
                sealed
            }
        };
        let root = kek.open(&sealed).map_err(|_| RootSecretError::WrongKey)?;
        Ok(Self::derive(&root))
    }

    /// Seals the root secret anew if it is not under the current key; gives whether it was. What is derived from it stays the same.
    ///
    /// # Errors
    /// As `load_or_create`.
    pub async fn reseal(tx: &mut Tx, kek: &KeyEncryptionKey) -> Result<bool, RootSecretError> {
        let Some(sealed) = installation::get(tx, NAME).await? else { return Ok(false) };
        match kek.reseal(&sealed).map_err(|_| RootSecretError::WrongKey)? {
            Some(resealed) => Ok(installation::replace(tx, NAME, &sealed, &resealed).await?),
            None => Ok(false),
        }
    }

    fn derive(root: &Zeroizing<Vec<u8>>) -> Self {
        let key = |purpose: &str| mac(root, &[purpose.as_bytes()]);
        Self {
            csrf: key("tessera csrf"),
            client_secrets: key("tessera client secret"),
            refresh_tokens: key("tessera refresh token successor"),
            subjects: key("tessera pairwise subject"),
        }
    }

    /// What the database keeps of a client secret. Client secrets are random, so a fast keyed hash is enough (DESIGN §2).
    pub fn client_secret_hash(&self, secret: &Secret) -> Vec<u8> {
        mac(&self.client_secrets, &[secret.expose().as_bytes()]).to_vec()
    }

    /// Compares in constant time.
    pub fn is_client_secret(&self, secret: &Secret, hash: &[u8]) -> bool {
        mac(&self.client_secrets, &[secret.expose().as_bytes()]).as_slice().ct_eq(hash).into()
    }

    /// The refresh token that follows `token`. Always the same one, so that a client whose response was lost gets it on
    /// retrying; nobody without this key can compute it.
    pub fn successor(&self, token: &Secret) -> Secret {
        Secret::new(URL_SAFE_NO_PAD.encode(mac(&self.refresh_tokens, &[token.expose().as_bytes()])))
    }

    /// What the clients of `sector` know a person by (OpenID Connect Core §8.1): always the same, and nobody without this key can tell whose it
    /// is, or compute it. A host has no NUL in it, so no two pairs are the same text.
    pub fn pairwise_subject(&self, sector: &str, user_id: &str) -> String {
        URL_SAFE_NO_PAD.encode(mac(&self.subjects, &[sector.as_bytes(), &[0], user_id.as_bytes()]))
    }
}

/// HMAC-SHA256 of the concatenated parts.
fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // proof: HMAC accepts a key of any length.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes any key");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_purpose_has_its_own_key() {
        let keys = DerivedKeys::derive(&Zeroizing::new(vec![7; 32]));
        assert_ne!(keys.csrf, keys.client_secrets);
        let token = Secret::new("token");
        assert_eq!(keys.successor(&token).expose(), keys.successor(&token).expose());
        assert_ne!(keys.successor(&token).expose(), keys.successor(&Secret::new("other")).expose());
        assert!(keys.is_client_secret(&token, &keys.client_secret_hash(&token)));
        assert!(!keys.is_client_secret(&Secret::new("tokem"), &keys.client_secret_hash(&token)));
        assert_eq!(keys.pairwise_subject("a.example", "ada"), keys.pairwise_subject("a.example", "ada"));
        let others = [("b.example", "ada"), ("a.example", "bob"), ("a.exampl", "eada"), ("", "a.example\0ada")];
        for (sector, user) in others {
            assert_ne!(keys.pairwise_subject("a.example", "ada"), keys.pairwise_subject(sector, user), "{sector} {user}");
        }
        let other_installation = DerivedKeys::derive(&Zeroizing::new(vec![8; 32]));
        assert_ne!(keys.pairwise_subject("a.example", "ada"), other_installation.pairwise_subject("a.example", "ada"));
    }
}
