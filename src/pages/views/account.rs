//! A person's own account: profile, password, sessions, apps. Every page has the navigation and a sign-out button, which posts `csrf` to
//! `/sign-out`.

use askama::Template;

use super::{App, Person, Problem, Site};
use crate::model::User;
use crate::pages::words::{ScopeLine, address_words};

/// `/account`.
#[derive(Clone, Debug, Template)]
#[template(path = "account/profile.html")]
pub struct ProfilePage {
    pub site: Site,
    pub csrf: String,
    pub person: Person,
    pub lines: Vec<ProfileLine>,
    /// How many browsers are signed in, this one included.
    pub sessions: usize,
    /// How many apps have access.
    pub apps: usize,
}

/// One fact about the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileLine {
    pub label: &'static str,
    pub value: String,
    /// "confirmed", say. May be empty.
    pub note: &'static str,
}

impl ProfileLine {
    /// What the account holds about the person; facts that are missing are left out, except for name and e-mail address.
    pub fn all_of(user: &User) -> Vec<ProfileLine> {
        let profile = &user.profile;
        let note = |verified: bool| if verified { "confirmed" } else { "not confirmed" };
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let name = profile.name.clone().unwrap_or_else(|| "Not given".to_owned());
        let optional = [
            ("Username", text(&profile.preferred_username), ""),
            ("Nickname", text(&profile.nickname), ""),
            ("Phone", text(&profile.phone_number), note(profile.phone_number_verified)),
            ("Postal address", address_words(user), ""),
            ("Birthday", text(&profile.birthdate), ""),
            ("Website", text(&profile.website), ""),
            ("Language", text(&profile.locale), ""),
            ("Time zone", text(&profile.zoneinfo), ""),
            ("Roles", user.roles.join(", "), ""),
            ("Groups", user.groups.join(", "), ""),
        ];
        let always = [("Name", name, ""), ("E-mail", user.email.clone(), note(user.email_verified))];
        let present = optional.into_iter().filter(|(_, value, _)| !value.is_empty());
        always.into_iter().chain(present).map(|(label, value, note)| ProfileLine { label, value, note }).collect()
    }
}

/// `/account/password`. Posts `csrf`, `current_password`, `new_password`, `new_password_again`.
#[derive(Clone, Debug, Template)]
#[template(path = "account/password.html")]
pub struct PasswordPage {
    pub site: Site,
    pub csrf: String,
    pub person: Person,
    /// Characters that a password needs.
    pub min_length: u32,
    pub problem: Option<Problem>,
    /// The password was just changed.
    pub done: bool,
}

/// `/account/sessions`. Posts `csrf` and either `end_session`, which is a session's id, or `sign_out_everywhere_else`.
#[derive(Clone, Debug, Template)]
#[template(path = "account/sessions.html")]
pub struct SessionsPage {
    pub site: Site,
    pub csrf: String,
    pub person: Person,
    /// The present one first.
    pub sessions: Vec<SessionLine>,
    /// What was just done: "You signed out of Chrome on Windows." Empty at first.
    pub notice: String,
}

impl SessionsPage {
    fn has_others(&self) -> bool {
        self.sessions.iter().any(|session| !session.is_this_one)
    }
}

/// One signed-in browser.
#[derive(Clone, Debug)]
pub struct SessionLine {
    /// `sid`.
    pub id: String,
    /// `words::browser_words`.
    pub browser: String,
    pub ip: String,
    /// `words::when_words` of the sign-in.
    pub signed_in: String,
    /// `words::when_words` of the last use.
    pub last_seen: String,
    pub is_this_one: bool,
}

/// `/account/apps`. Posts `csrf` and `remove_app`, which is a `client_id`.
#[derive(Clone, Debug, Template)]
#[template(path = "account/apps.html")]
pub struct AppsPage {
    pub site: Site,
    pub csrf: String,
    pub person: Person,
    pub apps: Vec<AppWithAccess>,
    /// What was just done: "Ledger no longer has access." Empty at first.
    pub notice: String,
}

/// One app that the person let in.
#[derive(Clone, Debug)]
pub struct AppWithAccess {
    pub client_id: String,
    pub app: App,
    pub scopes: Vec<ScopeLine>,
    /// `words::day_words` of the consent.
    pub since: String,
}
