//! The locks of one document and their holders: a part of the document.

use std::sync::Arc;

use smallvec::SmallVec;

use super::Moment;
use super::holders::Holders;

/// The mode in which a lock is held or requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    Exclusive,
    Shared,
}

impl Mode {
    /// Flag: two owners cannot hold the lock in these modes at once.
    pub fn conflicts(self, other: Mode) -> bool {
        self == Mode::Exclusive || other == Mode::Exclusive
    }

    /// Flag: a holder in this mode has what a request in the other mode asks for.
    pub fn covers(self, asked: Mode) -> bool {
        self == Mode::Exclusive || asked == Mode::Shared
    }
}

/// One grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub owner: Arc<[u8]>,
    pub fence: u64,
    pub mode: Mode,
    /// The length of the lease, which is what other servers and later lives of this one start anew. At least what
    /// the holder was told last.
    pub lease_ms: u64,
    /// Flag: the grant ends when all connections that asked for it have closed.
    pub ephemeral: bool,
    /// The end of the lease on this server's monotonic clock, as of the last time that it was set: see
    /// [`Holder::ends_at`].
    pub ends_ms: u64,
    /// The open connections that asked for an ephemeral grant; none where it came from elsewhere.
    pub clients: Clients,
    /// Flag: the owner asked for the grant again, so more than one client of this server may know it.
    pub again: bool,
}

impl Holder {
    /// The end of a lease that has not started: the grant came from another server or was loaded from a file.
    pub const UNSTARTED: u64 = u64::MAX;

    /// The end of the lease, which runs in full from the moment at which this server became responsible for it. No
    /// lease ends earlier by that, because none was ever promised for longer than `lease_ms`: so a promotion changes no
    /// holder. An ephemeral grant does not outlive its connections.
    pub fn ends_at(&self, moment: Moment) -> u64 {
        match self.ephemeral {
            true => self.ends_ms,
            false => self.ends_ms.max(moment.since_ms.saturating_add(self.lease_ms)),
        }
    }

    /// Starts a lease that has not started, and records the end of one that runs anew since a promotion. An ephemeral
    /// grant whose connections are unknown ends at once.
    pub(super) fn start(&mut self, moment: Moment) {
        self.ends_ms = match self.ends_ms {
            Holder::UNSTARTED if self.ephemeral && self.clients.is_empty() => moment.steady_ms,
            Holder::UNSTARTED => moment.steady_ms.saturating_add(self.lease_ms),
            _ => self.ends_at(moment),
        };
    }

    pub fn has_ended(&self, moment: Moment) -> bool {
        self.ends_at(moment) <= moment.steady_ms
    }
}

/// Connections of this server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clients(SmallVec<[u64; 1]>);

impl Clients {
    /// One connection. 0 stands for an unknown connection, whose closing is never reported.
    pub fn of(client: Option<u64>) -> Clients {
        Clients(client.into_iter().filter(|client| *client != 0).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().copied()
    }

    /// Adds connections, each at most once.
    pub(super) fn join(&mut self, others: &Clients) {
        for client in others.iter() {
            if !self.0.contains(&client) {
                self.0.push(client);
            }
        }
    }

    pub(super) fn remove(&mut self, client: u64) {
        self.0.retain(|known| *known != client);
    }

    fn heap_bytes(&self) -> usize {
        if self.0.spilled() { self.0.capacity() * size_of::<u64>() } else { 0 }
    }
}

/// A lock that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedLock {
    pub name: Arc<[u8]>,
    /// In the order of their grants; an exclusive holder is the only one.
    pub holders: Holders,
}

/// An edit of a document's locks, as replicas are sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockEdit {
    /// The owner holds the lock by this grant, which replaces any other of this owner.
    Grant { name: Arc<[u8]>, holder: Holder },
    /// The grant has ended.
    Release { name: Arc<[u8]>, fence: u64 },
}

impl LockEdit {
    pub fn fence(&self) -> u64 {
        match self {
            LockEdit::Grant { holder, .. } => holder.fence,
            LockEdit::Release { fence, .. } => *fence,
        }
    }
}

/// The locks of one document. A document that was never locked needs no memory for them.
#[derive(Clone, Debug, Default)]
pub struct Locks(Option<Box<Inner>>);

#[derive(Clone, Debug, Default)]
struct Inner {
    /// The highest fence ever issued for this document.
    last_fence: u64,
    /// The locks that are held.
    names: Vec<NamedLock>,
    /// The number of grants, of all names.
    held: usize,
    /// The number under which this server watches the leases, or 0.
    watch: u32,
}

impl PartialEq for Locks {
    /// Compares what is the same on every server.
    fn eq(&self, other: &Locks) -> bool {
        let what = |locks: &Locks| {
            let holders = locks.names().iter().flat_map(|lock| {
                lock.holders.iter().map(|holder| {
                    let kind = (holder.mode, holder.lease_ms, holder.ephemeral);
                    (lock.name.clone(), holder.owner.clone(), holder.fence, kind)
                })
            });
            (locks.last_fence(), holders.collect::<Vec<_>>())
        };
        what(self) == what(other)
    }
}

