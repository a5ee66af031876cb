//! Reading our own source text, for the tests that check the house rules: which files there are, and what of a file is code.

use std::path::{Path, PathBuf};

/// A Rust file of this repository.
pub struct SourceFile {
    /// From the root of the repository: `src/store/users.rs`.
    pub path: String,
    pub text: String,
    /// `text` with comments and the contents of literals turned into spaces: line and column stay.
    pub code: String,
    /// `code` with everything under `#[cfg(test)]` turned into spaces too.
    pub shipped_code: String,
}

impl SourceFile {
    pub fn new(path: String, text: String) -> Self {
        let code = blank_non_code(&text);
        let shipped_code = without_tests(&code);
        Self { path, text, code, shipped_code }
    }

    /// `src/store/users.rs:12`, for the byte offset `at` of `text` or `code`.
    pub fn place(&self, at: usize) -> String {
        format!("{}:{}", self.path, line_of(&self.text, at))
    }
}

/// Every `.rs` file below `folder` of the repository; none if there is no such folder.
pub fn rust_files(folder: &str) -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    walk(&root.join(folder), &mut paths);
    paths.sort();
    let mut files: Vec<SourceFile> = paths
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            SourceFile::new(path.strip_prefix(root).unwrap().to_string_lossy().into_owned(), text)
        })
        .collect();
    let test_modules: Vec<String> = files.iter().flat_map(test_modules).collect();
    for file in &mut files {
        let of_a_test = |module: &String| file.path == format!("{module}.rs") || file.path.starts_with(&format!("{module}/"));
        if test_modules.iter().any(of_a_test) {
            file.shipped_code = blanked(&file.code);
        }
    }
    files
}

/// The modules that a file declares by `#[cfg(test)] mod name;`, as paths without `.rs`.
fn test_modules(file: &SourceFile) -> Vec<String> {
    let stem = file.path.trim_end_matches(".rs");
    let folder = ["/mod", "/lib", "/main"].iter().find_map(|root| stem.strip_suffix(root)).unwrap_or(stem);
    let declared = test_items(&file.code).filter_map(|(start, end)| {
        let words: Vec<&str> = file.code[start..end].strip_suffix(';')?.split_whitespace().collect();
        words.windows(2).find(|pair| pair[0] == "mod").map(|pair| format!("{folder}/{}", pair[1]))
    });
    declared.collect()
}

/// The line, from 1, of the byte offset `at`.
pub fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// Where `word` stands in `code` as a whole word.
pub fn words<'c>(code: &'c str, word: &'c str) -> impl Iterator<Item = usize> + 'c {
    let bytes = code.as_bytes();
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = at.checked_sub(1).map(|index| bytes[index]);
        let after = bytes.get(at + word.len()).copied();
        !before.is_some_and(is_identifier) && !after.is_some_and(is_identifier)
    })
}

pub fn is_identifier(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Comments and the contents of literals become spaces.
fn blank_non_code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => find(bytes, at, b"\n"),
            b'/' if bytes[at..].starts_with(b"/*") => end_of_block_comment(bytes, at),
            b'"' => end_of_quoted(bytes, at),
            b'r' if starts_literal(bytes, at) => end_of_raw_string(bytes, at).unwrap_or(at + 1),
            b'\'' => end_of_character(text, at).unwrap_or(at + 1),
            _ => at + 1,
        };
        if end > at + 1 {
            blank(&mut code[at..end]);
        }
        at = end;
    }
    String::from_utf8(code).expect("whole characters are blanked")
}

fn blank(bytes: &mut [u8]) {
    bytes.iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
}

fn blanked(code: &str) -> String {
    code.chars().map(|letter| if letter == '\n' { '\n' } else { ' ' }).collect()
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> usize {
    bytes[from..].windows(what.len()).position(|window| window == what).map_or(bytes.len(), |found| from + found)
}

fn end_of_block_comment(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start + 2, 1);
    while at < bytes.len() && depth > 0 {
        let step = match &bytes[at..] {
            [b'/', b'*', ..] => (2, 1),
            [b'*', b'/', ..] => (2, -1),
            _ => (1, 0),
        };
        at += step.0;
        depth += step.1;
    }
    at
}

