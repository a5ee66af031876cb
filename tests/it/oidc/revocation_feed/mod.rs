//! The revocation feed, as docs/revocation-feed.md specifies it, through the real router.

mod ends;
mod messages;
mod names;
mod refusals;
mod replicas;
mod resume;
mod support;
mod waiting;
