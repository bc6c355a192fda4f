//! Changing one document under its model's definition: what has to happen before the first statement and
//! after the last one.

use crate::document::Document;
use crate::error::{Error, Result};
use crate::model::{Before, Definition, Judging, no_model};
use crate::value::View;
use crate::value::edit::{Change, Editor};

/// How a document that is about to be changed stands to its model.
pub enum Standing<'d> {
    /// Nobody judges it: it is of the built-in model, or was judged elsewhere.
    Free,
    /// Its model is not defined here: it may be read.
    Unknown,
    /// It is as its definition wants it: what changes is judged.
    Judged(&'d Definition),
    /// It was judged under another version of its definition, or nobody knows: it is judged whole.
    Stale(&'d Definition),
    /// It is being created.
    New(&'d Definition),
}

impl<'d> Standing<'d> {
    /// Of a document that exists. `definition` is its model's.
    pub fn of(document: &Document, definition: Option<&'d Definition>) -> Standing<'d> {
        match definition {
            _ if document.model.is_none() => Standing::Free,
            None => Standing::Unknown,
            Some(definition) if document.is_judged_by(definition.version) => {
                Standing::Judged(definition)
            }
            Some(definition) => Standing::Stale(definition),
        }
    }

    pub fn definition(&self) -> Option<&'d Definition> {
        match self {
            Standing::Free | Standing::Unknown => None,
            Standing::Judged(definition)
            | Standing::Stale(definition)
            | Standing::New(definition) => Some(definition),
        }
    }

    /// Whether the editor has to note what changes.
    pub fn needs_changes(&self) -> bool {
        matches!(self, Standing::Judged(_))
    }

    /// Puts in defaults the document may lack, before the first statement: those of a definition it was
    /// not written under. `version` is that of the one it was.
    pub fn fill_defaults(&self, version: u32, editor: &mut Editor<'_>) -> Result<()> {
        match self {
            Standing::New(definition) => definition.fill_defaults(editor),
            Standing::Stale(definition) if definition.version != version => {
                definition.fill_defaults(editor)
            }
            _ => Ok(()),
        }
    }

    /// What the rules will ask for of the document as it is before the first statement.
    pub fn before(&self, document: View<'_>) -> Before {
        match self {
            Standing::Judged(definition) | Standing::Stale(definition) => {
                definition.before(document)
            }
            _ => None,
        }
    }

    /// Judges what was changed: `SCHEMA`, `RULE`, or `NOMODEL`. `changes` are looked at where
    /// [`Standing::needs_changes`] said so.
    pub fn judge(
        &self,
        model: &str,
        document: View<'_>,
        changes: &[Change],
        before: &Before,
        judging: &Judging<'_>,
    ) -> Result<()> {
        match self {
            Standing::Free => Ok(()),
            Standing::Unknown => Err(no_model(model.as_bytes())),
            Standing::Judged(definition) => {
                definition.judge_changes(document, changes, before, judging)
            }
            Standing::Stale(definition) | Standing::New(definition) => {
                definition.judge(document, before, judging)
            }
        }
        .map_err(|error: Error| error.text("model", model.as_bytes()))
    }
}
