//! The protocol, through the real router. Numbers in comments are the lines of the security checklist in `docs/security.md`.

mod access_token;
mod authorize;
mod client_auth;
mod code;
pub mod device;
mod logout;
mod metadata;
mod refresh;
mod revocation;
mod revocation_feed;
mod status_list;
mod token_exchange;
