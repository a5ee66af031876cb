//! What can be wrong with a form, in words. The page shows it above the form and marks the fields it is about.

use crate::pages::words::wait_words;
use crate::password::PolicyError;

/// What went wrong, what to do now, and which fields to mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub what: String,
    pub next: String,
    fields: &'static [&'static str],
}

impl Problem {
    fn new(fields: &'static [&'static str], what: &str, next: &str) -> Self {
        Self { what: what.to_owned(), next: next.to_owned(), fields }
    }

    /// Whether the problem is about the input of this name.
    pub fn is_about(&self, field: &str) -> bool {
        self.fields.contains(&field)
    }

    /// Sign-in failed. Says the same for an unknown account and for a wrong password.
    pub fn wrong_email_or_password() -> Self {
        Self::new(&["email", "password"], "Wrong e-mail or password.", "Please check both and try again.")
    }

    /// Re-authentication failed: the e-mail address is fixed there.
    pub fn wrong_password() -> Self {
        Self::new(&["password"], "That password is not right.", "Please try again.")
    }

    /// The limit of DESIGN §6 is reached.
    pub fn too_many_attempts(wait_seconds: u64) -> Self {
        let next = format!("Please wait {} and try again.", wait_words(wait_seconds));
        Self::new(&[], "There were too many attempts.", &next)
    }

    /// All cores hash and the queue is full (503).
    pub fn busy() -> Self {
        Self::new(&[], "Many people are signing in right now.", "Please try again in a few seconds.")
    }

    /// On the page for the code of a device.
    pub fn not_a_device_code() -> Self {
        Self::new(
            &["user_code"],
            "This is not a code of a device.",
            "It has eight letters, no digits and no vowels. Please check it.",
        )
    }

    /// Says the same for a code that never was, one that has expired and one that was decided.
    pub fn no_such_device_code() -> Self {
        Self::new(
            &["user_code"],
            "No device waits for this code.",
            "It may have expired or been used. Please check it, or start again on the device.",
        )
    }

    /// On the password page.
    pub fn wrong_current_password() -> Self {
        Self::new(&["current_password"], "Your current password is not right.", "Your password was not changed.")
    }

    /// The new password breaks a rule.
    pub fn password_refused(reason: PolicyError) -> Self {
        Self::new(&["new_password", "password"], "This password cannot be used.", &reason.to_string())
    }

    /// The two entries of the new password differ.
    pub fn passwords_differ() -> Self {
        let fields = &["new_password", "new_password_again", "password", "password_again"];
        Self::new(fields, "The two new passwords are not the same.", "Please type them again.")
    }

    /// The new password is the current one.
    pub fn password_unchanged() -> Self {
        Self::new(&["new_password"], "The new password is the same as the current one.", "Please choose another.")
    }

    /// On the set-up page.
    pub fn not_an_email() -> Self {
        Self::new(&["email"], "This does not look like an e-mail address.", "Please check it.")
    }

    /// On the set-up page.
    pub fn name_missing() -> Self {
        Self::new(&["name"], "Your name is missing.", "Please enter the name that others will see.")
    }
}
