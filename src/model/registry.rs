//! All models of one server, by name; and all actions, in a registry of their own.
//!
//! A name without a definition is a model too: its documents are kept, read and deleted, and not written.
//!
//! The definitions of one name are ordered by their version, and the end of a definition has a version as well: so
//! servers that receive them in any order converge. The latest ends are stored, see [`super::ends`].

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::action::ActionSource;
use super::ends::Ends;
use super::entry::{Declared, Entry, FORGOTTEN, OutlineItem, Source, VERSION_MAX};
use super::handle::{Model, NamedDefinition, NamedDefinitionState};
use super::source::DefinitionSource;
use crate::budget::Allowance;
use crate::error::{Error, ErrorCode, Result};
use crate::index::Progress;
use crate::limit;

/// The most models that clients may define at a time.
pub const MODELS_MAX: usize = limit::MODELS.default as usize;

/// The definitions of one kind on one server.
pub struct Registry<S: Source> {
    names: RwLock<DefinitionTable<S>>,
    /// Flag: a definition had indexes at some time. Commands ask before they look for any.
    has_indexes: AtomicBool,
    /// Flag: a definition had `CHANGES` at some time.
    has_changes: AtomicBool,
    /// Flag: changes are recorded again of a model that was known without `CHANGES`.
    resumes_changes: AtomicBool,
}

/// The models of one server.
pub type Models = Registry<DefinitionSource>;

/// The actions of one server.
pub type Actions = Registry<ActionSource>;

impl<S: Source> Default for Registry<S> {
    fn default() -> Registry<S> {
        Registry::new()
    }
}

/// Definitions by name, with counts and a hash that each change updates.
struct DefinitionTable<S: Source> {
    by_name: BTreeMap<Box<str>, Arc<NamedDefinition<S>>>,
    defined: usize,
    ended: Ends,
    /// The sum of the hashes of all entries.
    summary: u64,
}

impl<S: Source> DefinitionTable<S> {
    const fn new() -> DefinitionTable<S> {
        DefinitionTable { by_name: BTreeMap::new(), defined: 0, ended: Ends::new(), summary: 0 }
    }

    fn named(&mut self, name: &str) -> Arc<NamedDefinition<S>> {
        if let Some(model) = self.by_name.get(name) {
            return model.clone();
        }
        // Names without definition and without documents are dropped when a new name is added.
        self.by_name.retain(|_, model| model.is_known() || Arc::strong_count(model) > 1);
        self.by_name
            .entry(name.into())
            .or_insert_with(|| Arc::new(NamedDefinition::new(name)))
            .clone()
    }

    fn set(&mut self, entry: &Entry<S>, definition: Option<S::Compiled>) -> Declared {
        if &*entry.name == FORGOTTEN {
            self.forget(entry.version);
            return Declared::default();
        }
        let model = self.named(&entry.name);
        self.discount(&model);
        let hash = entry.hash();
        self.summary = self.summary.wrapping_add(hash);
        match entry.source {
            Some(_) => self.defined += 1,
            None => self.ended.insert(&entry.name, entry.version),
        }
        let (version, source) = (entry.version, entry.source.clone());
        // The registry and this function hold one each.
        let in_use = Arc::strong_count(&model) > 2;
        let declared = S::declare(model.kept(), definition.as_ref(), in_use);
        model.set(NamedDefinitionState { version, source, definition, hash });
        drop(model);
        self.forget(self.ended.overflow());
        declared
    }

    /// Subtracts a model from the counts and the summary.
    fn discount(&mut self, model: &NamedDefinition<S>) {
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
            version => Entry::<S>::forgotten(version).hash(),
        };
        let before = hash(&self.ended);
        for name in self.ended.forget(version) {
            let Some(model) = self.by_name.get(&name).cloned() else { continue };
            self.summary = self.summary.wrapping_sub(model.state().hash);
            model.set(NamedDefinitionState::default());
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

    fn forgotten(&self) -> Option<Entry<S>> {
        let version = self.ended.forgotten();
        (version > 0).then(|| Entry::forgotten(version))
    }

    #[cold]
    fn unknown(&self, name: &[u8]) -> Error {
        let defined = self.by_name.values().filter(|named| named.is_defined());
        S::unknown(name, &mut defined.map(|named| named.name()))
    }

    /// Returns true if the name is known, and the source of its definition, if it has one, is not like this.
    fn is_known_without(&self, name: &str, like: impl Fn(&Option<S>) -> bool) -> bool {
        let known = self.by_name.get(name).filter(|model| model.is_known());
        known.is_some_and(|model| !like(&model.state().source))
    }

    fn known(&self) -> impl Iterator<Item = &Arc<NamedDefinition<S>>> {
        self.by_name.values().filter(|model| model.is_known())
    }
}

impl<S: Source> Registry<S> {
    pub const fn new() -> Registry<S> {
        Registry {
            names: RwLock::new(DefinitionTable::new()),
            has_indexes: AtomicBool::new(false),
            has_changes: AtomicBool::new(false),
            resumes_changes: AtomicBool::new(false),
        }
    }

