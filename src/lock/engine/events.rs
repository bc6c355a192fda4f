//! Events of documents, connections and clocks, and edits that a master sent.

use super::{Engine, Ephemerals, Store, Suspects, Woken};
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
            holder.start(moment);
        }
        self.make(locks, at, &edit);
        let (LockEdit::Grant { name, .. } | LockEdit::Release { name, .. }) = &edit;
        if self.queues_of(at).is_some_and(|queues| queues.find(name).is_some()) {
            self.suspects = Suspects::Any;
        }
    }

    /// Records that a document was loaded, restored or renamed with its locks. A slice takes it over, or the first
    /// request for one of them.
    pub fn arrive(&mut self, document: DocumentKey) {
        self.arrived.push(document);
    }

    /// Takes over a document that was loaded, restored or renamed with its locks.
    pub(super) fn adopt(&mut self, store: &mut dyn Store, moment: Moment, at: At<'_>) {
        let Some(locks) = store.locks(at) else { return };
        self.fences.see(locks.last_fence());
        locks.start(moment);
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
        let stays = |_: &u64, grants: &mut Ephemerals| {
            grants.retain(|_, document| !of_db(document));
            !grants.is_empty()
        };
        self.ephemerals.retain(stays);
        self.ending.retain(stays);
        self.arrived.retain(|document| !of_db(document));
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
        let grants = self.ephemerals.values_mut().chain(self.ending.values_mut());
        let ephemeral = grants.flat_map(|grants| grants.values_mut());
        for document in ephemeral.chain(&mut self.arrived) {
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
        let grants = self.ephemerals.remove(&client);
        if grants.is_some() || !self.arrived.is_empty() {
            self.closed.insert(client);
        }
        if let Some(grants) = grants {
            self.ending.entry(client).or_default().extend(grants);
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
        self.ephemerals.contains_key(&client)
    }

    /// This server has become the master: the ephemeral grants of all connections are to be ended. Leases start anew by
    /// [`Moment::since_ms`]; the index of their ends is corrected as documents are examined.
    pub fn become_master(&mut self) {
        for (client, grants) in std::mem::take(&mut self.ephemerals) {
            self.ending.entry(client).or_default().extend(grants);
        }
    }

    /// Keeps ephemeral grants that are to be ended: this server is a replica, whose master ends them. They end here when
    /// it becomes the master.
    pub fn withhold_ends(&mut self) {
        // Mostly none are.
        if self.ending.is_empty() {
            return;
        }
        for (client, grants) in std::mem::take(&mut self.ending) {
            self.ephemerals.entry(client).or_default().extend(grants);
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
        locks.start(moment);
        let ended = |_: &[u8], holder: &Holder| holder.has_ended(moment);
        let expired = self.release_all(locks, at, ended);
        self.counters.expired += expired as u64;
        self.spend(expired);
    }
}
