//! The denylist in Redis, shared by all replicas: one round trip per look-up.
//!
//! Keys: `<prefix>deny:<kind>:<id>` holds `<not_before> <expires_at>` (seconds, or nothing where there is no cut-off; microseconds), and
//! `<prefix>deny:seq`, the marker, holds the number up to which Redis has every entry of the log. The marker is written in the same
//! script as the entries that it counts, and after them. Whatever Redis loses (a flush, a restart from an old snapshot, a fail-over to
//! a replica that lagged) it therefore loses together with the marker, and the log is read again from wherever the marker is then.
//!
//! Keys live as long as *our* clock says the entry will, not until a time on Redis's clock: a Redis host whose clock is ahead must not
//! forget early.
//!
//! A look-up names several keys at once, which Redis Cluster allows only within one hash slot. The names are cluster-safe if and only
//! if the operator's prefix holds a hash tag (`{tessera}:`); none is added here.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{IntoConnectionInfo, RedisError, Script};

use super::denylist::{Answer, Denylist, DenylistError, Effect, TokenFacts};
use crate::clock::Timestamp;
use crate::model::{Revocation, RevocationKind};

/// A request waits no longer than this before SQL is asked.
const PATIENCE: Duration = Duration::from_millis(250);

/// How much longer a key lives than its entry; the value says when the entry expires exactly.
const KEY_OUTLIVES_ENTRY: Duration = Duration::from_secs(60);

// KEYS: the marker, then a key for each entry. ARGV: from, to, then for each entry its cut-off, expiry and seconds to live.
const APPLY: &str = r"
for i = 2, #KEYS do
  local cut_off, expires_at, lives = ARGV[3 * i - 3], ARGV[3 * i - 2], tonumber(ARGV[3 * i - 1])
  local old_cut_off, old_expires_at = string.match(redis.call('GET', KEYS[i]) or '', '^(%-?%d*) (%-?%d+)$')
  if old_cut_off then
    if old_cut_off == '' or (cut_off ~= '' and tonumber(old_cut_off) > tonumber(cut_off)) then cut_off = old_cut_off end
    if tonumber(old_expires_at) > tonumber(expires_at) then
      expires_at = old_expires_at
      lives = math.max(lives, redis.call('TTL', KEYS[i]))
    end
  end
  redis.call('SET', KEYS[i], cut_off .. ' ' .. expires_at, 'EX', lives)
end
local complete_to = tonumber(redis.call('GET', KEYS[1]) or '') or 0
if complete_to >= tonumber(ARGV[1]) and complete_to < tonumber(ARGV[2]) then
  redis.call('SET', KEYS[1], ARGV[2])
  complete_to = tonumber(ARGV[2])
end
return complete_to";

const REWIND: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end";

/// A connection that is made at its first use and made again whenever it breaks, so that a start does not depend on Redis.
///
/// # Errors
/// If the URL (`redis://…` or `rediss://…`) is not understood.
pub fn connect(url: &str) -> Result<ConnectionManager, RedisError> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(Duration::from_secs(1)))
        .set_response_timeout(Some(PATIENCE))
        .set_number_of_retries(1)
        .set_max_delay(Duration::from_millis(250));
    ConnectionManager::new_lazy_with_config(client(url)?, config)
}

/// For connections to this Redis; makes none yet.
pub(super) fn client(url: &str) -> Result<redis::Client, RedisError> {
    let info = url.into_connection_info()?;
    // Without this a connection that a firewall forgot would be kept for a quarter of an hour.
    #[cfg(target_os = "linux")]
    let info = {
        let settings = info.tcp_settings().clone().set_user_timeout(Duration::from_secs(2));
        info.set_tcp_settings(settings)
    };
    redis::Client::open(info)
}

pub(super) struct InRedis {
    connection: ConnectionManager,
    prefix: String,
    apply: Script,
    rewind: Script,
    /// Whether Redis may drop keys to make room. An absent key then means nothing.
    evicts: AtomicBool,
}

impl InRedis {
    pub fn new(connection: ConnectionManager, prefix: &str) -> Self {
        let prefix = format!("{prefix}deny:");
        Self { connection, prefix, apply: Script::new(APPLY), rewind: Script::new(REWIND), evicts: AtomicBool::new(false) }
    }

    fn marker(&self) -> String {
        format!("{}seq", self.prefix)
    }

    fn key(&self, kind: RevocationKind, id: &str) -> String {
        format!("{}{}:{id}", self.prefix, kind.as_str())
    }

