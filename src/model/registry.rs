//! All models of one server, by name.
//!
//! A name without a definition is a model too: its documents are kept, read and deleted, and not written.
//!
//! The definitions of one name are ordered by their version, and the end of a definition has a version as well: so
//! servers that receive them in any order converge. The latest ends are stored, see [`super::ends`].

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::definition::Definition;
use super::ends::Ends;
use super::entry::{FORGOTTEN, ModelEntry, OutlineItem, VERSION_MAX};
use super::handle::{Model, ModelState};
use super::schema::SchemaLimits;
use super::source::DefinitionSource;
use crate::budget::Allowance;
use crate::error::{Error, ErrorCode, Result};
use crate::expr::ExprLimits;
use crate::limit;

/// The most models that clients may define at a time.
pub const MODELS_MAX: usize = crate::limit::MODELS.default as usize;
/// The models of one server.
#[derive(Default)]
pub struct Models {
    names: RwLock<ModelTable>,
}

/// Models by name, with counts and a hash that each change updates.
struct ModelTable {
    by_name: BTreeMap<Box<str>, Arc<Model>>,
    defined: usize,
    ended: Ends,
    /// The sum of the hashes of all entries.
    summary: u64,
}

impl Default for ModelTable {
    fn default() -> ModelTable {
        ModelTable::new()
    }
}

impl ModelTable {
    const fn new() -> ModelTable {
        ModelTable { by_name: BTreeMap::new(), defined: 0, ended: Ends::new(), summary: 0 }
    }

    fn model(&mut self, name: &str) -> Arc<Model> {
        if let Some(model) = self.by_name.get(name) {
            return model.clone();
        }
        // Names without definition and without documents are dropped when a new name is added.
        self.by_name.retain(|_, model| model.is_known() || Arc::strong_count(model) > 1);
        self.by_name.entry(name.into()).or_insert_with(|| Arc::new(Model::new(name))).clone()
    }

    fn set(&mut self, entry: &ModelEntry, definition: Option<Definition>) {
        if &*entry.name == FORGOTTEN {
            return self.forget(entry.version);
        }
        let model = self.model(&entry.name);
        self.discount(&model);
        let hash = entry.hash();
        self.summary = self.summary.wrapping_add(hash);
        match entry.source {
            Some(_) => self.defined += 1,
            None => self.ended.insert(&entry.name, entry.version),
        }
        let (version, source) = (entry.version, entry.source.clone());
        model.set(ModelState { version, source, definition, hash });
        drop(model);
        self.forget(self.ended.overflow());
    }

    /// Subtracts a model from the counts and the summary.
    fn discount(&mut self, model: &Model) {
        let state = model.state();
        self.summary = self.summary.wrapping_sub(state.hash);
        match state.source {
            Some(_) => self.defined -= 1,
            None => self.ended.remove(model.name(), state.version),
        }
    }

    /// Forgets all ends up to this version.
    fn forget(&mut self, version: u32) {
        let hash = |ended: &Ends| match ended.forgotten() {
            0 => 0,
            version => ModelEntry::forgotten(version).hash(),
        };
        let before = hash(&self.ended);
        for name in self.ended.forget(version) {
            let Some(model) = self.by_name.get(&name).cloned() else { continue };
            self.summary = self.summary.wrapping_sub(model.state().hash);
            model.set(ModelState::default());
            // The registry and this function hold one each; a document keeps its model.
            if Arc::strong_count(&model) == 2 {
                self.by_name.remove(&name);
            }
        }
        self.summary = self.summary.wrapping_sub(before).wrapping_add(hash(&self.ended));
    }

    /// The version after this one and after all forgotten ones.
    fn next_version(&self, version: u32) -> Result<u32> {
        match version.max(self.ended.forgotten()) {
            VERSION_MAX.. => Err(Error::limit(limit::DEFINITION_VERSIONS, VERSION_MAX.into())),
            version => Ok(version + 1),
        }
    }

