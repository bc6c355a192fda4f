//! The models of this server: where they come from besides commands, and where they go.
//!
//! Definitions are loaded from the RDB's aux field, arrive from a master or an AOF as `MODEL.INSTALL`, and
//! from other shards over the cluster's bus. Two things need care:
//!
//! - A full sync that keeps serving the old data (`repl-diskless-load swapdb`) loads the new models beside
//!   those in force; they take over when it succeeds.
//! - Nodes of a cluster tell each other from time to time what they hold, as one number. A node that hears
//!   another number sends all it has. So a node that joined later, or was away, learns what it missed.
//!
//! [`super::carrier`] writes them into an AOF.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::{c_char, c_int, c_uchar, c_void};
use std::hash::{BuildHasher, Hasher};
use std::panic::catch_unwind;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use redis_module::raw;

use super::api::{call, is_ok};
use super::deferred::Task;
use super::{carrier, locks, log};
use crate::codec::definition;
use crate::model::{Entry, Models};

/// The models in force.
pub static MODELS: Models = Models::new();
/// Those of a data set that is being loaded beside the one in force.
static STAGED: Mutex<Option<Models>> = Mutex::new(None);
/// Whether a data set is being loaded: then its documents are believed to be what they say.
static LOADING: AtomicBool = AtomicBool::new(false);

/// Messages between nodes: one definition, or the number that stands for all.
const DEFINITION: u8 = 1;
const SUMMARY: u8 = 2;
/// Whether another node was heard to hold something else since the last summary.
static DIFFERS: AtomicBool = AtomicBool::new(false);
/// How often nodes tell each other what they hold.
const SUMMARY_EVERY_MS: u64 = 2000;

thread_local! {
    /// When the next summary is due, on the steady clock; none before the first one.
    static NEXT_SUMMARY: Cell<Option<u64>> = const { Cell::new(None) };
    /// What other nodes hold and is news here, the latest of each name, until it is taken over.
    static HEARD: RefCell<BTreeMap<Box<str>, Entry>> = const { RefCell::new(BTreeMap::new()) };
}

/// Takes over what was heard.
static LEARN: Task = Task::new(learn_heard);

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

/// Sends a definition to all other nodes of the cluster, if this is one.
///
/// # Safety
///
/// `ctx` is valid.
pub unsafe fn broadcast(ctx: *mut raw::RedisModuleCtx, entry: &[u8]) {
    // SAFETY: the caller vouches for `ctx`.
    unsafe {
        if is_cluster_master(ctx) {
            send(ctx, DEFINITION, entry);
        }
    }
}

/// # Safety
///
/// `ctx` is valid.
unsafe fn is_cluster_master(ctx: *mut raw::RedisModuleCtx) -> bool {
    // SAFETY: the caller vouches for `ctx`.
    let flags = unsafe { call!(RedisModule_GetContextFlags(ctx)) };
    let wanted = raw::REDISMODULE_CTX_FLAGS_CLUSTER | raw::REDISMODULE_CTX_FLAGS_MASTER;
    let unwanted = raw::REDISMODULE_CTX_FLAGS_LOADING | raw::REDISMODULE_CTX_FLAGS_REPLICATED;
    flags & wanted as c_int == wanted as c_int && flags & unwanted as c_int == 0
}

/// Sends a message to all other nodes. One node alone cannot be addressed on every server: Redis 7.0 and
/// 8.0 refuse the id that they hand in.
///
/// # Safety
///
/// `ctx` is valid.
unsafe fn send(ctx: *mut raw::RedisModuleCtx, kind: u8, message: &[u8]) {
    // SAFETY: the caller vouches for `ctx`; the message is copied. A node that cannot be reached hears of
    // it with the next summary.
    unsafe {
        let (start, len) = (message.as_ptr().cast::<c_char>(), message.len() as u32);
        call!(RedisModule_SendClusterMessage(ctx, ptr::null(), kind, start, len));
    }
}

/// One number for all that is known of models.
fn summary() -> u64 {
    let mut hasher = foldhash::quality::FixedState::with_seed(1).build_hasher();
    for entry in MODELS.entries() {
        hasher.write(&definition::encode(&entry));
    }
    hasher.finish()
}

