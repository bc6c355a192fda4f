//! One key of a transaction: the document that was found, the one that stands now, and what is to be done
//! with the key.
//!
//! A document that was found is edited in place; its editor reverts it when the slot is dropped. Whatever
//! concerns the key (a new document, its deletion, time to live and revision) is only noted here, and done
//! when nothing can be refused any more. So reverting a transaction is dropping its slots.

mod recorded;

use std::mem;
use std::sync::Arc;

pub use self::recorded::Recording;

use super::ttl::{EndsAt, ExpiryOption, Use};
use super::validation::{Validation, check_new};
use crate::budget::Allowance;
use crate::document::{Document, Head, NewDocument};
use crate::error::{Error, ErrorCode, Result};
use crate::expiry::Expiry;
use crate::expr::OldSelf;
use crate::index::{Entries, IndexMask, IndexSet};
use crate::lock::Locks;
use crate::model::{Model, ReadDefinition, ValidationContext};
use crate::value::edit::{Editor, Effects, Journal};
use crate::value::{Limits, Measured, View};

/// The journal of documents that a transaction makes; none before the first one is edited.
pub type ScratchJournal = Option<Journal>;

/// A key of a transaction.
pub struct Slot<'h> {
    pub key: &'h [u8],
    found: Option<FoundDocument<'h>>,
    state: SlotState,
    /// The last one a block asked for, of the document that stands now.
    expiry: Option<ExpiryOption>,
    /// A block is about the key.
    used: bool,
    /// The document that was found was deleted, whatever came after.
    deleted: bool,
    /// The revision the document gets, once revisions are numbered.
    new_revision: Option<u64>,
    /// The JSON text of the document that was found, see [`Slot::keep_before`].
    before: Option<Vec<u8>>,
    /// The entries of the document that stands now, see [`Slot::set_entries`].
    entries: Option<Box<Entries>>,
}

/// The terms on which a document that was found is edited.
pub struct Editing<'h> {
    /// An empty one.
    pub journal: &'h mut Journal,
    pub limits: &'h Limits,
    pub allowance: &'h Allowance<'h>,
    pub effects: Effects,
}

/// The terms on which documents that a transaction makes are edited.
pub struct Making<'m> {
    pub scratch: &'m mut ScratchJournal,
    pub limits: &'m Limits,
    pub allowance: &'m Allowance<'m>,
}

/// The document that was found.
struct FoundDocument<'h> {
    head: Head<'h>,
    editor: Editor<'h>,
    /// None where nothing may write it, and for documents of the built-in model.
    validation: Option<Validation<'h>>,
}

enum SlotState {
    Missing,
    Found,
    Made(MadeDocument),
}

/// A document whose entries in indexes may be other ones.
pub struct Reindexed<'s> {
    pub model: &'s Model,
    pub set: Arc<IndexSet>,
    pub document: View<'s>,
    /// The indexes in which its entries may differ.
    pub touched: IndexMask,
    /// All of it is validated, not only what changed.
    pub is_whole: bool,
}

/// A document that the transaction made. It needs no way back: it is dropped with the slot.
struct MadeDocument {
    document: NewDocument,
    /// It took the place of one of the same model that was found: rules compare the two.
    replaces: bool,
    /// The argument of the command that is its JSON text still.
    json_arg: Option<usize>,
}

impl<'h> Slot<'h> {
    #[inline(always)]
    pub fn new(key: &'h [u8], found: Option<&'h mut Document>, editing: Editing<'h>) -> Slot<'h> {
        let state = if found.is_some() { SlotState::Found } else { SlotState::Missing };
        let found = found.map(|document| {
            let (head, root) = document.split();
            let Editing { journal, limits, allowance, effects } = editing;
            allowance.own(head.size());
            let editor = Editor::new(root, head.size(), *limits, journal)
                .with_effects(effects)
                .with_allowance(allowance);
            FoundDocument { head, editor, validation: None }
        });
        Slot {
            key,
            found,
            state,
            expiry: None,
            used: false,
            deleted: false,
            new_revision: None,
            before: None,
            entries: None,
        }
    }

    /// Returns true if a document of a model was found, and its validation has not begun.
    pub fn needs_validation(&self) -> bool {
        let needs =
            |found: &FoundDocument<'_>| found.head.model.is_some() && found.validation.is_none();
        self.found.as_ref().is_some_and(needs)
    }

    /// Returns true if the document that stands now may have to be validated.
    #[inline(always)]
    pub fn has_model(&self) -> bool {
        match (&self.state, &self.found) {
            (SlotState::Found, Some(found)) => found.validation.is_some(),
            (SlotState::Made(made), _) => made.document.model.is_some(),
            _ => false,
        }
    }

    /// Returns true if the document that was found, or the one that stands now, has a model.
    #[inline]
    pub fn is_of_model(&self) -> bool {
        let made = match &self.state {
            SlotState::Made(made) => made.document.model.is_some(),
            SlotState::Missing | SlotState::Found => false,
        };
        made || self.found.as_ref().is_some_and(|found| found.head.model.is_some())
    }

    /// Begins the validation of the document that was found.
    pub fn begin_validation(&mut self, fills_defaults: bool) -> Result<()> {
        if let Some(FoundDocument { head, editor, validation }) = &mut self.found
            && let Some(model) = head.model
        {
            *validation = Some(Validation::begin(model, head, editor, fills_defaults)?);
        }
        Ok(())
    }

    /// The document that stands now.
    #[inline(always)]
    pub fn view(&self) -> Option<View<'_>> {
        match &self.state {
            SlotState::Missing => None,
            SlotState::Found => self.found.as_ref().map(|found| found.editor.view()),
            SlotState::Made(made) => Some(made.document.root.view()),
        }
    }

