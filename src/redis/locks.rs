//! Locks of this server: when the state machine runs, and how its decisions are carried out.
//!
//! The engine belongs to the main thread. A command drives it through its host, and when the command is
//! over, what the engine decided is sent to replicas, announced and told to those who waited, all in the
//! command's own context. What happens outside of commands (a key ends, a connection closes, a lease is
//! over) is only noted, and a timer does the rest in a context of its own: in the middle of a deletion no
//! key may be opened.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::panic::catch_unwind;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::time::Instant;

use redis_module::raw;

use super::api::{bytes, call, is_ok};
use super::deferred::{self, Task, is_paused};
use super::{bus, data_type, role, waiting};
use crate::command::lock_effect;
use crate::document::Document;
use crate::lock::{At, Decisions, DocumentKey, Engine, LockEdit, Locks, Moment, Store, WaiterId};

thread_local! {
    static ENGINE: RefCell<Engine> = RefCell::default();
    /// Events outside of commands, in order.
    static PENDING_EVENTS: RefCell<Vec<PendingEvent>> = const { RefCell::new(Vec::new()) };
    /// Flag: the engine has run or an event was recorded since the last slice.
    static TOUCHED: Cell<bool> = const { Cell::new(false) };
    /// The moment at which the running command drove the engine last.
    static DRIVEN: Cell<Option<Moment>> = const { Cell::new(None) };
    /// The timer that is running, and when it fires on the steady clock.
    static TIMER: Cell<Option<(raw::RedisModuleTimerID, u64)>> = const { Cell::new(None) };
    /// A document with locks has lost its key: perhaps for another one.
    static UNLINKED: Cell<bool> = const { Cell::new(false) };
}

/// A context without a client, for timers that are started where there is none.
static DETACHED: AtomicPtr<raw::RedisModuleCtx> = AtomicPtr::new(ptr::null_mut());

/// What `INFO` says of locks.
pub static INFO: LockInfo = LockInfo {
    held: AtomicU64::new(0),
    waiting: AtomicU64::new(0),
    grants: AtomicU64::new(0),
    expired: AtomicU64::new(0),
    deadlocks: AtomicU64::new(0),
};

pub struct LockInfo {
    pub held: AtomicU64,
    pub waiting: AtomicU64,
    pub grants: AtomicU64,
    pub expired: AtomicU64,
    pub deadlocks: AtomicU64,
}

impl LockInfo {
    fn store(&self, engine: &Engine) {
        let counters = engine.counters();
        self.held.store(engine.held() as u64, Ordering::Relaxed);
        self.waiting.store(engine.waiting() as u64, Ordering::Relaxed);
        self.grants.store(counters.grants, Ordering::Relaxed);
        self.expired.store(counters.expired, Ordering::Relaxed);
        self.deadlocks.store(counters.deadlocks, Ordering::Relaxed);
    }
}

/// An event that happened where no key may be opened.
enum PendingEvent {
    /// A document was removed from its key, with these locks.
    Removed(DocumentKey, Locks),
    /// A document with locks may have come to this key.
    Arrived(DocumentKey),
    /// A connection closed.
    Disconnected(u64),
    /// The client of these grants was disconnected before it was told.
    Unheard(Vec<(DocumentKey, u64)>),
    /// A client does not wait any more.
    Left(u64),
    /// A database is empty, or all are.
    Flushed(Option<i32>),
    Swapped(i32, i32),
    /// This server has become a master or has loaded its data: leases start anew.
    Began,
}

/// The moment. The steady clock does not step, and goes on while the server is stopped.
pub fn moment() -> Moment {
    static START: OnceLock<Instant> = OnceLock::new();
    let elapsed = START.get_or_init(Instant::now).elapsed();
    // Never 0, so that a lease that is over at once has ended before now.
    Moment { steady_ms: elapsed.as_millis() as u64 + 1, unix_ms: role::now_us() / 1000 }
}

/// Lends the locks of documents by their keys. Each is opened for a moment: a document stays where it is
/// as long as nothing deletes it.
pub struct Shelf<'k> {
    ctx: *mut raw::RedisModuleCtx,
    home: c_int,
    selected: c_int,
    /// What a command has open anyway.
    open: Option<OpenKeys<'k>>,
}

