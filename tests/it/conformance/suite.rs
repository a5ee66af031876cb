//! A relying party of the suite's kind, and the provider that it tests: discovery, the key set, clients, requests and the clock. The checks
//! that every module makes are here, in `answer`, `tokens`, `id_token` and `user_info`.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, StatusCode};
use josekit::jwk::Jwk;
use serde_json::{Value, json};
use tessera::config::{Config, RegistrationMode};
use tessera::lifecycle;
use tessera::model::client::{ClientMetadata, PkcePolicy};
use tessera::model::{Actor, User};

use super::answer::{Answer, Outcome};
use super::client::{self, AssertionAudience, Client, check_registration};
use super::keys;
use super::request::{AuthorizationRequest, ten_random};
use super::setup::{discover, fetch_keys, full_user, strings};
use super::tokens::SignIn;
use crate::harness::engines::TestDatabase;
use crate::harness::provider::{Browser, ISSUER, Provider, Response};

/// Where the suite waits for answers.
pub const CALLBACK: &str = "https://suite.example/test/a/tessera/callback";
/// Where people go after signing out.
pub const SIGNED_OUT: &str = "https://suite.example/test/a/tessera/post_logout_redirect";

/// What a plan fixes.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    pub response_type: &'static str,
    pub form_post: bool,
    pub client_auth: &'static str,
    pub registration: Registration,
    /// Whether the operator switched them on.
    pub legacy_response_types: bool,
}

/// How clients become known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    Static,
    Dynamic,
}

impl Variant {
    pub const CODE: Self = Self {
        response_type: "code",
        form_post: false,
        client_auth: "client_secret_basic",
        registration: Registration::Dynamic,
        legacy_response_types: false,
    };
    /// The Config plan's: it registers nothing.
    pub const STATIC: Self = Self { registration: Registration::Static, ..Self::CODE };
    /// The Dynamic plan's: it does not name a response type, and `code` is the usual one. The provider must have the others too.
    pub const DYNAMIC: Self = Self { client_auth: "private_key_jwt", legacy_response_types: true, ..Self::CODE };
    pub const ID_TOKEN: Self = Self::legacy("id_token");
    pub const ID_TOKEN_TOKEN: Self = Self::legacy("id_token token");
    pub const CODE_ID_TOKEN: Self = Self::legacy("code id_token");
    pub const CODE_TOKEN: Self = Self::legacy("code token");
    pub const CODE_ID_TOKEN_TOKEN: Self = Self::legacy("code id_token token");

    const fn legacy(response_type: &'static str) -> Self {
        Self { response_type, legacy_response_types: true, ..Self::CODE }
    }

    pub const fn by_form_post(self) -> Self {
        Self { form_post: true, ..self }
    }

    pub fn has(&self, part: &str) -> bool {
        self.response_type.split(' ').any(|word| word == part)
    }

    /// Whether the userinfo endpoint can be called: otherwise all claims are in the ID token (OpenID Connect Core §5.4).
    pub fn has_access_token(&self) -> bool {
        self.has("code") || self.has("token")
    }

    /// Whether answers come in the fragment, as far as no other mode is asked for.
    pub fn is_legacy(&self) -> bool {
        self.response_type != "code"
    }
}

pub struct Suite {
    pub provider: Provider,
    pub variant: Variant,
    /// The discovery document.
    pub metadata: Value,
    /// The provider's keys, checked.
    pub keys: Vec<Jwk>,
    pub user: User,
    pub browser: Browser,
    /// The registrations so far.
    registrations: Vec<Value>,
}

impl Suite {
    pub async fn new(variant: Variant) -> Self {
        Self::configured(variant, |_| {}).await
    }

