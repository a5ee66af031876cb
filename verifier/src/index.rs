//! What is revoked, in memory: a hash table of the feed's entries. Made for a million of them: a look-up of a token's five names takes
//! less than a microsecond, an entry less than 64 bytes.
//!
//! Names are kept as keyed 128-bit hashes (SipHash under keys of this process), so that an entry has the same small size whatever the
//! name, and nobody can choose names that collide.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// One lock each, so that a sweep or a batch of new entries holds up few look-ups, and a table that grows copies little at a time.
const SHARDS: usize = 64;

/// The names by which an entry may refuse tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One token.
    Jti,
    /// All tokens of a session.
    Sid,
    /// The tokens of a user from before a moment.
    Sub,
    /// The tokens of a client from before a moment.
    ClientId,
    /// All tokens under a signing key.
    Kid,
}

impl Kind {
    /// The claim or header parameter, as the feed spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jti => "jti",
            Self::Sid => "sid",
            Self::Sub => "sub",
            Self::ClientId => "client_id",
            Self::Kid => "kid",
        }
    }
}

/// Everything that is revoked and has not expired. Look-ups and changes may happen at the same time from any thread.
pub struct Index {
    keys: [RandomState; 2],
    shards: Box<[RwLock<Shard>]>,
    next_to_sweep: AtomicUsize,
}

type Shard = HashMap<Hashed, Entry, BuildHasherDefault<AsItIs>>;

/// A keyed hash of kind and name.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Hashed(u64, u64);

/// 8 bytes. Times are seconds; both end at 2106, and then err on the side of refusing.
#[derive(Clone, Copy)]
struct Entry {
    /// Refuses tokens with a smaller `iat`; `EVERY`: all.
    iat_before: u32,
    exp: u32,
}

const EVERY: u32 = u32::MAX;
/// Is never swept.
const NEVER: u32 = u32::MAX;

impl Default for Index {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| RwLock::default()).collect();
        Self { keys: [RandomState::new(), RandomState::new()], shards, next_to_sweep: AtomicUsize::new(0) }
    }
}

impl Index {
    /// Keeps an entry. If there is one of the same name already, the greater cut-off and the later end count, and no cut-off for more
    /// than any. `exp` of `None` stays for ever.
    pub fn insert(&self, kind: Kind, name: &str, iat_before: Option<u64>, exp: Option<u64>) {
        let new = Entry {
            iat_before: iat_before.and_then(|iat| u32::try_from(iat).ok()).unwrap_or(EVERY),
            exp: exp.and_then(|exp| u32::try_from(exp).ok()).unwrap_or(NEVER),
        };
        let hashed = self.hash(kind, name);
        let merge = |known: &mut Entry| {
            known.iat_before = known.iat_before.max(new.iat_before);
            known.exp = known.exp.max(new.exp);
        };
        write(self.shard(hashed)).entry(hashed).and_modify(merge).or_insert(new);
    }

    /// Whether a token with this name and this `iat` is refused.
    pub fn refuses(&self, kind: Kind, name: &str, iat: u64) -> bool {
        let hashed = self.hash(kind, name);
        let entry = read(self.shard(hashed)).get(&hashed).copied();
        entry.is_some_and(|entry| entry.iat_before == EVERY || iat < u64::from(entry.iat_before))
    }

    /// Drops from one shard, another one each time, the entries whose `exp` is before `time` (seconds since 1970).
    pub fn sweep_some(&self, time: u64) {
        let next = self.next_to_sweep.fetch_add(1, Ordering::Relaxed) % SHARDS;
        let Some(shard) = self.shards.get(next) else { return };
        let mut shard = write(shard);
        shard.retain(|_, entry| entry.exp == NEVER || u64::from(entry.exp) >= time);
        if shard.capacity() > 4 * shard.len() + 64 {
            shard.shrink_to_fit();
        }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| read(shard).len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn hash(&self, kind: Kind, name: &str) -> Hashed {
        let of = |key: &RandomState| key.hash_one((kind as u8, name));
        Hashed(of(&self.keys[0]), of(&self.keys[1]))
    }

    fn shard(&self, hashed: Hashed) -> &RwLock<Shard> {
        // proof: there are SHARDS of them.
        &self.shards[hashed.1 as usize % SHARDS]
    }
}

impl std::fmt::Debug for Index {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Index").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// A panic cannot leave a shard half changed: entries are plain numbers.
fn read(shard: &RwLock<Shard>) -> RwLockReadGuard<'_, Shard> {
    shard.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(shard: &RwLock<Shard>) -> RwLockWriteGuard<'_, Shard> {
    shard.write().unwrap_or_else(PoisonError::into_inner)
}

impl std::hash::Hash for Hashed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

/// What is a hash already is not hashed again.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_greater_cut_off_counts_and_none_counts_most() {
        let index = Index::default();
        index.insert(Kind::Sub, "ada", Some(100), Some(1000));
        index.insert(Kind::Sub, "ada", Some(90), Some(2000));
        assert!(index.refuses(Kind::Sub, "ada", 99) && !index.refuses(Kind::Sub, "ada", 100));
        index.insert(Kind::Sub, "ada", None, Some(500));
        index.insert(Kind::Sub, "ada", Some(100), Some(500));
        assert!(index.refuses(Kind::Sub, "ada", 1 << 40));
        assert!(!index.refuses(Kind::Sid, "ada", 0) && !index.refuses(Kind::Sub, "eve", 0));
        assert_eq!(index.len(), 1);
    }

    #[test]
    fn what_lies_beyond_the_range_refuses_more_not_less() {
        let index = Index::default();
        index.insert(Kind::Sub, "far", Some(u64::MAX), Some(u64::MAX));
        (0..SHARDS).for_each(|_| index.sweep_some(u64::MAX));
        assert!(index.refuses(Kind::Sub, "far", u64::MAX));
    }

    #[test]
    fn an_entry_takes_less_than_64_bytes() {
        // hashbrown: one control byte a bucket, at most 7/8 full, capacity a power of two: at worst 7/16 full after growing.
        let bucket = size_of::<(Hashed, Entry)>() + 1;
        assert!(bucket * 16 < 64 * 7, "{bucket}");
    }

    proptest! {
        /// The table answers as a list of all entries would, whatever was swept.
        #[test]
        fn answers_as_a_plain_list_does(
            entries in prop::collection::vec((0..4_u8, prop::option::of(0..50_u64), 0..100_u64), 0..60),
            asked in prop::collection::vec((0..4_u8, 0..50_u64), 20),
            swept in 0..100_u64,
        ) {
            let index = Index::default();
            for (name, iat_before, exp) in &entries {
                index.insert(Kind::Sub, &name.to_string(), *iat_before, Some(*exp));
            }
            (0..SHARDS).for_each(|_| index.sweep_some(swept));
            for (name, iat) in asked {
                let of_name = || entries.iter().filter(|entry| entry.0 == name);
                let refused = of_name().any(|entry| entry.1.is_none_or(|before| iat < before));
                let in_force = of_name().any(|entry| entry.2 >= swept);
                prop_assert_eq!(index.refuses(Kind::Sub, &name.to_string(), iat), refused && in_force);
            }
        }
    }
}
