//! `INFO model`: the section of the module in the server's report.

use std::ffi::{CString, c_int, c_ulonglong};
use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redis_module::raw;

use super::api::{call, is_ok};
use super::changes;
use super::counters::{self, EXPRESSIONS, LOCKS, QUERIES};
use super::models::{ACTIONS, MODELS};
use crate::error::ErrorCode;
use crate::index::{IndexTotals, Progress};
use crate::model::Model;

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
        count("find_waiters", &counters::FIND_WAITERS);
        count("find_claims", &counters::FIND_CLAIMS);
        count("find_timeouts", &counters::FIND_TIMEOUTS);
        counters::FIND_WAITS.report(field);
        field("models", MODELS.defined_count() as u64);
        field("actions", ACTIONS.defined_count() as u64);
        let mut indexed = IndexTotals::default();
        let models = MODELS.indexed();
        models.iter().for_each(|model| indexed.add(model.indexes().totals()));
        let is_building = |model: &&Arc<Model>| model.indexes().progress() == Progress::Building;
        field("index_documents", indexed.documents as u64);
        field("index_entries", indexed.entries as u64);
        field("index_bytes", indexed.bytes as u64);
        field("index_duplicates", indexed.duplicates as u64);
        let building: Vec<_> = models.iter().filter(is_building).collect();
        field("index_models_building", building.len() as u64);
        let indexed = building.iter().map(|model| model.indexes().totals().indexed as u64);
        field("index_build_done", indexed.sum());
        // The list of models holds one each.
        let documents = building.iter().map(|model| Model::documents(model) as u64 - 1);
        field("index_build_documents", documents.sum());
        count("queries_by_index", &QUERIES.by_index);
        count("queries_over_documents", &QUERIES.over_documents);
        count("queries_over_keys", &QUERIES.over_keys);
        count("queries_refused_noindex", &QUERIES.refused_noindex);
        count("queries_refused_indexing", &QUERIES.refused_indexing);
        count("queries_refused_limit", &QUERIES.refused_limit);
        count("query_entries", &QUERIES.looked);
        count("query_documents", &QUERIES.matched);
        count("expression_cache_hits", &EXPRESSIONS.hits);
        count("expression_cache_misses", &EXPRESSIONS.misses);
        count("expression_cache_entries", &EXPRESSIONS.entries);
        count("expression_cache_bytes", &EXPRESSIONS.bytes);
        field("commits", counters::COMMITS.get());
        count("natives", &counters::NATIVES);
        count("natives_refused", &counters::NATIVES_REFUSED);
        count("changes", &counters::CHANGES);
        count("changes_lost", &counters::CHANGES_LOST);
        field("changes_noted", changes::noted() as u64);
        for code in ErrorCode::ALL {
            field(&format!("aborts_{}", code.word().to_lowercase()), counters::aborts(code));
        }
    });
}
