//! The state machine: who asks, who is granted, who waits.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use super::fence::Fences;
use super::graph;
use super::held::{Holder, LockEdit, Locks, Mode};
use super::lease::Leases;
use super::queue::{Queue, Queues, WaiterId};
use super::{At, LockLimits, Moment, Place};
use crate::error::{Error, ErrorCode, Result};

/// Lends the locks of documents.
pub trait Store {
    /// The locks of the document that is there; none where there is no document.
    fn locks(&mut self, at: At<'_>) -> Option<&mut Locks>;
}

/// A request for the lock of one name, on one document or several at once.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Different ones.
    pub documents: &'a [At<'a>],
    pub name: &'a [u8],
    pub owner: &'a [u8],
    pub mode: Mode,
    pub lease_ms: u64,
    /// The grants end with this connection; 0 for one that is not known.
    pub ephemeral: Option<u64>,
    /// Whether it may wait.
    pub waits: bool,
}

/// What a grant gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    pub fence: u64,
    /// What is left of the lease.
    pub lease_ms: u64,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// One grant for each document.
    Granted(SmallVec<[Grant; 1]>),
    /// It is told by a [`Wake`].
    Waits(WaiterId),
    /// Others hold it or came before.
    Busy,
}

/// A waiter whose waiting is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wake {
    pub waiter: WaiterId,
    pub woken: Woken,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Woken {
    Granted(SmallVec<[Grant; 1]>),
    /// This document is gone.
    Gone(Place),
    /// It waits in a circle that was not there when it began: another owner came to hold what it wants, its
    /// own lost what it wanted more of, or databases were swapped.
    Deadlock,
}

/// What has to be told to others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settled {
    /// In order.
    pub changes: SmallVec<[(Place, LockEdit); 1]>,
    pub wakes: Vec<Wake>,
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub grants: u64,
    /// Leases that were over before their holder released the lock.
    pub expired: u64,
    pub deadlocks: u64,
}

/// The waiting of one server.
#[derive(Default)]
pub struct Engine {
    pub(super) queues: HashMap<i32, HashMap<Arc<[u8]>, Queues>>,
    pub(super) waiters: BTreeMap<WaiterId, Waiter>,
    /// The requests of each owner who waits.
    pub(super) by_owner: HashMap<Arc<[u8]>, SmallVec<[WaiterId; 1]>>,
    /// In how many queues each owner is known as a holder: whom somebody may be waiting for.
    pub(super) awaited: HashMap<Arc<[u8]>, u32>,
    last_waiter: WaiterId,
    leases: Leases,
    /// What ends with a connection: where, and by which fence.
    ephemerals: HashMap<u64, Vec<(Place, u64)>>,
    /// Documents where something has changed.
    unsettled: Vec<Place>,
    /// Whether holders came from elsewhere to where somebody waits: those who wait may now do so for each
    /// other.
    suspicious: bool,
    settled: Settled,
    fences: Fences,
    counters: Counters,
}

/// A request that waits.
pub(super) struct Waiter {
    pub places: SmallVec<[Place; 1]>,
    pub name: Arc<[u8]>,
    pub owner: Arc<[u8]>,
    pub mode: Mode,
    pub lease_ms: u64,
    pub ephemeral: Option<u64>,
}

/// What stands between a request and its lock on one document.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// The owner has it already, or more.
    Held,
    /// Nobody else holds it, but the owner wants it alone now.
    Upgrade,
    /// No holder is in the way; who came earlier may be.
    Free,
    /// A holder is.
    Blocked,
}

fn standing(locks: &Locks, name: &[u8], owner: &[u8], mode: Mode) -> Standing {
    let holders = locks.holders(name);
    let own = holders.iter().find(|holder| *holder.owner == *owner);
    if own.is_some_and(|own| own.mode.covers(mode)) {
        return Standing::Held;
    }
    let blocks = |holder: &Holder| *holder.owner != *owner && holder.mode.conflicts(mode);
    match own {
        _ if holders.iter().any(blocks) => Standing::Blocked,
        Some(_) => Standing::Upgrade,
        None => Standing::Free,
    }
}

impl Engine {
    pub fn counters(&self) -> Counters {
        self.counters
    }

    pub fn fences(&mut self) -> &mut Fences {
        &mut self.fences
    }

    /// How many requests wait.
    pub fn waiting(&self) -> usize {
        self.waiters.len()
    }

    /// How many grants there are, of all documents.
    pub fn held(&self) -> usize {
        self.leases.held()
    }

