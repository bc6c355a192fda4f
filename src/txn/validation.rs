//! The relation of a document to the definition of its model: how it is validated, and its defaults.

use crate::document::Head;
use crate::error::Result;
use crate::expr::OldSelf;
use crate::model::{Definition, Model, ReadDefinition, ValidationContext, no_model};
use crate::value::View;
use crate::value::edit::{Editor, PlaceChange};

/// How much of a document is validated after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it: it is new, or was validated under another version of its definition, or by an untrusted
    /// payload.
    Whole,
    /// The changes: it was valid before.
    Changes,
}

/// The definition that a document is written under.
pub struct Validation<'h> {
    model: &'h Model,
    definition: ReadDefinition<'h>,
    extent: Extent,
}

impl<'h> Validation<'h> {
    /// Begins before the first statement that may write: has the editor keep values that rules compare with, and
    /// note changes where those are validated, and fills in the defaults of a definition that the document was not
    /// written under.
    pub fn begin(
        model: &'h Model,
        head: &Head<'_>,
        editor: &mut Editor<'_>,
        fills_defaults: bool,
    ) -> Result<Validation<'h>> {
        let definition = model.read();
        let mut extent = Extent::Whole;
        if let Some(definition) = definition.get() {
            editor.watch(definition.old_paths());
            if head.is_valid_under(definition.version) {
                extent = Extent::Changes;
                editor.set_tracking(true);
            } else if fills_defaults && head.definition_version() != definition.version {
                definition.fill_defaults(editor)?;
                editor.mark_defaults();
            }
        }
        Ok(Validation { model, definition, extent })
    }

    /// `SCHEMA`, `RULE` or `NOMODEL` unless the changed document is valid.
    pub fn check(
        &self,
        document: View<'_>,
        changes: &[PlaceChange],
        before: Option<OldSelf<'_>>,
        context: &ValidationContext<'_>,
    ) -> Result<()> {
        match (self.definition.get(), self.extent) {
            (None, _) => Err(no_model(self.model.name().as_bytes())),
            (Some(definition), Extent::Whole) => definition.validate(document, before, context),
            (Some(definition), Extent::Changes) => {
                definition.validate_changes(document, changes, before, context)
            }
        }
        .map_err(|error| error.text("model", self.model.name().as_bytes()))
    }

    /// The version of the definition that a changed document is valid under from now on, where it was
    /// validated whole.
    pub fn new_version(&self) -> Option<u32> {
        let definition = self.definition.get().filter(|_| self.extent == Extent::Whole)?;
        Some(definition.version)
    }

    /// Returns true if the places that change are noted.
    pub fn tracks_changes(&self) -> bool {
        self.extent == Extent::Changes
    }

    pub fn definition(&self) -> Option<&Definition> {
        self.definition.get()
    }
}

/// As [`Validation::check`], for a document that the command makes.
pub fn check_new(
    model: &Model,
    document: View<'_>,
    before: Option<OldSelf<'_>>,
    context: &ValidationContext<'_>,
) -> Result<()> {
    match model.read().get() {
        None => Err(no_model(model.name().as_bytes())),
        Some(definition) => definition.validate(document, before, context),
    }
    .map_err(|error| error.text("model", model.name().as_bytes()))
}
