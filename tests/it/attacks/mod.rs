//! What an attacker would try, through the real router: each test was written for a way that looked open.

mod in_flight;
mod taken_back;
mod things;
