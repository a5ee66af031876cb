//! Names and words: what people read, and what identifies.

use std::collections::BTreeSet;

use super::{few, refuse_if};
use crate::model::ClientMetadata;

/// The longest `client_name`, in characters.
const LONGEST_NAME: usize = 100;

/// The longest of the other texts, in bytes. An e-mail address has 320 at most.
const LONGEST_TEXT: usize = 320;

/// Members that may be given in other languages (RFC 7591 §2.2), and how many such there may be in all.
pub const LOCALIZED: &[&str] = &["client_name", "client_uri", "logo_uri", "policy_uri", "tos_uri"];
const MOST_LOCALIZED: usize = 200;

/// BCP 47 has no limit; this holds every tag that somebody speaks.
const LONGEST_TAG: usize = 35;

pub(super) fn check(id: &str, metadata: &ClientMetadata, broken: &mut Vec<String>) {
    let well_formed = !id.is_empty() && id.len() <= 255 && id.bytes().all(|b| b.is_ascii_graphic());
    refuse_if(!well_formed, "client_id: must be 1 to 255 printable ASCII characters without spaces", broken);
    if let Some(what) = metadata.client_name.as_deref().and_then(wrong_name) {
        broken.push(format!("client_name: {what}"));
    }
    localized(metadata, broken);
    let texts = [("software_id", &metadata.software_id), ("software_version", &metadata.software_version)];
    for (name, text) in texts {
        refuse_if(text.as_deref().is_some_and(|text| !is_text(text)), format!("{name}: {NOT_A_TEXT}"), broken);
    }
    for (name, list) in [("contacts", &metadata.contacts), ("default_acr_values", &metadata.default_acr_values)] {
        if few(name, list, 20, broken) {
            refuse_if(!list.iter().all(|text| is_text(text)), format!("{name}: {NOT_A_TEXT}"), broken);
        }
    }
    // `acr_values` is a list with spaces between its values.
    let spaced = metadata.default_acr_values.iter().any(|value| value.contains(char::is_whitespace));
    refuse_if(spaced, "default_acr_values: a value has a space in it", broken);
}

const NOT_A_TEXT: &str = "must be texts of 1 to 320 bytes on one line";

fn is_text(text: &str) -> bool {
    (1..=LONGEST_TEXT).contains(&text.len()) && !text.chars().any(|c| c.is_control() || is_invisible(c))
}

fn localized(metadata: &ClientMetadata, broken: &mut Vec<String>) {
    if metadata.localized.len() > MOST_LOCALIZED {
        broken.push(format!("localized: must have {MOST_LOCALIZED} members at most"));
        return;
    }
    let mut seen = BTreeSet::new();
    for (member, text) in &metadata.localized {
        let (name, tag) = member.split_once('#').unwrap_or((member, ""));
        if !LOCALIZED.contains(&name) || !is_language_tag(tag) {
            broken.push(format!(
                "localized: must be one of {} with # and a language tag, such as client_name#de",
                LOCALIZED.join(", ")
            ));
            return;
        }
        // Language tags are compared without regard to case (RFC 5646 §2.1.1).
        refuse_if(!seen.insert(member.to_ascii_lowercase()), format!("localized: {member} is there twice"), broken);
        if name == "client_name"
            && let Some(what) = wrong_name(text)
        {
            broken.push(format!("{member}: {what}"));
        }
    }
}

/// Why a name cannot be shown to people, if so.
fn wrong_name(name: &str) -> Option<&'static str> {
    if name.trim().is_empty() || name.chars().count() > LONGEST_NAME {
        return Some("must have 1 to 100 characters");
    }
    if name.chars().any(|c| c.is_control() || is_invisible(c)) || joiner_in_latin(name) {
        return Some("has a character that is not visible, or that changes the direction of writing");
    }
    None
}

/// Characters with which a name can look like another one, or turn the words around it (Unicode TR 36 §2.5, TR 39 §5): direction marks,
/// embeddings, overrides and isolates; spaces of no width; separators of lines; tags; what is not to be interchanged.
const fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'
        | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Joiners are letters' companions in Persian or Hindi, and hold emoji together; beside a Latin letter they only hide.
fn joiner_in_latin(name: &str) -> bool {
    let mut before = 'a';
    let mut joiner_before = false;
    for c in name.chars().chain(['a']) {
        let joiner = matches!(c, '\u{200c}' | '\u{200d}');
        if (joiner && (before.is_ascii() || joiner_before)) || (joiner_before && c.is_ascii()) {
            return true;
        }
        (before, joiner_before) = (c, joiner);
    }
    false
}

/// Whether it is formed like a language tag (RFC 5646 §2.1): subtags of one to eight letters and digits, first the language in letters.
pub fn is_language_tag(tag: &str) -> bool {
    let mut subtags = tag.split('-');
    let language = subtags.next().unwrap_or_default();
    tag.len() <= LONGEST_TAG
        && (2..=8).contains(&language.len())
        && language.bytes().all(|b| b.is_ascii_alphabetic())
        && subtags.all(|subtag| (1..=8).contains(&subtag.len()) && subtag.bytes().all(|b| b.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_deceive_are_refused() {
        for name in ["Ledger", "Büro 4", "会計", "دفتر\u{200c}ها", "👩\u{200d}💻 Tools", "A & B <c>"] {
            assert_eq!(wrong_name(name), None, "{name:?}");
        }
        for name in [
            "",
            "  ",
            "a\nb",
            "a\0",
            "Led\u{200b}ger",
            "Led\u{ad}ger",
            "\u{202e}regdeL",
            "a\u{2066}b\u{2069}",
            "a\u{200e}",
            "x\u{e0041}",
            "Pay\u{200d}pal",
            "会\u{200d}\u{200d}計",
            "会\u{200d}",
            "\u{3164}",
            "a\u{85}b",
            &"x".repeat(101),
        ] {
            assert!(wrong_name(name).is_some(), "{name:?}");
        }
    }

    #[test]
    fn language_tags() {
        for tag in ["de", "pt-BR", "zh-Hant-TW", "sl-rozaj-biske-1994", "ast"] {
            assert!(is_language_tag(tag), "{tag}");
        }
        for tag in ["", "d", "de_AT", "de-", "-de", "1a", "deutschland", "de-abcdefghi", "de-AT-".repeat(6).as_str(), "dé"] {
            assert!(!is_language_tag(tag), "{tag}");
        }
    }
}
