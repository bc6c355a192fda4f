//! The effect of a command on the time to live of a key.

/// The effect on a key's time to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It stays as it was.
    Keep,
    /// The key does not expire.
    Persist,
    /// The key expires at this moment, in unix milliseconds.
    At(u64),
}
