//! `client_secret_jwt` (OpenID Connect Core §9, RFC 7523): what it accepts, what it must never accept, and what is kept of the secret.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use hmac::{Hmac, Mac};
use josekit::jwk::Jwk;
use josekit::jwk::alg::ec::{EcCurve, EcKeyPair};
use josekit::jwk::alg::rsa::RsaKeyPair;
use josekit::jws::{ES256, JwsHeader};
use josekit::jwt::{self, JwtPayload};
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha384, Sha512};
use tessera::keyring::KeyEncryptionKey;
use tessera::lifecycle;
use tessera::model::client::{AuthMethod, ClientAlgorithm, GrantType};
use tessera::model::{Actor, ClientMetadata};
use tessera::store::clients;

use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::provider::{ISSUER, Provider, Response, TestClient, basic, encode, random};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

pub(super) fn service(metadata: &mut ClientMetadata) {
    metadata.grant_types = vec![GrantType::ClientCredentials];
    metadata.token_endpoint_auth_method = AuthMethod::ClientSecretJwt;
}

async fn provider() -> (Provider, TestClient) {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let client = provider.client("service", service).await;
    (provider, client)
}

/// What a client says that authenticates now.
pub(super) fn claims(provider: &Provider, id: &str) -> Value {
    let now = provider.app.now().seconds();
    json!({ "iss": id, "sub": id, "aud": ISSUER, "exp": now + 60, "iat": now, "jti": random() })
}