    /// The document that stands now; where the transaction deleted the one that was found, that one as it was then.
    pub fn last_view(&self) -> Option<View<'_>> {
        self.view().or_else(|| self.found.as_ref().map(|found| found.editor.view()))
    }

    pub fn is_missing(&self) -> bool {
        matches!(self.state, SlotState::Missing)
    }

    /// The revision before the transaction; none of a document that the transaction created.
    pub fn revision(&self) -> Option<u64> {
        self.kept().map(|found| *found.head.revision)
    }

    /// The locks on the document; none where it is missing or was created by the transaction.
    pub fn locks(&self) -> Option<&Locks> {
        self.kept().filter(|_| !self.is_missing()).map(|found| &*found.head.locks)
    }

    /// The document that was found, unless it was deleted: what stands now is still that one, changed or
    /// replaced.
    fn kept(&self) -> Option<&FoundDocument<'h>> {
        self.found.as_ref().filter(|_| !self.deleted)
    }

    /// A block is about the key.
    pub fn set_used(&mut self) {
        self.used = true;
    }

    pub fn set_expiry(&mut self, expiry: ExpiryOption) {
        self.expiry = Some(expiry);
    }

    /// The bytes put into the document that was found, and those of its effects, so far.
    #[inline(always)]
    pub fn journal_bytes(&self) -> (u64, u64) {
        let bytes =
            |found: &FoundDocument<'_>| (found.editor.put_in(), found.editor.effect_bytes());
        self.found.as_ref().map_or((0, 0), bytes)
    }

    /// Calls with an editor of the document that stands now. `NOKEY` where there is none. `making`
    /// is for one that was made.
    #[inline(always)]
    pub fn edit<T>(
        &mut self,
        making: Making<'_>,
        edit: impl FnOnce(&mut Editor<'_>) -> Result<T>,
    ) -> Result<T> {
        match (&mut self.state, &mut self.found) {
            (SlotState::Missing, _) => Err(no_key()),
            (SlotState::Found, found) => {
                edit(&mut found.as_mut().expect("a document was found").editor)
            }
            (SlotState::Made(made), _) => made.edit(making, edit),
        }
    }

    /// Makes a new document, with the defaults of its model.
    pub fn make(
        &mut self,
        content: Measured,
        model: Option<Arc<Model>>,
        json_arg: Option<usize>,
        making: Making<'_>,
    ) -> Result<()> {
        let definition = model.as_deref().map(Model::read);
        let definition = definition.as_ref().and_then(ReadDefinition::get);
        let version = definition.map_or(0, |definition| definition.version);
        let replaces = match (self.kept().and_then(|found| found.head.model), &model) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            _ => false,
        };
        // The revision is known when the transaction is over.
        let document = NewDocument::new(content, model.clone(), version, 0);
        let mut made = MadeDocument { document, replaces, json_arg };
        if let Some(definition) = definition {
            made.edit(making, |editor| definition.fill_defaults(editor))?;
        }
        self.state = SlotState::Made(made);
        self.expiry = None;
        Ok(())
    }

    /// Deletes the document.
    pub fn delete(&mut self) {
        self.state = SlotState::Missing;
        self.deleted = true;
        self.expiry = None;
    }

    /// Validates what changed: `SCHEMA`, `RULE` or `NOMODEL`. Defaults that were filled in for statements which
    /// then changed nothing are reverted first.
    pub fn validate(&mut self, context: &ValidationContext<'_>) -> Result<()> {
        match (&self.state, &mut self.found) {
            (SlotState::Missing, _) | (SlotState::Found, None) => Ok(()),
            (SlotState::Found, Some(found)) => {
                found.editor.revert_unused_defaults();
                match &found.validation {
                    Some(validation) if found.editor.changed() => {
                        let (view, changes) = (found.editor.view(), found.editor.changes());
                        validation.check(view, changes, found.before(), context)
                    }
                    _ => Ok(()),
                }
            }
            (SlotState::Made(made), found) => {
                let Some(model) = &made.document.model else { return Ok(()) };
                let compared = found.as_ref().filter(|_| made.replaces);
                let before = compared.and_then(FoundDocument::before);
                check_new(model, made.document.root.view(), before, context)
            }
        }
    }

    /// The document that stands now and the indexes of its model, if its entries may differ from those before.
    pub fn reindexed(&self) -> Option<Reindexed<'_>> {
        match (&self.state, &self.found) {
            (SlotState::Found, Some(found)) => {
                let model = found.head.model.filter(|_| found.editor.changed())?;
                let validation = found.validation.as_ref()?;
                let set = validation.definition()?.indexes()?;
                let document = found.editor.view();
                // Changes are tracked where they alone are validated.
                let is_whole = !validation.tracks_changes();
                let touched = match is_whole {
                    true => IndexMask::ALL,
                    false => set.touched(document, found.editor.changes()),
                };
                let reindexed =
                    || Reindexed { model, set: set.clone(), document, touched, is_whole };
                (!touched.is_empty()).then(reindexed)
            }
            (SlotState::Made(made), _) => {
                let model = made.document.model.as_deref()?;
                let set = model.read().get()?.indexes()?.clone();
                let (document, touched) = (made.document.root.view(), IndexMask::ALL);
                Some(Reindexed { model, set, document, touched, is_whole: true })
            }
            _ => None,
        }
    }

    /// The model of the document that was found, if the transaction removes that document, or gives the key one of another
    /// model.
    pub fn left_model(&self, now_us: Option<u64>) -> Option<&Model> {
        let model = self.found.as_ref()?.head.model?;
        let stays = match &self.state {
            SlotState::Missing => false,
            SlotState::Found => !self.is_over_at(now_us),
            SlotState::Made(made) => {
                made.document.model.as_ref().is_some_and(|made| Arc::ptr_eq(made, model))
            }
        };
        (!stays).then_some(&**model)
    }

    /// Keeps what was computed of [`Slot::reindexed`], for the indexes to be told.
    pub fn set_entries(&mut self, entries: Box<Entries>) {
        self.entries = Some(entries);
    }

    /// Returns true if the document that was found keeps its entries in indexes, as far as [`Slot::reindexed`] does not
    /// say otherwise.
    pub fn keeps_document(&self) -> bool {
        matches!(self.state, SlotState::Found)
    }

    #[inline(always)]
    fn is_changed(&self) -> bool {
        match (&self.state, &self.found) {
            (SlotState::Found, Some(found)) => found.editor.changed(),
            (SlotState::Made(_), _) => true,
            _ => false,
        }
    }

    /// Numbers the document if it changed: with `next`, which then counts up.
    #[inline(always)]
    pub fn number(&mut self, next: &mut u64) {
        if self.is_changed() {
            let found = self.found.as_ref().map_or(0, |found| *found.head.revision);
            let revision = (*next).max(found + 1);
            *next = revision + 1;
            self.new_revision = Some(revision);
        }
    }

    /// The revision the document has when the transaction is over.
    #[inline(always)]
    pub fn numbered(&self) -> Option<u64> {
        if self.is_missing() { None } else { self.new_revision.or(self.revision()) }
    }

    /// As [`Slot::numbered`], of a document that is there still: none where the command sets an expiry in the past.
    pub fn numbered_at(&self, now_us: Option<u64>) -> Option<u64> {
        self.numbered().filter(|_| !self.is_over_at(now_us))
    }

    /// Returns true if the command sets an expiry in the past.
    fn is_over_at(&self, now_us: Option<u64>) -> bool {
        let is_over = |now_us: u64| match self.expiry.map(|option| option.at(now_us)) {
            Some(Expiry::At(unix_ms)) => unix_ms < now_us / 1000,
            _ => false,
        };
        now_us.is_some_and(is_over)
    }

    /// Ends the possibility to revert, and says what is left to do with the key. `now_us` is none where no
    /// time to live depends on it.
    #[inline(always)]
    pub fn commit(&mut self, now_us: Option<u64>) -> Committed {
        let (deleted, new_revision, expiry) = (self.deleted, self.new_revision, self.expiry);
        let now_us = now_us.filter(|_| self.used);
        let existed = self.found.is_some();
        let entries = self.entries.take();
        // A document that was found is committed where it is: it is large, and mostly there is no other.
        if let (SlotState::Found, Some(found)) = (&self.state, &mut self.found) {
            let (result, ends_at) = found.commit(new_revision, now_us);
            return Committed { result, expiry, ends_at, entries };
        }
        let state = mem::replace(&mut self.state, SlotState::Missing);
        let (result, ends_at) = match (state, self.found.take()) {
            (SlotState::Missing, Some(_)) => (KeyResult::Removed, None),
            (SlotState::Missing, None) => (KeyResult::Untouched, None),
            (SlotState::Found, _) => unreachable!("a document that was found is committed above"),
            (SlotState::Made(MadeDocument { mut document, json_arg, .. }), found) => {
                document.revision = new_revision.expect("a document that was made is numbered");
                if let Some(found) = found {
                    document.locks = mem::take(found.head.locks);
                }
                let ends_at = ends_at(document.model.as_deref(), now_us, Use::Created);
                (KeyResult::Made { document, json_arg, existed, deleted }, ends_at)
            }
        };
        Committed { result, expiry, ends_at, entries }
    }
}

