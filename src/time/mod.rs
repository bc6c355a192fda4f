//! Times as text: the one reader of durations, for `TIMEADD`, for `duration()` in expressions and for the
//! schema format `duration`.

mod duration;

pub use duration::{Duration, Unreadable, is_iso_8601};
