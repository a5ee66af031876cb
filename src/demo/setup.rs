//! What the demo's provider is made of: its configuration, two clients and two accounts. Safe to run again on the same data.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;

use super::relying_party::{post_logout_redirect_uri, redirect_uri};
use super::{Options, Places, resource_server};
use crate::app::App;
use crate::config::{Config, CustomScope, DeclaredClient};
use crate::lifecycle;
use crate::model::user::{Address, Profile};
use crate::model::{Actor, ClientMetadata, Json, ScopeSet, Secret, User};
use crate::password::Verdict;
use crate::store::{credentials, users};

/// The app's `client_id`.
pub const APP_CLIENT: &str = "demo-app";
/// The API's: it introspects with it.
pub const API_CLIENT: &str = "demo-api";

/// The first password of the demo accounts. Public, which is one reason why the demo never leaves loopback.
pub const PASSWORD: &str = "correct horse battery staple";

/// The clients' secrets, new at each start: nothing has to be kept.
pub struct Secrets {
    pub app: Secret,
    pub api: Secret,
}

impl Secrets {
    pub fn random() -> Self {
        Self { app: Secret::random(), api: Secret::random() }
    }
}

/// A demo account, to be told to the person.
#[derive(Clone, Debug)]
pub struct Account {
    pub email: &'static str,
    /// `PASSWORD` works. If not, the person has changed it.
    pub has_first_password: bool,
}

/// The provider's configuration.
pub fn config(options: &Options, places: &Places, secrets: &Secrets) -> Config {
    let mut config = Config {
        issuer: places.provider.clone(),
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, options.port)),
        scopes: vec![CustomScope {
            name: resource_server::SCOPE.to_owned(),
            description: "Read your notes".to_owned(),
            claims: Vec::new(),
        }],
        clients: vec![app_client(places, &secrets.app), api_client(places, &secrets.api)],
        ..Config::default()
    };
    config.database.url = format!("sqlite:{}", options.data.join("tessera.db").display());
    config.keys.master_key_path = options.data.join("master.key");
    config
}

fn app_client(places: &Places, secret: &Secret) -> DeclaredClient {
    DeclaredClient {
        client_id: APP_CLIENT.to_owned(),
        client_secret: Some(secret.expose().to_owned()),
        metadata: ClientMetadata {
            client_name: Some("Demo app".to_owned()),
            client_uri: Some(places.app.clone()),
            redirect_uris: vec![redirect_uri(&places.app)],
            post_logout_redirect_uris: vec![post_logout_redirect_uri(&places.app)],
            scope: ScopeSet::from(format!("openid profile email phone address roles {}", resource_server::SCOPE)),
            audiences: vec![places.api.clone()],
            ..ClientMetadata::default()
        },
    }
}

fn api_client(places: &Places, secret: &Secret) -> DeclaredClient {
    DeclaredClient {
        client_id: API_CLIENT.to_owned(),
        client_secret: Some(secret.expose().to_owned()),
        metadata: ClientMetadata {
            client_name: Some("Demo API".to_owned()),
            grant_types: Vec::new(),
            scope: ScopeSet::default(),
            resource_server_for: vec![places.api.clone()],
            ..ClientMetadata::default()
        },
    }
}

/// Adds the demo accounts that are missing. Those that are there keep what the person made of them, also their password, unless
/// `reset_passwords`.
///
/// # Errors
/// If the database does not answer.
pub async fn accounts(app: &App, reset_passwords: bool) -> anyhow::Result<Vec<Account>> {
    let mut accounts = Vec::new();
    for (email, describe) in [("demo@example.com", ada as fn(&mut User)), ("second@example.com", grace)] {
        let has_first_password = account(app, email, describe, reset_passwords).await.with_context(|| email.to_owned())?;
        accounts.push(Account { email, has_first_password });
    }
    Ok(accounts)
}

/// Whether the account has the first password.
async fn account(app: &App, email: &str, describe: fn(&mut User), reset_password: bool) -> anyhow::Result<bool> {
    let mut conn = app.store.read().await?;
    let found = users::find_by_email(&mut conn, email).await?;
    let Some(user) = found else {
        drop(conn);
        let mut user = lifecycle::user::new_user(email, app.now());
        user.email_verified = true;
        describe(&mut user);
        let hash = app.passwords.hash(PASSWORD).await?;
        lifecycle::user::create(app, &Actor::operator(), &user, Some(&hash)).await?;
        return Ok(true);
    };
    let hash = credentials::password_hash(&mut conn, &user.id).await?;
    drop(conn);
    match app.passwords.verify(PASSWORD, hash.as_deref()).await? {
        Verdict::Correct | Verdict::CorrectButOutdated => Ok(true),
        Verdict::Wrong if reset_password => {
            let hash = app.passwords.hash(PASSWORD).await?;
            lifecycle::user::change_password(app, &Actor::operator(), &user.id, &hash).await?;
            Ok(true)
        }
        Verdict::Wrong => Ok(false),
    }
}

fn ada(user: &mut User) {
    user.roles = Json(vec!["editor".to_owned()]);
    user.profile = Json(Profile {
        name: Some("Ada Example".to_owned()),
        given_name: Some("Ada".to_owned()),
        family_name: Some("Example".to_owned()),
        phone_number: Some("+356 2000 0000".to_owned()),
        address: Some(Address {
            street_address: Some("1 Mosaic Row".to_owned()),
            locality: Some("Valletta".to_owned()),
            postal_code: Some("VLT 1000".to_owned()),
            country: Some("Malta".to_owned()),
            ..Address::default()
        }),
        ..Profile::default()
    });
}

fn grace(user: &mut User) {
    user.roles = Json(vec!["reader".to_owned()]);
    user.profile = Json(Profile {
        name: Some("Grace Second".to_owned()),
        given_name: Some("Grace".to_owned()),
        family_name: Some("Second".to_owned()),
        ..Profile::default()
    });
}
