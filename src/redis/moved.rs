//! Keys that the server moves between the nodes of a cluster one by one.
//!
//! `MIGRATE` deletes them and `RESTORE-ASKING` restores them, with the events of other deletions and restorations; for a
//! change stream, which moves with them, nothing has happened. A command filter, which only reads, keeps the names that
//! the latest of these commands had. It is registered in a cluster alone, when a model has `CHANGES`.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::ffi::c_int;
use std::panic::catch_unwind;

use redis_module::raw;

use super::api::{bytes, call};
use super::slots;

thread_local! {
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    /// The arguments of the latest command, if it moves keys.
    static NAMES: RefCell<Option<HashSet<Vec<u8>>>> = const { RefCell::new(None) };
}

/// Begins to look at commands, in a cluster.
///
/// # Safety
///
/// `ctx` is valid.
pub unsafe fn watch(ctx: *mut raw::RedisModuleCtx) {
    if WATCHED.replace(true) {
        return;
    }
    // SAFETY: the caller vouches for `ctx`.
    unsafe {
        if slots::is_clustered(ctx) {
            let own = raw::REDISMODULE_CMDFILTER_NOSELF as c_int;
            call!(RedisModule_RegisterCommandFilter(ctx, Some(on_command), own));
        }
    }
}

/// Returns true, once, if the latest command moves this key.
pub fn took(name: &[u8]) -> bool {
    NAMES.with_borrow_mut(|names| names.as_mut().is_some_and(|names| names.remove(name)))
}

unsafe extern "C" fn on_command(filter: *mut raw::RedisModuleCommandFilterCtx) {
    let _ = catch_unwind(|| {
        // SAFETY: the filter and its arguments are valid during the callback.
        let argument =
            |nth: c_int| unsafe { bytes(call!(RedisModule_CommandFilterArgGet(filter, nth))) };
        let name = argument(0);
        let moves =
            name.eq_ignore_ascii_case(b"MIGRATE") || name.eq_ignore_ascii_case(b"RESTORE-ASKING");
        NAMES.with_borrow_mut(|names| {
            if moves {
                // SAFETY: as above.
                let count = unsafe { call!(RedisModule_CommandFilterArgsCount(filter)) };
                *names = Some((1..count).map(|nth| argument(nth).to_vec()).collect());
            } else if names.is_some() {
                *names = None;
            }
        });
    });
}
