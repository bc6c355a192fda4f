//! A document: a value with its model, its revision and the holders of its locks.

use std::fmt;
use std::mem::{self, offset_of};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::lock::{AHEAD_MS, Locks};
use crate::model::{Model, Models, VERSION_MAX};
use crate::value::{Measured, ROOT_BYTES, Root, Tail};

/// The name of the built-in model of documents without a schema.
pub const ANY_NAME: &str = "any";

/// The value of one key: one block of memory, whose end is the tail of the [`Root`].
///
/// A document that was just made is a [`NewDocument`], which may be used wherever a document may; it is
/// stored after it was [settled](NewDocument::settle).
#[repr(C)]
pub struct Document<T: ?Sized = [u8]> {
    /// Grows with every command that changes the content; below 2^53.
    pub revision: u64,
    /// `None` for the built-in model.
    pub model: Option<Arc<Model>>,
    /// The holders of its locks. Locks do not change the revision.
    pub locks: Locks,
    /// Size as [`crate::value::View::size`] counts it.
    size: u32,
    /// The version of the definition it was validated against last, with a flag for an untrusted claim.
    validated: u32,
    pub root: Root<T>,
}

/// A document without its value, while an editor has that.
pub struct Head<'d> {
    pub revision: &'d mut u64,
    pub model: Option<&'d Arc<Model>>,
    pub locks: &'d mut Locks,
    size: &'d mut u32,
    validated: &'d mut u32,
}

/// A document that is not stored at a key yet.
pub type NewDocument = Document<[u8; 0]>;

/// The bytes in front of the tail.
const HEAD_BYTES: usize = offset_of!(NewDocument, root) + ROOT_BYTES;

/// Revisions stay exact in clients whose numbers are doubles.
pub const REVISION_MAX: u64 = (1 << 53) - 1;
/// Flag: validation is claimed by an untrusted payload; validate again before the next write.
const UNCERTAIN: u32 = 1 << 31;

impl NewDocument {
    /// `version` is that of the definition it was validated against; 0 for the built-in model.
    pub fn new(
        content: Measured,
        model: Option<Arc<Model>>,
        version: u32,
        revision: u64,
    ) -> NewDocument {
        assert!(revision <= REVISION_MAX, "a revision is below 2^53");
        assert!(version <= VERSION_MAX, "a definition's version leaves a bit free");
        let size = u32::try_from(content.size).expect("sizes are limited to 1 GiB");
        let (locks, root) = (Locks::default(), Root::bare(content.value));
        Document { revision, model, locks, size, validated: version, root }
    }

    /// In a block of its own, with a tail that fits.
    pub fn settle(self) -> Box<Document> {
        /// Blocks of these sizes, which are those of jemalloc.
        macro_rules! in_block_of {
            ($($bytes:literal)*) => {
                match self.root.tail_wanted() {
                    0 => self.with_tail::<0>(),
                    $(wanted if HEAD_BYTES + wanted <= $bytes => {
                        self.with_tail::<{ $bytes - HEAD_BYTES }>()
                    })*
                    _ => unreachable!("what is packed fits the largest"),
                }
            };
        }
        in_block_of!(64 80 96 112 128 160 192 224 256 320 384 448 512 640 768 896 1024 1280)
    }

    fn with_tail<const N: usize>(mut self) -> Box<Document> {
        let root = Root::<[u8; N]>::with_tail(self.root.take());
        let Document { revision, model, locks, size, validated, .. } = self;
        Box::new(Document { revision, model, locks, size, validated, root })
    }
}

impl Document {
    /// Returns true if its block fits its content, see [`Root::is_settled`].
    #[inline]
    pub fn is_settled(&self) -> bool {
        self.root.is_settled()
    }

    /// The document is being removed from its key: its model does not count it any more.
    pub fn leave(&mut self) {
        if let Some(model) = &mut self.model {
            *model = Model::departed(model);
        }
    }

    /// The document that was removed from its key is at another one: its model counts it again.
    pub fn arrive(&mut self, models: &Models) {
        if let Some(model) = &mut self.model
            && model.is_departed()
        {
            *model = models.of_document(model.name());
        }
    }

    /// The same document in another block, which fits; this one is left empty.
    pub fn resettle(&mut self) -> Box<Document> {
        let root = Root::bare(self.root.take());
        let (model, locks) = (self.model.take(), mem::take(&mut self.locks));
        let (revision, size, validated) = (self.revision, self.size, self.validated);
        Document { revision, model, locks, size, validated, root }.settle()
    }
}