/// Finds the document at a key of the selected database by the key's name: `None` for a key that is not
/// open.
pub type OpenKeys<'k> = &'k dyn Fn(&[u8]) -> Option<Option<*mut Document>>;

impl<'k> Shelf<'k> {
    /// # Safety
    ///
    /// `ctx` is valid as long as the shelf, and nothing deletes documents meanwhile.
    unsafe fn new(ctx: *mut raw::RedisModuleCtx) -> Shelf<'k> {
        // SAFETY: the caller vouches for `ctx`.
        let home = unsafe { call!(RedisModule_GetSelectedDb(ctx)) };
        Shelf { ctx, home, selected: home, open: None }
    }

    fn select(&mut self, db: c_int) {
        if self.selected != db {
            // SAFETY: `ctx` is valid; a database that does not exist is refused.
            unsafe { call!(RedisModule_SelectDb(self.ctx, db)) };
            self.selected = db;
        }
    }

    pub fn document(&mut self, at: At<'_>) -> Option<&mut Document> {
        let open = self.open.filter(|_| at.db == self.home);
        if let Some(found) = open.and_then(|open| open(at.key)) {
            // SAFETY: the key is open, and nothing of its document is borrowed.
            return found.map(|document| unsafe { &mut *document });
        }
        self.select(at.db);
        let (start, len) = (at.key.as_ptr().cast::<c_char>(), at.key.len());
        let mode = raw::REDISMODULE_READ as c_int | raw::REDISMODULE_WRITE as c_int;
        // SAFETY: `ctx` is valid; the string and the key are closed again. The document lives on.
        unsafe {
            let name = call!(RedisModule_CreateString(self.ctx, start, len));
            let key = call!(RedisModule_OpenKey(self.ctx, name, mode));
            let found = data_type::at_key(key).ok().flatten();
            call!(RedisModule_CloseKey(key));
            call!(RedisModule_FreeString(self.ctx, name));
            found.map(|document| &mut *document)
        }
    }
}

impl Drop for Shelf<'_> {
    fn drop(&mut self) {
        self.select(self.home);
    }
}

