//! Tests of the verifier as its users see it: against a provider on this machine that does what a test says, and against the vectors.

#[path = "../../examples/vectors/sign.rs"]
mod sign;

mod connection;
mod fake;
mod verify;
