//! The pages on the way into an app and out again: sign-in, account choice, consent, the hand-over, sign-out, and the first set-up.

use askama::Template;

use super::{App, Person, Problem, Site, another_account_link};
use crate::pages::words::ScopeLine;

/// `/login`. Posts `csrf`, `request`, `device`, `email`, `password`.
#[derive(Clone, Debug, Template)]
#[template(path = "sign_in/sign_in.html")]
pub struct SignIn {
    pub site: Site,
    pub csrf: String,
    /// The waiting authorization request; empty when a person came of their own accord.
    pub request: String,
    pub app: Option<App>,
    /// The code of the device that the person is about to connect; empty if there is none.
    pub device: String,
    /// What was typed before, or the `login_hint`.
    pub email: String,
    pub problem: Option<Problem>,
}

/// `/login` when a signed-in person must prove again who they are (`prompt=login`, `max_age`). Posts the same fields, and
/// `again`: the address is then the signed-in person's, whatever the form says.
#[derive(Clone, Debug, Template)]
#[template(path = "sign_in/again.html")]
pub struct SignInAgain {
    pub site: Site,
    pub csrf: String,
    pub request: String,
    pub app: Option<App>,
    pub person: Person,
    pub problem: Option<Problem>,
}

impl SignInAgain {
    fn another_account(&self) -> String {
        another_account_link(&self.site, &self.request)
    }
}

/// `/select-account`, for `prompt=select_account`. Posts `csrf`, `request` and `continue_as`.
#[derive(Clone, Debug, Template)]
#[template(path = "sign_in/choose.html")]
pub struct ChooseAccount {
    pub site: Site,
    pub csrf: String,
    pub request: String,
    pub app: Option<App>,
    pub person: Person,
}

impl ChooseAccount {
    fn another_account(&self) -> String {
        another_account_link(&self.site, &self.request)
    }
}

/// `/consent`. Posts `csrf`, `request` and `decision`, which is `allow` or `deny`.
#[derive(Clone, Debug, Template)]
#[template(path = "consent/consent.html")]
pub struct Consent {
    pub site: Site,
    pub csrf: String,
    pub request: String,
    pub app: App,
    pub answer_goes: AnswerGoes,
    pub person: Person,
    /// Host (and port) of the redirect URI, or its scheme for a native app.
    pub returns_to: String,
    pub scopes: Vec<ScopeLine>,
    /// The app has had access before and now asks for more, or asks again.
    pub asks_again: bool,
    /// The answer holds for the next time.
    pub is_remembered: bool,
}

/// Where the answer goes to an app that nobody vouches for: what people are warned of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerGoes {
    /// There is nothing to warn of.
    Home,
    /// To whatever listens, or is installed, on the person's own device.
    ToThisDevice,
    /// To another host than the one that the app comes from.
    Elsewhere,
}

impl Consent {
    fn another_account(&self) -> String {
        another_account_link(&self.site, &self.request)
    }
}

/// Hands the authorization response over by POST (OAuth 2.0 Form Post Response Mode 1.0 §2). The page's script sends it at once; without
/// scripts there is a button. Its CSP must leave `form-action` open and allow `script-src 'self'`.
#[derive(Clone, Debug, Template)]
#[template(path = "consent/form_post.html")]
pub struct FormPost {
    pub site: Site,
    /// The app's host, or the scheme of a native app.
    pub returns_to: String,
    /// The checked redirect URI.
    pub action: String,
    /// The response parameters.
    pub fields: Vec<(&'static str, String)>,
}

/// `/logout` when the request proves nothing. Posts `csrf`, the request's own parameters, and `confirm_sign_out` or `stay_signed_in` to
/// `/logout/confirm`.
#[derive(Clone, Debug, Template)]
#[template(path = "signed_out/confirm.html")]
pub struct ConfirmSignOut {
    pub site: Site,
    pub csrf: String,
    /// The parameters of the logout request. They are checked again when they come back.
    pub fields: Vec<(&'static str, String)>,
    /// Who asks, when that is known.
    pub app: Option<App>,
    /// Where the browser goes afterwards: a host. Empty if it stays here.
    pub returns_to: String,
    pub person: Person,
}

/// After sign-out. If there are `frames`, its CSP must allow them (`http::headers::page_policy_with_frames`).
#[derive(Clone, Debug, Template)]
#[template(path = "signed_out/signed_out.html")]
pub struct SignedOut {
    pub site: Site,
    /// The app from which the person signed out; linked when its home page is known.
    pub app: Option<App>,
    /// Addresses at which apps of the session sign the person out (OpenID Connect Front-Channel Logout 1.0).
    pub frames: Vec<String>,
    /// Where the app wants the browser next.
    pub onward: Option<Onward>,
}

/// Where the browser goes after sign-out.
#[derive(Clone, Debug)]
pub struct Onward {
    /// A checked `post_logout_redirect_uri`.
    pub address: String,
    /// `words::place_words` of it.
    pub place: String,
    /// By itself, once the frames are loaded. Otherwise it is a link.
    pub at_once: bool,
}

impl SignedOut {
    /// The address, if the page goes there by itself.
    fn goes_on_to(&self) -> Option<&str> {
        self.onward.as_ref().filter(|onward| onward.at_once).map(|onward| onward.address.as_str())
    }
}

/// `/`, for people who type the address.
#[derive(Clone, Debug, Template)]
#[template(path = "sign_in/landing.html")]
pub struct Landing {
    pub site: Site,
    pub person: Option<Person>,
    /// The signed-in person's apps that can be opened from here.
    pub apps: Vec<App>,
}

/// `/setup`: the first administrator. Posts `csrf`, `token`, `email`, `name`, `password`, `password_again`.
#[derive(Clone, Debug, Template)]
#[template(path = "setup/set_up.html")]
pub struct SetUp {
    pub site: Site,
    pub csrf: String,
    pub token: String,
    pub email: String,
    pub name: String,
    /// Characters that a password needs.
    pub min_length: u32,
    pub problem: Option<Problem>,
}

/// The first administrator exists.
#[derive(Clone, Debug, Template)]
#[template(path = "setup/done.html")]
pub struct SetUpDone {
    pub site: Site,
    pub email: String,
}
