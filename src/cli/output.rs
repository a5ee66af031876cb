//! Printing: tables and lines for people, JSON for scripts. Standard output has what was asked for, standard error the rest.
//!
//! People choose their own names, so nothing stored reaches a terminal before characters that could steer it are made visible.

use std::io::{self, ErrorKind, Write};

use serde_json::{Value, json};

use crate::clock::Timestamp;

/// Writes to standard output. That nobody reads on (`| head`) is no error.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// A line on standard output.
pub fn line(text: &str) -> anyhow::Result<()> {
    print(&format!("{text}\n"))
}

/// A remark on standard error, where no script looks for data.
pub fn note(text: &str) {
    // If standard error is closed, there is nobody to tell.
    let _ = writeln!(io::stderr(), "{text}");
}

/// JSON on standard output, indented.
pub fn json(value: &Value) -> anyhow::Result<()> {
    line(&format!("{value:#}"))
}

/// JSON for a script or a line for a person.
pub fn either(as_json: bool, value: impl FnOnce() -> Value, words: &str) -> anyhow::Result<()> {
    if as_json { json(&value()) } else { line(words) }
}

/// `text` in which nothing can move the cursor, colour the terminal, end the line, or turn the direction of writing.
pub fn printable(text: &str) -> String {
    let steers =
        |c: char| c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        if steers(c) {
            shown.extend(c.escape_default())
        } else {
            shown.push(c)
        }
        shown
    })
}

/// A moment as a script reads it: RFC 3339, or null.
pub fn moment(at: Option<Timestamp>) -> Value {
    json!(at.map(Timestamp::rfc3339))
}

/// Columns under a header, each as wide as its widest cell.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let header: Vec<String> = header.iter().map(|&name| name.to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(&header)
        .filter(|header| !header.is_empty())
        .chain(rows)
        .map(|row| row.iter().map(|cell| printable(cell)).collect())
        .collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Names and values below each other.
pub fn fields(fields: &[(&str, String)]) -> String {
    let rows: Vec<Vec<String>> = fields.iter().map(|(name, value)| vec![format!("{name}:"), value.clone()]).collect();
    table(&[], &rows)
}

/// A long list, printed portion by portion: a table, or one JSON array.
pub struct List {
    json: bool,
    header: &'static [&'static str],
    empty: bool,
}

impl List {
    pub fn new(json: bool, header: &'static [&'static str]) -> Self {
        Self { json, header, empty: true }
    }

    /// Prints a portion. Columns are as wide as this portion needs.
    pub fn rows(&mut self, rows: impl IntoIterator<Item = (Vec<String>, Value)>) -> anyhow::Result<()> {
        let (cells, values): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        if cells.is_empty() {
            return Ok(());
        }
        let header = if self.empty { self.header } else { &[] };
        let text = if self.json {
            let before = |i: usize| if i == 0 && self.empty { "[" } else { "," };
            values.iter().enumerate().map(|(i, value)| format!("{}\n{value}", before(i))).collect()
        } else {
            table(header, &cells)
        };
        self.empty = false;
        print(&text)
    }

    /// Ends the list; `nothing` is said to a person if it had no row.
    pub fn end(self, nothing: &str) -> anyhow::Result<()> {
        match (self.json, self.empty) {
            (true, true) => line("[]"),
            (true, false) => line("\n]"),
            (false, true) => {
                note(nothing);
                Ok(())
            }
            (false, false) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_not_padded() {
        let rows = [vec!["a".to_owned(), "long one".to_owned()], vec!["ünï".to_owned(), "b".to_owned()]];
        assert_eq!(table(&["id", "name"], &rows), "id   name\na    long one\nünï  b\n");
        assert_eq!(fields(&[("id", "1".to_owned()), ("name", String::new())]), "id:    1\nname:\n");
    }

    #[test]
    fn what_steers_a_terminal_is_made_visible() {
        assert_eq!(printable("a\x1b[31mb\nc\u{202e}d é"), "a\\u{1b}[31mb\\nc\\u{202e}d é");
        assert!(!table(&["name"], &[vec!["\x1b]0;owned\x07".to_owned()]]).contains('\x1b'));
    }
}
