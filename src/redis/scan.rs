//! The keys of one model's documents, by the server's own `SCAN`.
//!
//! `SCAN` bounds the work of one call and gives a cursor that lives outside the process, which the
//! module API's own scan does not. It must never change when a key was used last, nor when it expires.

use std::ffi::{CString, c_char, c_int, c_longlong};

use redis_module::raw;

use super::api::{bytes, call};
use super::call_reply::{self, CallReply, CallReplyKind};
use super::stored;

/// Opens a key without touching the time of its last use.
const OPEN_KEY_NOTOUCH: c_int = 1 << 16;

/// About `count` keys from `cursor` on: the next cursor, and those that hold documents of `model`. None where the
/// configuration renamed `SCAN`.
///
/// # Safety
///
/// `ctx` is that of a running command.
pub unsafe fn documents(
    ctx: *mut raw::RedisModuleCtx,
    model: &str,
    cursor: u64,
    count: usize,
) -> Option<(u64, Vec<Vec<u8>>)> {
    let cursor = CString::new(cursor.to_string()).expect("digits have no NUL");
    // SAFETY: the caller vouches for `ctx`; the arguments live through the call, and the reply is freed.
    unsafe {
        let run = raw::RedisModule_Call.expect("RedisModule_Call exists on every server");
        let (word, count) = (c"COUNT".as_ptr(), count as c_longlong);
        let reply = run(ctx, c"SCAN".as_ptr(), c"ccl".as_ptr(), cursor.as_ptr(), word, count);
        if reply.is_null() {
            return None;
        }
        let next = call!(RedisModule_CallReplyArrayElement(reply, 0));
        let next = text(next).and_then(|next| next.parse().ok()).unwrap_or(0);
        let keys = call!(RedisModule_CallReplyArrayElement(reply, 1));
        let mut found = Vec::new();
        if !keys.is_null() {
            for nth in 0..call!(RedisModule_CallReplyLength(keys)) {
                let key = call!(RedisModule_CallReplyArrayElement(keys, nth));
                let name = call!(RedisModule_CreateStringFromCallReply(key));
                if !name.is_null() {
                    if is_of(ctx, name, model) {
                        found.push(bytes(name).to_vec());
                    }
                    call!(RedisModule_FreeString(ctx, name));
                }
            }
        }
        call!(RedisModule_FreeCallReply(reply));
        Some((next, found))
    }
}

/// Flag: a key holds a document of the model.
///
/// # Safety
///
/// `ctx` is that of a running command, and `name` is valid.
pub unsafe fn is_of(
    ctx: *mut raw::RedisModuleCtx,
    name: *mut raw::RedisModuleString,
    model: &str,
) -> bool {
    let mode = raw::REDISMODULE_READ as c_int | OPEN_KEY_NOTOUCH;
    // SAFETY: the caller vouches for both; the document is read while the key is open.
    unsafe {
        let key = call!(RedisModule_OpenKey(ctx, name, mode));
        let document = stored::at_key(key).ok().flatten();
        let is_of = document.is_some_and(|document| (*document).model_name() == model);
        call!(RedisModule_CloseKey(key));
        is_of
    }
}

/// Flag: a key has expired and is not deleted yet. Also where the server does not tell: a replica of a cluster tells clients that
/// said `READONLY`.
///
/// # Safety
///
/// As for [`is_of`]; no key is open.
pub unsafe fn has_expired(
    ctx: *mut raw::RedisModuleCtx,
    name: *mut raw::RedisModuleString,
) -> bool {
    // SAFETY: the caller vouches for both.
    unsafe {
        let mode = raw::REDISMODULE_READ as c_int | stored::OPEN_QUIETLY;
        let key = call!(RedisModule_OpenKey(ctx, name, mode));
        if !key.is_null() {
            call!(RedisModule_CloseKey(key));
            return false;
        }
        // Of all commands this one finds keys that have expired, on every server; the flag of opening keys for it came late.
        let (command, word) = (c"MEMORY".as_ptr(), c"USAGE".as_ptr());
        let reply = CallReply(call_reply::run()(ctx, command, c"Ecs".as_ptr(), word, name));
        reply.kind() != CallReplyKind::Null
    }
}

/// The text of a reply that is a string.
///
/// # Safety
///
/// `reply` is valid during `'a`.
unsafe fn text<'a>(reply: *mut raw::RedisModuleCallReply) -> Option<&'a str> {
    let mut len = 0;
    // SAFETY: the caller vouches for `reply`, which owns `len` bytes; one of another kind gives null.
    unsafe {
        let start: *const c_char = call!(RedisModule_CallReplyStringPtr(reply, &raw mut len));
        let bytes = (!start.is_null()).then(|| std::slice::from_raw_parts(start.cast::<u8>(), len));
        std::str::from_utf8(bytes?).ok()
    }
}
