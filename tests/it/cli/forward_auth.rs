//! `tessera forward-auth`: what it says when it cannot start, and how it exits.

use std::fs;

use super::{installation, tessera_with};
use crate::harness::process::Process;
use crate::harness::redis::free_port;

const SECRET: (&str, &str) = ("TESSERA_CLIENT_SECRET", "s3cret-of-the-resource-server");

#[tokio::test]
async fn what_is_wrong_is_said_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str], settings: &[(&str, &str)], code: i32| {
        let arguments: Vec<&str> = std::iter::once("forward-auth").chain(arguments.iter().copied()).collect();
        let said = tessera_with(folder.path(), &arguments, "", settings).failed(code);
        assert!(!said.contains(SECRET.1), "{said}");
        said
    };
    fs::write(folder.path().join("not.pem"), "nonsense").unwrap();
    let listen = format!("127.0.0.1:{}", free_port());
    let good = ["--issuer", "https://id.example", "--audience", "a", "--client-id", "api", "--listen", &listen];
    let with = |more: &[&'static str]| [&good[..], more].concat();
    let instead = |at: usize, text: &'static str| {
        let mut arguments = good.to_vec();
        arguments[at] = text;
        arguments
    };
    let table = [
        (good[..4].to_vec(), 2, "--client-id"),
        (good[2..].to_vec(), 2, "--issuer"),
        ([&good[..2], &good[4..]].concat(), 2, "--audience"),
        (instead(1, "http://id.example"), 2, "--issuer"),
        (instead(1, "https://ada:pw@id.example"), 2, "--issuer"),
        (instead(1, "id.example"), 2, "--issuer"),
        (instead(7, "9180"), 2, "--listen"),
        (instead(7, "192.0.2.1:9180"), 1, "not an address of this machine"),
        (with(&["--leeway", "61"]), 2, "0..=60"),
        (with(&["--when-stale", "accept"]), 2, "introspect"),
        (with(&["--client-secret", "x"]), 2, "unexpected argument"),
        (with(&["--config", "tessera.toml"]), 2, "--config"),
        (with(&["--root-certificate", "nowhere.pem"]), 1, "nowhere.pem"),
        (with(&["--root-certificate", "not.pem"]), 1, "--root-certificate"),
    ];
    for (arguments, code, expected) in table {
        let said = run(&arguments, &[SECRET], code);
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    assert!(run(&good, &[], 2).contains("TESSERA_CLIENT_SECRET_FILE"), "where the secret is to be");
    assert!(run(&good, &[SECRET, ("TESSERA_CLIENT_SECRET_FILE", "x")], 2).contains("one of the two"));
    assert!(run(&good, &[("TESSERA_CLIENT_SECRET_FILE", "x")], 1).contains("cannot read x"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "it leaves nothing behind");
}

/// Once the provider answers, what only the operator can put right is said at once.
#[tokio::test]
async fn another_issuer_is_named_and_the_variables_may_be_the_providers_too() {
    let (folder, port) = (installation(), free_port());
    let provider = Process::serve(folder.path(), port, &[SECRET]).await;
    let issuer = format!("http://localhost:{port}");
    let listen = format!("127.0.0.1:{}", free_port());
    let arguments = ["forward-auth", "--issuer", &issuer, "--audience", "a", "--client-id", "api", "--listen", &listen];
    let own = format!("http://127.0.0.1:{port}");
    let settings = [SECRET, ("TESSERA_ISSUER", own.as_str()), ("TESSERA_LISTEN", "127.0.0.1:1")];
    let said = tessera_with(folder.path(), &arguments, "", &settings).failed(1);
    assert!(said.contains(&issuer) && said.contains(&format!("calls itself {own}")), "{said}");
    drop(provider);
}
