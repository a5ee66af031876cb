//! A year of rotations on two replicas, and those who verify at every step: a resource server that uses `tessera-verifier`, and a relying
//! party that uses a library which is not ours. Both keep the key set as long as they may. No token is ever unverifiable.

use std::time::Duration;

use openidconnect::core::{CoreIdToken, CoreIdTokenVerifier, CoreJsonWebKeySet, CoreJwsSigningAlgorithm};
use openidconnect::{ClientId, ClientSecret, IssuerUrl, Nonce};
use tessera::clock::Timestamp;
use tessera::lifecycle::key::JWKS_MAX_AGE;
use tessera::model::{Algorithm, AuditKind, ClientMetadata};
use tessera_verifier::{KeySet, TokenRules, check_token};

use crate::harness::engines::on_both_engines;
use crate::harness::provider::{ISSUER, Provider, TestClient, Tokens, claims, new_email};
use crate::key_clockwork::{AHEAD, DAY, HOUR, LEEWAY, Replicas, events, keys};

/// The key set of somebody who fetches it when it has expired, and never earlier.
struct Cached<K> {
    keys: Option<K>,
    until: Timestamp,
}

impl<K> Cached<K> {
    fn empty() -> Self {
        Self { keys: None, until: Timestamp(i64::MIN) }
    }

    async fn keys(&mut self, provider: &Provider, now: Timestamp, parse: impl FnOnce(&str) -> K) -> &K {
        if self.until <= now {
            let response = provider.get("/jwks").await;
            let max_age = response.header("cache-control").split("max-age=").nth(1).unwrap().to_owned();
            let max_age: u64 = max_age.split(',').next().unwrap().trim().parse().unwrap();
            assert_eq!(Duration::from_secs(max_age), JWKS_MAX_AGE);
            (self.keys, self.until) = (Some(parse(&response.body)), now + JWKS_MAX_AGE);
        }
        self.keys.as_ref().unwrap()
    }
}

/// A token that must be verifiable until it expires.
struct Living {
    token: String,
    is_id_token: bool,
    refused_at: Timestamp,
}

fn living(tokens: &Tokens) -> [Living; 2] {
    [(&tokens.access_token, false), (tokens.id_token.as_ref().unwrap(), true)].map(|(token, is_id_token)| Living {
        token: token.clone(),
        is_id_token,
        refused_at: Timestamp::from_seconds(claims(token)["exp"].as_i64().unwrap()) + LEEWAY,
    })
}

struct Parties {
    client: TestClient,
    resource_server: Cached<KeySet>,
    relying_party: Cached<CoreJsonWebKeySet>,
}

impl Parties {
    /// Every token that has not expired is verified, and the expired are dropped. Gives how many were verified.
    async fn verify_all(&mut self, replicas: &mut Replicas, tokens: &mut Vec<Living>) -> usize {
        let now = replicas.now();
        tokens.retain(|token| now < token.refused_at);
        let parse = |document: &str| KeySet::parse(document.as_bytes()).unwrap();
        let keys = self.resource_server.keys(replicas.either(), now, parse).await;
        let rules = TokenRules { issuer: ISSUER.to_owned(), audiences: vec![ISSUER.to_owned()], leeway: LEEWAY };
        for living in tokens.iter().filter(|token| !token.is_id_token) {
            let since_1970 = Duration::from_micros(now.0.try_into().unwrap());
            if let Err(error) = check_token(&living.token, &rules, keys, since_1970) {
                panic!("at {now:?} an access token that is good until {:?} is refused: {error}", living.refused_at);
            }
        }
        let keys = self.relying_party.keys(replicas.either(), now, |document| serde_json::from_str(document).unwrap()).await;
        let secret = ClientSecret::new(self.client.secret.clone().unwrap());
        let issuer = IssuerUrl::new(ISSUER.to_owned()).unwrap();
        // The library knows no leeway: who wants one lets it live in the past.
        let then = now.minus(LEEWAY).rfc3339();
        let algs = [CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256, CoreJwsSigningAlgorithm::EcdsaP256Sha256];
        let verifier =
            CoreIdTokenVerifier::new_confidential_client(ClientId::new(self.client.id.clone()), secret, issuer, keys.clone())
                .set_allowed_algs(algs)
                .set_time_fn(move || serde_json::from_value(then.clone().into()).unwrap());
        for living in tokens.iter().filter(|token| token.is_id_token) {
            let token: CoreIdToken = living.token.parse().unwrap();
            if let Err(error) = token.claims(&verifier, |_: Option<&Nonce>| Ok(())) {
                panic!("at {now:?} an ID token that is good until {:?} is refused: {error}", living.refused_at);
            }
        }
        tokens.len()
    }
}

on_both_engines! {
    /// Every six hours both replicas tick, and tokens are signed; they are verified right then by parties that fetched the key set just
    /// before, and at random moments until the last second of their lives.
    async fn a_year_of_rotations_leaves_no_token_unverifiable(db: TestDatabase) {
        let mut replicas = Replicas::start(db).await;
        let metadata = |metadata: &mut ClientMetadata| {
            (metadata.access_token_lifetime, metadata.id_token_lifetime) = (Some(3_600), Some(3_600));
        };
        let client = replicas.both[0].client("app", metadata).await;
        let user = replicas.both[0].user(&new_email()).await;
        let mut browser = replicas.both[0].signed_in(&user).await;
        let mut latest = replicas.both[0].tokens(&client, &mut browser, "openid offline_access").await;
        let mut tokens = Vec::from(living(&latest));
        let mut parties = Parties { client: client.clone(), resource_server: Cached::empty(), relying_party: Cached::empty() };
        let start = replicas.now();
        let mut verified = 0;
        for _ in 0..4 * 365 {
            verified += parties.verify_all(&mut replicas, &mut tokens).await;
            replicas.tick().await;
            let refreshed = replicas.either().refresh(&client, latest.refresh()).await;
            latest = Tokens::from(&refreshed);
            tokens.extend(living(&latest));
            verified += parties.verify_all(&mut replicas, &mut tokens).await;
            let mut moments = [replicas.random.below(4_000), 599, 3_629, 3_690 + AHEAD.as_secs()];
            moments.sort_unstable();
            let mut passed = 0;
            for moment in moments {
                replicas.advance(moment - passed);
                passed = moment;
                replicas.tick().await;
                verified += parties.verify_all(&mut replicas, &mut tokens).await;
            }
            replicas.advance(6 * HOUR - passed);
        }
        assert_eq!(replicas.now().since(start), Duration::from_secs(365 * DAY));
        assert!(verified > 10_000, "only {verified} verifications");
        let provider = &replicas.both[0];
        for alg in Algorithm::ALL {
            // The first was overdue when the test began.
            let rotations = events(provider, AuditKind::KeyActivated, alg).await;
            assert_eq!(rotations.len(), 13, "one a month, and never twice: {rotations:?}");
            for pair in rotations.windows(2) {
                let apart = pair[1].at.since(pair[0].at) + AHEAD;
                assert!((30 * DAY..=30 * DAY + 6 * HOUR).contains(&apart.as_secs()), "{apart:?}");
            }
            assert_eq!(events(provider, AuditKind::KeyCreated, alg).await.len(), 13);
            assert_eq!(events(provider, AuditKind::KeyDeleted, alg).await.len(), 13);
            assert_eq!(keys(provider).await.iter().filter(|key| key.alg == alg).count(), 2, "nothing old is left");
        }
    }

}
