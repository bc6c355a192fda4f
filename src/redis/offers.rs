//! The line of requests that wait for documents to be found, and the events that concern it.
//!
//! An event is only recorded: no request is run in the middle of a command, a transaction or a script of another client.
//! The module's timer applies it, in the same turn of the server's event loop.

use std::cell::{Cell, RefCell};
use std::sync::atomic::Ordering;

use super::{clock, counters, timer};
use crate::claim::ClaimLine;

thread_local! {
    static LINE: RefCell<ClaimLine> = RefCell::default();
    /// The events, in order.
    static NOTES: RefCell<Vec<ClaimNote>> = const { RefCell::new(Vec::new()) };
    /// Flag: the line has work, as it was after its last step.
    static PENDING: Cell<bool> = const { Cell::new(false) };
    /// Flag: requests are being served.
    static SERVING: Cell<bool> = const { Cell::new(false) };
    /// Flag: the work goes on when replies were sent.
    static REPLIES_FIRST: Cell<bool> = const { Cell::new(false) };
}

/// Has the rest of the work wait until the clients that were served have their replies.
pub fn put_replies_first() {
    REPLIES_FIRST.set(true);
}

/// Returns true while the rest of the work waits for replies.
pub fn are_replies_first() -> bool {
    REPLIES_FIRST.get()
}

/// A reply is sent, or its client is gone: the work that waited for it goes on in the next turn of the event loop.
pub fn go_on() {
    if REPLIES_FIRST.take() && is_pending() {
        let now_ms = clock::moment().steady_ms;
        timer::start(now_ms, now_ms);
    }
}

/// While it lives, requests are served, and no event starts the timer: whoever serves them sees what is left to do.
pub struct Serving(());

impl Serving {
    pub fn new() -> Serving {
        SERVING.set(true);
        Serving(())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        SERVING.set(false);
    }
}

/// An event that concerns the line.
enum ClaimNote {
    /// A document changed, or came to a key.
    Changed(i32, Vec<u8>),
    /// Any document may have changed.
    AllChanged,
    /// A client does not wait any more.
    Left(u64),
}

/// Returns true if a request waits.
#[inline]
pub fn is_waited_for() -> bool {
    counters::FIND_WAITERS.load(Ordering::Relaxed) != 0
}

fn note(note: ClaimNote) {
    NOTES.with_borrow_mut(|notes| notes.push(note));
    if SERVING.get() {
        return;
    }
    let now_ms = clock::moment().steady_ms;
    timer::start(now_ms, now_ms);
}

/// A document changed, or came to this key.
#[cold]
pub fn note_changed(database: i32, key: &[u8]) {
    note(ClaimNote::Changed(database, key.to_vec()));
}

/// Any document may have changed or come.
pub fn note_all_changed() {
    if is_waited_for() {
        note(ClaimNote::AllChanged);
    }
}

/// A client does not wait any more: it timed out, was unblocked or disconnected.
pub fn note_left(request: u64) {
    note(ClaimNote::Left(request));
}

/// Calls with the line, to which the events were applied.
pub fn with_line<T>(work: impl FnOnce(&mut ClaimLine) -> T) -> T {
    LINE.with_borrow_mut(|line| {
        for note in NOTES.take() {
            match note {
                ClaimNote::Changed(database, key) => line.offer(database, key),
                ClaimNote::AllChanged => line.ask_all(),
                ClaimNote::Left(request) => line.remove(request),
            }
        }
        let done = work(line);
        PENDING.set(line.is_pending());
        done
    })
}

/// Returns true if there is work for the line.
pub fn is_pending() -> bool {
    PENDING.get() || !NOTES.with_borrow(Vec::is_empty)
}
