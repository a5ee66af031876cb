//! A man in the middle, who wants a revoked token to be accepted: he may drop, repeat, reorder, delay and rewrite what passes, and is a
//! resource server of his own. What he can do is to make receivers refuse for want of news.

use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use josekit::jws::ES256;
use josekit::jws::JwsSigner;
use josekit::jws::alg::ecdsa::EcdsaJwsSigner;
use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use super::scene::{Scene, revoke_by_hand};
use crate::harness::calls::Calls;
use crate::harness::cluster::{API, Cluster};
use crate::harness::engines::TestDatabase;
use crate::harness::middleman::Middleman;
use crate::harness::provider::{TestClient, claims, header};

/// What a trick may achieve.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// The receiver is not fresh until he stops.
    NotFresh,
    /// Nothing at all: the receiver hears of the revocation while he goes on.
    Nothing,
}

/// So long after the provider's answer he goes on.
const LASTS: Duration = Duration::from_millis(3_500);
const LATE: &str = "a second and a half late";

type Begin = fn(&Middleman, &TestClient, &TestClient);

const TRICKS: [(&str, Outcome, Begin); 15] = [
    ("withhold every message with entries", Outcome::NotFresh, |him, to, _| {
        him.rewrite(to, |message| if has_entries(message) { vec![] } else { same(message) })
    }),
    ("withhold one batch: a gap", Outcome::Nothing, |him, to, _| {
        let mut withheld = false;
        him.rewrite(to, move |message| {
            let withhold = !withheld && claims(message)["from"] != 0 && has_entries(message);
            withheld |= withhold;
            if withhold { vec![] } else { same(message) }
        });
    }),
    ("sign a batch without its entries himself, with the provider's kid", Outcome::NotFresh, |him, to, _| {
        him.rewrite(
            to,
            signing(|header, payload| {
                payload.as_object_mut().unwrap().remove("entries");
                header.clone()
            }),
        )
    }),
    ("the same, with his key in the header", Outcome::NotFresh, |him, to, _| {
        him.rewrite(
            to,
            signing(|header, payload| {
                payload.as_object_mut().unwrap().remove("entries");
                let mut header = header.clone();
                header["jwk"] = HIS_KEY.1.clone();
                header
            }),
        )
    }),
    ("`alg` none", Outcome::NotFresh, |him, to, _| {
        him.rewrite(to, |message| {
            let mut header = header(message);
            header["alg"] = "none".into();
            vec![format!("{}.{}.", encode(&header), encode(&without_entries(message)))]
        })
    }),
    ("another payload under the provider's signature", Outcome::NotFresh, |him, to, _| {
        him.rewrite(to, |message| {
            let parts: Vec<&str> = message.split('.').collect();
            vec![format!("{}.{}.{}", parts[0], encode(&without_entries(message)), parts[2])]
        })
    }),
    ("half of a message", Outcome::NotFresh, |him, to, _| {
        him.rewrite(to, |message| vec![message[..message.len() / 2].to_owned()])
    }),
    ("yesterday's heartbeat for ever", Outcome::NotFresh, |him, to, _| {
        let mut first = None;
        him.rewrite(to, move |message| vec![first.get_or_insert_with(|| message.to_owned()).clone()])
    }),
    ("all heartbeats so far, again and again", Outcome::NotFresh, |him, to, _| {
        let mut heard: Vec<String> = Vec::new();
        him.rewrite(to, move |message| {
            if !has_entries(message) && heard.len() < 5 {
                heard.push(message.to_owned());
            }
            heard.clone()
        })
    }),
    ("each message twice, and the batches of before after it", Outcome::Nothing, |him, to, _| {
        let mut batches: Vec<String> = Vec::new();
        him.rewrite(to, move |message| {
            if has_entries(message) && batches.len() < 10 {
                batches.push(message.to_owned());
            }
            [vec![message.to_owned(), message.to_owned()], batches.clone()].concat()
        })
    }),
    ("the next message before each batch", Outcome::Nothing, |him, to, _| {
        let (mut kept, mut done) = (None::<String>, false);
        him.rewrite(to, move |message| match kept.take() {
            Some(batch) => {
                done = true;
                vec![message.to_owned(), batch]
            }
            None if !done && claims(message)["from"] != 0 && has_entries(message) => {
                kept = Some(message.to_owned());
                vec![]
            }
            None => same(message),
        })
    }),
    ("the stream of his own resource server, by the receiver's nonce", Outcome::NotFresh, |him, to, his| {
        him.splice(to, his);
        // The connection that is there ends; the next one is spliced.
        let mut ended = false;
        him.rewrite(to, move |message| if std::mem::replace(&mut ended, true) { same(message) } else { vec!["x".to_owned()] });
    }),
    ("nothing at all", Outcome::NotFresh, |him, to, _| him.rewrite(to, |_| vec![])),
    (LATE, Outcome::NotFresh, |him, to, _| him.delay(to, Duration::from_millis(1_500))),
    ("five seconds late", Outcome::NotFresh, |him, to, _| him.delay(to, Duration::from_secs(5))),
];

