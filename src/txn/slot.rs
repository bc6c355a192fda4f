//! One document of a transaction: as it was found, as it stands, and what becomes of it.
//!
//! A document that is there is edited in place, and its journal knows the way back until the
//! transaction is over. Whatever concerns the key (a new document, its end, its time to live, its
//! revision) is only noted, and happens when nothing can be refused any more. So undoing a transaction
//! is dropping it: what was edited is rolled back, and nothing else was done.

use std::mem;
use std::sync::Arc;

use super::judge::Standing;
use super::run::{HeldLocks, Released};
use super::ttl::{EndsAt, ExpiryOption, Use};
use crate::budget::Allowance;
use crate::document::{Document, NewDocument};
use crate::error::Result;
use crate::model::{Before, Judging, Model, ReadDefinition};
use crate::value::edit::{Editor, Effects, Journal};
use crate::value::{Limits, Measured, View};

/// What a slot's document is changed within.
#[derive(Clone, Copy)]
pub struct Changing<'t> {
    pub limits: &'t Limits,
    pub allowance: &'t Allowance<'t>,
    /// Whether changes of a document that was found are written down for replicas.
    pub effects: Effects,
    /// What is repeated was judged elsewhere.
    pub replaying: bool,
    /// The moment on the clock of leases, where a statement asks who holds locks.
    pub steady_ms: u64,
}

/// A key of a transaction.
pub struct Slot<'h> {
    pub key: &'h [u8],
    /// The document that was there, edited in place.
    found: Option<&'h mut Document>,
    state: State,
    /// What was done to the document that was found.
    journal: Journal,
    /// Whether what changes in it is judged, and not the whole of it.
    tracks: bool,
    /// What rules will ask for of it as it was.
    before: Before,
    /// Its revision; none once the transaction has ended or created the document.
    revision: Option<u64>,
    /// The last one a block asked for, of the document that stands now.
    expiry: Option<ExpiryOption>,
    /// A block is about it.
    used: bool,
    /// A block has an operator that may write it.
    may_be_written: bool,
    /// An operator ran that may have changed the document that was found.
    written: bool,
    /// The bytes that statements put into what this transaction made.
    put_into_made: u64,
    /// The revision it gets, see [`Slot::plan`].
    next: Option<u64>,
    /// The grants of its locks that end with the transaction.
    released: Released,
}

enum State {
    Missing,
    /// As it was found, apart from what the journal knows.
    Found,
    /// Made by this transaction.
    Made {
        document: NewDocument,
        /// It took the place of one that was found and is of the same model: rules compare the two.
        replaces: bool,
    },
}

