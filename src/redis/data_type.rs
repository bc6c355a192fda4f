//! The data type `model-doc`: a boxed [`Document`] behind each key, as a thin pointer.
//!
//! The server owns the pointer from the moment it is stored until it calls `free`, which happens on a
//! background thread as often as not: nothing a document owns is bound to a thread.

use std::ffi::{c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use redis_module::raw;

use super::api::{bytes, call, is_ok};
use super::{carrier, defrag, info, locks, log, models, payload, role};
use crate::codec::effect::{Change, Effect, Expiry};
use crate::codec::locks::edits_of;
use crate::codec::rdb;
use crate::command::lock_effect;
use crate::document::{Document, NewDocument};
use crate::value::print;

/// Nine characters, as the server demands; part of the RDB format.
const TYPE_NAME: &std::ffi::CStr = c"model-doc";
/// Documents that cost more allocations than this to free are freed in the background.
const FREE_EFFORT_MAX: usize = 1 << 16;

static TYPE: AtomicPtr<raw::RedisModuleType> = AtomicPtr::new(ptr::null_mut());

/// The registered type.
#[inline]
pub fn handle() -> *mut raw::RedisModuleType {
    TYPE.load(Ordering::Relaxed)
}

/// Hands a document to the server.
pub fn into_raw(document: NewDocument) -> *mut c_void {
    role::REVISIONS.see(document.revision);
    info::DOCUMENTS.fetch_add(1, Ordering::Relaxed);
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
    info::DOCUMENTS.fetch_sub(1, Ordering::Relaxed);
}

/// The document behind a value of this type.
///
/// # Safety
///
/// `value` is a live value of this type.
#[inline]
pub unsafe fn from_raw(value: *mut c_void) -> *mut Document {
    fetch(value);
    // A pointer to a document without its tail has the same address, and knows no length.
    let head = ptr::slice_from_raw_parts_mut(value.cast::<u8>(), 0) as *mut Document;
    // SAFETY: the caller vouches for the value. One without a tail is no larger than any other, and what is
    // in front of the tail is at the same place in all: their type is `repr(C)`.
    let tail_bytes = unsafe { (*head).root.tail_bytes() };
    ptr::slice_from_raw_parts_mut(value.cast::<u8>(), tail_bytes.into()) as *mut Document
}

/// Has the processor fetch what most documents take of memory, all at once rather than one line after the other
/// as they turn out to be needed. A hint: an address where nothing is does no harm.
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

pub fn register(ctx: *mut raw::RedisModuleCtx) -> Result<(), &'static str> {
    let mut methods = raw::RedisModuleTypeMethods {
        version: raw::REDISMODULE_TYPE_METHOD_VERSION.into(),
        rdb_load: Some(rdb_load),
        rdb_save: Some(rdb_save),
        aof_rewrite: Some(aof_rewrite),
        mem_usage: Some(mem_usage),
        digest: Some(digest),
        free: Some(free),
        aux_load: Some(aux_load),
        aux_save: Some(aux_save),
        aux_save_triggers: raw::REDISMODULE_AUX_BEFORE_RDB as c_int,
        free_effort: Some(free_effort),
        unlink: None,
        copy: Some(copy),
        defrag: Some(defrag::defrag),
        mem_usage2: None,
        free_effort2: None,
        unlink2: Some(locks::on_unlink),
        copy2: None,
        aux_save2: Some(aux_save2),
    };
    // SAFETY: `ctx` is valid while the module is being loaded; the methods are copied.
    let data_type = unsafe {
        call!(RedisModule_CreateDataType(
            ctx,
            TYPE_NAME.as_ptr(),
            rdb::VERSION as c_int,
            &raw mut methods
        ))
    };
    if data_type.is_null() {
        return Err("the server refused the data type model-doc");
    }
    TYPE.store(data_type, Ordering::Relaxed);
    Ok(())
}

