//! Tests of reading as a whole: the layers, the messages, and that `tessera.example.toml` is true.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::keys::{KEYS, Kind};
use super::*;

const EXAMPLE: &str = include_str!("../../tessera.example.toml");

/// A folder with a `tessera.toml`.
struct Folder(TempDir);

impl Folder {
    fn with(text: &str) -> Self {
        let folder = Self(TempDir::new().unwrap());
        fs::write(folder.path("tessera.toml"), text).unwrap();
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self, environment: &[(&str, &str)]) -> Result<Effective, ConfigError> {
        let environment = environment.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        load(Some(&self.path("tessera.toml")), environment)
    }

    /// What is wrong, with the folder's name left out.
    fn problems(&self, environment: &[(&str, &str)]) -> Vec<String> {
        let error = self.load(environment).err().map(|error| error.to_string()).unwrap_or_default();
        error.replace(&format!("{}/", self.0.path().display()), "").lines().map(str::to_owned).collect()
    }
}

fn load_text(text: &str) -> Config {
    Folder::with(text).load(&[]).unwrap().config
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
    let folder = Folder::with("name = \"From the file\"\n[tokens]\nleeway = 5\nid_token_lifetime = 900\n");
    let environment = [
        ("TESSERA_TOKENS_LEEWAY", "7"),
        ("TESSERA_TRUSTED_PROXIES", "10.0.0.0/8, fd00::/8"),
        ("HOME", "/"),
        ("TESSERA_NAME", ""),
    ];
    let effective = folder.load(&environment).unwrap();
    assert_eq!(effective.config.name, "From the file", "an empty variable is not set");
    assert_eq!((effective.config.tokens.leeway, effective.config.tokens.id_token_lifetime), (7, 900));
    assert_eq!(effective.config.tokens.access_token_lifetime, Config::default().tokens.access_token_lifetime);
    assert_eq!(effective.config.trusted_proxies.len(), 2);
    assert_eq!(effective.sources["tokens.leeway"], Source::Environment("TESSERA_TOKENS_LEEWAY".to_owned()));
    assert_eq!(effective.sources["tokens.id_token_lifetime"], Source::File(folder.path("tessera.toml")));
    assert_eq!(effective.sources["tokens.access_token_lifetime"], Source::Default);
    assert_eq!(effective.sources.len(), KEYS.len());
}

#[test]
fn a_named_file_must_exist() {
    let missing = TempDir::new().unwrap().path().join("other.toml");
    let error = load(Some(&missing), std::iter::empty()).unwrap_err();
    assert!(error.to_string().contains("other.toml: cannot be read"), "{error}");
}

#[test]
fn everything_that_is_wrong_is_said_at_once_and_where() {
    let folder = Folder::with(
        "isuer = \"https://id.example\"\nleeway = 3\nlisten = \"localhost\"\n\n[tokens]\naccess_token_lifetime = 60\nleeway = \"x\"\n\n[tokes]\nleeway = 1\n",
    );
    let problems = folder.problems(&[("TESSERA_LOG_LEVEL", "loud"), ("TESSERA_ISSUR", "x"), ("TESSERA_DATABASE_DURABLE", "yes")]);
    let expected = [
        "tessera.toml:1: isuer: there is no such key; did you mean issuer?",
        "tessera.toml:2: leeway: there is no such key here; did you mean tokens.leeway?",
        "tessera.toml:3: listen: \"localhost\" is not possible; it must be an address and a port, such as \"127.0.0.1:8000\" or \"[::]:8000\"",
        "tessera.toml:6: tokens.access_token_lifetime: 60 is not possible; it must be a whole number from 300 to 3600",
        "tessera.toml:7: tokens.leeway: \"x\" is not possible; it must be a whole number from 0 to 60",
        "tessera.toml:10: tokes.leeway: there is no such key here; did you mean tokens.leeway?",
        "TESSERA_DATABASE_DURABLE: database.durable: \"yes\" is not possible; it must be true or false",
        "TESSERA_LOG_LEVEL: log.level: \"loud\" is not possible; it must be one of error, warn, info, debug, trace",
        "TESSERA_ISSUR: there is no such setting; did you mean TESSERA_ISSUER?",
    ];
    for line in expected {
        assert!(problems.contains(&line.to_owned()), "missing: {line}\nin: {problems:#?}");
    }
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
}

#[test]
fn what_is_not_toml_is_said_with_its_line() {
    let problems = Folder::with("name = \"x\"\nlisten = \n").problems(&[]);
    assert!(problems[0].starts_with("tessera.toml:2: is not TOML: "), "{problems:?}");
    let problems = Folder::with("database = 1").problems(&[]);
    assert_eq!(problems, ["tessera.toml:1: database: is a section; its keys stand under a [database] line"]);
}