    /// A provider as an operator sets it up for a run of the suite, after `change`.
    pub async fn configured(variant: Variant, change: impl FnOnce(&mut Config)) -> Self {
        let provider = Provider::configured(TestDatabase::sqlite().await, |config| {
            config.oauth.legacy_response_types = variant.legacy_response_types;
            config.oauth.legacy_client_assertion_audience = true;
            config.outbound.allow_networks = vec!["127.0.0.0/8".parse().unwrap()];
            if variant.registration == Registration::Dynamic {
                config.registration.mode = RegistrationMode::Open;
            }
            change(config);
        })
        .await;
        let metadata = discover(&provider).await;
        let methods = strings(&metadata["token_endpoint_auth_methods_supported"]);
        assert!(methods.contains(variant.client_auth), "{methods:?}");
        let keys = fetch_keys(&provider, &metadata).await;
        let user = full_user(&provider).await;
        let browser = provider.browser();
        Self { provider, variant, metadata, keys, user, browser, registrations: Vec::new() }
    }

    /// Registers a client as the plan's variant has it, with `change` over it.
    pub async fn client(&mut self, change: Value) -> Client {
        let wanted = self.client_metadata(change);
        let registration = match self.variant.registration {
            Registration::Dynamic => {
                let path = self.endpoint("registration_endpoint");
                check_registration(&client::register(&self.provider, &path, &wanted).await)
            }
            Registration::Static => self.static_client(wanted.clone()).await,
        };
        self.registrations.push(registration.clone());
        Client {
            id: registration["client_id"].as_str().unwrap().to_owned(),
            secret: registration["client_secret"].as_str().map(str::to_owned),
            redirect_uri: wanted["redirect_uris"][0].as_str().unwrap().to_owned(),
            registration,
            auth: wanted["token_endpoint_auth_method"].as_str().unwrap().to_owned(),
            alg: signing_alg(&wanted).to_owned(),
            key: keys::rsa(0),
            audience: AssertionAudience::TokenEndpoint,
        }
    }

    /// What `client` asks to be registered.
    pub fn client_metadata(&self, change: Value) -> Value {
        let mut wanted = json!({
            "client_name": "Conformance suite",
            "redirect_uris": [CALLBACK],
            "response_types": [self.variant.response_type],
            "grant_types": grant_types(&self.variant),
            "token_endpoint_auth_method": self.variant.client_auth,
            "jwks": keys::signing_set(&keys::rsa(0)),
            "contacts": ["certification@suite.example"],
        });
        for (name, value) in change.as_object().unwrap() {
            match value {
                Value::Null => wanted.as_object_mut().unwrap().remove(name),
                value => wanted.as_object_mut().unwrap().insert(name.clone(), value.clone()),
            };
        }
        wanted
    }

    /// What an operator does for the plans that ask for a client with a fixed name.
    async fn static_client(&self, wanted: Value) -> Value {
        let mut metadata: ClientMetadata = serde_json::from_value(wanted).unwrap();
        metadata.pkce = Some(PkcePolicy::Core);
        let id = format!("suite-{}", self.registrations.len());
        let secret = lifecycle::client::create(&self.provider.app, &Actor::operator(), &id, metadata).await.unwrap();
        json!({ "client_id": id, "client_secret": secret.map(|secret| secret.expose().to_owned()) })
    }

    /// What the suite does after each module: its clients are taken off (RFC 7592 §2.3).
    pub async fn clean_up(&self) {
        if self.variant.registration == Registration::Dynamic {
            for registration in &self.registrations {
                let response = client::manage(&self.provider, "DELETE", registration).await;
                assert_eq!((response.status, response.body.as_str()), (StatusCode::NO_CONTENT, ""));
            }
        }
    }

    /// The authorization request that every module begins with. There is no `code_challenge`: the suite sends none.
    pub fn request(&self, client: &Client) -> AuthorizationRequest {
        let request = AuthorizationRequest::default()
            .with("client_id", &client.id)
            .with("redirect_uri", &client.redirect_uri)
            .with("scope", "openid")
            .with("state", &ten_random())
            .with("nonce", &ten_random())
            .with("response_type", self.variant.response_type);
        if self.variant.form_post { request.with("response_mode", "form_post") } else { request }
    }

