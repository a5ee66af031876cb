//! A status list as bytes, and as JSON has it (draft-ietf-oauth-status-list-21 §4.1, §4.2).

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

/// `size` statuses of one bit each: VALID (0), but INVALID (1) at `invalid`. The first is the least significant bit of the first byte.
pub fn statuses(size: usize, invalid: impl IntoIterator<Item = usize>) -> Vec<u8> {
    let mut bytes = vec![0; size.div_ceil(8)];
    for idx in invalid.into_iter().filter(|idx| *idx < size) {
        if let Some(byte) = bytes.get_mut(idx / 8) {
            *byte |= 1 << (idx % 8);
        }
    }
    bytes
}

/// `lst`: compressed (RFC 1950), then base64url.
///
/// # Errors
/// Never: it writes to memory.
pub fn lst(statuses: &[u8]) -> std::io::Result<String> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(statuses)?;
    Ok(URL_SAFE_NO_PAD.encode(encoder.finish()?))
}

/// For `Content-Encoding: gzip`: base64 upon base64 is nearly twice as long as it need be.
///
/// # Errors
/// Never: it writes to memory.
pub(super) fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body)?;
    encoder.finish()
}
