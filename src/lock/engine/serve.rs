//! Who is next: what can be granted is granted, and who would wait for ever is told so.

use std::sync::Arc;

use smallvec::SmallVec;

use super::asking::{Standing, standing};
use super::slices::Ended;
use super::{Ask, Engine, Settled, Store, Suspects, Wake, Woken};
use crate::lock::held::{Holder, Locks, Mode};
use crate::lock::queue::WaiterId;
use crate::lock::{At, Moment, Place};
use crate::lock::{circles, graph};

/// What a waiter would find.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Can,
    /// A holder of the lock that is being served is in the way: of everybody behind, too.
    Blocked,
    /// Something else is.
    Elsewhere,
}

impl Engine {
    /// Does one slice of what is pending: grants what can be granted, ends what is over. Returns what has to be told
    /// since the last time.
    pub fn settle(&mut self, store: &mut dyn Store, moment: Moment) -> Settled {
        self.begin_slice();
        self.settle_slice(store, moment);
        std::mem::take(&mut self.settled)
    }

    pub(super) fn settle_slice(&mut self, store: &mut dyn Store, moment: Moment) {
        loop {
            self.clear_queues();
            self.end_closed(store);
            self.serve_all(store, moment);
            if self.left == 0 {
                return;
            }
            if !self.ended.is_empty() {
                continue;
            }
            match std::mem::take(&mut self.suspects) {
                Suspects::Nobody => return,
                Suspects::One(owner) => {
                    let mut steps = 0;
                    let waits = graph::waits_for_itself(self, &owner, &mut steps);
                    self.counters.steps += steps;
                    if waits {
                        self.refuse_circles();
                    }
                }
                Suspects::Anybody => self.refuse_circles(),
            }
        }
    }

    /// Refuses those who wait for each other, the first of each circle first.
    fn refuse_circles(&mut self) {
        let mut steps = 0;
        let all: Vec<WaiterId> = self.waiters.keys().copied().collect();
        let mut open = circles::find(self, &all, &mut steps);
        while let Some(mut circle) = open.pop() {
            let owners = circle.iter().map(|id| self.waiters[id].owner.clone()).collect();
            let first = circle
                .iter()
                .position(|id| graph::waits_for_any(self, *id, &owners, &mut steps))
                .expect("a circle is closed by requests");
            self.refuse(circle.remove(first));
            // Requests that end close no circle: what is left of this one is among its own.
            open.extend(circles::find(self, &circle, &mut steps));
        }
        self.counters.steps += steps;
    }

    fn refuse(&mut self, id: WaiterId) {
        self.counters.deadlocks += 1;
        self.end_waiting(id, Woken::Deadlock);
    }

    fn serve_all(&mut self, store: &mut dyn Store, moment: Moment) {
        // Each round ends a request or is the last one for its document.
        while self.left > 0
            && let Some(place) = self.unsettled.pop()
        {
            let Some(queues) = self.queues_mut(place.at()) else { continue };
            queues.pending = false;
            let names = queues.names();
            if store.locks(place.at()).is_none() {
                self.remove(place.at(), &Locks::default());
                continue;
            }
            for name in names {
                self.spend(1);
                self.serve(store, moment, place.at(), &name);
            }
        }
    }

    /// Grants a lock to those who can have it, in the order in which they came, as far as the slice goes.
    fn serve(&mut self, store: &mut dyn Store, moment: Moment, at: At<'_>, name: &[u8]) {
        let mut from = 0;
        // An owner whose further requests may be granted all the same.
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
                // It keeps out all behind it but its owner's own.
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

    /// Leaves the rest of a queue to the next slice. Its waiters keep their places. What the queue knows of holders is
    /// brought up to date only at its end, so cycles are searched for everywhere then.
    fn interrupt(&mut self, at: At<'_>, name: &[u8]) {
        self.unsettle(at);
        let queue = self.queues_of(at).and_then(|queues| queues.find(name));
        if queue.is_some_and(|queue| !queue.exclusive.is_empty()) {
            self.suspects = Suspects::Anybody;
        }
    }

    /// The requests that nobody before them can keep out: those of holders, and of the owner of the one that is
    /// blocked.
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

    /// Whether a waiter could be granted all it asks for; `at` is the document that is being served.
    fn look(&mut self, store: &mut dyn Store, moment: Moment, at: At<'_>, id: WaiterId) -> Look {
        // An ended grant of its own owner must not be taken for one that is held.
        for nth in 0..self.waiters[&id].places.len() {
            let place = self.waiters[&id].places[nth].clone();
            self.end_due(store, moment, place.at());
        }
        let waiter = &self.waiters[&id];
        let mut can = Look::Can;
        for place in &waiter.places {
            // It is told that this one is gone when that is settled.
            let Some(locks) = store.locks(place.at()) else { return Look::Elsewhere };
            let blocked = match standing(locks, &waiter.name, &waiter.owner, waiter.mode) {
                Standing::Held | Standing::Upgrade => continue,
                Standing::Blocked => Look::Blocked,
                Standing::Free => {
                    let (name, owner) = (&waiter.name, &waiter.owner);
                    match self.is_behind(place.at(), name, owner, waiter.mode, id) {
                        true => Look::Elsewhere,
                        false => continue,
                    }
                }
            };
            if place.at() == at && blocked == Look::Blocked {
                return Look::Blocked;
            }
            can = Look::Elsewhere;
        }
        can
    }

    fn serve_one(&mut self, store: &mut dyn Store, moment: Moment, id: WaiterId) {
        if !store.permits(id, &self.waiters[&id].places) {
            self.end_waiting(id, Woken::Forbidden);
            return;
        }
        let waiter = self.take_waiter(id).expect("it waits");
        let documents: SmallVec<[At<'_>; 1]> = waiter.places.iter().map(Place::at).collect();
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
            Ok(grants) => Woken::Granted(waiter.places.clone(), grants),
            Err(gone) => Woken::Gone(gone.to_place()),
        };
        self.spend(1 + documents.len());
        drop(documents);
        self.settled.wakes.push(Wake { waiter: id, woken });
        self.ended.push(Ended { id, name: waiter.name, places: waiter.places });
    }
}