    /// Opens the authorization request in the browser, where the person answers whatever is asked.
    pub async fn open(&mut self, request: &AuthorizationRequest) -> Outcome {
        let path = self.endpoint("authorization_endpoint");
        let response = self.browser.get(&format!("{path}?{}", request.encoded())).await;
        self.arrive(response, request).await
    }

    /// As `open`, with the parameters in a form that comes from the suite's site: it brings no cookie of the provider's.
    pub async fn open_by_post(&mut self, request: &AuthorizationRequest) -> Outcome {
        let form = Request::post(self.endpoint("authorization_endpoint"))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("origin", "https://suite.example")
            .header("sec-fetch-site", "cross-site")
            .body(Body::from(request.encoded()))
            .unwrap();
        let response = self.provider.send(form).await;
        self.arrive(response, request).await
    }

    async fn arrive(&mut self, response: Response, request: &AuthorizationRequest) -> Outcome {
        let journey = self.browser.go_through(response, &self.user.email).await;
        Outcome::read(journey, request)
    }

    /// As `open`, where there must be an answer without an error.
    pub async fn succeed(&mut self, request: &AuthorizationRequest) -> Answer {
        self.answer_of(request, request).await
    }

    /// As `open`, where there must be an answer with one of `errors`.
    pub async fn fail(&mut self, request: &AuthorizationRequest, errors: &[&str]) -> Answer {
        match self.open(request).await {
            Outcome::Answer(answer) => answer.failed(errors),
            Outcome::Page(page) => panic!("a page instead of an answer: {page:?}"),
        }
    }

    /// As `succeed` with `sent`, whose effective parameters are those of `meant`: some of them came in another way.
    pub async fn answer_of(&mut self, sent: &AuthorizationRequest, meant: &AuthorizationRequest) -> Answer {
        let path = self.endpoint("authorization_endpoint");
        let response = self.browser.get(&format!("{path}?{}", sent.encoded())).await;
        match self.arrive(response, meant).await {
            Outcome::Answer(answer) => answer.successful(self.variant.response_type),
            Outcome::Page(page) => panic!("a page instead of an answer: {page:?}"),
        }
    }

    /// As `open`, where there must be an error page, and nothing for the client.
    pub async fn error_page(&mut self, request: &AuthorizationRequest) {
        match self.open(request).await {
            Outcome::Page(page) => assert_eq!(page.status, StatusCode::BAD_REQUEST, "{page:?}"),
            Outcome::Answer(answer) => panic!("the client has an answer: {answer:?}"),
        }
    }

    /// The whole flow, with every check that belongs to it.
    pub async fn sign_in(&mut self, client: &Client, request: &AuthorizationRequest) -> SignIn {
        let answer = self.succeed(request).await;
        SignIn::finish(self, client, request, answer).await
    }

    /// The path of an endpoint, from the discovery document.
    pub fn endpoint(&self, name: &str) -> String {
        let url = self.metadata[name].as_str().unwrap_or_else(|| panic!("no {name}"));
        url.strip_prefix(ISSUER).unwrap_or_else(|| panic!("{name} is elsewhere: {url}")).to_owned()
    }

    pub fn supports(&self, member: &str, value: &str) -> bool {
        strings(&self.metadata[member]).contains(value)
    }

    pub fn now(&self) -> i64 {
        self.provider.app.now().seconds()
    }

    /// What the suite waits for, the clock passes over.
    pub fn wait(&self, seconds: u64) {
        self.provider.clock.advance(Duration::from_secs(seconds));
    }
}

/// OpenID Connect Registration 1.0 §2: the grants that belong to a response type.
fn grant_types(variant: &Variant) -> Vec<&'static str> {
    let code = variant.has("code").then_some("authorization_code");
    code.into_iter().chain(variant.is_legacy().then_some("implicit")).collect()
}

/// What a client with this metadata signs with.
fn signing_alg(metadata: &Value) -> &str {
    match (metadata["token_endpoint_auth_signing_alg"].as_str(), metadata["token_endpoint_auth_method"].as_str()) {
        (Some(alg), _) => alg,
        (None, Some("client_secret_jwt")) => "HS256",
        _ => "RS256",
    }
}
