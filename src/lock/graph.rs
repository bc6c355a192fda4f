//! Who waits for whom: whether a request would close a cycle of owners.

use std::collections::HashSet;
use std::sync::Arc;

use super::engine::{Engine, Waiter};
use super::held::Mode;
use super::queue::{Queue, WaiterId};

/// Whether the newest request closes a circle. Nobody can wait for an owner who holds nothing that is
/// waited for and has no other request: that is most of them, and is seen without a search.
pub fn closes_cycle(engine: &Engine, newest: WaiterId) -> bool {
    let owner = &engine.waiters[&newest].owner;
    let awaited = engine.awaited.contains_key(owner) || engine.by_owner[owner].len() > 1;
    awaited && is_in_cycle(engine, newest)
}

/// Whether somebody whom this request waits for waits for its owner. The request stands in its queues.
///
/// An owner waits for the holders that keep its requests out, and for conflicting requests that came
/// earlier. Of those, the last one that wants the lock alone stands for all before it, which it waits for
/// itself; so the search takes steps in the number of owners, not of pairs.
pub fn is_in_cycle(engine: &Engine, waiter: WaiterId) -> bool {
    let owner = &engine.waiters[&waiter].owner;
    let mut search = Search { engine, seen: HashSet::new(), open: Vec::new() };
    search.follow(waiter);
    while let Some(next) = search.open.pop() {
        if next == *owner {
            return true;
        }
        for id in engine.by_owner.get(&next).into_iter().flatten() {
            search.follow(*id);
        }
    }
    false
}

struct Search<'e> {
    engine: &'e Engine,
    seen: HashSet<Arc<[u8]>>,
    open: Vec<Arc<[u8]>>,
}

impl Search<'_> {
    fn add(&mut self, owner: &Arc<[u8]>) {
        if self.seen.insert(owner.clone()) {
            self.open.push(owner.clone());
        }
    }

    /// Adds whom a request waits for.
    fn follow(&mut self, id: WaiterId) {
        let waiter = &self.engine.waiters[&id];
        for place in &waiter.places {
            let queues = self.engine.queues_of(place.at());
            let queue = queues.and_then(|queues| queues.find(&waiter.name));
            self.follow_queue(id, waiter, queue.expect("a waiter stands in its queues"));
        }
    }

    fn follow_queue(&mut self, id: WaiterId, waiter: &Waiter, queue: &Queue) {
        let mine = |owner: &Arc<[u8]>| *owner == waiter.owner;
        let own = queue.holders.iter().find(|(owner, _)| mine(owner));
        if own.is_some_and(|(_, mode)| mode.covers(waiter.mode)) {
            return;
        }
        for (owner, mode) in &queue.holders {
            if !mine(owner) && mode.conflicts(waiter.mode) {
                self.add(owner);
            }
        }
        // Who holds it already waits for other holders alone.
        if own.is_some() {
            return;
        }
        let ahead = if waiter.mode == Mode::Exclusive { &queue.all } else { &queue.exclusive };
        for earlier in ahead.range(..id).rev() {
            let other = &self.engine.waiters[earlier];
            if mine(&other.owner) {
                continue;
            }
            self.add(&other.owner);
            // Who holds it already does not wait for those before it.
            let holds = queue.holders.iter().any(|(owner, _)| *owner == other.owner);
            if other.mode == Mode::Exclusive && !holds {
                break;
            }
        }
    }
}
