//! What a request may need, made once at start.

use std::fs::{DirBuilder, OpenOptions};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use arc_swap::ArcSwap;
use axum::http::HeaderMap;
use tokio::time::{Instant, sleep_until, timeout};

use crate::client_cache::ClientCache;
use crate::clock::{Clock, Timestamp};
use crate::config::{Config, Keys};
use crate::http::cookies::CookieNames;
use crate::http::rate_limit::RateLimiter;
use crate::http::{RequestId, client_ip, csrf};
use crate::keyring::{KeyEncryptionKey, KeySet, Keyring};
use crate::lifecycle;
use crate::model::{Actor, SigningKey};
use crate::oidc::client_document::{ClientDocuments, client_documents};
use crate::oidc::client_keys::{ClientKeys, client_keys};
use crate::oidc::metadata::Documents;
use crate::oidc::revocation_feed::Feed;
use crate::oidc::status_list::StatusLists;
use crate::outbound::Outbound;
use crate::password::PasswordHasher;
use crate::revocation::{self, Revocations};
use crate::root_secret::DerivedKeys;
use crate::store::{Store, signing_keys};
use crate::telemetry::Metrics;

/// The keys are read every other second. Later than this something kept us from it, and they may have been changed long ago.
const CONFIRMED_FOR: Duration = Duration::from_secs(10);

/// A request waits no longer for them.
const LONGEST_CONFIRMATION: Duration = Duration::from_secs(2);

/// The provider, apart from its sockets.
pub struct App {
    pub config: Config,
    pub issuer: Issuer,
    pub clock: Clock,
    pub store: Store,
    key_encryption_key: ArcSwap<KeyEncryptionKey>,
    /// The key-encryption key's file could not be read the last time.
    key_file_unread: AtomicBool,
    pub keyring: Keyring,
    /// Held while the signing keys are read: a slow reader must not put back what a quicker one has replaced.
    reading_keys: tokio::sync::Mutex<()>,
    /// A moment, in microseconds, at which the keyring had the keys as they were stored.
    keys_confirmed_at: AtomicI64,
    /// Held by whoever reads the keys for all who want to know at the same time.
    asking: tokio::sync::Mutex<Option<Asked>>,
    pub secrets: DerivedKeys,
    pub revocations: Revocations,
    pub feed: Feed,
    pub clients: ClientCache,
    pub passwords: PasswordHasher,
    pub limits: RateLimiter,
    pub outbound: Arc<Outbound>,
    pub client_keys: ClientKeys,
    pub client_documents: ClientDocuments,
    pub metrics: Arc<Metrics>,
    /// Set when the provider is about to stop: it is not ready then, so that no new work is sent to it.
    pub draining: AtomicBool,
    pub documents: Documents,
    pub status_lists: StatusLists,
}

/// The keys were read because of requests.
struct Asked {
    at: Instant,
    /// Whether they could be read; none if whoever began to went away.
    outcome: Option<bool>,
}

/// The issuer identifier and what follows from it.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// `iss`, without a trailing slash.
    pub url: String,
    /// Scheme, host and port: what a browser sends as `Origin`.
    pub origin: String,
    /// The path under which everything is served; empty or `/…`.
    pub path: String,
    /// Reached over TLS.
    pub secure: bool,
    /// What the provider's cookies are called.
    pub cookies: CookieNames,
}

impl Issuer {
    /// Takes a validated issuer URL apart.
    pub fn new(url: &str) -> Self {
        let url = url.trim_end_matches('/');
        let after_scheme = url.find("://").map_or(0, |at| at + 3);
        let path_at = url.get(after_scheme..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| after_scheme + at);
        Self {
            url: url.to_owned(),
            origin: csrf::origin_of(url),
            path: url.get(path_at..).unwrap_or_default().to_owned(),
            secure: url.starts_with("https://"),
            cookies: CookieNames::for_issuer(url),
        }
    }

    /// The absolute URL of one of our paths.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }
}

impl App {
    /// Opens everything that `config` names. On SQLite the database is migrated, on PostgreSQL it must have been.
    ///
    /// # Errors
    /// In words for an operator.
    pub async fn open(config: Config, clock: Clock) -> anyhow::Result<Arc<Self>> {
        let store = open_store(&config).await?;
        if matches!(store, Store::Sqlite { .. }) {
            store.migrate().await?;
        } else if store.migration_status().await?.iter().any(|migration| !migration.applied) {
            anyhow::bail!("the database lacks migrations: run `tessera db migrate` first");
        }
        Self::with_store(config, clock, store).await
    }

