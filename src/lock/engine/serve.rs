//! Serving queues: grants the requests that can be granted, and refuses those in a deadlock cycle.

use std::sync::Arc;

use smallvec::SmallVec;

use super::asking::{Availability, availability};
use super::slices::{Ended, LOOKS, SEARCH_STEPS};
use super::{Ask, Decisions, Engine, Store, Suspects, Wake, Woken};
use crate::lock::cycles;
use crate::lock::graph::{self, Found};
use crate::lock::queue::WaiterId;
use crate::lock::state::{Holder, Locks, Mode};
use crate::lock::{At, DocumentKey, Moment};

/// The result of examining a waiting request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Can,
    /// A holder of the lock being served conflicts, with all requests behind as well.
    Blocked,
    /// Another document or an earlier request is in the way.
    Elsewhere,
}

impl Engine {
    /// Does one slice of what is pending: grants what can be granted, ends what is over. Returns what has to be told
    /// since the last time.
    pub fn run_slice(&mut self, store: &mut dyn Store, moment: Moment) -> Decisions {
        self.begin_slice();
        self.run_pending(store, moment);
        std::mem::take(&mut self.decisions)
    }

    pub(super) fn run_pending(&mut self, store: &mut dyn Store, moment: Moment) {
        loop {
            self.clear_queues();
            self.adopt_arrived(store, moment);
            self.end_ephemerals(store);
            self.serve_all(store, moment);
            if self.left == 0 {
                return;
            }
            if !self.ended.is_empty() {
                continue;
            }
            match std::mem::take(&mut self.suspects) {
                Suspects::None => return,
                Suspects::One(owner) => {
                    let mut steps = 0;
                    let found = graph::waits_for_itself(self, &owner, &mut steps);
                    self.counters.steps += steps;
                    if found != Found::NoCycle {
                        self.refuse_cycles();
                    }
                }
                Suspects::Any => self.refuse_cycles(),
            }
        }
    }

    /// Refuses one request of each deadlock cycle: the latest one that was left undecided, as if it had been decided when it
    /// came, or else the first one. The rest may still have cycles, for which the next round searches: in the next slice,
    /// if this search was long.
    fn refuse_cycles(&mut self) {
        let mut steps = 0;
        let found = cycles::find(self, &mut steps);
        if found.is_empty() {
            self.undecided.clear();
        }
        for cycle in found {
            let owners = cycle.iter().map(|id| self.waiters[id].owner.clone()).collect();
            let undecided =
                self.undecided.iter().rev().filter(|id| cycle.binary_search(id).is_ok());
            let refused = undecided
                .chain(&cycle)
                .find(|id| graph::waits_for_any(self, **id, &owners, &mut steps))
                .expect("a cycle consists of waiting requests");
            self.refuse(*refused);
            self.suspects = Suspects::Any;
        }
        self.counters.steps += steps;
        self.left = self.left.saturating_sub(steps as usize / SEARCH_STEPS);
    }

    fn refuse(&mut self, id: WaiterId) {
        self.counters.deadlocks += 1;
        self.end_waiting(id, Woken::Deadlock);
    }

    fn serve_all(&mut self, store: &mut dyn Store, moment: Moment) {
        // Each round ends a request or is the last one for its document.
        while self.left > 0
            && let Some(document) = self.pending.pop()
        {
            let Some(queues) = self.queues_mut(document.at()) else { continue };
            queues.pending = false;
            let names = queues.names();
            if store.locks(document.at()).is_none() {
                self.remove(document.at(), &Locks::default());
                continue;
            }
            for name in names {
                self.spend(1);
                self.serve(store, moment, document.at(), &name);
            }
        }
    }

    /// Grants a lock to waiting requests, in the order of arrival, until one is blocked or the slice is used up.
    fn serve(&mut self, store: &mut dyn Store, moment: Moment, at: At<'_>, name: &[u8]) {
        let mut from = 0;
        // The owner of the blocked request: its further requests may still be granted.
        let mut blocked: Option<Arc<[u8]>> = None;
        while let Some(id) = self.next_waiter(at, name, from) {
            from = id + 1;
            let looked = self.look(store, moment, at, id);
            if looked == Look::Can {
                self.serve_one(store, moment, id);
                if self.left > 0 {
                    continue;
                }
                self.interrupt(at, name);
                return;
            }
            let waiter = &self.waiters[&id];
            if looked == Look::Blocked || waiter.mode == Mode::Exclusive {
                // It blocks all requests behind it, except those of its own owner.
                blocked = Some(waiter.owner.clone());
                break;
            }
        }
        for id in self.passing(store, at, name, blocked) {
            if self.waiters.contains_key(&id) && self.look(store, moment, at, id) == Look::Can {
                self.serve_one(store, moment, id);
            }
        }
        self.learn_holders(store, at, name);
    }