impl FoundDocument<'_> {
    /// The document before the transaction, as far as rules ask for it.
    fn before(&self) -> Option<OldSelf<'_>> {
        let watch = self.editor.watched()?;
        Some(OldSelf::new(watch, self.editor.view()))
    }

    #[inline(always)]
    fn commit(
        &mut self,
        new_revision: Option<u64>,
        now_us: Option<u64>,
    ) -> (KeyResult, Option<EndsAt>) {
        let FoundDocument { head, editor, validation } = self;
        let Some(revision) = new_revision else {
            let ends_at = ends_at(head.model.map(|model| &**model), now_us, Use::Read);
            return (KeyResult::Unchanged { revision: *head.revision }, ends_at);
        };
        head.set_edited(editor.end(), revision);
        let definition = validation.as_ref().and_then(Validation::new_version);
        if let Some(version) = definition {
            head.set_valid_under(version);
        }
        let known = validation.as_ref().and_then(Validation::definition);
        let ends_at = known.zip(now_us);
        let ends_at = ends_at.and_then(|(known, now_us)| EndsAt::of(known, now_us, Use::Changed));
        let definition = definition.unwrap_or(0);
        (KeyResult::Changed { revision, definition }, ends_at)
    }
}

impl MadeDocument {
    fn edit<T>(
        &mut self,
        making: Making<'_>,
        edit: impl FnOnce(&mut Editor<'_>) -> Result<T>,
    ) -> Result<T> {
        let size = self.document.size();
        let Making { scratch, limits, allowance } = making;
        let journal = scratch.get_or_insert_default();
        let mut editor = Editor::new(&mut self.document.root, size, *limits, journal)
            .with_effects(Effects::Unrecorded)
            .with_allowance(allowance);
        let edited = edit(&mut editor)?;
        if editor.changed() {
            self.json_arg = None;
        }
        let size = editor.commit();
        self.document.set_size(size);
        Ok(edited)
    }
}

/// A key for which everything that can be refused has been decided.
pub struct Committed {
    pub result: KeyResult,
    pub expiry: Option<ExpiryOption>,
    /// When the document ends according to its model.
    pub ends_at: Option<EndsAt>,
    /// The entries of the changed document in the indexes that the change can have touched; none where that is none, and
    /// on replicas.
    pub entries: Option<Box<Entries>>,
}

/// The change a transaction made to a key.
pub enum KeyResult {
    /// The key is missing, and was missing before.
    Untouched,
    Unchanged {
        revision: u64,
    },
    /// Edited in place; the journal of the slot holds the effects.
    Changed {
        revision: u64,
        /// The version of the definition that it was validated whole under; 0 where it was not.
        definition: u32,
    },
    /// A document to be stored.
    Made {
        document: NewDocument,
        /// The argument of the command that is its JSON text.
        json_arg: Option<usize>,
        /// There was a document before.
        existed: bool,
        /// That one was deleted first, and its locks with it.
        deleted: bool,
    },
    /// A document to be deleted.
    Removed,
}

/// The refusal where a statement needs a document.
#[cold]
pub fn no_key() -> Error {
    Error::new(ErrorCode::NoKey, "the key is missing")
}

fn ends_at(model: Option<&Model>, now_us: Option<u64>, used: Use) -> Option<EndsAt> {
    EndsAt::of(model?.read().get()?, now_us?, used)
}
