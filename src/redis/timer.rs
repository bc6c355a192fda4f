//! The module's timers: one for pending events, which fires at once, and one for the ends of leases and of waits, which
//! goes on while the other one comes and goes.
//!
//! A timer of the server waits by the wall clock. Where that was set back, [`restart_late`] starts the timer anew.

use std::cell::Cell;
use std::ffi::c_void;
use std::panic::catch_unwind;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::thread::LocalKey;

use redis_module::raw;

use super::api::call;
use super::clock;

/// Runs when the timer fires, with a valid context that belongs to no command.
pub type TimerCallback = unsafe fn(*mut raw::RedisModuleCtx);

/// A context without a client, for timers that are started where there is none.
static DETACHED: AtomicPtr<raw::RedisModuleCtx> = AtomicPtr::new(ptr::null_mut());

thread_local! {
    static RUN: Cell<Option<TimerCallback>> = const { Cell::new(None) };
    /// The one that fires at once.
    static SOON: Cell<Option<RunningTimer>> = const { Cell::new(None) };
    /// The one that waits.
    static LATER: Cell<Option<RunningTimer>> = const { Cell::new(None) };
    /// Flag: a timer's function runs.
    static IS_FIRING: Cell<bool> = const { Cell::new(false) };
}

#[derive(Clone, Copy)]
struct RunningTimer {
    id: raw::RedisModuleTimerID,
    /// Its time on the steady clock.
    fires_ms: u64,
    /// Flag: it was started while the timer fired. The server lets such a timer wait for a millisecond at least.
    is_delayed: bool,
}

/// How late a timer may be before another takes its place.
const LATE_MS: u64 = 100;

/// Sets the function that the timers run. Starts none.
pub fn register(ctx: *mut raw::RedisModuleCtx, run: TimerCallback) {
    RUN.set(Some(run));
    // SAFETY: `ctx` is valid while the module is being loaded.
    let detached = unsafe { call!(RedisModule_GetDetachedThreadSafeContext(ctx)) };
    DETACHED.store(detached, Ordering::Relaxed);
}

/// A context without a client; it lives for ever.
pub fn detached() -> *mut raw::RedisModuleCtx {
    DETACHED.load(Ordering::Relaxed)
}

/// The time at which the timer that waits fires, on the steady clock.
pub fn fires_ms() -> Option<u64> {
    LATER.get().map(|timer| timer.fires_ms)
}

/// Has a timer fire at that time, or before. At once means in the same turn of the server's event loop.
pub fn start(at_ms: u64, now_ms: u64) {
    let is_firing = IS_FIRING.get();
    match at_ms <= now_ms {
        true => {
            let stays = |timer: &RunningTimer| !timer.is_delayed || is_firing;
            if SOON.get().as_ref().is_none_or(|timer| !stays(timer)) {
                restart(&SOON, Some(on_soon), at_ms, now_ms);
            }
        }
        false => {
            if LATER.get().is_none_or(|timer| timer.fires_ms > at_ms) {
                restart(&LATER, Some(on_later), at_ms, now_ms);
            }
        }
    }
}

fn restart(
    timer: &'static LocalKey<Cell<Option<RunningTimer>>>,
    run: raw::RedisModuleTimerProc,
    at_ms: u64,
    now_ms: u64,
) {
    let ctx = DETACHED.load(Ordering::Relaxed);
    if ctx.is_null() {
        return;
    }
    // SAFETY: the detached context lives for ever; a timer is stopped once, and needs no data.
    unsafe {
        if let Some(running) = timer.get() {
            call!(RedisModule_StopTimer(ctx, running.id, ptr::null_mut()));
        }
        let wait_ms = at_ms.saturating_sub(now_ms) as raw::mstime_t;
        let id = call!(RedisModule_CreateTimer(ctx, wait_ms, run, ptr::null_mut()));
        timer.set(Some(RunningTimer { id, fires_ms: at_ms, is_delayed: IS_FIRING.get() }));
    }
}

/// Starts timers that should have fired anew. Called several times a second, whatever the wall clock says.
pub fn restart_late() {
    if SOON.get().is_none() && LATER.get().is_none() {
        return;
    }
    let now_ms = clock::moment().steady_ms;
    let is_late = |timer: RunningTimer| timer.fires_ms.saturating_add(LATE_MS) < now_ms;
    if SOON.get().is_some_and(is_late) {
        restart(&SOON, Some(on_soon), now_ms, now_ms);
    }
    if LATER.get().is_some_and(is_late) {
        restart(&LATER, Some(on_later), now_ms, now_ms);
    }
}

unsafe extern "C" fn on_soon(ctx: *mut raw::RedisModuleCtx, _data: *mut c_void) {
    // SAFETY: `ctx` is valid during the callback, and belongs to no command.
    let _ = catch_unwind(|| unsafe { fire(&SOON, ctx) });
    IS_FIRING.set(false);
}

unsafe extern "C" fn on_later(ctx: *mut raw::RedisModuleCtx, _data: *mut c_void) {
    // SAFETY: as above.
    let _ = catch_unwind(|| unsafe { fire(&LATER, ctx) });
    IS_FIRING.set(false);
}

/// # Safety
///
/// `ctx` is valid and belongs to no command.
unsafe fn fire(
    timer: &'static LocalKey<Cell<Option<RunningTimer>>>,
    ctx: *mut raw::RedisModuleCtx,
) {
    timer.set(None);
    IS_FIRING.set(true);
    if let Some(run) = RUN.get() {
        // SAFETY: the caller vouches for `ctx`.
        unsafe { run(ctx) };
    }
}