/// The end of a literal that `"` or `'` opens at `start`.
fn end_of_quoted(bytes: &[u8], start: usize) -> usize {
    let quote = bytes[start];
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// Whether the `r` at `at` is not the inside of a word (`br"…"` and `cr"…"` count as literals).
fn starts_literal(bytes: &[u8], at: usize) -> bool {
    let word_starts = |index: usize| index == 0 || !is_identifier(bytes[index - 1]);
    word_starts(at) || (matches!(bytes[at - 1], b'b' | b'c') && word_starts(at - 1))
}

fn end_of_raw_string(bytes: &[u8], start: usize) -> Option<usize> {
    let hashes = bytes[start + 1..].iter().take_while(|byte| **byte == b'#').count();
    let open = start + 1 + hashes;
    if bytes.get(open) != Some(&b'"') {
        return None;
    }
    let close = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
    Some((find(bytes, open + 1, &close) + close.len()).min(bytes.len()))
}

/// None when the `'` opens a lifetime.
fn end_of_character(text: &str, start: usize) -> Option<usize> {
    let mut following = text[start + 1..].char_indices();
    let (_, first) = following.next()?;
    let is_character = first == '\\' || following.next().is_some_and(|(_, second)| second == '\'');
    is_character.then(|| end_of_quoted(text.as_bytes(), start))
}

/// Items under `#[cfg(test)]` become spaces. Takes code that is already free of comments and literals.
fn without_tests(code: &str) -> String {
    let mut left = code.as_bytes().to_vec();
    for (start, end) in test_items(code) {
        blank(&mut left[start..end]);
    }
    String::from_utf8(left).expect("whole items are blanked")
}

/// Where items under `#[cfg(test)]` begin and end, the attribute included.
fn test_items(code: &str) -> impl Iterator<Item = (usize, usize)> {
    let attributes = code.match_indices("#[cfg(test)]").chain(code.match_indices("#[cfg(all(test"));
    attributes.map(|(start, _)| (start, end_of_item(code.as_bytes(), start)))
}

/// The end of the item at `start`: its `;`, or the brace that closes its first.
fn end_of_item(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0;
    for (at, byte) in bytes.iter().enumerate().skip(start) {
        match byte {
            b';' if depth == 0 => return at + 1,
            b'{' => depth += 1,
            b'}' if depth <= 1 => return at + 1,
            b'}' => depth -= 1,
            _ => {}
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_not_code() {
        let text =
            "let a = \"x // unwrap()\"; // b\nlet c = r#\"d\"e\"#; /* f /* g */ h */ let i: &'static str = '\"'; j('\\'');";
        let code = blank_non_code(text);
        assert_eq!(code.len(), text.len());
        assert_eq!(code.split_whitespace().collect::<Vec<_>>().join(" "), "let a = ; let c = ; let i: &'static str = ; j( );");
        assert_eq!(line_of(text, text.find("let c").unwrap()), 2);
    }

    #[test]
    fn code_under_cfg_test_is_not_shipped() {
        let shipped = without_tests("fn a() {}\n#[cfg(test)]\nmod tests { fn b() { c() } }\n#[cfg(test)]\nuse d;\nfn e() {}");
        assert_eq!(shipped.split_whitespace().collect::<Vec<_>>().join(" "), "fn a() {} fn e() {}");
    }

    #[test]
    fn test_modules_in_files_of_their_own_are_found() {
        let declares = |path: &str| {
            test_modules(&SourceFile::new(path.to_owned(), "mod a;\n#[cfg(test)]\nmod tests;\n#[cfg(test)]\nmod b {}".to_owned()))
        };
        assert_eq!(declares("src/keyring/mod.rs"), ["src/keyring/tests"]);
        assert_eq!(declares("src/password.rs"), ["src/password/tests"]);
        assert_eq!(declares("src/lib.rs"), ["src/tests"]);
    }

    #[test]
    fn words_are_whole() {
        assert_eq!(words("rsa rsas _rsa (rsa)", "rsa").collect::<Vec<_>>(), [0, 15]);
    }
}
