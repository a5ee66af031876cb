//! `sector_identifier_uri` (OpenID Connect Registration 1.0 §5) and `jwks_uri`: what others publish about a client.

use super::*;
use crate::harness::elsewhere::{Elsewhere, Page};

async fn provider() -> Provider {
    configured(TestDatabase::sqlite().await, |config| {
        config.outbound.allow_networks = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await
}

/// The modules oidcc-registration-sector-uri and oidcc-registration-sector-bad.
#[tokio::test]
async fn every_redirect_uri_must_be_in_the_sector() {
    let (provider, elsewhere) = (provider().await, Elsewhere::start().await);
    let document = json!({
        "redirect_uris": ["https://app.example/cb", "https://other.example/cb"], "subject_type": "pairwise",
        "sector_identifier_uri": elsewhere.url("/sector.json"),
    });
    let refused = async |why: &str| {
        let response = register(&provider, &document).await;
        assert_eq!((response.status, response.error().as_str()), (StatusCode::BAD_REQUEST, "invalid_client_metadata"), "{why}");
    };
    refused("there is nothing").await;
    elsewhere.put(
        "/sector.json",
        Page::json(&json!(["https://app.example/cb", "https://other.example/cb", "https://third.example/"])),
    );
    let registered = Registered::from(&register(&provider, &document).await);
    assert_eq!(registered.answer["sector_identifier_uri"], document["sector_identifier_uri"]);
    for (why, page) in [
        ("another's list", json!(["https://example.com/op"])),
        ("one is missing", json!(["https://app.example/cb"])),
        ("not the same", json!(["https://app.example/cb", "https://other.example/cb/"])),
        ("no list", json!({ "https://app.example/cb": 1, "https://other.example/cb": 1 })),
        ("a text", json!("https://app.example/cb https://other.example/cb")),
    ] {
        elsewhere.put("/sector.json", Page::json(&page));
        refused(why).await;
    }
    let all = json!(["https://app.example/cb", "https://other.example/cb"]).to_string();
    elsewhere.put("/sector.json", Page::new(500, "application/json", all.clone()));
    refused("an error").await;
    elsewhere.put("/other.json", Page::new(200, "application/json", all));
    elsewhere.put("/sector.json", Page::new(302, "text/plain", "").with("location", &elsewhere.url("/other.json")));
    refused("elsewhere").await;
    assert_eq!(elsewhere.visits("/other.json"), 0, "a redirect is not followed");

    let update = json!({
        "redirect_uris": document["redirect_uris"], "subject_type": "pairwise", "sector_identifier_uri": elsewhere.url("/sector.json"),
    });
    assert_eq!(registered.put(&provider, update).await.error(), "invalid_client_metadata", "an update is checked as well");
}

/// What cannot be reached is never asked for, and a document that is wrong by itself makes us ask nobody.
#[tokio::test]
async fn nobody_is_asked_on_behalf_of_a_wrong_document() {
    let elsewhere = Elsewhere::start().await;
    elsewhere.put("/sector.json", Page::json(&json!([REDIRECT_URI])));
    let sector = json!({ "subject_type": "pairwise", "sector_identifier_uri": elsewhere.url("/sector.json") });
    let closed = open(TestDatabase::sqlite().await).await;
    assert_eq!(register(&closed, &app(sector.clone())).await.error(), "invalid_client_metadata");
    let provider = provider().await;
    let mut wrong = sector.clone();
    wrong["id_token_signed_response_alg"] = "none".into();
    assert_eq!(register(&provider, &app(wrong)).await.error(), "invalid_client_metadata");
    assert_eq!(elsewhere.visits("/sector.json"), 0);
    assert_eq!(register(&provider, &app(sector)).await.status, StatusCode::CREATED);
    assert_eq!(elsewhere.visits("/sector.json"), 1);
}

/// `jwks_uri` is kept, and fetched when a key is needed.
#[tokio::test]
async fn the_address_of_keys_comes_back_as_it_was_said() {
    let (provider, elsewhere) = (provider().await, Elsewhere::start().await);
    let said = json!({ "jwks_uri": elsewhere.url("/jwks"), "token_endpoint_auth_method": "private_key_jwt" });
    let registered = Registered::new(&provider, said.clone()).await;
    for answer in [&registered.answer, &registered.get(&provider).await.json()] {
        assert_eq!(answer["jwks_uri"], said["jwks_uri"]);
        assert!(answer.get("client_secret").is_none() && answer.get("jwks").is_none());
    }
    assert_eq!(elsewhere.visits("/jwks"), 0);
}
