//! The state machine: who asks, who is granted, who waits. What happens to documents and connections is
//! in `events`, who is next in `serve`, and what holders do with their grants in `grants`.

mod events;
mod grants;
mod serve;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use smallvec::SmallVec;

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
    /// Holders and requests that were looked at in search of circles.
    pub steps: u64,
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
    /// What ends with a connection: by which fence, and where.
    ephemerals: HashMap<u64, BTreeMap<u64, Place>>,
    /// Documents where something has changed.
    unsettled: Vec<Place>,
    suspects: Suspects,
    settled: Settled,
    fences: Fences,
    counters: Counters,
}

/// Through whom a circle may go that was not there when its requests began to wait.
#[derive(Default)]
enum Suspects {
    #[default]
    Nobody,
    One(Arc<[u8]>),
    /// Holders came from elsewhere to where somebody waits, or it is about several.
    Anybody,
}

impl Suspects {
    fn add(&mut self, owner: &Arc<[u8]>) {
        match self {
            Suspects::Nobody => *self = Suspects::One(owner.clone()),
            Suspects::One(known) if known == owner => {}
            Suspects::One(_) | Suspects::Anybody => *self = Suspects::Anybody,
        }
    }
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
            let granted = self.grant_all(store, moment, &ask);
            self.settle_all(store, moment);
            return granted.map(Answer::Granted).map_err(|at| no_key(at.key));
        }
        if !ask.waits {
            return Ok(Answer::Busy);
        }
        let crowded = |at: &&At<'_>| self.waiters_of(**at, ask.name) as u64 >= limits.waiters;
        if let Some(at) = ask.documents.iter().find(crowded) {
            return Err(Error::limit("model.lock-waiters", limits.waiters).text("key", at.key));
        }
        let waiter = self.enqueue(store, &ask);
        let mut steps = 0;
        let closes = graph::closes_cycle(self, waiter, &mut steps);
        self.counters.steps += steps;
        if closes {
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

    /// Grants all that is asked for, which was free; or nothing, and gives a document that is gone.
    fn grant_all<'a>(
        &mut self,
        store: &mut dyn Store,
        moment: Moment,
        ask: &Ask<'a>,
    ) -> std::result::Result<SmallVec<[Grant; 1]>, At<'a>> {
        // All are looked at first, so that hardly ever anything has to be taken back.
        if let Some(gone) = ask.documents.iter().find(|at| store.locks(**at).is_none()) {
            return Err(*gone);
        }
        let mut grants: SmallVec<[Grant; 1]> = SmallVec::new();
        for at in ask.documents {
            match self.grant(store, moment, *at, ask) {
                Some(grant) => grants.push(grant),
                None => {
                    for (at, grant) in ask.documents.iter().zip(&grants) {
                        self.give_back(store, *at, grant.fence);
                    }
                    return Err(*at);
                }
            }
        }
        Ok(grants)
    }

    /// `None` where the document is gone: outside of commands a key can expire between any two looks.
    fn grant(
        &mut self,
        store: &mut dyn Store,
        moment: Moment,
        at: At<'_>,
        ask: &Ask<'_>,
    ) -> Option<Grant> {
        let locks = store.locks(at)?;
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
            again: standing == Standing::Held,
        };
        self.change(locks, at, LockEdit::Grant { name: ask.name.into(), holder });
        self.suspect_holder(at, ask, standing);
        Some(Grant { fence, lease_ms: ends_ms - now_ms })
    }

    /// Who waits to share what was granted, or to hold alone what it shares, now waits for one owner more.
    /// That makes a circle only if that one waits, too.
    fn suspect_holder(&mut self, at: At<'_>, ask: &Ask<'_>, standing: Standing) {
        let Some((owner, _)) = self.by_owner.get_key_value(ask.owner) else { return };
        let queue = self.queues_of(at).and_then(|queues| queues.find(ask.name));
        let sharer = standing == Standing::Free && ask.mode == Mode::Shared;
        let upgraders = |queue: &Queue| !queue.holders.is_empty() && !queue.exclusive.is_empty();
        if queue.is_some_and(|queue| standing == Standing::Upgrade || sharer && upgraders(queue)) {
            self.suspects.add(&owner.clone());
        }
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
            let held = self.ephemerals.entry(holder.client).or_default();
            held.insert(holder.fence, at.to_place());
        }
        self.watch(locks, at);
        if self.queues_of(at).is_some() {
            self.unsettle(at);
            if let (LockEdit::Release { name, .. }, Some(over)) = (edit, &over) {
                self.suspect_former(at, name, over);
            }
        }
        over.is_some()
    }

    /// Who waited to hold it alone, and holds it no longer, now waits for those before it, too.
    fn suspect_former(&mut self, at: At<'_>, name: &[u8], over: &Holder) {
        let waits = self.by_owner.contains_key(&over.owner);
        if waits && self.queues_of(at).is_some_and(|queues| queues.find(name).is_some()) {
            self.suspects.add(&over.owner);
        }
    }

    /// Ends all grants that are over at once; gives how many there were.
    fn release_all(
        &mut self,
        locks: &mut Locks,
        at: At<'_>,
        is_over: impl Fn(&[u8], &Holder) -> bool,
    ) -> usize {
        let place = self.leases.place(locks.watch(), at).unwrap_or_else(|| at.to_place());
        let released = locks.release_all(is_over);
        let count = released.len();
        for (name, over) in released {
            self.end_ephemeral(&over);
            self.suspect_former(at, &name, &over);
            let edit = LockEdit::Release { name, fence: over.fence };
            self.settled.changes.push((place.clone(), edit));
        }
        self.watch(locks, at);
        if count > 0 && self.queues_of(at).is_some() {
            self.unsettle(at);
        }
        count
    }

    fn end_ephemeral(&mut self, over: &Holder) {
        if over.client == 0 {
            return;
        }
        if let Some(held) = self.ephemerals.get_mut(&over.client) {
            held.remove(&over.fence);
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
