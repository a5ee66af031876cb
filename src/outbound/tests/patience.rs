//! Whoever is slow is left, and keeps nobody else waiting.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use super::super::{FetchError, MOST_FETCHES, MOST_LOOKUPS, MOST_PER_ADDRESS, MOST_PER_HOST, Outbound};
use super::support::{ALLOWED, Act, Server, answer, client, client_with_names, settings};

/// The limit of tests is a second; a busy machine may add to it.
const A_SECOND: std::ops::Range<Duration> = Duration::from_millis(900)..Duration::from_secs(10);

#[tokio::test]
async fn a_fetch_ends_in_time_whatever_the_server_does() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n".to_vec();
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let slow = [
        ("no answer", Act::SayAndHang(Vec::new())),
        ("half a head", Act::SayAndHang(b"HTTP/1.1 200 OK\r\nContent-".to_vec())),
        ("a head in drops", Act::Trickle(b"HTTP/1.1 200 OK\r\nX: ".to_vec(), b"x".to_vec())),
        ("no body", Act::SayAndHang(head.clone())),
        ("a body in drops", Act::Trickle(head, b"x".to_vec())),
        ("chunks in drops", Act::Trickle(chunked.clone(), b"1\r\nx\r\n".to_vec())),
        ("no last chunk", Act::SayAndHang([&chunked[..], b"1\r\nx\r\n"].concat())),
        ("never more than a promise", Act::Trickle(Vec::new(), b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec())),
    ];
    let fetches = slow.map(|(what, act)| async move {
        let server = Server::start(act).await;
        let began = Instant::now();
        let fetched = client().get(&server.url("slow.example"), "*/*").await;
        assert!(matches!(fetched, Err(FetchError::TimedOut)), "{what}: {fetched:?}");
        assert!(A_SECOND.contains(&began.elapsed()), "{what}: {:?}", began.elapsed());
        assert_eq!(server.connections(), 1);
    });
    join_all(fetches).await;
}

#[tokio::test]
async fn a_name_that_is_not_answered_counts_too_and_keeps_its_place() {
    let server = Server::start(Act::Say(answer("", "hello"))).await;
    let client = client_with_names(&[("app.example", &[ALLOWED])]);
    let began = Instant::now();
    let silent: Vec<String> = (0..MOST_LOOKUPS).map(|at| format!("https://{at}.example/")).collect();
    for fetched in join_all(silent.iter().map(|url| client.get(url, "*/*"))).await {
        assert!(matches!(fetched, Err(FetchError::TimedOut)), "{fetched:?}");
    }
    assert!(A_SECOND.contains(&began.elapsed()), "{:?}", began.elapsed());
    // The resolver still works on them, so that no more is given to it; what needs no look-up goes on.
    assert!(matches!(client.get(&server.url("app.example"), "*/*").await, Err(FetchError::TimedOut)));
    assert_eq!(client.get(&server.url("127.0.0.1"), "*/*").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_slow_host_keeps_only_its_own_callers_waiting() {
    let slow = Server::start(Act::SayAndHang(Vec::new())).await;
    let quick = Server::at("127.0.0.3:0".parse().unwrap(), Act::Say(answer("", "hello"))).await;
    let mut settings = settings();
    settings.allow_networks = vec!["127.0.0.0/8".parse().unwrap()];
    settings.timeout = 30;
    let other = quick.address.ip();
    let resolve =
        move |name: String| Box::pin(async move { Ok(vec![if name.starts_with("quick") { other } else { ALLOWED }]) }) as _;
    let client = Arc::new(Outbound::with_resolver(&settings, Arc::new(resolve)).unwrap());
    let ask = |host: &str| {
        let (client, url) = (Arc::clone(&client), slow.url(host));
        tokio::spawn(async move { client.get(&url, "*/*").await.map(drop) })
    };
    let mut waiting: Vec<_> = (0..20).map(|_| ask("slow.example")).collect();
    // However many names it has, an address is asked by so many at once.
    waiting.extend((0..200).map(|at| ask(&format!("{at}.slow.example"))));
    let reached = async {
        while slow.connections() < MOST_PER_ADDRESS {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), reached).await.unwrap();
    for _ in 0..20 {
        let fetched = timeout(Duration::from_secs(5), client.get(&quick.url("quick.example"), "*/*")).await;
        assert_eq!(fetched.expect("nobody waits for others").unwrap().status, 200);
    }
    assert_eq!(slow.connections(), MOST_PER_ADDRESS);
    let of_one_name = slow.requests.lock().unwrap().matches("host: slow.example:").count();
    assert!(of_one_name <= MOST_PER_HOST, "{of_one_name}");
    // Whoever gives up leaves its place to the next.
    for task in &waiting {
        task.abort();
    }
    join_all(waiting).await;
    let next = ask("slow.example");
    let reached = async {
        while slow.connections() <= MOST_PER_ADDRESS {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), reached).await.unwrap();
    next.abort();
}

#[tokio::test]
async fn fetches_that_wait_are_counted() {
    let client = client_with_names(&[]);
    let urls: Vec<String> = (0..=MOST_FETCHES).map(|at| format!("https://{at}.example/")).collect();
    let fetched = join_all(urls.iter().map(|url| client.get(url, "*/*"))).await;
    let busy = fetched.iter().filter(|fetched| matches!(fetched, Err(FetchError::Busy))).count();
    let late = fetched.iter().filter(|fetched| matches!(fetched, Err(FetchError::TimedOut))).count();
    assert_eq!((busy, late), (1, MOST_FETCHES));
}
