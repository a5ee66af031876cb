//! The one integration binary: everything that is tested through the public crate or the real `tessera` binary.
//! Tests that need a server are left out in words when it is not configured; `tests/run` configures all of them.

mod attacks;
mod browser;
mod cli;
mod conformance;
mod crash;
mod demo;
mod docs;
mod forward_auth;
mod harness;
mod house;
mod key_clockwork;
mod key_rewrap;
mod key_year;
mod layers;
mod oidc;
mod pages;
mod properties;
mod relying_parties;
mod replicas;
mod revoked;
mod source;
mod store;
mod supply_chain;
mod workbench;
