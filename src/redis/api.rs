//! The module API's pointers, and the abilities of the server at hand.

use std::ffi::{CStr, c_int, c_void};
use std::ptr;
use std::sync::OnceLock;

use redis_module::raw;

/// Calls an API function that every supported server has.
macro_rules! call {
    ($name:ident($($arg:expr),* $(,)?)) => {
        // The pointer is set once at load and never changes.
        (raw::$name.expect(concat!(stringify!($name), " exists on every supported server")))($($arg),*)
    };
}
pub(super) use call;

/// Flag: a module call succeeded.
pub fn is_ok(status: c_int) -> bool {
    status == raw::REDISMODULE_OK as c_int
}

/// The bytes of a server's string.
///
/// # Safety
///
/// `string` is valid and is not changed or freed during `'a`.
#[inline]
pub unsafe fn bytes<'a>(string: *const raw::RedisModuleString) -> &'a [u8] {
    let mut len = 0;
    // SAFETY: the caller vouches for `string`; its buffer has `len` bytes and lives as long as it does.
    unsafe {
        let start = call!(RedisModule_StringPtrLen(string, &raw mut len));
        std::slice::from_raw_parts(start.cast::<u8>(), len)
    }
}

/// Only Valkey knows this one: the module's keys may be moved by `CLUSTER MIGRATESLOTS`.
const VALKEY_OPTION_HANDLE_ATOMIC_SLOT_MIGRATION: c_int = 1 << 5;

/// The check of a user's permission for a command in a database, which only Valkey has, from 9.1 on: the older one refuses
/// everything to a user who may not use all databases. The last argument is for the reason, and may be null.
type CheckInDatabase = unsafe extern "C" fn(
    *mut raw::RedisModuleUser,
    *mut *mut raw::RedisModuleString,
    c_int,
    c_int,
    *mut c_int,
) -> c_int;

static CHECK_IN_DATABASE: OnceLock<CheckInDatabase> = OnceLock::new();

/// See [`CheckInDatabase`]; none on a server without it.
pub fn check_in_database() -> Option<CheckInDatabase> {
    CHECK_IN_DATABASE.get().copied()
}

/// Looks for functions of the server that the `redis-module` crate does not know. Called while the module is being loaded.
pub fn find_functions(ctx: *mut raw::RedisModuleCtx) {
    if !is_valkey(ctx) {
        return;
    }
    let mut found: *mut c_void = ptr::null_mut();
    let name = c"RedisModule_ACLCheckPermissions".as_ptr();
    // SAFETY: the server writes the pointer of the function, if it has it under this name.
    let status = unsafe { call!(RedisModule_GetApi(name, (&raw mut found).cast())) };
    if is_ok(status) && !found.is_null() {
        // SAFETY: Valkey's function of this name has this type.
        let check = unsafe { std::mem::transmute::<*mut c_void, CheckInDatabase>(found) };
        CHECK_IN_DATABASE.get_or_init(|| check);
    }
}

/// Tells the server how this module behaves.
pub fn set_options(ctx: *mut raw::RedisModuleCtx) {
    let mut options = raw::REDISMODULE_OPTIONS_HANDLE_IO_ERRORS as c_int
        | raw::REDISMODULE_OPTION_NO_IMPLICIT_SIGNAL_MODIFIED as c_int
        | raw::REDISMODULE_OPTIONS_HANDLE_REPL_ASYNC_LOAD as c_int;
    // SAFETY: the pointer is checked, the call has no preconditions.
    let known = unsafe { raw::RedisModule_GetModuleOptionsAll.map_or(options, |all| all()) };
    if is_valkey(ctx) && known & VALKEY_OPTION_HANDLE_ATOMIC_SLOT_MIGRATION != 0 {
        options |= VALKEY_OPTION_HANDLE_ATOMIC_SLOT_MIGRATION;
    }
    // SAFETY: `ctx` is valid while the module is being loaded.
    unsafe { call!(RedisModule_SetModuleOptions(ctx, options)) };
}

fn is_valkey(ctx: *mut raw::RedisModuleCtx) -> bool {
    // SAFETY: `ctx` is valid; the data is freed before it returns, and the field is borrowed from it.
    unsafe {
        let info = call!(RedisModule_GetServerInfo(ctx, c"server".as_ptr()));
        let name = call!(RedisModule_ServerInfoGetFieldC(info, c"server_name".as_ptr()));
        let valkey = !name.is_null() && CStr::from_ptr(name).to_bytes() == b"valkey";
        call!(RedisModule_FreeServerInfo(ctx, info));
        valkey
    }
}
