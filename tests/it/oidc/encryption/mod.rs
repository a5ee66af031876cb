//! ID tokens and userinfo that only the client can read (OpenID Connect Core §5.3.2, §10.2): seen by relying parties that decrypt them.

mod keys;
mod userinfo;

use axum::http::StatusCode;
use josekit::jwe;
use josekit::jwe::{A128KW, A256KW, ECDH_ES, ECDH_ES_A128KW, ECDH_ES_A256KW, JweDecrypter, JweHeader, RSA_OAEP_256};
use josekit::jwk::Jwk;
use josekit::jwk::alg::ec::{EcCurve, EcKeyPair};
use josekit::jwk::alg::ecx::{EcxCurve, EcxKeyPair};
use josekit::jwk::alg::rsa::RsaKeyPair;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tessera::model::ClientMetadata;
use tessera::model::client::{ContentEncryption, KeyManagement};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::harness::engines::TestDatabase;
use crate::harness::provider::{ISSUER, Provider, Tokens, claims, header, new_email, random};
use crate::harness::servers::PYTHON;

/// What a client can decrypt with.
struct Key {
    private: Jwk,
    /// As it is published.
    public: Value,
}

impl Key {
    fn rsa(bits: u32) -> Self {
        Self::of(RsaKeyPair::generate(bits).unwrap().to_jwk_key_pair())
    }

    fn ec(curve: EcCurve) -> Self {
        Self::of(EcKeyPair::generate(curve).unwrap().to_jwk_key_pair())
    }

    fn x25519() -> Self {
        Self::of(EcxKeyPair::generate(EcxCurve::X25519).unwrap().to_jwk_key_pair())
    }

    fn of(mut private: Jwk) -> Self {
        let kid = random();
        private.set_key_id(&kid);
        let mut public: Value = serde_json::from_str(&private.to_public_key().unwrap().to_string()).unwrap();
        public["kid"] = json!(kid);
        public["use"] = json!("enc");
        Self { private, public }
    }

    /// One that suits.
    fn for_alg(alg: KeyManagement) -> Self {
        match alg {
            KeyManagement::RsaOaep256 => Self::rsa(2048),
            _ => Self::ec(EcCurve::P256),
        }
    }

    /// OpenID Connect Core §10.2: SHA-256 of the secret, of which A128KW takes the left half.
    fn from_secret(secret: &str, alg: KeyManagement) -> Self {
        let digest = Sha256::digest(secret);
        let mut private = Jwk::new("oct");
        private.set_key_value(&digest[..if alg == KeyManagement::A128Kw { 16 } else { 32 }]);
        Self { private, public: Value::Null }
    }

    fn kid(&self) -> &Value {
        &self.public["kid"]
    }

    /// What a relying party finds inside.
    fn open(&self, alg: KeyManagement, token: &str) -> Result<(JweHeader, String), josekit::JoseError> {
        let key = &self.private;
        let decrypter: Box<dyn JweDecrypter> = match alg {
            KeyManagement::RsaOaep256 => Box::new(RSA_OAEP_256.decrypter_from_jwk(key)?),
            KeyManagement::EcdhEs => Box::new(ECDH_ES.decrypter_from_jwk(key)?),
            KeyManagement::EcdhEsA128Kw => Box::new(ECDH_ES_A128KW.decrypter_from_jwk(key)?),
            KeyManagement::EcdhEsA256Kw => Box::new(ECDH_ES_A256KW.decrypter_from_jwk(key)?),
            KeyManagement::A128Kw => Box::new(A128KW.decrypter_from_jwk(key)?),
            KeyManagement::A256Kw => Box::new(A256KW.decrypter_from_jwk(key)?),
        };
        let (plain, header) = jwe::deserialize_compact(token, &*decrypter)?;
        Ok((header, String::from_utf8(plain).unwrap()))
    }
}

fn jwks(keys: &[&Key]) -> Value {
    json!({ "keys": keys.iter().map(|key| key.public.clone()).collect::<Vec<_>>() })
}

