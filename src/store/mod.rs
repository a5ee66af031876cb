//! SQL for both engines: the only room that runs it. One file per aggregate; each function is one statement, and says what it does.
//!
//! One SQL text serves SQLite and PostgreSQL (DESIGN §2): `$1` parameters, TEXT, BIGINT, BOOLEAN, BLOB/BYTEA, times as
//! microseconds from `Clock`, `RETURNING`, `ON CONFLICT`. The macros below run one body against whichever engine is open.

mod engine;
pub mod migrate;
mod rows;

pub mod access_tokens;
pub mod audit;
pub mod authorization;
pub mod clients;
pub mod credentials;
pub mod device_authorizations;
pub mod exchanged_tokens;
pub mod grants;
pub mod installation;
pub mod logout_deliveries;
pub mod pairwise_subjects;
pub mod pushed_requests;
pub mod registration;
pub mod revocations;
pub mod sessions;
pub mod signing_keys;
pub mod status_lists;
pub mod token_families;
pub mod users;

pub use engine::{Conn, Store, StoreError, Tx};

/// Every SQL text of this room, for the test that prepares each on both engines.
pub fn statements() -> impl Iterator<Item = &'static str> {
    [
        access_tokens::STATEMENTS,
        audit::STATEMENTS,
        authorization::STATEMENTS,
        clients::STATEMENTS,
        credentials::STATEMENTS,
        device_authorizations::STATEMENTS,
        exchanged_tokens::STATEMENTS,
        grants::STATEMENTS,
        installation::STATEMENTS,
        logout_deliveries::STATEMENTS,
        pairwise_subjects::STATEMENTS,
        pushed_requests::STATEMENTS,
        registration::STATEMENTS,
        revocations::STATEMENTS,
        sessions::STATEMENTS,
        signing_keys::STATEMENTS,
        status_lists::STATEMENTS,
        token_families::STATEMENTS,
        users::STATEMENTS,
    ]
    .into_iter()
    .flatten()
    .copied()
}