    /// A registry that stores at most so many ends.
    #[cfg(test)]
    pub fn with_ended_max(max: usize) -> Registry<S> {
        let registry = Registry::new();
        registry.write().ended.set_max(max);
        registry
    }

    /// All names that are defined, in byte order.
    pub fn names(&self) -> Vec<Box<str>> {
        let names = self.read();
        let defined = names.by_name.values().filter(|model| model.is_defined());
        defined.map(|model| model.name().into()).collect()
    }

    /// The number of names that are defined.
    pub fn defined_count(&self) -> usize {
        self.read().defined
    }

    /// The entry that defines `name` by this source; none if it is defined so already. `LIMIT` if it would be one more
    /// than `most`.
    pub fn next(&self, name: &str, source: S, most: u64) -> Result<Option<Entry<S>>> {
        let names = self.read();
        let model = names.by_name.get(name);
        let is_same = |model: &Arc<NamedDefinition<S>>| {
            model.state().source.as_ref().is_some_and(|known| known.is_same(&source))
        };
        let defined = model.is_some_and(|model| model.is_defined());
        if model.is_some_and(is_same) {
            return Ok(None);
        }
        if !defined && names.defined as u64 >= most {
            return Err(Error::limit(S::COUNT, most));
        }
        let version = names.next_version(model.map_or(0, |model| model.state().version))?;
        Ok(Some(Entry { name: name.into(), version, source: Some(source) }))
    }

    /// The entry that ends a definition; refused if there is none, `INUSE` if the model has documents. Its version is
    /// above those of all earlier ends, so that the oldest are forgotten first.
    pub fn end(&self, name: &[u8]) -> Result<Entry<S>> {
        let (entry, documents) = self.describe(name)?;
        if documents > 0 {
            return Err(Error::new(ErrorCode::InUse, "the model still has documents")
                .text("model", name)
                .integer("documents", documents as i64));
        }
        let names = self.read();
        let version = names.next_version(entry.version.max(names.ended.latest()))?;
        Ok(Entry { version, source: None, ..entry })
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
        entry: &Entry<S>,
        limits: &S::Limits,
        allowance: &Allowance<'_>,
    ) -> Result<()> {
        let compile = |source: &S| source.compile(entry.version, limits, allowance);
        let definition = entry.source.as_ref().map(compile).transpose()?;
        self.set(entry, definition);
        Ok(())
    }

    /// Puts a definition of another server in force, without limits. If it does not compile here, it is kept, cannot be
    /// used (documents of such a model cannot be written), and the error is returned.
    pub fn install(&self, entry: &Entry<S>) -> Result<()> {
        let compiled = self.define(entry, &S::UNLIMITED, &Allowance::unlimited());
        if compiled.is_err() {
            self.set(entry, None);
        }
        compiled
    }

