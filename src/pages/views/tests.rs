//! Every page in every state: well-formed, labelled, without inline script or style, and deaf to hostile words.

use std::collections::{HashMap, HashSet};

use super::samples::{ORDINARY, Words, pages};
use super::*;
use crate::pages::assets;

const HOSTILE: [&str; 3] = ["\"><script>alert(1)</script>", "{{7*7}}", "'><img src=x onerror=alert(1)>"];

/// A tag as the browser would see it, closing tags by their slash: `("input", {"id": "email", …})`.
type Tag<'a> = (&'a str, HashMap<&'a str, &'a str>);

/// Cuts a page into tags. Strict: a `<` in text, an unquoted attribute or a stray quote panics, so the page is not well-formed.
fn tags(page: &str) -> Vec<Tag<'_>> {
    let mut found = Vec::new();
    for piece in page.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').expect("a tag ends");
        assert!(!text.contains('>'), "a stray > after <{tag}>");
        let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
        let mut attributes = HashMap::new();
        while !rest.trim_start().is_empty() && rest != "/" {
            rest = rest.trim_start();
            let end = rest.find([' ', '=']).unwrap_or(rest.len());
            let (key, after) = rest.split_at(end);
            assert!(key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '/'), "attribute {key} of <{tag}>");
            let value = match after.strip_prefix("=\"") {
                Some(quoted) => {
                    let (value, after) = quoted.split_once('"').expect("an attribute ends");
                    rest = after;
                    value
                }
                None => {
                    assert!(!after.starts_with('='), "unquoted attribute in <{tag}>");
                    rest = after;
                    ""
                }
            };
            if key != "/" {
                assert!(attributes.insert(key, value).is_none(), "{key} twice in <{tag}>");
            }
        }
        found.push((name.trim_end_matches('/'), attributes));
    }
    found
}

fn check(name: &str, page: &str) {
    let tags = tags(page);
    let count = |tag: &str| tags.iter().filter(|(name, _)| *name == tag).count();
    for tag in ["html", "head", "body", "title", "main", "h1", "/h1"] {
        assert_eq!(count(tag), 1, "{name}: <{tag}>");
    }
    assert_eq!(count("style"), 0, "{name}: inline style");
    assert!(count("script") <= usize::from(["form-post", "signed-out-onward"].contains(&name)), "{name}: script");

    // Every element that opens is closed, in order.
    let mut open = Vec::new();
    for (tag, _) in &tags {
        match tag.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop(), Some(closed), "{name}: </{closed}>"),
            None if ["!doctype", "meta", "link", "input", "img", "path"].contains(tag) => {}
            None => open.push(*tag),
        }
    }
    assert!(open.is_empty(), "{name}: {open:?} left open");

    let mut ids = HashSet::new();
    let labelled: HashSet<&str> =
        tags.iter().filter(|(tag, _)| *tag == "label").filter_map(|(_, a)| a.get("for").copied()).collect();
    for (tag, attributes) in &tags {
        if let Some(id) = attributes.get("id") {
            assert!(ids.insert(*id), "{name}: id {id} twice");
        }
        for key in attributes.keys() {
            assert!(*key != "style" && !key.starts_with("on"), "{name}: inline {key} in <{tag}>");
        }
        if *tag == "input" && attributes["type"] != "hidden" {
            assert!(
                attributes.contains_key("aria-label") || labelled.contains(attributes["id"]),
                "{name}: an input without a label"
            );
        }
        if *tag == "button" {
            assert_eq!(attributes.get("type"), Some(&"submit"), "{name}");
        }
        for address in ["href", "src", "action"].iter().filter_map(|key| attributes.get(key)) {
            assert!(address.starts_with('/') || address.starts_with("https://") || *address == "#main", "{name}: {address}");
        }
    }
    for described in tags.iter().filter_map(|(_, a)| a.get("aria-describedby")) {
        for id in described.split(' ') {
            assert!(ids.contains(id), "{name}: described by {id}, which is not there");
        }
    }
    // A form of ours that changes something has the token; the hand-over to an app must not have it.
    for form in page.split("<form").skip(1) {
        assert_eq!(form.contains("name=\"csrf\""), name != "form-post", "{name}: csrf");
    }
    for (_, frame) in tags.iter().filter(|(tag, _)| *tag == "iframe") {
        assert!(
            !frame["title"].is_empty() && frame["referrerpolicy"] == "no-referrer" && !frame["sandbox"].contains("top"),
            "{name}"
        );
    }
    assert!(tags.iter().filter(|(_, a)| a.contains_key("autofocus")).count() <= 1, "{name}: two autofocus");
}

