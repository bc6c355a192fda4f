//! The holders of one lock, in the order of their grants.
//!
//! Fences grow, so that order is the order of fences, and a grant is found by its fence in a binary search. An owner
//! is found by comparing, among many through an index: a lock may have thousands of sharers, and each of
//! them asks, renews and releases.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use smallvec::SmallVec;

use super::state::{Holder, Mode};

/// From this number on, owners are indexed.
const MANY: usize = 32;

#[derive(Clone, Debug, Default)]
pub struct Holders {
    list: SmallVec<[Holder; 1]>,
    /// How many of them are exclusive: one at most, unless a forged payload says otherwise.
    exclusive: usize,
    /// The fence of each owner.
    #[expect(clippy::box_collection, reason = "one word in the locks of every document")]
    owners: Option<Box<HashMap<Arc<[u8]>, u64>>>,
}

impl Deref for Holders {
    type Target = [Holder];

    fn deref(&self) -> &[Holder] {
        &self.list
    }
}

impl PartialEq for Holders {
    fn eq(&self, other: &Holders) -> bool {
        self.list == other.list
    }
}

impl Eq for Holders {}

impl<'h> IntoIterator for &'h Holders {
    type Item = &'h Holder;
    type IntoIter = std::slice::Iter<'h, Holder>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}

impl FromIterator<Holder> for Holders {
    /// Holders of different owners.
    fn from_iter<I: IntoIterator<Item = Holder>>(holders: I) -> Holders {
        let mut list: SmallVec<[Holder; 1]> = holders.into_iter().collect();
        list.sort_by_key(|holder| holder.fence);
        let mut holders = Holders { list, ..Holders::default() };
        holders.recount();
        holders
    }
}

impl Holders {
    pub fn of_owner(&self, owner: &[u8]) -> Option<&Holder> {
        self.position_of_owner(owner).map(|nth| &self.list[nth])
    }

    pub fn of_fence(&self, fence: u64) -> Option<&Holder> {
        self.position_of_fence(fence).map(|nth| &self.list[nth])
    }

    /// Flag: a holder keeps this owner from the lock in this mode.
    pub fn block(&self, owner: &[u8], mode: Mode) -> bool {
        let own = self.of_owner(owner);
        match mode {
            Mode::Exclusive => self.list.len() > usize::from(own.is_some()),
            Mode::Shared => {
                let own = own.is_some_and(|own| own.mode == Mode::Exclusive);
                self.exclusive > usize::from(own)
            }
        }
    }

    fn position_of_owner(&self, owner: &[u8]) -> Option<usize> {
        let Some(owners) = &self.owners else {
            return self.list.iter().position(|holder| *holder.owner == *owner);
        };
        let from = self.lower_bound(*owners.get(owner)?);
        self.list[from..].iter().position(|holder| *holder.owner == *owner).map(|nth| from + nth)
    }

    fn position_of_fence(&self, fence: u64) -> Option<usize> {
        let nth = self.lower_bound(fence);
        self.list.get(nth).is_some_and(|holder| holder.fence == fence).then_some(nth)
    }

    fn lower_bound(&self, fence: u64) -> usize {
        self.list.partition_point(|holder| holder.fence < fence)
    }

    /// Adds a grant, which takes the place of its owner's former one. Returns that.
    pub(super) fn put(&mut self, holder: Holder) -> Option<Holder> {
        let former = self.position_of_owner(&holder.owner);
        if let Some(nth) = former.filter(|nth| self.list[*nth].fence == holder.fence) {
            self.count(holder.mode, self.list[nth].mode);
            return Some(std::mem::replace(&mut self.list[nth], holder));
        }
        let former = former.map(|nth| self.take(nth));
        if holder.mode == Mode::Exclusive {
            self.exclusive += 1;
        }
        if let Some(owners) = &mut self.owners {
            owners.insert(holder.owner.clone(), holder.fence);
        }
        let nth = self.lower_bound(holder.fence);
        self.list.insert(nth, holder);
        if self.owners.is_none() && self.list.len() >= MANY {
            self.recount();
        }
        former
    }

    fn count(&mut self, new: Mode, former: Mode) {
        self.exclusive += usize::from(new == Mode::Exclusive);
        self.exclusive -= usize::from(former == Mode::Exclusive);
    }

