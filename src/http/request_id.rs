//! A reference number for each request: in the log, in the answer's `X-Request-Id`, and on error pages, so that what a person
//! reads out can be found again. A client's own `X-Request-Id` is not believed: it could forge or flood the log.
//!
//! The number reaches log lines through a task-local value and not through a span: a span costs more than the whole of a JWKS
//! answer, for each request and not only for those that log something.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;

use axum::http::HeaderValue;
use tokio::task::futures::TaskLocalFuture;

use crate::model::secret::random_bytes;

/// Crockford's base 32, which has no letters that look like digits.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Numbers that one question to the kernel is enough for: asking for each alone would cost a tenth of a JWKS answer.
const BATCH: usize = 64;

/// 80 random bits in 16 characters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestId([u8; 16]);

thread_local! {
    /// Numbers that this thread has not given out yet.
    static UNUSED: RefCell<Vec<RequestId>> = const { RefCell::new(Vec::new()) };
}

tokio::task_local! {
    static CURRENT: RequestId;
}

impl RequestId {
    /// A new number.
    pub fn random() -> Self {
        UNUSED.with_borrow_mut(|unused| {
            unused.pop().unwrap_or_else(|| {
                let bytes = random_bytes::<{ 16 * BATCH }>();
                let (numbers, _) = bytes.as_chunks::<16>();
                unused.extend(numbers.iter().map(|bytes| Self::of(*bytes)));
                Self::of(random_bytes())
            })
        })
    }

    fn of(bytes: [u8; 16]) -> Self {
        Self(bytes.map(|byte| ALPHABET.get(usize::from(byte % 32)).copied().unwrap_or(b'0')))
    }

    /// The number of the request that this task answers; none outside of one.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(|id| *id).ok()
    }

    /// `future` with this number as the current one.
    pub(super) fn scope<F: Future>(self, future: F) -> TaskLocalFuture<Self, F> {
        CURRENT.scope(self, future)
    }

    /// The number as a header's value.
    pub(super) fn header_value(&self) -> Option<HeaderValue> {
        HeaderValue::from_bytes(&self.0).ok()
    }

    /// The number as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("")
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_number_outside_a_request() {
        assert!(RequestId::current().is_none());
    }

    #[test]
    fn no_number_comes_twice() {
        let numbers: std::collections::HashSet<String> = (0..3 * BATCH).map(|_| RequestId::random().to_string()).collect();
        assert_eq!(numbers.len(), 3 * BATCH);
    }
}
