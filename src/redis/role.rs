//! Whether this server judges commands, or repeats what was judged elsewhere.
//!
//! Asking the server costs as much as a small change, so the answer is kept while it cannot change: from
//! the first command of a master that is not loading until its role changes or it loads again.

use std::ffi::{c_int, c_void};
use std::panic::catch_unwind;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use redis_module::raw;

use super::api::{call, is_ok};
use super::{locks, models};
use crate::document::Revisions;

/// Whether commands may come from a master or an AOF.
static MAY_REPLAY: AtomicBool = AtomicBool::new(true);
/// The revisions of this server.
pub static REVISIONS: Revisions = Revisions::new();

/// Whether the command comes from a master or an AOF.
///
/// # Safety
///
/// `ctx` is the context of the running command.
#[inline]
pub unsafe fn is_replaying(ctx: *mut raw::RedisModuleCtx) -> bool {
    if !MAY_REPLAY.load(Ordering::Relaxed) {
        return false;
    }
    // SAFETY: the caller vouches for `ctx`.
    let flags = unsafe { call!(RedisModule_GetContextFlags(ctx)) };
    let has = |flag: u32| flags & flag as c_int != 0;
    if has(raw::REDISMODULE_CTX_FLAGS_MASTER) && !has(raw::REDISMODULE_CTX_FLAGS_LOADING) {
        MAY_REPLAY.store(false, Ordering::Relaxed);
        return false;
    }
    has(raw::REDISMODULE_CTX_FLAGS_REPLICATED | raw::REDISMODULE_CTX_FLAGS_LOADING)
}

/// Whether this server is a master. For what is called without a command's context.
pub fn is_master() -> bool {
    // SAFETY: the server takes no context as well: it then answers for itself alone.
    let flags = unsafe { call!(RedisModule_GetContextFlags(ptr::null_mut())) };
    flags & raw::REDISMODULE_CTX_FLAGS_MASTER as c_int != 0
}

/// The system's clock, which the server's own is as well: microseconds since 1970.
pub fn now_us() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |since| since.as_micros() as u64)
}

/// Subscribes to what changes the answers.
pub fn register(ctx: *mut raw::RedisModuleCtx) -> Result<(), &'static str> {
    for id in [raw::REDISMODULE_EVENT_REPLICATION_ROLE_CHANGED, raw::REDISMODULE_EVENT_LOADING] {
        let event = raw::RedisModuleEvent { id, dataver: 1 };
        // SAFETY: `ctx` is valid while the module is being loaded.
        let status =
            unsafe { call!(RedisModule_SubscribeToServerEvent(ctx, event, Some(on_event))) };
        if !is_ok(status) {
            return Err("the server refused a subscription to its events");
        }
    }
    Ok(())
}

unsafe extern "C" fn on_event(
    _ctx: *mut raw::RedisModuleCtx,
    event: raw::RedisModuleEvent,
    subevent: u64,
    _data: *mut c_void,
) {
    let _ = catch_unwind(|| {
        MAY_REPLAY.store(true, Ordering::Relaxed);
        let starts = [
            raw::REDISMODULE_SUBEVENT_LOADING_RDB_START,
            raw::REDISMODULE_SUBEVENT_LOADING_AOF_START,
            raw::REDISMODULE_SUBEVENT_LOADING_REPL_START,
        ];
        let ends =
            [raw::REDISMODULE_SUBEVENT_LOADING_ENDED, raw::REDISMODULE_SUBEVENT_LOADING_FAILED];
        let loading = event.id == raw::REDISMODULE_EVENT_LOADING;
        if loading && (starts.contains(&subevent) || ends.contains(&subevent)) {
            models::on_loading(starts.contains(&subevent));
        }
        let master = event.id == raw::REDISMODULE_EVENT_REPLICATION_ROLE_CHANGED
            && subevent == raw::REDISMODULE_EVENT_REPLROLECHANGED_NOW_MASTER;
        if master || (loading && ends.contains(&subevent)) {
            locks::note_began();
        }
        if loading && starts.contains(&subevent) {
            // What is loaded counts as it did when it was written.
            REVISIONS.forget();
        } else {
            REVISIONS.tell_next();
        }
    });
}
