//! `tessera key rewrap`: the key-encryption key of an embedded installation is changed while it runs, and after every place where the
//! machine may stop.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use super::keys::kid;
use super::{installation, tessera, tessera_with};
use crate::harness::process::Process;
use crate::harness::redis::free_port;

const OTHER: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

fn master_key(folder: &Path) -> Vec<String> {
    fs::read_to_string(folder.join("keys/master.key")).unwrap().lines().map(str::to_owned).collect()
}

/// The file was changed long ago.
fn let_a_minute_pass(folder: &Path) {
    File::options()
        .write(true)
        .open(folder.join("keys/master.key"))
        .unwrap()
        .set_modified(UNIX_EPOCH + Duration::from_secs(1))
        .unwrap();
}

fn copy_of_data(folder: &Path) -> Vec<(std::ffi::OsString, Vec<u8>)> {
    let files = fs::read_dir(folder.join("data")).unwrap().map(Result::unwrap);
    files.map(|file| (file.file_name(), fs::read(file.path()).unwrap())).collect()
}

#[test]
fn the_file_holds_whatever_opens_the_database_wherever_it_stops() {
    let folder = installation();
    let folder = folder.path();
    let old = master_key(folder);
    let (old_data, signing) = (copy_of_data(folder), kid(folder, "RS256", "active"));
    assert!(tessera(folder, &["key", "rewrap"]).succeeded().contains("already"));
    assert_eq!(master_key(folder), old, "nothing is to be done");

    let said = tessera(folder, &["key", "rewrap", "--new-master-key"]).succeeded();
    assert!(said.contains("4 signing keys and the root secret are encrypted anew") && said.contains("stays"), "{said}");
    let both = master_key(folder);
    assert_eq!((both.len(), &both[1]), (2, &old[0]));
    assert!(!said.contains(&both[0]) && !said.contains(&old[0]), "{said}");
    tessera(folder, &["key", "rewrap", "--check"]).succeeded();
    assert!(tessera(folder, &["key", "rewrap", "--new-master-key"]).failed(1).contains("under way"));
    assert!(tessera(folder, &["key", "rewrap"]).succeeded().contains("stays"));
    assert_eq!(master_key(folder), both);

    // Stopped after the file was written, and before anything was sealed anew.
    fs::remove_dir_all(folder.join("data")).unwrap();
    fs::create_dir(folder.join("data")).unwrap();
    for (name, content) in old_data {
        fs::write(folder.join("data").join(name), content).unwrap();
    }
    fs::write(folder.join("keys/.master-key-left-behind"), "half a ke").unwrap();
    assert_eq!(kid(folder, "RS256", "active"), signing, "it serves");
    let said = tessera(folder, &["key", "rewrap", "--check"]).failed(1);
    assert!(said.contains("4 signing keys and the root secret are encrypted under another key"), "{said}");
    let_a_minute_pass(folder);
    let said = tessera(folder, &["key", "rewrap"]).succeeded();
    assert!(said.contains("encrypted anew") && said.contains("taken out"), "{said}");
    assert_eq!(master_key(folder), [both[0].clone()]);

    // The new key alone opens everything; the old one nothing.
    tessera(folder, &["key", "rewrap", "--check"]).succeeded();
    assert_eq!(kid(folder, "RS256", "active"), signing);
    let refused = tessera_with(folder, &["key", "list"], "", &[("TESSERA_MASTER_KEY", &old[0])]).failed(1);
    assert!(refused.contains("key-encryption key"), "{refused}");
}

#[tokio::test]
async fn a_running_provider_takes_up_the_new_key() {
    let folder = installation();
    let path = folder.path();
    let port = free_port();
    let mut provider = Process::serve(path, port, &[]).await;
    let old = master_key(path);
    tessera(path, &["key", "rewrap", "--new-master-key"]).succeeded();
    provider.line_with("the key-encryption key was changed").await;
    // It opens what the command sealed, and signs with it.
    tessera(path, &["key", "rotate", "--alg", "ES256", "--now"]).succeeded();
    let upcoming = kid(path, "ES256", "upcoming");
    let published = async {
        while !reqwest::get(format!("http://127.0.0.1:{port}/jwks")).await.unwrap().text().await.unwrap().contains(&upcoming) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), published).await.expect("the running provider publishes the new key");
    let_a_minute_pass(path);
    assert!(tessera(path, &["key", "rewrap"]).succeeded().contains("taken out"));
    assert!(!master_key(path).contains(&old[0]));
    provider.kill().await;
    let mut again = Process::serve(path, free_port(), &[]).await;
    again.terminate();
    assert!(again.ended().await.success());
}

#[test]
fn a_key_of_the_environment_is_changed_there() {
    let folder = installation();
    let folder = folder.path();
    let old = master_key(folder)[0].clone();
    let given = [("TESSERA_MASTER_KEY", OTHER), ("TESSERA_ACCEPTED_MASTER_KEY", old.as_str())];
    let said = tessera_with(folder, &["key", "rewrap", "--new-master-key"], "", &given).failed(1);
    assert!(said.contains("docs/operating.md") && !said.contains(&old) && !said.contains(OTHER), "{said}");
    tessera_with(folder, &["key", "rewrap", "--check"], "", &given).failed(1);
    tessera_with(folder, &["key", "rewrap"], "", &given).succeeded();
    tessera_with(folder, &["key", "rewrap", "--check"], "", &given[..1]).succeeded();
    tessera(folder, &["key", "list"]).failed(1);
    // And back into the file, whose key is accepted as a second one meanwhile.
    tessera_with(folder, &["key", "rewrap"], "", &[("TESSERA_ACCEPTED_MASTER_KEY", OTHER)]).succeeded();
    tessera(folder, &["key", "rewrap", "--check"]).succeeded();
    tessera_with(folder, &["key", "rewrap", "--check", "--new-master-key"], "", &[]).failed(2);
}