impl<T: Tail + ?Sized> Document<T> {
    pub fn model_name(&self) -> &str {
        self.model.as_ref().map_or(ANY_NAME, |model| model.name())
    }

    /// Returns true if its model has indexes.
    pub fn has_indexes(&self) -> bool {
        let has = |model: &Arc<Model>| model.read().get().is_some_and(|d| d.indexes().is_some());
        self.model.as_ref().is_some_and(has)
    }

    pub fn size(&self) -> u64 {
        self.size.into()
    }

    /// Lends the value apart from the rest.
    #[inline]
    pub fn split(&mut self) -> (Head<'_>, &mut Root<T>) {
        let Document { revision, model, locks, size, validated, root } = self;
        (Head { revision, model: model.as_ref(), locks, size, validated }, root)
    }

    /// After the content was edited in place.
    pub fn set_size(&mut self, size: u64) {
        debug_assert_eq!(size, self.root.view().size());
        self.size = u32::try_from(size).expect("sizes are limited to 1 GiB");
    }

    /// The version of the definition it was validated against last.
    pub fn definition_version(&self) -> u32 {
        self.validated & !UNCERTAIN
    }

    /// Returns true if the document is known to be valid under this version of its model's definition.
    pub fn is_valid_under(&self, version: u32) -> bool {
        self.validated == version
    }

    /// Records that the document is valid under this version of its model's definition.
    pub fn set_valid_under(&mut self, version: u32) {
        assert!(version <= VERSION_MAX, "a definition's version leaves a bit free");
        self.validated = version;
    }

    /// Records that the document came in an untrusted payload: it is validated whole at its next write.
    pub fn distrust(&mut self) {
        self.validated |= UNCERTAIN;
    }

    /// Copies the document.
    pub fn copy(&self) -> NewDocument {
        let (model, locks) = (self.model.clone(), self.locks.clone());
        let (revision, size, validated) = (self.revision, self.size, self.validated);
        let root = Root::bare(self.root.to_value());
        Document { revision, model, locks, size, validated, root }
    }

    /// The bytes allocated for it, not counting the allocator's rounding.
    pub fn heap_bytes(&self) -> usize {
        size_of_val(self) + self.root.heap_bytes() + self.locks.heap_bytes()
    }
}

impl Head<'_> {
    /// As [`Document::size`].
    #[inline]
    pub fn size(&self) -> u64 {
        (*self.size).into()
    }

    /// As [`Document::definition_version`].
    pub fn definition_version(&self) -> u32 {
        *self.validated & !UNCERTAIN
    }

    /// As [`Document::is_valid_under`].
    pub fn is_valid_under(&self, version: u32) -> bool {
        *self.validated == version
    }

    /// After the value was edited: its size, and the revision it has from now on.
    #[inline]
    pub fn set_edited(&mut self, size: u64, revision: u64) {
        *self.size = u32::try_from(size).expect("sizes are limited to 1 GiB");
        *self.revision = revision;
    }

    /// As [`Document::set_valid_under`].
    pub fn set_valid_under(&mut self, version: u32) {
        assert!(version <= VERSION_MAX, "a definition's version leaves a bit free");
        *self.validated = version;
    }
}

impl<T: Tail + ?Sized> fmt::Debug for Document<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (model, revision, locks) = (self.model_name(), self.revision, &self.locks);
        write!(f, "{model} {revision} {:?} {locks:?}", self.root.to_value())
    }
}

