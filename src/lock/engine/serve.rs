//! Who is next: what can be granted is granted, and who would wait for ever is told so.

use std::sync::Arc;

use smallvec::SmallVec;

use super::asking::{Standing, standing};
use super::{Ask, Engine, Settled, Store, Suspects, Wake, Woken};
use crate::lock::held::{Locks, Mode};
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
    /// Grants what can be granted; gives what has to be told since the last time.
    pub fn settle(&mut self, store: &mut dyn Store, moment: Moment) -> Settled {
        self.settle_all(store, moment);
        std::mem::take(&mut self.settled)
    }

    pub(super) fn settle_all(&mut self, store: &mut dyn Store, moment: Moment) {
        self.serve_all(store, moment);
        loop {
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
            self.serve_all(store, moment);
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
        // Each round ends somebody's waiting or is the last one for its document.
        while let Some(place) = self.unsettled.pop() {
            let Some(queues) = self.queues_of(place.at()) else { continue };
            let names = queues.names();
            if store.locks(place.at()).is_none() {
                self.remove(place.at(), &Locks::default());
                continue;
            }
            for name in names {
                self.serve(store, moment, place.at(), &name);
            }
        }
    }

    /// Grants a lock to those who can have it, in the order in which they came.
    fn serve(&mut self, store: &mut dyn Store, moment: Moment, at: At<'_>, name: &[u8]) {
        let mut from = 0;
        // Owners whose further requests may be granted all the same.
        let mut owners: Vec<Arc<[u8]>> = Vec::new();
        while let Some(id) = self.next_waiter(at, name, from) {
            from = id + 1;
            let looked = self.look(store, at, id);
            if looked == Look::Can {
                self.serve_one(store, moment, id);
                continue;
            }
            let waiter = &self.waiters[&id];
            if looked == Look::Blocked || waiter.mode == Mode::Exclusive {
                // It keeps out all behind it but its owner's own.
                owners.push(waiter.owner.clone());
                break;
            }
        }
        // Who holds it already waits behind nobody.
        if let Some(locks) = store.locks(at) {
            owners.extend(locks.holders(name).iter().map(|holder| holder.owner.clone()));
        }
        for owner in owners {
            let own = self.by_owner.get(&owner).cloned().unwrap_or_default();
            for id in own {
                let waiter = &self.waiters[&id];
                let here = *waiter.name == *name && waiter.places.iter().any(|own| own.at() == at);
                if here && self.look(store, at, id) == Look::Can {
                    self.serve_one(store, moment, id);
                }
            }
        }
        self.learn_holders(store, at, name);
    }

    fn next_waiter(&self, at: At<'_>, name: &[u8], from: WaiterId) -> Option<WaiterId> {
        self.queues_of(at)?.find(name)?.all.range(from..).next().copied()
    }

    /// Whether a waiter could be granted all it asks for; `at` is the document that is being served.
    fn look(&self, store: &mut dyn Store, at: At<'_>, id: WaiterId) -> Look {
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
            Ok(grants) => Woken::Granted(grants),
            Err(gone) => Woken::Gone(gone.to_place()),
        };
        for at in &documents {
            if self.queues_of(*at).is_some() {
                self.unsettle(*at);
            }
        }
        drop(documents);
        self.settled.wakes.push(Wake { waiter: id, places: waiter.places, woken });
    }
}
