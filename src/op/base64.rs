//! Base64 (RFC 4648): the standard alphabet, padded.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The bytes; `None` for a text that is not base64.
pub(super) fn decode(base64: &[u8]) -> Option<Vec<u8>> {
    STANDARD.decode(base64).ok()
}

pub(super) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}
