//! The queues of waiting requests for the locks of one document.

use std::collections::BTreeSet;
use std::sync::Arc;

use smallvec::SmallVec;

use super::state::{Locks, Mode};

/// The number of a request. Numbers grow, so their order is that of arrival.
pub type WaiterId = u64;

/// The waiting requests for one lock, and its holders as of the last time that the queue was served.
pub struct Queue {
    pub name: Arc<[u8]>,
    pub all: BTreeSet<WaiterId>,
    /// The exclusive ones among them.
    pub exclusive: BTreeSet<WaiterId>,
    /// The holders as of the last time that the queue was served.
    pub holders: Vec<(Arc<[u8]>, Mode)>,
}

impl Queue {
    fn new(name: Arc<[u8]>) -> Queue {
        Queue { name, all: BTreeSet::new(), exclusive: BTreeSet::new(), holders: Vec::new() }
    }

    /// Flag: the known holders are those of the document.
    pub fn knows(&self, locks: &Locks) -> bool {
        let held = locks.holders(&self.name);
        held.len() == self.holders.len()
            && held
                .iter()
                .zip(&self.holders)
                .all(|(holder, (owner, mode))| holder.mode == *mode && *holder.owner == **owner)
    }
}

/// The queues of one document. Empty ones are not kept.
#[derive(Default)]
pub struct Queues {
    list: SmallVec<[Queue; 1]>,
    /// Flag: the document is listed as pending.
    pub pending: bool,
}

impl Queues {
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn find(&self, name: &[u8]) -> Option<&Queue> {
        self.list.iter().find(|queue| *queue.name == *name)
    }

    pub fn find_mut(&mut self, name: &[u8]) -> Option<&mut Queue> {
        self.list.iter_mut().find(|queue| *queue.name == *name)
    }

    pub fn names(&self) -> SmallVec<[Arc<[u8]>; 1]> {
        self.list.iter().map(|queue| queue.name.clone()).collect()
    }

    pub fn all(&self) -> impl Iterator<Item = &Queue> {
        self.list.iter()
    }

    pub fn push(&mut self, name: &Arc<[u8]>, waiter: WaiterId, mode: Mode) {
        let nth = self.list.iter().position(|queue| queue.name == *name).unwrap_or_else(|| {
            self.list.push(Queue::new(name.clone()));
            self.list.len() - 1
        });
        let queue = &mut self.list[nth];
        queue.all.insert(waiter);
        if mode == Mode::Exclusive {
            queue.exclusive.insert(waiter);
        }
    }

    /// Removes a request. Returns the queue if it is empty, and removes that, too.
    pub fn remove(&mut self, name: &[u8], waiter: WaiterId) -> Option<Queue> {
        let nth = self.list.iter().position(|queue| *queue.name == *name)?;
        let queue = &mut self.list[nth];
        queue.all.remove(&waiter);
        queue.exclusive.remove(&waiter);
        queue.all.is_empty().then(|| self.list.remove(nth))
    }
}