    fn forgotten(&self) -> Option<ModelEntry> {
        let version = self.ended.forgotten();
        (version > 0).then(|| ModelEntry::forgotten(version))
    }

    fn known(&self) -> impl Iterator<Item = &Arc<Model>> {
        self.by_name.values().filter(|model| model.is_known())
    }
}

impl Models {
    pub const fn new() -> Models {
        Models { names: RwLock::new(ModelTable::new()) }
    }

    /// A registry that stores at most so many ends.
    #[cfg(test)]
    pub fn with_ended_max(max: usize) -> Models {
        let models = Models::new();
        models.write().ended.set_max(max);
        models
    }

    /// The model of a document with this name; it may not be defined.
    pub fn of_document(&self, name: &str) -> Arc<Model> {
        if let Some(model) = self.read().by_name.get(name) {
            return model.clone();
        }
        self.write().model(name)
    }

    /// The model of this name, or `NOMODEL` if it is not defined.
    pub fn defined(&self, name: &[u8]) -> Result<Arc<Model>> {
        let found =
            std::str::from_utf8(name).ok().and_then(|name| self.read().by_name.get(name).cloned());
        found.filter(|model| model.read().get().is_some()).ok_or_else(|| no_model(name))
    }

    /// The names of all defined models, in byte order.
    pub fn names(&self) -> Vec<Box<str>> {
        let names = self.read();
        let defined = names.by_name.values().filter(|model| model.is_defined());
        defined.map(|model| model.name().into()).collect()
    }

    /// The number of models that are defined.
    pub fn defined_count(&self) -> usize {
        self.read().defined
    }

    /// The entry that defines `name` by this source; none if it is defined so already.
    pub fn next(&self, name: &str, source: DefinitionSource) -> Result<Option<ModelEntry>> {
        let names = self.read();
        let model = names.by_name.get(name);
        let is_same = |model: &Arc<Model>| {
            model.state().source.as_ref().is_some_and(|known| known.is_same(&source))
        };
        let defined = model.is_some_and(|model| model.is_defined());
        if model.is_some_and(is_same) {
            return Ok(None);
        }
        if !defined && names.defined >= MODELS_MAX {
            return Err(Error::limit(limit::MODELS, MODELS_MAX as u64));
        }
        let version = names.next_version(model.map_or(0, |model| model.state().version))?;
        Ok(Some(ModelEntry { name: name.into(), version, source: Some(source) }))
    }

    /// The entry that ends a definition: `NOMODEL` if there is none, `INUSE` if the model has documents. Its version is
    /// above those of all earlier ends, so that the oldest are forgotten first.
    pub fn end(&self, name: &[u8]) -> Result<ModelEntry> {
        let (entry, documents) = self.describe(name)?;
        if documents > 0 {
            return Err(Error::new(ErrorCode::InUse, "the model still has documents")
                .text("model", name)
                .integer("documents", documents as i64));
        }
        let names = self.read();
        let version = names.next_version(entry.version.max(names.ended.latest()))?;
        Ok(ModelEntry { version, source: None, ..entry })
    }

    /// The version of the definition in force, or 0.
    pub fn version(&self, name: &str) -> u32 {
        let names = self.read();
        let found = names.by_name.get(name).map(|model| model.state());
        found.filter(|state| state.source.is_some()).map_or(0, |state| state.version)
    }

    /// The latest known version of a name, also that of an end; 0 if there is none.
    pub fn version_of(&self, name: &str) -> u32 {
        let names = self.read();
        match name {
            FORGOTTEN => names.ended.forgotten(),
            _ => names.by_name.get(name).map_or(0, |model| model.state().version),
        }
    }

