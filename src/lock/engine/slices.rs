//! Pending work, in slices.
//!
//! One event can end thousands of grants or requests at once: a connection with many ephemeral locks closes, a document
//! is deleted that many wait for, leases end together. Such an event is recorded at once, and what follows from it
//! is done in slices of bounded work, between which other clients are served.
//!
//! Pending work is not visible to clients. A request finds expired and disconnected grants of its documents ended
//! (`Engine::end_due`). A request that has ended is no longer among the waiters, though it still is in queues,
//! whose readers skip it. A waiting request that can be granted by now keeps its position: no later one passes it.

use smallvec::SmallVec;

use super::{Engine, Store, Suspects};
use crate::lock::queue::WaiterId;
use crate::lock::state::LockEdit;
use crate::lock::state::{Holder, Locks};
use crate::lock::{At, DocumentKey, Moment};
use std::sync::Arc;

/// The work of one slice: about so many grants, releases and requests that are taken out of a queue.
pub const SLICE: usize = 2048;

/// A request that has ended and is still in these queues.
pub(super) struct Ended {
    pub id: WaiterId,
    pub name: Arc<[u8]>,
    pub documents: SmallVec<[DocumentKey; 1]>,
}

impl Engine {
    /// Sets the work of one slice, for tests.
    pub fn set_slice(&mut self, steps: usize) {
        self.slice = steps;
    }

    /// Flag: [`Engine::run_slice`] has left work for the next slice.
    pub fn has_pending(&self) -> bool {
        let quiet = self.pending.is_empty() && matches!(self.suspects, Suspects::None);
        !(quiet && self.ended.is_empty() && self.closed.is_empty())
    }

    /// Flag: nothing is pending, leases included.
    pub(super) fn is_drained(&self, moment: Moment) -> bool {
        !self.has_pending() && self.next_end().is_none_or(|ends_ms| ends_ms > moment.steady_ms)
    }

    /// Forgets connections that have closed: this server has become a replica, whose master ends locks.
    pub fn forget_closed(&mut self) {
        for client in self.closed.drain(..) {
            self.ephemerals.remove(&client);
        }
    }

    pub(super) fn begin_slice(&mut self) {
        self.left = self.slice;
    }

    pub(super) fn spend(&mut self, steps: usize) {
        self.left = self.left.saturating_sub(steps);
        self.counters.work += steps as u64;
    }

    /// Takes requests that have ended out of their queues; those behind them may be next.
    pub(super) fn clear_queues(&mut self) {
        while self.left > 0
            && let Some(ended) = self.ended.last_mut()
        {
            let Some(document) = ended.documents.pop() else {
                self.ended.pop();
                continue;
            };
            let (id, name) = (ended.id, ended.name.clone());
            self.spend(1);
            self.leave_queue(&document, &name, id);
        }
    }

    /// Ends the grants of connections that have closed.
    pub(super) fn end_closed(&mut self, store: &mut dyn Store) {
        while self.left > 0
            && let Some(client) = self.closed.last().copied()
        {
            let grants = self.ephemerals.get_mut(&client);
            let Some((fence, document)) = grants.and_then(|grants| grants.held.pop_first()) else {
                self.ephemerals.remove(&client);
                self.closed.pop();
                continue;
            };
            self.spend(1);
            if let Some(locks) = store.locks(document.at()) {
                self.disconnect_grant(locks, document.at(), fence, client);
            }
        }
    }

    fn disconnect_grant(&mut self, locks: &mut Locks, at: At<'_>, fence: u64, client: u64) {
        if let Some(name) = locks.disconnect(fence, client) {
            self.change(locks, at, LockEdit::Release { name, fence });
        }
    }

    /// Ends the expired and disconnected grants of a document before a request is decided.
    pub(super) fn end_due(&mut self, store: &mut dyn Store, moment: Moment, at: At<'_>) {
        let Some(locks) = store.locks(at) else { return };
        if locks.is_free() {
            return;
        }
        let mut ends_ms = self.leases.ends_of(locks.watch(), at);
        if ends_ms.is_none() {
            // The document was loaded, restored or renamed, and its leases have not started.
            self.adopt(store, moment, at);
            let Some(locks) = store.locks(at) else { return };
            ends_ms = self.leases.ends_of(locks.watch(), at);
        }
        if ends_ms.is_some_and(|ends_ms| ends_ms <= moment.steady_ms) {
            self.end_leases(store, moment, at);
        }
        if !self.closed.is_empty() {
            self.end_closed_of(store, at);
        }
    }

    fn end_closed_of(&mut self, store: &mut dyn Store, at: At<'_>) {
        let Some(locks) = store.locks(at) else { return };
        let closed = |client: &u64| self.ephemerals.get(client).is_some_and(|held| held.closed);
        let holders = locks.names().iter().flat_map(|lock| &lock.holders);
        let of_holder = |holder: &Holder| {
            let clients = holder.clients.iter().filter(closed);
            clients.map(|client| (holder.fence, client)).collect::<SmallVec<[_; 1]>>()
        };
        let grants: Vec<(u64, u64)> = holders.flat_map(of_holder).collect();
        for (fence, client) in grants {
            if let Some(grants) = self.ephemerals.get_mut(&client) {
                grants.held.remove(&fence);
            }
            self.disconnect_grant(locks, at, fence, client);
        }
    }
}
