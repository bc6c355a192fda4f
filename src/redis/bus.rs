//! The exchange of models and of actions between the nodes of a cluster, over its bus; see [`crate::model::exchange`].
//! Each kind of definition has an exchange and messages of its own.
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
use super::models::{ACTIONS, MODELS, replicate};
use super::{changes, clock, log};
use crate::codec::{definition, outline};
use crate::error::Result;
use crate::model::exchange::{self, Exchange, Message};
use crate::model::{ActionSource, DefinitionSource, Entry, Registry, Source};

/// The numbers of the messages about one kind of definitions.
struct MessageKinds {
    definition: u8,
    summary: u8,
    outline: u8,
}

/// A kind of definitions that nodes exchange.
trait Exchanged: Source {
    const MESSAGES: MessageKinds;

    fn registry() -> &'static Registry<Self>;
    fn with_node<T>(work: impl FnOnce(&NodeState<Self>) -> T) -> T;
    fn encode(entry: &Entry<Self>) -> Vec<u8>;
    fn decode(bytes: &[u8]) -> Result<Entry<Self>>;
}

/// The state of this node in the exchange of one kind.
struct NodeState<S> {
    exchange: RefCell<Exchange>,
    /// Newer definitions from other nodes, the latest of each name, until they are installed here.
    received: RefCell<BTreeMap<Box<str>, Entry<S>>>,
    /// The time of the next message, on the steady clock.
    next_tick: Cell<u64>,
}

impl<S> NodeState<S> {
    const fn new() -> NodeState<S> {
        NodeState {
            exchange: RefCell::new(Exchange::new()),
            received: RefCell::new(BTreeMap::new()),
            next_tick: Cell::new(0),
        }
    }
}

thread_local! {
    /// Flag: this node receives messages.
    static REGISTERED: Cell<bool> = const { Cell::new(false) };
    static MODEL_NODE: NodeState<DefinitionSource> = const { NodeState::new() };
    static ACTION_NODE: NodeState<ActionSource> = const { NodeState::new() };
}

impl Exchanged for DefinitionSource {
    const MESSAGES: MessageKinds = MessageKinds { definition: 1, summary: 3, outline: 4 };

    fn registry() -> &'static Registry<DefinitionSource> {
        &MODELS
    }

    fn with_node<T>(work: impl FnOnce(&NodeState<DefinitionSource>) -> T) -> T {
        MODEL_NODE.with(work)
    }

    fn encode(entry: &Entry<DefinitionSource>) -> Vec<u8> {
        definition::encode(entry)
    }

    fn decode(bytes: &[u8]) -> Result<Entry<DefinitionSource>> {
        definition::decode(bytes)
    }
}

impl Exchanged for ActionSource {
    const MESSAGES: MessageKinds = MessageKinds { definition: 5, summary: 6, outline: 7 };

    fn registry() -> &'static Registry<ActionSource> {
        &ACTIONS
    }

    fn with_node<T>(work: impl FnOnce(&NodeState<ActionSource>) -> T) -> T {
        ACTION_NODE.with(work)
    }

    fn encode(entry: &Entry<ActionSource>) -> Vec<u8> {
        definition::encode_action(entry)
    }

    fn decode(bytes: &[u8]) -> Result<Entry<ActionSource>> {
        definition::decode_action(bytes)
    }
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
            let kinds = match definition::is_action(entry) {
                true => ActionSource::MESSAGES,
                false => DefinitionSource::MESSAGES,
            };
            send(ctx, kinds.definition, entry);
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

/// Sends the other nodes of a cluster summaries of the definitions here, at intervals. Called several times a second, but
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
        if !REGISTERED.replace(true) {
            let (models, actions) = (DefinitionSource::MESSAGES, ActionSource::MESSAGES);
            for MessageKinds { definition, summary, outline } in [models, actions] {
                for kind in [definition, summary, outline] {
                    call!(RedisModule_RegisterClusterMessageReceiver(ctx, kind, Some(on_message)));
                }
            }
            let first_ms = now_ms + u64::from(exchange::SUMMARY_EVERY_MS);
            MODEL_NODE.with(|node| node.next_tick.set(first_ms));
            ACTION_NODE.with(|node| node.next_tick.set(first_ms));
            return;
        }
        tick::<DefinitionSource>(ctx, now_ms);
        tick::<ActionSource>(ctx, now_ms);
    }
}