    /// How many documents are watched for leases that end.
    pub fn watched(&self) -> usize {
        self.leases.len()
    }

    /// Whether nothing is kept: nobody waits, and nothing is held.
    pub fn is_idle(&self) -> bool {
        let empty = self.waiters.is_empty() && self.by_owner.is_empty() && self.awaited.is_empty();
        let quiet = self.leases.len() == 0 && self.ephemerals.is_empty();
        empty && quiet && self.queues.is_empty() && self.unsettled.is_empty()
    }

    /// How many requests wait for a lock.
    pub fn waiters_of(&self, at: At<'_>, name: &[u8]) -> usize {
        self.queues_of(at).and_then(|queues| queues.find(name)).map_or(0, |queue| queue.all.len())
    }

    /// The names that requests wait for on a document.
    pub fn names_awaited(&self, at: At<'_>) -> Vec<Arc<[u8]>> {
        self.queues_of(at).map_or_else(Vec::new, |queues| queues.names().to_vec())
    }

    /// When the next lease ends, on the steady clock.
    pub fn next_end(&self) -> Option<u64> {
        self.leases.first()
    }

    /// Whether [`Engine::settle`] has something to do or to give.
    #[inline]
    pub fn is_settled(&self) -> bool {
        self.unsettled.is_empty()
            && self.settled.changes.is_empty()
            && self.settled.wakes.is_empty()
    }

    /// A request. `NOKEY` where a document is missing, `DEADLOCK` where waiting would never end.
    pub fn ask(
        &mut self,
        store: &mut dyn Store,
        moment: Moment,
        limits: &LockLimits,
        ask: Ask<'_>,
    ) -> Result<Answer> {
        self.tick(store, moment);
        self.settle_all(store, moment);
        for at in ask.documents {
            let locks = store.locks(*at).ok_or_else(|| no_key(at.key))?;
            check_room(locks, &ask, limits)?;
        }
        if ask.documents.iter().all(|at| self.is_free(store, *at, &ask)) {
            let grants = ask.documents.iter();
            let grants = grants.map(|at| self.grant(store, moment, *at, &ask)).collect();
            self.settle_all(store, moment);
            return Ok(Answer::Granted(grants));
        }
        if !ask.waits {
            return Ok(Answer::Busy);
        }
        let crowded = |at: &&At<'_>| self.waiters_of(**at, ask.name) as u64 >= limits.waiters;
        if let Some(at) = ask.documents.iter().find(crowded) {
            return Err(Error::limit("model.lock-waiters", limits.waiters).text("key", at.key));
        }
        let waiter = self.enqueue(store, &ask);
        if graph::closes_cycle(self, waiter) {
            self.counters.deadlocks += 1;
            self.cancel(waiter);
            self.settle_all(store, moment);
            return Err(deadlock().text("name", ask.name).text("owner", ask.owner));
        }
        Ok(Answer::Waits(waiter))
    }

    /// Whether a request that has just come can be granted on a document, which is there.
    fn is_free(&self, store: &mut dyn Store, at: At<'_>, ask: &Ask<'_>) -> bool {
        let Some(locks) = store.locks(at) else { return false };
        match standing(locks, ask.name, ask.owner, ask.mode) {
            Standing::Held | Standing::Upgrade => true,
            Standing::Blocked => false,
            Standing::Free => !self.is_behind(at, ask.name, ask.owner, ask.mode, WaiterId::MAX),
        }
    }

    /// Whether a conflicting request of another owner came before this number.
    fn is_behind(
        &self,
        at: At<'_>,
        name: &[u8],
        owner: &[u8],
        mode: Mode,
        before: WaiterId,
    ) -> bool {
        let Some(queue) = self.queues_of(at).and_then(|queues| queues.find(name)) else {
            return false;
        };
        let ahead = if mode == Mode::Exclusive { &queue.all } else { &queue.exclusive };
        ahead.range(..before).any(|waiter| *self.waiters[waiter].owner != *owner)
    }

