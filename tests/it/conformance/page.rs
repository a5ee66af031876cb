//! `docs/conformance.md` is held against the tests: what it names exists, and what exists it names.

use std::collections::BTreeSet;
use std::process::Command;

use crate::docs::{quoted, read};

/// `a::{b,c}::d` as `a::b::d` and `a::c::d`.
fn expanded(name: &str) -> Vec<String> {
    let Some((before, rest)) = name.split_once('{') else { return vec![name.to_owned()] };
    let (choices, after) = rest.split_once('}').unwrap_or_else(|| panic!("{name}"));
    choices.split(',').flat_map(|choice| expanded(&format!("{before}{choice}{after}"))).collect()
}

#[test]
fn the_page_names_every_test_and_no_other() {
    let page = read("docs/conformance.md");
    let is_path = |name: &&str| name.contains("::") && !name.contains(' ');
    let named: Vec<String> = quoted(&page).into_iter().filter(is_path).flat_map(expanded).collect();
    let list =
        Command::new(std::env::current_exe().unwrap()).args(["conformance::", "--list", "--format", "terse"]).output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    let there: BTreeSet<&str> = list
        .lines()
        .filter_map(|line| line.strip_suffix(": test")?.strip_prefix("conformance::"))
        .filter(|name| !name.starts_with("page::"))
        .collect();
    assert!(there.len() > 300, "{} tests", there.len());
    let named: BTreeSet<&str> = named.iter().map(String::as_str).collect();
    let missing: Vec<_> = there.difference(&named).collect();
    let made_up: Vec<_> = named.difference(&there).collect();
    assert!(
        missing.is_empty() && made_up.is_empty(),
        "docs/conformance.md lacks {missing:#?} and names {made_up:#?}, which is no test"
    );
}
