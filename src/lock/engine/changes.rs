//! Changes of the locks of one document, and what this server keeps of them.

use super::Engine;
use crate::lock::At;
use crate::lock::held::{Holder, LockEdit, Locks};

/// Up to so many holders, the first end of a lease is looked for after each edit.
const FEW: usize = 8;

impl Engine {
    /// Makes a change of a document's locks, to be told to others.
    pub(super) fn change(&mut self, locks: &mut Locks, at: At<'_>, edit: LockEdit) {
        let before = self.leases.place(locks.watch(), at);
        self.make(locks, at, &edit);
        let place = before.or_else(|| self.leases.place(locks.watch(), at));
        self.settled.changes.push((place.unwrap_or_else(|| at.to_place()), edit));
    }

    /// Makes a change of a document's locks, and keeps what this server knows of them.
    pub(super) fn make(&mut self, locks: &mut Locks, at: At<'_>, edit: &LockEdit) -> bool {
        let over = locks.apply(edit);
        if let Some(over) = &over {
            self.end_ephemeral(over);
        }
        if let LockEdit::Grant { holder, .. } = edit {
            self.begin_ephemeral(at, holder);
        }
        self.watch_edit(locks, at, edit);
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
    pub(super) fn release_all(
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

    pub(super) fn end_ephemeral(&mut self, over: &Holder) {
        for client in over.clients.iter() {
            if let Some(grants) = self.ephemerals.get_mut(&client) {
                grants.held.remove(&over.fence);
                if grants.held.is_empty() && !grants.closed {
                    self.ephemerals.remove(&client);
                }
            }
        }
    }

    pub(super) fn begin_ephemeral(&mut self, at: At<'_>, holder: &Holder) {
        for client in holder.clients.iter() {
            let grants = self.ephemerals.entry(client).or_default();
            grants.held.insert(holder.fence, at.to_place());
        }
    }

    /// As [`Engine::watch`], after one edit. Among many holders the first end is not looked for: one that is too
    /// early is put right when the document is looked at.
    fn watch_edit(&mut self, locks: &mut Locks, at: At<'_>, edit: &LockEdit) {
        let (watch, held) = (locks.watch(), locks.held());
        let known = self.leases.ends_of(watch, at).filter(|_| held > FEW);
        let Some(known) = known else { return self.watch(locks, at) };
        let ends_ms = match edit {
            LockEdit::Grant { holder, .. } => known.min(holder.ends_ms),
            LockEdit::Release { .. } => known,
        };
        locks.set_watch(self.leases.watch(watch, at, ends_ms, held));
    }

    /// Looks at the document when its first lease ends.
    pub(super) fn watch(&mut self, locks: &mut Locks, at: At<'_>) {
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

    /// Records that something has changed on a document; nothing if nobody waits for it.
    pub(super) fn unsettle(&mut self, at: At<'_>) {
        let Some(queues) = self.queues_mut(at) else { return };
        if !std::mem::replace(&mut queues.pending, true) {
            self.unsettled.push(at.to_place());
        }
    }
}
