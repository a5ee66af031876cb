//! Why a fetch failed. All of it is for the log: what a client learned of it would tell strangers which of our neighbours exist.

use std::io;
use std::net::IpAddr;

/// What a client is told of any fetch that failed, so that nobody can use us to find out what listens inside.
pub const NOT_FETCHED: &str = "could not be fetched";

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("the URL cannot be fetched: {0}")]
    Url(&'static str),
    #[error("the request cannot be sent")]
    Unsendable,
    #[error("the name cannot be looked up: {0}")]
    Resolve(io::Error),
    #[error("the name has no address")]
    NoAddress,
    #[error("the address {0} is not public, and not in outbound.allow_networks")]
    NotPublic(IpAddr),
    #[error("http:// is only for addresses in outbound.allow_networks, and {0} is not")]
    Plain(IpAddr),
    #[error("no connection: {0}")]
    Connect(io::Error),
    #[error("no TLS: {0}")]
    Tls(io::Error),
    #[error("no proper answer: {0}")]
    Http(hyper::Error),
    #[error("the answer is compressed, which was not asked for")]
    Encoded,
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
    #[error("it took longer than outbound.timeout")]
    TimedOut,
    #[error("too many fetches are waiting")]
    Busy,
}
