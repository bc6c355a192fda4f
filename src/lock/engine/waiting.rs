//! Waiting requests: how they enter and leave their queues.

use std::sync::Arc;

use smallvec::SmallVec;

use super::slices::Ended;
use super::{Ask, Engine, Store, Waiter, Wake, Woken};
use crate::lock::queue::{Queue, Queues, WaiterId};
use crate::lock::state::Mode;
use crate::lock::{At, DocumentKey};

impl Engine {
    pub(in crate::lock) fn queues_of(&self, at: At<'_>) -> Option<&Queues> {
        self.queues.get(&at.db)?.get(at.key)
    }

    pub(super) fn queues_mut(&mut self, at: At<'_>) -> Option<&mut Queues> {
        self.queues.get_mut(&at.db)?.get_mut(at.key)
    }

    /// The document that a waiting request names first.
    pub fn awaited_by(&self, id: WaiterId) -> Option<&DocumentKey> {
        self.waiters.get(&id)?.documents.first()
    }

    fn queue_mut(&mut self, at: At<'_>, name: &[u8]) -> Option<&mut Queue> {
        self.queues_mut(at)?.find_mut(name)
    }

    /// The requests of a queue that have not ended.
    pub(super) fn live<'q>(&'q self, queue: &'q Queue) -> impl Iterator<Item = WaiterId> + 'q {
        let none_ended = self.ended.is_empty();
        let ids = queue.all.iter().copied();
        ids.filter(move |id| none_ended || self.waiters.contains_key(id))
    }

    pub(super) fn enqueue(&mut self, store: &mut dyn Store, ask: &Ask<'_>) -> WaiterId {
        self.last_waiter += 1;
        let id = self.last_waiter;
        let name = ask
            .documents
            .iter()
            .find_map(|at| self.queues_of(*at)?.find(ask.name).map(|queue| queue.name.clone()));
        let name = name.unwrap_or_else(|| ask.name.into());
        let owner: Arc<[u8]> = match self.by_owner.get_key_value(ask.owner) {
            Some((owner, _)) => owner.clone(),
            None => ask.owner.into(),
        };
        self.by_owner.entry(owner.clone()).or_default().push(id);
        let documents: SmallVec<[DocumentKey; 1]> =
            ask.documents.iter().map(|at| at.to_document_key()).collect();
        for document in &documents {
            let queues = self.queues.entry(document.db).or_default();
            queues.entry(document.key.clone()).or_default().push(&name, id, ask.mode);
        }
        let waiter = Waiter {
            documents: documents.clone(),
            name,
            owner,
            mode: ask.mode,
            lease_ms: ask.lease_ms,
            ephemeral: ask.ephemeral,
        };
        self.waiters.insert(id, waiter);
        for document in &documents {
            self.learn_holders(store, document.at(), ask.name);
        }
        id
    }

    /// Brings a queue's copy of its holders up to date.
    pub(super) fn learn_holders(&mut self, store: &mut dyn Store, at: At<'_>, name: &[u8]) {
        let Some(locks) = store.locks(at) else { return };
        let Some(queue) = self.queue_mut(at, name) else { return };
        if queue.knows(locks) {
            return;
        }
        let before = std::mem::take(&mut queue.holders);
        let holders = locks.holders(name).iter();
        let now: Vec<(Arc<[u8]>, Mode)> =
            holders.map(|holder| (holder.owner.clone(), holder.mode)).collect();
        queue.holders.clone_from(&now);
        for (owner, _) in now {
            *self.awaited.entry(owner).or_default() += 1;
        }
        self.forget_holders(&before);
    }

    fn forget_holders(&mut self, holders: &[(Arc<[u8]>, Mode)]) {
        for (owner, _) in holders {
            let count = self.awaited.get_mut(owner).expect("each was counted");
            *count -= 1;
            if *count == 0 {
                self.awaited.remove(owner);
            }
        }
    }

    /// Ends the waiting of a request whose client does not wait any longer. Does nothing if it is over already.
    pub fn cancel(&mut self, id: WaiterId) {
        if let Some(waiter) = self.take_waiter(id) {
            self.ended.push(Ended { id, name: waiter.name, documents: waiter.documents });
        }
    }

    /// Ends the waiting of a request, whose client is told.
    pub(super) fn end_waiting(&mut self, id: WaiterId, woken: Woken) {
        if self.waiters.contains_key(&id) {
            self.cancel(id);
            self.spend(1);
            self.decisions.wakes.push(Wake { waiter: id, woken });
        }
    }

    /// Ends a request. It is still in its queues; the caller pushes it to `ended`.
    pub(super) fn take_waiter(&mut self, id: WaiterId) -> Option<Waiter> {
        let waiter = self.waiters.remove(&id)?;
        if let Some(ids) = self.by_owner.get_mut(&waiter.owner) {
            ids.retain(|known| *known != id);
            if ids.is_empty() {
                self.by_owner.remove(&waiter.owner);
            }
        }
        Some(waiter)
    }

    /// Takes a request that has ended out of one queue.
    pub(super) fn leave_queue(&mut self, document: &DocumentKey, name: &[u8], id: WaiterId) {
        let keys = self.queues.get_mut(&document.db).expect("a request is in its queues");
        let queues = keys.get_mut(&document.key).expect("a request is in its queues");
        let left = queues.remove(name, id);
        if queues.is_empty() {
            keys.remove(&document.key);
            if keys.is_empty() {
                self.queues.remove(&document.db);
            }
        }
        if let Some(left) = left {
            self.forget_holders(&left.holders);
        }
        self.mark_pending(document.at());
    }
}
