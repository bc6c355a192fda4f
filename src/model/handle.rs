//! One model: its name, and the definition in force.
//!
//! Documents hold their model, so that they find its definition without a look-up and all of them see a new one at once.

use std::sync::{Arc, RwLock, RwLockReadGuard};

use super::definition::Definition;
use super::entry::{ModelEntry, OutlineItem};
use super::source::DefinitionSource;

/// One name, and what is defined for it now.
pub struct Model {
    name: Box<str>,
    state: RwLock<ModelState>,
}

#[derive(Default)]
pub struct ModelState {
    /// Of the latest definition, or of its end; 0 where nothing is known.
    pub version: u32,
    /// What was given, while it is defined.
    pub source: Option<DefinitionSource>,
    /// None also where what was given elsewhere does not compile here.
    pub definition: Option<Definition>,
    /// [`ModelEntry::hash`] of what is known; 0 where nothing is.
    pub hash: u64,
}

/// A model's definition, held still while it is read.
pub struct ReadDefinition<'m>(RwLockReadGuard<'m, ModelState>);

impl ReadDefinition<'_> {
    /// None where the model is not defined here.
    #[inline]
    pub fn get(&self) -> Option<&Definition> {
        self.0.definition.as_ref()
    }

    /// The version of the definition in force; 0 where there is none.
    pub fn version(&self) -> u32 {
        self.get().map_or(0, |definition| definition.version)
    }
}

// Definitions change on the server's main thread alone; the locks only make them shareable. A panic while
// one is held leaves whole states behind: they are replaced, never edited.
impl Model {
    pub(super) fn new(name: &str) -> Model {
        Model { name: name.into(), state: RwLock::default() }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is defined now.
    #[inline]
    pub fn read(&self) -> ReadDefinition<'_> {
        ReadDefinition(self.state())
    }

    #[inline]
    pub(super) fn state(&self) -> RwLockReadGuard<'_, ModelState> {
        self.state.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The documents of this model that are in memory, wherever they are: in a database, being loaded, or
    /// waiting to be freed in the background.
    pub fn documents(model: &Arc<Model>) -> usize {
        // The registry holds one.
        Arc::strong_count(model) - 1
    }

    pub(super) fn entry(&self) -> ModelEntry {
        let state = self.state();
        ModelEntry { name: self.name.clone(), version: state.version, source: state.source.clone() }
    }

    pub(super) fn item(&self) -> OutlineItem {
        let state = self.state();
        OutlineItem { name: self.name.clone(), version: state.version, hash: state.hash }
    }

    pub(super) fn set(&self, state: ModelState) {
        *self.state.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = state;
    }

    /// Flag: a definition, or the end of one, is known.
    pub(super) fn is_known(&self) -> bool {
        self.state().version > 0
    }

    pub(super) fn is_defined(&self) -> bool {
        self.state().source.is_some()
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Model").field(&self.name).finish()
    }
}