    /// Puts a definition of a client in force, compiled within the limits. On an error nothing changed.
    pub fn define(
        &self,
        entry: &ModelEntry,
        schemas: &SchemaLimits,
        expressions: &ExprLimits,
        allowance: &Allowance<'_>,
    ) -> Result<()> {
        let definition = match &entry.source {
            None => None,
            Some(source) => {
                let source = source.clone();
                Some(Definition::compile(source, entry.version, schemas, expressions, allowance)?)
            }
        };
        self.set(entry, definition);
        Ok(())
    }

    /// Puts a definition of another server in force, without limits. If it does not compile here, it is kept, its
    /// documents cannot be written, and the error is returned.
    pub fn install(&self, entry: &ModelEntry) -> Result<()> {
        let compiled =
            self.define(entry, &SchemaLimits::NONE, &ExprLimits::NONE, &Allowance::unlimited());
        if compiled.is_err() {
            self.set(entry, None);
        }
        compiled
    }

    /// Returns true if an entry of another server wins over the one here, because it is later. Of two definitions with
    /// the same version, made on two servers at once, the greater one wins, on every server.
    pub fn is_superseded_by(&self, entry: &ModelEntry) -> bool {
        let names = self.read();
        if &*entry.name == FORGOTTEN {
            return entry.version > names.ended.forgotten();
        }
        match names.by_name.get(&entry.name).filter(|model| model.is_known()) {
            Some(model) => {
                let known = model.state();
                (entry.version, &entry.source) > (known.version, &known.source)
            }
            // An end may have been forgotten here, a definition has not: a definition is never lost to an end that
            // another node forgot.
            None => entry.source.is_some() || entry.version > names.ended.forgotten(),
        }
    }

    /// The entry to put in force for a winning entry of another server: usually that entry. A model that was ended
    /// elsewhere and has documents here keeps its definition, as a later version. Of two definitions with the same
    /// version, the winner becomes a later version too: documents that were validated against the other one must not
    /// pass for validated against it. So does a definition whose version may have been used by a forgotten one.
    pub fn resolve(&self, entry: ModelEntry) -> ModelEntry {
        let names = self.read();
        let Ok(version) = names.next_version(entry.version) else { return entry };
        let Some(model) = names.by_name.get(&entry.name).filter(|model| model.is_known()) else {
            let forgotten = entry.source.is_some() && entry.version <= names.ended.forgotten();
            return if forgotten { ModelEntry { version, ..entry } } else { entry };
        };
        let (known, documents) = (model.state(), Model::documents(model));
        if entry.source.is_none() && known.source.is_some() && documents > 0 {
            ModelEntry { version, source: known.source.clone(), ..entry }
        } else if entry.version == known.version {
            ModelEntry { version, ..entry }
        } else {
            entry
        }
    }

    /// All entries, those of ended definitions too, in the order of names.
    pub fn entries(&self) -> Vec<ModelEntry> {
        let names = self.read();
        names.forgotten().into_iter().chain(names.known().map(|model| model.entry())).collect()
    }

    /// The entry of one name.
    pub fn entry(&self, name: &str) -> Option<ModelEntry> {
        let names = self.read();
        if name == FORGOTTEN {
            return names.forgotten();
        }
        names.by_name.get(name).filter(|model| model.is_known()).map(|model| model.entry())
    }

    /// The items of the entries after a name, in the order of names, at most `count` of them. All entries are after the
    /// empty name.
    pub fn items(&self, after: &str, count: usize) -> Vec<OutlineItem> {
        let names = self.read();
        let first = names.forgotten().filter(|_| after.is_empty());
        let first = first.map(|entry| OutlineItem {
            hash: entry.hash(),
            name: entry.name,
            version: entry.version,
        });
        let behind = names.by_name.range::<str, _>((Bound::Excluded(after), Bound::Unbounded));
        let known = behind.map(|(_, model)| model).filter(|model| model.is_known());
        first.into_iter().chain(known.map(|model| model.item())).take(count).collect()
    }

    /// The sum of the hashes of all entries. Each change updates it; nothing is hashed here.
    pub fn summary(&self) -> u64 {
        self.read().summary
    }

