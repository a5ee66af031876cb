//! What is asked of the provider: the requests of each scenario, made with what a running provider has given before.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::http::{self, Connection};
use crate::installation::{REDIRECT_URI, SECRET};
use crate::load::{self, Script};
use crate::setup::{ACCOUNTS, PASSWORD, email};

/// Connections of a scenario.
pub const CONNECTIONS: usize = 16;
/// Codes that are made for one round of the exchange: well redeemed within the minute that they live.
const CODES: usize = 960;
/// A PKCE verifier (RFC 7636 §4.1), the same for all: what is measured is checking it.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk-0";
/// How long preparations may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is measured by itself. `Exchange` and `Refresh` also verify a client and mint an ID token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    Jwks,
    Discovery,
    ClientCredentialsEs256,
    ClientCredentialsRs256,
    Introspection,
    UserInfo,
    Exchange,
    Refresh,
}

impl Scenario {
    pub const ALL: [Self; 8] = [
        Self::Jwks,
        Self::Discovery,
        Self::ClientCredentialsEs256,
        Self::ClientCredentialsRs256,
        Self::Introspection,
        Self::UserInfo,
        Self::Exchange,
        Self::Refresh,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Jwks => "JWKS",
            Self::Discovery => "discovery",
            Self::ClientCredentialsEs256 => "client_credentials ES256",
            Self::ClientCredentialsRs256 => "client_credentials RS256",
            Self::Introspection => "introspection",
            Self::UserInfo => "userinfo",
            Self::Exchange => "code exchange",
            Self::Refresh => "refresh",
        }
    }
}

/// A provider that runs, and what it has given.
pub struct Prepared {
    host: SocketAddr,
    /// The `Cookie` header of somebody who is signed in.
    cookie: String,
    /// For introspection.
    service_token: String,
    /// For userinfo.
    person_token: String,
    /// The refresh tokens in use, one for each connection.
    refresh: Vec<Script>,
}

impl Prepared {
    /// Signs in, and gets the tokens that scenarios need.
    pub async fn new(host: SocketAddr) -> Result<Self> {
        let cookie = sign_in(host).await?;
        let mut prepared = Self { host, cookie, service_token: String::new(), person_token: String::new(), refresh: Vec::new() };
        let mut connection = Connection::open(host).await?;
        let answer = connection.send(&prepared.client_credentials("service-es256")).await?.expect(200)?;
        prepared.service_token = answer.quoted_after("\"access_token\":\"").context("no access_token")?.to_owned();
        for code in prepared.codes(CONNECTIONS)? {
            let answer = connection.send(&prepared.exchange(&code)).await?.expect(200)?;
            prepared.person_token = answer.quoted_after("\"access_token\":\"").context("no access_token")?.to_owned();
            let token = answer.quoted_after("\"refresh_token\":\"").context("no refresh_token")?.to_owned();
            prepared.refresh.push(Script::Refresh { host, headers: basic("app"), token });
        }
        Ok(prepared)
    }

    /// What is signed in a token: the input for the raw signature.
    pub fn signing_input(&self) -> &str {
        self.service_token.rsplit_once('.').map_or("", |(input, _)| input)
    }

    /// A request for an access token of the client's own.
    pub fn client_credentials(&self, client: &str) -> Vec<u8> {
        http::post(self.host, "/token", &basic(client), "grant_type=client_credentials")
    }

    /// The same bytes for the server of empty endpoints, to which they mean nothing.
    pub fn empty(&self, host: SocketAddr, path: &str, post: bool) -> Vec<Script> {
        let request = match post {
            true => http::post(host, path, &basic("service-es256"), "grant_type=client_credentials"),
            false => http::get(host, path, ""),
        };
        same(request)
    }

