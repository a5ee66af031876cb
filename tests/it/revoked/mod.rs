//! Tokens that were taken back, and everywhere that they must be refused: the real provider and the real receivers of its feed.

mod same_second;
mod tight_loop;