    pub(super) fn remove(&mut self, fence: u64) -> Option<Holder> {
        self.position_of_fence(fence).map(|nth| self.take(nth))
    }

    fn take(&mut self, nth: usize) -> Holder {
        let holder = self.list.remove(nth);
        self.exclusive -= usize::from(holder.mode == Mode::Exclusive);
        if let Some(owners) = &mut self.owners {
            owners.remove(&holder.owner);
            if self.list.len() < MANY / 2 {
                self.owners = None;
            }
        }
        holder
    }

    /// Keeps the holders for which the answer is true, in one pass.
    pub(super) fn retain(&mut self, mut keeps: impl FnMut(&Holder) -> bool) {
        let before = self.list.len();
        self.list.retain(|holder| keeps(holder));
        if self.list.len() < before {
            self.recount();
        }
    }

    /// Lends a grant for changes of its lease and its connections; owner, fence and mode stay.
    pub(super) fn of_fence_mut(&mut self, fence: u64) -> Option<&mut Holder> {
        self.position_of_fence(fence).map(|nth| &mut self.list[nth])
    }

    /// As [`Holders::of_fence_mut`], for all.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Holder> {
        self.list.iter_mut()
    }

    fn recount(&mut self) {
        self.exclusive = self.list.iter().filter(|holder| holder.mode == Mode::Exclusive).count();
        let many = self.list.len() >= MANY;
        let entries = || self.list.iter().map(|holder| (holder.owner.clone(), holder.fence));
        self.owners = many.then(|| Box::new(entries().collect()));
    }

    /// Bytes of memory beside the value itself.
    pub(super) fn heap_bytes(&self) -> usize {
        let list = if self.list.spilled() { self.list.capacity() * size_of::<Holder>() } else { 0 };
        let index = self.owners.as_ref().map_or(0, |owners| {
            size_of_val(&**owners) + owners.capacity() * (size_of::<(Arc<[u8]>, u64)>() + 1)
        });
        list + index
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::state::Clients;

    fn holder(owner: u64, fence: u64, mode: Mode) -> Holder {
        Holder {
            owner: owner.to_string().as_bytes().into(),
            fence,
            mode,
            lease_ms: 10,
            ephemeral: false,
            ends_ms: Holder::UNSTARTED,
            clients: Clients::default(),
            again: false,
        }
    }

    /// Everything that is asked of the holders, once more by looking at all of them.
    fn check(holders: &Holders) {
        assert!(holders.is_sorted_by_key(|holder| holder.fence));
        for holder in holders {
            assert_eq!(holders.of_owner(&holder.owner), Some(holder));
            assert_eq!(holders.of_fence(holder.fence), Some(holder));
            for mode in [Mode::Exclusive, Mode::Shared] {
                let blocks =
                    |other: &Holder| other.owner != holder.owner && other.mode.conflicts(mode);
                let blocked = holders.iter().any(blocks);
                assert_eq!(holders.block(&holder.owner, mode), blocked);
            }
        }
        assert_eq!(holders.block(b"other", Mode::Exclusive), !holders.is_empty());
        assert_eq!(holders.of_owner(b"other"), None);
    }

    #[test]
    fn few_and_many_holders_are_found_in_the_same_way() {
        let mut holders = Holders::default();
        for nth in 0..4 * MANY as u64 {
            assert_eq!(holders.put(holder(nth, 2 * nth + 1, Mode::Shared)), None);
            check(&holders);
        }
        assert!(holders.owners.is_some());
        for nth in (0..4 * MANY as u64).step_by(3) {
            let fence = if nth % 2 == 0 { 2 * nth + 1 } else { 1000 + nth };
            let mode = if nth % 5 == 0 { Mode::Exclusive } else { Mode::Shared };
            let former = holders.put(holder(nth, fence, mode)).expect("the owner had a grant");
            assert_eq!(former.fence, 2 * nth + 1);
            check(&holders);
        }
        let again: Holders = holders.iter().rev().cloned().collect();
        assert_eq!(again, holders);
        check(&again);
        holders.retain(|holder| holder.fence % 4 != 1);
        check(&holders);
        for fence in 0..2000 {
            let known = holders.of_fence(fence).cloned();
            assert_eq!(holders.remove(fence), known);
            check(&holders);
        }
        assert!(holders.is_empty() && holders.owners.is_none() && holders.exclusive == 0);
    }
}
