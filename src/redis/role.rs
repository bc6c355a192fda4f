//! The role of this server: it validates commands, or applies what its master or its AOF has validated.
//!
//! Asking the server costs as much as a small change, so the answer is kept while it cannot change: from
//! the first command of a master that is not loading until its role changes or it loads again.

use std::ffi::c_int;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use redis_module::raw;

use super::api::call;
use crate::document::Revisions;

/// Flag: commands may come from a master or an AOF.
static MAY_REPLAY: AtomicBool = AtomicBool::new(true);
/// The revisions of this server.
pub static REVISIONS: Revisions = Revisions::new();

/// Flag: the command comes from a master or an AOF.
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

/// Flag: this server is a master. For callbacks without a context.
pub fn is_master() -> bool {
    // SAFETY: the server takes no context as well: it then answers for itself alone.
    let flags = unsafe { call!(RedisModule_GetContextFlags(ptr::null_mut())) };
    flags & raw::REDISMODULE_CTX_FLAGS_MASTER as c_int != 0
}

/// The role of this server may have changed, or a load has begun or ended.
pub fn on_change() {
    MAY_REPLAY.store(true, Ordering::Relaxed);
}
