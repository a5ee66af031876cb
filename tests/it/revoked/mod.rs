//! Tokens that were taken back, and everywhere that they must be refused: the real provider and the real receivers of its feed.

mod forged;
mod network;
mod same_second;
mod scene;
mod storage;
mod tight_loop;
