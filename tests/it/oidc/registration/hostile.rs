//! Documents that are made to do harm.

use super::*;

#[tokio::test]
async fn only_one_plain_json_object_is_a_document() {
    let provider = open(TestDatabase::sqlite().await).await;
    let deep = format!("{{\"redirect_uris\":[\"{REDIRECT_URI}\"],\"x\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let twice = format!("{{\"redirect_uris\":[\"{REDIRECT_URI}\"],\"redirect_uris\":[\"https://evil.example/cb\"]}}");
    let hidden = format!("{{\"redirect_uris\":[\"{REDIRECT_URI}\"],\"redirect\\u005furis\":[\"https://evil.example/cb\"]}}");
    let wrong =
        ["", "null", "[]", "{", "\"x\"", "{}{}", "redirect_uris=x", "{\"redirect_uris\":[\"\\ud800\"]}", &deep, &twice, &hidden];
    for body in wrong {
        let response = send(&provider, Method::POST, "/register", None, body.to_owned()).await;
        assert_eq!(
            (response.status, response.error().as_str()),
            (StatusCode::BAD_REQUEST, "invalid_client_metadata"),
            "{body:.80}"
        );
    }
    let mut not_text = format!("{{\"client_name\":\"x\",\"redirect_uris\":[\"{REDIRECT_URI}\"]}}").into_bytes();
    not_text[16] = 0xff;
    assert_eq!(send(&provider, Method::POST, "/register", None, not_text).await.error(), "invalid_client_metadata");
    let form = Request::post("/register").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let form = provider.send(form.body(Body::from(app(json!({})).to_string())).unwrap()).await;
    assert_eq!(form.error(), "invalid_client_metadata", "a form from elsewhere must not pass for JSON");
}

#[tokio::test]
async fn a_huge_document_is_not_read() {
    let provider = open(TestDatabase::sqlite().await).await;
    let padded = |length: usize| {
        let document = app(json!({ "unknown": "" })).to_string();
        document.replace("\"unknown\":\"\"", &format!("\"unknown\":\"{}\"", "x".repeat(length - document.len())))
    };
    assert_eq!(send(&provider, Method::POST, "/register", None, padded(64 * 1024)).await.status, StatusCode::CREATED);
    for length in [64 * 1024 + 1, 1 << 20] {
        assert_eq!(send(&provider, Method::POST, "/register", None, padded(length)).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    }
}

#[tokio::test]
async fn members_that_nobody_understands_leave_no_trace() {
    let provider = open(TestDatabase::sqlite().await).await;
    let members = json!({ "x": "y".repeat(30_000), "client_name#de#at": "x", "redirect_uris#de": ["javascript:x"], "__proto__": { "a": 1 } });
    let response = register(&provider, &app(members)).await;
    assert_eq!(response.error(), "invalid_client_metadata", "a tag with a # in it");
    let registered =
        Registered::new(&provider, json!({ "x": "y".repeat(30_000), "redirect_uris#de": ["javascript:x"], "y": "\0" })).await;
    let client = stored(&provider, &registered.id).await.unwrap();
    let row = serde_json::to_string(&client.metadata.0).unwrap();
    assert!(row.len() < 3_000 && !row.contains("javascript"), "{row}");
}

/// CORS is for script that has the token; a preflight allows the methods of RFC 7592.
#[tokio::test]
async fn script_elsewhere_may_manage_too() {
    let provider = open(TestDatabase::sqlite().await).await;
    let preflight = Request::options("/register/x").header("origin", "https://spa.example").body(Body::empty()).unwrap();
    let answer = provider.send(preflight).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.header("access-control-allow-methods").contains("PUT,DELETE"));
    assert_eq!(send(&provider, Method::GET, "/register", None, "").await.status, StatusCode::METHOD_NOT_ALLOWED);
}