/// A client whose ID tokens are encrypted to `key`.
fn encrypted(alg: KeyManagement, key: &Key) -> impl FnOnce(&mut ClientMetadata) {
    let jwks = jwks(&[key]);
    move |metadata| {
        metadata.id_token_encrypted_response_alg = Some(alg);
        metadata.jwks = Some(jwks);
    }
}

async fn provider() -> Provider {
    Provider::new(TestDatabase::sqlite().await).await
}

/// Each algorithm that the metadata names, with each content encryption: a signed token inside of an encrypted one, whenever an ID token
/// is issued. And another library, in another language, finds the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_advertised_algorithm_is_what_it_says() {
    let provider = provider().await;
    let metadata = provider.get("/.well-known/openid-configuration").await.json();
    assert!(metadata.get("request_object_encryption_alg_values_supported").is_none(), "nothing can be encrypted to us");
    let list = |name: &str| metadata[name].as_array().unwrap().clone();
    let (algs, encs) = (list("id_token_encryption_alg_values_supported"), list("id_token_encryption_enc_values_supported"));
    assert_eq!((algs.len(), encs.len()), (6, 4));
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    let mut for_python = Vec::new();
    for (alg, enc) in algs.iter().flat_map(|alg| encs.iter().map(move |enc| (alg, enc))) {
        let id = format!("{} {}", alg.as_str().unwrap(), enc.as_str().unwrap());
        let (alg, enc): (KeyManagement, ContentEncryption) =
            (serde_json::from_value(alg.clone()).unwrap(), serde_json::from_value(enc.clone()).unwrap());
        let mut key = Key::for_alg(alg);
        let client = provider
            .client(&id, |metadata| {
                encrypted(alg, &key)(metadata);
                metadata.id_token_encrypted_response_enc = Some(enc);
            })
            .await;
        if alg.needs_secret() {
            key = Key::from_secret(client.secret.as_deref().unwrap(), alg);
        }
        let first = provider.tokens(&client, &mut browser, "openid").await;
        let refreshed = Tokens::from(&provider.refresh(&client, first.refresh()).await);
        for tokens in [&first, &refreshed] {
            let token = tokens.id_token.as_deref().unwrap();
            assert_eq!(token.split('.').count(), 5, "{id}");
            let said = header(token);
            assert_eq!((&said["alg"], &said["enc"], &said["cty"]), (&json!(alg), &json!(enc), &json!("JWT")), "{id}");
            assert_eq!(said.get("kid"), (!alg.needs_secret()).then(|| key.kid()), "{id}");
            assert!(said.get("zip").is_none() && said.get("jwk").is_none());
            let (_, inside) = key.open(alg, token).unwrap();
            provider.app.keyring.current().verify(&inside, "JWT").unwrap();
            let found = claims(&inside);
            assert_eq!((&found["iss"], &found["aud"], &found["sub"]), (&json!(ISSUER), &json!(id), &json!(user.id)), "{id}");
            assert!(!token.contains(inside.split('.').nth(1).unwrap()), "the claims are nowhere in the clear");
            for_python.push((json!({ "key": key.private.as_ref(), "token": token }), inside));
        }
        assert_ne!(first.id_token, refreshed.id_token);
        assert_eq!(first.access_token.split('.').count(), 3, "access tokens are for others to read");
    }
    python_finds_the_same(&for_python).await;
}

async fn python_finds_the_same(expected: &[(Value, String)]) {
    let Some(python) = PYTHON.configured() else { return };
    let mut command = Command::new(python);
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python")).args(["-B", "decrypt.py"]);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).kill_on_drop(true);
    let mut running = command.spawn().unwrap();
    let lines: Vec<String> = expected.iter().map(|(asked, _)| format!("{asked}\n")).collect();
    running.stdin.take().unwrap().write_all(lines.concat().as_bytes()).await.unwrap();
    let output = running.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Vec<Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(found.len(), expected.len());
    for (found, (_, inside)) in found.iter().zip(expected) {
        assert_eq!((&found["plain"], &found["header"]["cty"]), (&json!(inside), &json!("JWT")));
    }
}

