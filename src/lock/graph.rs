//! The wait-for graph of owners, searched from one owner.
//!
//! A search has a budget: requests for many documents make graphs that take long to search. One that is too large is left to
//! [`super::cycles`], in a slice.

use std::collections::HashSet;
use std::sync::Arc;

use super::engine::{Engine, Waiter};
use super::queue::{Queue, WaiterId};
use super::state::Mode;

/// The steps of one search, each some hundred nanoseconds.
const STEPS_MAX: u64 = 1 << 17;

/// The result of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Cycle,
    NoCycle,
    /// The graph is too large.
    Undecided,
}

/// Searches for a deadlock cycle that the newest request closes. Most owners hold no lock that is waited for and have no
/// other request; no owner can be waiting for those, so there is no search.
pub fn closes_cycle(engine: &Engine, newest: WaiterId, steps: &mut u64) -> Found {
    let owner = &engine.waiters[&newest].owner;
    match engine.awaited.contains_key(owner) || engine.by_owner[owner].len() > 1 {
        true => search_cycle(engine, owner, &[newest], steps),
        false => Found::NoCycle,
    }
}

/// Searches for a way by which an owner waits for itself, directly or through others.
pub fn waits_for_itself(engine: &Engine, owner: &[u8], steps: &mut u64) -> Found {
    match engine.by_owner.get_key_value(owner) {
        Some((owner, own)) => search_cycle(engine, owner, own, steps),
        None => Found::NoCycle,
    }
}

/// Returns true if a request waits directly for one of these owners.
pub fn waits_for_any(
    engine: &Engine,
    id: WaiterId,
    owners: &HashSet<Arc<[u8]>>,
    steps: &mut u64,
) -> bool {
    let mut search = Search::new(engine);
    search.follow(id);
    *steps += search.steps;
    search.open.iter().any(|owner| owners.contains(owner))
}

/// Searches for the owner of these queued requests, starting from them.
///
/// An owner waits for conflicting holders and for conflicting earlier requests. Of those, only the last exclusive one is
/// followed: it waits for all before it itself. So the search takes steps in the number of owners, not of pairs.
fn search_cycle(engine: &Engine, owner: &Arc<[u8]>, own: &[WaiterId], steps: &mut u64) -> Found {
    let mut search = Search::new(engine);
    own.iter().for_each(|id| search.follow(*id));
    let mut found = Found::NoCycle;
    while let Some(next) = search.open.pop() {
        if next == *owner {
            found = Found::Cycle;
            break;
        }
        if search.steps > STEPS_MAX {
            found = Found::Undecided;
            break;
        }
        for id in engine.by_owner.get(&next).into_iter().flatten() {
            search.follow(*id);
        }
    }
    *steps += search.steps;
    found
}

struct Search<'e> {
    engine: &'e Engine,
    seen: HashSet<Arc<[u8]>>,
    open: Vec<Arc<[u8]>>,
    /// Queues whose holders were all added.
    held: HashSet<*const Queue>,
    /// The number of holders and requests visited.
    steps: u64,
}

impl<'e> Search<'e> {
    fn new(engine: &'e Engine) -> Search<'e> {
        let (seen, open, held) = (HashSet::new(), Vec::new(), HashSet::new());
        Search { engine, seen, open, held, steps: 0 }
    }

    fn add(&mut self, owner: &Arc<[u8]>) {
        if self.seen.insert(owner.clone()) {
            self.open.push(owner.clone());
        }
    }

    /// Adds the owners that a request waits for.
    fn follow(&mut self, id: WaiterId) {
        let waiter = &self.engine.waiters[&id];
        for document in &waiter.documents {
            let queues = self.engine.queues_of(document.at());
            let queue = queues.and_then(|queues| queues.find(&waiter.name));
            self.follow_queue(id, waiter, queue.expect("a waiting request is in its queues"));
        }
    }

    /// The mode in which an owner holds a queue's lock. Most owners of waiting requests hold no lock that is waited for.
    fn own(&mut self, queue: &Queue, owner: &Arc<[u8]>) -> Option<Mode> {
        self.steps += 1;
        if !self.engine.awaited.contains_key(owner) {
            return None;
        }
        self.steps += queue.holders.len() as u64;
        queue.holders.iter().find(|(known, _)| known == owner).map(|(_, mode)| *mode)
    }

    fn follow_queue(&mut self, id: WaiterId, waiter: &Waiter, queue: &Queue) {
        let mine = |owner: &Arc<[u8]>| *owner == waiter.owner;
        let own = self.own(queue, &waiter.owner);
        if own.is_some_and(|mode| mode.covers(waiter.mode)) {
            return;
        }
        // All exclusive requests of owners that do not hold the lock wait for the same holders.
        let all = own.is_none() && waiter.mode == Mode::Exclusive;
        if !all || self.held.insert(queue) {
            self.steps += queue.holders.len() as u64;
            for (owner, mode) in &queue.holders {
                if !mine(owner) && mode.conflicts(waiter.mode) {
                    self.add(owner);
                }
            }
        }
        // A holder that upgrades waits for other holders only.
        if own.is_some() {
            return;
        }
        let ahead = if waiter.mode == Mode::Exclusive { &queue.all } else { &queue.exclusive };
        for earlier in ahead.range(..id).rev() {
            let Some(other) = self.engine.waiters.get(earlier) else { continue };
            self.steps += 1;
            if mine(&other.owner) {
                continue;
            }
            self.add(&other.owner);
            // A holder that upgrades does not wait for earlier requests, so it cannot stand for them.
            if other.mode == Mode::Exclusive && self.own(queue, &other.owner).is_none() {
                break;
            }
        }
    }
}
