//! What the tests of faults begin with: two replicas, one receiver at the first of them, and tokens.

use tessera::app::App;
use tessera::clock::Timestamp;
use tessera::config::Config;
use tessera::lifecycle;
use tessera::model::Actor;
use tessera::store::StoreError;
use tessera_verifier::Verifier;

use crate::harness::cluster::Cluster;
use crate::harness::engines::TestDatabase;
use crate::harness::provider::{TestClient, claims, new_email};

pub struct Scene {
    pub cluster: Cluster,
    pub server: TestClient,
    /// Connected to the first replica, by way of the gate.
    pub verifier: Verifier,
    /// A token that nobody takes back.
    pub kept: String,
}

impl Scene {
    pub async fn start(db: TestDatabase, change: impl FnOnce(&mut Config)) -> Self {
        Self::on(Cluster::start(db, 2, change).await).await
    }

    pub async fn on(cluster: Cluster) -> Self {
        let server = cluster.resource_server("api").await;
        let verifier = cluster.verifier(&server).await;
        let client = cluster.service("kept").await;
        let kept = cluster.token_of_service(&client, 0).await;
        Self { cluster, server, verifier, kept }
    }

    /// A token of a new client's own, from the replica `at`.
    pub async fn token(&self, at: usize) -> (TestClient, String) {
        let client = self.cluster.service(&new_email()).await;
        let token = self.cluster.token_of_service(&client, at).await;
        (client, token)
    }

    /// A token of a new person's, from the replica `at`; and the person's `sub`.
    pub async fn token_of_person(&self, at: usize) -> (String, String) {
        let client = self.cluster.web_client(&new_email()).await;
        let token = self.cluster.token_of(&self.cluster.user(&new_email()).await, &client, at).await;
        let sub = claims(&token)["sub"].as_str().unwrap().to_owned();
        (token, sub)
    }
}

/// Revokes one token as an administrator does, who need not be its client.
///
/// # Errors
/// If the database does not answer.
pub async fn revoke_by_hand(app: &App, token: &str) -> Result<(), StoreError> {
    let claims = claims(token);
    let exp = Timestamp::from_seconds(claims["exp"].as_i64().unwrap());
    lifecycle::token::revoke(app, &Actor::operator(), claims["jti"].as_str().unwrap(), None, exp, None).await
}
