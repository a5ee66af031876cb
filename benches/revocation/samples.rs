//! A token for each sample, and what takes it back: RFC 7009 over HTTP at the last replica, or, as the operator's commands and the
//! account page do it, a transaction of another process on the same database.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use tessera::lifecycle;
use tessera::model::client::GrantType;
use tessera::model::secret::new_id;
use tessera::model::{Actor, AuditKind, ClientMetadata};
use tokio::time::{Instant, sleep};

use crate::http::{self, Connection};
use crate::installation::{REDIRECT_URI, SECRET};
use crate::scene::{AUDIENCE, Scene, member, revocation, token_of};

/// A PKCE verifier (RFC 7636 §4.1), the same for all.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk-0";
const PATIENCE: Duration = Duration::from_secs(20);

/// What a token is taken back by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Token,
    Session,
    /// A password is changed.
    User,
    Client,
    Key,
}

/// A token, and the name of what it is taken back by: itself, its `sid`, `sub`, `client_id` or `kid`.
pub struct Sample {
    pub kind: Kind,
    pub token: String,
    name: String,
}

impl Kind {
    pub const ALL: [Self; 5] = [Self::Token, Self::Session, Self::User, Self::Client, Self::Key];

    pub fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Session => "session",
            Self::User => "user",
            Self::Client => "client",
            Self::Key => "key",
        }
    }
}

/// As many samples of each kind but `Key`, one kind after the other and then again.
pub async fn prepare(scene: &Scene, count: usize) -> Result<Vec<Sample>> {
    let mut connection = Connection::open(scene.first().address).await?;
    let mut samples = Vec::new();
    for _ in 0..count {
        let token = token_of(&mut connection, scene.first().address, "service-es256", SECRET).await?;
        samples.push(Sample { kind: Kind::Token, name: token.clone(), token });
        let token = token_of_person(scene, &mut connection).await?;
        samples.push(Sample { kind: Kind::Session, name: member(&token, 1, "sid")?, token });
        let token = token_of_person(scene, &mut connection).await?;
        samples.push(Sample { kind: Kind::User, name: member(&token, 1, "sub")?, token });
        let client = new_id();
        let metadata = ClientMetadata {
            grant_types: vec![GrantType::ClientCredentials],
            audiences: vec![AUDIENCE.to_owned()],
            ..ClientMetadata::default()
        };
        let secret = lifecycle::client::create(&scene.operator, &Actor::operator(), &client, metadata).await?;
        let secret = secret.context("a client without a secret")?;
        let token = token_of(&mut connection, scene.first().address, &client, secret.expose()).await?;
        samples.push(Sample { kind: Kind::Client, name: client, token });
    }
    Ok(samples)
}

/// A token under a key that is not among `revoked`. A replica learns of a new key a little later than the one that made it.
pub async fn under_new_key(scene: &Scene, client: &str, revoked: &HashSet<String>) -> Result<Sample> {
    let start = Instant::now();
    let host = scene.first().address;
    let mut connection = Connection::open(host).await?;
    loop {
        let token = token_of(&mut connection, host, client, SECRET).await?;
        let kid = member(&token, 0, "kid")?;
        if !revoked.contains(&kid) {
            return Ok(Sample { kind: Kind::Key, token, name: kid });
        }
        ensure!(start.elapsed() < PATIENCE, "the replica goes on signing under a revoked key");
        sleep(Duration::from_millis(20)).await;
    }
}

impl Sample {
    pub fn kid(&self) -> String {
        self.name.clone()
    }

    /// Takes it back. When this returns, the provider has answered.
    pub async fn take_back(&self, scene: &Scene) -> Result<()> {
        let (app, actor, name) = (&*scene.operator, &Actor::operator(), &self.name);
        let done = match self.kind {
            Kind::Token => {
                let mut connection = Connection::open(scene.last()).await?;
                connection.send(&revocation(scene.last(), "service-es256", name)).await?.expect(200)?;
                true
            }
            Kind::Session => lifecycle::session::end(app, actor, AuditKind::SignedOut, name).await?,
            Kind::User => lifecycle::user::change_password(app, actor, name, "another hash").await.map(|()| true)?,
            Kind::Client => lifecycle::client::disable(app, actor, name).await?,
            Kind::Key => lifecycle::key::revoke(app, actor, name).await?,
        };
        ensure!(done, "there was nothing to take back by {:?}", self.kind);
        Ok(())
    }
}

/// An access token of a new person, who has just signed in: by the front door from there on.
async fn token_of_person(scene: &Scene, connection: &mut Connection) -> Result<String> {
    let (app, actor, host) = (&scene.operator, Actor::operator(), scene.first().address);
    let user = lifecycle::user::new_user(&format!("{}@example.com", new_id()), app.now());
    lifecycle::user::create(app, &actor, &user, None).await?;
    let started = lifecycle::session::start(app, &Actor::default(), &user.id, &["pwd"], "benchmark", None).await?;
    let cookie = format!("cookie: {}={}\r\n", app.issuer.cookies.session, started.cookie.expose());
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("response_type", "code")
        .append_pair("client_id", "app")
        .append_pair("redirect_uri", REDIRECT_URI)
        .append_pair("scope", "openid")
        .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER)))
        .append_pair("code_challenge_method", "S256")
        .finish();
    let answer = connection.send(&http::get(host, &format!("/authorize?{query}"), &cookie)).await?.expect(303)?;
    let location = answer.header("location").unwrap_or_default();
    let code = location.split(['?', '&']).find_map(|part| part.strip_prefix("code="));
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "authorization_code")
        .append_pair("code", code.with_context(|| format!("no code in {location}"))?)
        .append_pair("redirect_uri", REDIRECT_URI)
        .append_pair("code_verifier", VERIFIER)
        .finish();
    let answer = connection.send(&crate::scene::post(host, "/token", "app", SECRET, &form)).await?.expect(200)?;
    Ok(answer.quoted_after("\"access_token\":\"").context("no access_token")?.to_owned())
}
