//! A sign-in that a third party begins (OpenID Connect Core §4): our own pages send a person to an app, which does the rest.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use tessera::lifecycle;
use tessera::model::Actor;
use tower::ServiceExt;

use crate::harness::engines::TestDatabase;
use crate::harness::provider::{ISSUER, Provider, TestClient, Tokens, authorize_path, claims, new_email};

const INITIATE: &str = "https://app.example/initiate?tenant=7";

/// What the app at the other end does: it knows one issuer, and begins a sign-in there.
async fn initiate(State(client): State<Arc<TestClient>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let params: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let named: Vec<&str> = params.iter().map(|(name, _)| name.as_str()).collect();
    // Who the person is stays between the person and the provider until the app asks.
    if named != ["tenant", "iss"] || params[1].1 != ISSUER {
        return (StatusCode::BAD_REQUEST, query).into_response();
    }
    Redirect::to(&format!("{ISSUER}{}", authorize_path(&client, &[("state", "begun by another")]))).into_response()
}

fn link(page: &str) -> Option<&str> {
    let at = page.find("href=\"https://app.example/initiate")?;
    page[at..].split('"').nth(1)
}

#[tokio::test]
async fn our_pages_open_an_app_which_signs_the_person_in() {
    let provider = Provider::new(TestDatabase::sqlite().await).await;
    let client = provider
        .client("app", |metadata| {
            metadata.initiate_login_uri = Some(INITIATE.to_owned());
        })
        .await;
    let user = provider.user(&new_email()).await;
    let mut browser = provider.signed_in(&user).await;
    assert_eq!(link(&browser.get("/").await.body), None, "no app yet");
    provider.tokens(&client, &mut browser, "openid").await;
    let app = Router::new().route("/initiate", get(initiate)).with_state(Arc::new(client.clone()));
    for page in ["/account/apps", "/"] {
        let page = browser.get(page).await;
        let address = link(&page.body).unwrap_or_else(|| panic!("{page:?}")).replace("&#38;", "&");
        assert!(!address.contains("login_hint") && !address.contains("target_link_uri") && !address.contains(&user.email));
        let answer = app.clone().oneshot(Request::get(&address).body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{address}");
        let location = answer.headers()["location"].to_str().unwrap();
        let response = browser.get(location.strip_prefix(ISSUER).unwrap()).await;
        assert_eq!(response.param("state").as_deref(), Some("begun by another"));
        let tokens = Tokens::from(&provider.redeem(&client, &response.param("code").unwrap()).await);
        assert_eq!(claims(&tokens.id_token.unwrap())["sub"], user.id.as_str());
    }
    // The landing page of somebody who is not signed in names nobody's apps.
    assert_eq!(link(&provider.get("/").await.body), None);
    let mut stranger = provider.signed_in(&provider.user(&new_email()).await).await;
    assert_eq!(link(&stranger.get("/").await.body), None);
    lifecycle::client::disable(&provider.app, &Actor::operator(), "app").await.unwrap();
    for page in ["/account/apps", "/"] {
        assert_eq!(link(&browser.get(page).await.body), None, "it is switched off");
    }
}

/// Whatever was registered once: only a plain https address becomes a link.
#[tokio::test]
async fn only_an_https_address_is_opened() {
    for uri in
        ["http://app.example/initiate", "javascript:alert(1)//app.example/initiate", "https://app.example/initiate#x", "app"]
    {
        let provider = Provider::new(TestDatabase::sqlite().await).await;
        let client = provider.client("app", |metadata| metadata.initiate_login_uri = Some(uri.to_owned())).await;
        let mut browser = provider.signed_in(&provider.user(&new_email()).await).await;
        provider.tokens(&client, &mut browser, "openid").await;
        for page in ["/account/apps", "/"] {
            let page = browser.get(page).await;
            assert!(page.status == StatusCode::OK && !page.body.contains("initiate") && !page.body.contains("?iss="), "{uri}");
        }
    }
}
