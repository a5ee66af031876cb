//! Browser pages for people: sign-in, consent, account, errors. Protocol answers are made in `oidc`, never here.

pub mod assets;
pub mod views;
pub mod words;
