//! Numbers that commands count up.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that one thread at a time changes, the one that holds the server's lock, as every command does: so it needs no
/// atomic addition, which takes as long as twenty others. Any thread may read it.
pub struct Tally(AtomicU64);

impl Tally {
    pub const fn new() -> Tally {
        Tally(AtomicU64::new(0))
    }

    #[inline]
    pub fn add(&self, count: u64) {
        self.0.store(self.get().wrapping_add(count), Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