/// Tells the other nodes of a cluster from time to time what this one holds. Called several times a second,
/// never before the module is loaded: the first call begins to listen to the others. A load that fails leaves
/// neither a timer nor a receiver behind.
///
/// # Safety
///
/// `ctx` is valid.
pub unsafe fn on_cron(ctx: *mut raw::RedisModuleCtx) {
    // SAFETY: the caller vouches for `ctx`.
    unsafe {
        let cluster = raw::REDISMODULE_CTX_FLAGS_CLUSTER as c_int;
        if call!(RedisModule_GetContextFlags(ctx)) & cluster == 0 {
            return;
        }
        let now_ms = locks::moment().steady_ms;
        match NEXT_SUMMARY.get() {
            Some(due_ms) if now_ms < due_ms => return,
            Some(_) => send_summary(ctx),
            None => {
                for kind in [DEFINITION, SUMMARY] {
                    call!(RedisModule_RegisterClusterMessageReceiver(ctx, kind, Some(on_message)));
                }
            }
        }
        NEXT_SUMMARY.set(Some(now_ms + SUMMARY_EVERY_MS));
    }
}

/// # Safety
///
/// `ctx` is valid.
unsafe fn send_summary(ctx: *mut raw::RedisModuleCtx) {
    // SAFETY: the caller vouches for `ctx`.
    unsafe {
        if !is_cluster_master(ctx) {
            return;
        }
        send(ctx, SUMMARY, &summary().to_le_bytes());
        if DIFFERS.swap(false, Ordering::Relaxed) {
            for entry in MODELS.entries() {
                send(ctx, DEFINITION, &definition::encode(&entry));
            }
        }
    }
}

unsafe extern "C" fn on_message(
    ctx: *mut raw::RedisModuleCtx,
    _sender: *const c_char,
    kind: u8,
    payload: *const c_uchar,
    len: u32,
) {
    let _ = catch_unwind(|| {
        // SAFETY: the server lends the message and the sender's id during the callback.
        unsafe {
            if !is_cluster_master(ctx) {
                return;
            }
            let message = std::slice::from_raw_parts(payload, len as usize);
            match kind {
                SUMMARY if message != summary().to_le_bytes() => {
                    DIFFERS.store(true, Ordering::Relaxed);
                }
                DEFINITION => hear(ctx, message),
                _ => {}
            }
        }
    });
}

/// Takes over what another node holds, if it is news: at once, or when writes are no longer paused.
///
/// # Safety
///
/// `ctx` is valid and belongs to no command.
unsafe fn hear(ctx: *mut raw::RedisModuleCtx, message: &[u8]) {
    let Ok(entry) = definition::decode(message) else {
        return log::warning(ctx, "another node sent a definition that cannot be read");
    };
    if !MODELS.is_news(&entry) {
        return;
    }
    HEARD.with_borrow_mut(|heard| {
        let rank = |entry: &Entry| (entry.version, entry.source.clone());
        if heard.get(&entry.name).is_none_or(|known| rank(known) < rank(&entry)) {
            heard.insert(entry.name.clone(), entry);
        }
    });
    // SAFETY: the caller vouches for `ctx`.
    unsafe { LEARN.request(ctx) };
}

/// # Safety
///
/// `ctx` is valid and belongs to no command, and writes are not paused.
unsafe fn learn_heard(ctx: *mut raw::RedisModuleCtx) {
    let heard = HEARD.take();
    // SAFETY: the caller vouches for `ctx`.
    unsafe {
        // A master that became a replica meanwhile hears from its own master.
        if is_cluster_master(ctx) {
            heard
                .into_values()
                .filter(|entry| MODELS.is_news(entry))
                .for_each(|entry| learn(ctx, entry));
        }
    }
}

/// # Safety
///
/// As for [`learn_heard`].
unsafe fn learn(ctx: *mut raw::RedisModuleCtx, heard: Entry) {
    let settled = MODELS.resolve(heard.clone());
    if let Err(error) = MODELS.install(&settled) {
        log::warning(ctx, &format!("the model {:?} cannot be used here: {error}", settled.name));
    }
    let bytes = definition::encode(&settled);
    // SAFETY: the caller vouches for `ctx`.
    unsafe {
        replicate(ctx, &bytes);
        if settled != heard {
            send(ctx, DEFINITION, &bytes);
        }
    }
}