impl Store for Shelf<'_> {
    fn locks(&mut self, at: At<'_>) -> Option<&mut Locks> {
        self.document(at).map(|document| &mut document.locks)
    }

    fn permits(&mut self, waiter: WaiterId, documents: &[DocumentKey]) -> bool {
        // SAFETY: the shelf's context is valid.
        unsafe { waiting::is_permitted(self.ctx, waiter, documents) }
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
    TOUCHED.set(true);
    let now = moment();
    DRIVEN.set(Some(now));
    // SAFETY: the caller vouches for it.
    let mut shelf = unsafe { Shelf::new(ctx) };
    shelf.open = Some(open);
    ENGINE.with_borrow_mut(|engine| {
        if !PENDING_EVENTS.with_borrow(Vec::is_empty) && !is_paused() {
            // SAFETY: as above.
            unsafe { take_notes(ctx, engine, &mut shelf, now) };
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
    if TOUCHED.get() {
        let now = DRIVEN.take().unwrap_or_else(moment);
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
    unsafe { run_slice(ctx, moment(), false) };
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
        TOUCHED.set(false);
        // SAFETY: as above.
        let mut shelf = unsafe { Shelf::new(ctx) };
        let decisions = ENGINE.with_borrow_mut(|engine| {
            if !paused {
                // SAFETY: as above.
                unsafe { take_notes(ctx, engine, &mut shelf, now) };
                let ended = engine.next_end().is_some_and(|ends_ms| ends_ms <= now.steady_ms);
                if (ended || engine.has_pending()) && unsafe { is_master(ctx) } {
                    engine.tick(&mut shelf, now);
                } else {
                    engine.forget_closed();
                }
            }
            engine.run_slice(&mut shelf, now)
        });
        // SAFETY: as above.
        unsafe { carry_out(ctx, &mut shelf, decisions) };
        // Opening a key can end it.
        if !TOUCHED.get() {
            break;
        }
    }
    ENGINE.with_borrow(|engine| {
        INFO.store(engine);
        if engine.has_pending() {
            wake_at(now.steady_ms, now.steady_ms);
        }
        let unwatched = |ends_ms: &u64| TIMER.get().is_none_or(|(_, fires_ms)| fires_ms > *ends_ms);
        if let Some(ends_ms) = engine.next_end().filter(unwatched)
            // SAFETY: as above.
            && unsafe { is_master(ctx) }
        {
            wake_at(ends_ms, now.steady_ms);
        }
    });
    watch_waits(now.steady_ms);
}

/// Starts the timer for the end of the first client's time to wait.
fn watch_waits(now_ms: u64) {
    if let Some(ends_ms) = waiting::first_end() {
        wake_at(ends_ms, now_ms);
    }
}

/// # Safety
///
/// As for [`drive`].
unsafe fn take_notes(
    ctx: *mut raw::RedisModuleCtx,
    engine: &mut Engine,
    shelf: &mut Shelf<'_>,
    now: Moment,
) {
    let noted = PENDING_EVENTS.take();
    if noted.is_empty() {
        return;
    }
    // SAFETY: the caller vouches for `ctx`.
    let master = unsafe { is_master(ctx) };
    for noted in noted {
        take_note(engine, shelf, now, noted, master);
    }
}

fn take_note(
    engine: &mut Engine,
    shelf: &mut Shelf<'_>,
    now: Moment,
    noted: PendingEvent,
    master: bool,
) {
    match noted {
        // A replica's locks end when its master says so.
        PendingEvent::Disconnected(_) | PendingEvent::Unheard(_) if !master => {}
        PendingEvent::Removed(place, locks) => engine.remove(place.at(), &locks),
        PendingEvent::Arrived(place) => engine.adopt(shelf, now, place.at()),
        PendingEvent::Disconnected(client) => engine.disconnect(client),
        PendingEvent::Unheard(grants) => {
            for (place, fence) in grants {
                engine.give_back(shelf, place.at(), fence);
            }
        }
        PendingEvent::Left(waiter) => engine.cancel(waiter),
        PendingEvent::Flushed(db) => engine.flush(db),
        PendingEvent::Swapped(one, other) => engine.swap(one, other),
        PendingEvent::Began => engine.restart_leases(shelf, now),
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
        unsafe { waiting::wake(shelf, wake) };
    }
}

/// Sends the changes of one document's locks to replicas and the AOF, and announces them.
///
/// # Safety
///
/// `ctx` is valid, with the document's database selected.
unsafe fn tell(ctx: *mut raw::RedisModuleCtx, place: &DocumentKey, edits: &[&LockEdit]) {
    let effect = lock_effect(edits.iter().copied());
    let (start, len) = (place.key.as_ptr().cast::<c_char>(), place.key.len());
    // SAFETY: the caller vouches for `ctx`; buffers are copied, and the string is freed.
    unsafe {
        let replicate = raw::RedisModule_Replicate
            .expect("RedisModule_Replicate exists on every supported server");
        let (name, format) = (c"MODEL.APPLY".as_ptr(), c"bb".as_ptr());
        replicate(ctx, name, format, start, len, effect.as_ptr(), effect.len());
        let key = call!(RedisModule_CreateString(ctx, start, len));
        let class = raw::REDISMODULE_NOTIFY_MODULE as c_int;
        for edit in edits {
            let event = match edit {
                LockEdit::Grant { .. } => c"model.lock",
                LockEdit::Release { .. } => c"model.unlock",
            };
            call!(RedisModule_NotifyKeyspaceEvent(ctx, class, event.as_ptr(), key));
        }
        call!(RedisModule_FreeString(ctx, key));
    }
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

fn note(noted: PendingEvent) {
    PENDING_EVENTS.with_borrow_mut(|list| list.push(noted));
    TOUCHED.set(true);
    wake_at(0, moment().steady_ms);
}

/// Records that a waiting client was unblocked or disconnected.
pub fn note_left(waiter: u64) {
    note(PendingEvent::Left(waiter));
}

/// Records that a client was disconnected before it was told of its grants.
pub fn note_unheard(grants: Vec<(DocumentKey, u64)>) {
    note(PendingEvent::Unheard(grants));
}

/// A document was loaded or restored at a key, with locks.
pub fn note_arrived(db: c_int, key: &[u8]) {
    note(PendingEvent::Arrived(At { db, key }.to_document_key()));
}

/// All data is replaced by what was loaded beside it.
pub fn note_replaced() {
    PENDING_EVENTS.with_borrow_mut(|list| list.insert(0, PendingEvent::Flushed(None)));
    note(PendingEvent::Began);
}

/// This server has become a master, or has loaded its data.
pub fn note_began() {
    note(PendingEvent::Began);
}

/// Starts the timer for that time, unless it fires before.
fn wake_at(at_ms: u64, now_ms: u64) {
    let ctx = DETACHED.load(Ordering::Relaxed);
    let running = TIMER.get();
    if ctx.is_null() || running.is_some_and(|(_, fires_ms)| fires_ms <= at_ms) {
        return;
    }
    // SAFETY: the detached context lives for ever; a timer is stopped once, and needs no data.
    unsafe {
        if let Some((timer, _)) = running {
            call!(RedisModule_StopTimer(ctx, timer, ptr::null_mut()));
        }
        let wait_ms = at_ms.saturating_sub(now_ms) as raw::mstime_t;
        let timer = call!(RedisModule_CreateTimer(ctx, wait_ms, Some(on_timer), ptr::null_mut()));
        TIMER.set(Some((timer, at_ms)));
    }
}

/// How late a timer may be before another takes its place.
const LATE_MS: u64 = 100;

/// The server's own work, several times a second whatever the wall clock says. A timer waits by the wall
/// clock: where that went back, it is started anew.
unsafe extern "C" fn on_cron(
    ctx: *mut raw::RedisModuleCtx,
    _event: raw::RedisModuleEvent,
    _subevent: u64,
    _data: *mut c_void,
) {
    let _ = catch_unwind(|| {
        // SAFETY: `ctx` is valid during the callback, and no key is open.
        unsafe {
            deferred::run_due(ctx);
            bus::on_cron(ctx);
        }
        let Some((timer, fires_ms)) = TIMER.get() else { return };
        let now_ms = moment().steady_ms;
        if fires_ms.saturating_add(LATE_MS) < now_ms {
            TIMER.set(Some((timer, u64::MAX)));
            wake_at(now_ms, now_ms);
        }
    });
}

unsafe extern "C" fn on_timer(ctx: *mut raw::RedisModuleCtx, _data: *mut c_void) {
    let _ = catch_unwind(|| {
        TIMER.set(None);
        let now = moment();
        waiting::end_waits(now.steady_ms);
        watch_waits(now.steady_ms);
        // SAFETY: `ctx` is valid during the callback, and no key is open.
        unsafe { RUN.request(ctx) };
    });
}

/// A document loses its key: it is deleted, overwritten, renamed, expired or evicted.
pub unsafe extern "C" fn on_unlink(ctx: *mut raw::RedisModuleKeyOptCtx, value: *const c_void) {
    let _ = catch_unwind(|| {
        // SAFETY: the server lends a live value of the type.
        let locks = &unsafe { &*data_type::from_raw(value.cast_mut()) }.locks;
        let waited_for = INFO.waiting.load(Ordering::Relaxed) > 0;
        if locks.is_free() && !waited_for && !TOUCHED.get() {
            return;
        }
        if !locks.is_free() {
            UNLINKED.set(true);
        }
        // SAFETY: the context is valid during the callback, and so is the key's name.
        let place = unsafe {
            let db = call!(RedisModule_GetDbIdFromOptCtx(ctx));
            let key = bytes(call!(RedisModule_GetKeyNameFromOptCtx(ctx)));
            At { db, key }.to_document_key()
        };
        note(PendingEvent::Removed(place, locks.clone()));
    });
}

/// A key has a new name or another database: its document's locks go on there.
unsafe extern "C" fn on_key_event(
    ctx: *mut raw::RedisModuleCtx,
    _class: c_int,
    event: *const c_char,
    key: *mut raw::RedisModuleString,
) -> c_int {
    let _ = catch_unwind(|| {
        if !UNLINKED.get() {
            return;
        }
        // SAFETY: the event is NUL-terminated, and `ctx` and `key` are valid during the callback.
        unsafe {
            if [c"rename_to", c"move_to"].contains(&CStr::from_ptr(event)) {
                note_arrived(call!(RedisModule_GetSelectedDb(ctx)), bytes(key));
                UNLINKED.set(false);
            }
        }
    });
    raw::REDISMODULE_OK as c_int
}

unsafe extern "C" fn on_client(
    _ctx: *mut raw::RedisModuleCtx,
    _event: raw::RedisModuleEvent,
    subevent: u64,
    data: *mut c_void,
) {
    let _ = catch_unwind(|| {
        if subevent != raw::REDISMODULE_SUBEVENT_CLIENT_CHANGE_DISCONNECTED {
            return;
        }
        // SAFETY: the server lends what it says of the client.
        let client = unsafe { (*data.cast::<raw::RedisModuleClientInfo>()).id };
        let holds = ENGINE.with(|engine| {
            engine.try_borrow().map_or(true, |engine| engine.has_ephemerals(client))
        });
        if holds {
            note(PendingEvent::Disconnected(client));
        }
    });
}

unsafe extern "C" fn on_flush(
    _ctx: *mut raw::RedisModuleCtx,
    _event: raw::RedisModuleEvent,
    subevent: u64,
    data: *mut c_void,
) {
    let _ = catch_unwind(|| {
        if subevent == raw::REDISMODULE_SUBEVENT_FLUSHDB_START {
            // SAFETY: the server lends what it says of the flush.
            let db = unsafe { (*data.cast::<raw::RedisModuleFlushInfo>()).dbnum };
            note(PendingEvent::Flushed((db >= 0).then_some(db)));
        }
    });
}

unsafe extern "C" fn on_swap(
    _ctx: *mut raw::RedisModuleCtx,
    _event: raw::RedisModuleEvent,
    _subevent: u64,
    data: *mut c_void,
) {
    let _ = catch_unwind(|| {
        // SAFETY: the server lends what it says of the databases.
        let swap = unsafe { &*data.cast::<raw::RedisModuleSwapDbInfo>() };
        note(PendingEvent::Swapped(swap.dbnum_first, swap.dbnum_second));
    });
}

/// The highest fence seen, for the RDB.
pub fn last_fence() -> u64 {
    ENGINE.with(|engine| engine.try_borrow_mut().map_or(0, |mut engine| engine.fences().seen()))
}

/// A fence that the RDB's server had seen.
pub fn see_fence(fence: u64) {
    ENGINE.with_borrow_mut(|engine| engine.fences().see(fence));
}

pub fn register(ctx: *mut raw::RedisModuleCtx) -> Result<(), &'static str> {
    // SAFETY: `ctx` is valid while the module is being loaded.
    unsafe {
        DETACHED.store(call!(RedisModule_GetDetachedThreadSafeContext(ctx)), Ordering::Relaxed);
        let events: [(u64, raw::RedisModuleEventCallback); 4] = [
            (raw::REDISMODULE_EVENT_CRON_LOOP, Some(on_cron)),
            (raw::REDISMODULE_EVENT_CLIENT_CHANGE, Some(on_client)),
            (raw::REDISMODULE_EVENT_FLUSHDB, Some(on_flush)),
            (raw::REDISMODULE_EVENT_SWAPDB, Some(on_swap)),
        ];
        for (id, callback) in events {
            let event = raw::RedisModuleEvent { id, dataver: 1 };
            if !is_ok(call!(RedisModule_SubscribeToServerEvent(ctx, event, callback))) {
                return Err("the server refused a subscription to its events");
            }
        }
        let class = raw::REDISMODULE_NOTIFY_GENERIC as c_int;
        if !is_ok(call!(RedisModule_SubscribeToKeyspaceEvents(ctx, class, Some(on_key_event)))) {
            return Err("the server refused a subscription to its keys' events");
        }
    }
    Ok(())
}
