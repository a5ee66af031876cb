//! Which passwords people may choose (NIST SP 800-63B §3.1.1.2): long enough, not the account's name, not one that everybody tries.
//! No rules about kinds of characters: they make passwords worse.

use super::MAX_PASSWORD_BYTES;
use super::common::COMMON;

/// A shorter part of an address is in too many words to forbid it.
const MIN_LOCAL_PART: usize = 4;

/// Why a password cannot be chosen. The text is for the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error("Choose a longer password: at least {0} characters. A few unrelated words in a row work well.")]
    TooShort(u32),
    #[error("Choose a shorter password: at most {MAX_PASSWORD_BYTES} bytes, which is about as many letters.")]
    TooLong,
    #[error("Choose a password that does not contain your e-mail address or the name in it.")]
    ContainsEmail,
    #[error("Choose another password: this is one of the first that someone else would try.")]
    TooCommon,
}

/// Checks a password that somebody wants to have from now on. `min_length` counts characters.
///
/// # Errors
/// The first rule that it breaks.
pub fn check_policy(password: &str, email: &str, min_length: u32) -> Result<(), PolicyError> {
    if password.len() > MAX_PASSWORD_BYTES {
        return Err(PolicyError::TooLong);
    }
    if password.chars().count() < min_length as usize {
        return Err(PolicyError::TooShort(min_length));
    }
    let folded = password.to_lowercase();
    let email = email.trim().to_lowercase();
    let local_part = email.split('@').next().unwrap_or_default();
    let contains = |part: &str| part.chars().count() >= MIN_LOCAL_PART && folded.contains(part);
    if folded == email || contains(&email) || contains(local_part) {
        return Err(PolicyError::ContainsEmail);
    }
    let mut characters = folded.chars();
    let first = characters.next();
    if COMMON.contains(&folded.as_str()) || characters.all(|character| Some(character) == first) {
        return Err(PolicyError::TooCommon);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_as_a_table() {
        use PolicyError::*;
        let table = [
            ("correct horse battery staple", Ok(())),
            ("tr0ub4dor", Ok(())),
            ("alllowercase", Ok(())),
            ("пароль-из-слов", Ok(())),
            ("seven77", Err(TooShort(8))),
            ("éééé", Err(TooShort(8))),
            ("éàùöçñøå", Ok(())),
            ("", Err(TooShort(8))),
            ("alice.smith@example.com", Err(ContainsEmail)),
            ("ALICE.SMITH@EXAMPLE.COM", Err(ContainsEmail)),
            ("my Alice.Smith password", Err(ContainsEmail)),
            ("alice smith", Ok(())),
            ("password", Err(TooCommon)),
            ("PassWord", Err(TooCommon)),
            ("12345678", Err(TooCommon)),
            ("aaaaaaaaaaaa", Err(TooCommon)),
            ("aaaaaaaaaaab", Ok(())),
        ];
        for (password, expected) in table {
            assert_eq!(check_policy(password, " Alice.Smith@example.com ", 8), expected, "{password}");
        }
        assert_eq!(check_policy("a bob in the boat", "bob@example.com", 8), Ok(()), "a short name is in many words");
        assert_eq!(check_policy("eve", "eve", 1), Err(ContainsEmail));
        assert_eq!(check_policy("anything", "", 8), Ok(()));
        let longest = "ab".repeat(MAX_PASSWORD_BYTES / 2);
        assert_eq!(check_policy(&longest, "eve@example.com", 8), Ok(()));
        assert_eq!(check_policy(&format!("{longest}a"), "eve@example.com", 8), Err(TooLong));
    }

    #[test]
    fn the_list_is_folded_and_has_no_entry_twice() {
        let mut sorted = COMMON.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), COMMON.len());
        assert!(COMMON.len() >= 150 && COMMON.iter().all(|entry| *entry == entry.to_lowercase()));
    }
}
