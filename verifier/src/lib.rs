//! Accept Tessera's access tokens in a resource server, and refuse revoked ones within a second, with no look-up per request.
//!
//! [`Verifier`] is what a server uses: it finds the provider's keys, follows its revocation feed (docs/revocation-feed.md) in the
//! background, and answers [`Verifier::verify`] from memory. With tower, [`RequireToken`] is a layer; with axum (feature `axum`) there are
//! extractors in [`axum`]. [`Receiver`] and [`check_token`] are the same without network, clock and tasks: for tests, and for servers with
//! a transport of their own.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

#[cfg(feature = "axum")]
pub mod axum;
mod builder;
mod clock;
mod crypto;
mod denied;
mod feed;
mod http;
mod index;
mod json;
mod jws;
mod keys;
#[cfg(feature = "tower")]
mod layer;
mod message;
mod provider;
mod receiver;
mod refused;
mod shared;
mod sse;
mod state;
mod step_up;
mod token;
mod verifier;

pub use builder::{BuildError, Builder};
pub use clock::{Clock, SystemClock};
pub use denied::{Denied, bearer_token};
pub use http::HttpError;
pub use index::{Index, Kind};
pub use keys::{KeySet, NotAKeySet};
#[cfg(feature = "tower")]
pub use layer::{RequireToken, RequireTokenService, WhenStale};
pub use provider::ProviderError;
pub use receiver::{Dropped, MAX_MESSAGE_LENGTH, MAX_SILENCE, Outcome, Receiver};
pub use refused::Refused;
pub use sse::{Event, EventStream, NotEvents};
pub use state::Now;
pub use step_up::StepUp;
pub use token::{MAX_LEEWAY, MAX_TOKEN_LENGTH, Token, TokenRules, check_token};
pub use verifier::{Status, Verifier};
