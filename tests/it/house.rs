//! House rules that a compiler does not know: short files, no panic without a proof, one home for each of some crates.

use crate::source::{SourceFile, line_of, rust_files, words};

/// Longer files are split along their seams.
const MAX_LINES: usize = 400;

/// A crate, and where alone it may be named: a file, or everything below a folder.
const HOMES: &[(&str, &[&str])] = &[
    ("josekit", &["src/keyring/"]),
    ("rsa", &["src/keyring/"]),
    ("p256", &["src/keyring/"]),
    ("argon2", &["src/password"]),
    ("redis", &["src/revocation/", "src/http/rate_limit"]),
    ("getrandom", &["src/model/secret.rs"]),
    // The nouns are also rows: their derives and column types live with them. Queries do not, see below.
    ("sqlx", &["src/store/", "src/model/", "src/clock.rs"]),
];

/// Ways to run SQL, wherever `sqlx` is in sight.
const QUERIES: [&str; 5] = ["query", "query_as", "query_scalar", "query_with", "raw_sql"];

const PANICS: [&str; 8] =
    [".unwrap()", ".expect(", ".unwrap_err()", ".expect_err(", "panic!(", "unreachable!(", "todo!(", "unimplemented!("];

#[test]
fn files_are_short() {
    let folders = ["src", "verifier", "tests", "benches"];
    let long: Vec<String> = folders
        .into_iter()
        .flat_map(rust_files)
        .map(|file| (file.text.lines().count(), file.path))
        .filter(|(lines, _)| *lines > MAX_LINES)
        .map(|(lines, path)| format!("{path}: {lines} lines, at most {MAX_LINES}"))
        .collect();
    assert!(long.is_empty(), "\n{}\n", long.join("\n"));
}

#[test]
fn what_may_panic_has_its_proof() {
    let mut wrong = Vec::new();
    for file in rust_files("src").into_iter().chain(rust_files("verifier/src")) {
        for (at, what) in unproven(&file) {
            wrong.push(format!("{}: `{what}` without a `// proof:` beside it", file.place(at)));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn some_crates_have_one_home() {
    let mut wrong = Vec::new();
    for file in rust_files("src") {
        for (name, homes) in HOMES {
            if homes.iter().any(|home| file.path.starts_with(home)) {
                continue;
            }
            for at in uses_of_crate(&file.code, name) {
                wrong.push(format!("{}: `{name}` belongs to {}", file.place(at), homes.join(", ")));
            }
        }
        if !file.path.starts_with("src/store/") {
            for at in QUERIES
                .iter()
                .flat_map(|query| file.code.match_indices(&format!("sqlx::{query}")).map(|(at, _)| at).collect::<Vec<_>>())
            {
                wrong.push(format!("{}: SQL belongs to src/store/", file.place(at)));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn tests_do_not_sleep() {
    let mut wrong = Vec::new();
    for file in rust_files("tests") {
        for sleep in ["thread::sleep", "time::sleep", "time::sleep_until"] {
            wrong.extend(words(&file.code, sleep).map(|at| format!("{}: await the event instead of `{sleep}`", file.place(at))));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// What may panic in shipped code, without a proof on its line or in the comment right above it.
fn unproven(file: &SourceFile) -> Vec<(usize, &'static str)> {
    let lines: Vec<&str> = file.text.lines().collect();
    let mut found = Vec::new();
    for what in PANICS {
        for (at, _) in file.shipped_code.match_indices(what) {
            let index = line_of(&file.text, at) - 1;
            let above = lines[..index].iter().rev().take_while(|line| line.trim_start().starts_with("//"));
            if !std::iter::once(&lines[index]).chain(above).any(|line| line.contains("// proof:")) {
                found.push((at, what));
            }
        }
    }
    found
}

/// Where `code` names the crate: `name::…` or `use name`. A module of ours with the same name is reached by a path (`config::redis::…`).
fn uses_of_crate<'c>(code: &'c str, name: &'c str) -> impl Iterator<Item = usize> + 'c {
    words(code, name).filter(move |at| {
        let (before, after) = (&code[..*at], &code[at + name.len()..]);
        let of_ours = before
            .strip_suffix("::")
            .is_some_and(|path| path.ends_with(|letter: char| letter.is_alphanumeric() || letter == '_'));
        !of_ours && (after.starts_with("::") || before.trim_end().ends_with("use"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_stands_beside_the_call() {
        let text = "fn a() {\n    b.unwrap();\n    // proof: c is set above,\n    // and nothing unsets it.\n    c.unwrap();\n    d.unwrap(); // proof: e\n}\n";
        let file = SourceFile::new("src/a.rs".to_owned(), text.to_owned());
        let lines: Vec<usize> = unproven(&file).into_iter().map(|(at, _)| line_of(text, at)).collect();
        assert_eq!(lines, [2]);
    }

    #[test]
    fn a_module_of_ours_is_not_the_crate_of_its_name() {
        let uses = |code| uses_of_crate(code, "redis").count();
        assert_eq!(uses("use redis::Client; let a = ::redis::cmd(b); use redis;"), 3);
        assert_eq!(uses("use crate::revocation::redis::Denylist; config.redis.url; mod redis;"), 0);
    }
}
