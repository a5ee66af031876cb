//! `kill -9` in the middle of refreshes, redemptions and revocations; then: nothing that was acknowledged is lost, nothing is used
//! twice, and what was not acknowledged is done or not done, never half.

use futures_util::future::join_all;
use tessera::model::Secret;
use tessera::store::{authorization, token_families};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::harness::engines::on_both_engines;
use crate::harness::live::{Answer, Live, accepts, code, http, post};
use crate::harness::provider::{REDIRECT_URI, TestClient, VERIFIER, new_email};

const ROUNDS: usize = 5;
const CHAINS: usize = 8;
const REDEEMERS: usize = 8;
const CODES_EACH: usize = 12;

/// Whoever talks to the provider as one client.
#[derive(Clone)]
struct Caller {
    http: reqwest::Client,
    issuer: String,
    client: TestClient,
    cookie: String,
}

impl Caller {
    async fn refresh(&self, token: &str) -> Result<Answer, reqwest::Error> {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        post(&self.http, &self.issuer, &self.client, "/token", &form).await
    }

    async fn redeem(&self, code: &str) -> Result<Answer, reqwest::Error> {
        let form =
            [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT_URI), ("code_verifier", VERIFIER)];
        post(&self.http, &self.issuer, &self.client, "/token", &form).await
    }

    async fn revoke(&self, token: &str) -> Result<Answer, reqwest::Error> {
        post(&self.http, &self.issuer, &self.client, "/revoke", &[("token", token)]).await
    }

    async fn codes(&self, count: usize) -> Vec<String> {
        join_all((0..count).map(|_| code(&self.http, &self.issuer, &self.client, &self.cookie))).await
    }

    async fn accepts(&self, access_token: &str) -> bool {
        accepts(&self.http, &self.issuer, access_token).await
    }
}

/// One family, as its client knows it.
#[derive(Default)]
struct Chain {
    /// Refresh tokens whose exchange was acknowledged.
    spent: Vec<String>,
    /// The last one that the client was given. Its exchange was asked for, and the answer never came.
    last: String,
    access_token: String,
    /// Access tokens whose revocation was acknowledged.
    revoked: Vec<String>,
}

impl Chain {
    fn begin(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{answer:?}");
        let (last, access_token) = (answer.text("refresh_token").to_owned(), answer.text("access_token").to_owned());
        Self { last, access_token, ..Self::default() }
    }

    fn follow(&mut self, answer: &Answer) {
        let next = Self::begin(answer);
        self.spent.push(std::mem::replace(&mut self.last, next.last));
        self.access_token = next.access_token;
    }

    /// Refreshes, and revokes the access token from before, until the provider is gone.
    async fn run(mut self, caller: Caller, acknowledged: UnboundedSender<()>) -> Self {
        while let Ok(answer) = caller.refresh(&self.last).await {
            let before = self.access_token.clone();
            self.follow(&answer);
            let _ = acknowledged.send(());
            let Ok(answer) = caller.revoke(&before).await else { break };
            assert_eq!(answer.status, 200);
            self.revoked.push(before);
            let _ = acknowledged.send(());
        }
        self
    }
}

/// Codes, as their client knows them.
#[derive(Default)]
struct Codes {
    redeemed: Vec<(String, Chain)>,
    /// The redemption was asked for, and the answer never came.
    unknown: Option<String>,
    untouched: Vec<String>,
}

/// Redeems one code after the other until the provider is gone.
async fn redeem_all(codes: Vec<String>, caller: Caller, acknowledged: UnboundedSender<()>) -> Codes {
    let mut known = Codes { untouched: codes, ..Codes::default() };
    while let Some(code) = known.untouched.pop() {
        let Ok(answer) = caller.redeem(&code).await else {
            known.unknown = Some(code);
            break;
        };
        known.redeemed.push((code, Chain::begin(&answer)));
        let _ = acknowledged.send(());
    }
    known
}

on_both_engines! {
    async fn nothing_acknowledged_is_lost_and_nothing_is_used_twice(db: TestDatabase) {
        let mut live = Live::start(db).await;
        let client = live.client("app", |_| {}).await;
        let (_, cookie) = live.signed_in(&new_email()).await;
        let mut chains = Vec::new();
        for round in 0..ROUNDS {
            let caller = Caller { http: http(), issuer: live.issuer.clone(), client: client.clone(), cookie: cookie.clone() };
            chains = crash(&mut live, &caller, chains, 40 + 23 * round).await;
        }
    }
}

/// One crash, after so many acknowledgements. Gives the families that live on.
async fn crash(live: &mut Live, caller: &Caller, mut chains: Vec<Chain>, acknowledgements: usize) -> Vec<Chain> {
    while chains.len() < CHAINS {
        let code = caller.codes(1).await.remove(0);
        chains.push(Chain::begin(&caller.redeem(&code).await.unwrap()));
    }
    let codes = caller.codes(REDEEMERS * CODES_EACH).await;
    let (acknowledged, mut heard) = unbounded_channel();
    let refreshing: Vec<_> =
        chains.into_iter().map(|chain| tokio::spawn(chain.run(caller.clone(), acknowledged.clone()))).collect();
    let redeeming: Vec<_> = codes
        .chunks(CODES_EACH)
        .map(|codes| tokio::spawn(redeem_all(codes.to_vec(), caller.clone(), acknowledged.clone())))
        .collect();
    for _ in 0..acknowledgements {
        heard.recv().await.unwrap();
    }
    live.kill().await;
    let chains: Vec<Chain> = join_all(refreshing).await.into_iter().map(Result::unwrap).collect();
    let codes: Vec<Codes> = join_all(redeeming).await.into_iter().map(Result::unwrap).collect();
    assert!(codes.iter().any(|known| known.unknown.is_some()), "the crash came in the middle of redemptions");

    check_rows(live, &chains, &codes).await;
    live.restart().await;
    check_codes(caller, codes).await;
    check_chains(live, caller, chains).await
}