#[test]
fn every_page_is_well_formed() {
    let pages = pages(ORDINARY);
    assert_eq!(pages.iter().map(|(name, _)| name).collect::<HashSet<_>>().len(), pages.len());
    for (name, page) in &pages {
        check(name, page);
        assert!(page.contains(" · Tessera</title>"), "{name}: title");
        assert!(page.contains("<html lang=\"en\">") && page.contains("noindex"), "{name}");
        assert!(page.contains(assets::STYLE_PATH.as_str()), "{name}: style sheet");
    }
}

#[test]
fn every_address_of_ours_lies_under_the_issuers_path() {
    for (name, page) in pages(Words { base: "/tenant", ..ORDINARY }) {
        for (tag, attributes) in tags(&page) {
            for address in ["href", "src", "action"].iter().filter_map(|key| attributes.get(key)) {
                let fine =
                    address.starts_with("/tenant/") || address.starts_with("https://ledger.example/") || *address == "#main";
                assert!(fine, "{name}: <{tag}> leads to {address}");
            }
        }
    }
}

#[test]
fn hostile_words_stay_words() {
    for (index, hostile) in HOSTILE.into_iter().enumerate() {
        // A page says an e-mail address that is also the name only once: so these two differ.
        let email = HOSTILE[(index + 1) % HOSTILE.len()];
        let words =
            Words { base: "", installation: hostile, name: hostile, email, app: hostile, anything: hostile, user_agent: hostile };
        let ordinary: HashMap<&str, String> = pages(ORDINARY).into_iter().collect();
        for (name, page) in pages(words) {
            check(name, &page);
            let page = page.replace(assets::STYLE_PATH.as_str(), "").replace(assets::FAVICON_PATH.as_str(), "");
            let page =
                page.replace(assets::SUBMIT_PATH.as_str(), "/submit.js").replace(assets::ONWARD_PATH.as_str(), "/onward.js");
            assert!(!page.contains("<script>") && !page.contains("<img src=x") && !page.contains("49"), "{name}: {hostile}");
            let count = |page: &str| tags(page).len();
            assert_eq!(count(&page), count(&ordinary[name]), "{name}: {hostile} added an element");
        }
    }
}

#[test]
fn inputs_and_buttons_have_their_stable_names() {
    let pages: HashMap<&str, String> = pages(ORDINARY).into_iter().collect();
    let expected: [(&str, &[(&str, &str)]); 13] = [
        ("sign-in", &[("email", "email"), ("password", "password"), ("sign-in", "sign_in")]),
        ("sign-in-again", &[("email", "email"), ("password", "password"), ("sign-in", "sign_in"), ("use-another-account", "")]),
        ("choose-account", &[("continue-as", "continue_as"), ("use-another-account", "")]),
        ("consent", &[("allow", "decision"), ("deny", "decision")]),
        ("device", &[("user-code", "user_code"), ("continue", "continue")]),
        ("device-confirm", &[("allow", "decision"), ("deny", "decision"), ("use-another-account", "")]),
        ("sign-out-confirm", &[("confirm-sign-out", "confirm_sign_out"), ("stay-signed-in", "stay_signed_in")]),
        ("account", &[("sign-out", "sign_out")]),
        (
            "password",
            &[
                ("current_password", "current_password"),
                ("new_password", "new_password"),
                ("new_password_again", "new_password_again"),
                ("change-password", "change_password"),
                ("sign-out", "sign_out"),
            ],
        ),
        (
            "sessions",
            &[
                ("end-session-here", "end_session"),
                ("end-session-k7Qp2", "end_session"),
                ("sign-out-everywhere-else", "sign_out_everywhere_else"),
            ],
        ),
        ("apps", &[("remove-app-k7Qp2", "remove_app"), ("remove-app-notes", "remove_app")]),
        ("set-up", &[("email", "email"), ("name", "name"), ("password", "password"), ("password_again", "password_again")]),
        ("error-app", &[("reference", "")]),
    ];
    for (page, elements) in expected {
        let tags = tags(&pages[page]);
        for (id, name) in elements {
            let (_, attributes) = tags.iter().find(|(_, a)| a.get("id") == Some(id)).unwrap_or_else(|| panic!("{page}: no {id}"));
            assert_eq!(attributes.get("name").copied().unwrap_or(""), *name, "{page}: {id}");
        }
    }
    for page in ["sign-in", "sign-in-again", "choose-account", "consent"] {
        assert!(pages[page].contains("name=\"request\" value=\"k7Qp2\""), "{page}: request");
    }
    assert!(pages["consent"].contains("value=\"allow\"") && pages["consent"].contains("value=\"deny\""));
}