impl<'h> Slot<'h> {
    pub fn new(key: &'h [u8], found: Option<&'h mut Document>, journal: Journal) -> Slot<'h> {
        assert!(journal.is_empty(), "a transaction starts with empty journals");
        let revision = found.as_ref().map(|document| document.revision);
        let state = if found.is_some() { State::Found } else { State::Missing };
        Slot {
            key,
            found,
            state,
            journal,
            tracks: false,
            before: None,
            revision,
            expiry: None,
            used: false,
            may_be_written: false,
            written: false,
            put_into_made: 0,
            next: None,
            released: Released::new(),
        }
    }

    /// Before the first statement of a transaction that may write the document: keeps what rules will
    /// ask for, and puts in the defaults of a newer definition. To be called once.
    pub fn prepare(&mut self, changing: Changing<'_>) -> Result<()> {
        let (Some(document), false) = (self.found.as_deref_mut(), changing.replaying) else {
            return Ok(());
        };
        let Some(model) = document.model.clone() else { return Ok(()) };
        let held = model.read();
        let standing = Standing::of(document, held.get());
        self.tracks = standing.needs_changes();
        self.before = standing.before(document.root.view());
        let version = document.definition_version();
        let size = document.size();
        let mut editor =
            Editor::resume(&mut document.root, size, *changing.limits, &mut self.journal)
                .with_effects(changing.effects)
                .with_allowance(changing.allowance);
        standing.fill_defaults(version, &mut editor)?;
        editor.suspend();
        Ok(())
    }

    /// An operator that may write it is to come. Whether this is the first to be heard of it.
    pub fn begin_writing(&mut self) -> bool {
        !mem::replace(&mut self.may_be_written, true)
    }

    /// The document as it stands.
    pub fn view(&self) -> Option<View<'_>> {
        match &self.state {
            State::Missing => None,
            State::Found => self.found.as_ref().map(|document| document.root.view()),
            State::Made { document, .. } => Some(document.root.view()),
        }
    }

    pub fn is_missing(&self) -> bool {
        matches!(self.state, State::Missing)
    }

    /// The revision before the transaction; none of a document that the transaction created.
    pub fn revision(&self) -> Option<u64> {
        self.revision
    }

    /// An operator ran that may have changed the document.
    pub fn set_written(&mut self) {
        self.written = true;
    }

    /// A block is about it.
    pub fn set_used(&mut self) {
        self.used = true;
    }

    pub fn set_expiry(&mut self, expiry: ExpiryOption) {
        self.expiry = Some(expiry);
    }

    /// The bytes that statements put into documents so far.
    pub fn put_in(&self) -> u64 {
        self.journal.put_in() + self.put_into_made
    }

    /// The bytes of the changes that are written down for others so far.
    pub fn written(&self) -> u64 {
        self.journal.written()
    }

    /// Calls with an editor of the document as it stands, with none where there is none, and with its
    /// locks. What is edited stays when the call succeeds, and is undone with the slot. `scratch` is
    /// empty before and after.
    pub fn edit<T>(
        &mut self,
        changing: Changing<'_>,
        scratch: &mut Journal,
        edit: impl FnOnce(Option<&mut Editor<'_>>, HeldLocks<'_>) -> Result<T>,
    ) -> Result<T> {
        let (now_ms, replaying) = (changing.steady_ms, changing.replaying);
        let released = &mut self.released;
        // What was deleted took its locks along, and what was made anew has none.
        let found = self.found.as_deref_mut().filter(|_| self.revision.is_some());
        match &mut self.state {
            State::Missing => edit(None, HeldLocks { locks: None, released, now_ms, replaying }),
            State::Found => {
                let document = found.expect("a found document is there");
                let locks = Some(&document.locks);
                let locks = HeldLocks { locks, released, now_ms, replaying };
                let size = document.size();
                let mut editor =
                    Editor::resume(&mut document.root, size, *changing.limits, &mut self.journal)
                        .with_effects(changing.effects)
                        .with_allowance(changing.allowance)
                        .track_changes(self.tracks);
                let edited = edit(Some(&mut editor), locks);
                editor.suspend();
                edited
            }
            State::Made { document, .. } => {
                let locks = found.map(|found| &found.locks);
                let locks = HeldLocks { locks, released, now_ms, replaying };
                edit_made(document, changing, scratch, &mut self.put_into_made, |editor| {
                    edit(editor, locks)
                })
            }
        }
    }

    /// A new document stands here from now on, with the defaults of its model.
    pub fn make(
        &mut self,
        content: &Measured,
        model: Option<Arc<Model>>,
        changing: Changing<'_>,
        scratch: &mut Journal,
    ) -> Result<()> {
        let held = model.as_ref().map(|model| model.read());
        let definition = held.as_ref().and_then(ReadDefinition::get);
        let version = definition.map_or(0, |definition| definition.version);
        // The revision is known when the transaction is over.
        let mut document = NewDocument::new(content.clone(), model.clone(), version, 0);
        if let Some(definition) = definition {
            edit_made(&mut document, changing, scratch, &mut self.put_into_made, |editor| {
                definition.fill_defaults(editor.expect("it was just made"))
            })?;
        }
        let found = self.found.as_ref().filter(|_| self.revision.is_some());
        let replaces = found.is_some_and(|found| match (&found.model, &model) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            _ => false,
        });
        self.state = State::Made { document, replaces };
        self.expiry = None;
        Ok(())
    }

    /// The document is gone from now on.
    pub fn delete(&mut self) {
        self.state = State::Missing;
        self.revision = None;
        self.expiry = None;
        self.released.clear();
    }

    /// `SCHEMA` or `RULE` unless what stands is as its model wants it. To be called once, when all
    /// statements have run.
    pub fn judge(&mut self, changing: Changing<'_>, judging: &Judging<'_>) -> Result<()> {
        self.drop_defaults_alone(changing);
        if changing.replaying || !self.is_changed() {
            return Ok(());
        }
        let (document, standing_new, changes): (&Document, _, _) = match &self.state {
            State::Missing => return Ok(()),
            State::Found => {
                let document = self.found.as_deref().expect("a found document is there");
                (document, false, self.journal.changes())
            }
            State::Made { document, .. } => (document, true, &[][..]),
        };
        let Some(model) = &document.model else { return Ok(()) };
        let held = model.read();
        let standing = match held.get() {
            Some(definition) if standing_new => Standing::New(definition),
            definition => Standing::of(document, definition),
        };
        let compares = !matches!(self.state, State::Made { replaces: false, .. });
        let before = if compares { &self.before } else { &None };
        standing.judge(model.name(), document.root.view(), changes, before, judging)
    }

    /// Where no operator ran that writes, defaults that were put in for it are taken out again: a
    /// document that is only read stays as it is.
    fn drop_defaults_alone(&mut self, changing: Changing<'_>) {
        if self.written || self.journal.is_empty() {
            return;
        }
        self.roll_back(changing.limits);
    }

    /// Whether the document's content is another one than before.
    fn is_changed(&self) -> bool {
        match self.state {
            State::Missing => false,
            State::Found => !self.journal.is_empty(),
            State::Made { .. } => true,
        }
    }

    /// Decides the revision: `next` for a document that changed, which is then counted up.
    pub fn plan(&mut self, next: &mut u64) {
        if self.is_changed() {
            let found = self.found.as_ref().map_or(0, |document| document.revision);
            let revision = (*next).max(found + 1);
            *next = revision + 1;
            self.next = Some(revision);
        }
    }

    /// The revision the document has when the transaction is over, which was planned.
    pub fn planned(&self) -> Option<u64> {
        if self.is_missing() { None } else { self.next.or(self.revision) }
    }

    /// Ends the possibility to undo, and says what is left to do with the key.
    pub fn commit(mut self, changing: Changing<'_>, now_us: u64) -> Committed {
        let existed = self.found.is_some();
        let (became, ends_at) = match mem::replace(&mut self.state, State::Missing) {
            State::Missing if existed => (Became::Removed, None),
            State::Missing => (Became::Untouched, None),
            State::Made { mut document, .. } => {
                document.revision = self.next.expect("a revision was planned");
                if let Some(found) = self.found.as_deref_mut() {
                    document.locks = mem::take(&mut found.locks);
                }
                let ends_at = ends_at(&document, now_us, Use::Created);
                let anew = existed && self.revision.is_none();
                (Became::Made { document, anew }, ends_at)
            }
            State::Found => self.commit_found(changing, now_us),
        };
        // What was replaced or removed need not be as it was.
        self.found = None;
        let journal = mem::take(&mut self.journal);
        let released = mem::take(&mut self.released);
        Committed { became, expiry: self.expiry, ends_at, journal, released }
    }

    fn commit_found(&mut self, changing: Changing<'_>, now_us: u64) -> (Became, Option<EndsAt>) {
        let document = self.found.as_deref_mut().expect("a found document is there");
        let used = self.used && !changing.replaying;
        let Some(revision) = self.next else {
            let ends_at = used.then(|| ends_at(document, now_us, Use::Read)).flatten();
            return (Became::Read { revision: document.revision }, ends_at);
        };
        let size = document.size();
        let editor = Editor::resume(&mut document.root, size, *changing.limits, &mut self.journal);
        let size = editor.size();
        editor.commit();
        document.set_size(size);
        document.revision = revision;
        let definition = if changing.replaying { None } else { judged_anew(document) };
        if let Some(version) = definition {
            document.set_judged_by(version);
        }
        // A replica is sent the time to live.
        let ends_at = used.then(|| ends_at(document, now_us, Use::Changed)).flatten();
        (Became::Changed { revision, definition: definition.unwrap_or(0) }, ends_at)
    }

    /// Undoes what was done; gives the journal back, empty.
    pub fn into_journal(mut self) -> Journal {
        self.roll_back(&Limits::NONE);
        mem::take(&mut self.journal)
    }

    fn roll_back(&mut self, limits: &Limits) {
        if let Some(document) = self.found.as_deref_mut() {
            let size = document.size();
            Editor::resume(&mut document.root, size, *limits, &mut self.journal).rollback();
        }
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        if !self.journal.is_empty() {
            self.roll_back(&Limits::NONE);
        }
    }
}

