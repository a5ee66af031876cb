//! The contract of both denylists (`contract`), what committing, checking and following promise on every engine and denylist (`log`),
//! and what happens when Redis is stopped, flushed, restored or slow (`faults`).

mod contract;
mod faults;
mod log;
mod support;
