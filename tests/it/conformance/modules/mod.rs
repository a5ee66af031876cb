//! The bodies of the modules. They take their response type, response mode and client authentication from the plan's variant.

mod assertions;
mod codes;
mod dynamic;
mod logout;
mod logout_calls;
mod metadata;
mod parameters;
mod refresh;
mod request_objects;
mod scopes;
mod server;
pub mod sessions;
mod userinfo;

pub use assertions::*;
pub use codes::*;
pub use dynamic::*;
pub use logout::*;
pub use logout_calls::*;
pub use metadata::*;
pub use parameters::*;
pub use refresh::*;
pub use request_objects::*;
pub use scopes::*;
pub use server::*;
pub use sessions::*;
pub use userinfo::*;
