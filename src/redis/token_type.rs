//! The data type `model-txn`: a boxed [`Token`] behind the key of a transaction that was committed.

use std::ffi::{c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use redis_module::raw;

use super::api::call;
use super::{counters, defrag, log, payload, stored};
use crate::codec::effect::{Change, Effect};
use crate::codec::token;
use crate::error::ErrorCode;
use crate::expiry::Expiry;
use crate::token::Token;

/// Nine characters, as the server demands; part of the RDB format.
const TYPE_NAME: &std::ffi::CStr = c"model-txn";

static TYPE: AtomicPtr<raw::RedisModuleType> = AtomicPtr::new(ptr::null_mut());

/// The registered type.
pub fn handle() -> *mut raw::RedisModuleType {
    TYPE.load(Ordering::Relaxed)
}

fn into_raw(token: Token) -> *mut c_void {
    counters::TOKENS.fetch_add(1, Ordering::Relaxed);
    Box::into_raw(Box::new(token)).cast()
}

/// # Safety
///
/// `value` came from [`into_raw`] and the server will not use it again.
unsafe fn drop_raw(value: *mut c_void) {
    // SAFETY: the caller vouches for it.
    drop(unsafe { Box::from_raw(value.cast::<Token>()) });
    counters::TOKENS.fetch_sub(1, Ordering::Relaxed);
}

pub fn register(ctx: *mut raw::RedisModuleCtx) -> Result<(), &'static str> {
    let mut methods = raw::RedisModuleTypeMethods {
        version: raw::REDISMODULE_TYPE_METHOD_VERSION.into(),
        rdb_load: Some(rdb_load),
        rdb_save: Some(rdb_save),
        aof_rewrite: Some(aof_rewrite),
        mem_usage: Some(mem_usage),
        digest: Some(digest),
        free: Some(free),
        aux_load: None,
        aux_save: None,
        aux_save_triggers: 0,
        free_effort: None,
        unlink: None,
        copy: Some(copy),
        defrag: Some(defrag::defrag_token),
        mem_usage2: None,
        free_effort2: None,
        unlink2: None,
        copy2: None,
        aux_save2: None,
    };
    // SAFETY: `ctx` is valid while the module is being loaded; the methods are copied.
    let data_type = unsafe {
        let version = token::VERSION as c_int;
        call!(RedisModule_CreateDataType(ctx, TYPE_NAME.as_ptr(), version, &raw mut methods))
    };
    if data_type.is_null() {
        return Err("the server refused the data type model-txn");
    }
    TYPE.store(data_type, Ordering::Relaxed);
    Ok(())
}

/// # Safety
///
/// `value` is a live value of this type, which does not change during `'a`.
unsafe fn token<'a>(value: *const c_void) -> &'a Token {
    // SAFETY: the caller vouches for it.
    unsafe { &*value.cast::<Token>() }
}

unsafe extern "C" fn rdb_save(io: *mut raw::RedisModuleIO, value: *mut c_void) {
    let _ = catch_unwind(|| {
        // SAFETY: the server lends a live value; the buffer outlives the call.
        unsafe {
            let bytes = token(value).encode();
            call!(RedisModule_SaveStringBuffer(io, bytes.as_ptr().cast::<c_char>(), bytes.len()));
        }
    });
}

unsafe extern "C" fn rdb_load(io: *mut raw::RedisModuleIO, version: c_int) -> *mut c_void {
    let loaded = catch_unwind(|| {
        if version != token::VERSION as c_int {
            return None;
        }
        let bounds = payload::bounds(payload::origin());
        // SAFETY: `io` is valid during the callback.
        unsafe { payload::read(io, |bytes| Token::decode(bytes, bounds.token_reply_bytes)) }
    });
    let reason = match loaded {
        Ok(Some(Ok(token))) => return into_raw(token),
        Ok(Some(Err(error))) if error.code() == ErrorCode::Limit => error.to_string(),
        _ => "damaged or of a newer release".to_owned(),
    };
    // SAFETY: as above.
    unsafe { log::io_error(io, &format!("a token cannot be loaded: {reason}")) };
    ptr::null_mut()
}

unsafe extern "C" fn aof_rewrite(
    io: *mut raw::RedisModuleIO,
    key: *mut raw::RedisModuleString,
    value: *mut c_void,
) {
    let _ = catch_unwind(|| {
        // SAFETY: the server lends a live value and `io` and `key`; the buffer outlives the call. The
        // server writes the time to live itself.
        unsafe {
            let encoded = token(value).encode();
            let change = Change::Token(&encoded);
            let effect = Effect { revision: 0, expiry: Expiry::Keep, change }.encode();
            let (start, len) = (effect.as_ptr(), effect.len());
            call!(RedisModule_EmitAOF(
                io,
                c"MODEL.APPLY".as_ptr(),
                c"sb".as_ptr(),
                key,
                start,
                len
            ));
        }
    });
}

unsafe extern "C" fn mem_usage(value: *const c_void) -> usize {
    // SAFETY: the server lends a live value.
    catch_unwind(|| size_of::<Token>() + unsafe { token(value) }.reply_bytes()).unwrap_or_default()
}

unsafe extern "C" fn digest(digest: *mut raw::RedisModuleDigest, value: *mut c_void) {
    let _ = catch_unwind(|| {
        // SAFETY: the server lends a live value; the buffer outlives the call.
        unsafe {
            let bytes = token(value).encode();
            let (start, len) = (bytes.as_ptr().cast::<c_char>(), bytes.len());
            call!(RedisModule_DigestAddStringBuffer(digest, start, len));
            call!(RedisModule_DigestEndSequence(digest));
        }
    });
}

unsafe extern "C" fn free(value: *mut c_void) {
    // SAFETY: the server gives the value back. On any thread.
    let _ = catch_unwind(AssertUnwindSafe(|| unsafe { drop_raw(value) }));
}

unsafe extern "C" fn copy(
    _from: *mut raw::RedisModuleString,
    _to: *mut raw::RedisModuleString,
    value: *const c_void,
) -> *mut c_void {
    // SAFETY: the server lends a live value.
    catch_unwind(|| into_raw(unsafe { token(value) }.clone())).unwrap_or(ptr::null_mut())
}

/// The token at an open key: `Ok(None)` when the key is empty, `Err` when it holds something else.
///
/// # Safety
///
/// `key` is an open key; the token is used only while it is open.
pub unsafe fn at_key(key: *mut raw::RedisModuleKey) -> Result<Option<*mut Token>, ()> {
    // SAFETY: the caller vouches for `key`.
    let found = unsafe { stored::value_at_key(key, handle()) };
    found.map(|value| value.map(|value| value.cast::<Token>()))
}

/// Stores a token at a key opened for writing, in place of any token there.
///
/// # Safety
///
/// `key` is open for writing and holds a token or nothing.
pub unsafe fn put(key: *mut raw::RedisModuleKey, token: Token) {
    // SAFETY: the caller vouches for `key`; a value that was replaced is ours again.
    unsafe {
        if let Some(old) = stored::put_value(key, handle(), into_raw(token)) {
            drop_raw(old);
        }
    }
}