    fn grant(&mut self, store: &mut dyn Store, moment: Moment, at: At<'_>, ask: &Ask<'_>) -> Grant {
        let locks = store.locks(at).expect("the document is there");
        let now_ms = moment.steady_ms;
        let mut ends_ms = now_ms.saturating_add(ask.lease_ms);
        let mut mode = ask.mode;
        let standing = standing(locks, ask.name, ask.owner, ask.mode);
        let fence = match locks.holder_mut(ask.name, ask.owner) {
            // The same grant again, whose lease is not cut short.
            Some(own) if standing == Standing::Held => {
                ends_ms = ends_ms.max(own.ends_ms);
                mode = own.mode;
                own.fence
            }
            _ => {
                self.fences.see(locks.last_fence());
                self.counters.grants += 1;
                self.fences.issue(moment.unix_ms)
            }
        };
        let holder = Holder {
            owner: ask.owner.into(),
            fence,
            mode,
            lease_ms: ask.lease_ms,
            ephemeral: ask.ephemeral.is_some(),
            ends_ms,
            client: ask.ephemeral.unwrap_or(0),
        };
        self.change(locks, at, LockEdit::Grant { name: ask.name.into(), holder });
        if self.queues_of(at).is_some() {
            // Who waits to share it, or to hold alone what it shares, now waits for one owner more.
            let waits = |(owner, _): &(Arc<[u8]>, Mode)| self.by_owner.contains_key(owner);
            let queue = self.queues_of(at).and_then(|queues| queues.find(ask.name));
            let sharer = standing == Standing::Free && ask.mode == Mode::Shared;
            self.suspicious |= standing == Standing::Upgrade
                || (sharer && queue.is_some_and(|queue| queue.holders.iter().any(waits)));
        }
        Grant { fence, lease_ms: ends_ms - now_ms }
    }

    /// Makes a change of a document's locks, to be told to others.
    fn change(&mut self, locks: &mut Locks, at: At<'_>, edit: LockEdit) {
        let before = self.leases.place(locks.watch(), at);
        self.make(locks, at, &edit);
        let place = before.or_else(|| self.leases.place(locks.watch(), at));
        self.settled.changes.push((place.unwrap_or_else(|| at.to_place()), edit));
    }

    /// Makes a change of a document's locks, and keeps what this server knows of them.
    fn make(&mut self, locks: &mut Locks, at: At<'_>, edit: &LockEdit) -> bool {
        let over = locks.apply(edit);
        if let Some(over) = &over {
            self.end_ephemeral(over);
        }
        if let LockEdit::Grant { holder, .. } = edit
            && holder.client != 0
        {
            let entry = (at.to_place(), holder.fence);
            self.ephemerals.entry(holder.client).or_default().push(entry);
        }
        self.watch(locks, at);
        if self.queues_of(at).is_some() {
            self.unsettle(at);
            // Who waited to hold it alone, and holds it no longer, now waits for those before it, too.
            let released = over.as_ref().filter(|_| matches!(edit, LockEdit::Release { .. }));
            self.suspicious |=
                released.is_some_and(|over| self.by_owner.contains_key(&*over.owner));
        }
        over.is_some()
    }

    fn end_ephemeral(&mut self, over: &Holder) {
        if over.client == 0 {
            return;
        }
        if let Some(held) = self.ephemerals.get_mut(&over.client) {
            held.retain(|(_, fence)| *fence != over.fence);
            if held.is_empty() {
                self.ephemerals.remove(&over.client);
            }
        }
    }

    /// Looks at the document when its first lease ends.
    fn watch(&mut self, locks: &mut Locks, at: At<'_>) {
        match locks.first_end() {
            Some(Holder::UNSTARTED) | None => {
                if locks.watch() != 0 {
                    self.leases.forget(locks.watch(), at);
                    locks.set_watch(0);
                }
            }
            Some(ends_ms) => {
                let (watch, held) = (locks.watch(), locks.held());
                locks.set_watch(self.leases.watch(watch, at, ends_ms, held));
            }
        }
    }

    fn unsettle(&mut self, at: At<'_>) {
        if !self.unsettled.iter().any(|known| known.at() == at) {
            self.unsettled.push(at.to_place());
        }
    }

    pub(super) fn queues_of(&self, at: At<'_>) -> Option<&Queues> {
        self.queues.get(&at.db)?.get(at.key)
    }

    fn queue_mut(&mut self, at: At<'_>, name: &[u8]) -> Option<&mut Queue> {
        self.queues.get_mut(&at.db)?.get_mut(at.key)?.find_mut(name)
    }

    fn enqueue(&mut self, store: &mut dyn Store, ask: &Ask<'_>) -> WaiterId {
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
        let places: SmallVec<[Place; 1]> = ask.documents.iter().map(|at| at.to_place()).collect();
        for place in &places {
            let queues = self.queues.entry(place.db).or_default();
            queues.entry(place.key.clone()).or_default().push(&name, id, ask.mode);
        }
        let waiter = Waiter {
            places: places.clone(),
            name,
            owner,
            mode: ask.mode,
            lease_ms: ask.lease_ms,
            ephemeral: ask.ephemeral,
        };
        self.waiters.insert(id, waiter);
        for place in &places {
            self.learn_holders(store, place.at(), ask.name);
        }
        id
    }

