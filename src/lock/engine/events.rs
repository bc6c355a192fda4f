//! Events of documents, connections and clocks, and edits that a master sent.

use super::{Engine, Store, Suspects, Woken};
use crate::lock::queue::WaiterId;
use crate::lock::state::{Holder, LockEdit, Locks};
use crate::lock::{At, DocumentKey, Moment};

impl Engine {
    /// Applies an edit that was decided elsewhere.
    pub fn repeat(&mut self, store: &mut dyn Store, moment: Moment, at: At<'_>, edit: &LockEdit) {
        let Some(locks) = store.locks(at) else { return };
        let mut edit = edit.clone();
        if let LockEdit::Grant { holder, .. } = &mut edit {
            self.fences.see(holder.fence);
            holder.start(moment.steady_ms);
        }
        self.make(locks, at, &edit);
        let (LockEdit::Grant { name, .. } | LockEdit::Release { name, .. }) = &edit;
        if self.queues_of(at).is_some_and(|queues| queues.find(name).is_some()) {
            self.suspects = Suspects::Any;
        }
    }

    /// Takes over a document that was loaded, restored or renamed with its locks.
    pub fn adopt(&mut self, store: &mut dyn Store, moment: Moment, at: At<'_>) {
        let Some(locks) = store.locks(at) else { return };
        self.fences.see(locks.last_fence());
        locks.start(moment.steady_ms);
        self.watch(locks, at);
        for holder in locks.names().iter().flat_map(|lock| &lock.holders) {
            self.begin_ephemeral(at, holder);
        }
        if self.queues_of(at).is_some() {
            self.mark_pending(at);
            self.suspects = Suspects::Any;
        }
    }

    /// Ends all grants of a document that replaced a deleted one and took over its locks. Waiting requests get
    /// `NOKEY`.
    pub fn end_all(&mut self, store: &mut dyn Store, at: At<'_>) {
        self.end_waiting_for(at);
        let Some(locks) = store.locks(at) else { return };
        self.release_all(locks, at, |_, _| true);
    }

    /// Forgets a document that was removed with its locks. Waiting requests get `NOKEY`.
    pub fn remove(&mut self, at: At<'_>, locks: &Locks) {
        for holder in locks.names().iter().flat_map(|lock| &lock.holders) {
            self.end_ephemeral(holder);
        }
        self.leases.forget(locks.watch(), at);
        self.end_waiting_for(at);
    }

    fn end_waiting_for(&mut self, at: At<'_>) {
        let Some(queues) = self.queues_of(at) else { return };
        let gone: Vec<WaiterId> = queues.all().flat_map(|queue| &queue.all).copied().collect();
        for id in gone {
            self.end_waiting(id, Woken::Gone(at.to_document_key()));
        }
    }

    /// Forgets the documents of a database, or of all.
    pub fn flush(&mut self, db: Option<i32>) {
        let of_db = |document: &DocumentKey| db.is_none_or(|db| document.db == db);
        self.leases.flush(db);
        self.ephemerals.retain(|_, grants| {
            grants.held.retain(|_, document| !of_db(document));
            !grants.held.is_empty() || grants.closed
        });
        let gone: Vec<(WaiterId, DocumentKey)> = self
            .waiters
            .iter()
            .filter_map(|(id, waiter)| {
                waiter
                    .documents
                    .iter()
                    .find(|document| of_db(document))
                    .map(|document| (*id, document.clone()))
            })
            .collect();
        for (id, document) in gone {
            self.end_waiting(id, Woken::Gone(document));
        }
    }

    /// Exchanges the documents of two databases. Waiting requests stay with the database of their connection.
    pub fn swap(&mut self, one: i32, other: i32) {
        self.leases.swap(one, other);
        for document in self.ephemerals.values_mut().flat_map(|grants| grants.held.values_mut()) {
            if document.db == one {
                document.db = other;
            } else if document.db == other {
                document.db = one;
            }
        }
        for db in [one, other] {
            let keys = self.queues.get(&db).into_iter().flatten();
            let documents: Vec<DocumentKey> =
                keys.map(|(key, _)| DocumentKey { db, key: key.clone() }).collect();
            if !documents.is_empty() {
                self.suspects = Suspects::Any;
            }
            documents.iter().for_each(|document| self.mark_pending(document.at()));
        }
    }

    /// Marks a connection as closed: its ephemeral grants end, except those that another connection asked for.
    pub fn disconnect(&mut self, client: u64) {
        if let Some(grants) = self.ephemerals.get_mut(&client) {
            grants.closed = true;
            self.closed.push(client);
        }
    }

    /// Ends a grant whose client was disconnected before it was told, unless the owner has asked again, because then
    /// another client may know it.
    pub fn give_back(&mut self, store: &mut dyn Store, at: At<'_>, fence: u64) {
        let Some(locks) = store.locks(at) else { return };
        let mut holders = locks.names().iter().flat_map(|lock| &lock.holders);
        if holders.any(|holder| holder.fence == fence && !holder.again) {
            self.end(store, at, fence);
        }
    }

    fn end(&mut self, store: &mut dyn Store, at: At<'_>, fence: u64) {
        let Some(locks) = store.locks(at) else { return };
        let holds = |holders: &[Holder]| holders.iter().any(|holder| holder.fence == fence);
        let name = locks.names().iter().find(|lock| holds(&lock.holders));
        if let Some(name) = name.map(|lock| lock.name.clone()) {
            self.change(locks, at, LockEdit::Release { name, fence });
        }
    }

    /// Flag: the connection is open and has ephemeral grants.
    pub fn has_ephemerals(&self, client: u64) -> bool {
        self.ephemerals.get(&client).is_some_and(|grants| !grants.closed)
    }

    /// Starts all leases anew and forgets all connections: this server has become the master.
    pub fn restart_leases(&mut self, store: &mut dyn Store, moment: Moment) {
        self.ephemerals.clear();
        self.closed.clear();
        for document in self.leases.documents() {
            if let Some(locks) = store.locks(document.at()) {
                locks.unstart();
            }
            self.adopt(store, moment, document.at());
        }
    }

    /// Ends expired leases, as many as a slice has room for.
    pub fn tick(&mut self, store: &mut dyn Store, moment: Moment) {
        self.begin_slice();
        while self.left > 0
            && let Some(document) = self.leases.take_ended(moment.steady_ms)
        {
            self.spend(1);
            self.end_leases(store, moment, document.at());
        }
    }

    pub(super) fn end_leases(&mut self, store: &mut dyn Store, moment: Moment, at: At<'_>) {
        let Some(locks) = store.locks(at) else { return };
        locks.start(moment.steady_ms);
        let ended = |_: &[u8], holder: &Holder| holder.has_ended(moment.steady_ms);
        let expired = self.release_all(locks, at, ended);
        self.counters.expired += expired as u64;
        self.spend(expired);
    }
}