/// Sends the messages that are due.
///
/// # Safety
///
/// `ctx` is valid.
unsafe fn tick<S: Exchanged>(ctx: *mut raw::RedisModuleCtx, now_ms: u64) {
    if S::with_node(|node| now_ms < node.next_tick.get()) {
        return;
    }
    // SAFETY: the caller vouches for `ctx`.
    unsafe {
        let (messages, wait_ms) = match is_cluster_master(ctx) {
            true => S::with_node(|node| node.exchange.borrow_mut().tick(S::registry())),
            false => (Vec::new(), exchange::SUMMARY_EVERY_MS),
        };
        for message in messages {
            let kinds = S::MESSAGES;
            match message {
                Message::Summary(summary) => send(ctx, kinds.summary, &summary.to_le_bytes()),
                Message::Outline(outline) => send(ctx, kinds.outline, &outline::encode(&outline)),
                Message::Definition(entry) => send(ctx, kinds.definition, &S::encode(&entry)),
            }
        }
        S::with_node(|node| node.next_tick.set(now_ms + u64::from(wait_ms)));
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
            let received = receive::<DefinitionSource>(ctx, kind, message)
                .and_then(|()| receive::<ActionSource>(ctx, kind, message));
            if let Err(error) = received {
                log::warning(ctx, &format!("a message of another node cannot be read: {error}"));
            }
        }
    });
}

/// Takes the message if it is about this kind of definitions.
///
/// # Safety
///
/// `ctx` is valid and belongs to no command.
unsafe fn receive<S: Exchanged>(
    ctx: *mut raw::RedisModuleCtx,
    kind: u8,
    message: &[u8],
) -> Result<()> {
    let (kinds, registry) = (S::MESSAGES, S::registry());
    if kind == kinds.summary {
        let summary = outline::fixed(message)?;
        S::with_node(|node| node.exchange.borrow_mut().receive_summary(registry, summary));
    } else if kind == kinds.outline {
        let outline = outline::decode(message)?;
        S::with_node(|node| node.exchange.borrow_mut().receive_outline(registry, &outline));
    } else if kind == kinds.definition {
        let entry = S::decode(message)?;
        let wins =
            S::with_node(|node| node.exchange.borrow_mut().receive_definition(registry, &entry));
        if wins {
            // SAFETY: the caller vouches for `ctx`.
            unsafe { note(ctx, entry) };
        }
    }
    Ok(())
}

/// Installs a newer definition: at once, or when writes are no longer paused.
///
/// # Safety
///
/// `ctx` is valid and belongs to no command.
unsafe fn note<S: Exchanged>(ctx: *mut raw::RedisModuleCtx, entry: Entry<S>) {
    S::with_node(|node| {
        let mut received = node.received.borrow_mut();
        let rank = |entry: &Entry<S>| (entry.version, entry.source.clone());
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
    let models = MODEL_NODE.with(|node| node.received.take());
    let actions = ACTION_NODE.with(|node| node.received.take());
    // SAFETY: the caller vouches for `ctx`.
    unsafe {
        // A master that became a replica meanwhile receives definitions from its own master.
        if is_cluster_master(ctx) {
            models.into_values().for_each(|entry| learn(ctx, entry));
            actions.into_values().for_each(|entry| learn(ctx, entry));
            changes::on_definition(ctx);
        }
    }
}

/// # Safety
///
/// As for [`learn_received`].
unsafe fn learn<S: Exchanged>(ctx: *mut raw::RedisModuleCtx, received: Entry<S>) {
    let Some(learned) = exchange::learn(S::registry(), received) else { return };
    if let Some(error) = learned.unusable {
        let (noun, name) = (S::NOUN, &learned.entry.name);
        log::warning(ctx, &format!("the {noun} {name:?} cannot be used here: {error}"));
    }
    let bytes = S::encode(&learned.entry);
    // SAFETY: the caller vouches for `ctx`.
    unsafe {
        replicate(ctx, &bytes);
        if learned.resolved {
            send(ctx, S::MESSAGES.definition, &bytes);
        }
    }
}