#[test]
fn secrets_may_come_from_files() {
    let folder = Folder::with("");
    fs::write(folder.path("key"), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n").unwrap();
    let path = folder.path("key").display().to_string();
    let effective = folder.load(&[("TESSERA_MASTER_KEY_FILE", &path)]).unwrap();
    assert_eq!(effective.config.keys.master_key.as_deref(), Some("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"));
    assert_eq!(
        effective.sources["keys.master_key"],
        Source::SecretFile("TESSERA_MASTER_KEY_FILE".to_owned(), folder.path("key"))
    );

    let both = folder.problems(&[("TESSERA_MASTER_KEY_FILE", &path), ("TESSERA_MASTER_KEY", "x")]);
    assert_eq!(both, ["TESSERA_MASTER_KEY: keys.master_key: is set, and so is TESSERA_MASTER_KEY_FILE; set one of the two"]);
    let missing = folder.problems(&[("TESSERA_REDIS_URL_FILE", "/nowhere/at/all")]);
    assert!(missing[0].starts_with("TESSERA_REDIS_URL_FILE: redis.url: cannot read /nowhere/at/all"), "{missing:?}");
    let not_a_secret = folder.problems(&[("TESSERA_ISSUER_FILE", &path)]);
    assert_eq!(not_a_secret.len(), 1, "only secrets are read from files");
}

#[test]
fn the_variables_of_forward_auth_are_none_of_ours() {
    let folder = Folder::with("");
    let environment = [("TESSERA_CLIENT_SECRET", "topsecret"), ("TESSERA_CLIENT_SECRET_FILE", "/nowhere/at/all")];
    assert_eq!(folder.problems(&environment), Vec::<String>::new());
    assert_eq!(folder.problems(&[("TESSERA_CLIENT_SECRETS", "x")]).len(), 1, "what is written wrongly is still told");
}

#[test]
fn no_message_repeats_a_secret() {
    let folder = Folder::with(
        "[keys]\nmaster_key = [\"topsecret\"]\n[database]\nurl = \"mysql://u:topsecret@h/d\"\n[redis]\nurl = \"topsecret\"\n\
         [[clients]]\nclient_id = \"a\"\nclient_secret = [\"topsecret\"]\n[[clients]]\nclient_id = \"b\"\nclient_secret = \"topsecret\"\n",
    );
    let problems = folder.problems(&[]);
    assert_eq!(problems.len(), 6, "{problems:#?}");
    let problems =
        [problems, Folder::with("clients = \"topsecret\"").problems(&[("TESSERA_MASTER_KEY", "topsecret")])].concat().join("\n");
    assert!(!problems.contains("topsecret"), "{problems}");
}

#[test]
fn what_an_issuer_may_be() {
    let issuer = |text: &str| {
        let problems = Folder::with(&format!("issuer = '{text}'")).problems(&[]);
        problems.first().map(|line| line.replace("tessera.toml:1: issuer: ", ""))
    };
    for right in [
        "https://id.example",
        "https://id.example:8443/tenant/a",
        "http://localhost:8000",
        "http://127.0.0.1:1",
        "http://[::1]:1",
    ] {
        assert_eq!(issuer(right), None, "{right}");
    }
    let wrong = [
        ("http://id.example", "uses http on a host that is not loopback"),
        ("http://127.0.0.1.example", "uses http"),
        ("https://id.example/", "ends with a slash"),
        ("https://id.example?x", "has a query"),
        ("https://id.example#x", "has a fragment"),
        ("https://u:p@id.example", "has a user name"),
        ("https://ID.example", "is not in its normal form; write \"https://id.example\""),
        ("https://id.example:443", "is not in its normal form; write \"https://id.example\""),
        ("id.example", "is not a URL"),
        ("ftp://id.example", "must begin with https://"),
    ];
    for (text, what) in wrong {
        assert!(issuer(text).is_some_and(|said| said.starts_with(what)), "{text}: {:?}", issuer(text));
    }
}

#[test]
fn values_must_make_sense_beside_each_other() {
    let cases = [
        ("[tls]\ncertificate = \"c\"", "default: tls.private_key: private_key is missing"),
        ("[tls]\nprivate_key = \"k\"", "default: tls.certificate: certificate is missing"),
        ("listen = \"[::1]:1\"\nmetrics_listen = \"[::1]:1\"", "tessera.toml:2: metrics_listen: is the same as listen"),
        (
            "[tokens]\nrefresh_token_idle_lifetime = 31536001",
            "tessera.toml:2: tokens.refresh_token_idle_lifetime: 31536001 is more than",
        ),
        ("[sessions]\nidle_lifetime = 2592001", "tessera.toml:2: sessions.idle_lifetime: 2592001 is more than"),
        ("[passwords]\nmemory_kib = 12288", "tessera.toml:2: passwords.memory_kib: is too little"),
        ("[database]\nurl = \"mysql://h/d\"", "tessera.toml:2: database.url: is not the URL of a database"),
        ("[redis]\nurl = \"http://h\"", "tessera.toml:2: redis.url: is not the URL of a Redis server"),
        ("[keys]\nmaster_key = \"AAAA\"", "tessera.toml:2: keys.master_key: is not 32 bytes"),
        ("[keys]\npublish_before = 659", "tessera.toml:2: keys.publish_before: 659 is too short: resource servers may keep"),
        ("[keys]\npublish_before = 2592000", "tessera.toml:2: keys.publish_before: 2592000 is not less than keys.rotate_every"),
        ("[keys]\nrotate_every = 86400", "default: keys.publish_before: 86400 is not less than keys.rotate_every"),
        ("[keys]\nkeep_retired = 3689", "tessera.toml:2: keys.keep_retired: 3689 is too short: a token of a client may live"),
        ("[tokens]\nleeway = 60\n[keys]\nkeep_retired = 3719", "tessera.toml:4: keys.keep_retired: 3719 is too short"),
        (
            "[keys]\nrotate_every = 7200\npublish_before = 3600\nkeep_retired = 115201",
            "tessera.toml:4: keys.keep_retired: 115201 is too long: 17 keys",
        ),
        (
            "[keys]\nmaster_key = \"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"\naccepted_master_key = \"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"",
            "tessera.toml:3: keys.accepted_master_key: is the same key as keys.master_key",
        ),
        ("[keys]\naccepted_master_key = \"AAAA\"", "tessera.toml:2: keys.accepted_master_key: is not 32 bytes"),
        ("name = \" \"", "tessera.toml:1: name: must have 1 to 100 characters"),
        ("[[scopes]]\nname = \"email\"\ndescription = \"x\"", "tessera.toml:1: scopes[0].name: email is a standard scope"),
        ("[[scopes]]\nname = \"a b\"\ndescription = \"x\"", "tessera.toml:1: scopes[0].name: must be one word"),
        (
            "[[scopes]]\nname = \"a\"\ndescription = \"x\"\nclaims = [\"sub\"]",
            "tessera.toml:1: scopes[0].claims: sub belongs to the protocol",
        ),
    ];
    for (text, what) in cases {
        let problems = Folder::with(text).problems(&[]);
        assert!(problems.len() == 1 && problems[0].starts_with(what), "{text}: {problems:?}");
    }
    assert_eq!(load_text("[passwords]\nmemory_kib = 12288\niterations = 3").passwords.iterations, 3);
}

#[test]
fn clients_are_checked_by_their_table() {
    let client = "redirect_uris = [\"https://app.example/cb\"]\nclient_secret = \"0123456789abcdef0123456789abcdef\"\n";
    let problems = Folder::with(&format!(
        "[[clients]]\nclient_id = \"a\"\nredirect_uri = \"x\"\n{client}\n[[clients]]\nclient_id = \"b\"\n{client}scope = \"openid nothing\"\n\n\
         [[clients]]\nclient_id = \"b\"\ntoken_endpoint_auth_method = \"none\"\nredirect_uris = [\"https://app.example/cb\"]\n\n\
         [[clients]]\nclient_id = \"c\"\ngrant_types = [\"password\"]\n",
    ))
    .problems(&[]);
    let expected = [
        "tessera.toml:3: clients[0].redirect_uri: there is no such key; did you mean redirect_uris?",
        "tessera.toml:20: clients[3].grant_types[0]: unknown variant `password`, expected one of `authorization_code`, `refresh_token`, `client_credentials`",
        "tessera.toml:7: clients[1]: scope: there is no scope nothing; choose from",
        "tessera.toml:13: clients[2]: the client_id b is there twice; each client must have its own",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for line in expected {
        assert!(problems.iter().any(|problem| problem.starts_with(line)), "missing: {line}\nin: {problems:#?}");
    }
    let config = load_text(&format!("[[clients]]\nclient_id = \"a\"\n{client}"));
    assert_eq!(config.clients[0].metadata.redirect_uris, ["https://app.example/cb"]);
}

#[test]
fn doubtful_is_not_wrong() {
    let folder =
        Folder::with("issuer = \"https://id.example\"\nlisten = \"0.0.0.0:8000\"\n[database]\nurl = \"postgres://db/t\"\n");
    assert_eq!(folder.load(&[]).unwrap().warnings.len(), 2);
    assert_eq!(Folder::with("").load(&[]).unwrap().warnings, Vec::<String>::new());
}

#[test]
fn what_is_in_force_is_shown_without_secrets() {
    let folder = Folder::with(
        "[[clients]]\nclient_id = \"app\"\nredirect_uris = [\"https://app.example/cb\"]\nclient_secret = \"topsecret-topsecret-topsecret-topsecret\"\n",
    );
    let key = "dG9wc2VjcmV0dG9wc2VjcmV0dG9wc2VjcmV0dG9wc2U";
    let effective = folder.load(&[("TESSERA_DATABASE_URL", "postgres://u:topsecret@db/t"), ("TESSERA_MASTER_KEY", key)]).unwrap();
    for shown in [effective.show(false), effective.show(true), format!("{effective:?}")] {
        assert!(!shown.contains("topsecret") && !shown.contains(key), "{shown}");
        assert!(shown.contains("postgres://u:********@db/t"), "{shown}");
    }
    let text = effective.show(false);
    assert!(text.lines().any(|line| line.starts_with("redis.url = (not set)") && line.ends_with("# default")), "{text}");
    assert!(text.lines().any(|line| line.starts_with("database.url = ") && line.ends_with("# TESSERA_DATABASE_URL")), "{text}");
    assert_eq!(text.lines().count(), KEYS.len());
    let json: BTreeMap<String, serde_json::Value> = serde_json::from_str(&effective.show(true)).unwrap();
    assert_eq!(json["tokens.leeway"], serde_json::json!({ "value": 30, "source": "default" }));
    assert_eq!(json.len(), KEYS.len());
}

/// The example with its settings switched on.
fn switched_on() -> String {
    let on = |line: &str| {
        line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_alphabetic() || c == '[')).map(str::to_owned)
    };
    EXAMPLE.lines().map(|line| on(line).unwrap_or_else(|| line.to_owned()) + "\n").collect()
}

