//! Whom the client asks: never an address that was not checked, never a name that a certificate does not have.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::{FetchError, Outbound};
use super::support::{ALLOWED, Act, INSIDE, Server, answer, client, client_with_names, settings};

fn hello() -> Act {
    Act::Say(answer("", "hello"))
}

#[tokio::test]
async fn a_name_that_changes_its_address_leads_nowhere_else() {
    let outside = Server::start(hello()).await;
    let inside = Server::at(SocketAddr::new(INSIDE, outside.address.port()), hello()).await;
    // Rebinding: the first answer may be reached, each later one may not.
    let lookups = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&lookups);
    let resolve = move |_| {
        let address = if count.fetch_add(1, Ordering::SeqCst) == 0 { ALLOWED } else { INSIDE };
        Box::pin(async move { Ok(vec![address]) }) as _
    };
    let client = Outbound::with_resolver(&settings(), Arc::new(resolve)).unwrap();
    let url = outside.url("rebound.example");
    assert_eq!(&client.get(&url, "*/*").await.unwrap().body[..], b"hello");
    assert_eq!(lookups.load(Ordering::SeqCst), 1, "what was checked is what is connected to");
    let refused = client.get(&url, "*/*").await;
    assert!(matches!(refused, Err(FetchError::NotPublic(INSIDE))), "{refused:?}");
    assert_eq!((outside.connections(), inside.connections()), (1, 0));
}

#[tokio::test]
async fn one_address_that_may_not_be_reached_condemns_the_name() {
    let server = Server::start(hello()).await;
    let inside = Server::at(SocketAddr::new(INSIDE, server.address.port()), hello()).await;
    let public: IpAddr = "8.8.8.8".parse().unwrap();
    let mapped: IpAddr = "::ffff:127.0.0.1".parse().unwrap();
    let client = client_with_names(&[
        ("good.example", &[ALLOWED]),
        ("mixed.example", &[ALLOWED, INSIDE]),
        ("turned.example", &[INSIDE, ALLOWED]),
        ("half.example", &[public, INSIDE]),
        ("mapped.example", &[mapped]),
        ("none.example", &[]),
    ]);
    for host in [
        "mixed.example",
        "turned.example",
        "half.example",
        "mapped.example",
        "127.0.0.2",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0",
        "10.0.0.1",
    ] {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:{}/document", server.address.port());
            let refused = client.get(&url, "*/*").await;
            assert!(matches!(refused, Err(FetchError::NotPublic(_) | FetchError::Plain(_))), "{url}: {refused:?}");
        }
    }
    assert!(matches!(client.get("http://8.8.8.8/", "*/*").await, Err(FetchError::Plain(_))), "no plain http to the public");
    assert!(matches!(client.get(&server.url("none.example"), "*/*").await, Err(FetchError::NoAddress)));
    assert_eq!((server.connections(), inside.connections()), (0, 0));
    assert!(client.get(&server.url("good.example"), "*/*").await.is_ok());
    assert!(client.get(&server.url("127.0.0.1"), "*/*").await.is_ok());
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_does_not_listen() {
    let server = Server::at("127.0.0.3:0".parse().unwrap(), hello()).await;
    let mut settings = settings();
    settings.allow_networks = vec!["127.0.0.0/8".parse().unwrap()];
    let addresses: Vec<IpAddr> = vec!["127.0.0.4".parse().unwrap(), server.address.ip()];
    let client = Outbound::with_resolver(
        &settings,
        Arc::new(move |_| {
            let addresses = addresses.clone();
            Box::pin(async { Ok(addresses) })
        }),
    )
    .unwrap();
    assert_eq!(client.get(&server.url("two.example"), "*/*").await.unwrap().status, 200);
    let silent = client.get("http://127.0.0.4:1/", "*/*").await;
    assert!(matches!(silent, Err(FetchError::Connect(_))), "{silent:?}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let inside = Server::start(hello()).await;
    for status in [301, 302, 303, 307, 308] {
        let location = inside.url("127.0.0.1");
        let redirect = format!("HTTP/1.1 {status} Over there\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        let server = Server::start(Act::Say(redirect.into_bytes())).await;
        assert_eq!(client().get(&server.url("app.example"), "*/*").await.unwrap().status, status);
        assert_eq!(client().post_form(&server.url("app.example"), &[("a", "b")]).await.unwrap(), status);
    }
    assert_eq!(inside.connections(), 0);
}

#[tokio::test]
async fn a_certificate_must_be_of_a_known_authority_and_for_the_name() {
    let server = Server::with_tls(hello()).await;
    let mut settings = settings();
    let all_names = || Arc::new(|_| Box::pin(async { Ok(vec![ALLOWED]) }) as _);
    let url = |host: &str| format!("https://{host}:{}/document", server.address.port());
    let strangers = Outbound::with_resolver(&settings, all_names()).unwrap();
    let refused = strangers.get(&url("app.example"), "*/*").await;
    assert!(matches!(refused, Err(FetchError::Tls(_))), "an authority that nobody knows: {refused:?}");

    settings.extra_ca = Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/outbound/tests/authority.pem"));
    let knowing = Outbound::with_resolver(&settings, all_names()).unwrap();
    assert_eq!(&knowing.get(&url("app.example"), "*/*").await.unwrap().body[..], b"hello");
    assert!(server.requests.lock().unwrap().contains(&format!("host: app.example:{}\r\n", server.address.port())));
    for host in ["other.example", "www.app.example", "127.0.0.1", "localhost"] {
        let refused = knowing.get(&url(host), "*/*").await;
        assert!(matches!(refused, Err(FetchError::Tls(_))), "{host}: {refused:?}");
    }
    let plain = Server::start(hello()).await;
    let refused = knowing.get(&plain.url("app.example").replace("http:", "https:"), "*/*").await;
    assert!(matches!(refused, Err(FetchError::Tls(_) | FetchError::TimedOut)), "{refused:?}");
}

#[test]
fn a_file_of_authorities_that_cannot_be_used_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (name, content) in [("empty", Some("")), ("words", Some("no certificate")), ("bad", Some(bad)), ("gone", None)] {
        let path = folder.path().join(name);
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let mut settings = settings();
        settings.extra_ca = Some(path);
        let error = Outbound::new(&settings).err().unwrap_or_else(|| panic!("{name} is refused"));
        assert!(format!("{error:#}").starts_with("outbound.extra_ca: cannot use "), "{error:#}");
    }
}
