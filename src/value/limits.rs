//! The limits every document keeps, however it came to be.

use crate::error::{Error, Result};
use crate::limit;

/// Bounds on one document. A replica or an AOF being loaded applies [`Limits::NONE`]: what a master
/// accepted under its configuration is never refused by another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Nesting: a scalar has depth 0, `[]` has 1. Configuration `model.depth`.
    pub depth: u32,
    /// Size in bytes as counted by [`super::View::size`]. Configuration `model.document-bytes`.
    pub bytes: u64,
}

/// The deepest nesting any configuration allows. Bounds every recursion over a document.
pub const DEPTH_MAX: u32 = limit::DEPTH.max as u32;
/// The largest document any configuration allows: sizes fit 32 bits with room to add.
pub const BYTES_MAX: u64 = limit::DOCUMENT_BYTES.max;

impl Limits {
    pub const DEFAULT: Limits =
        Limits { depth: limit::DEPTH.default as u32, bytes: limit::DOCUMENT_BYTES.default };
    /// Only what the representation itself cannot exceed.
    pub const NONE: Limits = Limits { depth: DEPTH_MAX, bytes: BYTES_MAX };

    #[inline]
    pub fn check_depth(&self, depth: u32) -> Result<()> {
        if depth > self.depth {
            return Err(Error::limit(limit::DEPTH, self.depth.into()));
        }
        Ok(())
    }

    #[inline]
    pub fn check_bytes(&self, bytes: u64) -> Result<()> {
        if bytes > self.bytes {
            return Err(Error::limit(limit::DOCUMENT_BYTES, self.bytes));
        }
        Ok(())
    }
}
