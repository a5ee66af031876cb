//! The layer test: a room of `src/` imports only the rooms that the plan allows it. Test code inside a room is held to it too, so
//! that each room can be understood, and tested, with nothing but what stands below it.

use crate::source::{SourceFile, is_identifier, rust_files, words};

const EVERYTHING: &[&str] = &[
    "app",
    "cli",
    "client_cache",
    "clock",
    "config",
    "demo",
    "error",
    "forward_auth",
    "http",
    "jobs",
    "keyring",
    "lifecycle",
    "model",
    "oidc",
    "outbound",
    "pages",
    "password",
    "revocation",
    "root_secret",
    "router",
    "server",
    "store",
    "telemetry",
];

/// Each room, and the rooms that it may import besides itself. `App` holds what a request needs, and every act and handler is given
/// it: so `lifecycle`, `oidc` and `pages` name it.
pub const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("model", &["clock"]),
    ("config", &["model"]),
    ("error", &["model"]),
    ("keyring", &["clock", "config", "model"]),
    ("password", &["clock", "config", "model"]),
    ("store", &["clock", "config", "model"]),
    ("revocation", &["clock", "config", "model", "store"]),
    ("http", &["clock", "config", "error", "model"]),
    ("outbound", &["config"]),
    ("client_cache", &["clock", "model", "store"]),
    ("root_secret", &["keyring", "model", "store"]),
    ("lifecycle", &["app", "client_cache", "clock", "config", "keyring", "model", "revocation", "root_secret", "store"]),
    (
        "oidc",
        &[
            "app",
            "clock",
            "config",
            "error",
            "http",
            "keyring",
            "lifecycle",
            "model",
            "outbound",
            "password",
            "revocation",
            "store",
        ],
    ),
    (
        "pages",
        &["app", "clock", "config", "error", "http", "keyring", "lifecycle", "model", "oidc", "password", "revocation", "store"],
    ),
    ("app", EVERYTHING),
    ("router", EVERYTHING),
    ("server", EVERYTHING),
    ("cli", EVERYTHING),
    (
        "demo",
        &["app", "clock", "config", "http", "jobs", "keyring", "lifecycle", "model", "password", "router", "server", "store"],
    ),
    ("forward_auth", &["http", "model"]),
    ("jobs", EVERYTHING),
    ("telemetry", EVERYTHING),
];

/// What pages may use of the protocol: who is signed in, the way back into an authorization request, and logout. Never the token
/// endpoint or anything that mints.
const PAGES_MAY_USE: [&str; 3] = ["authorize", "logout", "session"];

#[test]
fn rooms_import_only_what_the_plan_allows() {
    let mut wrong = Vec::new();
    for file in rust_files("src") {
        let room = room(&file.path);
        if matches!(room, "lib" | "main" | "testing") {
            continue;
        }
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == room) else {
            wrong.push(format!("{}: the room `{room}` is not in the table of tests/it/layers.rs", file.path));
            continue;
        };
        for (at, path) in imports(&file) {
            let target = path[0].as_str();
            let reenters_elsewhere = room == "pages"
                && target == "oidc"
                && path.get(1).is_some_and(|second| !PAGES_MAY_USE.contains(&second.as_str()));
            if target != room && EVERYTHING.contains(&target) && (!allowed.contains(&target) || reenters_elsewhere) {
                wrong.push(format!("{}: `{room}` may not import `{}`", file.place(at), path.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn every_room_of_the_library_is_in_the_table() {
    let library = rust_files("src").into_iter().find(|file| file.path == "src/lib.rs").unwrap();
    let mut declared: Vec<&str> =
        library.code.lines().filter_map(|line| line.trim().strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let mut listed: Vec<&str> = MAY_IMPORT.iter().map(|(room, _)| *room).collect();
    declared.sort_unstable();
    listed.sort_unstable();
    assert_eq!(declared, listed);
    assert_eq!(declared, EVERYTHING);
}

/// `src/store/users.rs` and `src/store.rs` are in `store`.
fn room(path: &str) -> &str {
    let below = path.strip_prefix("src/").unwrap_or(path);
    below.split('/').next().unwrap_or(below).trim_end_matches(".rs")
}

/// Every path of ours that a file names, from the root of the crate, and where: `use crate::{a::b, c}` names two. Paths that climb
/// to the root with `super::` count as well.
fn imports(file: &SourceFile) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    for at in words(&file.code, "crate") {
        if let Some(rest) = file.code[at + "crate".len()..].strip_prefix("::") {
            use_tree(rest, &mut Vec::new(), &mut |path| found.push((at, path.to_vec())));
        }
    }
    let depth = module_depth(&file.path);
    for at in words(&file.code, "super").filter(|at| !file.code[..*at].ends_with("super::")) {
        let mut rest = &file.code[at..];
        let mut climbed = 0;
        while let Some(above) = rest.strip_prefix("super::") {
            rest = above;
            climbed += 1;
        }
        if climbed >= depth {
            use_tree(rest, &mut Vec::new(), &mut |path| found.push((at, path.to_vec())));
        }
    }
    found
}

/// How many `super::` lead from the file to the root of the crate.
fn module_depth(path: &str) -> usize {
    let names = path.strip_prefix("src/").unwrap_or(path).split('/');
    names.filter(|name| *name != "mod.rs").count()
}

/// Gives each path of the use tree (or plain path) at the start of `text` to `give`, and returns what follows the tree.
fn use_tree<'t>(text: &'t str, above: &mut Vec<String>, give: &mut dyn FnMut(&[String])) -> &'t str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = use_tree(rest, above, give).trim_start();
            match rest.strip_prefix(',') {
                Some(next) if next.trim_start().starts_with('}') => return next.trim_start().strip_prefix('}').unwrap_or(""),
                Some(next) => rest = next,
                None => return rest.strip_prefix('}').unwrap_or(""),
            }
        }
    }
    let end = text.bytes().position(|byte| !is_identifier(byte)).unwrap_or(text.len());
    above.push(text[..end].to_owned());
    let rest = match text[end..].strip_prefix("::") {
        Some(below) => use_tree(below, above, give),
        None => {
            give(above);
            let rest = text[end..].trim_start_matches('*').trim_start();
            // `as name` belongs to the path before it.
            rest.strip_prefix("as ").map_or(rest, |name| {
                name.trim_start().trim_start_matches(|letter: char| letter.is_alphanumeric() || letter == '_')
            })
        }
    };
    above.pop();
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &str, code: &str) -> Vec<String> {
        let file = SourceFile::new(path.to_owned(), code.to_owned());
        imports(&file).into_iter().map(|(_, path)| path.join("::")).collect()
    }

    #[test]
    fn a_use_tree_names_each_of_its_paths() {
        let code = "use crate::{model::{Client, User as Person}, store, clock::*,};\nuse std::fmt;";
        assert_eq!(names("src/http/mod.rs", code), ["model::Client", "model::User", "store", "clock::"]);
    }

    #[test]
    fn a_path_inside_a_body_counts() {
        assert_eq!(names("src/clock.rs", "fn a() { crate::store::open(b)?; other_crate::c(); }"), ["store::open"]);
    }

    #[test]
    fn climbing_to_the_root_counts() {
        assert_eq!(names("src/pages/login.rs", "use super::super::store::Store; use super::layout;"), ["store::Store"]);
        assert_eq!(names("src/password.rs", "use super::store::Store;"), ["store::Store"]);
    }
}