impl Locks {
    /// Makes locks from names and owners that were validated.
    pub fn of_names(last_fence: u64, names: Vec<NamedLock>) -> Locks {
        let fences = names.iter().flat_map(|lock| &lock.holders).map(|holder| holder.fence);
        let last_fence = fences.fold(last_fence, u64::max);
        let blank = last_fence == 0 && names.is_empty();
        let held = names.iter().map(|lock| lock.holders.len()).sum();
        Locks((!blank).then(|| Box::new(Inner { last_fence, names, held, watch: 0 })))
    }

    /// Flag: no lock is held.
    #[inline]
    pub fn is_free(&self) -> bool {
        self.names().is_empty()
    }

    /// Flag: the document was never locked.
    pub fn is_blank(&self) -> bool {
        self.0.is_none()
    }

    #[inline]
    pub fn names(&self) -> &[NamedLock] {
        self.0.as_ref().map_or(&[], |inner| &inner.names)
    }

    pub fn last_fence(&self) -> u64 {
        self.0.as_ref().map_or(0, |inner| inner.last_fence)
    }

    /// Raises the highest fence to one that was issued elsewhere.
    pub fn see_fence(&mut self, fence: u64) {
        if fence > 0 {
            let inner = self.0.get_or_insert_default();
            inner.last_fence = inner.last_fence.max(fence);
        }
    }

    pub(super) fn watch(&self) -> u32 {
        self.0.as_ref().map_or(0, |inner| inner.watch)
    }

    pub(super) fn set_watch(&mut self, watch: u32) {
        if watch != self.watch() {
            self.0.get_or_insert_default().watch = watch;
        }
    }

    /// Removes all locks, from a copy of a document.
    pub fn clear(&mut self) {
        self.0 = None;
    }

    /// The holders of the lock of this name.
    pub fn holders(&self, name: &[u8]) -> &[Holder] {
        self.lock(name).map_or(&[], |lock| &lock.holders)
    }

    /// The lock of this name, if it is held.
    pub fn lock(&self, name: &[u8]) -> Option<&NamedLock> {
        self.find(name).map(|nth| &self.names()[nth])
    }

    /// The shared name of a lock; allocated where it is not held.
    pub(super) fn name(&self, name: &[u8]) -> Arc<[u8]> {
        self.find(name).map_or_else(|| name.into(), |nth| self.names()[nth].name.clone())
    }

    /// The number of grants, of all names.
    pub fn held(&self) -> usize {
        self.0.as_ref().map_or(0, |inner| inner.held)
    }

    /// The grant, if the lock is still held by it at this moment.
    pub fn holding(
        &self,
        name: &[u8],
        owner: &[u8],
        fence: u64,
        moment: Moment,
    ) -> Option<&Holder> {
        let holder = self.lock(name)?.holders.of_fence(fence)?;
        (*holder.owner == *owner && !holder.has_ended(moment)).then_some(holder)
    }

    /// The grant of an owner.
    pub(super) fn holder(&self, name: &[u8], owner: &[u8]) -> Option<&Holder> {
        self.lock(name)?.holders.of_owner(owner)
    }

    /// Takes a connection that has closed off a grant. Returns the lock's name if the grant is to end, because
    /// no connection is left that asked for it.
    pub(super) fn disconnect(&mut self, fence: u64, client: u64) -> Option<Arc<[u8]>> {
        for lock in &mut self.0.as_mut()?.names {
            if let Some(holder) = lock.holders.of_fence_mut(fence) {
                holder.clients.remove(client);
                let ends = holder.ephemeral && holder.clients.is_empty();
                return ends.then(|| lock.name.clone());
            }
        }
        None
    }

    /// Applies an edit. Returns the grant that was replaced or released.
    pub fn apply(&mut self, edit: &LockEdit) -> Option<Holder> {
        match edit {
            LockEdit::Grant { name, holder } => self.grant(name, holder.clone()),
            LockEdit::Release { name, fence } => self.release(name, *fence),
        }
    }

    fn grant(&mut self, name: &Arc<[u8]>, holder: Holder) -> Option<Holder> {
        let found = self.find(name);
        let inner = self.0.get_or_insert_default();
        inner.last_fence = inner.last_fence.max(holder.fence);
        let nth = found.unwrap_or_else(|| {
            // Most documents have one lock.
            if inner.names.is_empty() {
                inner.names.reserve_exact(1);
            }
            inner.names.push(NamedLock { name: name.clone(), holders: Holders::default() });
            inner.names.len() - 1
        });
        let former = inner.names[nth].holders.put(holder);
        inner.held += usize::from(former.is_none());
        former
    }

    fn release(&mut self, name: &[u8], fence: u64) -> Option<Holder> {
        let nth = self.find(name)?;
        let inner = self.0.as_mut()?;
        let holders = &mut inner.names[nth].holders;
        let released = holders.remove(fence)?;
        inner.held -= 1;
        if holders.is_empty() {
            inner.names.remove(nth);
            if inner.names.len() < inner.names.capacity() / 4 {
                inner.names.shrink_to(inner.names.len() * 2);
            }
        }
        Some(released)
    }

