//! Tests of the verifier as its users see it: against a provider on this machine that does what a test says, and against the vectors.

#[path = "../../examples/vectors/feed/mod.rs"]
mod feed;
#[path = "../../examples/vectors/files.rs"]
mod files;
#[path = "../../examples/vectors/sign.rs"]
mod sign;
#[path = "../../examples/vectors/tokens/mod.rs"]
mod tokens;

mod connection;
mod fake;
mod hostile;
mod layer;
mod receiver;
mod schema;
mod vectors;
mod verify;