    /// Keeps what a queue knows of its holders as it is.
    fn learn_holders(&mut self, store: &mut dyn Store, at: At<'_>, name: &[u8]) {
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

    /// A waiter waits no longer. Nothing happens if it did not.
    pub fn cancel(&mut self, id: WaiterId) {
        let Some(waiter) = self.take_waiter(id) else { return };
        for place in waiter.places {
            if self.queues_of(place.at()).is_some() {
                self.unsettle(place.at());
            }
        }
    }

    fn take_waiter(&mut self, id: WaiterId) -> Option<Waiter> {
        let waiter = self.waiters.remove(&id)?;
        if let Some(ids) = self.by_owner.get_mut(&waiter.owner) {
            ids.retain(|known| *known != id);
            if ids.is_empty() {
                self.by_owner.remove(&waiter.owner);
            }
        }
        for place in &waiter.places {
            let keys = self.queues.get_mut(&place.db).expect("a waiter stands in its queues");
            let queues = keys.get_mut(&place.key).expect("a waiter stands in its queues");
            let left = queues.remove(&waiter.name, id);
            if queues.is_empty() {
                keys.remove(&place.key);
                if keys.is_empty() {
                    self.queues.remove(&place.db);
                }
            }
            if let Some(left) = left {
                self.forget_holders(&left.holders);
            }
        }
        Some(waiter)
    }

    /// Begins a new lease; gives its length. `LOCKLOST` unless the grant holds the lock.
    pub fn renew(
        &mut self,
        store: &mut dyn Store,
        moment: Moment,
        at: At<'_>,
        grant: Held<'_>,
        lease_ms: Option<u64>,
    ) -> Result<u64> {
        self.tick(store, moment);
        let Some(locks) = store.locks(at) else { return Err(lost(at.key, &grant)) };
        locks.start(moment.steady_ms);
        let Some(holder) = locks.holding(grant.name, grant.owner, grant.fence, moment.steady_ms)
        else {
            return Err(lost(at.key, &grant));
        };
        let lease_ms = lease_ms.unwrap_or(holder.lease_ms);
        let ends_ms = moment.steady_ms.saturating_add(lease_ms);
        let holder = Holder { lease_ms, ends_ms, ..holder.clone() };
        self.change(locks, at, LockEdit::Grant { name: grant.name.into(), holder });
        Ok(lease_ms)
    }

    /// Ends a grant. `LOCKLOST` unless it holds the lock.
    pub fn unlock(
        &mut self,
        store: &mut dyn Store,
        moment: Moment,
        at: At<'_>,
        grant: Held<'_>,
    ) -> Result<()> {
        self.tick(store, moment);
        let Some(locks) = store.locks(at) else { return Err(lost(at.key, &grant)) };
        locks.start(moment.steady_ms);
        if locks.holding(grant.name, grant.owner, grant.fence, moment.steady_ms).is_none() {
            return Err(lost(at.key, &grant));
        }
        let (name, fence) = (locks.name(grant.name), grant.fence);
        self.change(locks, at, LockEdit::Release { name, fence });
        Ok(())
    }

    /// Ends all grants of a lock, whoever holds it; gives how many there were.
    pub fn force(
        &mut self,
        store: &mut dyn Store,
        moment: Moment,
        at: At<'_>,
        name: &[u8],
    ) -> usize {
        self.tick(store, moment);
        let Some(locks) = store.locks(at) else { return 0 };
        let fences: Vec<u64> = locks.holders(name).iter().map(|holder| holder.fence).collect();
        for fence in &fences {
            self.change(locks, at, LockEdit::Release { name: name.into(), fence: *fence });
        }
        fences.len()
    }

    /// Ends a grant that was judged already. `told` says that others hear of it in another way.
    pub fn release(
        &mut self,
        store: &mut dyn Store,
        at: At<'_>,
        name: &[u8],
        fence: u64,
        told: bool,
    ) {
        let Some(locks) = store.locks(at) else { return };
        let edit = LockEdit::Release { name: locks.name(name), fence };
        if self.make(locks, at, &edit) && !told {
            self.settled.changes.push((at.to_place(), edit));
        }
    }

    /// Repeats a change that was made elsewhere.
    pub fn repeat(&mut self, store: &mut dyn Store, moment: Moment, at: At<'_>, edit: &LockEdit) {
        let Some(locks) = store.locks(at) else { return };
        if let LockEdit::Grant { holder, .. } = edit {
            self.fences.see(holder.fence);
        }
        self.make(locks, at, edit);
        locks.start(moment.steady_ms);
        self.watch(locks, at);
        self.suspicious |= self.queues_of(at).is_some();
    }

    /// A document came here with its locks: it was loaded, restored or renamed.
    pub fn adopt(&mut self, store: &mut dyn Store, moment: Moment, at: At<'_>) {
        let Some(locks) = store.locks(at) else { return };
        self.fences.see(locks.last_fence());
        locks.start(moment.steady_ms);
        self.watch(locks, at);
        for holder in locks.names().iter().flat_map(|lock| &lock.holders) {
            if holder.client != 0 {
                let held = self.ephemerals.entry(holder.client).or_default();
                match held.iter_mut().find(|(_, fence)| *fence == holder.fence) {
                    Some((place, _)) => *place = at.to_place(),
                    None => held.push((at.to_place(), holder.fence)),
                }
            }
        }
        if self.queues_of(at).is_some() {
            self.unsettle(at);
            self.suspicious = true;
        }
    }

    /// Ends all grants of a document that took the place of one that was deleted, and whose locks it
    /// has; who waited for one of them is told that that one is gone.
    pub fn end_all(&mut self, store: &mut dyn Store, at: At<'_>) {
        self.send_away(at);
        let Some(locks) = store.locks(at) else { return };
        for edit in locks.ended(Holder::UNSTARTED) {
            self.change(locks, at, edit);
        }
    }

    /// A document is gone, with its locks. Who waited for one of them is told.
    pub fn remove(&mut self, at: At<'_>, locks: &Locks) {
        for holder in locks.names().iter().flat_map(|lock| &lock.holders) {
            self.end_ephemeral(holder);
        }
        self.leases.forget(locks.watch(), at);
        self.send_away(at);
    }

    fn send_away(&mut self, at: At<'_>) {
        let Some(queues) = self.queues_of(at) else { return };
        let gone: Vec<WaiterId> = queues.all().flat_map(|queue| &queue.all).copied().collect();
        for id in gone {
            let Some(waiter) = self.take_waiter(id) else { continue };
            for place in waiter.places {
                if place.at() != at && self.queues_of(place.at()).is_some() {
                    self.unsettle(place.at());
                }
            }
            self.settled.wakes.push(Wake { waiter: id, woken: Woken::Gone(at.to_place()) });
        }
    }

    /// All documents of a database are gone, or of all.
    pub fn flush(&mut self, db: Option<i32>) {
        let of_db = |place: &Place| db.is_none_or(|db| place.db == db);
        self.leases.flush(db);
        self.ephemerals.retain(|_, held| {
            held.retain(|(place, _)| !of_db(place));
            !held.is_empty()
        });
        let gone: Vec<(WaiterId, Place)> = self
            .waiters
            .iter()
            .filter_map(|(id, waiter)| {
                waiter.places.iter().find(|place| of_db(place)).map(|place| (*id, place.clone()))
            })
            .collect();
        for (id, place) in gone {
            self.cancel(id);
            self.settled.wakes.push(Wake { waiter: id, woken: Woken::Gone(place) });
        }
    }

    /// Two databases change places. Who waits goes on where its connection is.
    pub fn swap(&mut self, one: i32, other: i32) {
        self.leases.swap(one, other);
        for (place, _) in self.ephemerals.values_mut().flatten() {
            if place.db == one {
                place.db = other;
            } else if place.db == other {
                place.db = one;
            }
        }
        for db in [one, other] {
            let keys = self.queues.get(&db).into_iter().flatten();
            let places: Vec<Place> = keys.map(|(key, _)| Place { db, key: key.clone() }).collect();
            places.iter().for_each(|place| self.unsettle(place.at()));
        }
        self.suspicious = true;
    }

    /// A connection is closed: what was to end with it ends.
    pub fn disconnect(&mut self, store: &mut dyn Store, client: u64) {
        for (place, fence) in self.ephemerals.remove(&client).unwrap_or_default() {
            self.give_back(store, place.at(), fence);
        }
    }

    /// Ends a grant that nobody heard of, or that nobody holds any more.
    pub fn give_back(&mut self, store: &mut dyn Store, at: At<'_>, fence: u64) {
        let Some(locks) = store.locks(at) else { return };
        let holds = |holders: &[Holder]| holders.iter().any(|holder| holder.fence == fence);
        let name = locks.names().iter().find(|lock| holds(&lock.holders));
        if let Some(name) = name.map(|lock| lock.name.clone()) {
            self.change(locks, at, LockEdit::Release { name, fence });
        }
    }

    /// Whether something is to end with this connection.
    pub fn has_ephemerals(&self, client: u64) -> bool {
        self.ephemerals.contains_key(&client)
    }

    /// This server has become the master: all leases begin anew, and no connection is its own.
    pub fn restart_leases(&mut self, store: &mut dyn Store, moment: Moment) {
        self.ephemerals.clear();
        for place in self.leases.places() {
            if let Some(locks) = store.locks(place.at()) {
                locks.unstart();
            }
            self.adopt(store, moment, place.at());
        }
    }

    /// Ends the leases that are over.
    pub fn tick(&mut self, store: &mut dyn Store, moment: Moment) {
        while let Some(place) = self.leases.take_ended(moment.steady_ms) {
            self.end_leases(store, moment, place.at());
        }
    }

    fn end_leases(&mut self, store: &mut dyn Store, moment: Moment, at: At<'_>) {
        let Some(locks) = store.locks(at) else { return };
        locks.start(moment.steady_ms);
        for edit in locks.ended(moment.steady_ms) {
            self.counters.expired += 1;
            self.change(locks, at, edit);
        }
        self.watch(locks, at);
    }

    /// Grants what can be granted; gives what has to be told since the last time.
    pub fn settle(&mut self, store: &mut dyn Store, moment: Moment) -> Settled {
        self.settle_all(store, moment);
        std::mem::take(&mut self.settled)
    }

    fn settle_all(&mut self, store: &mut dyn Store, moment: Moment) {
        self.serve_all(store, moment);
        while std::mem::take(&mut self.suspicious) {
            self.refuse_all_cycles();
            self.serve_all(store, moment);
        }
    }

    /// Refuses those who wait for each other, the first of them first.
    fn refuse_all_cycles(&mut self) {
        let all: Vec<WaiterId> = self.waiters.keys().copied().collect();
        all.into_iter().for_each(|id| self.refuse_cycle(id));
    }

    fn refuse_cycle(&mut self, id: WaiterId) {
        if graph::is_in_cycle(self, id) {
            self.counters.deadlocks += 1;
            self.cancel(id);
            self.settled.wakes.push(Wake { waiter: id, woken: Woken::Deadlock });
        }
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
        let mut grants = smallvec![];
        for at in &documents {
            grants.push(self.grant(store, moment, *at, &ask));
            if self.queues_of(*at).is_some() {
                self.unsettle(*at);
            }
        }
        self.settled.wakes.push(Wake { waiter: id, woken: Woken::Granted(grants) });
    }
}

/// What a waiter would find.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Can,
    /// A holder of the lock that is being served is in the way: of everybody behind, too.
    Blocked,
    /// Something else is.
    Elsewhere,
}

