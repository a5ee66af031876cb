//! What tests stand on: databases, Redis, the real binary. Nothing here knows what a test is about.

pub mod browser;
pub mod calls;
pub mod client_key;
pub mod cluster;
pub mod elsewhere;
pub mod engines;
pub mod gate;
pub mod inflate;
pub mod listening_app;
pub mod live;
pub mod middleman;
pub mod nginx;
pub mod person;
pub mod postgres;
pub mod process;
pub mod provider;
pub mod redis;
pub mod response;
pub mod servers;
pub mod visitor;