/// What became of a key, now that everything that can be refused has been.
pub struct Committed {
    pub became: Became,
    pub expiry: Option<ExpiryOption>,
    /// When the document ends according to its model.
    pub ends_at: Option<EndsAt>,
    /// Holds the effects of a document that changed.
    pub journal: Journal,
    /// The grants that end.
    pub released: Released,
}

pub enum Became {
    /// Nothing is there, and nothing was.
    Untouched,
    Read {
        revision: u64,
    },
    Changed {
        revision: u64,
        /// Of the definition it was judged by, where that is another one than before; else 0.
        definition: u32,
    },
    /// To be stored.
    Made {
        document: NewDocument,
        /// The one that was there was deleted first: it took its locks along.
        anew: bool,
    },
    /// To be deleted.
    Removed,
}

/// The version of the definition that judged a document whole.
fn judged_anew(document: &Document) -> Option<u32> {
    let held = document.model.as_ref()?.read();
    match Standing::of(document, held.get()) {
        Standing::Stale(definition) => Some(definition.version),
        _ => None,
    }
}

fn ends_at(document: &Document, now_us: u64, used: Use) -> Option<EndsAt> {
    let held = document.model.as_ref()?.read();
    EndsAt::of(held.get()?, now_us, used)
}

/// A document that was just made needs no way back: it is dropped with the transaction.
fn edit_made<T>(
    document: &mut Document,
    changing: Changing<'_>,
    scratch: &mut Journal,
    put_in: &mut u64,
    edit: impl FnOnce(Option<&mut Editor<'_>>) -> Result<T>,
) -> Result<T> {
    let size = document.size();
    let mut editor = Editor::new(&mut document.root, size, *changing.limits, scratch)
        .with_effects(Effects::Unrecorded)
        .with_allowance(changing.allowance);
    let edited = edit(Some(&mut editor))?;
    let size = editor.size();
    editor.commit();
    document.set_size(size);
    *put_in += scratch.put_in();
    scratch.clear();
    Ok(edited)
}
