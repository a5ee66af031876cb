//! `tessera db` and `tessera config`, and the refusals to start.

use std::fs;

use sqlx::{Connection, SqliteConnection};

use super::{installation, tessera, tessera_with};

#[test]
fn the_database_before_and_after_its_migrations() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let before = tessera(folder, &["db", "status", "--json"]).json();
    assert_eq!((&before["engine"], &before["exists"], &before["up_to_date"]), (&"sqlite".into(), &false.into(), &false.into()));
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0, "looking changes nothing");
    fs::create_dir(folder.join("data")).unwrap();
    fs::write(folder.join("data/tessera.db"), "").unwrap();
    assert_eq!(tessera(folder, &["db", "status", "--json"]).json()["migrations"][0]["applied"], false);

    assert!(tessera(folder, &["db", "migrate"]).succeeded().contains("applied 0001"));
    assert!(tessera(folder, &["db", "migrate"]).succeeded().contains("was up to date"));
    let after = tessera(folder, &["db", "status", "--json"]).json();
    assert_eq!((&after["exists"], &after["up_to_date"]), (&true.into(), &true.into()));
    assert!(tessera(folder, &["db", "status"]).succeeded().contains("applied"));
}

#[tokio::test]
async fn a_newer_database_is_refused_in_words() {
    let folder = installation();
    let url = format!("sqlite:{}", folder.path().join("data/tessera.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'later', TRUE, x'00', 0)")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    for command in [["db", "status"].as_slice(), &["db", "migrate"], &["serve"], &["user", "list"]] {
        let said = tessera_with(folder.path(), command, "", &[("TESSERA_LISTEN", "127.0.0.1:0")]).failed(1);
        assert!(said.contains("newer than this program"), "{said}");
    }
}

#[test]
fn another_key_encryption_key_is_refused_in_words() {
    let folder = installation();
    let other = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    let said = tessera_with(folder.path(), &["serve"], "", &[("TESSERA_MASTER_KEY", other), ("TESSERA_LISTEN", "127.0.0.1:0")])
        .failed(1);
    assert!(said.contains("key-encryption key") && !said.contains(other), "{said}");
}

#[test]
fn the_configuration_is_shown_without_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let client = "\n[[clients]]\nclient_id = \"shop\"\nclient_secret = \"zxcvbnmasdfghjklqwertyuiop0123456789\"\nredirect_uris = [\"https://shop.example/cb\"]\n";
    fs::write(folder.join("tessera.toml"), format!("name = \"Acme\"\n{client}")).unwrap();
    let settings = [
        ("TESSERA_DATABASE_URL", "postgres://app:hunter2hunter2@127.0.0.1/app"),
        ("TESSERA_MASTER_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"),
    ];
    for show in [["config", "show"].as_slice(), &["config", "show", "--json"]] {
        let out = tessera_with(folder, show, "", &settings).succeeded();
        for secret in ["hunter2", "AAECAwQ", "zxcvbnm"] {
            assert!(!out.contains(secret), "{out}");
        }
    }
    let shown = tessera_with(folder, &["config", "show", "--json"], "", &settings).json();
    assert_eq!(shown["name"], serde_json::json!({ "value": "Acme", "source": "tessera.toml" }));
    assert_eq!(shown["database.url"]["source"], "TESSERA_DATABASE_URL");
    assert_eq!(shown["listen"]["source"], "default");
    tessera_with(folder, &["config", "check"], "", &settings).succeeded();
}

#[test]
fn everything_wrong_with_the_configuration_is_said_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("other.toml"), "name = \"Acme\"\nisuer = \"https://id.example\"\n").unwrap();
    for command in [["config", "check"].as_slice(), &["config", "show"], &["serve"], &["user", "list"], &["healthcheck"]] {
        let arguments: Vec<&str> = ["--config", "other.toml"].iter().chain(command).copied().collect();
        let said = tessera_with(folder.path(), &arguments, "", &[("TESSERA_TOKENS_LEEWAY", "soon")]).failed(1);
        assert!(said.contains("other.toml:2: isuer") && said.contains("TESSERA_TOKENS_LEEWAY"), "{said}");
    }
    assert!(tessera(folder.path(), &["--config", "none.toml", "config", "check"]).failed(1).contains("none.toml"));
}
