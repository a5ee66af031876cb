//! Giving tokens their places. Each process fills lists of its own: which places are taken is in its memory, so none is given twice,
//! nobody waits for a counter, and a token can be signed before its row is written. Several lists in use at once, random names and
//! random places are what the draft recommends against outsiders who count (§12.4).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::Mutex;

use crate::clock::Timestamp;
use crate::model::secret::random_bytes;
use crate::model::{StatusList, StatusReference};
use crate::revocation::LONGEST_ACCESS_TOKEN;
use crate::store::{Store, StoreError, status_lists};

/// Bits of a list, of which at most half are given away. All of them valid are some 200 bytes in a list token, and at worst 30 KB.
pub const SIZE: u32 = 1 << 17;

/// A list takes tokens for this long, so that it ends not long after its first ones.
const OPEN_FOR: Duration = Duration::from_secs(600);

/// Bytes of a list's random name, and its characters.
const NAME_BYTES: usize = 9;
const NAME_CHARS: usize = NAME_BYTES / 3 * 4;

/// The list that this process fills at present.
pub(super) struct Places {
    size: u32,
    open: Mutex<Option<OpenList>>,
}

struct OpenList {
    id: String,
    created_at: Timestamp,
    /// A bit for each place that is given away.
    taken: Vec<u64>,
    given: u32,
    /// When the last of its tokens so far expires.
    last_expiry: Timestamp,
}

impl Places {
    /// `size` is rounded up to a power of two, 16 at least.
    pub(super) fn new(size: u32) -> Self {
        Self { size: size.clamp(16, 1 << 31).next_power_of_two(), open: Mutex::default() }
    }

    pub(super) async fn take(&self, store: &Store, now: Timestamp, expires_at: Timestamp) -> Result<StatusReference, StoreError> {
        let mut open = self.open.lock().await;
        let list = match open.take() {
            Some(list) if list.takes_more(self.size, now) => list,
            previous => self.begin(store, previous, now).await?,
        };
        let list = open.insert(list);
        list.last_expiry = list.last_expiry.max(expires_at);
        Ok(StatusReference { list: list.id.clone(), idx: list.give(self.size).into() })
    }

    /// Ends the previous list and stores a new one. Before it is stored nobody refers to it.
    async fn begin(&self, store: &Store, previous: Option<OpenList>, now: Timestamp) -> Result<OpenList, StoreError> {
        let id = URL_SAFE_NO_PAD.encode(random_bytes::<NAME_BYTES>());
        // If this process dies, nobody will say when the last token expires: this is the latest that it can be.
        let expires_at = now + OPEN_FOR + LONGEST_ACCESS_TOKEN;
        let mut tx = store.begin().await?;
        if let Some(previous) = previous {
            status_lists::close(&mut tx, &previous.id, previous.last_expiry).await?;
        }
        let list = StatusList { id: id.clone(), size: self.size.into(), created_at: now, expires_at };
        status_lists::insert(&mut tx, &list).await?;
        tx.commit().await?;
        let words = usize::try_from(self.size.div_ceil(u64::BITS)).unwrap_or_default();
        Ok(OpenList { id, created_at: now, taken: vec![0; words], given: 0, last_expiry: now })
    }
}

impl OpenList {
    fn takes_more(&self, size: u32, now: Timestamp) -> bool {
        self.given < size / 2 && now.since(self.created_at) < OPEN_FOR
    }

    /// A random place that is free. At least half of them are, so two attempts are usual.
    fn give(&mut self, size: u32) -> u32 {
        loop {
            let idx = u32::from_le_bytes(random_bytes()) & (size - 1);
            let bit = 1 << (idx % u64::BITS);
            let word = usize::try_from(idx / u64::BITS).ok().and_then(|word| self.taken.get_mut(word));
            if let Some(word) = word.filter(|word| **word & bit == 0) {
                *word |= bit;
                self.given += 1;
                return idx;
            }
        }
    }
}

/// Whether this could be the name of a list.
pub(super) fn is_name(text: &str) -> bool {
    text.len() == NAME_CHARS && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}
