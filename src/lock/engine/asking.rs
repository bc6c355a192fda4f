//! A new request is granted, waits, or is refused.

use smallvec::SmallVec;

use super::{Answer, Ask, Engine, Grant, Store, Suspects, Waiter, deadlock};
use crate::error::{Error, ErrorCode, Result};
use crate::limit;
use crate::lock::graph::{self, Found};
use crate::lock::queue::{Queue, WaiterId};
use crate::lock::state::{Clients, Holder, LockEdit, Locks, Mode};
use crate::lock::{At, LockLimits, Moment};

/// The availability of one document's lock for a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Availability {
    /// The owner holds it already in this mode or a stronger one.
    Held,
    /// The owner is the only holder and requests the exclusive mode instead of the shared one.
    Upgrade,
    /// No holder conflicts; an earlier request may.
    Free,
    /// Another holder conflicts.
    Blocked,
}

pub(super) fn availability(locks: &Locks, name: &[u8], owner: &[u8], mode: Mode) -> Availability {
    let Some(lock) = locks.lock(name) else { return Availability::Free };
    let own = lock.holders.of_owner(owner);
    match own {
        Some(own) if own.mode.covers(mode) => Availability::Held,
        _ if lock.holders.block(owner, mode) => Availability::Blocked,
        Some(_) => Availability::Upgrade,
        None => Availability::Free,
    }
}

impl Engine {
    /// Decides a request. `NOKEY` where a document is missing, `DEADLOCK` where waiting would never end.
    pub fn ask(
        &mut self,
        store: &mut dyn Store,
        moment: Moment,
        limits: &LockLimits,
        ask: Ask<'_>,
    ) -> Result<Answer> {
        self.tick(store, moment);
        self.run_pending(store, moment);
        for at in ask.documents {
            self.end_due(store, moment, *at);
        }
        for at in ask.documents {
            let locks = store.locks(*at).ok_or_else(|| no_key(at.key))?;
            check_room(locks, &ask, limits)?;
        }
        if ask.documents.iter().all(|at| self.is_free(store, *at, &ask)) {
            let granted = self.grant_all(store, moment, &ask);
            self.run_pending(store, moment);
            return granted.map(Answer::Granted).map_err(|at| no_key(at.key));
        }
        if !ask.waits {
            return Ok(Answer::Busy);
        }
        let crowded = |at: &&At<'_>| self.waiters_of(**at, ask.name) as u64 >= limits.waiters;
        if let Some(at) = ask.documents.iter().find(crowded) {
            return Err(Error::limit(limit::LOCK_WAITERS, limits.waiters).text("key", at.key));
        }
        let drained = self.is_drained(moment);
        let waiter = self.enqueue(store, &ask);
        if !drained {
            // The wait-for graph is not known before all pending work is done; cycles are searched for then.
            self.leave_undecided(waiter);
            return Ok(Answer::Waits(waiter));
        }
        let mut steps = 0;
        let found = graph::closes_cycle(self, waiter, &mut steps);
        self.counters.steps += steps;
        match found {
            Found::NoCycle => {}
            Found::Undecided => self.leave_undecided(waiter),
            Found::Cycle => {
                self.counters.deadlocks += 1;
                self.cancel(waiter);
                self.run_pending(store, moment);
                return Err(deadlock().text("name", ask.name).text("owner", ask.owner));
            }
        }
        Ok(Answer::Waits(waiter))
    }

    /// Leaves it to a slice to find the cycles that a request closes.
    fn leave_undecided(&mut self, waiter: WaiterId) {
        self.suspects = Suspects::Any;
        self.undecided.push(waiter);
    }

    /// Returns true if a new request can be granted on a document.
    fn is_free(&self, store: &mut dyn Store, at: At<'_>, ask: &Ask<'_>) -> bool {
        let Some(locks) = store.locks(at) else { return false };
        match availability(locks, ask.name, ask.owner, ask.mode) {
            Availability::Held | Availability::Upgrade => true,
            Availability::Blocked => false,
            Availability::Free => !self.is_behind(at, ask.name, ask.owner, ask.mode, WaiterId::MAX),
        }
    }

    /// Returns true if a conflicting request of another owner has a lower number.
    pub(super) fn is_behind(
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
        let other = |waiter: &Waiter| *waiter.owner != *owner;
        ahead.range(..before).any(|id| self.waiters.get(id).is_some_and(other))
    }

