//! Authorization requests that wait for a person, and authorization codes.

use super::engine::{execute, fetch_all, fetch_optional};
use super::{Conn, StoreError, Tx};
use crate::clock::Timestamp;
use crate::model::{AuthorizationCode, AuthorizationRequest, CodeRedemption};

macro_rules! code_columns {
    () => {
        "code_hash, client_id, user_id, session_id, parameters, scope, auth_time, amr, created_at, expires_at, redeemed_at, \
         family_id, access_token_jti, access_token_expires_at"
    };
}

const INSERT_REQUEST: &str =
    "INSERT INTO authorization_requests (id_hash, client_id, parameters, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)";
const FIND_REQUEST: &str = "SELECT id_hash, client_id, parameters, created_at, expires_at FROM authorization_requests WHERE id_hash = $1 AND expires_at > $2";
const UPDATE_REQUEST: &str = "UPDATE authorization_requests SET parameters = $2 WHERE id_hash = $1";
const TAKE_REQUEST: &str = "DELETE FROM authorization_requests WHERE id_hash = $1";
const PURGE_REQUESTS: &str = "DELETE FROM authorization_requests WHERE expires_at < $1";
const INSERT_CODE: &str = concat!(
    "INSERT INTO authorization_codes (",
    code_columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
);
const FIND_CODE: &str = concat!("SELECT ", code_columns!(), " FROM authorization_codes WHERE code_hash = $1");
const REDEEM_CODE: &str = "UPDATE authorization_codes
    SET redeemed_at = $2, family_id = $3, access_token_jti = $4, access_token_expires_at = $5
    WHERE code_hash = $1 AND redeemed_at IS NULL";
const TAKE_YIELD: &str = "UPDATE authorization_codes SET family_id = NULL, access_token_jti = NULL
    WHERE code_hash = $1 AND access_token_jti IS NOT NULL";
const LIVE_ACCESS_TOKENS: &str = "SELECT access_token_jti, access_token_expires_at FROM authorization_codes
    WHERE user_id = $1 AND client_id = $2 AND access_token_jti IS NOT NULL AND access_token_expires_at > $3";
const DELETE_PENDING_CODES: &str =
    "DELETE FROM authorization_codes WHERE user_id = $1 AND client_id = $2 AND redeemed_at IS NULL";
const DELETE_PENDING_OF_CLIENT: &str = "DELETE FROM authorization_codes WHERE client_id = $1 AND redeemed_at IS NULL";
const PURGE_CODES: &str = "DELETE FROM authorization_codes WHERE expires_at < $1";

pub(super) const STATEMENTS: &[&str] = &[
    INSERT_REQUEST,
    FIND_REQUEST,
    UPDATE_REQUEST,
    TAKE_REQUEST,
    PURGE_REQUESTS,
    INSERT_CODE,
    FIND_CODE,
    REDEEM_CODE,
    TAKE_YIELD,
    LIVE_ACCESS_TOKENS,
    DELETE_PENDING_CODES,
    DELETE_PENDING_OF_CLIENT,
    PURGE_CODES,
];

/// Stores a request while its person signs in.
pub async fn insert_request(tx: &mut Tx, request: &AuthorizationRequest) -> Result<(), StoreError> {
    execute!(
        tx,
        INSERT_REQUEST,
        &request.id_hash,
        &request.client_id,
        &request.parameters,
        request.created_at,
        request.expires_at
    )?;
    Ok(())
}

/// The stored request, unless it has expired.
pub async fn find_request(conn: &mut Conn, id_hash: &[u8], now: Timestamp) -> Result<Option<AuthorizationRequest>, StoreError> {
    fetch_optional!(conn, FIND_REQUEST, id_hash, now)
}

/// Writes down what the person has answered so far.
pub async fn update_request(tx: &mut Tx, request: &AuthorizationRequest) -> Result<(), StoreError> {
    execute!(tx, UPDATE_REQUEST, &request.id_hash, &request.parameters)?;
    Ok(())
}

/// Removes a request that is being answered. `false` if it had been: a request is answered once.
pub async fn take_request(tx: &mut Tx, id_hash: &[u8]) -> Result<bool, StoreError> {
    Ok(execute!(tx, TAKE_REQUEST, id_hash)? > 0)
}

/// Forgets requests that nobody answered.
pub async fn purge_requests(tx: &mut Tx, before: Timestamp) -> Result<u64, StoreError> {
    execute!(tx, PURGE_REQUESTS, before)
}

/// Stores a code by its hash.
pub async fn insert_code(tx: &mut Tx, code: &AuthorizationCode) -> Result<(), StoreError> {
    execute!(
        tx,
        INSERT_CODE,
        &code.code_hash,
        &code.client_id,
        &code.user_id,
        &code.session_id,
        &code.parameters,
        &code.scope,
        code.auth_time,
        &code.amr,
        code.created_at,
        code.expires_at,
        code.redeemed_at,
        &code.family_id,
        &code.access_token_jti,
        code.access_token_expires_at,
    )?;
    Ok(())
}

/// The code with this hash: redeemed or expired ones too, so that a replay is recognised.
pub async fn find_code(conn: &mut Conn, code_hash: &[u8]) -> Result<Option<AuthorizationCode>, StoreError> {
    fetch_optional!(conn, FIND_CODE, code_hash)
}

/// Redeems a code in one guarded statement. `false` if it had been redeemed: of any number of attempts one succeeds.
pub async fn redeem_code(tx: &mut Tx, code_hash: &[u8], now: Timestamp, yielded: &CodeRedemption) -> Result<bool, StoreError> {
    let changed = execute!(
        tx,
        REDEEM_CODE,
        code_hash,
        now,
        &yielded.family_id,
        &yielded.access_token_jti,
        yielded.access_token_expires_at
    )?;
    Ok(changed > 0)
}

/// Notes that what a redeemed code yielded is being taken back. `false` if it had been: a replay does so once.
pub async fn take_yield(tx: &mut Tx, code_hash: &[u8]) -> Result<bool, StoreError> {
    Ok(execute!(tx, TAKE_YIELD, code_hash)? > 0)
}

/// The access tokens that codes of this person yielded to this client and that have not expired.
pub async fn live_access_tokens(
    conn: &mut Conn,
    user_id: &str,
    client_id: &str,
    now: Timestamp,
) -> Result<Vec<(String, Timestamp)>, StoreError> {
    fetch_all!(conn, LIVE_ACCESS_TOKENS, user_id, client_id, now)
}

/// Takes back the codes of this person that the client has not redeemed. Waits for a redemption that is under way.
pub async fn delete_pending_codes(tx: &mut Tx, user_id: &str, client_id: &str) -> Result<u64, StoreError> {
    execute!(tx, DELETE_PENDING_CODES, user_id, client_id)
}

/// Takes back all codes that the client has not redeemed. Waits for redemptions that are under way.
pub async fn delete_pending_codes_of_client(tx: &mut Tx, client_id: &str) -> Result<u64, StoreError> {
    execute!(tx, DELETE_PENDING_OF_CLIENT, client_id)
}

/// Forgets codes that expired before `before`; late enough that what they yielded has expired too.
pub async fn purge_codes(tx: &mut Tx, before: Timestamp) -> Result<u64, StoreError> {
    execute!(tx, PURGE_CODES, before)
}
