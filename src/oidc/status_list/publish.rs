//! The signed list, made when somebody asks and kept for those who ask next: requests alone cost no SQL and no signature.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{TTL, encoding, uri};
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::Algorithm;
use crate::revocation::refuses;
use crate::store::status_lists;

/// `typ` of a status list token (§5.1).
pub const STATUS_LIST_TYPE: &str = "statuslist+jwt";

/// A list is made anew at most this often, however quickly the log grows: a full one takes some tenths of a second of the database.
const MADE_AT_MOST_EVERY: Duration = Duration::from_secs(5);

/// A list of which nothing is known to have changed is handed out for this long. Then it is made anew for its times, and for a token
/// that was being minted while it was revoked: its row came after the revocation.
const KEPT_FOR: Duration = Duration::from_secs(30);

/// A list token may be relied on for this long, and not for a second longer (§13.7): three times `TTL`, so that a verifier may miss
/// two polls.
const LIFETIME: Duration = Duration::from_secs(3 * TTL.as_secs());

/// A list as it is sent.
pub(super) struct Published {
    pub jwt: Bytes,
    pub gzip: Bytes,
    /// Strong, without its quotes.
    pub etag: String,
    pub made_at: Timestamp,
    /// It has what the log says up to here.
    seq: i64,
    kid: String,
}

/// One for each list that is asked for; whoever makes the list holds the lock, and the others wait for it.
type Slot = Arc<tokio::sync::Mutex<Option<Arc<Published>>>>;

#[derive(Default)]
pub(super) struct Shelf {
    slots: Mutex<HashMap<String, Slot>>,
    /// One list is made at a time: however many there are, sign-ins find a connection.
    making: tokio::sync::Mutex<()>,
}

#[derive(Serialize)]
struct ListClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    iat: i64,
    exp: i64,
    ttl: u64,
    status_list: StatusListObject,
}

#[derive(Serialize)]
struct StatusListObject {
    bits: u8,
    lst: String,
}

/// The list of this name, if there is one.
///
/// # Errors
/// If the database does not answer, or nothing can sign. An old list is not handed out instead: whoever holds one knows its `exp`.
pub(super) async fn published(app: &App, list: &str) -> anyhow::Result<Option<Arc<Published>>> {
    let shelf = &app.status_lists.shelf;
    let slot = match shelf.find(list) {
        Some(slot) => slot,
        // Only lists that exist have a slot: nobody can fill the shelf with invented names.
        None if status_lists::find(&mut app.store.read().await?, list).await?.is_none() => return Ok(None),
        None => shelf.add(list, app),
    };
    let mut held = slot.lock().await;
    if let Some(published) = held.as_ref().filter(|published| published.is_current(app)) {
        return Ok(Some(Arc::clone(published)));
    }
    let _one_at_a_time = shelf.making.lock().await;
    let Some(made) = make(app, list).await? else {
        shelf.remove(list);
        return Ok(None);
    };
    Ok(Some(Arc::clone(held.insert(Arc::new(made)))))
}

impl Published {
    fn is_current(&self, app: &App) -> bool {
        let now = app.now();
        let age = now.since(self.made_at);
        let unchanged = self.seq == app.revocations.known_seq();
        self.made_at <= now
            && (age < MADE_AT_MOST_EVERY || (unchanged && age < KEPT_FOR))
            && app.keyring.current().active_kid(Algorithm::Es256) == Some(&self.kid)
    }
}

/// Reads who is in the list and what the log says of them, and signs what follows.
async fn make(app: &App, list: &str) -> anyhow::Result<Option<Published>> {
    // Before the reading: what is committed meanwhile may be in the list, but is not claimed to be.
    let (made_at, seq) = (app.now(), app.revocations.known_seq());
    let mut conn = app.store.read().await?;
    let Some(row) = status_lists::find(&mut conn, list).await? else { return Ok(None) };
    let named = status_lists::named(&mut conn, list, made_at).await?;
    drop(conn);
    let refused = named.iter().filter(|named| refuses(named.not_before, named.expires_at, named.iat, made_at));
    let statuses = encoding::statuses(usize::try_from(row.size)?, refused.filter_map(|named| usize::try_from(named.idx).ok()));
    let keys = app.keyring.current();
    let iat = made_at.seconds();
    let claims = ListClaims {
        iss: &app.issuer.url,
        sub: &uri(app, list),
        iat,
        exp: (Timestamp::from_seconds(iat) + LIFETIME).seconds(),
        ttl: TTL.as_secs(),
        status_list: StatusListObject { bits: 1, lst: encoding::lst(&statuses)? },
    };
    let jwt = keys.sign(Algorithm::Es256, STATUS_LIST_TYPE, &claims)?;
    Ok(Some(Published {
        etag: URL_SAFE_NO_PAD.encode(Sha256::digest(&jwt)),
        gzip: encoding::gzip(jwt.as_bytes())?.into(),
        jwt: jwt.into(),
        made_at,
        seq,
        kid: keys.active_kid(Algorithm::Es256).unwrap_or_default().to_owned(),
    }))
}

impl Shelf {
    fn find(&self, list: &str) -> Option<Slot> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).get(list).cloned()
    }

    /// A slot for a list that exists. Those that nobody asked for of late, which lists that ended are among, are dropped.
    fn add(&self, list: &str, app: &App) -> Slot {
        let now = app.now();
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|_, slot| match slot.try_lock() {
            Ok(held) => held.as_ref().is_some_and(|published| now.since(published.made_at) < KEPT_FOR),
            Err(_) => true,
        });
        Arc::clone(slots.entry(list.to_owned()).or_default())
    }

    fn remove(&self, list: &str) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(list);
    }
}
