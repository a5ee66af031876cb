//! What each page is told: plain data in, a rendered page out (`askama::Template::render`). No handler, no look-up, no decision that
//! matters for safety is made here, except that links and pictures of others are shown only when they are web addresses.

mod account;
mod device;
mod errors;
mod problem;
#[cfg(test)]
mod samples;
mod sign_in;
#[cfg(test)]
mod tests;

pub use account::{AppWithAccess, AppsPage, PasswordPage, ProfileLine, ProfilePage, SessionLine, SessionsPage};
pub use device::{ConfirmDevice, DeviceDone, EnterDeviceCode};
pub use errors::ErrorPage;
pub use problem::Problem;
pub use sign_in::{
    AnswerGoes, ChooseAccount, ConfirmSignOut, Consent, FormPost, Landing, Onward, SetUp, SetUpDone, SignIn, SignInAgain,
    SignedOut,
};

use super::languages::Languages;
use super::words::place_words;
use crate::model::client::ClientOrigin;
use crate::model::{Client, User};
use crate::oidc::authorize::with_query;

/// What every page is told: whose sign-in this is, and where its addresses begin.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// The name that the operator gave this installation.
    pub name: String,
    /// The issuer's path, put before every address of ours: empty or `/…`.
    pub base: String,
}

impl Site {
    /// The site that this provider is.
    pub fn of(app: &crate::app::App) -> Self {
        Self { name: app.config.name.clone(), base: app.issuer.path.clone() }
    }
}

/// An app, as pages show it.
#[derive(Clone, Debug, Default)]
pub struct App {
    pub name: String,
    /// `https` only: an insecure picture on a page that takes passwords is none.
    pub logo: Option<String>,
    pub home: Option<String>,
    pub privacy_policy: Option<String>,
    pub terms: Option<String>,
    /// It made itself known, and no operator vouches for what it says of itself.
    pub unchecked: bool,
    /// Where it comes from, if its `client_id` is an address.
    pub host: Option<String>,
    /// Where the app begins a sign-in by itself (OpenID Connect Core §4).
    pub open: Option<String>,
}

impl App {
    /// What there is to show of a registered client, in one of the person's languages where the client has it. Without `open`, which says who
    /// the provider is: see `openable`.
    pub fn of(client: &Client, languages: &Languages) -> Self {
        let metadata = &client.metadata;
        let chosen = |member: &str, plain: &Option<String>| {
            languages.choose(member, plain.as_deref(), &metadata.localized).map(str::to_owned)
        };
        let link = |member: &str, plain: &Option<String>| web_address(chosen(member, plain).as_deref());
        Self {
            name: chosen("client_name", &metadata.client_name).unwrap_or_else(|| client.id.clone()),
            logo: link("logo_uri", &metadata.logo_uri).filter(|address| address.starts_with("https:")),
            home: link("client_uri", &metadata.client_uri),
            privacy_policy: link("policy_uri", &metadata.policy_uri),
            terms: link("tos_uri", &metadata.tos_uri),
            unchecked: !client.origin.is_vouched_for(),
            host: (client.origin == ClientOrigin::Document).then(|| place_words(&client.id)),
            open: None,
        }
    }

    /// As `of`, with the address that opens the app. It names this provider and nobody else: who the person is, the app learns by the
    /// sign-in that it then begins.
    pub fn openable(client: &Client, issuer: &str, languages: &Languages) -> Self {
        let registered = client.metadata.initiate_login_uri.as_deref().filter(|_| client.disabled_at.is_none());
        let address = web_address(registered).filter(|address| address.starts_with("https:") && !address.contains('#'));
        let open = address.map(|address| with_query(&address, &[("iss", issuer.to_owned())]));
        Self { open, ..Self::of(client, languages) }
    }

    /// Whether there is any link to show.
    pub fn has_links(&self) -> bool {
        self.home.is_some() || self.privacy_policy.is_some() || self.terms.is_some()
    }

    /// Stands in for a missing logo.
    pub fn initial(&self) -> String {
        initial(&self.name)
    }
}

/// The signed-in person, as pages show them.
#[derive(Clone, Debug, Default)]
pub struct Person {
    pub name: String,
    pub email: String,
}

impl Person {
    /// Name (or e-mail address, if there is none) and e-mail address.
    pub fn of(user: &User) -> Self {
        Self { name: user.display_name().to_owned(), email: user.email.clone() }
    }

    /// Stands in for a picture.
    pub fn initial(&self) -> String {
        initial(&self.name)
    }
}

fn initial(name: &str) -> String {
    let first = name.chars().find(|c| c.is_alphanumeric());
    first.map_or_else(|| "·".to_owned(), |c| c.to_uppercase().collect())
}

/// `address` in its normal form if it is an `http` or `https` URL: a `javascript:` link must not reach a page, whoever registered it.
fn web_address(address: Option<&str>) -> Option<String> {
    let url = url::Url::parse(address?).ok()?;
    matches!(url.scheme(), "http" | "https").then(|| url.to_string())
}

/// Where "Not you?" and "Use another account" lead: the sign-in page without the present person.
fn another_account_link(site: &Site, request: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if !request.is_empty() {
        query.append_pair("request", request);
    }
    format!("{}/login?{}", site.base, query.append_pair("account", "another").finish())
}