/// The document behind a value of this type.
///
/// # Safety
///
/// `value` is a live value of this type, and nobody changes it during `'a`.
unsafe fn document<'a>(value: *const c_void) -> &'a Document {
    // SAFETY: the caller vouches for it.
    unsafe { &*from_raw(value.cast_mut()) }
}

unsafe extern "C" fn rdb_save(io: *mut raw::RedisModuleIO, value: *mut c_void) {
    let _ = catch_unwind(|| {
        let mut bytes = Vec::new();
        // SAFETY: the server lends a live value; the buffer outlives the call.
        unsafe {
            rdb::encode(document(value), &mut bytes);
            call!(RedisModule_SaveStringBuffer(io, bytes.as_ptr().cast::<c_char>(), bytes.len()));
        }
    });
}

unsafe extern "C" fn rdb_load(io: *mut raw::RedisModuleIO, version: c_int) -> *mut c_void {
    let loaded = catch_unwind(|| {
        let origin = payload::origin();
        let decode = |bytes: &[u8]| {
            let bounds = payload::bounds(origin);
            let decoded =
                models::with_loading(|models| rdb::decode(bytes, version as u32, models, &bounds));
            decoded.and_then(|mut document| {
                origin.admit(&mut document, role::now_us())?;
                Ok(document)
            })
        };
        // SAFETY: `io` is valid during the callback.
        match unsafe { payload::read(io, decode) }? {
            Ok(document) => {
                if !document.locks.is_blank() {
                    // SAFETY: as above.
                    unsafe { note_arrived(io) };
                }
                Some(into_raw(document))
            }
            Err(error) => {
                // SAFETY: as above.
                unsafe { log::io_error(io, &format!("a document cannot be loaded: {error}")) };
                None
            }
        }
    });
    loaded.ok().flatten().unwrap_or(ptr::null_mut())
}

/// # Safety
///
/// `io` is valid.
unsafe fn note_arrived(io: *mut raw::RedisModuleIO) {
    // SAFETY: the caller vouches for `io`; the key's name may be unknown.
    unsafe {
        let key = call!(RedisModule_GetKeyNameFromIO(io));
        if !key.is_null() {
            locks::note_arrived(call!(RedisModule_GetDbIdFromIO(io)), bytes(key));
        }
    }
}

unsafe extern "C" fn aof_rewrite(
    io: *mut raw::RedisModuleIO,
    key: *mut raw::RedisModuleString,
    value: *mut c_void,
) {
    let _ = catch_unwind(|| {
        // SAFETY: the server lends a live value.
        let document = unsafe { document(value) };
        let ahead = role::REVISIONS.seen().saturating_sub(document.revision);
        let (model, definition) = (document.model_name(), document.definition_version());
        let change = Change::Put { model, definition, ahead };
        // The server writes the time to live itself.
        let effect = Effect { revision: document.revision, expiry: Expiry::Keep, change }.encode();
        let mut json = Vec::new();
        print::json(document.root.view(), &mut json);
        // SAFETY: `io` and `key` are valid during the callback; the buffers outlive the call.
        unsafe {
            call!(RedisModule_EmitAOF(
                io,
                c"MODEL.APPLY".as_ptr(),
                c"sbb".as_ptr(),
                key,
                effect.as_ptr(),
                effect.len(),
                json.as_ptr(),
                json.len(),
            ));
        }
        let edits = edits_of(&document.locks);
        if !edits.is_empty() {
            let effect = lock_effect(edits.iter());
            // SAFETY: as above.
            unsafe {
                let format = c"sb".as_ptr();
                let (start, len) = (effect.as_ptr(), effect.len());
                call!(RedisModule_EmitAOF(io, c"MODEL.APPLY".as_ptr(), format, key, start, len));
            }
        }
    });
}

unsafe extern "C" fn mem_usage(value: *const c_void) -> usize {
    // SAFETY: the server lends a live value.
    let measured = catch_unwind(|| unsafe { document(value) }.heap_bytes());
    measured.unwrap_or_default()
}

