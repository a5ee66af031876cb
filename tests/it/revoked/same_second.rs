//! `iat` against the last password change, exactly: tokens from before and after it inside one second, a thousand times.

use futures_util::future::join_all;
use tessera::lifecycle;
use tessera::model::{Actor, User};
use tessera::store::users;

use crate::harness::cluster::Cluster;
use crate::harness::engines::on_both_engines;
use crate::harness::live::{accepts, http};
use crate::harness::provider::{TestClient, claims, new_email};

/// Ten times a hundred people at once: who waits for the second to end waits with ninety-nine others.
const ROUNDS: usize = 10;
const PEOPLE: usize = 100;

/// A person's tokens from before and after the change, and the second of the change.
struct Pair {
    before: String,
    after: String,
    changed_in: i64,
}

on_both_engines! {
    async fn no_token_from_before_a_password_change_is_accepted_and_every_one_from_after_it_is(db: TestDatabase) {
        let cluster = Cluster::start(db, 2, |_| {}).await;
        let client = cluster.web_client("app").await;
        let mut in_the_same_second = 0;
        for round in 0..ROUNDS {
            let people = join_all((0..PEOPLE).map(async |_| cluster.user(&new_email()).await)).await;
            let changes = people.iter().enumerate().map(|(index, user)| change(&cluster, &client, user, (round + index) % 2));
            let pairs = join_all(changes).await;
            for replica in &cluster.replicas {
                // What the other one wrote is known within a step of following.
                replica.app.revocations.follow().await.unwrap();
            }
            for pair in &pairs {
                let iat = |token: &str| claims(token)["iat"].as_i64().unwrap();
                in_the_same_second += usize::from(iat(&pair.before) == pair.changed_in);
                assert!(iat(&pair.before) <= pair.changed_in && pair.changed_in < iat(&pair.after), "minting waits for the second to end");
            }
            let http = http();
            join_all(pairs.iter().map(async |pair| {
                for replica in &cluster.replicas {
                    let origin = replica.origin();
                    assert!(!accepts(&http, &origin, &pair.before).await, "a token from before the change is accepted");
                    assert!(accepts(&http, &origin, &pair.after).await, "a token from after the change is refused");
                }
            }))
            .await;
        }
        assert!(in_the_same_second > ROUNDS * PEOPLE / 2, "only {in_the_same_second} changes met their own second");
    }
}

/// A token, a password change, and at once another token: the tokens at one replica, the change at the other.
async fn change(cluster: &Cluster, client: &TestClient, user: &User, mints: usize) -> Pair {
    let before = cluster.token_of(user, client, mints).await;
    let changes = &cluster.replicas[1 - mints].app;
    lifecycle::user::change_password(changes, &Actor::operator(), &user.id, "a new hash").await.unwrap();
    let changed_at = users::find(&mut changes.store.read().await.unwrap(), &user.id).await.unwrap().unwrap().password_changed_at;
    let after = cluster.token_of(user, client, mints).await;
    Pair { before, after, changed_in: changed_at.seconds() }
}
