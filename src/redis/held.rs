//! Strings of the server that the module keeps.

use std::ffi::c_char;
use std::ptr;

use redis_module::raw;

use super::api::{bytes, call};

/// A string of the server, counted once for this value.
pub struct HeldString(*mut raw::RedisModuleString);

impl HeldString {
    /// # Safety
    ///
    /// `string` is valid. Called and dropped on the main thread: the server's counts are not atomic.
    pub unsafe fn new(string: *mut raw::RedisModuleString) -> HeldString {
        // SAFETY: the caller vouches for the string. Without a context it stays until it is freed in `drop`.
        HeldString(unsafe { call!(RedisModule_HoldString(ptr::null_mut(), string)) })
    }

    /// A new string.
    pub fn of(text: &[u8]) -> HeldString {
        let start = text.as_ptr().cast::<c_char>();
        // SAFETY: the text is copied. Without a context the string is no part of a memory pool; it is freed in `drop`.
        HeldString(unsafe { call!(RedisModule_CreateString(ptr::null_mut(), start, text.len())) })
    }

    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the string is held as long as this, and the server changes no string that it shares.
        unsafe { bytes(self.0) }
    }

    /// The string, valid as long as this value.
    pub fn as_ptr(&self) -> *mut raw::RedisModuleString {
        self.0
    }
}

impl Drop for HeldString {
    fn drop(&mut self) {
        // SAFETY: counted for this value, given back once.
        unsafe { call!(RedisModule_FreeString(ptr::null_mut(), self.0)) };
    }
}