    /// Builds the provider on an open and migrated store.
    ///
    /// # Errors
    /// In words for an operator.
    pub async fn with_store(config: Config, clock: Clock, store: Store) -> anyhow::Result<Arc<Self>> {
        let key_encryption_key = key_encryption_key(&config.keys)?;
        let secrets = DerivedKeys::load_or_create(&store, &key_encryption_key).await?;
        let redis = match &config.redis.url {
            Some(url) => Some(revocation::connect_redis(url.as_str())?),
            None => None,
        };
        let prefix = config.redis.prefix.as_str();
        let revocations = Revocations::start(store.clone(), redis.clone().map(|redis| (redis, prefix)), clock.clone()).await?;
        let issuer = Issuer::new(&config.issuer);
        let metrics = match config.metrics_listen {
            Some(_) => Metrics::on(&issuer.path),
            None => Metrics::off(),
        };
        let passwords = &config.passwords;
        let outbound = Arc::new(Outbound::new(&config.outbound)?);
        let app = Arc::new(Self {
            issuer,
            keyring: Keyring::new(KeySet::load(&[], &key_encryption_key)?),
            key_encryption_key: ArcSwap::from_pointee(key_encryption_key),
            key_file_unread: AtomicBool::new(false),
            reading_keys: tokio::sync::Mutex::default(),
            keys_confirmed_at: AtomicI64::new(i64::MIN),
            asking: tokio::sync::Mutex::default(),
            secrets,
            feed: Feed::open(&store, &clock).await?,
            revocations,
            clients: ClientCache::default(),
            passwords: PasswordHasher::new(passwords.memory_kib, passwords.iterations, passwords.parallelism, passwords.queue)?,
            limits: redis.map_or_else(RateLimiter::local, |redis| RateLimiter::redis(redis, prefix)),
            client_keys: client_keys(Arc::clone(&outbound)),
            client_documents: client_documents(Arc::clone(&outbound), &config),
            outbound,
            metrics: Arc::new(metrics),
            draining: AtomicBool::new(false),
            documents: Documents::new(&config),
            status_lists: StatusLists::default(),
            clock,
            store,
            config,
        });
        lifecycle::key::make_missing(&app).await.context("signing keys")?;
        app.reload_keys().await?;
        Ok(app)
    }

    /// Reads the signing keys again, and uses them if another process changed them. One query; may be called often and by many at once.
    ///
    /// # Errors
    /// If the database does not answer or a key does not open.
    pub async fn reload_keys(&self) -> anyhow::Result<()> {
        self.read_keys().await.map(drop)
    }

    /// As `reload_keys`, and gives the keys as they are stored.
    ///
    /// # Errors
    /// As `reload_keys`.
    pub async fn read_keys(&self) -> anyhow::Result<Vec<SigningKey>> {
        let _turn = self.reading_keys.lock().await;
        let now = self.now();
        let keys = signing_keys::all(&mut self.store.read().await?).await?;
        // After the keys: whoever seals anew writes the file first, so that it opens all that was read.
        self.follow_key_file(&keys);
        if !self.keyring.current().is_of(&keys) {
            match KeySet::load(&keys, &self.key_encryption_key()) {
                Ok(set) => self.keyring.replace(set),
                Err(error) => {
                    // What was in use stays so, but for a key that somebody has revoked: it must not sign or be published any longer.
                    if let Some(rest) = self.keyring.current().without_revoked(&keys) {
                        tracing::error!(
                            "a signing key was revoked, and the others cannot be read: what signed under it signs no more"
                        );
                        self.keyring.replace(rest);
                    }
                    return Err(error.into());
                }
            }
        }
        self.keys_confirmed_at.store(now.0, Ordering::Relaxed);
        Ok(keys)
    }

    /// As `reload_keys`, for requests that anybody can make: however many come at once, one reading that began after they came is shared, and
    /// readings begin at least `apart`.
    ///
    /// # Errors
    /// As `reload_keys`.
    pub async fn reload_keys_together(&self, apart: Duration) -> anyhow::Result<()> {
        let came = Instant::now();
        let mut asked = self.asking.lock().await;
        match &*asked {
            Some(Asked { at, outcome: Some(true) }) if *at >= came => return Ok(()),
            Some(Asked { at, outcome: Some(false) }) if *at >= came => bail!("the signing keys could not be read a moment ago"),
            Some(Asked { at, .. }) => sleep_until(*at + apart).await,
            None => {}
        }
        // Kept if we are dropped meanwhile: a request that is broken off has cost as much.
        *asked = Some(Asked { at: Instant::now(), outcome: None });
        let done = self.reload_keys().await;
        if let Some(asked) = asked.as_mut() {
            asked.outcome = Some(done.is_ok());
        }
        done
    }

