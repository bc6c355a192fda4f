//! Replies over the wire, in whatever protocol the client speaks.

use std::ffi::{c_char, c_long};

use redis_module::raw;

use super::api::call;
use super::log::c_string;
use crate::error::Error;
use crate::reply::Reply;

/// Sends one reply.
///
/// # Safety
///
/// `ctx` is the context of a command that has not replied yet.
pub unsafe fn send(ctx: *mut raw::RedisModuleCtx, reply: &Reply) {
    // SAFETY: the caller vouches for `ctx`; every buffer outlives its call, which copies it.
    unsafe {
        match reply {
            Reply::Null => {
                call!(RedisModule_ReplyWithNull(ctx));
            }
            Reply::Int(value) => {
                call!(RedisModule_ReplyWithLongLong(ctx, *value));
            }
            Reply::Number(number) => {
                number.with_text(|text| bulk(ctx, text));
            }
            Reply::Json(text) | Reply::Text(text) => bulk(ctx, text),
            Reply::Ok => {
                call!(RedisModule_ReplyWithSimpleString(ctx, c"OK".as_ptr()));
            }
            Reply::Array(items) => {
                call!(RedisModule_ReplyWithArray(ctx, items.len() as c_long));
                items.iter().for_each(|item| send(ctx, item));
            }
            Reply::Map(members) => {
                call!(RedisModule_ReplyWithMap(ctx, members.len() as c_long));
                for (name, value) in members {
                    bulk(ctx, name.as_bytes());
                    send(ctx, value);
                }
            }
            Reply::Refused(text) => {
                let line = c_string(&String::from_utf8_lossy(text));
                call!(RedisModule_ReplyWithError(ctx, line.as_ptr()));
            }
            Reply::Native(_) => unreachable!("the replies of natives were filled in"),
            Reply::Revision => unreachable!("the command filled its revision in"),
        }
    }
}

unsafe fn bulk(ctx: *mut raw::RedisModuleCtx, text: &[u8]) {
    // SAFETY: as in `send`.
    unsafe {
        call!(RedisModule_ReplyWithStringBuffer(ctx, text.as_ptr().cast::<c_char>(), text.len()))
    };
}

/// Sends an error line.
///
/// # Safety
///
/// As for [`send`].
pub unsafe fn send_error(ctx: *mut raw::RedisModuleCtx, error: &Error) {
    let line = c_string(&error.line());
    // SAFETY: as in `send`; the line is NUL-terminated and has no CR or LF.
    unsafe { call!(RedisModule_ReplyWithError(ctx, line.as_ptr())) };
}
