//! Limits on paths that a configuration may set.

use crate::limit;

/// Limits on the text of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathLimits {
    /// The longest path text. Configuration `model.path-bytes`.
    pub path_bytes: usize,
}

impl PathLimits {
    /// Only what parsing itself cannot exceed.
    pub const NONE: PathLimits = PathLimits { path_bytes: usize::MAX };
    pub const DEFAULT: PathLimits = PathLimits { path_bytes: limit::PATH_BYTES.default as usize };
}
