//! Times to live: as a command asks for one, and as a model wants it.

use crate::expiry::Expiry;
use crate::model::Definition;

/// A time to live as it was asked for.
#[derive(Clone, Copy, Debug)]
pub struct ExpiryArg {
    /// Milliseconds: since 1970, or from now on. Leaves room for the clock.
    pub ms: u64,
    pub relative: bool,
}

impl ExpiryArg {
    /// The moment it means.
    pub fn at(self, now_us: u64) -> Expiry {
        Expiry::At(if self.relative { now_us / 1000 + self.ms } else { self.ms })
    }
}

/// The option of a command about a key's time to live.
#[derive(Clone, Copy, Debug)]
pub enum ExpiryOption {
    Persist,
    /// A document that replaces another one has the time to live of that one.
    Keep,
    Set(ExpiryArg),
}

impl ExpiryOption {
    pub fn at(self, now_us: u64) -> Expiry {
        match self {
            ExpiryOption::Persist => Expiry::Persist,
            ExpiryOption::Keep => Expiry::Keep,
            ExpiryOption::Set(expiry) => expiry.at(now_us),
        }
    }
}

/// The way in which a command used a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    Created,
    Changed,
    Read,
}

/// A time to live that begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndsAt {
    pub unix_ms: u64,
    /// A new expiry this close to the current one changes nothing: reading often is
    /// not writing often.
    pub slack_ms: u64,
}

/// A time to live that reading begins anew may be shorter by this part of it.
pub const REFRESH_SLACK: u64 = 128;

impl EndsAt {
    /// When a document ends according to its model.
    pub fn of(definition: &Definition, now_us: u64, used: Use) -> Option<EndsAt> {
        let (unix_ms, slack_ms) = match used {
            Use::Created => (definition.expires_at(now_us), 0),
            Use::Changed => (definition.refreshed_by_write(now_us), 0),
            Use::Read => {
                (definition.refreshed_by_read(now_us), definition.ttl_ms() / REFRESH_SLACK)
            }
        };
        unix_ms.map(|unix_ms| EndsAt { unix_ms, slack_ms })
    }

    /// Returns true if a key that expires at `known` need not be changed.
    pub fn is_near(self, known: Option<u64>) -> bool {
        known.is_some_and(|known| known.abs_diff(self.unix_ms) < self.slack_ms)
    }
}
