//! Locks of this server: when the state machine runs, and how its decisions are carried out.
//!
//! The engine belongs to the main thread. A command drives it through its host, and when the command is
//! over, its decisions are sent to replicas, announced and told to waiting clients, all in the
//! command's own context. What happens outside of commands (a key ends, a connection closes, a lease is
//! over) is recorded as a pending event ([`super::pending`]), and a timer does the rest in a context of its own: in
//! the middle of a deletion no key may be opened.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::panic::catch_unwind;
use std::sync::atomic::Ordering;

use redis_module::raw;

use super::api::{bytes, call};
use super::blocked::Told;
use super::counters::LOCKS;
use super::deferred::{Task, is_paused};
use super::held::HeldString;
use super::pending::{self, PendingEvent};
use super::shelf::{OpenKeys, Shelf};
use super::{clock, lock_clients, slots, stored, timer};
use crate::command::lock_effect;
use crate::lock::{At, Decisions, DocumentKey, Engine, LockEdit, Locks, Moment, Store, WaiterId};
use crate::reply::keep_text;

thread_local! {
    static ENGINE: RefCell<Engine> = RefCell::default();
    /// The moment at which the running command drove the engine last.
    static DRIVEN: Cell<Option<Moment>> = const { Cell::new(None) };
}

impl Store for Shelf<'_> {
    fn locks(&mut self, at: At<'_>) -> Option<&mut Locks> {
        self.document(at).map(|document| &mut document.locks)
    }

    fn permits(&mut self, waiter: WaiterId, documents: &[DocumentKey]) -> bool {
        // SAFETY: the shelf's context is valid.
        unsafe { lock_clients::is_permitted(self.ctx, waiter, documents) }
    }
}

/// Runs the engine in a command's context. Applies pending events first, so that a closed connection neither receives
/// nor keeps a lock.
///
/// # Safety
///
/// `ctx` is that of the running command, which has these keys open; nothing of a document is borrowed.
pub unsafe fn drive(
    ctx: *mut raw::RedisModuleCtx,
    open: OpenKeys<'_>,
    run: impl FnOnce(&mut Engine, &mut dyn Store, Moment),
) {
    pending::set_touched(true);
    let now = clock::moment();
    DRIVEN.set(Some(now));
    // SAFETY: the caller vouches for it.
    let mut shelf = unsafe { Shelf::new(ctx) };
    shelf.lend_open(open);
    ENGINE.with_borrow_mut(|engine| {
        if !pending::is_empty() && !is_paused() {
            // SAFETY: as above.
            unsafe { take_notes(ctx, engine, &mut shelf) };
        }
        run(engine, &mut shelf, now);
    });
}

/// Carries out the engine's decisions after a command.
///
/// # Safety
///
/// `ctx` is that of the command, all of whose keys are closed.
#[inline]
pub unsafe fn after_command(ctx: *mut raw::RedisModuleCtx) {
    if pending::is_touched() {
        let now = DRIVEN.take().unwrap_or_else(clock::moment);
        // SAFETY: the caller vouches for it.
        unsafe { run_unless_paused(ctx, now) };
    }
}

/// While writes are paused, commands that only read go on: nothing may be told to replicas then. What a
/// command did all the same, in the transaction that paused, is told with it.
///
/// # Safety
///
/// As for [`after_command`].
unsafe fn run_unless_paused(ctx: *mut raw::RedisModuleCtx, now: Moment) {
    // SAFETY: the caller vouches for `ctx`.
    if unsafe { is_imported(ctx) } {
        // The timer carries out the decisions, in a context of its own.
        return timer::start(now.steady_ms, now.steady_ms);
    }
    let paused = is_paused();
    if paused {
        RUN.put_off();
    }
    if !paused || ENGINE.with_borrow(Engine::has_decided) {
        // SAFETY: the caller vouches for `ctx`.
        unsafe { run_slice(ctx, now, paused) };
    }
}

/// Applies events that happened outside of commands, and carries out the decisions of the engine.
static RUN: Task = Task::new(run_now);

/// # Safety
///
/// `ctx` is valid and belongs to no command, and writes are not paused.
unsafe fn run_now(ctx: *mut raw::RedisModuleCtx) {
    // SAFETY: the caller vouches for `ctx`; no key is open outside of a command.
    unsafe { run_slice(ctx, clock::moment(), false) };
}

/// As [`after_command`], where it will not be called.
pub fn after_panic() {
    DRIVEN.set(None);
}

