//! Events outside of commands that concern locks, recorded until the engine applies them.
//!
//! In the middle of a deletion no key may be opened. So an event is only recorded, and the module's timer is started
//! to apply it in a context of its own; a command that comes first applies it itself.

use std::cell::{Cell, RefCell};
use std::ffi::c_int;

use super::{clock, timer};
use crate::lock::{At, DocumentKey, Locks};

thread_local! {
    /// The events, in order.
    static EVENTS: RefCell<Vec<PendingEvent>> = const { RefCell::new(Vec::new()) };
    /// The keys of documents with locks in a data set that is loaded beside the one in force.
    static BESIDE: RefCell<Vec<(c_int, Box<[u8]>)>> = const { RefCell::new(Vec::new()) };
    /// Flag: the engine has run or an event was recorded since its decisions were carried out last.
    static TOUCHED: Cell<bool> = const { Cell::new(false) };
    /// Flag: a document with locks was removed from its key, and may come to another one.
    static UNLINKED: Cell<bool> = const { Cell::new(false) };
}

/// An event that happened where no key may be opened.
pub enum PendingEvent {
    /// A document was removed from its key, with these locks.
    Removed(DocumentKey, Locks),
    /// A document with locks may have come to this key.
    Arrived(DocumentKey),
    /// A connection closed.
    Disconnected(u64),
    /// The client of these grants was disconnected before it was told.
    Unheard(Vec<(DocumentKey, u64)>),
    /// A client does not wait any more.
    Left(u64),
    /// A database is empty, or all are.
    Flushed(Option<i32>),
    Swapped(i32, i32),
    /// This server has become a master or has loaded its data, see [`note_began`].
    Began,
}

/// Records an event.
pub fn note(event: PendingEvent) {
    EVENTS.with_borrow_mut(|events| events.push(event));
    TOUCHED.set(true);
    timer::start(0, clock::moment().steady_ms);
}

/// Records that a waiting client was unblocked or disconnected.
pub fn note_left(waiter: u64) {
    note(PendingEvent::Left(waiter));
}

/// Records that a client was disconnected before it was told of its grants.
pub fn note_unheard(grants: Vec<(DocumentKey, u64)>) {
    note(PendingEvent::Unheard(grants));
}

/// Records that a document with locks was loaded, restored or moved to a key.
pub fn note_arrived(db: c_int, key: &[u8]) {
    note(PendingEvent::Arrived(At { db, key }.to_document_key()));
}

/// Records that this server has become a master or has loaded its data: leases start anew, at once for all who ask.
pub fn note_began() {
    clock::restart_leases();
    note(PendingEvent::Began);
}

/// Records that a document with locks was loaded beside the data in force.
pub fn note_loaded_beside(db: c_int, key: &[u8]) {
    BESIDE.with_borrow_mut(|beside| beside.push((db, key.into())));
}

/// The data set that was loaded beside the one in force is dropped.
pub fn forget_beside() {
    BESIDE.take();
}

/// Records that all data was replaced by a data set that was loaded beside it. `others` are the databases, without the first one,
/// in which the documents may be that are said to be in that.
pub fn note_replaced(others: &[c_int]) {
    EVENTS.with_borrow_mut(|events| events.insert(0, PendingEvent::Flushed(None)));
    let beside = BESIDE.take();
    let others = if beside.iter().any(|(db, _)| *db != 0) { &[] } else { others };
    for (db, key) in &beside {
        note_arrived(*db, key);
        others.iter().for_each(|other| note_arrived(*other, key));
    }
    note_began();
}

/// Records that a document with locks was removed from its key.
pub fn note_unlinked() {
    UNLINKED.set(true);
}

/// Records that a key was renamed or moved to another database: the locks of its document are now there.
pub fn note_moved(db: c_int, key: &[u8]) {
    if UNLINKED.take() {
        note_arrived(db, key);
    }
}

pub fn is_empty() -> bool {
    EVENTS.with_borrow(Vec::is_empty)
}

/// Takes the events, to apply them.
pub fn take() -> Vec<PendingEvent> {
    EVENTS.take()
}

#[inline]
pub fn is_touched() -> bool {
    TOUCHED.get()
}

pub fn set_touched(touched: bool) {
    TOUCHED.set(touched);
}
