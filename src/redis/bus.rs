//! The exchange of models between the nodes of a cluster, over its bus; see [`crate::model::exchange`].
//!
//! Messages of kind 2 were the summaries of earlier releases, a hash over everything. They are not used any
//! more: between such nodes and these ones definitions travel when they are made.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::{c_char, c_int, c_uchar};
use std::panic::catch_unwind;
use std::ptr;

use redis_module::raw;

use super::api::call;
use super::deferred::Task;
use super::models::{MODELS, replicate};
use super::{clock, log};
use crate::codec::{definition, outline};
use crate::error::Result;
use crate::model::ModelEntry;
use crate::model::exchange::{self, Exchange, Message};

/// The kinds of messages.
const DEFINITION: u8 = 1;
const SUMMARY: u8 = 3;
const OUTLINE: u8 = 4;

thread_local! {
    /// The time of the next message, on the steady clock; none before the first.
    static NEXT_TICK: Cell<Option<u64>> = const { Cell::new(None) };
    static EXCHANGE: RefCell<Exchange> = const { RefCell::new(Exchange::new()) };
    /// Newer definitions from other nodes, the latest of each name, until they are installed here.
    static RECEIVED: RefCell<BTreeMap<Box<str>, ModelEntry>> = const { RefCell::new(BTreeMap::new()) };
}

/// Installs the definitions from other nodes.
static LEARN: Task = Task::new(learn_received);

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
    // SAFETY: the caller vouches for `ctx`; the message is copied. A node that cannot be reached learns of
    // it by the next summary.
    unsafe {
        let (start, len) = (message.as_ptr().cast::<c_char>(), message.len() as u32);
        call!(RedisModule_SendClusterMessage(ctx, ptr::null(), kind, start, len));
    }
}

/// Sends the other nodes of a cluster summaries of the models here, at intervals. Called several times a second, but
/// not before the module is loaded: the first call registers the receivers of messages, so that a load that fails
/// leaves none behind.
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
        let now_ms = clock::moment().steady_ms;
        let wait_ms = match NEXT_TICK.get() {
            Some(due_ms) if now_ms < due_ms => return,
            Some(_) => tick(ctx),
            None => {
                for kind in [DEFINITION, SUMMARY, OUTLINE] {
                    call!(RedisModule_RegisterClusterMessageReceiver(ctx, kind, Some(on_message)));
                }
                exchange::SUMMARY_EVERY_MS
            }
        };
        NEXT_TICK.set(Some(now_ms + u64::from(wait_ms)));
    }
}

/// Sends the messages that are due. Returns the milliseconds until the next may be due.
///
/// # Safety
///
/// `ctx` is valid.
unsafe fn tick(ctx: *mut raw::RedisModuleCtx) -> u32 {
    // SAFETY: the caller vouches for `ctx`.
    unsafe {
        if !is_cluster_master(ctx) {
            return exchange::SUMMARY_EVERY_MS;
        }
        let (messages, wait_ms) = EXCHANGE.with_borrow_mut(|exchange| exchange.tick(&MODELS));
        for message in messages {
            match message {
                Message::Summary(summary) => send(ctx, SUMMARY, &summary.to_le_bytes()),
                Message::Outline(outline) => send(ctx, OUTLINE, &outline::encode(&outline)),
                Message::Definition(entry) => send(ctx, DEFINITION, &definition::encode(&entry)),
            }
        }
        wait_ms
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
            if let Err(error) = receive(ctx, kind, message) {
                log::warning(ctx, &format!("a message of another node cannot be read: {error}"));
            }
        }
    });
}

/// # Safety
///
/// `ctx` is valid and belongs to no command.
unsafe fn receive(ctx: *mut raw::RedisModuleCtx, kind: u8, message: &[u8]) -> Result<()> {
    match kind {
        SUMMARY => {
            let summary = outline::fixed(message)?;
            EXCHANGE.with_borrow_mut(|exchange| exchange.receive_summary(&MODELS, summary));
        }
        OUTLINE => {
            let outline = outline::decode(message)?;
            EXCHANGE.with_borrow_mut(|exchange| exchange.receive_outline(&MODELS, &outline));
        }
        DEFINITION => {
            let entry = definition::decode(message)?;
            if EXCHANGE.with_borrow_mut(|exchange| exchange.receive_definition(&MODELS, &entry)) {
                // SAFETY: the caller vouches for `ctx`.
                unsafe { note(ctx, entry) };
            }
        }
        _ => {}
    }
    Ok(())
}

/// Installs a newer definition: at once, or when writes are no longer paused.
///
/// # Safety
///
/// `ctx` is valid and belongs to no command.
unsafe fn note(ctx: *mut raw::RedisModuleCtx, entry: ModelEntry) {
    RECEIVED.with_borrow_mut(|received| {
        let rank = |entry: &ModelEntry| (entry.version, entry.source.clone());
        if received.get(&entry.name).is_none_or(|known| rank(known) < rank(&entry)) {
            received.insert(entry.name.clone(), entry);
        }
    });
    // SAFETY: the caller vouches for `ctx`.
    unsafe { LEARN.request(ctx) };
}

/// # Safety
///
/// `ctx` is valid and belongs to no command, and writes are not paused.
unsafe fn learn_received(ctx: *mut raw::RedisModuleCtx) {
    let received = RECEIVED.take();
    // SAFETY: the caller vouches for `ctx`.
    unsafe {
        // A master that became a replica meanwhile receives definitions from its own master.
        if is_cluster_master(ctx) {
            received.into_values().for_each(|entry| learn(ctx, entry));
        }
    }
}

/// # Safety
///
/// As for [`learn_received`].
unsafe fn learn(ctx: *mut raw::RedisModuleCtx, received: ModelEntry) {
    let Some(learned) = exchange::learn(&MODELS, received) else { return };
    if let Some(error) = learned.unusable {
        let name = &learned.entry.name;
        log::warning(ctx, &format!("the model {name:?} cannot be used here: {error}"));
    }
    let bytes = definition::encode(&learned.entry);
    // SAFETY: the caller vouches for `ctx`.
    unsafe {
        replicate(ctx, &bytes);
        if learned.resolved {
            send(ctx, DEFINITION, &bytes);
        }
    }
}
