//! `INFO model`: the section of the module in the server's report.

use std::ffi::{CString, c_int, c_ulonglong};
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicU64, Ordering};

use redis_module::raw;

use super::api::{call, is_ok};
use super::counters::{self, EXPRESSIONS, LOCKS};
use super::models::MODELS;
use crate::error::ErrorCode;

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
        let count = |name: &str, counter: &AtomicU64| field(name, counter.load(Ordering::Relaxed));
        count("documents", &counters::DOCUMENTS);
        count("tokens", &counters::TOKENS);
        count("locks_held", &LOCKS.held);
        count("lock_waiters", &LOCKS.waiting);
        count("lock_grants", &LOCKS.grants);
        count("lock_leases_expired", &LOCKS.expired);
        count("lock_deadlocks", &LOCKS.deadlocks);
        count("lock_timeouts", &counters::LOCK_TIMEOUTS);
        counters::LOCK_WAITS.report(field);
        counters::TRANSACTIONS.report(field);
        field("models", MODELS.defined_count() as u64);
        count("expression_cache_hits", &EXPRESSIONS.hits);
        count("expression_cache_misses", &EXPRESSIONS.misses);
        count("expression_cache_entries", &EXPRESSIONS.entries);
        count("expression_cache_bytes", &EXPRESSIONS.bytes);
        count("commits", &counters::COMMITS);
        for code in ErrorCode::ALL {
            field(&format!("aborts_{}", code.word().to_lowercase()), counters::aborts(code));
        }
    });
}
