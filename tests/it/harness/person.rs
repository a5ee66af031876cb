//! A person at a browser: reads a page's form, fills it in, presses a button, until the provider has nothing more to ask.

use super::provider::{Browser, PASSWORD, Response};

/// The form of a page: where it leads, and what it already holds.
#[derive(Debug)]
pub struct Form {
    pub action: String,
    pub method: String,
    /// The inputs, in their order; no buttons.
    pub fields: Vec<(String, String)>,
}

impl Form {
    /// The first form of a page.
    pub fn of(page: &str) -> Option<Self> {
        let (_, rest) = page.split_once("<form")?;
        let (head, rest) = rest.split_once('>')?;
        let (inside, _) = rest.split_once("</form>")?;
        let inputs = inside.split("<input").skip(1).map(|input| input.split_once('>').map_or(input, |(tag, _)| tag));
        let field = |tag| Some((attribute(tag, "name")?, attribute(tag, "value").unwrap_or_default()));
        Some(Self {
            action: attribute(head, "action")?,
            method: attribute(head, "method")?,
            fields: inputs.filter_map(field).collect(),
        })
    }

    /// Types `value` into the field `name`, or presses the button of that name.
    pub fn set(&mut self, name: &str, value: &str) {
        self.fields.retain(|(known, _)| known != name);
        self.fields.push((name.to_owned(), value.to_owned()));
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    Some(unescape(rest.split_once('"')?.0))
}

/// HTML's character references, as far as pages write them.
pub fn unescape(text: &str) -> String {
    let mut parts = text.split('&');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (reference, rest) = part.split_once(';').unwrap_or_else(|| panic!("a bare ampersand: {text}"));
        plain.push(match reference {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            number => {
                let digits = number.strip_prefix('#').unwrap_or_else(|| panic!("what is &{number};?"));
                let code = match digits.strip_prefix('x') {
                    Some(hex) => u32::from_str_radix(hex, 16),
                    None => digits.parse(),
                };
                char::from_u32(code.unwrap()).unwrap()
            }
        });
        plain.push_str(rest);
    }
    plain
}

/// A page that asked something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    SignIn,
    /// "Confirm that it’s you": the password alone.
    Again,
    Account,
    Consent,
    SignOut,
}

/// Where the browser ended up, and what was asked on the way.
#[derive(Debug)]
pub struct Journey {
    pub asked: Vec<Asked>,
    pub end: Response,
}

impl Browser {
    /// Goes on from `response` as a person does who says yes to everything: follows redirects within the provider and answers its pages. Ends
    /// at the first redirect that leads elsewhere, and at a page that asks nothing, or posts itself elsewhere.
    pub async fn go_through(&mut self, response: Response, email: &str) -> Journey {
        let mut journey = Journey { asked: Vec::new(), end: response };
        for _ in 0..12 {
            if journey.end.location().starts_with('/') {
                let path = journey.end.location().to_owned();
                journey.end = self.get(&path).await;
                continue;
            }
            let Some((asked, form)) = answer(&journey.end, email) else { return journey };
            let fields: Vec<(&str, &str)> = form.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            journey.asked.push(asked);
            journey.end = self.post(&form.action, &fields).await;
        }
        panic!("goes round in circles: {journey:?}");
    }
}

/// The filled-in form of a page that asks something.
fn answer(page: &Response, email: &str) -> Option<(Asked, Form)> {
    let mut form = Form::of(&page.body).filter(|form| form.action.starts_with('/'))?;
    let has = |id: &str| page.body.contains(&format!("id=\"{id}\""));
    let asked = if has("password") {
        form.set("email", email);
        form.set("password", PASSWORD);
        form.set("sign_in", "yes");
        if page.body.contains("name=\"again\"") { Asked::Again } else { Asked::SignIn }
    } else if has("continue-as") {
        form.set("continue_as", "yes");
        Asked::Account
    } else if has("allow") {
        form.set("decision", "allow");
        Asked::Consent
    } else if has("confirm-sign-out") {
        form.set("confirm_sign_out", "yes");
        Asked::SignOut
    } else {
        return None;
    };
    Some((asked, form))
}

#[test]
fn a_form_is_read_as_a_browser_reads_it() {
    let page = "<p><form id=\"f\" method=\"post\" action=\"/a?b=1&amp;c=2\"><input type=\"hidden\" name=\"x\" value=\"&#34;&lt;&#x27;\">\
                <input name=\"y\"></form><form action=\"/other\">";
    let form = Form::of(page).unwrap();
    assert_eq!((form.action.as_str(), form.method.as_str()), ("/a?b=1&c=2", "post"));
    assert_eq!(form.fields, [("x".to_owned(), "\"<'".to_owned()), ("y".to_owned(), String::new())]);
}
