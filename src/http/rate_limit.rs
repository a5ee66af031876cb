//! Failed attempts, counted by account and by address, in this process or in Redis when there are several replicas.
//!
//! An attempt is counted **before** the password is looked at and taken back if it was right: a thousand guesses sent at once
//! then get as many answers as a thousand sent in turn. Counting afterwards would let them all through.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::ConnectionManager;
use redis::{RedisResult, Script};
use sha2::{Digest, Sha256};

use super::client_ip::rate_limit_key;
use super::rate_limit_local::LocalCounts;
use crate::clock::Timestamp;

/// How long Redis may take. A sign-in must not hang because the counter does.
const REDIS_TIMEOUT: Duration = Duration::from_millis(250);

/// Answers 0 and counts the attempt, or answers for how many milliseconds there will be no more. A window begins with the first
/// attempt in it. By Redis' own clock, since the replicas share it.
const BEGIN: &str = r"
if tonumber(redis.call('GET', KEYS[1]) or '0') >= tonumber(ARGV[1]) then
    local left = redis.call('PTTL', KEYS[1])
    if left >= 0 then return math.max(left, 1) end
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return tonumber(ARGV[2])
end
if redis.call('INCR', KEYS[1]) == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
";

const GIVE_BACK: &str = "if tonumber(redis.call('GET', KEYS[1]) or '0') > 0 then redis.call('DECR', KEYS[1]) end return 0";

/// There were too many attempts; the next may come after this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter(pub Duration);

impl RetryAfter {
    /// Whole seconds, rounded up and at least one: the value of `Retry-After` (RFC 9110 §10.2.3).
    pub fn seconds(self) -> u64 {
        self.0.as_millis().div_ceil(1000).max(1).try_into().unwrap_or(u64::MAX)
    }
}

/// What attempts are counted by. Only a hash of it is kept, so that no e-mail address ends up in Redis.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 16]);

impl Key {
    /// An account, known or not, by the e-mail address that was typed.
    pub fn account(email: &str) -> Self {
        Self::new("account", &email.trim().to_lowercase())
    }

    /// A client's address; IPv6 by its /64 network.
    pub fn address(ip: IpAddr) -> Self {
        Self::new("address", &rate_limit_key(ip))
    }

