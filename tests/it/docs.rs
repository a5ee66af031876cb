//! The documentation is held to what is there: commands, variables, links, files, tests, metrics and the table of imports.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use tessera::config;

use crate::layers::MAY_IMPORT;
use crate::source::rust_files;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

const PAGES: [&str; 13] = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/architecture.md",
    "docs/conformance.md",
    "docs/forward-auth.md",
    "docs/integrating.md",
    "docs/operating.md",
    "docs/security.md",
    "keys/README.md",
    "docker-compose.yml",
    "tessera.example.toml",
];

/// Made when the program runs, or by whoever runs it.
const MADE_LATER: [&str; 4] = ["artefacts/", "data/", "keys/master.key", "tessera.toml"];

pub fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn pages() -> impl Iterator<Item = (&'static str, String)> {
    PAGES.into_iter().map(|page| (page, read(page)))
}

/// What stands in a page between single backticks, outside of blocks.
pub fn quoted(text: &str) -> Vec<&str> {
    let mut block = false;
    let mut found = Vec::new();
    for line in text.lines() {
        block ^= line.trim_start().starts_with("```");
        if !block {
            found.extend(line.split('`').skip(1).step_by(2));
        }
    }
    found
}

/// The `tessera …` commands of a page: lines of blocks, and inline code. What stands for a value (`ID`) is a value.
fn commands(text: &str) -> Vec<String> {
    let in_blocks = text.split("```").skip(1).step_by(2).flat_map(str::lines);
    let all = in_blocks.chain(quoted(text));
    all.filter_map(|line| line.rsplit("| ").next()?.split(" #").next()?.trim().strip_prefix("tessera "))
        .filter(|command| !command.contains(['…', '=']) || command.contains(" --"))
        .map(str::to_owned)
        .collect()
}

/// Words as a shell would split them; quotes only group.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for letter in command.chars() {
        match letter {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            letter => words.last_mut().unwrap().push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn every_command_is_one() {
    let mut seen = 0;
    for (page, text) in pages() {
        for command in commands(&text) {
            // Everything before `--help` is checked, and nothing is run.
            let output = Command::new(env!("CARGO_BIN_EXE_tessera")).args(words(&command)).arg("--help").output().unwrap();
            assert!(output.status.success(), "{page}: tessera {command}\n{}", String::from_utf8_lossy(&output.stderr));
            seen += 1;
        }
    }
    assert!(seen > 30, "only {seen} commands were found");
}

#[test]
fn every_variable_is_one() {
    let mut seen = 0;
    for (page, text) in pages() {
        for (at, _) in text.match_indices("TESSERA_") {
            let end = text[at..].find(|c: char| !c.is_ascii_uppercase() && c != '_').map_or(text.len(), |end| at + end);
            let name = &text[at..end];
            if name.ends_with('_') || name.starts_with("TESSERA_TEST_") {
                continue;
            }
            let example = Path::new(ROOT).join("tessera.example.toml");
            let answer = config::load(Some(&example), [(name.to_owned(), "?".to_owned())].into_iter());
            let problems = answer.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(!problems.contains("there is no such setting"), "{page}: {problems}");
            seen += 1;
        }
    }
    assert!(seen > 15, "only {seen} variables were found");
}

#[test]
fn every_link_leads_somewhere() {
    for (page, text) in pages().filter(|(page, _)| page.ends_with(".md")) {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let folder = Path::new(ROOT).join(page).parent().unwrap().to_owned();
            let path = if file.is_empty() { Path::new(ROOT).join(page) } else { folder.join(file) };
            assert!(path.exists(), "{page}: {target}");
            if !anchor.is_empty() {
                let text = std::fs::read_to_string(path).unwrap();
                let mut headings = text.lines().filter(|line| line.starts_with('#')).map(anchor_of);
                assert!(headings.any(|heading| heading == anchor), "{page}: {target}");
            }
        }
    }
}

/// As hosting pages make it of a heading.
fn anchor_of(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_')).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_file_that_is_named_is_there() {
    let mut seen = 0;
    for (page, text) in pages().filter(|(page, _)| page.ends_with(".md")) {
        for name in quoted(&text).into_iter().map(|name| name.split(' ').next().unwrap_or_default()) {
            let first = name.split('/').next().unwrap_or_default();
            let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(&b));
            let of_ours = name.contains('/') && !matches!(first, "" | "." | "..") && Path::new(ROOT).join(first).is_dir();
            let at_the_root = !name.contains('/') && [".md", ".rs", ".toml"].iter().any(|end| name.ends_with(end));
            if plain && (of_ours || at_the_root) && !MADE_LATER.iter().any(|later| name.starts_with(later)) {
                assert!(Path::new(ROOT).join(name).exists(), "{page}: {name}");
                seen += 1;
            }
        }
    }
    assert!(seen > 30, "only {seen} files were found");
}

#[test]
fn every_test_that_is_named_is_there() {
    let sources: String = ["src", "tests"].into_iter().flat_map(rust_files).map(|file| file.code).collect();
    let security = read("docs/security.md");
    let named: BTreeSet<&str> = quoted(&security)
        .into_iter()
        .filter(|name| {
            name.matches('_').count() >= 2 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit())
        })
        .filter(|name| !name.starts_with("id_token"))
        .collect();
    assert!(named.len() > 30, "only {} tests were found", named.len());
    for name in named {
        assert!(sources.contains(&format!("fn {name}(")), "docs/security.md: there is no test {name}");
    }
}

#[test]
fn every_metric_is_explained() {
    let source = read("src/telemetry/metrics.rs") + &read("src/telemetry/requests.rs");
    let named = |text: &str, prefix: &str| -> BTreeSet<String> {
        text.match_indices(prefix)
            .map(|(at, _)| text[at..].chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect::<String>())
            .map(|name| name.trim_end_matches("_count").to_owned())
            .collect()
    };
    assert_eq!(named(&read("docs/operating.md"), "tessera_"), named(&source, "tessera_"));
    let (page, source) = (read("docs/forward-auth.md"), read("src/forward_auth/health.rs"));
    assert_eq!(named(&page, "tessera_forward_auth_"), named(&source, "tessera_forward_auth_"));
}

#[test]
fn the_table_of_imports_is_that_of_the_layer_test() {
    let architecture = read("docs/architecture.md");
    let most = MAY_IMPORT.iter().map(|(_, allowed)| allowed.len()).max().unwrap();
    for (room, allowed) in MAY_IMPORT {
        let words = match allowed.len() {
            0 => "nothing of ours".to_owned(),
            all if all == most => "everything".to_owned(),
            _ => allowed.join(", "),
        };
        let row = format!("| `{room}` | {words} |");
        assert!(architecture.contains(&row), "docs/architecture.md lacks the row\n{row}");
        assert!(architecture.contains(&format!("\n| {room} | ")), "docs/architecture.md does not say what {room} is for");
    }
}
