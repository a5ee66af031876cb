//! How our types stand in columns, and rows become nouns: the same on both engines. Written out instead of derived: the crate with
//! the derives would compile both drivers, SQLite and OpenSSL a second time, for the compiler's use.

use std::error::Error as StdError;

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, IntoDeserializer};
use serde::{Deserialize, Serialize};
use sqlx::encode::IsNull;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Database, Decode, Encode, FromRow, Row, Type};

use crate::clock::Timestamp;
use crate::model::client::ClientOrigin;
use crate::model::{
    AccessTokenRecord, Algorithm, AuditEvent, AuditKind, AuthorizationCode, AuthorizationRequest, Client, DeviceAuthorization,
    DeviceDecision, ExchangedToken, Grant, Json, KeyState, LogoutDelivery, RefreshToken, RegistrationToken, Revocation,
    RevocationKind, Session, SessionClient, SigningKey, StatusList, TokenFamily, User,
};

type BoxError = Box<dyn StdError + Send + Sync>;

/// A moment is its microseconds, in BIGINT.
impl<DB: Database> Type<DB> for Timestamp
where
    i64: Type<DB>,
{
    fn type_info() -> DB::TypeInfo {
        i64::type_info()
    }
    fn compatible(info: &DB::TypeInfo) -> bool {
        i64::compatible(info)
    }
}

impl<'r, DB: Database> Decode<'r, DB> for Timestamp
where
    i64: Decode<'r, DB>,
{
    fn decode(value: DB::ValueRef<'r>) -> Result<Self, BoxError> {
        Ok(Self(i64::decode(value)?))
    }
}

impl<'q, DB: Database> Encode<'q, DB> for Timestamp
where
    i64: Encode<'q, DB>,
{
    fn encode_by_ref(&self, buffer: &mut DB::ArgumentBuffer) -> Result<IsNull, BoxError> {
        self.0.encode_by_ref(buffer)
    }
}

/// JSON is text.
impl<DB: Database, T> Type<DB> for Json<T>
where
    String: Type<DB>,
{
    fn type_info() -> DB::TypeInfo {
        String::type_info()
    }
    fn compatible(info: &DB::TypeInfo) -> bool {
        String::compatible(info)
    }
}

impl<'r, DB: Database, T: DeserializeOwned> Decode<'r, DB> for Json<T>
where
    &'r str: Decode<'r, DB>,
{
    fn decode(value: DB::ValueRef<'r>) -> Result<Self, BoxError> {
        Ok(Json(serde_json::from_str(<&str>::decode(value)?)?))
    }
}

impl<'q, DB: Database, T: Serialize> Encode<'q, DB> for Json<T>
where
    String: Encode<'q, DB>,
{
    fn encode_by_ref(&self, buffer: &mut DB::ArgumentBuffer) -> Result<IsNull, BoxError> {
        serde_json::to_string(&self.0)?.encode(buffer)
    }
}

/// A choice is the text that serde gives it.
macro_rules! choices {
    ($($choice:ty),+ $(,)?) => {$(
        impl<DB: Database> Type<DB> for $choice
        where
            String: Type<DB>,
        {
            fn type_info() -> DB::TypeInfo {
                String::type_info()
            }
            fn compatible(info: &DB::TypeInfo) -> bool {
                String::compatible(info)
            }
        }

        impl<'r, DB: Database> Decode<'r, DB> for $choice
        where
            &'r str: Decode<'r, DB>,
        {
            fn decode(value: DB::ValueRef<'r>) -> Result<Self, BoxError> {
                let text: StrDeserializer<'_, serde::de::value::Error> = <&str>::decode(value)?.into_deserializer();
                Ok(Self::deserialize(text)?)
            }
        }

        impl<'q, DB: Database> Encode<'q, DB> for $choice
        where
            String: Encode<'q, DB>,
        {
            fn encode_by_ref(&self, buffer: &mut DB::ArgumentBuffer) -> Result<IsNull, BoxError> {
                match serde_json::to_value(self)? {
                    serde_json::Value::String(text) => text.encode(buffer),
                    _ => Err("a choice without a text".into()),
                }
            }
        }
    )+};
}

choices!(Algorithm, AuditKind, ClientOrigin, DeviceDecision, KeyState, RevocationKind);

/// Reads each field from the column of its name.
macro_rules! rows {
    ($($noun:ident { $($field:ident),+ $(,)? })+) => {$(
        impl FromRow<'_, SqliteRow> for $noun {
            fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
                Ok(Self { $($field: row.try_get(stringify!($field))?),+ })
            }
        }

        impl FromRow<'_, PgRow> for $noun {
            fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
                Ok(Self { $($field: row.try_get(stringify!($field))?),+ })
            }
        }
    )+};
}

rows! {
    User {
        id, email, email_key, email_verified, profile, roles, groups, password_changed_at, disabled_at, created_at,
        updated_at,
    }
    Client {
        id, secret_hash, secret_jwe, metadata, origin, registration_token_hash, last_used_at, disabled_at, tokens_not_before,
        created_at, updated_at
    }
    Session { id, secret_hash, user_id, auth_time, amr, created_at, last_seen_at, expires_at, ended_at, user_agent, ip }
    SessionClient { session_id, client_id, sub, created_at }
    LogoutDelivery { session_id, client_id, sub, created_at, attempts, next_attempt_at, last_error, given_up_at }
    AuthorizationRequest { id_hash, client_id, parameters, created_at, expires_at }
    AuthorizationCode {
        code_hash, client_id, user_id, session_id, parameters, scope, auth_time, amr, created_at, expires_at, redeemed_at,
        family_id, access_token_jti, access_token_expires_at,
    }
    AccessTokenRecord { jti, user_id, client_id, code_hash, claims, expires_at }
    DeviceAuthorization {
        device_code_hash, user_code, client_id, scope, resource, ip, created_at, expires_at, poll_interval, polled_at, decision,
        decided_at,
    }
    ExchangedToken { jti, audience, expires_at, source_jti, source_sid, source_sub, source_client_id, source_kid }
    Grant { user_id, client_id, scope, created_at, updated_at }
    TokenFamily {
        id, client_id, user_id, session_id, scope, resource, offline, acr, amr, claims, auth_time, created_at, last_used_at,
        expires_at, revoked_at,
    }
    RefreshToken {
        token_hash, family_id, created_at, expires_at, rotated_at, access_token_jti, access_token_expires_at, status_list,
        status_idx,
    }
    RegistrationToken { id, token_hash, note, uses_left, created_at, expires_at }
    StatusList { id, size, created_at, expires_at }
    SigningKey { kid, alg, state, public_jwk, private_jwe, created_at, activated_at, retired_at, revoked_at }
    Revocation { seq, kind, id, not_before, expires_at, audience }
    AuditEvent { id, at, kind, actor, subject, ip, request_id, detail }
}