    /// Returns true if an entry of another server wins over the one here, because it is later. Of two definitions with
    /// the same version, made on two servers at once, the greater one wins, on every server.
    pub fn is_superseded_by(&self, entry: &Entry<S>) -> bool {
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
    pub fn resolve(&self, entry: Entry<S>) -> Entry<S> {
        let names = self.read();
        let Ok(version) = names.next_version(entry.version) else { return entry };
        let Some(model) = names.by_name.get(&entry.name).filter(|model| model.is_known()) else {
            let forgotten = entry.source.is_some() && entry.version <= names.ended.forgotten();
            return if forgotten { Entry { version, ..entry } } else { entry };
        };
        let (known, documents) = (model.state(), NamedDefinition::documents(model));
        if entry.source.is_none() && known.source.is_some() && documents > 0 {
            Entry { version, source: known.source.clone(), ..entry }
        } else if entry.version == known.version {
            Entry { version, ..entry }
        } else {
            entry
        }
    }

    /// All entries, those of ended definitions too, in the order of names.
    pub fn entries(&self) -> Vec<Entry<S>> {
        let names = self.read();
        names.forgotten().into_iter().chain(names.known().map(|model| model.entry())).collect()
    }

    /// The entry of one name.
    pub fn entry(&self, name: &str) -> Option<Entry<S>> {
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

    /// Returns true if a model has indexes, or had some.
    pub fn has_indexes(&self) -> bool {
        self.has_indexes.load(Ordering::Relaxed)
    }

    /// Returns true if a model has `CHANGES`, or had some.
    #[inline]
    pub fn has_changes(&self) -> bool {
        self.has_changes.load(Ordering::Relaxed)
    }

    /// Returns true once after a model that was known without `CHANGES` got some: what changed in between is in no stream.
    pub fn take_resumes_changes(&self) -> bool {
        self.has_changes() && self.resumes_changes.swap(false, Ordering::Relaxed)
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

    /// The entry of a defined model and the number of its documents, or a refusal.
    pub fn describe(&self, name: &[u8]) -> Result<(Entry<S>, usize)> {
        let names = self.read();
        let found = std::str::from_utf8(name).ok().and_then(|name| names.by_name.get(name));
        let described = found.map(|model| (model.entry(), NamedDefinition::documents(model)));
        described.filter(|(entry, _)| entry.source.is_some()).ok_or_else(|| names.unknown(name))
    }

    /// Calls with the compiled definition of a name, or returns the refusal of one that is not defined here.
    #[inline]
    pub fn with<T>(&self, name: &[u8], take: impl FnOnce(&S::Compiled) -> T) -> Result<T> {
        let names = self.read();
        let found = std::str::from_utf8(name).ok().and_then(|name| names.by_name.get(name));
        let taken = found.and_then(|named| named.read().get().map(take));
        taken.ok_or_else(|| names.unknown(name))
    }

    /// Replaces all entries by those of another registry. Documents keep their models.
    pub fn replace(&self, other: Registry<S>) {
        self.has_indexes.fetch_or(other.has_indexes(), Ordering::Relaxed);
        self.has_changes.fetch_or(other.has_changes(), Ordering::Relaxed);
        *self.write() = other.names.into_inner().unwrap_or_else(|poison| poison.into_inner());
    }

    fn set(&self, entry: &Entry<S>, definition: Option<S::Compiled>) {
        let records = |source: &Option<S>| source.as_ref().is_some_and(|s| s.records_changes());
        if records(&entry.source) && self.read().is_known_without(&entry.name, records) {
            self.resumes_changes.store(true, Ordering::Relaxed);
        }
        let declared = self.write().set(entry, definition);
        self.has_indexes.fetch_or(declared.indexes, Ordering::Relaxed);
        self.has_changes.fetch_or(declared.changes, Ordering::Relaxed);
    }

    fn read(&self) -> RwLockReadGuard<'_, DefinitionTable<S>> {
        self.names.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn write(&self) -> RwLockWriteGuard<'_, DefinitionTable<S>> {
        self.names.write().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Models {
    /// The model of a document with this name; it may not be defined.
    pub fn of_document(&self, name: &str) -> Arc<NamedDefinition<DefinitionSource>> {
        if let Some(model) = self.read().by_name.get(name) {
            return model.clone();
        }
        self.write().named(name)
    }

    /// The model of this name, or `NOMODEL` if it is not defined.
    pub fn defined(&self, name: &[u8]) -> Result<Arc<NamedDefinition<DefinitionSource>>> {
        let found =
            std::str::from_utf8(name).ok().and_then(|name| self.read().by_name.get(name).cloned());
        found.filter(|model| model.read().get().is_some()).ok_or_else(|| no_model(name))
    }
}

impl Models {
    /// Counts the documents of all models anew: no database has any. Those that wait to be freed in the background keep
    /// the models that they had.
    pub fn forget_documents(&self) {
        for model in self.write().by_name.values_mut() {
            *model = Arc::new(model.without_documents());
        }
    }

    /// All models that have indexes.
    pub fn indexed(&self) -> Vec<Arc<Model>> {
        if !self.has_indexes() {
            return Vec::new();
        }
        let names = self.read();
        let indexed = |model: &&Arc<Model>| model.indexes().progress() != Progress::Undeclared;
        names.by_name.values().filter(indexed).cloned().collect()
    }
}

impl Models {
    /// The models with `CHANGES`: their names, and the entries their streams keep.
    pub fn recorded(&self) -> Vec<(Box<str>, u64)> {
        if !self.has_changes() {
            return Vec::new();
        }
        let names = self.read();
        let recorded = |model: &Arc<Model>| Some((model.name().into(), model.changes()?.entries));
        names.by_name.values().filter_map(recorded).collect()
    }
}

/// The refusal of a command that needs a defined model.
pub fn no_model(name: &[u8]) -> Error {
    DefinitionSource::unknown(name, &mut std::iter::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelEntry;

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