fn signing_input(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

fn tag(secret: &[u8], input: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    mac.update(input.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn signed(secret: &[u8], header: &Value, claims: &Value) -> String {
    let input = signing_input(header, claims);
    let tag = URL_SAFE_NO_PAD.encode(tag(secret, &input));
    format!("{input}.{tag}")
}

pub(super) fn hs256(secret: &str, claims: &Value) -> String {
    signed(secret.as_bytes(), &json!({ "alg": "HS256" }), claims)
}

async fn present(provider: &Provider, path: &str, assertion: &str, form: &[(&str, &str)]) -> Response {
    let form: Vec<_> =
        form.iter().copied().chain([("client_assertion_type", JWT_BEARER), ("client_assertion", assertion)]).collect();
    let request = Request::post(path).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    provider.send(request.body(Body::from(encode(&form))).unwrap()).await
}

pub(super) async fn ask(provider: &Provider, assertion: &str) -> Response {
    present(provider, "/token", assertion, &[("grant_type", "client_credentials")]).await
}

pub(super) async fn stored(provider: &Provider, id: &str) -> tessera::model::Client {
    clients::find(&mut provider.app.store.read().await.unwrap(), id).await.unwrap().unwrap()
}

#[tokio::test]
async fn an_assertion_is_checked_in_every_respect() {
    let (provider, client) = provider().await;
    let secret = client.secret.as_deref().unwrap();
    let good = || claims(&provider, "service");
    let now = provider.app.now().seconds();
    for aud in [json!(ISSUER), json!([ISSUER])] {
        let mut claims = good();
        claims["aud"] = aud;
        assert_eq!(ask(&provider, &hs256(secret, &claims)).await.status, StatusCode::OK);
    }
    let replayed = hs256(secret, &good());
    assert_eq!(ask(&provider, &replayed).await.status, StatusCode::OK);
    assert_eq!(ask(&provider, &replayed).await.error(), "invalid_client");
    for (name, value) in [
        ("aud", json!("https://evil.example")),
        ("aud", json!([ISSUER, "https://evil.example"])),
        ("aud", json!(format!("{ISSUER}/token"))),
        ("aud", Value::Null),
        ("iss", json!("other")),
        ("sub", json!("other")),
        ("exp", json!(now - 31)),
        ("exp", json!(now + 3_600)),
        ("exp", Value::Null),
        ("exp", json!("soon")),
        ("nbf", json!(now + 120)),
        ("iat", json!(now + 120)),
        ("jti", Value::Null),
        ("jti", json!("")),
        ("jti", json!("a\0b")),
    ] {
        let mut claims = good();
        claims[name] = value;
        assert_eq!(ask(&provider, &hs256(secret, &claims)).await.error(), "invalid_client", "{claims}");
    }
    // Typed as what it is, and as what it is not.
    for (typ, status) in
        [("JWT", 200), ("client-authentication+jwt", 200), ("at+jwt", 401), ("logout+jwt", 401), ("secevent+jwt", 401)]
    {
        let assertion = signed(secret.as_bytes(), &json!({ "alg": "HS256", "typ": typ }), &good());
        assert_eq!(ask(&provider, &assertion).await.status, status, "{typ}");
    }
}

/// Whatever is not HS256 with the whole secret over exactly this text.
#[tokio::test]
async fn only_the_secret_signs() {
    let (provider, client) = provider().await;
    let secret = client.secret.as_deref().unwrap();
    let good = || claims(&provider, "service");
    let refused = async |assertion: String, what: &str| {
        let answer = ask(&provider, &assertion).await;
        assert_eq!((answer.status, answer.error().as_str()), (StatusCode::UNAUTHORIZED, "invalid_client"), "{what}: {assertion}");
    };
    let header = json!({ "alg": "HS256" });
    let input = signing_input(&header, &good());
    let right = tag(secret.as_bytes(), &input);
    for position in 0..right.len() {
        let mut wrong = right.clone();
        wrong[position] ^= 1;
        refused(format!("{input}.{}", URL_SAFE_NO_PAD.encode(wrong)), "a flipped bit").await;
    }
    for length in [0, 1, 16, 31] {
        refused(format!("{input}.{}", URL_SAFE_NO_PAD.encode(&right[..length])), "a tag cut short").await;
    }
    refused(format!("{input}.{}", URL_SAFE_NO_PAD.encode([&right[..], &[0]].concat())), "a tag made longer").await;
    refused(format!("{input}."), "no tag").await;
    let tag_of_this = URL_SAFE_NO_PAD.encode(&right);
    refused(format!("{}.{tag_of_this}", signing_input(&header, &good())), "other claims under the tag").await;
    assert_eq!(ask(&provider, &format!("{input}.{tag_of_this}")).await.status, StatusCode::OK, "and the right one is taken");

    // What the database has of it is not the secret.
    let row = stored(&provider, "service").await;
    let hash = row.secret_hash.clone().unwrap();
    for (key, what) in [
        (hash.clone(), "the stored hash"),
        (URL_SAFE_NO_PAD.encode(&hash).into_bytes(), "the stored hash as text"),
        (row.secret_jwe.clone().unwrap().into_bytes(), "the sealed secret"),
        (Sha256::digest(secret).to_vec(), "its digest"),
        (URL_SAFE_NO_PAD.decode(secret).unwrap(), "its bytes, where its characters are the key"),
        (secret.as_bytes()[..42].to_vec(), "all but a character"),
        (Vec::new(), "nothing"),
    ] {
        refused(signed(&key, &header, &good()), what).await;
    }
    // Other algorithms, by name or in truth.
    for alg in ["none", "None", "hs256", "HS384", "HS512", "RS256", "ES256", "EdDSA", ""] {
        refused(signed(secret.as_bytes(), &json!({ "alg": alg }), &good()), alg).await;
    }
    refused(signed(secret.as_bytes(), &json!({}), &good()), "no alg").await;
    let input384 = signing_input(&json!({ "alg": "HS384" }), &good());
    let mut mac = Hmac::<Sha384>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(input384.as_bytes());
    refused(format!("{input384}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())), "HS384").await;
    let input512 = signing_input(&header, &good());
    let mut mac = Hmac::<Sha512>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(input512.as_bytes());
    refused(format!("{input512}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())), "HS512 that says HS256").await;
    let own = EcKeyPair::generate(EcCurve::P256).unwrap();
    let jwk: Value = serde_json::from_str(&own.to_jwk_public_key().to_string()).unwrap();
    for header in [json!({ "alg": "HS256", "jwk": jwk }), json!({ "alg": "HS256", "crit": ["b64"], "b64": false })] {
        refused(signed(secret.as_bytes(), &header, &good()), "a header that changes the meaning").await;
    }
    let payload = JwtPayload::from_map(good().as_object().unwrap().clone()).unwrap();
    let by_key = jwt::encode_with_signer(&payload, &JwsHeader::new(), &ES256.signer_from_jwk(&own.to_jwk_key_pair()).unwrap());
    refused(by_key.unwrap(), "a key of its own").await;
}

/// 22: nobody signs with a public key as the secret.
#[tokio::test]
async fn a_public_key_is_no_hmac_secret() {
    let (provider, _) = provider().await;
    let ec = EcKeyPair::generate(EcCurve::P256).unwrap();
    let rsa = RsaKeyPair::generate(2048).unwrap();
    let jwks: Vec<Jwk> = vec![ec.to_jwk_public_key(), rsa.to_jwk_public_key()];
    let jwks =
        json!({ "keys": jwks.iter().map(|jwk| serde_json::from_str::<Value>(&jwk.to_string()).unwrap()).collect::<Vec<_>>() });
    provider
        .client("keyed", |metadata| {
            service(metadata);
            metadata.token_endpoint_auth_method = AuthMethod::PrivateKeyJwt;
            metadata.jwks = Some(jwks.clone());
        })
        .await;
    let ours = provider.get("/jwks").await;
    let mut keys = vec![ec.to_pem_public_key(), ec.to_der_public_key(), rsa.to_pem_public_key(), rsa.to_der_public_key()];
    for jwk in jwks["keys"].as_array().unwrap().iter().chain(ours.json()["keys"].as_array().unwrap()) {
        keys.push(jwk.to_string().into_bytes());
        for member in ["x", "n"] {
            keys.extend(jwk[member].as_str().map(|text| text.as_bytes().to_vec()));
            keys.extend(jwk[member].as_str().map(|text| URL_SAFE_NO_PAD.decode(text).unwrap()));
        }
    }
    keys.extend([ours.body.into_bytes(), jwks.to_string().into_bytes()]);
    for key in keys {
        for id in ["keyed", "service"] {
            for header in [json!({ "alg": "HS256" }), json!({ "alg": "HS256", "kid": jwks["keys"][0]["kid"] })] {
                let answer = ask(&provider, &signed(&key, &header, &claims(&provider, id))).await;
                assert_eq!(answer.error(), "invalid_client", "{id} by {}", String::from_utf8_lossy(&key));
            }
        }
    }
}

#[tokio::test]
async fn a_client_keeps_to_its_method_and_algorithm() {
    let (provider, client) = provider().await;
    let secret = client.secret.as_deref().unwrap();
    let by_secret = Request::post("/token")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header("authorization", basic("service", secret))
        .body(Body::from("grant_type=client_credentials"))
        .unwrap();
    assert_eq!(provider.send(by_secret).await.error(), "invalid_client");
    let in_the_form = [("grant_type", "client_credentials"), ("client_id", "service"), ("client_secret", secret)];
    let request = Request::post("/token").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    assert_eq!(provider.send(request.body(Body::from(encode(&in_the_form))).unwrap()).await.error(), "invalid_client");

    let other = provider.client("basic", |metadata| metadata.grant_types = vec![GrantType::ClientCredentials]).await;
    let assertion = hs256(other.secret.as_deref().unwrap(), &claims(&provider, "basic"));
    assert_eq!(ask(&provider, &assertion).await.error(), "invalid_client", "it registered another method");

    for (alg, status) in [(ClientAlgorithm::Hs256, 200), (ClientAlgorithm::Es256, 401)] {
        let id = format!("{alg:?}");
        let client = provider
            .client(&id, |metadata| {
                service(metadata);
                metadata.token_endpoint_auth_signing_alg = Some(alg);
            })
            .await;
        let assertion = hs256(client.secret.as_deref().unwrap(), &claims(&provider, &id));
        assert_eq!(ask(&provider, &assertion).await.status, status, "{id}");
    }
}

#[tokio::test]
async fn it_works_at_every_endpoint_that_says_so() {
    let (provider, client) = provider().await;
    let secret = client.secret.as_deref().unwrap();
    let token = ask(&provider, &hs256(secret, &claims(&provider, "service"))).await.json()["access_token"].clone();
    let metadata = provider.get("/.well-known/openid-configuration").await.json();
    for endpoint in ["token", "introspection", "revocation"] {
        let lists = |member: &str, value: &str| {
            metadata[format!("{endpoint}_endpoint_{member}")].as_array().unwrap().contains(&json!(value))
        };
        assert!(lists("auth_methods_supported", "client_secret_jwt"), "{endpoint}");
        assert!(lists("auth_signing_alg_values_supported", "HS256"), "{endpoint}");
    }
    let form = [("token", token.as_str().unwrap())];
    let seen = present(&provider, "/introspect", &hs256(secret, &claims(&provider, "service")), &form).await;
    assert_eq!(seen.json()["active"], true);
    let revoked = present(&provider, "/revoke", &hs256(secret, &claims(&provider, "service")), &form).await;
    assert_eq!(revoked.status, StatusCode::OK);
    let seen = present(&provider, "/introspect", &hs256(secret, &claims(&provider, "service")), &form).await;
    assert_eq!(seen.json()["active"], false);
    // The same assertion at another endpoint is a replay, too.
    let assertion = hs256(secret, &claims(&provider, "service"));
    assert_eq!(present(&provider, "/introspect", &assertion, &form).await.status, StatusCode::OK);
    assert_eq!(ask(&provider, &assertion).await.error(), "invalid_client");
}

#[tokio::test]
async fn a_new_secret_replaces_the_old_one() {
    let (provider, client) = provider().await;
    let old = client.secret.as_deref().unwrap();
    let fresh = lifecycle::client::rotate_secret(&provider.app, &Actor::operator(), "service", false).await.unwrap();
    assert_eq!(ask(&provider, &hs256(old, &claims(&provider, "service"))).await.error(), "invalid_client");
    assert_eq!(ask(&provider, &hs256(fresh.expose(), &claims(&provider, "service"))).await.status, StatusCode::OK);
    // A secret under a key that this provider does not have: a fault of ours, and nothing is let in.
    let mut tx = provider.app.store.begin().await.unwrap();
    let row = stored(&provider, "service").await;
    let foreign = KeyEncryptionKey::random().seal(fresh.expose().as_bytes()).unwrap();
    clients::set_secret(&mut tx, "service", row.secret_hash.as_deref(), Some(&foreign), provider.app.now()).await.unwrap();
    tx.commit().await.unwrap();
    provider.app.clients.forget("service");
    let answer = ask(&provider, &hs256(fresh.expose(), &claims(&provider, "service"))).await;
    assert_eq!((answer.status, answer.error().as_str()), (StatusCode::INTERNAL_SERVER_ERROR, "server_error"));
}

on_both_engines! {
    /// 12: once, however many come at the same time, at whatever replica.
    async fn an_assertion_is_good_once(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let replica = provider.replica().await;
        let client = provider.client("service", service).await;
        let assertion = hs256(client.secret.as_deref().unwrap(), &claims(&provider, "service"));
        let answers = join_all((0..20).map(|number| ask(if number % 2 == 0 { &provider } else { &replica }, &assertion))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == StatusCode::OK).count(), 1);
    }
}
