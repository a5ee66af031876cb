//! What the log and the clock are called: numbers and moments that must not be mixed have different names.

use super::support::{API, OTHER_API, Receiver, cursor, feed, get, resource_server, revoke_token, step};
use crate::harness::engines::on_both_engines;
use crate::harness::provider::{Provider, claims};

on_both_engines! {
    /// A resource server that hears for others than it did lacks what it was not told before: its cursor is one of another log.
    async fn a_cursor_is_good_for_its_audiences_alone(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let one = resource_server(&provider, "one", &[API]).await;
        let same = resource_server(&provider, "same", &[API]).await;
        let both = resource_server(&provider, "both", &[API, OTHER_API]).await;
        revoke_token(&provider, "for the other", OTHER_API).await;
        let (of_one, of_both) = (feed(&provider, &one, "").await, feed(&provider, &both, "").await);
        assert_eq!((&of_one["seq"], of_one.get("entries")), (&of_both["seq"], None));
        assert_ne!(of_one["log"], of_both["log"]);
        let after = format!("after={}", cursor(&of_one));
        assert_eq!(feed(&provider, &same, &after).await["from"], of_one["seq"]);
        let widened = feed(&provider, &both, &after).await;
        assert_eq!((&widened["from"], &widened["entries"]), (&0.into(), &of_both["entries"]));
    }

    /// One process tells all moments by one clock; another process has its own.
    async fn a_clock_has_a_name(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let api = resource_server(&provider, "api", &[API]).await;
        let clock = async |provider: &Provider| claims(&provider.send(get(&api, "/revocations")).await.body)["clock"].clone();
        let mut stream = Receiver::open(&provider, &api, "").await;
        let first = claims(&stream.event().await.unwrap().jws)["clock"].clone();
        provider.advance(1);
        step(&provider).await;
        assert_eq!(claims(&stream.event().await.unwrap().jws)["clock"], first);
        assert_eq!(clock(&provider).await, first);
        assert_ne!(clock(&provider.replica().await).await, first);
    }
}
