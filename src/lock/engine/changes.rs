//! Edits of the locks of one document, and the indexes that this server keeps of them.

use super::Engine;
use crate::lock::At;
use crate::lock::state::{Holder, LockEdit, Locks};

/// Up to so many holders, the first end of a lease is looked for after each edit.
const FEW: usize = 8;

impl Engine {
    /// Applies an edit of a document's locks, and records it for replicas.
    pub(super) fn change(&mut self, locks: &mut Locks, at: At<'_>, edit: LockEdit) {
        let before = self.leases.document_key(locks.watch(), at);
        self.make(locks, at, &edit);
        let document = before.or_else(|| self.leases.document_key(locks.watch(), at));
        self.decisions.changes.push((document.unwrap_or_else(|| at.to_document_key()), edit));
    }

    /// Applies an edit of a document's locks, and updates the indexes. Returns true if a grant was replaced or released.
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
            self.mark_pending(at);
            if let (LockEdit::Release { name, .. }, Some(over)) = (edit, &over) {
                self.suspect_former(at, name, over);
            }
        }
        over.is_some()
    }

    /// A former holder that waits for the exclusive mode now waits for the requests before it as well.
    fn suspect_former(&mut self, at: At<'_>, name: &[u8], over: &Holder) {
        let waits = self.by_owner.contains_key(&over.owner);
        if waits && self.queues_of(at).is_some_and(|queues| queues.find(name).is_some()) {
            self.suspects.add(&over.owner);
        }
    }

    /// Releases all grants that match. Returns their number.
    pub(super) fn release_all(
        &mut self,
        locks: &mut Locks,
        at: At<'_>,
        is_over: impl Fn(&[u8], &Holder) -> bool,
    ) -> usize {
        let document =
            self.leases.document_key(locks.watch(), at).unwrap_or_else(|| at.to_document_key());
        let released = locks.release_all(is_over);
        let count = released.len();
        for (name, over) in released {
            self.end_ephemeral(&over);
            self.suspect_former(at, &name, &over);
            let edit = LockEdit::Release { name, fence: over.fence };
            self.decisions.changes.push((document.clone(), edit));
        }
        self.watch(locks, at);
        if count > 0 && self.queues_of(at).is_some() {
            self.mark_pending(at);
        }
        count
    }

    pub(super) fn end_ephemeral(&mut self, over: &Holder) {
        for client in over.clients.iter() {
            if let Some(grants) = self.ephemerals.get_mut(&client) {
                grants.remove(&over.fence);
                if grants.is_empty() {
                    self.ephemerals.remove(&client);
                }
            }
            if let Some(grants) = self.ending.get_mut(&client) {
                grants.remove(&over.fence);
            }
        }
    }

    pub(super) fn begin_ephemeral(&mut self, at: At<'_>, holder: &Holder) {
        for client in holder.clients.iter() {
            let grants = match self.closed.contains(&client) {
                true => self.ending.entry(client).or_default(),
                false => self.ephemerals.entry(client).or_default(),
            };
            grants.insert(holder.fence, at.to_document_key());
        }
    }

    /// As [`Engine::watch`], after one edit. With many holders the first end is not searched for: one that is too early is
    /// corrected when the document is examined.
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

    /// Watches the document for the end of its first lease.
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

    /// Lists a document as pending because its locks have changed. Does nothing if no request waits for it.
    pub(super) fn mark_pending(&mut self, at: At<'_>) {
        let Some(queues) = self.queues_mut(at) else { return };
        if !std::mem::replace(&mut queues.pending, true) {
            self.pending.push(at.to_document_key());
        }
    }
}
