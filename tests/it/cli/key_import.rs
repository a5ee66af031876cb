//! `tessera key import`: keys of every form that is known, as OpenSSL writes them, and those that are refused.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use super::keys::{keys, kid};
use super::{installation, tessera, tessera_with};

/// RFC 7517 appendix A.2: a P-256 private key.
fn ec_jwk() -> Value {
    json!({
        "kty": "EC", "crv": "P-256", "use": "sig", "kid": "1",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"
    })
}

fn write(folder: &Path, name: &str, content: &str) {
    fs::write(folder.join(name), content).unwrap();
    fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_jwk_is_imported_as_what_is_asked() {
    let folder = installation();
    let folder = folder.path();
    write(folder, "key.json", &ec_jwk().to_string());
    let (active, upcoming) = (kid(folder, "ES256", "active"), kid(folder, "ES256", "upcoming"));
    let said = tessera(folder, &["key", "import", "key.json", "--alg", "ES256"]);
    assert!(said.err.contains("calls this key 1"), "{said:?}");
    assert!(said.out.contains(&upcoming) && !said.out.contains("jpsQnn") && !said.err.contains("jpsQnn"), "{said:?}");
    let imported = kid(folder, "ES256", "upcoming");
    assert_eq!(imported, "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U", "the thumbprint of RFC 7638");
    assert!(!keys(folder).iter().any(|key| key["kid"] == upcoming.as_str()), "it signed nothing, and is gone");
    assert_eq!(kid(folder, "ES256", "active"), active);

    let again = tessera(folder, &["key", "import", "key.json", "--as", "active"]).succeeded();
    assert!(again.contains("here already, as the upcoming key"), "{again}");
    assert_eq!(keys(folder).len(), 4);
    tessera(folder, &["key", "rotate", "--alg", "ES256"]).failed(1);

    tessera(folder, &["key", "revoke", &imported, "--yes"]).succeeded();
    let refused = tessera_with(folder, &["key", "import", "-"], &ec_jwk().to_string(), &[]).failed(1);
    assert!(refused.contains("revoked") && refused.contains(&imported), "{refused}");
}

#[test]
fn a_key_signs_at_once_or_only_verifies() {
    for (role, others) in [("active", ("retiring", 5)), ("retiring", ("active", 5))] {
        let folder = installation();
        let folder = folder.path();
        let active = kid(folder, "ES256", "active");
        let said = tessera_with(folder, &["key", "import", "-", "--as", role], &ec_jwk().to_string(), &[]);
        assert_eq!(said.err.contains("refuses new ES256 tokens"), role == "active", "{said:?}");
        assert_eq!(kid(folder, "ES256", role), "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
        assert_eq!((kid(folder, "ES256", others.0), keys(folder).len()), (active, others.1), "{role}");
    }
}

#[test]
fn what_is_no_usable_key_is_refused_in_words_and_changes_nothing() {
    let folder = installation();
    let folder = folder.path();
    let before = keys(folder);
    let changed = |name: &str, value: Value| {
        let mut jwk = ec_jwk();
        match value {
            Value::Null => drop(jwk.as_object_mut().unwrap().remove(name)),
            value => jwk[name] = value,
        }
        jwk.to_string()
    };
    let ssh = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n";
    let table = [
        (String::new(), "neither PEM"),
        ("bananas".to_owned(), "neither PEM"),
        ("{".to_owned(), "damaged"),
        (changed("d", Value::Null), "`d` is missing"),
        (changed("d", "====".into()), "not base64url"),
        (changed("d", "AAAA".into()), "damaged"),
        (changed("y", "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU".into()), "not those of its private key"),
        (changed("crv", "P-384".into()), "another curve"),
        (changed("kty", "oct".into()), "neither RSA nor EC"),
        (changed("kty", "RSA".into()), "`n` of the JWK is missing"),
        (changed("alg", "ES384".into()), "another `alg`"),
        (changed("use", "enc".into()), "not `sig`"),
        (json!({ "keys": [ec_jwk()] }).to_string(), "JWK set"),
        (ec_jwk().to_string().replacen("{", "{\"d\":\"AA\",", 1), "damaged"),
        (ssh.to_owned(), "OpenSSH"),
        (ssh.replace("OPENSSH ", "").to_owned(), "cannot be decoded"),
        (ssh.replace("OPENSSH ", "").replace("AAAA", "MAA="), "not PKCS#8"),
        (ssh.replace("OPENSSH PRIVATE", "PUBLIC").to_owned(), "only a public key"),
        (ssh.replace("OPENSSH ", "ENCRYPTED ").to_owned(), "passphrase"),
        (ssh.replace("OPENSSH ", "DSA ").to_owned(), "no private key of a kind"),
        (ssh.replace("OPENSSH ", "EC ").repeat(2), "more than one"),
        ("x".repeat(40_000), "more than 32768 bytes"),
    ];
    for (text, what) in table {
        let said = tessera_with(folder, &["key", "import", "-"], &text, &[]).failed(1);
        assert!(said.contains(what), "{what}: {said}");
        assert!(!said.contains("jpsQnn"), "{said}");
    }
    let said = tessera_with(folder, &["key", "import", "-", "--alg", "RS256"], &ec_jwk().to_string(), &[]).failed(1);
    assert!(said.contains("for ES256, not for RS256"), "{said}");
    assert!(tessera(folder, &["key", "import", "nothing.pem"]).failed(3).contains("nothing.pem"));
    tessera(folder, &["key", "import", "-", "--as", "revoked"]).failed(2);
    assert_eq!(keys(folder), before);
}

/// A key as OpenSSL 3 writes it.
macro_rules! made_by_openssl {
    ($name:literal) => {
        include_str!(concat!("import/", $name, ".pem"))
    };
}

#[test]
fn keys_that_openssl_made_are_imported() {
    let folder = installation();
    let folder = folder.path();
    let good = [
        (made_by_openssl!("rsa_pkcs8"), "RS256"),
        (made_by_openssl!("ec_pkcs8"), "ES256"),
        // With the block of parameters before it, as `openssl ecparam -genkey` writes it.
        (made_by_openssl!("ec_sec1"), "ES256"),
    ];
    for (pem, alg) in good {
        let said = tessera_with(folder, &["key", "import", "-"], pem, &[]);
        assert!(said.err.is_empty(), "{said:?}");
        assert!(said.succeeded().contains(&kid(folder, alg, "upcoming")));
    }
    let again = tessera_with(folder, &["key", "import", "-"], made_by_openssl!("rsa_pkcs1"), &[]).succeeded();
    assert!(again.contains("here already"), "the same key in another form: {again}");
    let refused = [
        (made_by_openssl!("rsa_1024"), "has 1024 bits"),
        (made_by_openssl!("rsa_exponent_3"), "public exponent of the RSA key is 3"),
        (made_by_openssl!("rsa_three_primes"), "more than two primes"),
        (made_by_openssl!("rsa_pss"), "RSASSA-PSS alone"),
        (made_by_openssl!("rsa_encrypted"), "passphrase"),
        (made_by_openssl!("ec_encrypted"), "passphrase"),
        (made_by_openssl!("ec_p384"), "P-256"),
        (made_by_openssl!("ec_secp256k1"), "another curve than P-256"),
        (made_by_openssl!("ec_p384_pkcs8"), "another curve than P-256"),
        (made_by_openssl!("ec_public"), "only a public key"),
        (made_by_openssl!("ed25519"), "neither an RSA nor an EC key"),
    ];
    let before = keys(folder);
    for (pem, what) in refused {
        let said = tessera_with(folder, &["key", "import", "-"], pem, &[]).failed(1);
        assert!(said.contains(what), "{what}: {said}");
    }
    assert_eq!(keys(folder), before);
}

#[test]
fn a_key_that_others_may_read_is_remarked_on() {
    let folder = installation();
    let folder = folder.path();
    for (mode, remarked) in [(0o600, false), (0o640, true), (0o604, true)] {
        write(folder, "key.pem", made_by_openssl!("ec_pkcs8"));
        fs::set_permissions(folder.join("key.pem"), fs::Permissions::from_mode(mode)).unwrap();
        let said = tessera(folder, &["key", "import", "key.pem"]);
        assert_eq!(said.err.contains(&format!("can be read by others (mode {mode:04o})")), remarked, "{said:?}");
        said.succeeded();
    }
}
