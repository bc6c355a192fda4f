//! Counters of this process, for `INFO model`.

use std::sync::atomic::{AtomicU64, Ordering};

use super::histogram::Histogram;
use super::tally::Tally;
use crate::error::ErrorCode;
use crate::expr::cache::Cache;
use crate::host::QueryEvent;
use crate::lock::Engine;

/// Documents in memory, in all databases and in any that are being loaded or freed.
pub static DOCUMENTS: AtomicU64 = AtomicU64::new(0);
/// Tokens in memory, likewise.
pub static TOKENS: AtomicU64 = AtomicU64::new(0);
/// Commands that changed something.
pub static COMMITS: Tally = Tally::new();
/// Commands of natives that were run.
pub static NATIVES: AtomicU64 = AtomicU64::new(0);
/// Those that the server refused after their transaction was committed.
pub static NATIVES_REFUSED: AtomicU64 = AtomicU64::new(0);
/// Entries appended to change streams.
pub static CHANGES: AtomicU64 = AtomicU64::new(0);
/// Those that the server refused.
pub static CHANGES_LOST: AtomicU64 = AtomicU64::new(0);
/// Waiting times of granted lock requests, in milliseconds.
pub static LOCK_WAITS: Histogram<9> =
    Histogram::new("lock_wait_ms", [1, 5, 10, 50, 100, 500, 1_000, 5_000, 30_000]);
/// Documents changed by each transaction that changed any; a token counts as one.
pub static TRANSACTIONS: Histogram<7> =
    Histogram::new("transaction_changes", [1, 2, 5, 10, 50, 100, 500]);
/// Requests that wait for a document to be found.
pub static FIND_WAITERS: AtomicU64 = AtomicU64::new(0);
/// Those that were given documents after waiting.
pub static FIND_CLAIMS: AtomicU64 = AtomicU64::new(0);
/// Those that timed out.
pub static FIND_TIMEOUTS: AtomicU64 = AtomicU64::new(0);
/// Their waiting times, in milliseconds, where they were given documents.
pub static FIND_WAITS: Histogram<9> =
    Histogram::new("find_wait_ms", [1, 5, 10, 50, 100, 500, 1_000, 5_000, 30_000]);
/// Lock requests that timed out.
pub static LOCK_TIMEOUTS: AtomicU64 = AtomicU64::new(0);
/// The cache of compiled expressions.
pub static EXPRESSIONS: ExpressionCounters = ExpressionCounters {
    hits: AtomicU64::new(0),
    misses: AtomicU64::new(0),
    entries: AtomicU64::new(0),
    bytes: AtomicU64::new(0),
};
/// Refused commands by error code.
static ABORTS: [AtomicU64; ErrorCode::ALL.len()] =
    [const { AtomicU64::new(0) }; ErrorCode::ALL.len()];

/// Copies of the figures of the expression cache, which belongs to the main thread.
pub struct ExpressionCounters {
    pub hits: AtomicU64,
    pub misses: AtomicU64,
    pub entries: AtomicU64,
    pub bytes: AtomicU64,
}

impl ExpressionCounters {
    pub fn store(&self, cache: &Cache) {
        self.hits.store(cache.hits(), Ordering::Relaxed);
        self.misses.store(cache.misses(), Ordering::Relaxed);
        self.entries.store(cache.len() as u64, Ordering::Relaxed);
        self.bytes.store(cache.bytes() as u64, Ordering::Relaxed);
    }
}

/// Queries over documents, by what they look at.
pub static QUERIES: QueryCounters = QueryCounters {
    by_index: AtomicU64::new(0),
    over_documents: AtomicU64::new(0),
    over_keys: AtomicU64::new(0),
    refused_noindex: AtomicU64::new(0),
    refused_indexing: AtomicU64::new(0),
    refused_limit: AtomicU64::new(0),
    looked: AtomicU64::new(0),
    matched: AtomicU64::new(0),
};

pub struct QueryCounters {
    pub by_index: AtomicU64,
    pub over_documents: AtomicU64,
    pub over_keys: AtomicU64,
    pub refused_noindex: AtomicU64,
    pub refused_indexing: AtomicU64,
    pub refused_limit: AtomicU64,
    /// Entries looked at and keys visited.
    pub looked: AtomicU64,
    /// Documents found.
    pub matched: AtomicU64,
}

impl QueryCounters {
    pub fn count(&self, event: QueryEvent) {
        let one = match event {
            QueryEvent::ByIndex => &self.by_index,
            QueryEvent::OverDocuments => &self.over_documents,
            QueryEvent::OverKeys => &self.over_keys,
            QueryEvent::Refused(ErrorCode::NoIndex) => &self.refused_noindex,
            QueryEvent::Refused(ErrorCode::Indexing) => &self.refused_indexing,
            QueryEvent::Refused(ErrorCode::Limit) => &self.refused_limit,
            QueryEvent::Refused(_) => return,
            QueryEvent::Looked(looked, matched) => {
                self.looked.fetch_add(looked, Ordering::Relaxed);
                self.matched.fetch_add(matched, Ordering::Relaxed);
                return;
            }
        };
        one.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts a refused command.
pub fn count_abort(code: ErrorCode) {
    ABORTS[code as usize].fetch_add(1, Ordering::Relaxed);
}

/// Refused commands with this error.
pub fn aborts(code: ErrorCode) -> u64 {
    ABORTS[code as usize].load(Ordering::Relaxed)
}

/// Counters of locks.
pub static LOCKS: LockCounters = LockCounters {
    held: AtomicU64::new(0),
    waiting: AtomicU64::new(0),
    grants: AtomicU64::new(0),
    expired: AtomicU64::new(0),
    deadlocks: AtomicU64::new(0),
};

pub struct LockCounters {
    pub held: AtomicU64,
    pub waiting: AtomicU64,
    pub grants: AtomicU64,
    pub expired: AtomicU64,
    pub deadlocks: AtomicU64,
}

impl LockCounters {
    pub fn store(&self, engine: &Engine) {
        let counters = engine.counters();
        self.held.store(engine.held() as u64, Ordering::Relaxed);
        self.waiting.store(engine.waiting() as u64, Ordering::Relaxed);
        self.grants.store(counters.grants, Ordering::Relaxed);
        self.expired.store(counters.expired, Ordering::Relaxed);
        self.deadlocks.store(counters.deadlocks, Ordering::Relaxed);
    }
}
