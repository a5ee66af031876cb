//! The revocation feed, as docs/revocation-feed.md specifies it, through the real router.

mod messages;
mod support;
