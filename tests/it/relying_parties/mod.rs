//! Relying parties that we did not write, each through the whole life of a sign-in: the `openidconnect` crate, openid-client on Node.js, and
//! Authlib in Python.

mod openidconnect;
mod other_languages;
