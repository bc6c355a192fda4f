//! Commands that the module has the server run, and their replies.

use std::ffi::{CStr, c_char};

use redis_module::raw;

use super::api::call;

type ServerCall = unsafe extern "C" fn(
    *mut raw::RedisModuleCtx,
    *const c_char,
    *const c_char,
    ...
) -> *mut raw::RedisModuleCallReply;

/// The function that runs a command.
pub fn run() -> ServerCall {
    // SAFETY: the pointer is set once at load and never changes.
    unsafe { raw::RedisModule_Call }.expect("RedisModule_Call exists on every supported server")
}

/// Runs a command that only reads, with these arguments.
///
/// # Safety
///
/// `ctx` is the context of the running command, and the strings are valid.
pub unsafe fn read(
    ctx: *mut raw::RedisModuleCtx,
    name: &CStr,
    args: &[*mut raw::RedisModuleString],
) -> CallReply {
    // SAFETY: the caller vouches for the arguments, which the server keeps on its own if it keeps them.
    unsafe { CallReply(run()(ctx, name.as_ptr(), c"Ev".as_ptr(), args.as_ptr(), args.len())) }
}

/// A reply of the server; null where it gave none.
pub struct CallReply(pub *mut raw::RedisModuleCallReply);

impl Drop for CallReply {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: the reply is freed once.
            unsafe { call!(RedisModule_FreeCallReply(self.0)) };
        }
    }
}

/// The kinds of replies that natives and the commands for reading have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallReplyKind {
    Text,
    Int,
    Array,
    Null,
    /// The server refused the command, or replied nothing that is known here.
    Error,
}

impl CallReply {
    pub fn kind(&self) -> CallReplyKind {
        kind(self.0)
    }

    pub fn is_error(&self) -> bool {
        self.kind() == CallReplyKind::Error
    }

    pub fn integer(&self) -> i64 {
        // SAFETY: the reply is valid.
        unsafe { call!(RedisModule_CallReplyInteger(self.0)) }
    }

    /// The bytes of a string, of a simple string or of an error.
    pub fn text(&self) -> &[u8] {
        // SAFETY: the bytes live as long as the reply.
        unsafe { text(self.0) }
    }

    /// The number of elements of an array; 0 of anything else.
    pub fn len(&self) -> usize {
        if self.kind() != CallReplyKind::Array {
            return 0;
        }
        // SAFETY: the reply is valid, and an array.
        unsafe { call!(RedisModule_CallReplyLength(self.0)) }
    }

    /// The text behind a name, in an array of names and values.
    pub fn text_of(&self, name: &[u8]) -> Option<&[u8]> {
        // SAFETY: the reply is null or valid.
        unsafe { text_of(self.0, name) }
    }

    /// The text behind a name, in an element that is an array of names and values.
    pub fn text_in(&self, nth: usize, name: &[u8]) -> Option<&[u8]> {
        if nth >= self.len() {
            return None;
        }
        // SAFETY: the element lives as long as the reply, an array.
        unsafe { text_of(call!(RedisModule_CallReplyArrayElement(self.0, nth)), name) }
    }

    /// The text that is the first element of the first element.
    pub fn first_of_first(&self) -> Option<&[u8]> {
        if self.kind() != CallReplyKind::Array {
            return None;
        }
        // SAFETY: as above.
        unsafe {
            let first = call!(RedisModule_CallReplyArrayElement(self.0, 0));
            if kind(first) != CallReplyKind::Array {
                return None;
            }
            let name = call!(RedisModule_CallReplyArrayElement(first, 0));
            (kind(name) == CallReplyKind::Text).then(|| text(name))
        }
    }
}

fn kind(reply: *mut raw::RedisModuleCallReply) -> CallReplyKind {
    if reply.is_null() {
        return CallReplyKind::Error;
    }
    // SAFETY: the reply is valid.
    let kind = unsafe { call!(RedisModule_CallReplyType(reply)) };
    match kind as isize {
        raw::REDISMODULE_REPLY_STRING => CallReplyKind::Text,
        raw::REDISMODULE_REPLY_INTEGER => CallReplyKind::Int,
        raw::REDISMODULE_REPLY_ARRAY => CallReplyKind::Array,
        raw::REDISMODULE_REPLY_NULL => CallReplyKind::Null,
        _ => CallReplyKind::Error,
    }
}

/// # Safety
///
/// `reply` is null or valid during `'a`.
unsafe fn text_of<'a>(reply: *mut raw::RedisModuleCallReply, name: &[u8]) -> Option<&'a [u8]> {
    if kind(reply) != CallReplyKind::Array {
        return None;
    }
    // SAFETY: the caller vouches for the reply; elements live as long.
    unsafe {
        let len = call!(RedisModule_CallReplyLength(reply));
        let element = |nth| call!(RedisModule_CallReplyArrayElement(reply, nth));
        let at = (0..len).step_by(2).find(|nth| text(element(*nth)) == name)?;
        let value = element(at + 1);
        (kind(value) == CallReplyKind::Text).then(|| text(value))
    }
}

/// # Safety
///
/// `reply` is null or valid during `'a`.
unsafe fn text<'a>(reply: *mut raw::RedisModuleCallReply) -> &'a [u8] {
    if reply.is_null() {
        return b"";
    }
    let mut len = 0;
    // SAFETY: the caller vouches for the reply; it has `len` bytes where it has a text.
    unsafe {
        let start = call!(RedisModule_CallReplyStringPtr(reply, &raw mut len));
        match start.is_null() {
            true => b"",
            false => std::slice::from_raw_parts(start.cast::<u8>(), len),
        }
    }
}
