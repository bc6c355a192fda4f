//! A document: a value with its model, its revision, and who holds locks on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::lock::{AHEAD_MS, Locks, believed_fence};
use crate::model::{Model, VERSION_MAX};
use crate::value::{Measured, Value};

/// The name of the built-in model of documents without a schema.
pub const ANY_NAME: &str = "any";

/// What one key holds.
#[derive(Clone, Debug)]
pub struct Document {
    /// Grows with every command that changes the content; below 2^53.
    pub revision: u64,
    pub root: Value,
    /// None for the built-in model.
    pub model: Option<Arc<Model>>,
    /// Who holds it. Locks do not change the revision.
    pub locks: Locks,
    /// As [`crate::value::View::size`] counts it.
    size: u32,
    /// The version of the definition it was judged by last, and whether that is certain.
    judged: u32,
}

/// Revisions stay exact in clients whose numbers are doubles.
pub const REVISION_MAX: u64 = (1 << 53) - 1;
/// Set where a document says it was judged, and nobody else does.
const UNCERTAIN: u32 = 1 << 31;

impl Document {
    /// `version` is that of the definition it was judged by; 0 for the built-in model.
    pub fn new(
        content: Measured,
        model: Option<Arc<Model>>,
        version: u32,
        revision: u64,
    ) -> Document {
        assert!(revision <= REVISION_MAX, "a revision is below 2^53");
        assert!(version <= VERSION_MAX, "a definition's version leaves a bit free");
        let size = u32::try_from(content.size).expect("sizes are limited to 1 GiB");
        let locks = Locks::default();
        Document { revision, root: content.value, model, locks, size, judged: version }
    }

    pub fn model_name(&self) -> &str {
        self.model.as_ref().map_or(ANY_NAME, |model| model.name())
    }

    pub fn size(&self) -> u64 {
        self.size.into()
    }

    /// After the content was edited in place.
    pub fn set_size(&mut self, size: u64) {
        debug_assert_eq!(size, self.root.view().size());
        self.size = u32::try_from(size).expect("sizes are limited to 1 GiB");
    }

    /// The version of the definition it was judged by last.
    pub fn definition_version(&self) -> u32 {
        self.judged & !UNCERTAIN
    }

    /// Whether it is known to be as this version of its model's definition wants it.
    pub fn is_judged_by(&self, version: u32) -> bool {
        self.judged == version
    }

    /// It is as this version of its model's definition wants it.
    pub fn set_judged_by(&mut self, version: u32) {
        assert!(version <= VERSION_MAX, "a definition's version leaves a bit free");
        self.judged = version;
    }

    /// It came with a payload that anybody could have made: it is judged whole when it is written.
    pub fn distrust(&mut self) {
        self.judged |= UNCERTAIN;
    }

    /// Whether its numbers are believed when a stranger brings it.
    pub fn is_believed(&self, now_us: u64) -> bool {
        let fence = believed_fence(now_us / 1000);
        self.revision <= believed_revision(now_us) && self.locks.last_fence() <= fence
    }

    /// The document as it is right after its creation or replacement.
    pub fn content(&self) -> Measured {
        self.root.clone().into()
    }
}

/// The highest revision that is believed when a stranger brings it (a `RESTORE`, a client's own
/// `MODEL.APPLY`): with later ones a forged payload could leave no room for more. What this server or its
/// master wrote is believed up to [`REVISION_MAX`]. As the bound moves on with the clock, faster than
/// revisions are issued, what a server issues after it believed one is believed by others, too.
pub fn believed_revision(now_us: u64) -> u64 {
    now_us.saturating_add(AHEAD_MS * 1000).min(REVISION_MAX - (1 << 50))
}

/// Issues the revisions of one server.
///
/// A new revision is above every one this server has seen on any key, so none repeats for a key, however
/// keys are copied, renamed, restored, or deleted and created again. Where the clock is ahead of that, it
/// is the clock in microseconds: so none repeats when writes were lost with a failed master either.
///
/// Replicas count along. As long as what they have been told is the highest revision seen, they come to
/// the next one by themselves; otherwise, and whenever the clock decides, it is sent to them.
#[derive(Debug)]
pub struct Revisions {
    seen: AtomicU64,
    told: AtomicU64,
}

// All of this happens on the server's main thread; the atomics only make it shareable.
impl Revisions {
    pub const fn new() -> Revisions {
        Revisions { seen: AtomicU64::new(0), told: AtomicU64::new(u64::MAX) }
    }

    /// The highest revision seen.
    #[inline]
    pub fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    /// Whether replicas come to [`Revisions::next`] by themselves.
    #[inline]
    pub fn is_told(&self) -> bool {
        self.told.load(Ordering::Relaxed) == self.seen()
    }

    /// The next revision, whatever the clock says.
    #[inline]
    pub fn next(&self) -> u64 {
        self.seen() + 1
    }

    /// The next revision at a moment, which replicas have to be sent.
    pub fn next_at(&self, now_us: u64) -> u64 {
        self.next().max(now_us)
    }

    /// A document was given this revision, and replicas hear of it.
    #[inline]
    pub fn issue(&self, revision: u64) {
        debug_assert!(revision > self.seen());
        self.seen.store(revision, Ordering::Relaxed);
        self.told.store(revision, Ordering::Relaxed);
    }

    /// A document came from elsewhere with this revision.
    #[inline]
    pub fn see(&self, revision: u64) {
        if revision > self.seen() {
            self.seen.store(revision, Ordering::Relaxed);
        }
    }

    /// This server may have become another's master: the next revision is sent.
    pub fn tell_next(&self) {
        self.told.store(u64::MAX, Ordering::Relaxed);
    }

    /// All data is about to be replaced by what is loaded, whose count goes on from what it says.
    pub fn forget(&self) {
        self.seen.store(0, Ordering::Relaxed);
        self.tell_next();
    }
}

impl Default for Revisions {
    fn default() -> Revisions {
        Revisions::new()
    }
}

impl Clone for Revisions {
    fn clone(&self) -> Revisions {
        let copy = |number: &AtomicU64| AtomicU64::new(number.load(Ordering::Relaxed));
        Revisions { seen: copy(&self.seen), told: copy(&self.told) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_told_unless_they_can_count_along() {
        let revisions = Revisions::new();
        revisions.issue(revisions.next_at(1000));
        assert!(revisions.is_told() && revisions.next() == 1001);
        revisions.issue(revisions.next());
        // What was restored with a later revision is not known to replicas as the last one issued.
        revisions.see(5000);
        assert!(!revisions.is_told());
        revisions.issue(revisions.next_at(1002));
        assert_eq!((revisions.seen(), revisions.is_told()), (5001, true));
        revisions.see(3);
        assert!(revisions.is_told());
        revisions.tell_next();
        assert!(!revisions.is_told());
    }
}
