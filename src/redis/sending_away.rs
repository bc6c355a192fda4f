//! Waiting requests that this server cannot serve any more: it has become a replica, or its cluster is down.
//!
//! Most servers unblock the clients of modules then. Valkey does not in a cluster, where a replica must not grant a lock
//! because its new master has released it, and a node that is cut off from the others must not serve clients while another
//! one takes over its slots.

use std::sync::atomic::Ordering;

use redis_module::raw;

use super::blocked::Told;
use super::counters::LOCKS;
use super::slots::{self, Redirections};
use super::{claims, locks, offers};

/// This server has become a replica. Sends clients to the nodes that have the slots of their keys, where they are known.
///
/// # Safety
///
/// `ctx` is valid, and no key is open.
pub unsafe fn on_demotion(ctx: *mut raw::RedisModuleCtx) {
    // SAFETY: the caller vouches for `ctx`.
    let is_clustered = unsafe { slots::is_clustered(ctx) };
    let mut redirections = Redirections::default();
    let mut told = |key: Option<&[u8]>| {
        let key = key.filter(|_| is_clustered);
        // SAFETY: as above.
        let moved = key.and_then(|key| unsafe { redirections.of(ctx, key) });
        let line = "UNBLOCKED this server has become a replica: repeat the request on its master";
        Told::Line(moved.unwrap_or_else(|| line.to_owned()))
    };
    // SAFETY: as above.
    unsafe { end_all(&mut told) };
}

/// Looks whether the cluster is down. Called several times a second.
///
/// # Safety
///
/// As for [`on_demotion`].
pub unsafe fn on_cron(ctx: *mut raw::RedisModuleCtx) {
    let is_waited = LOCKS.waiting.load(Ordering::Relaxed) > 0 || offers::is_waited_for();
    // SAFETY: the caller vouches for `ctx`.
    unsafe {
        if is_waited && slots::is_clustered(ctx) && slots::is_down(ctx) {
            end_all(&mut |_| Told::Line("CLUSTERDOWN The cluster is down".to_owned()));
        }
    }
}

/// # Safety
///
/// As for [`on_demotion`].
unsafe fn end_all(told: &mut dyn FnMut(Option<&[u8]>) -> Told) {
    // SAFETY: events come on the main thread.
    unsafe { locks::end_waiting(told) };
    claims::end_waiting(told);
}
