//! Definitions in an AOF that is rewritten without an RDB in front.
//!
//! Such a file holds keys alone, and is written by a child process that has the data set for itself. Before
//! the child writes, it puts a value of a type of its own at a key that only it has. Where the server asks for
//! that value's commands, the definitions are written. So they are in the new base file itself, complete
//! before it takes the place of the old one, whatever happens to the server meanwhile: nothing is propagated,
//! which a pause would forbid, and nothing is left to be written later.
//!
//! A file with an RDB in front has the definitions in its aux field. When that is written, the carrier goes
//! away again, before the server comes to the keys.

use std::cell::Cell;
use std::ffi::{c_char, c_int, c_void};
use std::panic::catch_unwind;
use std::ptr::{self, NonNull};

use redis_module::raw;

use super::api::{call, is_ok};
use super::log;
use super::models::{self, ACTIONS, MODELS};
use crate::codec::definition;

/// Nine characters, as the server demands. No file holds a value of this type.
const TYPE_NAME: &std::ffi::CStr = c"model-def";
/// The carrier's key, with something behind it where there is such a key.
const KEY: &str = "model-definitions";

thread_local! {
    static TYPE: Cell<*mut raw::RedisModuleType> = const { Cell::new(ptr::null_mut()) };
    /// In the child: the carrier's key, and a context to reach it.
    static CARRIER: Cell<Option<Carrier>> = const { Cell::new(None) };
}

#[derive(Clone, Copy)]
struct Carrier {
    ctx: *mut raw::RedisModuleCtx,
    name: *mut raw::RedisModuleString,
}

pub fn register(ctx: *mut raw::RedisModuleCtx) -> Result<(), &'static str> {
    let mut methods = raw::RedisModuleTypeMethods {
        version: raw::REDISMODULE_TYPE_METHOD_VERSION.into(),
        rdb_load: Some(rdb_load),
        rdb_save: Some(rdb_save),
        aof_rewrite: Some(aof_rewrite),
        mem_usage: None,
        digest: None,
        free: Some(free),
        aux_load: None,
        aux_save: None,
        aux_save_triggers: 0,
        free_effort: None,
        unlink: None,
        copy: None,
        defrag: None,
        mem_usage2: None,
        free_effort2: None,
        unlink2: None,
        copy2: None,
        aux_save2: None,
    };
    // SAFETY: `ctx` is valid while the module is being loaded; the methods are copied.
    let data_type =
        unsafe { call!(RedisModule_CreateDataType(ctx, TYPE_NAME.as_ptr(), 1, &raw mut methods)) };
    if data_type.is_null() {
        return Err("the server refused the data type model-def");
    }
    TYPE.set(data_type);
    Ok(())
}

/// Puts the carrier among the keys of a child that is about to rewrite the AOF.
///
/// # Safety
///
/// `ctx` is valid.
pub unsafe fn begin_rewrite(ctx: *mut raw::RedisModuleCtx) {
    // SAFETY: the caller vouches for `ctx`. The detached context and the name live as long as the child; the
    // key is closed at once.
    unsafe {
        let child = raw::REDISMODULE_CTX_FLAGS_IS_CHILD as c_int;
        if call!(RedisModule_GetContextFlags(ctx)) & child == 0 || models::is_empty() {
            return;
        }
        let ctx = call!(RedisModule_GetDetachedThreadSafeContext(ctx));
        let carrier = Carrier { ctx, name: free_name(ctx) };
        let key = open(carrier);
        // Its only content is that it is there.
        let value = NonNull::<u8>::dangling().as_ptr().cast::<c_void>();
        let status = call!(RedisModule_ModuleTypeSetValue(key, TYPE.get(), value));
        call!(RedisModule_CloseKey(key));
        assert!(is_ok(status), "the key is open for writing");
        CARRIER.set(Some(carrier));
    }
}

/// Takes the carrier away again: the definitions are in the RDB in front.
pub fn end_rewrite() {
    if let Some(carrier) = CARRIER.take() {
        // SAFETY: the carrier's context and name live as long as the child; the key is closed at once.
        unsafe {
            let key = open(carrier);
            call!(RedisModule_DeleteKey(key));
            call!(RedisModule_CloseKey(key));
        }
    }
}

/// The name of a key that is not there.
///
/// # Safety
///
/// `ctx` is valid.
unsafe fn free_name(ctx: *mut raw::RedisModuleCtx) -> *mut raw::RedisModuleString {
    for number in 0_u64.. {
        let name = format!("{KEY}:{number}");
        // SAFETY: the caller vouches for `ctx`; the name is copied, and freed unless it is returned.
        unsafe {
            let (start, len) = (name.as_ptr().cast::<c_char>(), name.len());
            let name = call!(RedisModule_CreateString(ctx, start, len));
            let key = call!(RedisModule_OpenKey(ctx, name, raw::REDISMODULE_READ as c_int));
            if key.is_null() {
                return name;
            }
            call!(RedisModule_CloseKey(key));
            call!(RedisModule_FreeString(ctx, name));
        }
    }
    unreachable!("there are fewer keys than numbers")
}

/// # Safety
///
/// The carrier's context and name are valid.
unsafe fn open(carrier: Carrier) -> *mut raw::RedisModuleKey {
    let mode = raw::REDISMODULE_READ as c_int | raw::REDISMODULE_WRITE as c_int;
    // SAFETY: the caller vouches for the carrier.
    unsafe { call!(RedisModule_OpenKey(carrier.ctx, carrier.name, mode)) }
}

unsafe extern "C" fn aof_rewrite(
    io: *mut raw::RedisModuleIO,
    _key: *mut raw::RedisModuleString,
    _value: *mut c_void,
) {
    let _ = catch_unwind(|| {
        let models = MODELS.entries().iter().map(definition::encode).collect::<Vec<_>>();
        let actions = ACTIONS.entries().iter().map(definition::encode_action).collect::<Vec<_>>();
        for entry in models.iter().chain(&actions) {
            let (name, format) = (c"MODEL.INSTALL".as_ptr(), c"b".as_ptr());
            // SAFETY: `io` is valid during the callback; the buffer outlives the call.
            unsafe { call!(RedisModule_EmitAOF(io, name, format, entry.as_ptr(), entry.len())) };
        }
    });
}

/// No file holds such a value: what says that it does is refused.
unsafe extern "C" fn rdb_load(io: *mut raw::RedisModuleIO, _version: c_int) -> *mut c_void {
    // SAFETY: `io` is valid during the callback.
    let _ =
        catch_unwind(|| unsafe { log::io_error(io, "a definition cannot be the value of a key") });
    ptr::null_mut()
}

unsafe extern "C" fn rdb_save(_io: *mut raw::RedisModuleIO, _value: *mut c_void) {}

unsafe extern "C" fn free(_value: *mut c_void) {}