/// The highest revision that is accepted from an untrusted source (a `RESTORE`, a client's own
/// `MODEL.APPLY`): later ones in a forged payload could leave no revisions to issue. Revisions that this
/// server or its master wrote are accepted up to [`REVISION_MAX`]. The bound advances with the clock,
/// faster than revisions are issued, so that other servers accept what this one issues afterwards.
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

    /// Flag: replicas compute [`Revisions::next`] by themselves.
    #[inline]
    pub fn is_told(&self) -> bool {
        self.told.load(Ordering::Relaxed) == self.seen()
    }

    /// The next revision by count, independent of the clock.
    #[inline]
    pub fn next(&self) -> u64 {
        self.seen() + 1
    }

    /// The next revision at a moment, which replicas have to be sent.
    pub fn next_at(&self, now_us: u64) -> u64 {
        self.next().max(now_us)
    }

    /// Records that a document was given this revision and that replicas learn of it.
    #[inline]
    pub fn issue(&self, revision: u64) {
        debug_assert!(revision > self.seen());
        self.seen.store(revision, Ordering::Relaxed);
        self.told.store(revision, Ordering::Relaxed);
    }

    /// Records the revision of a document that came from elsewhere.
    #[inline]
    pub fn see(&self, revision: u64) {
        if revision > self.seen() {
            self.seen.store(revision, Ordering::Relaxed);
        }
    }

    /// Makes the next revision be sent: this server may have become a master.
    pub fn tell_next(&self) {
        self.told.store(u64::MAX, Ordering::Relaxed);
    }

    /// Forgets the count: a load is about to replace all data and brings its own.
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
    use crate::value::edit::{Editor, Journal};
    use crate::value::{Limits, Number, parse, print};

    fn document(json: &str) -> NewDocument {
        let content = parse::json(json.as_bytes(), &Limits::NONE).unwrap();
        let mut document = NewDocument::new(content, None, 0, 7);
        document.locks = Locks::default();
        document
    }

    #[test]
    fn a_block_fits_what_it_holds() {
        for len in 0..1200 {
            let json = format!("[\"{}\",{len}]", "x".repeat(len));
            let settled = document(&json).settle();
            let packed = settled.root.tail_wanted();
            assert!(settled.is_settled() && print::to_string(settled.root.view()) == json);
            assert_eq!((settled.revision, settled.size()), (7, settled.root.view().size()));
            match packed {
                0 => assert!(len > 1000 && size_of_val(&*settled) == size_of::<NewDocument>()),
                _ => {
                    let (least, block) = (HEAD_BYTES + packed, size_of_val(&*settled));
                    assert!(
                        least <= block && block <= least.max(64) * 5 / 4 + 16,
                        "{packed} {block}"
                    );
                    assert_eq!(settled.root.heap_bytes(), 0);
                }
            }
        }
        for scalar in ["1", "null", "\"a string that is too long to be part of a value\""] {
            let settled = document(scalar).settle();
            assert!(settled.is_settled() && print::to_string(settled.root.view()) == scalar);
        }
    }

    /// Members come one by one and go again; whatever the block, the content is the same. Gives the sizes of
    /// the blocks.
    fn grow_and_shrink(members: i64) -> Vec<usize> {
        let (mut settled, mut plain) = (document("{}").settle(), document("{}"));
        let mut blocks = Vec::new();
        let mut change = |change: &dyn Fn(&mut Editor<'_>)| {
            for root in [&mut settled.root, &mut plain.root as &mut Root] {
                let (size, mut journal) = (root.view().size(), Journal::default());
                let mut editor = Editor::new(root, size, Limits::NONE, &mut journal);
                change(&mut editor);
                editor.rollback();
                change(&mut editor);
                editor.commit();
            }
            assert!(settled.root.view().identical(plain.root.view()));
            if !settled.is_settled() {
                settled = settled.resettle();
                assert!(settled.is_settled() && settled.root.view().identical(plain.root.view()));
                assert_eq!(settled.copy().settle().root.to_value(), plain.root.to_value());
                blocks.push(size_of_val(&*settled));
            }
        };
        for nth in 0..members {
            change(&|editor| {
                editor.insert_member(&[], &format!("member {nth}"), Number::Int(nth)).unwrap();
            });
        }
        for _ in 0..members {
            change(&|editor| {
                let members = editor.view().as_object().expect("an object");
                let (first, _, _) = members.entries().next().expect("a member");
                editor.remove_member(&[], first).unwrap();
            });
        }
        blocks
    }

    #[test]
    fn a_document_that_grows_or_shrinks_gets_another_block() {
        let packed = grow_and_shrink(70);
        let largest = packed.iter().position(|block| block == packed.iter().max().unwrap());
        let (up, down) = packed.split_at(largest.unwrap() + 1);
        assert!(up.is_sorted() && up.len() > 10 && up.last() >= Some(&896), "{packed:?}");
        assert!(down.iter().rev().is_sorted() && down.last() < Some(&200), "{packed:?}");
        // A tree has no use for a tail.
        assert_eq!(grow_and_shrink(200).last(), Some(&64));
    }

    #[test]
    fn replicas_are_told_unless_they_can_count_along() {
        let revisions = Revisions::new();
        revisions.issue(revisions.next_at(1000));
        assert!(revisions.is_told() && revisions.next() == 1001);
        revisions.issue(revisions.next());
        // Replicas do not know the later revision of a restored document as the last one issued.
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
