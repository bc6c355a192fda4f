//! One name, of a model or of an action, and the definition in force.
//!
//! Documents refer to their model, so that they find its definition without a look-up, and all of them see a new one at
//! once.

use std::mem;
use std::sync::{Arc, OnceLock, RwLock, RwLockReadGuard};

use super::entry::{Entry, OutlineItem, Source};
use super::source::{ChangesSource, DefinitionSource};
use crate::index::ModelIndexes;

/// A name and the state of its definition.
pub struct NamedDefinition<S: Source> {
    name: Arc<str>,
    state: RwLock<NamedDefinitionState<S>>,
    kept: S::Kept,
    /// The stand-in of [`Model::departed`]; none in a stand-in.
    departed: Option<OnceLock<Arc<NamedDefinition<S>>>>,
}

/// A model: its name and the state of its definition.
pub type Model = NamedDefinition<DefinitionSource>;

pub struct NamedDefinitionState<S: Source> {
    /// The version of the latest definition, or of its end; 0 if none is known.
    pub version: u32,
    /// The source, while the name is defined.
    pub source: Option<S>,
    /// None also if the source came from another server and does not compile here.
    pub definition: Option<S::Compiled>,
    /// [`Entry::hash`] of the entry; 0 if there is none.
    pub hash: u64,
}

impl<S: Source> Default for NamedDefinitionState<S> {
    fn default() -> NamedDefinitionState<S> {
        NamedDefinitionState { version: 0, source: None, definition: None, hash: 0 }
    }
}

/// A definition, locked for reading.
pub struct ReadDefinition<'m, S: Source = DefinitionSource>(
    RwLockReadGuard<'m, NamedDefinitionState<S>>,
);

impl<S: Source> ReadDefinition<'_, S> {
    /// None if the name is not defined here.
    #[inline]
    pub fn get(&self) -> Option<&S::Compiled> {
        self.0.definition.as_ref()
    }
}

impl ReadDefinition<'_> {
    /// The version of the definition in force; 0 if there is none.
    pub fn version(&self) -> u32 {
        self.get().map_or(0, |definition| definition.version)
    }
}

// Definitions change on the server's main thread alone; the locks only make them shareable. A panic while one is held
// leaves no partial state: states are replaced, never edited.
impl<S: Source> NamedDefinition<S> {
    pub(super) fn new(name: &str) -> NamedDefinition<S> {
        NamedDefinition {
            name: name.into(),
            state: RwLock::default(),
            kept: S::Kept::default(),
            departed: Some(OnceLock::new()),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name, for what is kept beside the model.
    pub fn shared_name(&self) -> Arc<str> {
        self.name.clone()
    }

    pub(super) fn kept(&self) -> &S::Kept {
        &self.kept
    }

    /// Locks the definition in force for reading.
    #[inline]
    pub fn read(&self) -> ReadDefinition<'_, S> {
        ReadDefinition(self.state())
    }

    #[inline]
    pub(super) fn state(&self) -> RwLockReadGuard<'_, NamedDefinitionState<S>> {
        self.state.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The number of documents of this model, over all databases, with those that are being loaded.
    pub fn documents(model: &Arc<Self>) -> usize {
        // The registry holds one.
        Arc::strong_count(model) - 1
    }

    pub(super) fn entry(&self) -> Entry<S> {
        let state = self.state();
        Entry { name: (*self.name).into(), version: state.version, source: state.source.clone() }
    }

    pub(super) fn item(&self) -> OutlineItem {
        let state = self.state();
        OutlineItem { name: (*self.name).into(), version: state.version, hash: state.hash }
    }

    pub(super) fn set(&self, state: NamedDefinitionState<S>) {
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

impl Model {
    /// The model that documents have which were removed from their keys: it has the name alone. Such a document is not
    /// counted, though it may wait long to be freed in the background.
    pub fn departed(model: &Arc<Model>) -> Arc<Model> {
        let Some(departed) = &model.departed else { return model.clone() };
        let new = || Arc::new(Model { departed: None, ..Model::new(&model.name) });
        departed.get_or_init(new).clone()
    }

    /// Returns true if this is the model of documents that were removed from their keys.
    pub fn is_departed(&self) -> bool {
        self.departed.is_none()
    }

    /// The model with its definition and no document, to take the place of this one.
    pub(super) fn without_documents(&self) -> Model {
        let model = Model::new(&self.name);
        let state = mem::take(&mut *self.state.write().unwrap_or_else(|p| p.into_inner()));
        DefinitionSource::declare(&model.kept, state.definition.as_ref(), false);
        model.set(state);
        model
    }

    /// The stream that its changes are appended to; none without `CHANGES`.
    pub fn changes(&self) -> Option<ChangesSource> {
        self.read().get()?.source.changes
    }

    /// Its indexes, over all databases.
    pub fn indexes(&self) -> &ModelIndexes {
        &self.kept
    }
}

impl<S: Source> std::fmt::Debug for NamedDefinition<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("NamedDefinition").field(&self.name).finish()
    }
}
