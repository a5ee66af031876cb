//! `tessera forward-auth` as it is used: nginx with the example's configuration in front of an app that believes its headers, and the
//! provider's own feed behind it. Who passes, with what identity, and what the others are told.

mod away;
mod revoked;
mod site;

use tessera::config::Config;

use self::site::{Answer, Site, reworded};
use crate::harness::provider::claims;

fn as_configured(_: &mut Config) {}

fn pairs(identity: &[(&str, &str)]) -> Vec<(String, String)> {
    identity.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn is_refused(answer: &Answer, status: u16, challenge: &str, what: &str) {
    assert_eq!((answer.status, answer.challenge.as_str()), (status, challenge), "{what}");
}

const FORGED: [(&str, &str); 9] = [
    ("x-auth-subject", "mallory"),
    ("x-auth-subject", "mallory again"),
    ("x-auth-client-id", "bank"),
    ("x-auth-scope", "orders:write"),
    ("x-auth-roles", "admin"),
    ("x-auth-groups", "board"),
    ("x-auth-token-id", "1"),
    ("x_auth_subject", "mallory"),
    ("X_Auth_Roles", "admin"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_app_sees_who_asks_and_nothing_that_a_client_says_of_itself() {
    let Some(site) = Site::start(as_configured, &[]).await else { return };
    site.wait_for_readyz(200).await;
    let token = site.token(&site.ada, "openid").await;
    let bearer = format!("Bearer {token}");
    let id = claims(&token)["jti"].as_str().unwrap().to_owned();
    let identity = [
        ("x-auth-client-id", "shop"),
        ("x-auth-scope", "openid"),
        ("x-auth-subject", site.ada.id.as_str()),
        ("x-auth-token-id", id.as_str()),
    ];
    let answer = site.with(&token).await;
    assert_eq!((answer.status, answer.identity()), (200, pairs(&identity)));

    let mut headers = FORGED.to_vec();
    headers.push(("authorization", &bearer));
    assert_eq!(site.get("/", &headers).await.identity(), pairs(&identity), "not even what the token does not say: roles, groups");
    headers.reverse();
    assert_eq!(site.get("/?x-auth-subject=mallory", &headers).await.identity(), pairs(&identity));

    let answer = site.get("/public/x", &headers).await;
    assert_eq!((answer.status, answer.identity()), (200, Vec::new()), "where nobody is asked, nobody is known");

    // Two tokens: whichever the proxy and the app would take, it might not be the same. nginx refuses them by itself.
    let two = [("authorization", bearer.as_str()), ("authorization", "Bearer x")];
    assert_eq!(site.get("/", &two).await.status, 400);
    let answer = site.ask_with("/verify", &two).await;
    assert!(answer.status == 401 && answer.challenge.contains("error=\"invalid_request\""), "{answer:?}");

    // What the app itself answers is not taken for an answer of ours.
    for (path, status, challenge, body) in
        [("/broken", 500, "", "the app's own error"), ("/rude", 403, "App", "the app's own refusal")]
    {
        let answer = site.get(path, &[("authorization", &bearer)]).await;
        assert_eq!((answer.status, answer.challenge.as_str(), answer.body.as_str()), (status, challenge, body));
    }

    for line in ["the revocation feed is fresh", "malformed Authorization"] {
        site.sidecar.process.line_with(line).await;
    }
    let log = site.sidecar.process.log().join("\n");
    let signature = token.rsplit('.').next().unwrap();
    let secret = site.resource_server.secret.as_deref().unwrap();
    assert!(!log.contains(signature) && !log.contains(secret), "the log has a token or the secret");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_good_token_is_refused_as_rfc_6750_has_it() {
    let Some(site) = Site::start(as_configured, &[]).await else { return };
    site.wait_for_readyz(200).await;
    let good = site.token(&site.ada, "openid").await;
    assert_eq!(site.with(&good).await.status, 200);
    let invalid = |why: &str| format!("Bearer realm=\"api\", error=\"invalid_token\", error_description=\"{why}\"");

    is_refused(&site.get("/", &[]).await, 401, "Bearer realm=\"api\"", "no token");
    is_refused(&site.get("/", &[("authorization", "Basic YTpi")]).await, 401, "Bearer realm=\"api\"", "another scheme");
    is_refused(&site.get(&format!("/?access_token={good}"), &[]).await, 401, "Bearer realm=\"api\"", "a token in the query");
    let answer = site.with("garbage").await;
    assert_eq!(answer.status, 401);
    assert!(answer.challenge.contains("invalid_token"), "{answer:?}");

    let hour = 3600;
    let table = [
        (reworded(&site, &good, "at+jwt", |claims| claims["aud"] = "https://other.example".into()), "for another audience"),
        (
            reworded(&site, &good, "at+jwt", |claims| {
                for name in ["iat", "nbf", "exp"] {
                    claims[name] = (claims[name].as_u64().unwrap() - hour).into();
                }
            }),
            "expired",
        ),
        (reworded(&site, &good, "at+jwt", |claims| claims["iss"] = "https://other.example".into()), "from another issuer"),
        (reworded(&site, &good, "JWT", |_| {}), "not an access token"),
        (reworded(&site, &good, "at+jwt", |claims| claims["sid"] = 1.into()), "claim `sid` is missing or of the wrong type"),
        (format!("{}x", &good[..good.len() - 5]), ""),
    ];
    for (token, why) in table {
        let answer = site.with(&token).await;
        match why {
            "" => assert!(answer.status == 401 && answer.challenge.contains("invalid_token"), "{answer:?}"),
            why => is_refused(&answer, 401, &invalid(why), why),
        }
    }

    // The provider errs, or is not Tessera: what cannot be a header's value never becomes one.
    let odd = reworded(&site, &good, "at+jwt", |claims| claims["sub"] = "ada\r\nX-Auth-Roles: admin".into());
    assert_eq!(site.with(&odd).await.status, 401, "an app must not take somebody for nobody");
    let odd = reworded(&site, &good, "at+jwt", |claims| {
        claims["scope"] = "openid x\r\ny".into();
        claims["roles"] = serde_json::json!(["a\r\nX-Auth-Groups: board", "b,admin", "c admin", "plain"]);
    });
    let identity = site.with(&odd).await.identity();
    assert!(identity.contains(&("x-auth-roles".to_owned(), "plain".to_owned())), "{identity:?}");
    assert!(identity.contains(&("x-auth-scope".to_owned(), "openid".to_owned())), "{identity:?}");
    assert!(!identity.iter().any(|(name, _)| name == "x-auth-groups"), "{identity:?}");
}

/// RFC 9470: 401, which nginx hands on, with what the app is to ask the provider for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_may_require_another_sign_in() {
    let Some(site) = Site::start(as_configured, &[]).await else { return };
    site.wait_for_readyz(200).await;
    let good = site.token(&site.ada, "openid").await;
    let acr = claims(&good)["acr"].as_str().unwrap().to_owned();
    let old = reworded(&site, &good, "at+jwt", |claims| claims["auth_time"] = (claims["iat"].as_u64().unwrap() - 3_600).into());
    let nobody = reworded(&site, &good, "at+jwt", |claims| claims["auth_time"] = serde_json::Value::Null);
    let start = "Bearer realm=\"api\", error=\"insufficient_user_authentication\", error_description=";
    for (query, token, asked) in [
        (format!("max_age=300&acr={acr}"), &good, None),
        (format!("acr=urn:other&acr={acr}"), &old, None),
        ("max_age=300".to_owned(), &old, Some("max_age=\"300\"".to_owned())),
        ("max_age=300".to_owned(), &nobody, Some("max_age=\"300\"".to_owned())),
        ("acr=urn:other&acr=urn:another".to_owned(), &good, Some("acr_values=\"urn:other urn:another\"".to_owned())),
        (format!("acr={acr}&max_age=60"), &old, Some(format!("acr_values=\"{acr}\", max_age=\"60\""))),
    ] {
        let answer = site.ask(&format!("/verify?{query}"), token).await;
        assert_eq!(answer.status, if asked.is_none() { 200 } else { 401 }, "{query}: {answer:?}");
        if let Some(asked) = asked {
            assert!(answer.challenge.starts_with(start) && answer.challenge.ends_with(&asked), "{query}: {answer:?}");
        }
    }
    assert!(site.ask("/metrics", "").await.body.contains("requests_total{outcome=\"step_up\"} 4"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_may_require_scopes_and_roles() {
    let Some(site) = Site::start(as_configured, &[]).await else { return };
    site.wait_for_readyz(200).await;
    let bob = site.cluster.user("bob@example.com").await;
    let lacks = |what: &str| format!("Bearer realm=\"api\", error=\"insufficient_scope\", error_description=\"a {what}");
    let table = [
        (site.token(&site.ada, "openid roles").await, 403, lacks("scope is missing\", scope=\"orders:write\"")),
        (site.token(&site.ada, "openid orders:write").await, 403, lacks("role is missing\"")),
        (site.token(&bob, "openid roles orders:write").await, 403, lacks("role is missing\"")),
        (site.token(&site.ada, "openid roles orders:write").await, 200, String::new()),
    ];
    for (token, status, challenge) in &table {
        let bearer = format!("Bearer {token}");
        for path in ["/admin/", "/admin/x?scope=x", "/public/..%2fadmin/x", "//admin/x", "/%61dmin/x"] {
            is_refused(&site.get(path, &[("authorization", &bearer)]).await, *status, challenge, path);
        }
        assert_eq!(site.with(token).await.status, 200, "elsewhere every good token passes");
    }
    is_refused(&site.get("/admin/", &[]).await, 401, "Bearer realm=\"api\"", "no token");
    let bearer = format!("Bearer {}", table[3].0);
    let identity = site.get("/admin/", &[("authorization", &bearer), ("x-auth-roles", "owner")]).await.identity();
    assert!(identity.contains(&("x-auth-roles".to_owned(), "admin".to_owned())), "and not `x,forged`: {identity:?}");
    assert!(identity.contains(&("x-auth-scope".to_owned(), "openid roles orders:write".to_owned())), "{identity:?}");

    // nginx does not let clients ask by themselves, and where the proxy asks for what is not understood, nothing passes.
    for path in ["/_verify", "/_verify_admin"] {
        assert_eq!(site.get(path, &[("authorization", &bearer)]).await.status, 404, "{path}");
    }
    for query in ["scopes=openid", "scope=", "role", "scope=openid&rolle=admin", "scope=%zz"] {
        assert_eq!(site.ask(&format!("/verify?{query}"), &table[3].0).await.status, 500, "{query}");
    }
    let metrics = site.ask("/metrics", "").await.body;
    for line in ["requests_total{outcome=\"misconfigured\"} 5", "requests_total{outcome=\"scope\"} 5", "ready 1"] {
        assert!(metrics.contains(&format!("\ntessera_forward_auth_{line}\n")), "{line} in {metrics}");
    }
    assert_eq!(site.ask("/verify", &"x".repeat(200_000)).await.status, 431, "a head that is too long");
}
