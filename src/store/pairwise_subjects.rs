//! The subjects that clients of one sector know a person by (OpenID Connect Core §8.1). How one is made is `root_secret`'s.

use super::engine::{execute, fetch_all, fetch_optional};
use super::{Conn, StoreError, Tx};
use crate::clock::Timestamp;

const INSERT: &str =
    "INSERT INTO pairwise_subjects (sub, user_id, sector, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT (sub) DO NOTHING";
const FIND_USER: &str = "SELECT user_id FROM pairwise_subjects WHERE sub = $1";
const OF_USER: &str = "SELECT sub FROM pairwise_subjects WHERE user_id = $1 ORDER BY sub";

pub(super) const STATEMENTS: &[&str] = &[INSERT, FIND_USER, OF_USER];

/// Records that the clients of `sector` know the person as `sub`. Nothing happens if that is known.
pub async fn insert(tx: &mut Tx, sub: &str, user_id: &str, sector: &str, now: Timestamp) -> Result<(), StoreError> {
    execute!(tx, INSERT, sub, user_id, sector, now)?;
    Ok(())
}

/// The account behind `sub`.
pub async fn find_user(conn: &mut Conn, sub: &str) -> Result<Option<String>, StoreError> {
    let row: Option<(String,)> = fetch_optional!(conn, FIND_USER, sub)?;
    Ok(row.map(|(user_id,)| user_id))
}

/// Every pairwise `sub` of a person.
pub async fn of_user(conn: &mut Conn, user_id: &str) -> Result<Vec<String>, StoreError> {
    let rows: Vec<(String,)> = fetch_all!(conn, OF_USER, user_id)?;
    Ok(rows.into_iter().map(|(sub,)| sub).collect())
}