/// A token that was encrypted comes back as the client decrypted it. What is encrypted, or is userinfo, is no hint.
#[tokio::test]
async fn a_hint_is_the_token_inside() {
    let provider = provider().await;
    let key = Key::ec(EcCurve::P256);
    let client = provider
        .client("app", |metadata| {
            encrypted(KeyManagement::EcdhEs, &key)(metadata);
            metadata.userinfo_signed_response_alg = Some(tessera::model::Algorithm::Rs256);
        })
        .await;
    let (user, other) = (provider.user(&new_email()).await, provider.user(&new_email()).await);
    let mut browser = provider.signed_in(&user).await;
    let tokens = provider.tokens(&client, &mut browser, "openid").await;
    let id_token = tokens.id_token.unwrap();
    let (_, inside) = key.open(KeyManagement::EcdhEs, &id_token).unwrap();
    let userinfo = provider.with_token("/userinfo", &tokens.access_token).await;
    assert_eq!(claims(&userinfo.body)["sub"], user.id.as_str());

    let answer = browser.authorize(&client, &[("prompt", "none"), ("id_token_hint", &inside)]).await;
    assert!(answer.param("code").is_some(), "{answer:?}");
    let stranger = provider.signed_in(&other).await.authorize(&client, &[("prompt", "none"), ("id_token_hint", &inside)]).await;
    assert_eq!(stranger.error(), "login_required");
    for wrong in [id_token.as_str(), userinfo.body.as_str()] {
        let answer = browser.authorize(&client, &[("prompt", "none"), ("id_token_hint", wrong)]).await;
        assert_eq!(answer.error(), "invalid_request", "{answer:?}");
        let says_so = answer.param("error_description").unwrap().contains("encrypted");
        assert_eq!(says_so, wrong == id_token, "{answer:?}");
        let answer = browser.get(&format!("/logout?id_token_hint={wrong}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    }
    let answer = browser.get(&format!("/logout?id_token_hint={inside}")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(browser.get("/account").await.location().starts_with("/login"), "signed out at once: the hint proves it");
}

/// What a relying party must see of a token that was changed on the way, or is not for it.
#[tokio::test]
async fn nobody_else_opens_it_and_a_changed_one_does_not_open() {
    let provider = provider().await;
    let user = provider.user(&new_email()).await;
    for (alg, enc) in [
        (KeyManagement::RsaOaep256, ContentEncryption::A128CbcHs256),
        (KeyManagement::EcdhEs, ContentEncryption::A256Gcm),
        (KeyManagement::EcdhEsA256Kw, ContentEncryption::A256CbcHs512),
        (KeyManagement::A256Kw, ContentEncryption::A128Gcm),
    ] {
        let mut key = Key::for_alg(alg);
        let client = provider
            .client(&format!("{alg:?}"), |metadata| {
                encrypted(alg, &key)(metadata);
                metadata.id_token_encrypted_response_enc = Some(enc);
            })
            .await;
        let mut stranger = Key::for_alg(alg);
        if alg.needs_secret() {
            key = Key::from_secret(client.secret.as_deref().unwrap(), alg);
            stranger = Key::from_secret(&random(), alg);
        } else {
            stranger.private.set_key_id(key.kid().as_str().unwrap());
        }
        let token = provider.tokens(&client, &mut provider.signed_in(&user).await, "openid").await.id_token.unwrap();
        assert!(key.open(alg, &token).is_ok());
        assert!(stranger.open(alg, &token).is_err(), "{alg:?}");
        for part in 0..5 {
            let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
            if parts[part].is_empty() {
                continue;
            }
            // In the middle: the last character has bits that mean nothing.
            let at = parts[part].len() / 2;
            let changed = if &parts[part][at..=at] == "A" { "B" } else { "A" };
            parts[part].replace_range(at..=at, changed);
            assert!(key.open(alg, &parts.join(".")).is_err(), "{alg:?}: part {part}");
        }
    }
}
