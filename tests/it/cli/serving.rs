//! `tessera serve`: what it says, what it refuses, how it stops.

use std::fs;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{installation, tessera, tessera_with};
use crate::harness::process::{Process, signal};
use crate::harness::provider::basic;
use crate::harness::redis::free_port;

const PATIENCE: Duration = Duration::from_secs(30);
const CERTIFICATE: &str = include_str!("certificate.pem");
const PRIVATE_KEY: &str = include_str!("private_key.pem");

#[tokio::test]
async fn the_first_start_prints_a_link_for_the_first_administrator() {
    let folder = installation();
    let port = free_port();
    let mut provider = Process::serve(folder.path(), port, &[]).await;
    provider.line_with("There is no account yet").await;
    let link = provider.line_with("/setup?token=").await;
    let page = reqwest::get(link.trim()).await.unwrap();
    assert!(page.status().is_success(), "{}", page.status());
    provider.line_with("\"listening\"").await;

    let said = tessera_with(folder.path(), &["serve"], "", &[("TESSERA_LISTEN", &format!("127.0.0.1:{port}"))]).failed(1);
    assert!(said.contains("another program"), "the port is taken: {said}");
    let listen = format!("127.0.0.1:{port}");
    tessera_with(folder.path(), &["healthcheck"], "", &[("TESSERA_LISTEN", &listen)]).succeeded();

    provider.terminate();
    assert!(provider.ended().await.success());
    tessera_with(folder.path(), &["healthcheck"], "", &[("TESSERA_LISTEN", &listen)]).failed(1);

    tessera(folder.path(), &["user", "add", "ada@example.com", "--no-password"]).succeeded();
    let again = Process::serve(folder.path(), free_port(), &[]).await;
    again.line_with("\"listening\"").await;
    assert!(!again.log().iter().any(|line| line.contains("/setup")), "there is an account now");
}

#[tokio::test]
async fn a_request_in_flight_is_finished_when_the_provider_stops() {
    let folder = installation();
    let port = free_port();
    let mut provider = Process::serve(folder.path(), port, &[]).await;
    let body = "grant_type=client_credentials&client_id=nobody";
    let mut request = BufReader::new(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
    let head = format!(
        "POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len()
    );
    request.write_all(head.as_bytes()).await.unwrap();
    let mut line = String::new();
    timeout(PATIENCE, request.read_line(&mut line)).await.unwrap().unwrap();
    assert!(line.starts_with("HTTP/1.1 100"), "the handler reads the body now: {line}");

    provider.terminate();
    provider.line_with("stopping").await;
    let refused = async { while TcpStream::connect(("127.0.0.1", port)).await.is_ok() {} };
    timeout(PATIENCE, refused).await.expect("no new connections are taken");

    request.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, request.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.contains("HTTP/1.1 401") && answer.contains("invalid_client"), "{answer}");
    assert!(provider.ended().await.success());
    provider.line_with("\"stopped\"").await;
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_keep_the_provider() {
    let folder = installation();
    for signals in [1, 2] {
        let port = free_port();
        let drain = if signals == 1 { "0" } else { "3600" };
        let mut provider = Process::serve(folder.path(), port, &[("TESSERA_DRAIN_TIMEOUT", drain)]).await;
        let mut request = BufReader::new(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
        let head = "POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\nContent-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\n\r\n";
        request.write_all(head.as_bytes()).await.unwrap();
        request.read_line(&mut String::new()).await.unwrap();
        provider.terminate();
        provider.line_with("stopping").await;
        if signals == 2 {
            provider.terminate();
        }
        assert_eq!(provider.ended().await.success(), signals == 1, "a second signal ends it at once");
    }
}

/// A stream would go on for minutes. It is ended when the provider is told to stop, so that draining need not wait for it.
#[tokio::test]
async fn streams_of_the_revocation_feed_end_when_the_provider_stops() {
    let folder = installation();
    let arguments = ["client", "add", "--name", "API", "--resource-server-for", "https://api.example", "--json"];
    let client = tessera(folder.path(), &arguments).json();
    let text = |name: &str| client[name].as_str().unwrap().to_owned();
    let port = free_port();
    let mut provider = Process::serve(folder.path(), port, &[("TESSERA_DRAIN_TIMEOUT", "3600")]).await;
    let head = format!(
        "GET /revocations/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\n\r\n",
        basic(&text("client_id"), &text("client_secret"))
    );
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
        stream.write_all(head.as_bytes()).await.unwrap();
        // The first message, and a heartbeat: the provider follows its log.
        for _ in 0..2 {
            let mut line = String::new();
            while !line.starts_with("data: ") {
                line.clear();
                assert_ne!(timeout(PATIENCE, stream.read_line(&mut line)).await.unwrap().unwrap(), 0, "it has ended");
            }
        }
        streams.push(stream);
    }
    provider.terminate();
    for mut stream in streams {
        let mut rest = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut rest)).await.expect("the stream ends").unwrap();
        assert!(rest.ends_with("\r\n0\r\n\r\n"), "a whole answer, and not a broken connection: {rest}");
    }
    assert!(provider.ended().await.success());
}