/// Each trick has a receiver, and a token, of its own; all are played at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_passes_between_no_revoked_token_is_accepted() {
    let cluster = Cluster::start(TestDatabase::sqlite().await, 2, |_| {}).await;
    let him = Middleman::before(cluster.replicas[0].address).await;
    cluster.gate.open(him.address);
    let scene = Scene::on(cluster).await;
    let his = scene.cluster.client("his", |metadata| {
        metadata.grant_types = Vec::new();
        metadata.audiences = Vec::new();
        metadata.resource_server_for = vec![format!("{API}/his")];
    });
    let his = his.await;
    let played = TRICKS.iter().enumerate().map(async |(number, (name, outcome, begin))| {
        let server = scene.cluster.resource_server(&format!("api{number}")).await;
        let verifier = scene.cluster.verifier(&server).await;
        let (_, revoked) = scene.token(1).await;
        let calls = Calls::begin(&verifier, &[&revoked, &scene.kept]);
        calls.accepted(&[0, 1]).await;
        begin(&him, &server, &his);
        revoke_by_hand(&scene.cluster.replicas[1].app, &revoked).await.unwrap();
        let answered = Instant::now();
        if *outcome == Outcome::NotFresh {
            calls.not_fresh(1, answered).await;
            let messages = verifier.status().messages;
            sleep_until(answered + LASTS).await;
            calls.not_fresh(1, answered).await;
            assert!(*name != LATE || verifier.status().messages > messages, "they arrive, and are of no use");
            him.leave_alone(&server);
        }
        let (after, _) = calls.revoked(0, answered).await;
        calls.accepted(&[1]).await;
        calls.never_revoked(1);
        calls.kept_promise(0, answered);
        println!("{name}: {outcome:?}; refused as revoked {after:?} after the answer");
    });
    join_all(played).await;
}

static HIS_KEY: LazyLock<(EcdsaJwsSigner, Value)> = LazyLock::new(|| {
    let pair = ES256.generate_key_pair().unwrap();
    let jwk = serde_json::to_value(pair.to_jwk_public_key()).unwrap();
    (ES256.signer_from_der(pair.to_der_private_key()).unwrap(), jwk)
});

/// Signs what `change` leaves of the payload, under the header that it gives.
fn signing(change: impl Fn(&Value, &mut Value) -> Value + Send + 'static) -> impl FnMut(&str) -> Vec<String> + Send + 'static {
    move |message| {
        let mut payload = claims(message);
        let header = change(&header(message), &mut payload);
        let input = format!("{}.{}", encode(&header), encode(&payload));
        let signature = HIS_KEY.0.sign(input.as_bytes()).unwrap();
        vec![format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))]
    }
}

fn encode(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}

fn same(message: &str) -> Vec<String> {
    vec![message.to_owned()]
}

fn has_entries(message: &str) -> bool {
    claims(message).get("entries").is_some()
}

fn without_entries(message: &str) -> Value {
    let mut payload = claims(message);
    payload.as_object_mut().unwrap().remove("entries");
    payload
}