    /// The scripts of a round.
    pub fn scripts(&mut self, scenario: Scenario) -> Result<Vec<Script>> {
        Ok(match scenario {
            Scenario::Jwks => same(http::get(self.host, "/jwks", "")),
            Scenario::Discovery => same(http::get(self.host, "/.well-known/openid-configuration", "")),
            Scenario::ClientCredentialsEs256 => same(self.client_credentials("service-es256")),
            Scenario::ClientCredentialsRs256 => same(self.client_credentials("service-rs256")),
            Scenario::Introspection => {
                same(http::post(self.host, "/introspect", &basic("api"), &format!("token={}", self.service_token)))
            }
            Scenario::UserInfo => {
                same(http::get(self.host, "/userinfo", &format!("authorization: Bearer {}\r\n", self.person_token)))
            }
            Scenario::Exchange => {
                let requests: Vec<_> = self.codes(CODES)?.iter().map(|code| self.exchange(code)).collect();
                let shares = requests.chunks(requests.len().div_ceil(CONNECTIONS));
                shares.map(|share| Script::Each { requests: share.iter().cloned().collect(), status: 200 }).collect()
            }
            Scenario::Refresh => std::mem::take(&mut self.refresh),
        })
    }

    /// Takes back what a round left: the refresh tokens have changed.
    pub fn keep(&mut self, scenario: Scenario, scripts: Vec<Script>) {
        if scenario == Scenario::Refresh {
            self.refresh = scripts;
        }
    }

    /// Authorization codes, by the front door.
    fn codes(&self, count: usize) -> Result<Vec<String>> {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("response_type", "code")
            .append_pair("client_id", "app")
            .append_pair("redirect_uri", REDIRECT_URI)
            .append_pair("scope", "openid profile email offline_access")
            .append_pair("state", "af0ifjsldkj")
            .append_pair("nonce", "n-0S6_WzA2Mj")
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256")
            .finish();
        let request = http::get(self.host, &format!("/authorize?{query}"), &self.cookie);
        let share = count.div_ceil(CONNECTIONS);
        let scripts =
            (0..CONNECTIONS).map(|_| Script::Authorize { request: request.clone(), left: share, codes: Vec::new() }).collect();
        let (_, scripts) = load::run(self.host, scripts, PATIENCE)?;
        let codes = scripts.into_iter().flat_map(|script| match script {
            Script::Authorize { codes, .. } => codes,
            _ => Vec::new(),
        });
        Ok(codes.collect())
    }

    fn exchange(&self, code: &str) -> Vec<u8> {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", REDIRECT_URI)
            .append_pair("code_verifier", VERIFIER)
            .finish();
        http::post(self.host, "/token", &basic("app"), &form)
    }
}

/// A sign-in form for each account, as a browser sends it that has just been given the page.
pub async fn sign_in_forms(host: SocketAddr) -> Result<Vec<Vec<u8>>> {
    let mut connection = Connection::open(host).await?;
    let mut forms = Vec::new();
    for account in 0..ACCOUNTS {
        let page = connection.send(&http::get(host, "/login", "")).await?.expect(200)?;
        let cookie = cookie_of(&page)?;
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("csrf", page.quoted_after("name=\"csrf\" value=\"").context("no csrf token")?)
            .append_pair("email", &email(account))
            .append_pair("password", PASSWORD)
            .finish();
        forms.push(http::post(host, "/login", &format!("{cookie}origin: http://{host}\r\n"), &form));
    }
    Ok(forms)
}

/// Signs somebody in; gives their `Cookie` header.
async fn sign_in(host: SocketAddr) -> Result<String> {
    let form = sign_in_forms(host).await?.swap_remove(0);
    cookie_of(&Connection::open(host).await?.send(&form).await?.expect(303)?)
}

/// The `Cookie` header for the cookie that an answer sets.
fn cookie_of(answer: &http::Answer<'_>) -> Result<String> {
    let cookie = answer.header("set-cookie").and_then(|cookie| cookie.split(';').next()).context("no cookie")?;
    Ok(format!("cookie: {cookie}\r\n"))
}

/// `Authorization` by `client_secret_basic`; ids and secret here need no form encoding.
fn basic(client: &str) -> String {
    format!("authorization: Basic {}\r\n", STANDARD.encode(format!("{client}:{SECRET}")))
}

fn same(request: Vec<u8>) -> Vec<Script> {
    (0..CONNECTIONS).map(|_| Script::Repeat { request: request.clone(), status: 200 }).collect()
}
