//! `INFO model`: counters of this process.

use std::ffi::{CString, c_int, c_ulonglong};
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicU64, Ordering};

use redis_module::raw;

use super::api::{call, is_ok};
use super::histogram::Histogram;
use super::locks;
use super::models::MODELS;
use crate::error::ErrorCode;
use crate::expr::cache::Cache;

/// Documents in memory, in all databases and in any that are being loaded or freed.
pub static DOCUMENTS: AtomicU64 = AtomicU64::new(0);
/// Tokens in memory, likewise.
pub static TOKENS: AtomicU64 = AtomicU64::new(0);
/// Commands that changed something.
pub static COMMITS: AtomicU64 = AtomicU64::new(0);
/// How long requests waited that were granted a lock, in milliseconds.
pub static LOCK_WAITS: Histogram<9> =
    Histogram::new("lock_wait_ms", [1, 5, 10, 50, 100, 500, 1_000, 5_000, 30_000]);
/// How many documents each transaction changed, a token included, where it changed any.
pub static TRANSACTIONS: Histogram<7> =
    Histogram::new("transaction_changes", [1, 2, 5, 10, 50, 100, 500]);
/// Requests for a lock whose time to wait was over.
pub static LOCK_TIMEOUTS: AtomicU64 = AtomicU64::new(0);
/// The cache of compiled expressions.
pub static EXPRESSIONS: Expressions = Expressions {
    hits: AtomicU64::new(0),
    misses: AtomicU64::new(0),
    entries: AtomicU64::new(0),
    bytes: AtomicU64::new(0),
};
static ABORTS: [AtomicU64; ErrorCode::ALL.len()] =
    [const { AtomicU64::new(0) }; ErrorCode::ALL.len()];

/// What is reported of the cache of compiled expressions, which belongs to the main thread.
pub struct Expressions {
    hits: AtomicU64,
    misses: AtomicU64,
    entries: AtomicU64,
    bytes: AtomicU64,
}

impl Expressions {
    pub fn store(&self, cache: &Cache) {
        self.hits.store(cache.hits(), Ordering::Relaxed);
        self.misses.store(cache.misses(), Ordering::Relaxed);
        self.entries.store(cache.len() as u64, Ordering::Relaxed);
        self.bytes.store(cache.bytes() as u64, Ordering::Relaxed);
    }
}

/// Counts a refused command.
pub fn count_abort(code: ErrorCode) {
    ABORTS[code as usize].fetch_add(1, Ordering::Relaxed);
}

pub fn register(ctx: *mut raw::RedisModuleCtx) -> Result<(), &'static str> {
    // SAFETY: `ctx` is valid while the module is being loaded.
    let status = unsafe { call!(RedisModule_RegisterInfoFunc(ctx, Some(report))) };
    if is_ok(status) { Ok(()) } else { Err("the server refused the INFO section") }
}

unsafe extern "C" fn report(ctx: *mut raw::RedisModuleInfoCtx, for_crash_report: c_int) {
    // A handler of signals must not wait for what the crash left locked.
    if for_crash_report != 0 {
        return;
    }
    let _ = catch_unwind(|| {
        // SAFETY: `ctx` is valid during the callback.
        if !is_ok(unsafe { call!(RedisModule_InfoAddSection(ctx, c"".as_ptr())) }) {
            return;
        }
        let field = |name: &str, value: u64| {
            let name = CString::new(name).expect("field names hold no NUL");
            // SAFETY: as above; the name is copied.
            unsafe {
                call!(RedisModule_InfoAddFieldULongLong(ctx, name.as_ptr(), value as c_ulonglong))
            };
        };
        field("documents", DOCUMENTS.load(Ordering::Relaxed));
        field("tokens", TOKENS.load(Ordering::Relaxed));
        field("locks_held", locks::INFO.held.load(Ordering::Relaxed));
        field("lock_waiters", locks::INFO.waiting.load(Ordering::Relaxed));
        field("lock_grants", locks::INFO.grants.load(Ordering::Relaxed));
        field("lock_leases_expired", locks::INFO.expired.load(Ordering::Relaxed));
        field("lock_deadlocks", locks::INFO.deadlocks.load(Ordering::Relaxed));
        field("lock_timeouts", LOCK_TIMEOUTS.load(Ordering::Relaxed));
        LOCK_WAITS.report(field);
        TRANSACTIONS.report(field);
        field("models", MODELS.defined_count() as u64);
        field("expression_cache_hits", EXPRESSIONS.hits.load(Ordering::Relaxed));
        field("expression_cache_misses", EXPRESSIONS.misses.load(Ordering::Relaxed));
        field("expression_cache_entries", EXPRESSIONS.entries.load(Ordering::Relaxed));
        field("expression_cache_bytes", EXPRESSIONS.bytes.load(Ordering::Relaxed));
        field("commits", COMMITS.load(Ordering::Relaxed));
        for code in ErrorCode::ALL {
            field(
                &format!("aborts_{}", code.word().to_lowercase()),
                ABORTS[code as usize].load(Ordering::Relaxed),
            );
        }
    });
}
