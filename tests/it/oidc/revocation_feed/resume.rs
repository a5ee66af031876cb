//! A receiver goes on where it was, begins anew where it cannot, and is given much in portions.

use axum::http::HeaderValue;
use serde_json::Value;

use super::support::{
    API, Receiver, append_sessions, cursor, entries, feed, get, resource_server, revoke_token, sids, step, verified,
};
use crate::harness::engines::{TestDatabase, on_both_engines};
use crate::harness::provider::Provider;

on_both_engines! {
    async fn a_stream_goes_on_after_the_cursor(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let api = resource_server(&provider, "api", &[API]).await;
        append_sessions(&provider, "s", 4).await;
        let snapshot = feed(&provider, &api, "").await;
        let log = snapshot["log"].as_str().unwrap();
        assert_eq!(sids(&snapshot), ["s0", "s1", "s2", "s3"]);
        // The cursor in the query, in the header, in both; what the answer must begin after.
        for (query, header, from) in [
            (None, None, 0),
            (Some(1), None, 1),
            (None, Some(format!("{log}:2")), 2),
            (Some(1), Some(format!("{log}:3")), 3),
            (Some(1), Some(String::new()), 1),
            (Some(4), None, 4),
            (Some(0), None, 0),
            (Some(5), None, 0),
            (Some(1), Some(format!("{log}:9223372036854775807")), 0),
            (None, Some("another_log:2".to_owned()), 0),
            (Some(2), Some(format!("{log}x:2")), 0),
        ] {
            let query = query.map_or_else(String::new, |after| format!("after={log}:{after}"));
            let mut request = get(&api, &format!("/revocations/stream?nonce=n&{query}"));
            if let Some(header) = &header {
                request.headers_mut().insert("last-event-id", HeaderValue::from_str(header).unwrap());
            }
            let mut stream = Receiver::try_open(&provider.router, request).await.unwrap();
            let message = stream.message().await;
            assert_eq!((&message["from"], &message["seq"], &message["nonce"]), (&from.into(), &4.into(), &"n".into()), "{query} {header:?}");
            let expected: Vec<String> = (from..4).map(|number| format!("s{number}")).collect();
            assert_eq!(sids(&message), expected, "{query} {header:?}");
        }
        for (after, from) in [(format!("{log}:3"), 3), (format!("{log}:5"), 0), ("other:3".to_owned(), 0)] {
            assert_eq!(feed(&provider, &api, &format!("after={after}")).await["from"], from, "{after}");
        }
    }

    /// What is committed while a stream begins is neither lost nor out of order, and the nonce comes once.
    async fn what_comes_while_a_stream_begins_is_in_it(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let api = resource_server(&provider, "api", &[API]).await;
        append_sessions(&provider, "before", 1).await;
        let mut stream = Receiver::open(&provider, &api, "nonce=n").await;
        append_sessions(&provider, "after", 1).await;
        // Published from before what the first message had: it overlaps, and is passed on for what is new in it.
        step(&provider).await;
        let (first, second) = (stream.message().await, stream.message().await);
        assert_eq!((sids(&first), &first["nonce"]), (vec!["before0".to_owned()], &"n".into()));
        assert!(sids(&second).contains(&"after0".to_owned()) && second.get("nonce").is_none(), "{second}");
        assert!(second["from"].as_i64() <= first["seq"].as_i64() && second["seq"] == 2, "{second}");
        step(&provider).await;
        assert!(stream.is_quiet(), "a heartbeat of the same moment says nothing new");
        provider.advance(1);
        let heartbeat = stream.after_step(&provider).await;
        assert_eq!((&heartbeat["from"], &heartbeat["seq"]), (&2.into(), &2.into()));
    }

    /// More than a message may have: portions without `at` and nonce, signed once for all, and then the rest.
    async fn more_than_fits_comes_in_portions(db: TestDatabase) {
        const ALL: usize = 21_500;
        let provider = Provider::new(db).await;
        let api = resource_server(&provider, "api", &[API]).await;
        append_sessions(&provider, "s", ALL).await;
        let (mut one, mut two) =
            (Receiver::open(&provider, &api, "nonce=one").await, Receiver::open(&provider, &api, "nonce=two").await);
        let (mut seq, mut seen) = (0, Vec::new());
        for count in [10_000, 10_000, 1_500] {
            let (event, again) = (one.event().await.unwrap(), two.event().await.unwrap());
            assert!(event.jws == again.jws, "signed once for both");
            let message = verified(&provider, &event.jws).await;
            assert_eq!((message["from"].as_i64(), entries(&message).len()), (Some(seq), count));
            assert!(message.get("at").is_none() && message.get("nonce").is_none());
            seq = message["seq"].as_i64().unwrap();
            seen.extend(sids(&message));
        }
        let expected: Vec<String> = (0..ALL).map(|number| format!("s{number}")).collect();
        assert!(seen == expected, "each entry once, in order");
        append_sessions(&provider, "late", 2).await;
        for (stream, nonce) in [(&mut one, "one"), (&mut two, "two")] {
            let last = stream.message().await;
            assert_eq!((&last["from"], &last["nonce"]), (&seq.into(), &nonce.into()));
            assert!(last["at"].is_i64());
            assert_eq!(sids(&last), ["late0", "late1"], "what has come in since the portions were made");
        }
        // What was published meanwhile overlaps with that, and is skipped.
        step(&provider).await;
        provider.advance(1);
        step(&provider).await;
        for stream in [&mut one, &mut two] {
            let heartbeat = stream.message().await;
            assert_eq!((&heartbeat["seq"], entries(&heartbeat).len()), (&(ALL + 2).into(), 0));
        }

        // The same by single requests, which end where `at` is.
        let (mut seen, mut after) = (Vec::new(), String::new());
        let last: Value = loop {
            let message = feed(&provider, &api, &format!("nonce=three{after}")).await;
            seen.extend(sids(&message));
            after = format!("&after={}", cursor(&message));
            if message.get("at").is_some() {
                break message;
            }
        };
        assert_eq!((seen.len(), &last["nonce"], &last["seq"]), (ALL + 2, &"three".into(), &(ALL + 2).into()));

        // Somewhere in the middle: from there or earlier, and never a gap.
        let after = format!("after={}:20500", last["log"].as_str().unwrap());
        let message = feed(&provider, &api, &after).await;
        assert!(message["from"].as_i64().unwrap() <= 20_500 && message["seq"].as_i64().unwrap() > 20_500, "{:?}", message["from"]);
    }
}

/// Entries for others take no room in a portion, and those that expired are in none.
#[tokio::test]
async fn a_portion_is_filled_with_what_concerns_its_channel() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let api = resource_server(&provider, "api", &[API]).await;
    append_sessions(&provider, "expired", 2_000).await;
    provider.advance(3_600);
    revoke_token(&provider, "mine", API).await;
    append_sessions(&provider, "s", 1_200).await;
    revoke_token(&provider, "not mine", "https://nobody.example").await;
    let portion = feed(&provider, &api, "").await;
    assert!(portion.get("at").is_none());
    let of_portion = entries(&portion);
    assert_eq!((of_portion.len(), &of_portion[0]["jti"], &of_portion[1]["sid"]), (1_201, &"mine".into(), &"s0".into()));
    let end = portion["seq"].clone();

    // Kept portions are made anew before long: what expires meanwhile is then left out.
    provider.advance(600 + 120);
    let later = feed(&provider, &api, "").await;
    assert_eq!(later["seq"], end);
    assert_eq!(entries(&later).len(), 1_200);
}
