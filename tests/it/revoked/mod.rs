//! Tokens that were taken back, and everywhere that they must be refused: the real provider and the real receivers of its feed.

mod clocks;
mod forged;
mod keys_and_logs;
mod network;
mod python;
mod same_second;
mod scene;
mod storage;
mod tight_loop;
