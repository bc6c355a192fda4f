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

/// Documents that are examined for a waiting request in the time of one step of a slice.
pub(super) const LOOKS: usize = 4;

/// Steps of a search for deadlock cycles that take as long as one of a slice.
pub(super) const SEARCH_STEPS: usize = 16;

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
        !(quiet && self.ended.is_empty() && self.ending.is_empty() && self.arrived.is_empty())
    }

    /// Flag: nothing is pending, leases included.
    pub(super) fn is_drained(&self, moment: Moment) -> bool {
        !self.has_pending() && self.next_end().is_none_or(|ends_ms| ends_ms > moment.steady_ms)
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

    /// Takes over documents that came with their locks.
    pub(super) fn adopt_arrived(&mut self, store: &mut dyn Store, moment: Moment) {
        while self.left > 0
            && let Some(document) = self.arrived.pop()
        {
            self.spend(1);
            self.adopt(store, moment, document.at());
        }
    }

    /// Ends the ephemeral grants that are to be ended.
    pub(super) fn end_ephemerals(&mut self, store: &mut dyn Store) {
        while self.left > 0
            && let Some(mut grants) = self.ending.last_entry()
        {
            let client = *grants.key();
            let Some((fence, document)) = grants.get_mut().pop_first() else {
                grants.remove();
                continue;
            };
            self.spend(1);
            if let Some(locks) = store.locks(document.at()) {
                self.disconnect_grant(locks, document.at(), fence, client);
            }
        }
        if self.ending.is_empty() && self.arrived.is_empty() {
            self.closed.clear();
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
        if !self.ending.is_empty() {
            self.end_ephemerals_of(store, at);
        }
    }

    fn end_ephemerals_of(&mut self, store: &mut dyn Store, at: At<'_>) {
        let Some(locks) = store.locks(at) else { return };
        let holders = locks.names().iter().flat_map(|lock| &lock.holders);
        let of_holder = |holder: &Holder| {
            let ends = |client: &u64| {
                self.ending.get(client).is_some_and(|grants| grants.contains_key(&holder.fence))
            };
            let clients = holder.clients.iter().filter(ends);
            clients.map(|client| (holder.fence, client)).collect::<SmallVec<[_; 1]>>()
        };
        let grants: Vec<(u64, u64)> = holders.flat_map(of_holder).collect();
        for (fence, client) in grants {
            if let Some(grants) = self.ending.get_mut(&client) {
                grants.remove(&fence);
            }
            self.disconnect_grant(locks, at, fence, client);
        }
    }
}
