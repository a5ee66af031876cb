//! Initial access tokens (RFC 7591 §3).

use std::time::Duration;

use futures_util::future::join_all;
use tessera::jobs;
use tessera::lifecycle::registration_token;
use tessera::model::{Actor, AuditKind};
use tessera::store::registration;

use super::*;
use crate::harness::engines::on_both_engines;

async fn provider(db: TestDatabase) -> Provider {
    configured(db, |config| config.registration.mode = RegistrationMode::Token).await
}

async fn with_token(provider: &Provider, token: &str) -> Response {
    send(provider, Method::POST, "/register", Some(token), app(json!({})).to_string()).await
}

async fn token(provider: &Provider, uses: u32) -> (String, String) {
    let (kept, token) =
        registration_token::create(&provider.app, &Actor::operator(), "partner", uses, Duration::from_secs(3_600)).await.unwrap();
    (kept.id, token.expose().to_owned())
}

on_both_engines! {
    async fn a_token_registers_as_many_as_it_says(db: TestDatabase) {
        let provider = provider(db).await;
        let (id, shown) = token(&provider, 2).await;
        let none = register(&provider, &app(json!({}))).await;
        assert_eq!((none.status, none.header("www-authenticate")), (StatusCode::UNAUTHORIZED, "Bearer realm=\"tessera\""));
        let wrong = send(&provider, Method::POST, "/register", Some(&shown), "{}").await;
        assert_eq!(wrong.error(), "invalid_redirect_uri", "what is refused uses nothing up");
        let first = Registered::from(&with_token(&provider, &shown).await);
        assert_eq!(with_token(&provider, &shown).await.status, StatusCode::CREATED);
        let third = with_token(&provider, &shown).await;
        assert_eq!((third.status, third.error().as_str()), (StatusCode::UNAUTHORIZED, "invalid_token"));
        let events = events(&provider, &first.id).await;
        assert!(events.iter().any(|event| event.kind == AuditKind::ClientCreated && event.detail["registration_token"] == id));
        let kept = registration::list_tokens(&mut provider.app.store.read().await.unwrap()).await.unwrap();
        assert!(kept.len() == 1 && kept[0].uses_left == 0 && !format!("{kept:?}").contains(&shown));
    }

    async fn used_at_the_same_time_it_is_good_once(db: TestDatabase) {
        let provider = provider(db).await;
        let other = provider.replica().await;
        let (_, shown) = token(&provider, 3).await;
        let answers = join_all((0..9).map(|i| with_token(if i % 2 == 0 { &provider } else { &other }, &shown))).await;
        let made = answers.iter().filter(|answer| answer.status == StatusCode::CREATED).count();
        let refused = answers.iter().filter(|answer| answer.status == StatusCode::UNAUTHORIZED).count();
        assert_eq!((made, refused), (3, 6), "{answers:?}");
        assert_eq!(clients::list(&mut provider.app.store.read().await.unwrap(), "", 20).await.unwrap().len(), 3);
    }

    async fn expired_taken_back_or_unknown_it_is_nothing(db: TestDatabase) {
        let provider = provider(db).await;
        let ((_, expired), (revoked_id, revoked)) = (token(&provider, 5).await, token(&provider, 5).await);
        assert_eq!(with_token(&provider, &revoked).await.status, StatusCode::CREATED);
        assert!(registration_token::revoke(&provider.app, &Actor::operator(), &revoked_id).await.unwrap());
        assert!(!registration_token::revoke(&provider.app, &Actor::operator(), &revoked_id).await.unwrap());
        assert_eq!(with_token(&provider, &revoked).await.error(), "invalid_token");
        assert_eq!(with_token(&provider, "c2VjcmV0").await.error(), "invalid_token");
        provider.advance(3_600);
        assert_eq!(with_token(&provider, &expired).await.error(), "invalid_token");
        provider.advance(2 * 86_400);
        jobs::clean_up(&provider.app).await.unwrap();
        assert!(registration::list_tokens(&mut provider.app.store.read().await.unwrap()).await.unwrap().is_empty());
    }

    async fn a_full_house_uses_nothing_up(db: TestDatabase) {
        let provider = configured(db, |config| {
            config.registration.mode = RegistrationMode::Token;
            config.registration.max_clients = 0;
        })
        .await;
        let (_, shown) = token(&provider, 1).await;
        assert_eq!(with_token(&provider, &shown).await.status, StatusCode::SERVICE_UNAVAILABLE);
        let kept = registration::list_tokens(&mut provider.app.store.read().await.unwrap()).await.unwrap();
        assert_eq!(kept[0].uses_left, 1);
    }
}
