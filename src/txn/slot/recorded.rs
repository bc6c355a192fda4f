//! Entries of change streams for one key of a transaction: made when nothing else can be refused, before the document is
//! committed, because the journal still tells what was there.

use std::sync::Arc;

use super::{FoundDocument, MadeDocument, Slot, SlotState};
use crate::budget::{Allowance, weight};
use crate::changes::{ChangeOp, DocumentChange, RecordedChanges};
use crate::error::{Error, Result};
use crate::limit;
use crate::model::{ChangesSource, ChangesWith, Model};
use crate::reply::empty_text;
use crate::value::{View, patch, print};

/// The bytes of a text for each byte of a value's size, at most.
const TEXT_PER_SIZE: u64 = 6;
/// Bytes of a patch of an empty document.
const PATCH_BYTES: u64 = 64;

/// The terms on which changes are recorded.
pub struct Recording<'r> {
    /// The key of the transaction's token.
    pub token: Option<&'r [u8]>,
    pub allowance: &'r Allowance<'r>,
    /// The bytes of content of one entry.
    pub most_bytes: u64,
}

impl Recording<'_> {
    /// A content that is paid for; `LIMIT` where it is too long, together with `other` bytes.
    fn admit(&self, text: Vec<u8>, other: usize) -> Result<Vec<u8>> {
        self.allowance.transfer(text.len() as u64 / weight::REPLY_BYTES)?;
        if (text.len() + other) as u64 > self.most_bytes {
            return Err(Error::limit(limit::CHANGE_BYTES, self.most_bytes));
        }
        Ok(text)
    }

    fn text(&self, view: View<'_>, other: usize) -> Result<Vec<u8>> {
        let mut text = empty_text();
        print::json(view, &mut text);
        self.admit(text, other)
    }
}

impl Slot<'_> {
    /// Keeps the text of the document that was found, if its changes are recorded with it.
    pub fn keep_before(&mut self, recording: &Recording<'_>) -> Result<()> {
        let Some(found) = &self.found else { return Ok(()) };
        let with = |(_, source): (&Arc<Model>, ChangesSource)| source.with == ChangesWith::Both;
        if self.before.is_none() && found.recorded().is_some_and(with) {
            self.before = Some(recording.text(found.editor.view(), 0)?);
        }
        Ok(())
    }

    /// Adds what happened to the key. Revisions are numbered.
    pub fn record(
        &mut self,
        recording: &Recording<'_>,
        changes: &mut RecordedChanges,
    ) -> Result<()> {
        let old = self.found.as_ref().and_then(FoundDocument::recorded);
        let prev = self.found.as_ref().map(|found| *found.head.revision);
        let made = match &self.state {
            SlotState::Made(made) => made.document.model.as_ref(),
            _ => None,
        };
        let new = made.and_then(|model| Some((model, model.changes()?)));
        let change = |model: &Model, source: ChangesSource, op| {
            let mut change = DocumentChange::new(model.shared_name(), source.entries, op, self.key);
            change.prev = prev.filter(|_| op != ChangeOp::Create);
            change.token = recording.token.map(Into::into);
            change
        };
        let replaces =
            matches!((old, new), (Some((old, _)), Some((new, _))) if Arc::ptr_eq(old, new));
        let stays = matches!(self.state, SlotState::Found);
        if let (Some((model, source)), false, false) = (old, replaces, stays) {
            let mut deleted = change(model, source, ChangeOp::Delete);
            deleted.content.before = self.before.take();
            changes.0.push(deleted);
        }
        let (recorded, op) = match (new, old) {
            (Some(new), _) => (new, if replaces { ChangeOp::Update } else { ChangeOp::Create }),
            (None, Some(old)) if stays && self.new_revision.is_some() => (old, ChangeOp::Update),
            _ => return Ok(()),
        };
        let (model, source) = recorded;
        let mut recorded = change(model, source, op);
        recorded.rev = self.new_revision;
        let view = self.view().expect("a document that changed is there");
        if source.with == ChangesWith::Patch && op == ChangeOp::Update {
            recorded.content.patch = self.patch(recording)?;
        }
        if source.with != ChangesWith::Keys && recorded.content.patch.is_none() {
            let before = self.before.as_ref().filter(|_| op == ChangeOp::Update);
            recorded.content.after = Some(recording.text(view, before.map_or(0, Vec::len))?);
        }
        if op == ChangeOp::Update {
            recorded.content.before = self.before.take();
        }
        changes.0.push(recorded);
        Ok(())
    }

    /// The patch from the document that was found to the one that stands now; none if that one is shorter itself.
    fn patch(&self, recording: &Recording<'_>) -> Result<Option<Vec<u8>>> {
        let Some(FoundDocument { editor, .. }) = &self.found else { return Ok(None) };
        let (patch, view) = match &self.state {
            SlotState::Found => {
                recording.allowance.transfer(editor.effect_bytes() / weight::REPLY_BYTES)?;
                (editor.net_patch(most(editor.size())), editor.view())
            }
            // The document before its own changes is not known any more.
            SlotState::Made(_) if editor.changed() => return Ok(None),
            SlotState::Made(MadeDocument { document, .. }) => {
                let sizes = editor.size() + document.size();
                recording.allowance.transfer(sizes / weight::REPLY_BYTES)?;
                let view = document.root.view();
                (patch::between(editor.view(), view, most(document.size())), view)
            }
            SlotState::Missing => return Ok(None),
        };
        let patch = patch.filter(|patch| !patch::fits(view, patch.len() - 1));
        patch.map(|patch| recording.admit(patch, 0)).transpose()
    }
}

/// More bytes than the text of a document of this size has.
fn most(size: u64) -> usize {
    (size.saturating_mul(TEXT_PER_SIZE) + PATCH_BYTES) as usize
}

impl FoundDocument<'_> {
    /// The model of the document, if its changes are recorded.
    fn recorded(&self) -> Option<(&Arc<Model>, ChangesSource)> {
        let model = self.head.model?;
        Some((model, model.changes()?))
    }
}