    /// Anything else. `kind` keeps the subjects of different limits apart.
    pub fn new(kind: &str, subject: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(kind.as_bytes());
        hash.update([0]);
        hash.update(subject.as_bytes());
        let mut key = [0; 16];
        key.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
        Self(key)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// Counts attempts. Share one behind an `Arc`.
pub struct RateLimiter {
    local: LocalCounts,
    shared: Option<Shared>,
}

struct Shared {
    connection: ConnectionManager,
    prefix: String,
    begin: Script,
    give_back: Script,
    /// Whether the last call failed, so that an outage is logged once.
    away: AtomicBool,
}

impl RateLimiter {
    /// Counts in this process.
    pub fn local() -> Self {
        Self { local: LocalCounts::default(), shared: None }
    }

    /// Counts in Redis, under keys that begin with `prefix`. While Redis does not answer, counts in this process.
    pub fn redis(connection: ConnectionManager, prefix: &str) -> Self {
        let shared = Shared {
            connection,
            prefix: format!("{prefix}attempts:"),
            begin: Script::new(BEGIN),
            give_back: Script::new(GIVE_BACK),
            away: AtomicBool::new(false),
        };
        Self { local: LocalCounts::default(), shared: Some(shared) }
    }

    /// Counts an attempt that is about to be made. `limit` attempts may be made within `window`.
    ///
    /// # Errors
    /// `RetryAfter` when they have been; this one is then not counted and must not be made.
    pub async fn begin(&self, key: Key, limit: u32, window: Duration, now: Timestamp) -> Result<(), RetryAfter> {
        if let Some(shared) = &self.shared {
            let millis = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
            let mut connection = shared.connection.clone();
            let mut call = shared.begin.key(shared.name(key));
            call.arg(limit).arg(millis);
            match shared.answer(call.invoke_async::<u64>(&mut connection)).await {
                Some(0) => return Ok(()),
                Some(left) => return Err(RetryAfter(Duration::from_millis(left))),
                None => {}
            }
        }
        self.local.begin(key, limit, window, now)
    }

    /// The attempts for this key led to success: it starts from nothing again. For accounts, never for addresses: whoever has
    /// one account of their own could otherwise guess without end.
    pub async fn succeeded(&self, key: Key) {
        self.local.forget(key);
        if let Some(shared) = &self.shared {
            let mut connection = shared.connection.clone();
            let mut command = redis::cmd("DEL");
            command.arg(shared.name(key));
            shared.answer(command.query_async::<()>(&mut connection)).await;
        }
    }

    /// Takes back one attempt that `begin` counted: it succeeded, or was not made after all. For addresses, so that many people
    /// behind one address may all sign in.
    pub async fn give_back(&self, key: Key) {
        self.local.give_back(key);
        if let Some(shared) = &self.shared {
            let mut connection = shared.connection.clone();
            let mut call = shared.give_back.prepare_invoke();
            shared.answer(call.key(shared.name(key)).invoke_async::<()>(&mut connection)).await;
        }
    }
}

impl Shared {
    fn name(&self, key: Key) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Redis' answer, or none if it fails or is late. Logs when that begins and when it ends.
    async fn answer<T>(&self, call: impl Future<Output = RedisResult<T>>) -> Option<T> {
        let problem = match tokio::time::timeout(REDIS_TIMEOUT, call).await {
            Ok(Ok(value)) => {
                if self.away.swap(false, Ordering::Relaxed) {
                    tracing::info!("Redis answers again; sign-in attempts are counted there");
                }
                return Some(value);
            }
            // The category only: the text of an error may repeat parts of the address.
            Ok(Err(error)) => error.category().to_owned(),
            Err(_) => format!("no answer within {} ms", REDIS_TIMEOUT.as_millis()),
        };
        if !self.away.swap(true, Ordering::Relaxed) {
            tracing::warn!(problem, "Redis does not answer; each replica counts sign-in attempts for itself");
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use redis::Client;
    use redis::aio::ConnectionManagerConfig;

    use super::*;
    use crate::clock::Clock;

    const WINDOW: Duration = Duration::from_secs(900);

    fn clock() -> Clock {
        Clock::manual(Timestamp::from_seconds(1_000_000))
    }

    /// What either kind of limiter promises.
    async fn keeps_its_promise(limiter: RateLimiter, guesses: u32) {
        let limiter = Arc::new(limiter);
        let now = clock().now();
        let account = Key::account("Ada@Example.org");
        let guesses = (0..guesses).map(|_| {
            let limiter = Arc::clone(&limiter);
            tokio::spawn(async move { limiter.begin(account, 10, WINDOW, now).await })
        });
        let answers = futures_util::future::join_all(guesses).await;
        let (allowed, refused): (Vec<_>, Vec<_>) = answers.into_iter().map(Result::unwrap).partition(Result::is_ok);
        assert_eq!(allowed.len(), 10, "of many guesses at once, ten are answered");
        for refusal in refused {
            let RetryAfter(wait) = refusal.unwrap_err();
            assert!(wait > Duration::ZERO && wait <= WINDOW, "{wait:?}");
        }
        assert!(
            limiter.begin(Key::account(" ada@example.ORG "), 10, WINDOW, now).await.is_err(),
            "the same account, typed otherwise"
        );
        assert!(limiter.begin(Key::account("bob@example.org"), 10, WINDOW, now).await.is_ok(), "another account");

        limiter.succeeded(account).await;
        assert!(limiter.begin(account, 1, WINDOW, now).await.is_ok(), "success starts anew");

        let address = Key::address("198.51.100.1".parse().unwrap());
        for _ in 0..5 {
            assert!(limiter.begin(address, 2, WINDOW, now).await.is_ok());
            limiter.give_back(address).await;
        }
        assert!(limiter.begin(address, 2, WINDOW, now).await.is_ok());
        assert!(limiter.begin(address, 2, WINDOW, now).await.is_ok());
        assert!(limiter.begin(address, 2, WINDOW, now).await.is_err());
        limiter.give_back(address).await;
        assert!(limiter.begin(address, 2, WINDOW, now).await.is_ok(), "one was taken back, not all");
        assert!(limiter.begin(address, 2, WINDOW, now).await.is_err());
    }

    #[tokio::test]
    async fn in_process() {
        keeps_its_promise(RateLimiter::local(), 1_000).await;
    }

    #[tokio::test]
    async fn a_window_ends() {
        let (limiter, clock, key) = (RateLimiter::local(), clock(), Key::account("ada@example.org"));
        assert!(limiter.begin(key, 1, WINDOW, clock.now()).await.is_ok());
        clock.advance(WINDOW - Duration::from_millis(1));
        let refusal = limiter.begin(key, 1, WINDOW, clock.now()).await.unwrap_err();
        assert_eq!((refusal.0, refusal.seconds()), (Duration::from_millis(1), 1));
        clock.advance(Duration::from_millis(1));
        assert!(limiter.begin(key, 1, WINDOW, clock.now()).await.is_ok());
    }

    #[tokio::test]
    async fn without_an_answer_from_redis_there_is_still_a_limit() {
        // A port that was free a moment ago: nobody listens there.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let client = Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
        let config = ConnectionManagerConfig::new().set_number_of_retries(0);
        let limiter = RateLimiter::redis(ConnectionManager::new_lazy_with_config(client, config).unwrap(), "test:");
        keeps_its_promise(limiter, 1_000).await;
    }

    #[tokio::test]
    async fn in_redis() {
        let Some(url) = crate::testing::test_server("TESSERA_TEST_REDIS") else { return };
        let client = Client::open(url).unwrap();
        let prefix = format!("{}:", crate::model::secret::new_id());
        let connection = ConnectionManager::new(client).await.unwrap();
        // Few enough that a slow machine's Redis answers each within `REDIS_TIMEOUT`: the rest would be counted in this process.
        keeps_its_promise(RateLimiter::redis(connection.clone(), &prefix), 50).await;

        let other_replica = RateLimiter::redis(connection.clone(), &prefix);
        let address = Key::address("198.51.100.1".parse().unwrap());
        assert!(other_replica.begin(address, 2, WINDOW, clock().now()).await.is_err(), "replicas count together");

        let name = format!("{prefix}attempts:{address}");
        let left: i64 = redis::cmd("PTTL").arg(&name).query_async(&mut connection.clone()).await.unwrap();
        assert!(left > 0 && left <= 900_000, "what is in Redis leaves by itself");
    }
}
