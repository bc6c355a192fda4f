//! The module's one timer, for pending events and for the ends of leases and of waits.
//!
//! A timer of the server waits by the wall clock. Where that was set back, [`restart_late`] starts the timer anew.

use std::cell::Cell;
use std::ffi::c_void;
use std::panic::catch_unwind;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use redis_module::raw;

use super::api::call;
use super::clock;

/// Runs when the timer fires, with a valid context that belongs to no command.
pub type TimerCallback = unsafe fn(*mut raw::RedisModuleCtx);

/// A context without a client, for timers that are started where there is none.
static DETACHED: AtomicPtr<raw::RedisModuleCtx> = AtomicPtr::new(ptr::null_mut());

thread_local! {
    static RUN: Cell<Option<TimerCallback>> = const { Cell::new(None) };
    static TIMER: Cell<Option<RunningTimer>> = const { Cell::new(None) };
    /// Flag: the timer's function runs.
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

/// How late the timer may be before another takes its place.
const LATE_MS: u64 = 100;

/// Sets the function that the timer runs. Starts no timer.
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

/// The time at which the timer fires, on the steady clock.
pub fn fires_ms() -> Option<u64> {
    TIMER.get().map(|timer| timer.fires_ms)
}

/// Starts the timer for that time, unless it fires before. At once means in the same turn of the server's event loop.
pub fn start(at_ms: u64, now_ms: u64) {
    let ctx = DETACHED.load(Ordering::Relaxed);
    let (running, is_firing) = (TIMER.get(), IS_FIRING.get());
    let stays = |timer: RunningTimer| {
        let fires_sooner = timer.is_delayed && !is_firing && at_ms <= now_ms;
        timer.fires_ms <= at_ms && !fires_sooner
    };
    if ctx.is_null() || running.is_some_and(stays) {
        return;
    }
    // SAFETY: the detached context lives for ever; a timer is stopped once, and needs no data.
    unsafe {
        if let Some(timer) = running {
            call!(RedisModule_StopTimer(ctx, timer.id, ptr::null_mut()));
        }
        let wait_ms = at_ms.saturating_sub(now_ms) as raw::mstime_t;
        let id = call!(RedisModule_CreateTimer(ctx, wait_ms, Some(on_timer), ptr::null_mut()));
        TIMER.set(Some(RunningTimer { id, fires_ms: at_ms, is_delayed: is_firing }));
    }
}

/// Starts a timer that should have fired anew. Called several times a second, whatever the wall clock says.
pub fn restart_late() {
    let Some(timer) = TIMER.get() else { return };
    let now_ms = clock::moment().steady_ms;
    if timer.fires_ms.saturating_add(LATE_MS) < now_ms {
        TIMER.set(Some(RunningTimer { fires_ms: u64::MAX, ..timer }));
        start(now_ms, now_ms);
    }
}

unsafe extern "C" fn on_timer(ctx: *mut raw::RedisModuleCtx, _data: *mut c_void) {
    IS_FIRING.set(true);
    let _ = catch_unwind(|| {
        TIMER.set(None);
        if let Some(run) = RUN.get() {
            // SAFETY: `ctx` is valid during the callback, and belongs to no command.
            unsafe { run(ctx) };
        }
    });
    IS_FIRING.set(false);
}
