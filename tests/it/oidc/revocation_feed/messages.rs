//! What the messages say, and to whom.

use serde_json::json;
use tessera::lifecycle;
use tessera::model::{Actor, Algorithm};

use super::support::{API, OTHER_API, Receiver, cursor, entries, feed, resource_server, step, verified};
use crate::harness::engines::on_both_engines;
use crate::harness::provider::{ISSUER, Provider, claims, header, new_email};

on_both_engines! {
    /// Every claim of a snapshot, a batch and a heartbeat, on the stream and on the feed.
    async fn a_message_says_what_the_specification_wants(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let api = resource_server(&provider, "api", &[OTHER_API, API, API]).await;
        let mut stream = Receiver::open(&provider, &api, "nonce=n-1").await;
        for (name, value) in [("content-type", "text/event-stream"), ("cache-control", "no-store"), ("x-accel-buffering", "no")] {
            assert_eq!(stream.headers[name], value);
        }
        let first = stream.event().await.unwrap();
        let snapshot = verified(&provider, &first.jws).await;
        let log = snapshot["log"].as_str().unwrap().to_owned();
        let expected = json!({
            "iss": ISSUER, "aud": [API, OTHER_API], "iat": 1_800_000_000, "log": log, "from": 0, "seq": 0,
            "at": 1_800_000_000_250_i64, "nonce": "n-1",
        });
        assert_eq!(snapshot, expected);

        provider.advance(1);
        let kid = provider.app.keyring.current().active_kid(Algorithm::Rs256).unwrap().to_owned();
        lifecycle::key::revoke(&provider.app, &Actor::operator(), &kid).await.unwrap();
        let batch = stream.after_step(&provider).await;
        let entry = json!({ "kid": kid, "exp": 1_800_000_002 + 30 * 86_400 });
        let expected = json!({
            "iss": ISSUER, "aud": [API, OTHER_API], "iat": 1_800_000_001, "log": log, "from": 0, "seq": 1_800_000_001_250_000_i64,
            "at": 1_800_000_001_250_i64, "entries": [entry],
        });
        assert_eq!(batch, expected);

        provider.advance(1);
        let heartbeat = stream.after_step(&provider).await;
        let expected = json!({
            "iss": ISSUER, "aud": [API, OTHER_API], "iat": 1_800_000_002, "log": log, "from": 1_800_000_001_250_000_i64,
            "seq": 1_800_000_001_250_000_i64, "at": 1_800_000_002_250_i64,
        });
        assert_eq!(heartbeat, expected);

        let snapshot = feed(&provider, &api, "nonce=n-2").await;
        let expected = json!({
            "iss": ISSUER, "aud": [API, OTHER_API], "iat": 1_800_000_002, "log": log, "from": 0, "seq": 1_800_000_001_250_000_i64,
            "at": 1_800_000_002_250_i64, "nonce": "n-2", "entries": [entry],
        });
        assert_eq!(snapshot, expected);
        let nothing_new = feed(&provider, &api, &format!("after={}", cursor(&snapshot))).await;
        assert_eq!(nothing_new, heartbeat);
    }

    /// Each kind of entry, with what a token of that moment carries.
    async fn each_kind_of_entry_names_what_a_token_carries(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let (app, actor) = (&provider.app, &Actor::operator());
        let api = resource_server(&provider, "api", &[API]).await;
        let mut stream = Receiver::open(&provider, &api, "").await;
        stream.message().await;
        for kind in ["jti", "sid", "sub", "client_id", "kid"] {
            let client = provider.client(&format!("app-{kind}"), |metadata| metadata.audiences = vec![API.to_owned()]).await;
            let user = provider.user(&new_email()).await;
            let token = provider.tokens(&client, &mut provider.signed_in(&user).await, "openid").await.access_token;
            provider.advance(1);
            match kind {
                "jti" => {
                    provider.post(&client, "/revoke", &[("token", &token)]).await;
                }
                "sid" => assert_eq!(lifecycle::session::end_all(app, actor, &user.id, None).await.unwrap(), 1),
                "sub" => lifecycle::user::sign_out_everywhere(app, actor, &user.id).await.unwrap(),
                "client_id" => assert!(lifecycle::client::disable(app, actor, &client.id).await.unwrap()),
                _ => assert!(lifecycle::key::revoke(app, actor, header(&token)["kid"].as_str().unwrap()).await.unwrap()),
            }
            let entries = entries(&stream.after_step(&provider).await);
            let of_kind = entries.iter().find(|entry| entry.get(kind).is_some()).unwrap_or_else(|| panic!("{kind}: {entries:?}"));
            let carried = if kind == "kid" { header(&token) } else { claims(&token) };
            assert_eq!(of_kind[kind], carried[kind], "{kind}");
            assert!(of_kind["exp"].as_i64().unwrap() >= claims(&token)["exp"].as_i64().unwrap() + 60, "{kind}: {of_kind}");
            match kind {
                "sub" | "client_id" => assert!(of_kind["iat_before"].as_i64() > claims(&token)["iat"].as_i64(), "{of_kind}"),
                _ => assert_eq!(of_kind.as_object().unwrap().len(), 2, "{of_kind}"),
            }
        }
    }

    /// A resource server hears of tokens that were made for it, and of everything else; the issuer is an audience like others.
    async fn a_token_for_others_is_not_heard_of(db: TestDatabase) {
        let provider = Provider::new(db).await;
        let mut servers = Vec::new();
        for (id, audience) in [("api", API), ("other", OTHER_API), ("userinfo", ISSUER)] {
            let client = resource_server(&provider, id, &[audience]).await;
            let mut stream = Receiver::open(&provider, &client, "").await;
            stream.message().await;
            servers.push((id, client, stream));
        }
        let app = provider.client("app", |metadata| metadata.audiences = vec![API.to_owned()]).await;
        let user = provider.user(&new_email()).await;
        let mut browser = provider.signed_in(&user).await;
        let first = provider.tokens(&app, &mut browser, "openid").await;
        let family = provider.tokens(&app, &mut browser, "profile").await;
        let mut expect = Vec::new();
        for (token, jti, hear) in [
            (first.access_token.as_str(), claims(&first.access_token)["jti"].clone(), ["api", "userinfo"].as_slice()),
            (family.refresh(), claims(&family.access_token)["jti"].clone(), &["api"]),
        ] {
            provider.post(&app, "/revoke", &[("token", token)]).await;
            expect.push((jti.clone(), hear));
            step(&provider).await;
            for (id, _, stream) in &mut servers {
                let message = stream.message().await;
                let heard = entries(&message).iter().any(|entry| entry["jti"] == jti);
                assert_eq!(heard, hear.contains(id), "{id}: {message}");
                assert!(message["seq"].as_i64() > message["from"].as_i64(), "{message}");
            }
        }
        // The same in a snapshot.
        for (id, client, _) in &servers {
            let entries = entries(&feed(&provider, client, "").await);
            for (jti, hear) in &expect {
                assert_eq!(entries.iter().any(|entry| entry["jti"] == *jti), hear.contains(id), "{id}");
            }
        }
        // Everybody hears of the person.
        lifecycle::user::sign_out_everywhere(&provider.app, &Actor::operator(), &user.id).await.unwrap();
        for (id, _, stream) in &mut servers {
            step(&provider).await;
            let message = stream.message().await;
            assert!(entries(&message).iter().any(|entry| entry["sub"] == user.id.as_str()), "{id}: {message}");
        }
    }
}