#[test]
fn the_example_has_every_key_once_and_explains_it() {
    let mut section = String::new();
    let mut seen = BTreeMap::new();
    let mut explained = false;
    for line in switched_on().lines() {
        if let Some(name) = line.strip_prefix('[') {
            let name = name.trim_matches(['[', ']']);
            section = format!("{name}.");
            if line.starts_with("[[") {
                assert!(explained, "{line} is not explained");
                *seen.entry(name.to_owned()).or_insert(0) += 1;
            }
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            *seen.entry(format!("{section}{key}")).or_insert(0) += 1;
            assert!(explained || section.starts_with("scopes") || section.starts_with("clients"), "{key} is not explained");
        } else {
            explained = line.starts_with("# ") && line.len() > 10;
        }
    }
    seen.retain(|path, _| !path.starts_with("scopes.") && !path.starts_with("clients."));
    let every: BTreeMap<String, i32> = KEYS.iter().map(|key| (key.path.to_owned(), 1)).collect();
    assert_eq!(seen, every);
}

#[test]
fn the_example_states_the_defaults() {
    assert_eq!(load_text(EXAMPLE), Config::default(), "as it stands, it sets nothing");
    // Relative paths and ranges are as in a real file, so it is loaded as one.
    let mut config = load_text(&switched_on());
    assert_eq!((config.scopes.len(), config.clients.len()), (1, 1));
    config.scopes.clear();
    config.clients.clear();
    assert!(
        config.metrics_listen.take().is_some() && config.redis.url.take().is_some() && config.keys.master_key.take().is_some()
    );
    assert!(config.keys.accepted_master_key.take().is_some() && config.keys.keep_retired.take().is_some());
    assert!(config.outbound.extra_ca.take().is_some());
    assert!(config.tls.certificate.take().is_some() && config.tls.private_key.take().is_some());
    assert_eq!(config, Config::default());
}

#[test]
fn the_example_states_the_ranges_it_mentions() {
    let text = EXAMPLE.replace("\n# ", " ");
    for key in KEYS {
        let Kind::Number(min, max) = key.kind else { continue };
        let name = key.path.rsplit('.').next().unwrap();
        let Some(before) = text.split(&format!("\n#{name} = ")).next().and_then(|before| before.lines().last()) else { continue };
        if before.contains(" to ") && before.split(" to ").any(|part| part.ends_with(|c: char| c.is_ascii_digit())) {
            assert!(before.contains(&format!("{min} to {max}")), "{name}: {before}");
        }
    }
}
