//! Tokens that were taken back, and everywhere that they must be refused.

mod same_second;
