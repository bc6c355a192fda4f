//! The databases of the server.

use std::ffi::c_int;

use redis_module::raw;

use super::api::{call, is_ok};

/// Returns true if no database has a key.
///
/// # Safety
///
/// `ctx` is valid.
pub unsafe fn are_empty(ctx: *mut raw::RedisModuleCtx) -> bool {
    // SAFETY: the caller vouches for `ctx`; a database that does not exist is refused.
    unsafe {
        let home = call!(RedisModule_GetSelectedDb(ctx));
        let exists = |database: &c_int| is_ok(call!(RedisModule_SelectDb(ctx, *database)));
        let are_empty = (0..).take_while(exists).all(|_| call!(RedisModule_DbSize(ctx)) == 0);
        call!(RedisModule_SelectDb(ctx, home));
        are_empty
    }
}

/// The databases that have keys, without the first one. Redis 7.0 says of all keys that it loads beside the data in force that they
/// are of the first one: they may be of any of these.
///
/// # Safety
///
/// `ctx` is valid.
pub unsafe fn others_with_keys(ctx: *mut raw::RedisModuleCtx) -> Vec<c_int> {
    // SAFETY: the caller vouches for `ctx`; a database that does not exist is refused.
    unsafe {
        let home = call!(RedisModule_GetSelectedDb(ctx));
        let exists = |database: &c_int| is_ok(call!(RedisModule_SelectDb(ctx, *database)));
        let others = (1..).take_while(exists);
        let others = others.filter(|_| call!(RedisModule_DbSize(ctx)) > 0).collect();
        call!(RedisModule_SelectDb(ctx, home));
        others
    }
}
