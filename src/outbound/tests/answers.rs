//! What the client says, and which answers it takes.

use super::super::{FetchError, Fetched};
use super::support::{Act, Server, answer, client};

async fn get(act: Act) -> Result<Fetched, FetchError> {
    client().get(&Server::start(act).await.url("app.example"), "application/json").await
}

#[tokio::test]
async fn a_request_says_only_what_is_needed() {
    let server = Server::start(Act::Say(answer("Content-Type: Application/JSON; charset=utf-8\r\nCache-Control: public\r\ncache-control: max-age=60\r\nSet-Cookie: a=b\r\n", "{}"))).await;
    let client = client();
    let url = server.url("app.example") + "?a=b%20c";
    let fetched = client.get(&url, "application/json").await.unwrap();
    let expected = Fetched {
        status: 200,
        content_type: Some("Application/JSON; charset=utf-8".to_owned()),
        cache_control: Some("public,max-age=60".to_owned()),
        body: b"{}"[..].into(),
    };
    assert_eq!(fetched, expected);
    let port = server.address.port();
    let request = format!(
        "GET /document?a=b%20c HTTP/1.1\r\naccept: application/json\r\nhost: app.example:{port}\r\nuser-agent: Tessera\r\n\
         accept-encoding: identity\r\n\r\n"
    );
    assert_eq!(std::mem::take(&mut *server.requests.lock().unwrap()), request);
    // The cookie from before is not sent back.
    client.get(&url, "application/json").await.unwrap();
    assert_eq!(std::mem::take(&mut *server.requests.lock().unwrap()), request);
    client.post_form(&server.url("app.example"), &[("logout_token", "a.b.c"), ("x", "&= ")]).await.unwrap();
    let request = server.requests.lock().unwrap().clone();
    assert!(request.starts_with("POST /document HTTP/1.1\r\ncontent-type: application/x-www-form-urlencoded\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\nlogout_token=a.b.c&x=%26%3D+"), "{request}");
}

#[tokio::test]
async fn an_error_status_is_an_answer() {
    for status in [204, 400, 404, 500] {
        let fetched = get(Act::Say(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n").into_bytes())).await.unwrap();
        assert_eq!(fetched.status, status);
    }
}

/// What an app says beside the status of its answer makes no failure of it.
#[tokio::test]
async fn of_the_answer_to_a_form_the_status_alone_counts() {
    let answers = [
        Act::Say(answer("", &"x".repeat(1_001))),
        Act::Say(answer("Content-Encoding: gzip\r\n", "x")),
        Act::SayAndHang(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n".to_vec()),
        Act::Say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort".to_vec()),
    ];
    for (at, act) in answers.into_iter().enumerate() {
        let server = Server::start(act).await;
        assert_eq!(client().post_form(&server.url("app.example"), &[("a", "b")]).await.unwrap(), 200, "{at}");
    }
}

#[tokio::test]
async fn a_body_is_read_to_the_limit_and_not_a_byte_further() {
    let head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec();
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let long = |length: usize| "x".repeat(length);
    let in_chunks = |length: usize| [&chunked[..], &b"1\r\nx\r\n".repeat(length), b"0\r\n\r\n"].concat();
    let until_close = |length: usize| [&head[..], long(length).as_bytes()].concat();
    for whole in [answer("", &long(1_000)), in_chunks(1_000), until_close(1_000)] {
        assert_eq!(get(Act::Say(whole)).await.unwrap().body.len(), 1_000);
    }
    let announced = b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n".to_vec();
    let endless = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n".to_vec();
    let much = vec![b'x'; 100_000];
    let too_long = [
        Act::Say(answer("", &long(1_001))),
        Act::Say(in_chunks(1_001)),
        Act::Say(until_close(1_001)),
        // Already the announcement is enough.
        Act::SayAndHang(announced),
        Act::Pour(endless, much.clone()),
        Act::Pour(head, much.clone()),
        Act::Pour([&chunked[..], b"fffffffff\r\n"].concat(), much),
    ];
    for act in too_long {
        let refused = get(act).await;
        assert!(matches!(refused, Err(FetchError::TooLarge(1_000))), "{refused:?}");
    }
}

#[tokio::test]
async fn what_is_not_a_proper_answer_is_refused() {
    let lines: String = (0..65).map(|line| format!("X-{line}: x\r\n")).collect();
    let broken = [
        Act::Say(Vec::new()),
        Act::Say(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        Act::Say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort".to_vec()),
        Act::Say(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx".to_vec()),
        Act::Say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_vec()),
        Act::Say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab".to_vec()),
        Act::Say(answer(&lines, "x")),
        Act::Say(answer(&format!("X: {}\r\n", "x".repeat(20_000)), "x")),
        // A head that never ends.
        Act::Pour(b"HTTP/1.1 200 OK\r\n".to_vec(), b"X: xxxxxxxxxxxxxxxxxxxxxxxxxx\r\n".repeat(50)),
        Act::Pour(b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'x'; 1_000]),
    ];
    for (at, act) in broken.into_iter().enumerate() {
        let refused = get(act).await;
        assert!(matches!(refused, Err(FetchError::Http(_))), "{at}: {refused:?}");
    }
    for encoding in ["gzip", "br", "zstd, gzip"] {
        let refused = get(Act::Say(answer(&format!("Content-Encoding: {encoding}\r\n"), "x"))).await;
        assert!(matches!(refused, Err(FetchError::Encoded)), "{refused:?}");
    }
    assert!(get(Act::Say(answer("Content-Encoding: Identity\r\n", "x"))).await.is_ok());
}

#[test]
fn json_is_known_by_its_type() {
    let is_json = |content_type: Option<&str>| {
        Fetched { status: 200, content_type: content_type.map(str::to_owned), cache_control: None, body: b"{}"[..].into() }
            .is_json()
    };
    for right in ["application/json", "Application/JSON ; charset=utf-8", "application/jwk-set+json", "application/x+JSON"] {
        assert!(is_json(Some(right)), "{right}");
    }
    for wrong in [
        "text/html",
        "text/json",
        "application/jsonp",
        "application/json5",
        "text/x+json",
        "application/jwt",
        "",
        ";application/json",
    ] {
        assert!(!is_json(Some(wrong)), "{wrong}");
    }
    assert!(!is_json(None));
}
