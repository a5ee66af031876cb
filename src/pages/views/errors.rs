//! The error page: what happened, what to do, and a number that the log has too.

use askama::Template;

/// One page for everything that a person can do nothing more about here.
#[derive(Clone, Debug, Template)]
#[template(path = "errors/error.html")]
pub struct ErrorPage {
    pub installation: String,
    /// What happened, in a few words: the heading.
    pub what: String,
    /// What that means, in a sentence.
    pub why: String,
    /// What to do now, in a sentence.
    pub next: String,
    /// Where to go from here: address and label. Ours only, never taken from a request.
    pub way_out: Option<(&'static str, &'static str)>,
    /// The request id, which the log has too.
    pub reference: String,
    /// For whoever runs the app: the OAuth error code and its description.
    pub technical: Option<(String, String)>,
}

impl ErrorPage {
    fn new(installation: &str, reference: &str, [what, why, next]: [&str; 3]) -> Self {
        Self {
            installation: installation.to_owned(),
            what: what.to_owned(),
            why: why.to_owned(),
            next: next.to_owned(),
            way_out: Some(("/", "Go to the start page")),
            reference: reference.to_owned(),
            technical: None,
        }
    }

    /// The app's authorization request cannot be answered by a redirect: unknown client, bad redirect URI (RFC 6749 §4.1.2.1).
    pub fn bad_request_of_app(installation: &str, reference: &str, code: &str, description: &str) -> Self {
        let words = [
            "This sign-in link does not work",
            "The app that sent you here made a mistake in its request, so we stopped. Nothing was shared with it.",
            "Go back to the app and try again. If it happens again, tell the people who run the app, and give them the details below.",
        ];
        let technical = Some((code.to_owned(), description.to_owned()));
        Self { technical, way_out: None, ..Self::new(installation, reference, words) }
    }

    /// The stored request is unknown, used or too old.
    pub fn request_expired(installation: &str, reference: &str) -> Self {
        let words = [
            "This sign-in took too long",
            "The page was open for too long, or it was already used in another tab.",
            "Go back to the app and sign in from there again.",
        ];
        Self { way_out: None, ..Self::new(installation, reference, words) }
    }

    /// The CSRF token of a form was missing or wrong.
    pub fn stale_form(installation: &str, reference: &str) -> Self {
        let words = [
            "This page was out of date",
            "It may have been open for a long time, or your browser does not keep our cookies. Nothing was changed.",
            "Go back, reload the page and try again.",
        ];
        Self::new(installation, reference, words)
    }

    /// 404.
    pub fn not_found(installation: &str, reference: &str) -> Self {
        let words = ["There is no such page", "The address may be mistyped, or the page may have moved.", "Check the address."];
        Self::new(installation, reference, words)
    }

    /// 405.
    pub fn method_not_allowed(installation: &str, reference: &str) -> Self {
        let words = [
            "That cannot be done here",
            "This address does not accept what your browser sent.",
            "Start again from the start page.",
        ];
        Self::new(installation, reference, words)
    }

    /// 500. The log has the cause under the reference.
    pub fn internal(installation: &str, reference: &str) -> Self {
        let words = [
            "Something went wrong on our side",
            "It is not your fault, and we have written down what happened.",
            "Please try again in a moment. If it happens again, tell your administrator the reference below.",
        ];
        Self::new(installation, reference, words)
    }

    /// 503.
    pub fn unavailable(installation: &str, reference: &str) -> Self {
        let words = [
            "We cannot do that right now",
            "The service is busy or is being looked after. Your account is safe.",
            "Please try again in a minute.",
        ];
        Self::new(installation, reference, words)
    }

    /// The one-time link of the set-up page is wrong, or an administrator exists already.
    pub fn set_up_link_invalid(installation: &str, reference: &str) -> Self {
        let words = [
            "This set-up link does not work",
            "It can be used once, until the first administrator account exists.",
            "Start the server again to get a new link, or sign in if the account exists already.",
        ];
        Self { way_out: Some(("/login", "Sign in")), ..Self::new(installation, reference, words) }
    }
}
