//! The server's log. Messages are never taken for formats, and hold no NUL.

use std::ffi::{CStr, CString};
use std::ptr;

use redis_module::raw;

use super::api::call;

/// Writes a notice: something that happened as it should.
pub fn notice(ctx: *mut raw::RedisModuleCtx, message: &str) {
    write(ctx, c"notice", message);
}

/// Writes a warning. `ctx` may be null.
pub fn warning(ctx: *mut raw::RedisModuleCtx, message: &str) {
    write(ctx, c"warning", message);
}

fn write(ctx: *mut raw::RedisModuleCtx, level: &CStr, message: &str) {
    let message = c_string(message);
    // SAFETY: the format takes one string, and all three are NUL-terminated.
    unsafe { call!(RedisModule_Log(ctx, level.as_ptr(), c"%s".as_ptr(), message.as_ptr())) };
}

/// Writes a warning about an RDB that is being read.
///
/// # Safety
///
/// `io` is valid.
pub unsafe fn io_error(io: *mut raw::RedisModuleIO, message: &str) {
    let message = c_string(message);
    // SAFETY: as above, and the caller vouches for `io`.
    unsafe {
        call!(RedisModule_LogIOError(io, c"warning".as_ptr(), c"%s".as_ptr(), message.as_ptr()))
    };
}

/// Text with the characters replaced that would end it early or break the line.
pub fn c_string(text: &str) -> CString {
    let clean: Vec<u8> =
        text.bytes().map(|b| if matches!(b, 0 | b'\r' | b'\n') { b' ' } else { b }).collect();
    CString::new(clean).expect("no NUL is left")
}

/// Panics of this module go to the server's log.
pub fn catch_panics() {
    std::panic::set_hook(Box::new(|panic| {
        warning(ptr::null_mut(), &format!("panic in the module, please report it: {panic}"));
    }));
}
