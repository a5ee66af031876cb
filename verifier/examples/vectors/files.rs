//! Where the vectors are, and their text.

use std::path::PathBuf;

use crate::{feed, tokens};

/// Path and content of every file that is generated.
pub fn all() -> [(PathBuf, String); 2] {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors"));
    let text = |value: serde_json::Value| format!("{value:#}\n");
    [(folder.join("feed.json"), text(feed::file())), (folder.join("tokens.json"), text(tokens::file()))]
}