/// A grant as its holder knows it.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    pub name: &'a [u8],
    pub owner: &'a [u8],
    pub fence: u64,
}

#[cold]
fn no_key(key: &[u8]) -> Error {
    Error::new(ErrorCode::NoKey, "the key is missing").text("key", key)
}

/// The refusal where waiting would never end.
#[cold]
pub fn deadlock() -> Error {
    Error::new(ErrorCode::Deadlock, "owners would wait for each other for ever")
}

/// The refusal where a lock is not held by a grant.
#[cold]
pub fn lost(key: &[u8], grant: &Held<'_>) -> Error {
    Error::new(ErrorCode::LockLost, "the lock is not held by this grant")
        .text("key", key)
        .text("name", grant.name)
        .text("owner", grant.owner)
        .integer("fence", grant.fence as i64)
}

/// `LIMIT` where a document would have too many locks, or a lock too many holders.
fn check_room(locks: &Locks, ask: &Ask<'_>, limits: &LockLimits) -> Result<()> {
    let holders = locks.holders(ask.name);
    if holders.is_empty() && locks.names().len() as u64 >= limits.names {
        return Err(Error::limit("model.lock-names", limits.names));
    }
    let new = !holders.iter().any(|holder| *holder.owner == *ask.owner);
    if new && ask.mode == Mode::Shared && holders.len() as u64 >= limits.holders {
        return Err(Error::limit("model.lock-holders", limits.holders));
    }
    Ok(())
}
