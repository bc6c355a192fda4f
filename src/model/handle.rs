//! One model: its name, and the definition in force.
//!
//! Documents refer to their model, so that they find its definition without a look-up, and all of them see a new one at
//! once.

use std::sync::{Arc, RwLock, RwLockReadGuard};

use super::definition::Definition;
use super::entry::{ModelEntry, OutlineItem};
use super::source::DefinitionSource;

/// A model: its name and the state of its definition.
pub struct Model {
    name: Box<str>,
    state: RwLock<ModelState>,
}

#[derive(Default)]
pub struct ModelState {
    /// The version of the latest definition, or of its end; 0 if none is known.
    pub version: u32,
    /// The source, while the model is defined.
    pub source: Option<DefinitionSource>,
    /// None also if the source came from another server and does not compile here.
    pub definition: Option<Definition>,
    /// [`ModelEntry::hash`] of the entry; 0 if there is none.
    pub hash: u64,
}

/// The definition of a model, locked for reading.
pub struct ReadDefinition<'m>(RwLockReadGuard<'m, ModelState>);

impl ReadDefinition<'_> {
    /// None if the model is not defined here.
    #[inline]
    pub fn get(&self) -> Option<&Definition> {
        self.0.definition.as_ref()
    }

    /// The version of the definition in force; 0 if there is none.
    pub fn version(&self) -> u32 {
        self.get().map_or(0, |definition| definition.version)
    }
}

// Definitions change on the server's main thread alone; the locks only make them shareable. A panic while one is held
// leaves no partial state: states are replaced, never edited.
impl Model {
    pub(super) fn new(name: &str) -> Model {
        Model { name: name.into(), state: RwLock::default() }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Locks the definition in force for reading.
    #[inline]
    pub fn read(&self) -> ReadDefinition<'_> {
        ReadDefinition(self.state())
    }

    #[inline]
    pub(super) fn state(&self) -> RwLockReadGuard<'_, ModelState> {
        self.state.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The number of documents of this model in memory: in a database, being loaded, or waiting to be freed in the
    /// background.
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

    /// Returns true if a definition, or the end of one, is known.
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
