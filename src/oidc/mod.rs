//! (to be written)
pub mod token;