    /// Reads the keys unless that was done a moment ago: a process that was stopped for hours, with its machine perhaps, has those of hours
    /// ago until the next tick. `false` if they may be outdated. Costs nothing if they are not.
    pub async fn confirm_keys(&self) -> bool {
        let age = self.now().0.abs_diff(self.keys_confirmed_at.load(Ordering::Relaxed));
        if u128::from(age) <= CONFIRMED_FOR.as_micros() {
            return true;
        }
        let confirmed = timeout(LONGEST_CONFIRMATION, self.reload_keys_together(Duration::ZERO)).await;
        confirmed.is_ok_and(|confirmed| confirmed.is_ok())
    }

    /// What seals and opens secrets in the database: as configured, or as the file had it when the keys were last read.
    pub fn key_encryption_key(&self) -> Arc<KeyEncryptionKey> {
        self.key_encryption_key.load_full()
    }

    /// `tessera key rewrap` may have put a new key into the file, and nothing must be sealed under the old one any more. A file that does not
    /// open what is stored was changed by somebody else: what is in memory is then better than the file. `stored`: the keys, read before this call
    /// or where nobody else can write.
    pub fn follow_key_file(&self, stored: &[SigningKey]) {
        let keys = &self.config.keys;
        if keys.master_key.is_some() {
            return;
        }
        let path = keys.master_key_path.display();
        let read = KeyEncryptionKey::read_again(&keys.master_key_path).map_err(Into::into);
        let read = match read.and_then(|key| with_accepted(key, keys)) {
            Ok(read) => read,
            Err(error) => {
                // Once: the keys are read every other second.
                if !self.key_file_unread.swap(true, Ordering::Relaxed) {
                    let error = format!("{error:#}");
                    tracing::warn!(
                        error,
                        "the key-encryption key cannot be read again: mend the file before it is changed, and before the next start"
                    );
                }
                return;
            }
        };
        self.key_file_unread.store(false, Ordering::Relaxed);
        if read.is_same(&self.key_encryption_key.load()) {
            return;
        }
        if stored.iter().all(|key| read.open(&key.private_jwe).is_ok()) {
            tracing::info!(%path, "the key-encryption key was changed");
            self.key_encryption_key.store(Arc::new(read));
        } else {
            tracing::warn!(%path, "the file holds a key that does not open the database: put the right one back before the next start");
        }
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Where a request comes from, by nobody in particular yet. Without a peer (a test without a socket) the address is unspecified.
    pub fn origin(&self, headers: &HeaderMap, peer: Option<SocketAddr>) -> (Actor, IpAddr) {
        let peer = peer.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        let ip = client_ip(peer, headers, &self.config.trusted_proxies);
        let request_id = RequestId::current().map(|id| id.to_string());
        (Actor { name: "anonymous".to_owned(), ip: Some(ip.to_string()), request_id }, ip)
    }

    /// How much two clocks may differ.
    pub fn leeway(&self) -> Duration {
        Duration::from_secs(self.config.tokens.leeway.into())
    }
}

/// The key-encryption key that is configured, or the one in the file, which is made if there is none.
fn key_encryption_key(keys: &Keys) -> anyhow::Result<KeyEncryptionKey> {
    let key = match &keys.master_key {
        Some(text) => KeyEncryptionKey::from_base64url(text).context("keys.master_key")?,
        None => KeyEncryptionKey::read_or_create(&keys.master_key_path)?,
    };
    with_accepted(key, keys)
}

/// `key` with the second one of the configuration, if that has one.
fn with_accepted(key: KeyEncryptionKey, keys: &Keys) -> anyhow::Result<KeyEncryptionKey> {
    let Some(accepted) = &keys.accepted_master_key else { return Ok(key) };
    if key.accepts_another() {
        bail!("{} holds two keys already: leave keys.accepted_master_key out", keys.master_key_path.display());
    }
    Ok(key.accepting(KeyEncryptionKey::from_base64url(accepted).context("keys.accepted_master_key")?))
}

/// Opens the database that `config` names; on SQLite its folder is made.
///
/// # Errors
/// In words for an operator.
pub async fn open_store(config: &Config) -> anyhow::Result<Store> {
    let database = &config.database;
    if let Some(path) = database.url.strip_prefix("sqlite:") {
        make_private(Path::new(path.trim_start_matches("//")))?;
    }
    Ok(Store::open(&database.url, database.durable, database.max_connections).await?)
}

/// Makes what is missing of a database file and its folder, for their owner alone: password hashes and sealed keys will be in it.
/// SQLite gives the files beside it (`-wal`, `-shm`) the same mode.
fn make_private(file: &Path) -> anyhow::Result<()> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop).with_context(|| format!("cannot make the database {}", file.display())),
    }
}

#[cfg(test)]
mod tests;
