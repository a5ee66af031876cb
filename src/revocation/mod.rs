//! Taking tokens back: the one question "is this token refused?" (`Revocations::check`) and the one way to make it so
//! (`Revocations::commit`). DESIGN §5.
//!
//! The truth is the log in SQL (`store::revocations`). A denylist is an index over it, in this process or in Redis, that answers
//! quickly and says how far into the log it is complete. It may always say "refused"; its "not refused" counts only while it is
//! complete up to the last entry that this process knows of and that knowledge is fresh. Otherwise SQL answers, or nobody does.
//!
//! Not here: whether the session, user or client of a token still exists; refresh tokens and codes, which live in SQL.

mod denylist;
mod entries;
mod exchanged;
mod in_process;
mod in_redis;
mod nudge;
mod revocations;

pub use denylist::{TokenFacts, Verdict, refuses};
pub use entries::{LONGEST_ACCESS_TOKEN, MARGIN, client, key, session, token, user, wait_to_mint};
pub use exchanged::check_and_hold;
pub use in_redis::connect as connect_redis;
pub use nudge::listen as listen_to_redis;
pub use revocations::{Counters, FOLLOW_EVERY, Revocations};

#[cfg(test)]
mod tests;
