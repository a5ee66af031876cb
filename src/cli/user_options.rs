//! The options of `user add` and `user update`, and what they do to an account.

use crate::model::User;

/// What is known about a person.
#[derive(Debug, Default, PartialEq, clap::Args)]
pub(super) struct Details {
    /// Full name, as it is shown
    #[arg(long)]
    name: Option<String>,
    /// Given name
    #[arg(long)]
    given_name: Option<String>,
    /// Family name
    #[arg(long)]
    family_name: Option<String>,
    /// Telephone number, best as +44 20 7946 0000
    #[arg(long)]
    phone: Option<String>,
    /// Roles, with commas between them; they replace all that were there
    #[arg(long, value_delimiter = ',')]
    roles: Option<Vec<String>>,
    /// Groups, with commas between them; they replace all that were there
    #[arg(long, value_delimiter = ',')]
    groups: Option<Vec<String>>,
    /// The e-mail address is known to be the person's
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    verified: Option<bool>,
}

impl Details {
    /// Changes in `user` what was given, and nothing else. An empty value removes.
    pub(super) fn apply(&self, user: &mut User) {
        let set = |field: &mut Option<String>, given: &Option<String>| {
            if let Some(text) = given {
                *field = Some(text.trim().to_owned()).filter(|text| !text.is_empty());
            }
        };
        set(&mut user.profile.name, &self.name);
        set(&mut user.profile.given_name, &self.given_name);
        set(&mut user.profile.family_name, &self.family_name);
        if self.phone.is_some() {
            set(&mut user.profile.phone_number, &self.phone);
            user.profile.phone_number_verified = false;
        }
        let words = |given: &[String]| {
            let mut words: Vec<String> =
                given.iter().map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect();
            words.dedup();
            words
        };
        if let Some(roles) = &self.roles {
            user.roles.0 = words(roles);
        }
        if let Some(groups) = &self.groups {
            user.groups.0 = words(groups);
        }
        if let Some(verified) = self.verified {
            user.email_verified = verified;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_given_changes() {
        let mut user = User { email: "ada@example.com".to_owned(), ..User::default() };
        user.profile.name = Some("Ada".to_owned());
        user.profile.phone_number = Some("1".to_owned());
        user.roles.0 = vec!["admin".to_owned()];
        let untouched = user.clone();
        Details::default().apply(&mut user);
        assert_eq!(user, untouched);
        let text = |text: &str| Some(text.to_owned());
        let details = Details {
            phone: text(""),
            roles: Some(vec![String::new()]),
            given_name: text(" Ada "),
            verified: Some(true),
            ..Details::default()
        };
        details.apply(&mut user);
        assert_eq!((user.profile.phone_number.clone(), user.roles.len(), user.email_verified), (None, 0, true));
        assert_eq!((user.profile.given_name.as_deref(), user.profile.name.as_deref()), (Some("Ada"), Some("Ada")));
    }
}