    async fn apply(&self, from: i64, to: i64, entries: &[Revocation], now: Timestamp) -> Result<i64, DenylistError> {
        let mut invocation = self.apply.key(self.marker());
        invocation.arg(from).arg(to);
        for entry in entries.iter().filter(|entry| now < entry.expires_at) {
            let lives = entry.expires_at.since(now).as_secs() + KEY_OUTLIVES_ENTRY.as_secs();
            let cut_off = entry.not_before.map(|seconds| seconds.to_string()).unwrap_or_default();
            invocation.key(self.key(entry.kind, &entry.id)).arg(cut_off).arg(entry.expires_at.0).arg(lives);
        }
        let mut connection = self.connection.clone();
        in_time(invocation.invoke_async(&mut connection)).await
    }

    async fn look_up(&self, facts: &TokenFacts<'_>, now: Timestamp) -> Result<Answer, DenylistError> {
        let mut command = redis::cmd("MGET");
        command.arg(self.marker());
        facts.names().for_each(|(kind, id)| {
            command.arg(self.key(kind, id));
        });
        let mut connection = self.connection.clone();
        let values: Vec<Option<String>> = in_time(command.query_async(&mut connection)).await?;
        let mut values = values.into_iter();
        let marker = values.next().flatten();
        let mut refused = None;
        for ((kind, _), value) in facts.names().zip(values) {
            let Some(value) = value else { continue };
            if parse(&value).ok_or(DenylistError::Foreign)?.refuses(facts.iat, now) {
                refused = Some(kind);
                break;
            }
        }
        let complete_to = if self.evicts.load(Ordering::Relaxed) { i64::MIN } else { number(marker) };
        Ok(Answer { refused, complete_to })
    }

    async fn complete_to(&self) -> Result<i64, DenylistError> {
        let mut connection = self.connection.clone();
        let marker: Option<String> = in_time(redis::cmd("GET").arg(self.marker()).query_async(&mut connection)).await?;
        self.look_for_eviction(connection).await;
        Ok(number(marker))
    }

    /// Asked at each step of following, since an operator can change it at any time. Where INFO is not allowed, as with some hosted
    /// Redis, the operator has to know (docs/operating.md).
    async fn look_for_eviction(&self, mut connection: ConnectionManager) {
        let info: String = match in_time(redis::cmd("INFO").arg("memory").query_async(&mut connection)).await {
            Ok(info) => info,
            Err(error) => return tracing::debug!(%error, "Redis does not tell its eviction policy"),
        };
        let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
        let evicts = field("maxmemory").is_some_and(|limit| limit != "0")
            && field("maxmemory_policy").is_some_and(|policy| policy != "noeviction");
        if evicts && !self.evicts.swap(evicts, Ordering::Relaxed) {
            tracing::warn!(
                policy = field("maxmemory_policy"),
                "Redis may evict revocations: it is used only to refuse, and SQL is asked before a token is accepted. Set maxmemory-policy noeviction"
            );
        }
        self.evicts.store(evicts, Ordering::Relaxed);
    }

    async fn rewind(&self, seen: i64) -> Result<(), DenylistError> {
        let mut connection = self.connection.clone();
        in_time(self.rewind.key(self.marker()).arg(seen).invoke_async(&mut connection)).await
    }
}

impl Denylist for InRedis {
    fn apply<'a>(
        &'a self,
        from: i64,
        to: i64,
        entries: &'a [Revocation],
        now: Timestamp,
    ) -> BoxFuture<'a, Result<i64, DenylistError>> {
        self.apply(from, to, entries, now).boxed()
    }

    fn look_up<'a>(&'a self, facts: &'a TokenFacts<'a>, now: Timestamp) -> BoxFuture<'a, Result<Answer, DenylistError>> {
        self.look_up(facts, now).boxed()
    }

    fn complete_to(&self) -> BoxFuture<'_, Result<i64, DenylistError>> {
        self.complete_to().boxed()
    }

    fn rewind(&self, seen: i64) -> BoxFuture<'_, Result<(), DenylistError>> {
        self.rewind(seen).boxed()
    }
}

/// What Redis says, unless it takes too long. This bounds connecting too, which the connection's own time-out does not.
pub(super) async fn in_time<T>(answer: impl Future<Output = Result<T, RedisError>>) -> Result<T, DenylistError> {
    Ok(tokio::time::timeout(PATIENCE, answer).await.map_err(|_| DenylistError::Slow(PATIENCE))??)
}

/// A marker that is absent or nonsense counts nothing; the script reads it the same way.
fn number(marker: Option<String>) -> i64 {
    marker.and_then(|marker| marker.parse().ok()).unwrap_or(0)
}

fn parse(value: &str) -> Option<Effect> {
    let (cut_off, expires_at) = value.split_once(' ')?;
    let not_before = if cut_off.is_empty() { None } else { Some(cut_off.parse().ok()?) };
    Some(Effect { not_before, expires_at: Timestamp(expires_at.parse().ok()?) })
}
