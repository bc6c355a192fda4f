//! The models of this server: where they come from besides commands, and where they go.
//!
//! Definitions are loaded from the RDB's aux field, arrive from a master or an AOF as `MODEL.INSTALL`, and
//! from other shards over the cluster's bus ([`super::bus`]). A full sync that keeps serving the old data
//! (`repl-diskless-load swapdb`) loads the new models beside those in force; they take over when it succeeds.
//! [`super::carrier`] writes them into an AOF.

use std::ffi::c_void;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use redis_module::raw;

use super::api::{call, is_ok};
use super::{carrier, locks};
use crate::model::{Entry, Models};

/// The models in force.
pub static MODELS: Models = Models::new();
/// Those of a data set that is being loaded beside the one in force.
static STAGED: Mutex<Option<Models>> = Mutex::new(None);
/// Whether a data set is being loaded: then its documents are believed to be what they say.
static LOADING: AtomicBool = AtomicBool::new(false);

fn staged() -> MutexGuard<'static, Option<Models>> {
    STAGED.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Calls with the models that what is being loaded belongs to.
pub fn with_loading<T>(load: impl FnOnce(&Models) -> T) -> T {
    match &*staged() {
        Some(models) => load(models),
        None => load(&MODELS),
    }
}

/// Whether a data set is being loaded, and not a single key by `RESTORE`.
pub fn is_loading() -> bool {
    LOADING.load(Ordering::Relaxed)
}

/// Takes over what an RDB holds. What does not compile here is kept; a line in the log says so.
pub fn load(entries: &[Entry], mut report: impl FnMut(&str)) {
    with_loading(|models| {
        for entry in entries {
            if let Err(error) = models.install(entry) {
                report(&format!("the model {:?} cannot be used here: {error}", entry.name));
            }
        }
    });
}

pub fn register(ctx: *mut raw::RedisModuleCtx) -> Result<(), &'static str> {
    let events: [(u64, raw::RedisModuleEventCallback); 2] = [
        (raw::REDISMODULE_EVENT_REPL_ASYNC_LOAD, Some(on_async_load)),
        (raw::REDISMODULE_EVENT_PERSISTENCE, Some(on_persistence)),
    ];
    for (id, callback) in events {
        let event = raw::RedisModuleEvent { id, dataver: 1 };
        // SAFETY: `ctx` is valid while the module is being loaded.
        if !is_ok(unsafe { call!(RedisModule_SubscribeToServerEvent(ctx, event, callback)) }) {
            return Err("the server refused a subscription to its events");
        }
    }
    Ok(())
}

/// A data set begins to be loaded, or that is over. Called by [`super::role`]: a module has one callback
/// for an event, and a second one would take its place.
pub fn on_loading(begins: bool) {
    LOADING.store(begins, Ordering::Relaxed);
    // What is loaded brings its models along.
    if begins && staged().is_none() {
        MODELS.replace(Models::new());
    }
}

unsafe extern "C" fn on_async_load(
    _ctx: *mut raw::RedisModuleCtx,
    _event: raw::RedisModuleEvent,
    subevent: u64,
    _data: *mut c_void,
) {
    let _ = catch_unwind(|| {
        let mut staged = staged();
        match subevent {
            raw::REDISMODULE_SUBEVENT_REPL_ASYNC_LOAD_STARTED => *staged = Some(Models::new()),
            raw::REDISMODULE_SUBEVENT_REPL_ASYNC_LOAD_COMPLETED => {
                if let Some(models) = staged.take() {
                    MODELS.replace(models);
                }
                locks::note_replaced();
            }
            _ => *staged = None,
        }
    });
}

unsafe extern "C" fn on_persistence(
    ctx: *mut raw::RedisModuleCtx,
    _event: raw::RedisModuleEvent,
    subevent: u64,
    _data: *mut c_void,
) {
    let _ = catch_unwind(|| {
        if subevent == raw::REDISMODULE_SUBEVENT_PERSISTENCE_AOF_START {
            // SAFETY: `ctx` is valid during the callback.
            unsafe { carrier::begin_rewrite(ctx) };
        }
    });
}

/// Sends a definition to replicas and the AOF.
///
/// # Safety
///
/// `ctx` is valid.
pub unsafe fn replicate(ctx: *mut raw::RedisModuleCtx, entry: &[u8]) {
    // SAFETY: set once, while the module was loaded.
    let replicate = unsafe { raw::RedisModule_Replicate }
        .expect("RedisModule_Replicate exists on every supported server");
    // SAFETY: the caller vouches for `ctx`; the buffer is copied.
    unsafe {
        replicate(ctx, c"MODEL.INSTALL".as_ptr(), c"b".as_ptr(), entry.as_ptr(), entry.len());
    }
}
