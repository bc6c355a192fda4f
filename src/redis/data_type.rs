//! The data type `model-doc`: what the server calls to load, save, copy, free and measure documents.

use std::ffi::{c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::Ordering;

use redis_module::raw;

use super::api::{bytes, call};
use super::stored::{document, drop_raw, into_raw};
use super::{
    carrier, clock, counters, defrag, file_names, following, loaded, locks, log, models, payload,
    pending, role, stored,
};
use crate::codec::effect::{Change, Effect};
use crate::codec::locks::edits_of;
use crate::codec::origin::Origin;
use crate::codec::rdb;
use crate::command::lock_effect;
use crate::expiry::Expiry;
use crate::value::{names, print};

/// Nine characters, as the server demands; part of the RDB format.
const TYPE_NAME: &std::ffi::CStr = c"model-doc";
/// Documents that cost more allocations than this to free are freed in the background.
const FREE_EFFORT_MAX: usize = 1 << 16;

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
        unlink2: Some(unlink),
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
    stored::set_handle(data_type);
    Ok(())
}

unsafe extern "C" fn rdb_save(io: *mut raw::RedisModuleIO, value: *mut c_void) {
    let _ = catch_unwind(|| {
        let mut bytes = file_names::take_buffer();
        // SAFETY: the server lends a live value; the buffer outlives the call.
        unsafe {
            match file_names::are_written() {
                true => rdb::encode_for_file(document(value), &mut bytes),
                false => rdb::encode(document(value), &mut bytes),
            }
            call!(RedisModule_SaveStringBuffer(io, bytes.as_ptr().cast::<c_char>(), bytes.len()));
        }
        file_names::keep_buffer(bytes);
    });
}

unsafe extern "C" fn rdb_load(io: *mut raw::RedisModuleIO, version: c_int) -> *mut c_void {
    let loaded = catch_unwind(|| {
        let origin = payload::origin();
        let decode = |bytes: &[u8]| {
            let bounds = payload::bounds(origin);
            let decoded = models::with_loading(|models| {
                let decode = |names: Option<&_>| {
                    rdb::decode_from_file(bytes, version as u32, models, &bounds, names)
                };
                // A payload by itself has no names.
                if origin == Origin::DataSet { file_names::with_read(decode) } else { decode(None) }
            });
            decoded.and_then(|mut document| {
                origin.admit(&mut document, &bounds, clock::now_us)?;
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
                if origin != Origin::DataSet {
                    return Some(into_raw(document));
                }
                // SAFETY: as above.
                Some(unsafe { loaded::on_read(io, document, into_raw) })
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
            let (database, name) = (call!(RedisModule_GetDbIdFromIO(io)), bytes(key));
            match models::is_staging() {
                true => pending::note_loaded_beside(database, name),
                false => pending::note_arrived(database, name),
            }
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
    let _ = catch_unwind(AssertUnwindSafe(|| unsafe {
        loaded::on_free(value);
        drop_raw(value);
    }));
}

/// A document is removed from its key.
unsafe extern "C" fn unlink(ctx: *mut raw::RedisModuleKeyOptCtx, value: *const c_void) {
    // SAFETY: the server lends the context and a live value of the type.
    let _ = catch_unwind(|| unsafe {
        following::on_unlink(ctx, value);
    });
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
        // The copy is not locked.
        copy.locks.clear();
        into_raw(copy)
    });
    copied.unwrap_or(ptr::null_mut())
}

// The aux field: a version and a buffer, see `rdb::aux`.

unsafe extern "C" fn aux_save(io: *mut raw::RedisModuleIO, _when: c_int) {
    let _ = catch_unwind(|| {
        carrier::end_rewrite();
        let bytes = rdb::aux::encode(&rdb::aux::Aux {
            revision: role::REVISIONS.seen(),
            fence: locks::last_fence(),
            models: models::MODELS.entries(),
            actions: models::ACTIONS.entries(),
            names: names::all().map(Box::from).collect(),
        });
        file_names::begin_write();
        // SAFETY: `io` is valid during the callback; the buffer outlives the call.
        unsafe {
            call!(RedisModule_SaveUnsigned(io, rdb::aux::VERSION));
            call!(RedisModule_SaveStringBuffer(io, bytes.as_ptr().cast::<c_char>(), bytes.len()));
        }
    });
}

/// Servers that know this one write no aux field when it writes nothing: then a file without documents
/// and definitions can be read where the module is not loaded.
unsafe extern "C" fn aux_save2(io: *mut raw::RedisModuleIO, when: c_int) {
    let _ = catch_unwind(|| {
        if counters::DOCUMENTS.load(Ordering::Relaxed) > 0 || !models::is_empty() {
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
        file_names::begin_read(aux.names.iter().map(|name| &**name));
        // SAFETY: as above.
        models::load(&aux.models, &aux.actions, |line| unsafe { log::io_error(io, line) });
        Some(())
    });
    if matches!(loaded, Ok(Some(()))) {
        return raw::REDISMODULE_OK as c_int;
    }
    // SAFETY: as above.
    unsafe { log::io_error(io, "the module's aux field is damaged or of a newer release") };
    raw::REDISMODULE_ERR as c_int
}