    /// Leaves the rest of a queue to the next slice. Its waiters keep their positions. What the queue knows of holders is
    /// brought up to date only at its end, so cycles are searched for everywhere then.
    fn interrupt(&mut self, at: At<'_>, name: &[u8]) {
        self.mark_pending(at);
        let queue = self.queues_of(at).and_then(|queues| queues.find(name));
        if queue.is_some_and(|queue| !queue.exclusive.is_empty()) {
            self.suspects = Suspects::Any;
        }
    }

    /// The requests that earlier ones do not block: those of holders, and those of the blocked request's owner.
    fn passing(
        &self,
        store: &mut dyn Store,
        at: At<'_>,
        name: &[u8],
        blocked: Option<Arc<[u8]>>,
    ) -> Vec<WaiterId> {
        let Some(queue) = self.queues_of(at).and_then(|queues| queues.find(name)) else {
            return Vec::new();
        };
        let lock = store.locks(at).and_then(|locks| locks.lock(name));
        let holders: &[Holder] = lock.map_or(&[], |lock| &lock.holders);
        if queue.all.len() <= holders.len() {
            let passes = |id: &WaiterId| {
                let owner = &self.waiters[id].owner;
                let holds = lock.is_some_and(|lock| lock.holders.of_owner(owner).is_some());
                holds || blocked.as_ref() == Some(owner)
            };
            return self.live(queue).filter(passes).collect();
        }
        let owners = blocked.iter().chain(holders.iter().map(|holder| &holder.owner));
        let own = owners.filter_map(|owner| self.by_owner.get(owner)).flatten().copied();
        own.filter(|id| queue.all.contains(id)).collect()
    }

    fn next_waiter(&self, at: At<'_>, name: &[u8], from: WaiterId) -> Option<WaiterId> {
        let queue = self.queues_of(at)?.find(name)?;
        queue.all.range(from..).find(|id| self.waiters.contains_key(id)).copied()
    }

    /// Examines whether a waiting request can be granted on all its documents; `at` is the one being served.
    fn look(&mut self, store: &mut dyn Store, moment: Moment, at: At<'_>, id: WaiterId) -> Look {
        // An ended grant of its own owner must not be taken for one that is held.
        for nth in 0..self.waiters[&id].documents.len() {
            let document = self.waiters[&id].documents[nth].clone();
            self.end_due(store, moment, document.at());
        }
        self.spend(self.waiters[&id].documents.len() / LOOKS);
        let waiter = &self.waiters[&id];
        let mut can = Look::Can;
        for document in &waiter.documents {
            // The request gets `NOKEY` when that document is served.
            let Some(locks) = store.locks(document.at()) else { return Look::Elsewhere };
            let blocked = match availability(locks, &waiter.name, &waiter.owner, waiter.mode) {
                Availability::Held | Availability::Upgrade => continue,
                Availability::Blocked => Look::Blocked,
                Availability::Free => {
                    let (name, owner) = (&waiter.name, &waiter.owner);
                    match self.is_behind(document.at(), name, owner, waiter.mode, id) {
                        true => Look::Elsewhere,
                        false => continue,
                    }
                }
            };
            if document.at() == at && blocked == Look::Blocked {
                return Look::Blocked;
            }
            can = Look::Elsewhere;
        }
        can
    }

    fn serve_one(&mut self, store: &mut dyn Store, moment: Moment, id: WaiterId) {
        if !store.permits(id, &self.waiters[&id].documents) {
            self.end_waiting(id, Woken::Forbidden);
            return;
        }
        let waiter = self.take_waiter(id).expect("it waits");
        let documents: SmallVec<[At<'_>; 1]> =
            waiter.documents.iter().map(DocumentKey::at).collect();
        let ask = Ask {
            documents: &documents,
            name: &waiter.name,
            owner: &waiter.owner,
            mode: waiter.mode,
            lease_ms: waiter.lease_ms,
            ephemeral: waiter.ephemeral,
            waits: true,
        };
        let woken = match self.grant_all(store, moment, &ask) {
            Ok(grants) => Woken::Granted(waiter.documents.clone(), grants),
            Err(gone) => Woken::Gone(gone.to_document_key()),
        };
        self.spend(1 + documents.len());
        drop(documents);
        self.decisions.wakes.push(Wake { waiter: id, woken });
        self.ended.push(Ended { id, name: waiter.name, documents: waiter.documents });
    }
}
