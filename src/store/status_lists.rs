//! Token Status List: the lists, and the place of each access token in them. What a bit says follows from the revocation log.

use super::engine::{execute, fetch_all, fetch_optional};
use super::{Conn, StoreError, Tx};
use crate::clock::Timestamp;
use crate::model::{StatusList, StatusListEntry};

macro_rules! columns {
    () => {
        "id, size, created_at, expires_at"
    };
}

/// Pairs of an entry of the list and a revocation in force that names its `$column`. CROSS JOIN, because SQLite then keeps this order:
/// an index look-up for each entry. Without statistics it would choose the product of both tables.
macro_rules! named_by {
    ($kind:literal, $column:literal) => {
        concat!(
            "SELECT e.idx, e.iat, r.not_before, r.expires_at FROM status_list_entries e CROSS JOIN revocations r
            WHERE e.list = $1 AND r.kind = '",
            $kind,
            "' AND r.id = e.",
            $column,
            " AND r.expires_at > $2"
        )
    };
}

const INSERT: &str = concat!("INSERT INTO status_lists (", columns!(), ") VALUES ($1, $2, $3, $4)");
const CLOSE: &str = "UPDATE status_lists SET expires_at = $2 WHERE id = $1";
const FIND: &str = concat!("SELECT ", columns!(), " FROM status_lists WHERE id = $1");
const ALL: &str = concat!("SELECT ", columns!(), " FROM status_lists ORDER BY id");
const EXPIRED: &str = concat!("SELECT ", columns!(), " FROM status_lists WHERE expires_at < $1");
const DELETE: &str = "DELETE FROM status_lists WHERE id = $1";
const INSERT_ENTRY: &str = "INSERT INTO status_list_entries (list, idx, jti, sid, sub, client_id, kid, iat)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const NAMED: &str = concat!(
    named_by!("token", "jti"),
    " UNION ALL ",
    named_by!("session", "sid"),
    " UNION ALL ",
    named_by!("user", "sub"),
    " UNION ALL ",
    named_by!("client", "client_id"),
    " UNION ALL ",
    named_by!("key", "kid"),
);
// In portions: on SQLite one long statement would keep every other writer waiting.
const PURGE_ENTRIES: &str = "DELETE FROM status_list_entries WHERE list = $1
    AND idx IN (SELECT idx FROM status_list_entries WHERE list = $1 ORDER BY idx LIMIT 1000)";

pub(super) const STATEMENTS: &[&str] = &[INSERT, CLOSE, FIND, ALL, EXPIRED, DELETE, INSERT_ENTRY, NAMED, PURGE_ENTRIES];

/// An entry of a list and a revocation that names it: it refuses the token if it is in force for that `iat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    pub idx: i64,
    /// Of the token; seconds.
    pub iat: i64,
    /// Of the revocation.
    pub not_before: Option<i64>,
    /// Of the revocation.
    pub expires_at: Timestamp,
}

/// Begins a list.
pub async fn insert(tx: &mut Tx, list: &StatusList) -> Result<(), StoreError> {
    execute!(tx, INSERT, &list.id, list.size, list.created_at, list.expires_at)?;
    Ok(())
}

/// No more tokens get a place in this list, and the last one of them expires at `expires_at`.
pub async fn close(tx: &mut Tx, id: &str, expires_at: Timestamp) -> Result<(), StoreError> {
    execute!(tx, CLOSE, id, expires_at)?;
    Ok(())
}

/// The list of this name.
pub async fn find(conn: &mut Conn, id: &str) -> Result<Option<StatusList>, StoreError> {
    fetch_optional!(conn, FIND, id)
}

/// All lists, in the order of their random names.
pub async fn all(conn: &mut Conn) -> Result<Vec<StatusList>, StoreError> {
    fetch_all!(conn, ALL)
}

/// The lists whose last token expired before `before`.
pub async fn expired(conn: &mut Conn, before: Timestamp) -> Result<Vec<StatusList>, StoreError> {
    fetch_all!(conn, EXPIRED, before)
}

/// Deletes a list, but not its entries: those first.
pub async fn delete(tx: &mut Tx, id: &str) -> Result<bool, StoreError> {
    Ok(execute!(tx, DELETE, id)? > 0)
}

/// Gives a token its place. A UNIQUE violation means that the place is taken, which whoever gives places must not let happen.
pub async fn insert_entry(tx: &mut Tx, entry: &StatusListEntry) -> Result<(), StoreError> {
    execute!(
        tx,
        INSERT_ENTRY,
        &entry.list,
        entry.idx,
        &entry.jti,
        &entry.sid,
        &entry.sub,
        &entry.client_id,
        &entry.kid,
        entry.iat,
    )?;
    Ok(())
}

/// The entries of `list` that revocations in force at `now` name. Cut-offs are for the caller to compare with `iat`.
pub async fn named(conn: &mut Conn, list: &str, now: Timestamp) -> Result<Vec<Named>, StoreError> {
    let rows: Vec<(i64, i64, Option<i64>, Timestamp)> = fetch_all!(conn, NAMED, list, now)?;
    let named = |(idx, iat, not_before, expires_at)| Named { idx, iat, not_before, expires_at };
    Ok(rows.into_iter().map(named).collect())
}

/// Deletes up to 1000 entries of a list, and says how many.
pub async fn purge_entries(tx: &mut Tx, list: &str) -> Result<u64, StoreError> {
    execute!(tx, PURGE_ENTRIES, list)
}
