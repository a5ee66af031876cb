//! Clients that nobody registered: their `client_id` is the address of a document that says what they are.

mod followed;
mod hostile;
mod known;

use serde_json::{Value, json};
use tessera::config::Config;
use tessera::model::client::AuthMethod;
use tessera::model::{Client, User};
use tessera::store::clients;

use crate::harness::elsewhere::{Elsewhere, Page};
use crate::harness::engines::TestDatabase;
use crate::harness::provider::{Browser, Provider, REDIRECT_URI, TestClient, new_email};

pub const PATH: &str = "/client.json";

/// A provider that takes metadata documents, and a site that publishes some.
pub struct Scene {
    pub provider: Provider,
    pub site: Elsewhere,
    pub user: User,
}

impl Scene {
    pub async fn new() -> Self {
        Self::configured(TestDatabase::sqlite().await, |_| {}).await
    }

    pub async fn configured(db: TestDatabase, change: impl FnOnce(&mut Config)) -> Self {
        let site = Elsewhere::start().await;
        let provider = Provider::configured(db, |config| {
            config.registration.client_id_metadata_documents = true;
            config.registration.audiences = vec!["https://api.example".to_owned()];
            config.outbound.allow_networks = vec!["127.0.0.0/8".parse().unwrap()];
            config.outbound.timeout = 1;
            change(config);
        })
        .await;
        let user = provider.user(&new_email()).await;
        Self { provider, site, user }
    }

    /// The document of the client at `PATH`, after `change`.
    pub fn document(&self, change: Value) -> Value {
        let mut document = json!({
            "client_id": self.site.url(PATH),
            "client_name": "A stranger",
            "redirect_uris": [REDIRECT_URI],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        });
        for (name, value) in change.as_object().unwrap() {
            document[name] = value.clone();
        }
        document
    }

    pub fn publish(&self, change: Value) {
        self.site.put(PATH, Page::json(&self.document(change)));
    }

    pub fn client(&self) -> TestClient {
        self.at(PATH)
    }

    pub fn at(&self, path: &str) -> TestClient {
        Self::named(&self.site.url(path))
    }

    pub fn named(id: &str) -> TestClient {
        TestClient { id: id.to_owned(), secret: None, method: AuthMethod::None }
    }

    pub fn visits(&self) -> usize {
        self.site.visits(PATH)
    }

    pub async fn browser(&self) -> Browser {
        self.provider.signed_in(&self.user).await
    }

    /// What the provider has stored of a client.
    pub async fn row(&self, id: &str) -> Option<Client> {
        clients::find(&mut self.provider.app.store.read().await.unwrap(), id).await.unwrap()
    }

    /// Whether the client's request gets to its person, and not to the page for links that do not work.
    pub async fn is_known(&self, client: &TestClient, change: &[(&str, &str)]) -> bool {
        let response = self.browser().await.authorize(client, change).await;
        match response.status.as_u16() {
            303 => true,
            400 => false,
            _ => panic!("{response:?}"),
        }
    }
}
