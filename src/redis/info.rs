//! `INFO model`: counters of this process.

use std::ffi::{CString, c_int, c_ulonglong};
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicU64, Ordering};

use redis_module::raw;

use super::api::{call, is_ok};
use crate::error::ErrorCode;

/// Documents in memory, in all databases and in any that are being loaded or freed.
pub static DOCUMENTS: AtomicU64 = AtomicU64::new(0);
/// Commands that changed something.
pub static COMMITS: AtomicU64 = AtomicU64::new(0);
static ABORTS: [AtomicU64; ErrorCode::ALL.len()] =
    [const { AtomicU64::new(0) }; ErrorCode::ALL.len()];

/// Counts a refused command.
pub fn count_abort(code: ErrorCode) {
    ABORTS[code as usize].fetch_add(1, Ordering::Relaxed);
}

pub fn register(ctx: *mut raw::RedisModuleCtx) -> Result<(), &'static str> {
    // SAFETY: `ctx` is valid while the module is being loaded.
    let status = unsafe { call!(RedisModule_RegisterInfoFunc(ctx, Some(report))) };
    if is_ok(status) { Ok(()) } else { Err("the server refused the INFO section") }
}

unsafe extern "C" fn report(ctx: *mut raw::RedisModuleInfoCtx, _for_crash_report: c_int) {
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
        field("commits", COMMITS.load(Ordering::Relaxed));
        for code in ErrorCode::ALL {
            field(
                &format!("aborts_{}", code.word().to_lowercase()),
                ABORTS[code as usize].load(Ordering::Relaxed),
            );
        }
    });
}
