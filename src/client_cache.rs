//! Clients in memory, so that a token request reads no database for them. An entry lives for a second: a change made by
//! another process is seen within that time, and the cut-off of a disabled client covers it (`lifecycle::client`).

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::model::Client;
use crate::store::{Store, StoreError, clients};

/// How long a change made elsewhere may go unseen.
pub const FRESH_FOR: Duration = Duration::from_secs(1);

/// Only clients that exist are kept, so nobody can fill it with invented names; above this many it starts anew.
const CAPACITY: usize = 10_000;

struct Entry {
    client: Arc<Client>,
    read_at: Timestamp,
}

/// Recently used clients.
#[derive(Default)]
pub struct ClientCache(RwLock<HashMap<String, Entry>>);

impl ClientCache {
    /// The client with this `client_id`, disabled or not.
    pub async fn find(&self, store: &Store, id: &str, now: Timestamp) -> Result<Option<Arc<Client>>, StoreError> {
        if let Some(entry) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(id)
            && now >= entry.read_at
            && now.since(entry.read_at) < FRESH_FOR
        {
            return Ok(Some(Arc::clone(&entry.client)));
        }
        let found = clients::find(&mut store.read().await?, id).await?.map(Arc::new);
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match &found {
            Some(client) => {
                if entries.len() >= CAPACITY {
                    entries.clear();
                }
                entries.insert(id.to_owned(), Entry { client: Arc::clone(client), read_at: now });
            }
            None => {
                entries.remove(id);
            }
        }
        Ok(found)
    }

    /// Forgets a client that this process has just changed.
    pub fn forget(&self, id: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}