#[test]
fn problems_are_announced_and_mark_their_fields() {
    let pages: HashMap<&str, String> = pages(ORDINARY).into_iter().collect();
    let invalid = |page: &str| -> Vec<String> {
        let tags = tags(&pages[page]);
        tags.iter().filter(|(_, a)| a.contains_key("aria-invalid")).map(|(_, a)| a["id"].to_owned()).collect()
    };
    assert_eq!(invalid("sign-in-wrong"), ["email", "password"]);
    assert_eq!(invalid("sign-in-again-wrong"), ["password"]);
    assert_eq!(invalid("set-up-problem"), ["password"]);
    assert_eq!(invalid("device-wrong"), ["user-code"]);
    assert_eq!(invalid("password-differ"), ["new_password", "new_password_again"]);
    for page in ["sign-in", "sign-in-wait", "sign-in-busy", "password"] {
        assert!(invalid(page).is_empty(), "{page}");
    }
    for page in ["sign-in-wrong", "sign-in-wait", "sign-in-busy", "set-up-problem", "password-differ"] {
        assert!(pages[page].contains("role=\"alert\"") && pages[page].contains("<title>Problem: "), "{page}");
    }
    assert!(pages["sign-in-wait"].contains("Please wait 10 minutes"));
    assert!(pages["sign-in-wrong"].contains("value=\"ada@example.org\""), "the address is kept");
    assert!(!pages["sign-in"].contains("role=\"alert\""));
}

#[test]
fn focus_goes_to_the_first_empty_field() {
    let pages: HashMap<&str, String> = pages(ORDINARY).into_iter().collect();
    for (page, id) in [
        ("sign-in", "email"),
        ("sign-in-wrong", "password"),
        ("sign-in-again", "password"),
        ("set-up", "email"),
        ("device", "user-code"),
    ] {
        let tags = tags(&pages[page]);
        assert_eq!(tags.iter().find(|(_, a)| a.contains_key("autofocus")).map(|(_, a)| a["id"]), Some(id), "{page}");
    }
}

#[test]
fn only_web_addresses_become_links() {
    assert_eq!(web_address(Some("javascript:alert(1)")), None);
    assert_eq!(web_address(Some("data:text/html,x")), None);
    assert_eq!(web_address(Some("/relative")), None);
    assert_eq!(web_address(Some(" JaVaScRiPt:alert(1)")), None);
    assert_eq!(web_address(Some("https://a.example/\"x")).as_deref(), Some("https://a.example/%22x"));
    let site = Site { base: "/tenant".to_owned(), ..Site::default() };
    assert_eq!(another_account_link(&site, "a&b=\"c"), "/tenant/login?request=a%26b%3D%22c&account=another");
    assert_eq!(another_account_link(&site, ""), "/tenant/login?account=another");
}

#[test]
fn an_app_shows_what_its_client_registered() {
    let client = |logo: &str| {
        let metadata = crate::model::ClientMetadata {
            client_name: Some("Ledger".to_owned()),
            logo_uri: Some(logo.to_owned()),
            client_uri: Some("https://ledger.example/".to_owned()),
            policy_uri: Some("javascript:alert(1)".to_owned()),
            ..Default::default()
        };
        Client {
            id: "ledger".to_owned(),
            secret_hash: None,
            secret_jwe: None,
            metadata: crate::model::Json(metadata),
            origin: crate::model::client::ClientOrigin::Operator,
            registration_token_hash: None,
            last_used_at: None,
            disabled_at: None,
            tokens_not_before: None,
            created_at: Default::default(),
            updated_at: Default::default(),
        }
    };
    let app = App::of(&client("https://ledger.example/logo.png"), &Languages::default());
    assert_eq!((app.name.as_str(), app.initial().as_str()), ("Ledger", "L"));
    assert_eq!(app.logo.as_deref(), Some("https://ledger.example/logo.png"));
    assert_eq!((app.home.as_deref(), app.privacy_policy), (Some("https://ledger.example/"), None));
    assert_eq!(App::of(&client("http://ledger.example/logo.png"), &Languages::default()).logo, None);
    assert_eq!(App { name: "…".to_owned(), ..App::default() }.initial(), "·");
}

/// Writes the sample pages and what they load into `$TESSERA_SAMPLES`; serve that folder and look at them.
#[test]
#[ignore = "writes files to look at: TESSERA_SAMPLES=<folder> cargo test --lib samples -- --ignored"]
#[allow(clippy::disallowed_methods, reason = "whoever looks at the samples says where they go")]
fn samples_can_be_looked_at() {
    let folder = std::path::PathBuf::from(std::env::var_os("TESSERA_SAMPLES").expect("TESSERA_SAMPLES names a folder"));
    std::fs::create_dir_all(folder.join("static")).unwrap();
    let loaded = [
        (&assets::STYLE_PATH, assets::STYLE),
        (&assets::SUBMIT_PATH, assets::SUBMIT),
        (&assets::ONWARD_PATH, assets::ONWARD),
        (&assets::FAVICON_PATH, assets::FAVICON),
    ];
    for (path, content) in loaded {
        std::fs::write(folder.join(path.trim_start_matches('/')), content).unwrap();
    }
    for (name, page) in pages(ORDINARY) {
        std::fs::write(folder.join(format!("{name}.html")), page).unwrap();
    }
}
