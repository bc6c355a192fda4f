//! Examples of natives: documentation that runs as a test.

use std::panic::Location;

/// One native on one key, with its reply.
pub struct NativeExample {
    /// The natives that run before, on the same key, as they are typed into a shell; none where the key is missing.
    pub before: &'static str,
    /// The native in one line. See [`crate::op::words`].
    pub statement: &'static str,
    /// The reply in the notation of [`crate::reply::Reply::notation`], or the error's word.
    pub reply: &'static str,
    /// Where the example is written down.
    pub at: &'static Location<'static>,
}

impl NativeExample {
    #[track_caller]
    pub const fn new(
        before: &'static str,
        statement: &'static str,
        reply: &'static str,
    ) -> NativeExample {
        NativeExample { before, statement, reply, at: Location::caller() }
    }
}