    /// Returns true if there is no entry.
    pub fn is_empty(&self) -> bool {
        let names = self.read();
        names.ended.forgotten() == 0 && names.known().next().is_none()
    }

    /// The entry of a defined model and the number of its documents, or `NOMODEL`.
    pub fn describe(&self, name: &[u8]) -> Result<(ModelEntry, usize)> {
        let names = self.read();
        let found = std::str::from_utf8(name).ok().and_then(|name| names.by_name.get(name));
        let described = found.map(|model| (model.entry(), Model::documents(model)));
        described.filter(|(entry, _)| entry.source.is_some()).ok_or_else(|| no_model(name))
    }

    /// Replaces all entries by those of another registry. Documents keep their models.
    pub fn replace(&self, other: Models) {
        *self.write() = other.names.into_inner().unwrap_or_else(|poison| poison.into_inner());
    }

    fn set(&self, entry: &ModelEntry, definition: Option<Definition>) {
        self.write().set(entry, definition);
    }

    fn read(&self) -> RwLockReadGuard<'_, ModelTable> {
        self.names.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn write(&self) -> RwLockWriteGuard<'_, ModelTable> {
        self.names.write().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The refusal of a command that needs a defined model.
pub fn no_model(name: &[u8]) -> Error {
    Error::new(ErrorCode::NoModel, "the model is not defined").text("model", name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(version: u32, schema: &str) -> ModelEntry {
        let source =
            DefinitionSource { schema: schema.as_bytes().into(), ..DefinitionSource::default() };
        ModelEntry { name: "m".into(), version, source: Some(source) }
    }

    /// Delivers an entry to a server, and returns the one that is in force there afterwards.
    fn deliver(models: &Models, received: &ModelEntry) -> ModelEntry {
        if models.is_superseded_by(received) {
            models.install(&models.resolve(received.clone())).unwrap();
        }
        models.entries().remove(0)
    }

    #[test]
    fn servers_converge_in_any_order_of_entries() {
        let end = ModelEntry { name: "m".into(), version: 3, source: None };
        let all = [entry(1, "{}"), entry(1, "true"), entry(2, "{}"), end, entry(4, "true")];
        let (first, second) = (Models::new(), Models::new());
        all.iter().for_each(|received| drop(deliver(&first, received)));
        all.iter().rev().for_each(|received| drop(deliver(&second, received)));
        assert_eq!(deliver(&first, &second.entries()[0]), deliver(&second, &first.entries()[0]));
        assert_eq!(first.entries(), [all[4].clone()]);
    }

    #[test]
    fn one_version_is_one_definition() {
        let (first, second) = (Models::new(), Models::new());
        let (a, b) = (deliver(&first, &entry(1, "{}")), deliver(&second, &entry(1, "true")));
        // One of them wins, and becomes a later version on the server with the other one.
        let (a, b) = (deliver(&first, &b), deliver(&second, &a));
        let (a, b) = (deliver(&first, &b), deliver(&second, &a));
        assert_eq!((&a, a.version), (&b, 2));
    }

    #[test]
    fn an_end_does_not_reach_a_model_with_documents() {
        let models = Models::new();
        deliver(&models, &entry(1, "{}"));
        let document = models.of_document("m");
        let end = ModelEntry { name: "m".into(), version: 2, source: None };
        assert_eq!(deliver(&models, &end), entry(3, "{}"));
        drop(document);
        assert_eq!(deliver(&models, &ModelEntry { version: 4, ..end.clone() }).source, None);
        assert!(models.names().is_empty() && !models.is_empty());
    }

    #[test]
    fn undefined_names_are_dropped_when_new_ones_are_added() {
        let models = Models::new();
        for nth in 0..1000 {
            drop(models.of_document(&format!("unknown {nth}")));
        }
        assert!(models.read().by_name.len() <= 2);
    }
}