/// # Safety
///
/// As for [`after_command`].
unsafe fn run_slice(ctx: *mut raw::RedisModuleCtx, now: Moment, paused: bool) {
    loop {
        pending::set_touched(false);
        // SAFETY: as above.
        let mut shelf = unsafe { Shelf::new(ctx) };
        let decisions = ENGINE.with_borrow_mut(|engine| {
            if !paused {
                // SAFETY: as above.
                unsafe { take_notes(ctx, engine, &mut shelf) };
                let ended = engine.next_end().is_some_and(|ends_ms| ends_ms <= now.steady_ms);
                if (ended || engine.has_pending()) && unsafe { is_master(ctx) } {
                    engine.tick(&mut shelf, now);
                } else {
                    engine.withhold_ends();
                }
            }
            engine.run_slice(&mut shelf, now)
        });
        // SAFETY: as above.
        unsafe { carry_out(ctx, &mut shelf, decisions) };
        // Opening a key can end it.
        if !pending::is_touched() {
            break;
        }
    }
    ENGINE.with_borrow(|engine| {
        LOCKS.store(engine);
        if engine.has_pending() {
            timer::start(now.steady_ms, now.steady_ms);
        }
        let unwatched =
            |ends_ms: &u64| timer::fires_ms().is_none_or(|fires_ms| fires_ms > *ends_ms);
        if let Some(ends_ms) = engine.next_end().filter(unwatched)
            // SAFETY: as above.
            && unsafe { is_master(ctx) }
        {
            timer::start(ends_ms, now.steady_ms);
        }
    });
    watch_waits(now.steady_ms);
}

/// Starts the timer for the end of the first client's time to wait.
fn watch_waits(now_ms: u64) {
    if let Some(ends_ms) = lock_clients::first_end() {
        timer::start(ends_ms, now_ms);
    }
}

/// # Safety
///
/// As for [`drive`].
unsafe fn take_notes(ctx: *mut raw::RedisModuleCtx, engine: &mut Engine, shelf: &mut Shelf<'_>) {
    let noted = pending::take();
    if noted.is_empty() {
        return;
    }
    // SAFETY: the caller vouches for `ctx`.
    let master = unsafe { is_master(ctx) };
    for noted in noted {
        take_note(engine, shelf, noted, master);
    }
}

fn take_note(engine: &mut Engine, shelf: &mut Shelf<'_>, noted: PendingEvent, master: bool) {
    match noted {
        // A replica's locks end when its master says so.
        PendingEvent::Disconnected(_) | PendingEvent::Unheard(_) if !master => {}
        PendingEvent::Removed(place, locks) => engine.remove(place.at(), &locks),
        PendingEvent::Arrived(place) => engine.arrive(place),
        PendingEvent::Disconnected(client) => engine.disconnect(client),
        PendingEvent::Unheard(grants) => {
            for (place, fence) in grants {
                engine.give_back(shelf, place.at(), fence);
            }
        }
        PendingEvent::Left(waiter) => engine.cancel(waiter),
        PendingEvent::Flushed(db) => engine.flush(db),
        PendingEvent::Swapped(one, other) => engine.swap(one, other),
        PendingEvent::Began => engine.become_master(),
    }
}

/// # Safety
///
/// As for [`after_command`].
unsafe fn carry_out(ctx: *mut raw::RedisModuleCtx, shelf: &mut Shelf<'_>, decisions: Decisions) {
    match &decisions.changes[..] {
        [] => {}
        [(place, edit)] => {
            shelf.select(place.db);
            // SAFETY: the caller vouches for `ctx`.
            unsafe { tell(ctx, place, &[edit]) };
        }
        changes => {
            let mut order: Vec<&DocumentKey> = Vec::new();
            let mut edits: HashMap<&DocumentKey, Vec<&LockEdit>> = HashMap::new();
            for (place, edit) in changes {
                let known = edits.entry(place).or_default();
                if known.is_empty() {
                    order.push(place);
                }
                known.push(edit);
            }
            for place in order {
                shelf.select(place.db);
                // SAFETY: as above.
                unsafe { tell(ctx, place, &edits[place]) };
            }
        }
    }
    for wake in decisions.wakes {
        // SAFETY: as above.
        unsafe { lock_clients::wake(shelf, wake) };
    }
}

/// Sends the changes of one document's locks to replicas and the AOF, and announces them.
///
/// # Safety
///
/// `ctx` is valid, with the document's database selected.
unsafe fn tell(ctx: *mut raw::RedisModuleCtx, place: &DocumentKey, edits: &[&LockEdit]) {
    let effect = lock_effect(edits.iter().copied());
    let key = HeldString::of(&place.key);
    // SAFETY: the caller vouches for `ctx`; the server keeps what it needs of the string, and copies the effect.
    unsafe {
        let replicate = raw::RedisModule_Replicate
            .expect("RedisModule_Replicate exists on every supported server");
        let (name, format) = (c"MODEL.APPLY".as_ptr(), c"sb".as_ptr());
        replicate(ctx, name, format, key.as_ptr(), effect.as_ptr(), effect.len());
        let class = raw::REDISMODULE_NOTIFY_MODULE as c_int;
        for edit in edits {
            let event = match edit {
                LockEdit::Grant { .. } => c"model.lock",
                LockEdit::Release { .. } => c"model.unlock",
            };
            call!(RedisModule_NotifyKeyspaceEvent(ctx, class, event.as_ptr(), key.as_ptr()));
        }
    }
    keep_text(effect);
}

