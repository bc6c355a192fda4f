//! Documents behind keys: the pointers that the server keeps, and the keys that hold them.
//!
//! A document is boxed, and the server has a thin pointer to it. It owns the pointer from the moment it is stored
//! until it calls `free`, which often happens on a background thread: nothing a document owns is bound to a thread.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use redis_module::raw;

use super::api::{call, is_ok};
use super::{counters, role};
use crate::document::{Document, NewDocument};

/// Flags of opening a key: neither its last use nor its expiry changes. Earlier servers ignore the last two.
pub const OPEN_QUIETLY: c_int = 1 << 16 | 1 << 19 | 1 << 20;

static TYPE: AtomicPtr<raw::RedisModuleType> = AtomicPtr::new(ptr::null_mut());

/// The registered type.
#[inline]
pub fn handle() -> *mut raw::RedisModuleType {
    TYPE.load(Ordering::Relaxed)
}

/// Keeps the type that the server has registered.
pub fn set_handle(data_type: *mut raw::RedisModuleType) {
    TYPE.store(data_type, Ordering::Relaxed);
}

/// Hands a document to the server.
pub fn into_raw(document: NewDocument) -> *mut c_void {
    role::REVISIONS.see(document.revision);
    counters::DOCUMENTS.fetch_add(1, Ordering::Relaxed);
    Box::into_raw(document.settle()).cast()
}

/// Takes a document back from the server and drops it.
///
/// # Safety
///
/// `value` came from [`into_raw`] and the server will not use it again.
pub unsafe fn drop_raw(value: *mut c_void) {
    // SAFETY: the caller vouches for it.
    drop(unsafe { Box::from_raw(from_raw(value)) });
    counters::DOCUMENTS.fetch_sub(1, Ordering::Relaxed);
}

/// The document behind a value of this type.
///
/// # Safety
///
/// `value` is a live value of this type.
#[inline]
pub unsafe fn from_raw(value: *mut c_void) -> *mut Document {
    fetch(value);
    // SAFETY: the caller vouches for the value.
    unsafe { from_fetched(value) }
}

/// As [`from_raw`], of a value that was fetched before.
///
/// # Safety
///
/// As for [`from_raw`].
#[inline]
pub unsafe fn from_fetched(value: *mut c_void) -> *mut Document {
    // A pointer to a document without its tail has the same address, and knows no length.
    let head = ptr::slice_from_raw_parts_mut(value.cast::<u8>(), 0) as *mut Document;
    // SAFETY: the caller vouches for the value. One without a tail is no larger than any other, and what is
    // in front of the tail is at the same place in all: their type is `repr(C)`.
    let tail_bytes = unsafe { (*head).root.tail_bytes() };
    ptr::slice_from_raw_parts_mut(value.cast::<u8>(), tail_bytes.into()) as *mut Document
}

/// Has the processor fetch what most documents take of memory, all at once rather than one line after the other
/// when each is needed. A hint: any address is allowed.
#[inline]
fn fetch(value: *mut c_void) {
    #[cfg(target_arch = "x86_64")]
    for line in 0..4 {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: nothing is read; every processor of this architecture has the instruction.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(value.cast::<i8>().wrapping_add(line * 64)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

/// The document behind a value of this type, to read.
///
/// # Safety
///
/// `value` is a live value of this type, which does not change during `'a`.
pub unsafe fn document<'a>(value: *const c_void) -> &'a Document {
    // SAFETY: the caller vouches for it.
    unsafe { &*from_raw(value.cast_mut()) }
}

/// The document at an open key: `Ok(None)` when the key is empty, `Err` when it holds something else.
///
/// # Safety
///
/// `key` is an open key; the document is used only while it is open.
#[inline]
pub unsafe fn at_key(key: *mut raw::RedisModuleKey) -> Result<Option<*mut Document>, ()> {
    // SAFETY: the caller vouches for `key`.
    unsafe { value_at_key(key, handle()).map(|value| value.map(|value| from_raw(value))) }
}

/// As [`at_key`], but does not read the document: the processor fetches it, to be read with [`from_fetched`]. Null where
/// there is none.
///
/// # Safety
///
/// `key` is an open key.
#[inline]
pub unsafe fn prefetch_at_key(key: *mut raw::RedisModuleKey) -> *mut c_void {
    // SAFETY: the caller vouches for `key`.
    let value = unsafe { value_at_key(key, handle()) }.ok().flatten().unwrap_or(ptr::null_mut());
    fetch(value);
    value
}

/// Moves the document at a key to another block of memory if it does not fit its own any more.
///
/// # Safety
///
/// `key` is open for writing, holds this document, and nothing of it is borrowed.
#[inline]
pub unsafe fn settle(key: *mut raw::RedisModuleKey, document: *mut Document) {
    // SAFETY: the caller vouches for both; what was replaced is ours again.
    unsafe {
        if (*document).is_settled() {
            return;
        }
        let fitting = Box::into_raw((*document).resettle());
        let old = put_value(key, handle(), fitting.cast());
        drop(Box::from_raw(from_raw(old.expect("the document is at the key"))));
    }
}

/// The value of this type at an open key: `Ok(None)` when the key is empty, `Err` when it holds
/// something else.
///
/// # Safety
///
/// `key` is an open key, or null where it is missing.
#[inline]
pub unsafe fn value_at_key(
    key: *mut raw::RedisModuleKey,
    data_type: *mut raw::RedisModuleType,
) -> Result<Option<*mut c_void>, ()> {
    // SAFETY: the caller vouches for `key`; a null key is an empty one.
    unsafe {
        if key.is_null() {
            return Ok(None);
        }
        // Asked first, because it is the answer nearly always.
        if call!(RedisModule_ModuleTypeGetType(key)) == data_type {
            return Ok(Some(call!(RedisModule_ModuleTypeGetValue(key))));
        }
        if call!(RedisModule_KeyType(key)) == raw::REDISMODULE_KEYTYPE_EMPTY as c_int {
            return Ok(None);
        }
        Err(())
    }
}

/// Stores a document at a key opened for writing, in place of any document there. The key's
/// time to live stays.
///
/// # Safety
///
/// `key` is open for writing and holds a document or nothing.
pub unsafe fn put(key: *mut raw::RedisModuleKey, document: NewDocument) {
    // SAFETY: the caller vouches for `key`; a value that was replaced is ours again.
    unsafe {
        if let Some(old) = put_value(key, handle(), into_raw(document)) {
            drop_raw(old);
        }
    }
}

/// Stores a value; returns the one it replaces. The key's time to live stays.
///
/// # Safety
///
/// `key` is open for writing and holds a value of this type or nothing; the value is one of it.
pub unsafe fn put_value(
    key: *mut raw::RedisModuleKey,
    data_type: *mut raw::RedisModuleType,
    value: *mut c_void,
) -> Option<*mut c_void> {
    // SAFETY: the caller vouches for `key`.
    unsafe {
        if call!(RedisModule_KeyType(key)) == raw::REDISMODULE_KEYTYPE_EMPTY as c_int {
            let status = call!(RedisModule_ModuleTypeSetValue(key, data_type, value));
            assert!(is_ok(status), "the key is open for writing");
            return None;
        }
        let mut old = ptr::null_mut();
        let status = call!(RedisModule_ModuleTypeReplaceValue(key, data_type, value, &raw mut old));
        assert!(is_ok(status), "the key holds a value of this type");
        Some(old)
    }
}
