//! The client against servers that lie, dawdle and babble, on loopback.

mod answers;
mod patience;
mod support;
mod where_to;
