//! One row of each type with something in every column, and the rows that it refers to.

use serde_json::json;
use tessera::clock::Timestamp;
use tessera::model::authorization::{AuthorizationParameters, Prompt, ResponseMode};
use tessera::model::client::{ApplicationType, AuthMethod, ClientMetadata, ClientOrigin, GrantType, PkcePolicy, ResponseType};
use tessera::model::user::Profile;
use tessera::model::{
    AccessTokenRecord, Address, Algorithm, AuthorizationCode, AuthorizationRequest, ClaimsRequest, Client, Json, KeyState,
    RefreshToken, ScopeSet, Session, SigningKey, TokenFamily, User,
};
use tessera::store::{Store, Tx, clients, users};

/// Text that an encoding, a quoting or a case folding may spoil.
pub const AWKWARD: &str = "Zoë Žižek 李 🦉 'quoted' \"twice\" back\\slash $1 % _ ; -- \u{1}";

/// Microseconds that no rounding leaves alone.
pub const fn at(second: i64) -> Timestamp {
    Timestamp(1_800_000_000_123_457 + second * 1_000_000)
}

pub fn scope(text: &str) -> Json<ScopeSet> {
    Json(ScopeSet::from(text.to_owned()))
}

pub fn texts(of: &[&str]) -> Json<Vec<String>> {
    Json(of.iter().map(|text| (*text).to_owned()).collect())
}

pub fn user(id: &str, email: &str) -> User {
    let text = |name: &str| Some(format!("{name} {AWKWARD}"));
    User {
        id: id.to_owned(),
        email: email.to_owned(),
        email_key: User::email_key(email),
        email_verified: true,
        profile: Json(Profile {
            name: text("name"),
            given_name: text("given"),
            family_name: text("family"),
            middle_name: text("middle"),
            nickname: text("nick"),
            preferred_username: text("preferred"),
            profile: text("profile"),
            picture: text("picture"),
            website: text("website"),
            gender: text("gender"),
            birthdate: Some("0000-12-10".to_owned()),
            zoneinfo: Some("Europe/London".to_owned()),
            locale: Some("en-GB".to_owned()),
            phone_number: Some("+44 20 7946 0000".to_owned()),
            phone_number_verified: true,
            address: Some(Address {
                formatted: Some("12 St James's Square\nLondon".to_owned()),
                street_address: text("street"),
                locality: text("locality"),
                region: text("region"),
                postal_code: Some("SW1Y 4JH".to_owned()),
                country: text("country"),
            }),
            custom: json!({ "https://example.org/shoe": { "size": 38.5, "left": null } }).as_object().unwrap().clone(),
        }),
        roles: texts(&["admin", AWKWARD]),
        groups: texts(&["/staff/räte"]),
        password_changed_at: at(-50),
        disabled_at: Some(at(-40)),
        created_at: at(-60),
        updated_at: at(-30),
    }
}

pub fn client(id: &str) -> Client {
    let text = |name: &str| Some(format!("https://app.example/{name}"));
    Client {
        id: id.to_owned(),
        secret_hash: Some((0..=255).collect()),
        secret_jwe: Some("a.b.c.d.e".to_owned()),
        metadata: Json(ClientMetadata {
            client_name: Some(AWKWARD.to_owned()),
            client_uri: text("client"),
            logo_uri: text("logo"),
            policy_uri: text("policy"),
            tos_uri: text("tos"),
            application_type: ApplicationType::Native,
            redirect_uris: vec!["https://app.example/cb?x='y'".to_owned(), "com.example.app:/cb".to_owned()],
            post_logout_redirect_uris: vec!["https://app.example/bye".to_owned()],
            grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken, GrantType::ClientCredentials],
            token_endpoint_auth_method: AuthMethod::PrivateKeyJwt,
            jwks: Some(json!({ "keys": [{ "kty": "EC" }] })),
            scope: ScopeSet::from("openid email invoices".to_owned()),
            id_token_signed_response_alg: Algorithm::Es256,
            pkce: Some(PkcePolicy::Core),
            skip_consent: true,
            access_token_signed_response_alg: Algorithm::Rs256,
            access_token_lifetime: Some(301),
            id_token_lifetime: Some(302),
            refresh_token_lifetime: Some(303),
            audiences: vec!["https://api.example".to_owned()],
            resource_server_for: vec!["https://other.example".to_owned()],
            localized: [("client_name#de".to_owned(), AWKWARD.to_owned())].into(),
            default_max_age: Some(u64::MAX),
            response_types: ResponseType::LEGACY.to_vec(),
            ..ClientMetadata::default()
        }),
        origin: ClientOrigin::Registered,
        registration_token_hash: Some(vec![7; 32]),
        last_used_at: Some(at(-4)),
        disabled_at: Some(at(-3)),
        tokens_not_before: Some(i64::MAX),
        created_at: at(-10),
        updated_at: at(-2),
    }
}

pub fn session(id: &str, user_id: &str) -> Session {
    Session {
        id: id.to_owned(),
        secret_hash: format!("secret of {id}").into_bytes(),
        user_id: user_id.to_owned(),
        auth_time: at(-20),
        amr: texts(&["pwd", "otp"]),
        created_at: at(-21),
        last_seen_at: at(-5),
        expires_at: at(1_000),
        ended_at: Some(at(-1)),
        user_agent: AWKWARD.to_owned(),
        ip: "2001:db8::1".to_owned(),
    }
}

