//! A person's browser without a screen: it keeps cookies, follows redirects and submits forms.

use reqwest::header::{LOCATION, ORIGIN};
use url::Url;

/// A person's browser: it keeps cookies, and reads forms.
pub struct Visitor {
    http: reqwest::Client,
    issuer: String,
    /// Where else redirects are followed to.
    apps: Vec<String>,
}

/// What the browser shows, or where it is sent.
pub struct Shown {
    pub status: u16,
    pub location: Option<Url>,
    pub body: String,
}

impl Visitor {
    /// A new browser for the provider `issuer`, and for these apps.
    pub fn new(issuer: &str, apps: &[&str]) -> Self {
        let http = reqwest::Client::builder().cookie_store(true).redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { http, issuer: issuer.to_owned(), apps: apps.iter().map(|&app| app.to_owned()).collect() }
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Shown {
        let answer = request.send().await.unwrap();
        let location = answer.headers().get(LOCATION).map(|location| answer.url().join(location.to_str().unwrap()).unwrap());
        Shown { status: answer.status().as_u16(), location, body: answer.text().await.unwrap() }
    }

    /// Follows redirects to the provider and the apps; stops at a page, or at the first redirect that leads elsewhere.
    pub async fn open(&self, url: Url) -> Shown {
        self.go_on(self.send(self.http.get(url)).await).await
    }

    async fn go_on(&self, mut shown: Shown) -> Shown {
        for _ in 0..10 {
            match &shown.location {
                Some(location) if self.knows(location) => {
                    shown = self.send(self.http.get(location.clone())).await;
                }
                _ => return shown,
            }
        }
        panic!("the provider sends the browser round in circles");
    }

    fn knows(&self, url: &Url) -> bool {
        self.apps.iter().chain([&self.issuer]).any(|known| url.as_str().starts_with(known))
    }

    /// Submits the page's only form, its hidden inputs with what the person entered.
    pub async fn submit(&self, page: &Shown, entered: &[(&str, &str)]) -> Shown {
        assert_eq!(page.status, 200, "{}", page.body);
        let form = page.body.split("<form ").nth(1).unwrap_or_else(|| panic!("no form in {}", page.body));
        let mut fields: Vec<(&str, &str)> = form
            .split("<input ")
            .skip(1)
            .filter(|input| input.starts_with("type=\"hidden\""))
            .map(|input| (attribute(input, "name"), attribute(input, "value")))
            .collect();
        fields.extend(entered);
        let url = Url::parse(&self.issuer).unwrap().join(attribute(form, "action")).unwrap();
        let request = self.http.post(url).header(ORIGIN, &self.issuer).form(&fields);
        self.go_on(self.send(request).await).await
    }
}

fn attribute<'t>(tag: &'t str, name: &str) -> &'t str {
    let (_, rest) = tag.split_once(&format!("{name}=\"")).unwrap_or_else(|| panic!("no {name} in {tag}"));
    rest.split('"').next().unwrap()
}

/// A parameter of the query.
pub fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}