    /// Grants the locks of all documents, which were free; or none, and returns a document that does not exist any more.
    pub(super) fn grant_all<'a>(
        &mut self,
        store: &mut dyn Store,
        moment: Moment,
        ask: &Ask<'a>,
    ) -> std::result::Result<SmallVec<[Grant; 1]>, At<'a>> {
        // All documents are looked up first, so that a grant hardly ever has to be taken back.
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

    /// `None` where the document does not exist any more: outside of commands a key can expire between two look-ups.
    fn grant(
        &mut self,
        store: &mut dyn Store,
        moment: Moment,
        at: At<'_>,
        ask: &Ask<'_>,
    ) -> Option<Grant> {
        let locks = store.locks(at)?;
        let now_ms = moment.steady_ms;
        let availability = availability(locks, ask.name, ask.owner, ask.mode);
        let holder = match locks.holder(ask.name, ask.owner) {
            Some(own) if availability == Availability::Held => extend(own, ask, moment),
            _ => {
                self.fences.see(locks.last_fence());
                self.counters.grants += 1;
                new_holder(ask, self.fences.issue(moment.unix_ms), now_ms)
            }
        };
        let grant = Grant { fence: holder.fence, lease_ms: holder.ends_ms - now_ms };
        self.change(locks, at, LockEdit::Grant { name: ask.name.into(), holder });
        self.suspect_holder(at, ask, availability);
        Some(grant)
    }

    /// A new shared holder, or an upgraded one, adds wait-for edges; a cycle is possible only if that holder waits as
    /// well.
    fn suspect_holder(&mut self, at: At<'_>, ask: &Ask<'_>, availability: Availability) {
        let Some((owner, _)) = self.by_owner.get_key_value(ask.owner) else { return };
        let queue = self.queues_of(at).and_then(|queues| queues.find(ask.name));
        let sharer = availability == Availability::Free && ask.mode == Mode::Shared;
        let upgraders = |queue: &Queue| !queue.holders.is_empty() && !queue.exclusive.is_empty();
        if queue.is_some_and(|queue| {
            availability == Availability::Upgrade || sharer && upgraders(queue)
        }) {
            self.suspects.add(&owner.clone());
        }
    }
}

fn new_holder(ask: &Ask<'_>, fence: u64, now_ms: u64) -> Holder {
    Holder {
        owner: ask.owner.into(),
        fence,
        mode: ask.mode,
        lease_ms: ask.lease_ms,
        ephemeral: ask.ephemeral.is_some(),
        ends_ms: now_ms.saturating_add(ask.lease_ms),
        clients: Clients::of(ask.ephemeral),
        again: false,
    }
}

/// The same grant, asked for again: nothing that its owner was told before is taken back. Replicas, the AOF and
/// the RDB record the length of the lease and the flag, so these must hold for both requests: the longer
/// lease, and no end with a connection unless both agreed to it, and then with the last of their connections.
fn extend(own: &Holder, ask: &Ask<'_>, moment: Moment) -> Holder {
    let ephemeral = own.ephemeral && ask.ephemeral.is_some();
    let mut clients = Clients::default();
    if ephemeral {
        clients.join(&own.clients);
        clients.join(&Clients::of(ask.ephemeral));
    }
    Holder {
        lease_ms: own.lease_ms.max(ask.lease_ms),
        ends_ms: own.ends_at(moment).max(moment.steady_ms.saturating_add(ask.lease_ms)),
        ephemeral,
        clients,
        again: true,
        ..own.clone()
    }
}

#[cold]
fn no_key(key: &[u8]) -> Error {
    Error::new(ErrorCode::NoKey, "the key is missing").text("key", key)
}

/// `LIMIT` where a document would have too many locks, or a lock too many holders.
fn check_room(locks: &Locks, ask: &Ask<'_>, limits: &LockLimits) -> Result<()> {
    let holders = locks.holders(ask.name);
    if holders.is_empty() {
        limits.check_names(1 + locks.names().len() as u64)?;
    }
    let new = locks.holder(ask.name, ask.owner).is_none();
    if new && ask.mode == Mode::Shared {
        limits.check_holders(1 + holders.len() as u64)?;
    }
    Ok(())
}