#[tokio::test]
async fn declared_clients_belong_to_the_configuration() {
    let folder = installation();
    let folder = folder.path();
    let declared = "[[clients]]\nclient_id = \"shop\"\nclient_secret = \"zxcvbnmasdfghjklqwertyuiop0123456789\"\nclient_name = \"Shop\"\nredirect_uris = [\"https://shop.example/cb\"]\n";
    fs::write(folder.join("tessera.toml"), declared).unwrap();
    let provider = Process::serve(folder, free_port(), &[]).await;
    drop(provider);
    assert_eq!(tessera(folder, &["client", "show", "shop", "--json"]).json()["origin"], "declared");
    for command in [["update", "shop", "--name=Other"], ["rotate-secret", "shop", "--json"], ["delete", "shop", "--yes"]] {
        let arguments: Vec<&str> = std::iter::once("client").chain(command).collect();
        assert!(tessera(folder, &arguments).failed(1).contains("tessera.toml"));
    }
    tessera(folder, &["client", "disable", "shop"]).succeeded();
    fs::remove_file(folder.join("tessera.toml")).unwrap();
    tessera(folder, &["client", "delete", "shop", "--yes"]).succeeded();
}

#[tokio::test]
async fn tls_with_a_certificate_that_is_renewed() {
    let folder = installation();
    let path = folder.path();
    fs::write(path.join("certificate.pem"), CERTIFICATE).unwrap();
    fs::write(path.join("key.pem"), PRIVATE_KEY).unwrap();
    let listen = format!("127.0.0.1:{}", free_port());
    let settings = [
        ("TESSERA_LISTEN", listen.as_str()),
        ("TESSERA_ISSUER", "https://id.example/realm"),
        ("TESSERA_TLS_CERTIFICATE", "certificate.pem"),
        ("TESSERA_TLS_PRIVATE_KEY", "key.pem"),
    ];
    let mut provider = Process::start(&["serve"], path, &settings);
    provider.line_with("\"listening\"").await;
    let healthy = || tessera_with(path, &["healthcheck"], "", &settings).succeeded();
    healthy();
    tessera_with(path, &["healthcheck"], "", &settings[..2]).failed(1);

    fs::write(path.join("certificate.pem"), "nonsense").unwrap();
    assert!(signal("HUP", &provider.id().to_string()));
    provider.line_with("the old one stays").await;
    healthy();
    fs::write(path.join("certificate.pem"), CERTIFICATE).unwrap();
    assert!(signal("HUP", &provider.id().to_string()));
    provider.line_with("read again").await;
    healthy();
    provider.terminate();
    assert!(provider.ended().await.success());

    fs::write(path.join("key.pem"), "nonsense").unwrap();
    assert!(tessera_with(path, &["serve"], "", &settings).failed(1).contains("key.pem"));
}
