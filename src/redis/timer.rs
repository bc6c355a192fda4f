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
    /// The timer that is running, and its time on the steady clock.
    static TIMER: Cell<Option<(raw::RedisModuleTimerID, u64)>> = const { Cell::new(None) };
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

/// The time at which the timer fires, on the steady clock.
pub fn fires_ms() -> Option<u64> {
    TIMER.get().map(|(_, fires_ms)| fires_ms)
}

/// Starts the timer for that time, unless it fires before.
pub fn start(at_ms: u64, now_ms: u64) {
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

/// Starts a timer that should have fired anew. Called several times a second, whatever the wall clock says.
pub fn restart_late() {
    let Some((timer, fires_ms)) = TIMER.get() else { return };
    let now_ms = clock::moment().steady_ms;
    if fires_ms.saturating_add(LATE_MS) < now_ms {
        TIMER.set(Some((timer, u64::MAX)));
        start(now_ms, now_ms);
    }
}

unsafe extern "C" fn on_timer(ctx: *mut raw::RedisModuleCtx, _data: *mut c_void) {
    let _ = catch_unwind(|| {
        TIMER.set(None);
        if let Some(run) = RUN.get() {
            // SAFETY: `ctx` is valid during the callback, and belongs to no command.
            unsafe { run(ctx) };
        }
    });
}
