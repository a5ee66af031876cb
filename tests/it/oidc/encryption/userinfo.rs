//! Userinfo as a JWT: signed, encrypted, or both.

use axum::http::StatusCode;
use josekit::jwk::alg::ec::EcCurve;
use serde_json::{Value, json};
use tessera::model::Algorithm;
use tessera::model::client::{ContentEncryption, KeyManagement, SubjectType};

use super::{Key, jwks, provider};
use crate::harness::provider::{ISSUER, claims, header, new_email};

#[tokio::test]
async fn signed_userinfo_says_who_says_it_to_whom() {
    let provider = provider().await;
    let user = provider.user(&new_email()).await;
    let listed = provider.get("/.well-known/openid-configuration").await.json()["userinfo_signing_alg_values_supported"].clone();
    assert_eq!(listed, json!(["RS256", "ES256"]));
    for alg in Algorithm::ALL {
        let client = provider
            .client(alg.as_str(), |metadata| {
                metadata.userinfo_signed_response_alg = Some(alg);
                metadata.subject_type = SubjectType::Pairwise;
            })
            .await;
        let tokens = provider.tokens(&client, &mut provider.signed_in(&user).await, "openid email").await;
        let answer = provider.with_token("/userinfo", &tokens.access_token).await;
        assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/jwt"));
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(header(&answer.body)["alg"], alg.as_str());
        let found = provider.app.keyring.current().verify(&answer.body, "JWT").unwrap().claims;
        assert_eq!((&found["iss"], &found["aud"]), (&json!(ISSUER), &json!(alg.as_str())));
        assert_eq!(found["sub"], claims(tokens.id_token.as_deref().unwrap())["sub"]);
        assert_eq!(found["email"], user.email.as_str());
        assert!(found.get("nonce").is_none() && found.get("exp").is_none(), "it is no ID token: {found:?}");
        // It is neither an access token.
        assert_eq!(provider.with_token("/userinfo", &answer.body).await.error(), "invalid_token");
        let refused = provider.with_token("/userinfo", "nonsense").await;
        assert_eq!((refused.header("content-type"), refused.error().as_str()), ("application/json", "invalid_token"));
    }
}

#[tokio::test]
async fn userinfo_is_encrypted_with_and_without_a_signature() {
    let provider = provider().await;
    let user = provider.user(&new_email()).await;
    let metadata = provider.get("/.well-known/openid-configuration").await.json();
    let list = |name: &str| metadata[name].as_array().unwrap().clone();
    let algs = list("userinfo_encryption_alg_values_supported");
    assert_eq!(list("userinfo_encryption_enc_values_supported").len(), 4);
    for (alg, signed) in algs.iter().flat_map(|alg| [None, Some(Algorithm::Es256)].map(|signed| (alg, signed))) {
        let id = format!("{} {signed:?}", alg.as_str().unwrap());
        let alg: KeyManagement = serde_json::from_value(alg.clone()).unwrap();
        let mut key = Key::for_alg(alg);
        let client = provider
            .client(&id, |metadata| {
                metadata.jwks = Some(jwks(&[&key]));
                metadata.userinfo_encrypted_response_alg = Some(alg);
                metadata.userinfo_signed_response_alg = signed;
            })
            .await;
        if alg.needs_secret() {
            key = Key::from_secret(client.secret.as_deref().unwrap(), alg);
        }
        let tokens = provider.tokens(&client, &mut provider.signed_in(&user).await, "openid email").await;
        assert_eq!(tokens.id_token.unwrap().split('.').count(), 3, "only what was registered is encrypted");
        let answer = provider.with_token("/userinfo", &tokens.access_token).await;
        assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/jwt"), "{answer:?}");
        let said = header(&answer.body);
        assert_eq!(
            (&said["alg"], &said["enc"]),
            (&json!(alg), &json!(ContentEncryption::A128CbcHs256)),
            "the default of Registration §2"
        );
        let (_, inside) = key.open(alg, &answer.body).unwrap();
        let found: Value = match signed {
            Some(_) => {
                assert_eq!(said["cty"], "JWT");
                let claims = Value::Object(provider.app.keyring.current().verify(&inside, "JWT").unwrap().claims);
                assert_eq!((&claims["iss"], &claims["aud"]), (&json!(ISSUER), &json!(id)));
                claims
            }
            None => {
                assert!(said.get("cty").is_none(), "there is no token inside, but claims");
                serde_json::from_str(&inside).unwrap()
            }
        };
        assert_eq!((&found["sub"], &found["email"]), (&json!(user.id), &json!(user.email)), "{id}");
    }
}

/// The old key, and the old secret, open nothing that is made after they were replaced.
#[tokio::test]
async fn a_new_secret_is_a_new_key() {
    let provider = provider().await;
    let user = provider.user(&new_email()).await;
    let alg = KeyManagement::A128Kw;
    let client = provider.client("app", |metadata| metadata.userinfo_encrypted_response_alg = Some(alg)).await;
    let token = provider.tokens(&client, &mut provider.signed_in(&user).await, "openid").await.access_token;
    let old = Key::from_secret(client.secret.as_deref().unwrap(), alg);
    assert!(old.open(alg, &provider.with_token("/userinfo", &token).await.body).is_ok());
    let operator = tessera::model::Actor::operator();
    let fresh = tessera::lifecycle::client::rotate_secret(&provider.app, &operator, "app", false).await.unwrap();
    let said = provider.with_token("/userinfo", &token).await.body;
    assert!(old.open(alg, &said).is_err());
    assert!(Key::from_secret(fresh.expose(), alg).open(alg, &said).is_ok());
    // Neither does a key of the wrong half, or a plain one.
    assert!(Key::from_secret(fresh.expose(), KeyManagement::A256Kw).open(KeyManagement::A256Kw, &said).is_err());
    assert!(Key::ec(EcCurve::P256).open(KeyManagement::EcdhEs, &said).is_err());
}
