//! The ends of leases: which document has to be examined next.
//!
//! A document with holders is watched under a number, which it stores. An entry is a hint: the document may have been
//! removed meanwhile; then the entry goes when its time has come.

use std::collections::BTreeSet;

use super::{At, DocumentKey};

/// Room that is kept when nothing is watched.
const KEPT: usize = 64;

/// The documents that are watched.
#[derive(Default)]
pub struct Leases {
    /// By number; 0 is not used.
    watched: Vec<Option<Watched>>,
    unused: Vec<u32>,
    /// Ordered by the end of each document's first lease.
    ends: BTreeSet<(u64, u32)>,
    /// The number of grants of all of them.
    held: usize,
}

struct Watched {
    document: DocumentKey,
    ends_ms: u64,
    /// The number of grants of its locks.
    held: usize,
}

impl Leases {
    /// Watches a document under this key, from now on for this end. Returns its number.
    pub fn watch(&mut self, watch: u32, at: At<'_>, ends_ms: u64, held: usize) -> u32 {
        if let Some(Some(known)) = self.watched.get_mut(watch as usize)
            && known.document.at() == at
        {
            self.held = self.held + held - known.held;
            known.held = held;
            if known.ends_ms != ends_ms {
                self.ends.remove(&(known.ends_ms, watch));
                self.ends.insert((ends_ms, watch));
                known.ends_ms = ends_ms;
            }
            return watch;
        }
        let new = self.unused.pop().unwrap_or_else(|| {
            if self.watched.is_empty() {
                self.watched.push(None);
            }
            self.watched.push(None);
            (self.watched.len() - 1) as u32
        });
        self.watched[new as usize] =
            Some(Watched { document: at.to_document_key(), ends_ms, held });
        self.held += held;
        self.ends.insert((ends_ms, new));
        new
    }

    /// The key under which a document is watched, shared instead of allocated once more.
    pub fn document_key(&self, watch: u32, at: At<'_>) -> Option<DocumentKey> {
        let known = self.watched.get(watch as usize)?.as_ref()?;
        (known.document.at() == at).then(|| known.document.clone())
    }

    /// The time at which a document is to be examined, if it is watched under this number.
    pub fn ends_of(&self, watch: u32, at: At<'_>) -> Option<u64> {
        let known = self.watched.get(watch as usize)?.as_ref()?;
        (known.document.at() == at).then_some(known.ends_ms)
    }

    /// Stops watching a document.
    pub fn forget(&mut self, watch: u32, at: At<'_>) {
        let known = self.watched.get(watch as usize).and_then(Option::as_ref);
        if known.is_some_and(|known| known.document.at() == at) {
            self.remove(watch);
        }
    }

    fn remove(&mut self, watch: u32) {
        if let Some(known) = self.watched[watch as usize].take() {
            self.ends.remove(&(known.ends_ms, watch));
            self.held -= known.held;
            self.unused.push(watch);
        }
        // Gives the memory back after many documents were watched.
        if self.ends.is_empty() && self.watched.len() > KEPT {
            *self = Leases::default();
        }
    }

    /// The end of the first lease.
    pub fn first(&self) -> Option<u64> {
        self.ends.first().map(|(ends_ms, _)| *ends_ms)
    }

    /// Takes out a document with an expired lease.
    pub fn take_ended(&mut self, now_ms: u64) -> Option<DocumentKey> {
        let (ends_ms, watch) = *self.ends.first()?;
        if ends_ms > now_ms {
            return None;
        }
        let document = self.watched[watch as usize].as_ref().map(|known| known.document.clone());
        self.remove(watch);
        document
    }

    /// The number of grants.
    pub fn held(&self) -> usize {
        self.held
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Stops watching the documents of one database, or of all.
    pub fn flush(&mut self, db: Option<i32>) {
        if db.is_none() {
            *self = Leases::default();
            return;
        }
        let of_db = |document: &DocumentKey| db.is_none_or(|db| document.db == db);
        let numbers: Vec<u32> = (0..self.watched.len())
            .filter(|nth| self.watched[*nth].as_ref().is_some_and(|known| of_db(&known.document)))
            .map(|nth| nth as u32)
            .collect();
        for watch in numbers {
            if self.watched.get(watch as usize).is_some_and(Option::is_some) {
                self.remove(watch);
            }
        }
    }

    /// Exchanges two databases.
    pub fn swap(&mut self, one: i32, other: i32) {
        for known in self.watched.iter_mut().flatten() {
            if known.document.db == one {
                known.document.db = other;
            } else if known.document.db == other {
                known.document.db = one;
            }
        }
    }
}
