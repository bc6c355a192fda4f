//! Locks: fair, fenced and leased, for work that has to run in the client between reading and writing.
//!
//! A lock is identified by `(document, name)`. Its holders are part of the document ([`Locks`]); waiting requests
//! belong to this server alone ([`Engine`]). Together they are a state machine without a clock, a network or a
//! document: an event comes in with the moment at which it happened, the [`Engine`] changes the locks that a
//! [`Store`] lends it, and replicas and waiting clients are told the resulting [`Decisions`]. The server's shell drives
//! it, and so does the simulator of the tests.
//!
//! Invariants: an exclusive holder is the only one; a request is granted only if no conflicting one came earlier;
//! fences grow; and when no work is pending, every waiting request is blocked by a holder or an earlier request.

mod cycles;
mod engine;
mod fence;
mod graph;
mod holders;
mod lease;
mod queue;
mod state;

use crate::error::{Error, Result};
use crate::limit;
pub use engine::{
    Answer, Ask, Counters, Decisions, Engine, Grant, GrantRef, SLICE, Store, Wake, Woken, deadlock,
    lost,
};

pub use fence::{AHEAD_MS, FENCE_MAX, Fences, believed_fence};
pub use holders::Holders;
pub use queue::WaiterId;
pub use state::{Clients, Holder, LockEdit, Locks, Mode, NamedLock};

/// The moment of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds of a monotonic clock, which leases are measured with.
    pub steady_ms: u64,
    /// Milliseconds since 1970, which fences are derived from.
    pub unix_ms: u64,
    /// On the monotonic clock: since when this server has been responsible for leases. Each of them runs in full from
    /// then.
    pub since_ms: u64,
}

/// The database and key of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct At<'a> {
    pub db: i32,
    pub key: &'a [u8],
}

/// Owned form of [`At`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocumentKey {
    pub db: i32,
    pub key: std::sync::Arc<[u8]>,
}

impl DocumentKey {
    pub fn at(&self) -> At<'_> {
        At { db: self.db, key: &self.key }
    }
}

impl At<'_> {
    pub fn to_document_key(self) -> DocumentKey {
        DocumentKey { db: self.db, key: self.key.into() }
    }
}

/// Bounds on locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockLimits {
    /// Waiting requests for one lock. Configuration `model.lock-waiters`.
    pub waiters: u64,
    /// Locks that are held on one document at once. Configuration `model.lock-names`.
    pub names: u64,
    /// Holders of one shared lock. Configuration `model.lock-holders`.
    pub holders: u64,
    /// The shortest lease, in milliseconds. Configuration `model.lock-lease-min`.
    pub lease_ms_min: u64,
    /// The longest lease, in milliseconds. Configuration `model.lock-lease-max`.
    pub lease_ms_max: u64,
}

impl LockLimits {
    pub const DEFAULT: LockLimits = LockLimits {
        waiters: limit::LOCK_WAITERS.default,
        names: limit::LOCK_NAMES.default,
        holders: limit::LOCK_HOLDERS.default,
        lease_ms_min: limit::LOCK_LEASE_MIN.default,
        lease_ms_max: limit::LOCK_LEASE_MAX.default,
    };
    pub const NONE: LockLimits = LockLimits {
        waiters: u64::MAX,
        names: u64::MAX,
        holders: u64::MAX,
        lease_ms_min: 0,
        lease_ms_max: u64::MAX,
    };

    /// `LIMIT` where this many locks cannot be held on one document.
    pub fn check_names(&self, names: u64) -> Result<()> {
        if names > self.names {
            return Err(Error::limit(limit::LOCK_NAMES, self.names));
        }
        Ok(())
    }

    /// `LIMIT` where this many cannot hold one shared lock.
    pub fn check_holders(&self, holders: u64) -> Result<()> {
        if holders > self.holders {
            return Err(Error::limit(limit::LOCK_HOLDERS, self.holders));
        }
        Ok(())
    }
}

/// The longest name of a lock or an owner, in bytes.
pub const NAME_BYTES_MAX: usize = limit::LOCK_NAME_BYTES.default as usize;
/// The longest lease that a payload may contain, in milliseconds: about ten years.
pub const LEASE_MS_LOADED_MAX: u64 = limit::LOCK_LEASE_MAX.max;
