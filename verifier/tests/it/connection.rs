//! The connection to the provider when things go wrong. (None yet.)
