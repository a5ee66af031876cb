//! The nouns, as plain data. No room of ours is imported here; `sqlx` appears only as derives on the columns' types,
//! so that a row and its noun are one struct and cannot drift apart.

pub mod access_token;
pub mod audit;
pub mod authorization;
pub mod claims_request;
pub mod client;
pub mod client_crypto;
pub mod device;
pub mod exchanged_token;
pub mod json;
pub mod redirect_uri;
pub mod registration_token;
pub mod response_type;
pub mod revocation;
pub mod scope;
pub mod secret;
pub mod sector;
pub mod session;
pub mod signing_key;
pub mod status_list;
pub mod token_family;
pub mod user;

pub use access_token::AccessTokenRecord;
pub use audit::{Actor, AuditEvent, AuditKind};
pub use authorization::{AuthorizationCode, AuthorizationRequest, CodeRedemption, Grant};
pub use claims_request::ClaimsRequest;
pub use client::{Client, ClientMetadata};
pub use device::{DeviceAuthorization, DeviceDecision, UserCode};
pub use exchanged_token::ExchangedToken;
pub use json::Json;
pub use redirect_uri::RedirectUri;
pub use registration_token::RegistrationToken;
pub use revocation::{Revocation, RevocationKind};
pub use scope::ScopeSet;
pub use secret::Secret;
pub use session::{LogoutDelivery, Session, SessionClient};
pub use signing_key::{Algorithm, KeyState, SigningKey};
pub use status_list::{StatusList, StatusListEntry, StatusReference};
pub use token_family::{RefreshToken, TokenFamily, access_token_audience};
pub use user::{Address, User};