/// # Safety
///
/// `ctx` is valid.
unsafe fn is_master(ctx: *mut raw::RedisModuleCtx) -> bool {
    // SAFETY: the caller vouches for `ctx`.
    let flags = unsafe { call!(RedisModule_GetContextFlags(ctx)) };
    let loading = raw::REDISMODULE_CTX_FLAGS_LOADING as c_int;
    flags & raw::REDISMODULE_CTX_FLAGS_MASTER as c_int != 0 && flags & loading == 0
}

/// Flag: the command is one of a hash slot that is being imported as a whole. Valkey sends those to its replicas as they came,
/// and nothing that a module replicates in between.
///
/// # Safety
///
/// `ctx` is valid.
unsafe fn is_imported(ctx: *mut raw::RedisModuleCtx) -> bool {
    // SAFETY: the caller vouches for `ctx`.
    if !unsafe { slots::is_clustered(ctx) } {
        return false;
    }
    // SAFETY: as above.
    let flags = unsafe { call!(RedisModule_GetContextFlags(ctx)) };
    let imported = raw::REDISMODULE_CTX_FLAGS_MASTER | raw::REDISMODULE_CTX_FLAGS_REPLICATED;
    flags & imported as c_int == imported as c_int
}

/// The module's timer has fired: ends waits and leases, and carries out what is pending.
///
/// # Safety
///
/// `ctx` is valid and belongs to no command.
pub unsafe fn on_timer(ctx: *mut raw::RedisModuleCtx) {
    let now_ms = clock::moment().steady_ms;
    lock_clients::end_waits(now_ms);
    watch_waits(now_ms);
    // SAFETY: the caller vouches for `ctx`; no key is open outside of a command.
    unsafe { RUN.request(ctx) };
}

/// Ends all requests that wait: no lock can be granted here. They end at once, because what a new master sends could free the
/// lock for the next of them. `told` gets the key that routes each in a cluster.
///
/// # Safety
///
/// Called on the main thread, while no document is borrowed.
pub unsafe fn end_waiting(told: &mut dyn FnMut(Option<&[u8]>) -> Told) {
    for id in lock_clients::waiting() {
        let document = ENGINE.with_borrow(|engine| engine.awaited_by(id).cloned());
        // SAFETY: the caller vouches for the thread.
        unsafe { lock_clients::tell(id, told(document.as_ref().map(|document| &*document.key))) };
        ENGINE.with_borrow_mut(|engine| engine.cancel(id));
        pending::set_touched(true);
    }
}

/// A document loses its key: it is deleted, overwritten, renamed, expired or evicted.
pub unsafe extern "C" fn on_unlink(ctx: *mut raw::RedisModuleKeyOptCtx, value: *const c_void) {
    let _ = catch_unwind(|| {
        // SAFETY: the server lends a live value of the type.
        let locks = &unsafe { &*stored::from_raw(value.cast_mut()) }.locks;
        let waited_for = LOCKS.waiting.load(Ordering::Relaxed) > 0;
        if locks.is_free() && !waited_for && !pending::is_touched() {
            return;
        }
        if !locks.is_free() {
            pending::note_unlinked();
        }
        // SAFETY: the context is valid during the callback, and so is the key's name.
        let place = unsafe {
            let db = call!(RedisModule_GetDbIdFromOptCtx(ctx));
            let key = bytes(call!(RedisModule_GetKeyNameFromOptCtx(ctx)));
            At { db, key }.to_document_key()
        };
        pending::note(PendingEvent::Removed(place, locks.clone()));
    });
}

/// Flag: the end of this client's connection releases locks.
pub fn ends_with_connection(client: u64) -> bool {
    ENGINE.with(|engine| engine.try_borrow().map_or(true, |engine| engine.has_ephemerals(client)))
}

/// The highest fence seen, for the RDB.
pub fn last_fence() -> u64 {
    ENGINE.with(|engine| engine.try_borrow_mut().map_or(0, |mut engine| engine.fences().seen()))
}

/// A fence that the RDB's server had seen.
pub fn see_fence(fence: u64) {
    ENGINE.with_borrow_mut(|engine| engine.fences().see(fence));
}
