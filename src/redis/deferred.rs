//! Work that is not a client's command, put off while writes are paused.
//!
//! While writes are paused (`CLIENT PAUSE`, a failover, slots on their way to another node, a shutdown that
//! waits for its replicas) the data set is fixed, and the server aborts when something is propagated all the
//! same. It holds clients' commands back itself. Everything else of this module that propagates is a
//! [`Task`], which runs at once or when the pause has ended.
//!
//! A task carries no data: the room it belongs to keeps its work.

use std::cell::RefCell;

use redis_module::raw;

/// Work that propagates outside of a client's command. Two tasks are the same when they are the same static.
pub struct Task {
    run: unsafe fn(*mut raw::RedisModuleCtx),
}

thread_local! {
    /// The tasks that were put off, in order.
    static DUE: RefCell<Vec<&'static Task>> = const { RefCell::new(Vec::new()) };
}

impl Task {
    /// `run` is called on the main thread, with a valid context outside of any command, while writes are not
    /// paused.
    pub const fn new(run: unsafe fn(*mut raw::RedisModuleCtx)) -> Task {
        Task { run }
    }

    /// Runs the task at once, or when the pause ends.
    ///
    /// # Safety
    ///
    /// `ctx` is valid, belongs to no command, and no key is open.
    pub unsafe fn request(&'static self, ctx: *mut raw::RedisModuleCtx) {
        if is_paused() {
            self.put_off();
        } else {
            // SAFETY: the caller vouches for `ctx`.
            unsafe { (self.run)(ctx) };
        }
    }

    /// Has the task run when the pause ends. Put off twice, it runs once.
    pub fn put_off(&'static self) {
        DUE.with_borrow_mut(|due| {
            if !due.iter().any(|task| std::ptr::eq(*task, self)) {
                due.push(self);
            }
        });
    }
}

/// Flag: writes are paused, and nothing may be propagated outside of a client's command.
pub fn is_paused() -> bool {
    // SAFETY: the pointer is set once at load; the call has no preconditions.
    unsafe { raw::RedisModule_AvoidReplicaTraffic.is_some_and(|avoid| avoid() != 0) }
}

/// Runs the tasks that were put off, unless writes are still paused. Called several times a second.
///
/// # Safety
///
/// As for [`Task::request`].
pub unsafe fn run_due(ctx: *mut raw::RedisModuleCtx) {
    if DUE.with_borrow(Vec::is_empty) || is_paused() {
        return;
    }
    for task in DUE.take() {
        // SAFETY: the caller vouches for `ctx`.
        unsafe { (task.run)(ctx) };
    }
}