pub fn parameters() -> Json<AuthorizationParameters> {
    Json(AuthorizationParameters {
        response_type: ResponseType::LEGACY[4],
        redirect_uri: "https://app.example/cb".to_owned(),
        redirect_uri_was_sent: true,
        response_mode: ResponseMode::FormPost,
        scope: ScopeSet::from("openid email".to_owned()),
        state: Some(AWKWARD.to_owned()),
        nonce: Some(AWKWARD.to_owned()),
        code_challenge: Some("challenge".to_owned()),
        prompt: vec![Prompt::None, Prompt::Login, Prompt::Consent, Prompt::SelectAccount],
        max_age: Some(u64::MAX),
        login_hint: Some(AWKWARD.to_owned()),
        hinted_subject: Some("somebody".to_owned()),
        ui_locales: Some("de fr".to_owned()),
        acr_values: vec!["1".to_owned()],
        resource: vec!["https://api.example".to_owned()],
        consented_by: Some("somebody".to_owned()),
        essential_acr_values: vec![AWKWARD.to_owned()],
        claimed_subjects: Some(vec!["somebody".to_owned()]),
        claims: ClaimsRequest {
            id_token: ["name#de".to_owned()].into(),
            userinfo: [AWKWARD.to_owned()].into(),
            locales: vec!["de-CH".to_owned()],
        },
        claims_scope: ScopeSet::from("profile".to_owned()),
    })
}

pub fn request(id: &str, client_id: &str) -> AuthorizationRequest {
    AuthorizationRequest {
        id_hash: id.as_bytes().to_vec(),
        client_id: client_id.to_owned(),
        parameters: parameters(),
        created_at: at(-7),
        expires_at: at(7),
    }
}

pub fn code(hash: &str, client_id: &str, user_id: &str) -> AuthorizationCode {
    AuthorizationCode {
        code_hash: hash.as_bytes().to_vec(),
        client_id: client_id.to_owned(),
        user_id: user_id.to_owned(),
        session_id: "a session".to_owned(),
        parameters: parameters(),
        scope: scope("openid"),
        auth_time: at(-20),
        amr: texts(&["pwd"]),
        created_at: at(-6),
        expires_at: at(54),
        redeemed_at: None,
        family_id: None,
        access_token_jti: None,
        access_token_expires_at: None,
    }
}

pub fn family(id: &str, client_id: &str, user_id: &str) -> TokenFamily {
    TokenFamily {
        id: id.to_owned(),
        client_id: client_id.to_owned(),
        user_id: user_id.to_owned(),
        session_id: "a session".to_owned(),
        scope: scope("openid offline_access"),
        resource: texts(&["https://api.example", AWKWARD]),
        offline: true,
        acr: Some("1".to_owned()),
        amr: texts(&["pwd", "otp"]),
        claims: Json(parameters().0.claims),
        auth_time: at(-20),
        created_at: at(-6),
        last_used_at: at(-5),
        expires_at: at(10_000),
        revoked_at: None,
    }
}

pub fn access_token(jti: &str, client_id: &str, user_id: &str) -> AccessTokenRecord {
    AccessTokenRecord {
        jti: jti.to_owned(),
        user_id: user_id.to_owned(),
        client_id: client_id.to_owned(),
        code_hash: Some(b"c".to_vec()),
        claims: Json(parameters().0.claims),
        expires_at: at(9),
    }
}

pub fn refresh_token(hash: &str, family_id: &str) -> RefreshToken {
    RefreshToken {
        token_hash: hash.as_bytes().to_vec(),
        family_id: family_id.to_owned(),
        created_at: at(-4),
        expires_at: at(1_000),
        rotated_at: None,
        access_token_jti: format!("jti of {hash}"),
        access_token_expires_at: at(600),
        status_list: Some(format!("list of {hash}")),
        status_idx: Some(i64::from(u32::MAX)),
    }
}

pub fn signing_key(kid: &str, alg: Algorithm, state: KeyState) -> SigningKey {
    SigningKey {
        kid: kid.to_owned(),
        alg,
        state,
        public_jwk: r#"{"kty":"EC"}"#.to_owned(),
        private_jwe: "a.b.c.d.e".to_owned(),
        created_at: at(-100),
        activated_at: Some(at(-90)),
        retired_at: Some(at(-80)),
        revoked_at: Some(at(-70)),
    }
}

/// Runs `change` in a transaction of its own.
pub async fn write<T>(store: &Store, change: impl AsyncFnOnce(&mut Tx) -> T) -> T {
    let mut tx = store.begin().await.unwrap();
    let result = change(&mut tx).await;
    tx.commit().await.unwrap();
    result
}

/// The client `app` and the user `ada`, to whom most rows refer.
pub async fn app_and_ada(store: &Store) {
    write(store, async |tx| {
        clients::insert(tx, &client("app")).await.unwrap();
        users::insert(tx, &user("ada", "Ada@Example.org")).await.unwrap();
    })
    .await;
}
