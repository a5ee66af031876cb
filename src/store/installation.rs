//! Facts about this installation that are made once, at its first start.

use super::engine::{execute, fetch_optional};
use super::{Conn, StoreError, Tx};

const GET: &str = "SELECT value FROM installation WHERE name = $1";
// The update that changes nothing makes RETURNING give the row that is there: one statement, and no race between two first starts.
const PUT_IF_ABSENT: &str = "INSERT INTO installation (name, value) VALUES ($1, $2)
    ON CONFLICT (name) DO UPDATE SET value = installation.value RETURNING value";
const PUT: &str =
    "INSERT INTO installation (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
const REPLACE: &str = "UPDATE installation SET value = $3 WHERE name = $1 AND value = $2";
const TAKE: &str = "DELETE FROM installation WHERE name = $1 AND value = $2";

pub(super) const STATEMENTS: &[&str] = &[GET, PUT_IF_ABSENT, PUT, REPLACE, TAKE];

/// The value stored under `name`.
pub async fn get(conn: &mut Conn, name: &str) -> Result<Option<String>, StoreError> {
    let row: Option<(String,)> = fetch_optional!(conn, GET, name)?;
    Ok(row.map(|(value,)| value))
}

/// Stores `value` under `name` unless there is one already, and gives the one that is stored.
pub async fn put_if_absent(tx: &mut Tx, name: &str, value: &str) -> Result<String, StoreError> {
    let row: Option<(String,)> = fetch_optional!(tx, PUT_IF_ABSENT, name, value)?;
    row.map(|(value,)| value).ok_or(StoreError::Sql(sqlx::Error::RowNotFound))
}

/// Stores `value` under `name`, in place of what was there.
pub async fn put(tx: &mut Tx, name: &str, value: &str) -> Result<(), StoreError> {
    execute!(tx, PUT, name, value)?;
    Ok(())
}

/// Stores `value` under `name`, in place of `old`. `false` if that is not what is stored.
pub async fn replace(tx: &mut Tx, name: &str, old: &str, value: &str) -> Result<bool, StoreError> {
    Ok(execute!(tx, REPLACE, name, old, value)? > 0)
}

/// Removes what is stored under `name` if it is `value`. `false` if it is not: of any number of attempts one succeeds.
pub async fn take(tx: &mut Tx, name: &str, value: &str) -> Result<bool, StoreError> {
    Ok(execute!(tx, TAKE, name, value)? > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::revocations::tests::test_stores;

    #[tokio::test]
    async fn the_first_value_stays() {
        for test in test_stores().await {
            let mut tx = test.store.begin().await.unwrap();
            assert_eq!(get(&mut tx, "colour").await.unwrap(), None);
            assert_eq!(put_if_absent(&mut tx, "colour", "red").await.unwrap(), "red");
            assert_eq!(put_if_absent(&mut tx, "colour", "blue").await.unwrap(), "red");
            tx.commit().await.unwrap();
            let mut conn = test.store.read().await.unwrap();
            assert_eq!(get(&mut conn, "colour").await.unwrap().as_deref(), Some("red"));
        }
    }

    #[tokio::test]
    async fn a_value_is_replaced_and_taken_once() {
        for test in test_stores().await {
            let mut tx = test.store.begin().await.unwrap();
            put(&mut tx, "colour", "red").await.unwrap();
            put(&mut tx, "colour", "blue").await.unwrap();
            assert!(!take(&mut tx, "colour", "red").await.unwrap());
            assert!(take(&mut tx, "colour", "blue").await.unwrap());
            assert!(!take(&mut tx, "colour", "blue").await.unwrap());
            assert_eq!(get(&mut tx, "colour").await.unwrap(), None);
        }
    }
}
