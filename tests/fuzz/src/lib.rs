//! What each fuzz target does with a libFuzzer input: a request to the provider's own router, on a database of its own, and then what must
//! hold whatever the request was. The targets themselves are in `targets/`.

pub mod authorize;
mod provider;
pub mod registration;
pub mod request_object;
pub mod token;

pub use provider::{Answer, start};
