//! What every endpoint shares: reading requests strictly, and the headers that every answer needs. Nothing here knows
//! the protocol's endpoints, the store, or the pages.

pub mod basic_auth;
pub mod bearer;
pub mod client_ip;
pub mod cookies;
pub mod cors;
pub mod csrf;
pub mod form_encoding;
pub mod headers;
pub mod params;
pub mod rate_limit;
mod rate_limit_local;
mod request_id;
pub mod request_scope;

pub use client_ip::client_ip;
pub use cookies::CookieNames;
pub use params::{Params, ParamsError};
pub use rate_limit::{RateLimiter, RetryAfter};
pub use request_id::RequestId;
