//! `tessera user`.

use super::{installation, tessera, tessera_with};

#[test]
fn an_account_from_beginning_to_end() {
    let folder = installation();
    let folder = folder.path();
    assert_eq!(tessera(folder, &["user", "list", "--json"]).json(), serde_json::json!([]));

    let add = [
        "user",
        "add",
        "Ada@Example.com",
        "--name",
        "Ada Lovelace",
        "--roles",
        "admin,auditor",
        "--verified",
        "--password-stdin",
        "--json",
    ];
    let added = tessera_with(folder, &add, "analytical engine\n", &[]).json();
    assert_eq!((&added["email"], &added["email_verified"]), (&"Ada@Example.com".into(), &true.into()));
    let id = added["id"].as_str().unwrap();

    let again = ["user", "add", "ada@example.COM", "--no-password"];
    assert!(tessera(folder, &again).failed(1).contains("already"), "addresses are compared without regard to case");

    let listed = tessera(folder, &["user", "list", "--json"]).json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0], added);

    tessera(folder, &["user", "update", "ada@example.com", "--roles", "auditor", "--phone", "+44 20 7946 0000"]).succeeded();
    let shown = tessera(folder, &["user", "show", id, "--json"]).json();
    assert_eq!((&shown["roles"], &shown["has_password"]), (&serde_json::json!(["auditor"]), &true.into()));
    assert_eq!(shown["profile"], serde_json::json!({ "name": "Ada Lovelace", "phone_number": "+44 20 7946 0000" }));

    tessera(folder, &["user", "disable", "ada@example.com"]).succeeded();
    assert!(tessera(folder, &["user", "show", id, "--json"]).json()["disabled_at"].is_string());
    assert!(tessera(folder, &["user", "list"]).succeeded().contains("disabled"));
    tessera(folder, &["user", "enable", id]).succeeded();
    assert!(tessera(folder, &["user", "show", id, "--json"]).json()["disabled_at"].is_null());

    assert!(tessera(folder, &["user", "delete", id]).failed(2).contains("--yes"), "nobody was asked");
    tessera(folder, &["user", "delete", id, "--yes"]).succeeded();
    tessera(folder, &["user", "show", id]).failed(3);
}

#[test]
fn a_password_comes_from_standard_input_only() {
    let folder = installation();
    let folder = folder.path();
    tessera(folder, &["user", "add", "ada@example.com", "--password", "analytical engine"]).failed(2);
    tessera(folder, &["user", "add", "ada@example.com", "analytical engine"]).failed(2);
    let email_in_it = tessera_with(folder, &["user", "add", "lovelace@example.com", "--password-stdin"], "lovelace engine", &[]);
    email_in_it.failed(1);
    for (input, code) in [("", 2), ("\n", 2), ("short\n", 1), (&*"long".repeat(300), 1)] {
        tessera_with(folder, &["user", "add", "ada@example.com", "--password-stdin"], input, &[]).failed(code);
    }
    assert!(
        tessera(folder, &["user", "add", "ada@example.com"]).failed(2).contains("--password-stdin"),
        "there is no terminal to ask on"
    );
    assert_eq!(tessera(folder, &["user", "list", "--json"]).json(), serde_json::json!([]), "none of these made an account");
}

#[test]
fn a_new_password_moves_the_cut_off() {
    let folder = installation();
    let folder = folder.path();
    tessera(folder, &["user", "add", "ada@example.com", "--no-password"]).succeeded();
    let before = tessera(folder, &["user", "show", "ada@example.com", "--json"]).json();
    assert_eq!(before["has_password"], false);
    let set = tessera_with(folder, &["user", "set-password", "ada@example.com", "--password-stdin"], "analytical engine\n", &[]);
    let said = set.succeeded();
    assert!(said.contains("sessions and tokens have ended") && !said.contains("engine"), "{said}");
    let after = tessera(folder, &["user", "show", "ada@example.com", "--json"]).json();
    assert_eq!(after["has_password"], true);
    assert!(after["password_changed_at"].as_str() >= before["password_changed_at"].as_str());
    tessera_with(folder, &["user", "set-password", "bob@example.com", "--password-stdin"], "analytical engine\n", &[]).failed(3);
}

#[test]
fn a_list_is_read_to_its_end() {
    let folder = installation();
    for i in 0..3 {
        tessera(folder.path(), &["user", "add", &format!("user{i}@example.com"), "--no-password"]).succeeded();
    }
    let listed = tessera(folder.path(), &["user", "list", "--json"]).json();
    let emails: Vec<_> = listed.as_array().unwrap().iter().map(|user| user["email"].as_str().unwrap()).collect();
    assert_eq!(emails, ["user0@example.com", "user1@example.com", "user2@example.com"]);
    assert_eq!(tessera(folder.path(), &["user", "list"]).succeeded().lines().count(), 4);
}

#[test]
fn a_name_cannot_steer_the_terminal() {
    let folder = installation();
    tessera(folder.path(), &["user", "add", "eve@example.com", "--name", "\x1b]0;owned\x07", "--no-password"]).succeeded();
    for arguments in [["user", "list"].as_slice(), &["user", "show", "eve@example.com"]] {
        assert!(!tessera(folder.path(), arguments).succeeded().contains('\x1b'));
    }
}
