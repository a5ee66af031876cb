//! The denylist in this process's memory: a hash look-up per name of the token.

use std::collections::{BTreeMap, HashMap};
use std::future::ready;
use std::sync::{Arc, PoisonError, RwLock};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::denylist::{Answer, Denylist, DenylistError, Effect, TokenFacts};
use crate::clock::Timestamp;
use crate::model::{Revocation, RevocationKind};

/// At most this many expired entries are dropped at once, so that no look-up waits long for the lock.
const DROP_AT_ONCE: usize = 2000;

/// See the file's head. A poisoned lock is used as it is: completeness is written last, so an index that is half-changed says so.
#[derive(Default)]
pub(super) struct InProcess(RwLock<Index>);

#[derive(Default)]
struct Index {
    tokens: HashMap<Arc<str>, Effect>,
    sessions: HashMap<Arc<str>, Effect>,
    users: HashMap<Arc<str>, Effect>,
    clients: HashMap<Arc<str>, Effect>,
    keys: HashMap<Arc<str>, Effect>,
    /// When to look whether an entry has expired.
    expiries: BTreeMap<Timestamp, Vec<(RevocationKind, Arc<str>)>>,
    complete_to: i64,
}

impl Index {
    fn of(&self, kind: RevocationKind) -> &HashMap<Arc<str>, Effect> {
        match kind {
            RevocationKind::Token => &self.tokens,
            RevocationKind::Session => &self.sessions,
            RevocationKind::User => &self.users,
            RevocationKind::Client => &self.clients,
            RevocationKind::Key => &self.keys,
        }
    }

    fn of_mut(&mut self, kind: RevocationKind) -> &mut HashMap<Arc<str>, Effect> {
        match kind {
            RevocationKind::Token => &mut self.tokens,
            RevocationKind::Session => &mut self.sessions,
            RevocationKind::User => &mut self.users,
            RevocationKind::Client => &mut self.clients,
            RevocationKind::Key => &mut self.keys,
        }
    }

    fn insert(&mut self, entry: &Revocation) {
        let present = self.of_mut(entry.kind).get_key_value(entry.id.as_str());
        let (id, before) = match present {
            Some((id, effect)) => (Arc::clone(id), Some(*effect)),
            None => (Arc::from(entry.id.as_str()), None),
        };
        let effect = before.map_or(Effect::of(entry), |before| before.and(Effect::of(entry)));
        if before.is_none_or(|before| before.expires_at != effect.expires_at) {
            self.expiries.entry(effect.expires_at).or_default().push((entry.kind, Arc::clone(&id)));
        }
        self.of_mut(entry.kind).insert(id, effect);
    }

    fn drop_expired(&mut self, now: Timestamp) {
        for _ in 0..DROP_AT_ONCE {
            let Some(mut first) = self.expiries.first_entry().filter(|first| *first.key() <= now) else { return };
            let Some((kind, id)) = first.get_mut().pop() else {
                first.remove();
                continue;
            };
            let entries = self.of_mut(kind);
            // A later entry may have prolonged it; its own expiry is then further on in the queue.
            if entries.get(&id).is_some_and(|effect| effect.expires_at <= now) {
                entries.remove(&id);
            }
        }
    }
}

impl InProcess {
    fn write<T>(&self, change: impl FnOnce(&mut Index) -> T) -> T {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn read<T>(&self, question: impl FnOnce(&Index) -> T) -> T {
        question(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many entries are held, expired ones that are not dropped yet included.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        use RevocationKind::{Client, Key, Session, Token, User};
        self.read(|index| [Token, Session, User, Client, Key].map(|kind| index.of(kind).len()).iter().sum())
    }
}

impl Denylist for InProcess {
    fn apply<'a>(
        &'a self,
        from: i64,
        to: i64,
        entries: &'a [Revocation],
        now: Timestamp,
    ) -> BoxFuture<'a, Result<i64, DenylistError>> {
        let complete_to = self.write(|index| {
            entries.iter().for_each(|entry| index.insert(entry));
            index.drop_expired(now);
            if index.complete_to >= from {
                index.complete_to = index.complete_to.max(to);
            }
            index.complete_to
        });
        ready(Ok(complete_to)).boxed()
    }

    fn look_up<'a>(&'a self, facts: &'a TokenFacts<'a>, now: Timestamp) -> BoxFuture<'a, Result<Answer, DenylistError>> {
        let answer = self.read(|index| {
            let refuses =
                |kind: RevocationKind, id: &str| index.of(kind).get(id).is_some_and(|effect| effect.refuses(facts.iat, now));
            let refused = facts.names().find(|(kind, id)| refuses(*kind, id)).map(|(kind, _)| kind);
            Answer { refused, complete_to: index.complete_to }
        });
        ready(Ok(answer)).boxed()
    }

    fn complete_to(&self) -> BoxFuture<'_, Result<i64, DenylistError>> {
        ready(Ok(self.read(|index| index.complete_to))).boxed()
    }

    fn rewind(&self, seen: i64) -> BoxFuture<'_, Result<(), DenylistError>> {
        self.write(|index| {
            if index.complete_to == seen {
                index.complete_to = 0;
            }
        });
        ready(Ok(())).boxed()
    }
}