/// What the database holds after the crash, before anybody else writes.
async fn check_rows(live: &Live, chains: &[Chain], codes: &[Codes]) {
    live.aside(async |app| {
        let mut conn = app.store.read().await.unwrap();
        for chain in chains {
            for spent in &chain.spent {
                let row = token_families::find_token(&mut conn, &Secret::new(spent).hash()).await.unwrap();
                assert!(row.unwrap().rotated_at.is_some(), "an acknowledged exchange is undone");
            }
            let last = Secret::new(&chain.last);
            let row =
                token_families::find_token(&mut conn, &last.hash()).await.unwrap().expect("an acknowledged successor is lost");
            let successor = token_families::find_token(&mut conn, &app.secrets.successor(&last).hash()).await.unwrap();
            assert_eq!(row.rotated_at.is_some(), successor.is_some(), "an exchange is half done");
        }
        for known in codes {
            let code = async |code: &str| {
                let mut conn = app.store.read().await.unwrap();
                authorization::find_code(&mut conn, &Secret::new(code).hash()).await.unwrap().unwrap()
            };
            for (redeemed, _) in &known.redeemed {
                assert!(code(redeemed).await.redeemed_at.is_some(), "an acknowledged redemption is undone");
            }
            for untouched in &known.untouched {
                assert!(code(untouched).await.redeemed_at.is_none());
            }
            let Some(unknown) = &known.unknown else { continue };
            let row = code(unknown).await;
            match (row.redeemed_at, &row.family_id) {
                (None, None) => {}
                (Some(_), Some(family)) => {
                    assert!(token_families::find(&mut conn, family).await.unwrap().is_some(), "a redemption is half done");
                    let tokens = token_families::live_access_tokens(&mut conn, family, app.now()).await.unwrap();
                    assert_eq!(tokens.first().map(|(jti, _)| jti), row.access_token_jti.as_ref(), "a redemption is half done");
                }
                _ => panic!("a redemption is half done: {row:?}"),
            }
        }
    })
    .await;
}

async fn check_codes(caller: &Caller, codes: Vec<Codes>) {
    for (number, known) in codes.into_iter().enumerate() {
        for (index, (code, chain)) in known.redeemed.into_iter().enumerate() {
            if (number + index) % 2 == 0 {
                let answer = caller.refresh(&chain.last).await.unwrap();
                assert_eq!(answer.status, 200, "what an acknowledged redemption gave is good: {answer:?}");
            }
            assert_eq!(caller.redeem(&code).await.unwrap().text("error"), "invalid_grant", "a code is used twice");
            assert!(!caller.accepts(&chain.access_token).await, "a replayed code takes back what it gave");
        }
        if let Some(code) = known.unknown {
            // Done or not done: either way it works at most once more.
            let answer = caller.redeem(&code).await.unwrap();
            assert!(answer.status == 200 || answer.text("error") == "invalid_grant", "{answer:?}");
            assert_eq!(caller.redeem(&code).await.unwrap().text("error"), "invalid_grant");
        }
        if let Some(code) = known.untouched.first() {
            assert_eq!(caller.redeem(code).await.unwrap().status, 200, "a code that nobody had sent is good");
        }
    }
}

/// Every family goes on with the successor it would have had; every second one is then replayed, and ends.
async fn check_chains(live: &Live, caller: &Caller, chains: Vec<Chain>) -> Vec<Chain> {
    let mut living = Vec::new();
    for (number, mut chain) in chains.into_iter().enumerate() {
        for revoked in &chain.revoked {
            assert!(!caller.accepts(revoked).await, "an acknowledged revocation is lost");
        }
        let due = live.successor(&chain.last).await;
        let (first, second) = (caller.refresh(&chain.last).await.unwrap(), caller.refresh(&chain.last).await.unwrap());
        for answer in [&first, &second] {
            assert_eq!(
                (answer.status, answer.text("refresh_token")),
                (200, due.as_str()),
                "one token, one successor: {answer:?}"
            );
        }
        chain.follow(&first);
        assert!(caller.accepts(&chain.access_token).await);
        if number % 2 == 0 || chain.spent.len() < 2 {
            living.push(chain);
            continue;
        }
        let replayed = &chain.spent[chain.spent.len() - 2];
        assert_eq!(caller.refresh(replayed).await.unwrap().text("error"), "invalid_grant", "a spent token is used again");
        assert_eq!(caller.refresh(&chain.last).await.unwrap().text("error"), "invalid_grant", "its family has ended");
        assert!(!caller.accepts(&chain.access_token).await);
    }
    living
}
