//! The protocol, through the real router. Numbers in comments are the lines of the security checklist in `docs/security.md`.

mod access_token;
mod authorize;
mod client_auth;
mod client_keys;
mod client_secret_jwt;
mod code;
pub mod device;
mod encryption;
mod logout;
mod metadata;
mod pairwise;
mod par;
mod readable_secret;
mod refresh;
mod registration;
mod request_objects;
mod request_uri;
mod revocation;
mod revocation_feed;
mod status_list;
mod token_exchange;