unsafe extern "C" fn digest(digest: *mut raw::RedisModuleDigest, value: *mut c_void) {
    let _ = catch_unwind(|| {
        let mut bytes = Vec::new();
        // SAFETY: the server lends a live value; the buffer outlives the call.
        unsafe {
            rdb::encode(document(value), &mut bytes);
            call!(RedisModule_DigestAddStringBuffer(
                digest,
                bytes.as_ptr().cast::<c_char>(),
                bytes.len()
            ));
            call!(RedisModule_DigestEndSequence(digest));
        }
    });
}

unsafe extern "C" fn free(value: *mut c_void) {
    // SAFETY: the server gives the value back. On any thread.
    let _ = catch_unwind(AssertUnwindSafe(|| unsafe { drop_raw(value) }));
}

unsafe extern "C" fn free_effort(_key: *mut raw::RedisModuleString, value: *const c_void) -> usize {
    // SAFETY: the server lends a live value.
    catch_unwind(|| 1 + unsafe { document(value) }.root.allocations(FREE_EFFORT_MAX)).unwrap_or(1)
}

unsafe extern "C" fn copy(
    _from: *mut raw::RedisModuleString,
    _to: *mut raw::RedisModuleString,
    value: *const c_void,
) -> *mut c_void {
    // SAFETY: the server lends a live value.
    let copied = catch_unwind(|| {
        let mut copy = unsafe { document(value) }.copy();
        // Nobody holds the copy.
        copy.locks.clear();
        into_raw(copy)
    });
    copied.unwrap_or(ptr::null_mut())
}

// The aux field: a version and a buffer, see `rdb::aux`.

unsafe extern "C" fn aux_save(io: *mut raw::RedisModuleIO, _when: c_int) {
    let _ = catch_unwind(|| {
        carrier::end_rewrite();
        let bytes = rdb::aux::encode(
            role::REVISIONS.seen(),
            locks::last_fence(),
            &models::MODELS.entries(),
        );
        // SAFETY: `io` is valid during the callback; the buffer outlives the call.
        unsafe {
            call!(RedisModule_SaveUnsigned(io, rdb::aux::VERSION));
            call!(RedisModule_SaveStringBuffer(io, bytes.as_ptr().cast::<c_char>(), bytes.len()));
        }
    });
}

/// Servers that know this one write no aux field when it writes nothing: then a file without documents
/// and models can be read where the module is not loaded.
unsafe extern "C" fn aux_save2(io: *mut raw::RedisModuleIO, when: c_int) {
    let _ = catch_unwind(|| {
        if info::DOCUMENTS.load(Ordering::Relaxed) > 0 || !models::MODELS.is_empty() {
            // SAFETY: as above.
            unsafe { aux_save(io, when) };
        }
    });
}

unsafe extern "C" fn aux_load(io: *mut raw::RedisModuleIO, _version: c_int, _when: c_int) -> c_int {
    let loaded = catch_unwind(|| {
        // SAFETY: `io` is valid during the callback.
        let aux = unsafe {
            let version = call!(RedisModule_LoadUnsigned(io));
            payload::read(io, |bytes| rdb::aux::decode(bytes, version).ok()).flatten()
        }?;
        role::REVISIONS.see(aux.revision);
        locks::see_fence(aux.fence);
        // SAFETY: as above.
        models::load(&aux.models, |line| unsafe { log::io_error(io, line) });
        Some(())
    });
    if matches!(loaded, Ok(Some(()))) {
        return raw::REDISMODULE_OK as c_int;
    }
    // SAFETY: as above.
    unsafe { log::io_error(io, "the module's aux field is damaged or of a newer release") };
    raw::REDISMODULE_ERR as c_int
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

/// Gives the document at a key another block of memory where the one it has does not fit any more.
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
pub(super) unsafe fn value_at_key(
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

/// Stores a document at a key opened for writing, in the place of one that may be there. The key's
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

/// Stores a value; gives the one whose place it took. The key's time to live stays.
///
/// # Safety
///
/// `key` is open for writing and holds a value of this type or nothing; the value is one of it.
pub(super) unsafe fn put_value(
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