    /// Starts all leases, see [`Holder::start`].
    pub(super) fn start(&mut self, moment: Moment) {
        if let Some(inner) = &mut self.0 {
            let holders = inner.names.iter_mut().flat_map(|lock| lock.holders.iter_mut());
            holders.for_each(|holder| holder.start(moment));
        }
    }

    /// The end of the first lease, or an earlier time since a promotion, see [`Locks::start`].
    pub(super) fn first_end(&self) -> Option<u64> {
        let holders = self.names().iter().flat_map(|lock| &lock.holders);
        holders.map(|holder| holder.ends_ms).min()
    }

    /// Releases all grants that match, in one pass. Returns them with the names of their locks.
    pub(super) fn release_all(
        &mut self,
        is_over: impl Fn(&[u8], &Holder) -> bool,
    ) -> Vec<(Arc<[u8]>, Holder)> {
        let mut released = Vec::new();
        let Some(inner) = &mut self.0 else { return released };
        inner.names.retain_mut(|NamedLock { name, holders }| {
            holders.retain(|holder| {
                let over = is_over(name, holder);
                if over {
                    released.push((name.clone(), holder.clone()));
                }
                !over
            });
            !holders.is_empty()
        });
        inner.held -= released.len();
        if inner.names.len() < inner.names.capacity() / 4 {
            inner.names.shrink_to(inner.names.len() * 2);
        }
        released
    }

    /// Bytes of memory.
    pub fn heap_bytes(&self) -> usize {
        let Some(inner) = &self.0 else { return 0 };
        // An `Arc` has two counters.
        let text = |text: &Arc<[u8]>| 2 * size_of::<usize>() + text.len();
        let lock = |lock: &NamedLock| {
            let own = |holder: &Holder| text(&holder.owner) + holder.clients.heap_bytes();
            let owners: usize = lock.holders.iter().map(own).sum();
            size_of::<NamedLock>() + text(&lock.name) + lock.holders.heap_bytes() + owners
        };
        size_of::<Inner>() + inner.names.iter().map(lock).sum::<usize>()
    }

    fn find(&self, name: &[u8]) -> Option<usize> {
        self.names().iter().position(|lock| *lock.name == *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(owner: &str, fence: u64) -> Holder {
        Holder {
            owner: owner.as_bytes().into(),
            fence,
            mode: Mode::Shared,
            lease_ms: 10,
            ephemeral: false,
            ends_ms: Holder::UNSTARTED,
            clients: Clients::default(),
            again: false,
        }
    }

    fn grant(owner: &str, fence: u64) -> LockEdit {
        LockEdit::Grant { name: b"n"[..].into(), holder: holder(owner, fence) }
    }

    #[test]
    fn a_grant_replaces_that_of_the_same_owner_and_releases_leave_nothing() {
        let mut locks = Locks::default();
        assert_eq!(locks.apply(&grant("a", 5)), None);
        assert_eq!(locks.apply(&grant("b", 6)), None);
        assert_eq!(locks.apply(&grant("a", 7)).map(|old| old.fence), Some(5));
        assert_eq!(locks.held(), 2);
        let release = |fence| LockEdit::Release { name: b"n"[..].into(), fence };
        assert!(locks.apply(&release(5)).is_none());
        assert!(locks.apply(&release(7)).is_some() && locks.apply(&release(6)).is_some());
        assert!(locks.is_free() && !locks.is_blank() && locks.last_fence() == 7);
    }

    #[test]
    fn a_lease_starts_once_and_holds_until_it_ends() {
        let mut locks = Locks::default();
        locks.apply(&grant("a", 5));
        let mut ephemeral = holder("b", 6);
        ephemeral.ephemeral = true;
        locks.apply(&LockEdit::Grant { name: b"n"[..].into(), holder: ephemeral });
        let at = |steady_ms| Moment { steady_ms, ..Moment::default() };
        locks.start(at(100));
        locks.start(at(105));
        assert_eq!(locks.first_end(), Some(100), "connections are forgotten at a restart");
        assert!(locks.holding(b"n", b"a", 5, at(109)).is_some());
        assert!(locks.holding(b"n", b"a", 5, at(110)).is_none());
        assert!(locks.holding(b"n", b"a", 6, at(100)).is_none());
        let mut again = locks.clone();
        assert_eq!(locks.release_all(|_, holder| holder.has_ended(at(109))).len(), 1);
        assert_eq!(locks.release_all(|_, holder| holder.has_ended(at(110))).len(), 1);
        assert!(locks.is_free());
        let promoted = |steady_ms| Moment { since_ms: 120, ..at(steady_ms) };
        assert_eq!(again.release_all(|_, holder| holder.has_ended(promoted(129))).len(), 1);
        assert!(again.holding(b"n", b"a", 5, promoted(129)).is_some());
        again.start(promoted(125));
        assert_eq!(again.first_end(), Some(130));
        assert_eq!(again.release_all(|_, holder| holder.has_ended(promoted(130))).len(), 1);
    }
}
