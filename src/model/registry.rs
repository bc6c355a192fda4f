//! All models of one server, by name.
//!
//! A document points to its model, so that it finds its definition without a look-up; a model points to
//! its definition, so that all its documents see a new one at once. A name that no definition is known
//! for is a model too: its documents are kept, read and deleted, and not written.
//!
//! Definitions of one name are ordered by their version, and the end of a definition is a version as
//! well: so servers that hear of them in any order come to hold the same ones.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock, RwLockReadGuard};

use super::definition::{Definition, Source};
use super::schema::SchemaLimits;
use crate::error::{Error, ErrorCode, Result};
use crate::expr::ExprLimits;

/// The longest name of a model, in bytes.
pub const NAME_BYTES_MAX: usize = 255;
/// The most definitions a server takes from clients, ended ones included.
pub const MODELS_MAX: usize = 4096;

/// One name, and what is defined for it now.
pub struct Model {
    name: Box<str>,
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    /// Of the latest definition, or of its end; 0 where nothing is known.
    version: u32,
    /// What was given, while it is defined.
    source: Option<Source>,
    /// None also where what was given elsewhere does not compile here.
    definition: Option<Definition>,
}

/// What is known of one name, to be stored and sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: Box<str>,
    pub version: u32,
    /// None where the definition was ended.
    pub source: Option<Source>,
}

/// A model's definition, held still while it is read.
pub struct ReadDefinition<'m>(RwLockReadGuard<'m, State>);

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
    fn new(name: &str) -> Model {
        Model { name: name.into(), state: RwLock::default() }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is defined now.
    #[inline]
    pub fn read(&self) -> ReadDefinition<'_> {
        ReadDefinition(self.state.read().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    /// The documents of this model that are in memory, wherever they are: in a database, being loaded, or
    /// waiting to be freed in the background.
    pub fn documents(model: &Arc<Model>) -> usize {
        // The registry holds one.
        Arc::strong_count(model) - 1
    }

    fn entry(&self) -> Entry {
        let state = self.read().0;
        Entry { name: self.name.clone(), version: state.version, source: state.source.clone() }
    }

    fn set(&self, state: State) {
        *self.state.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = state;
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Model").field(&self.name).finish()
    }
}

/// The models of one server.
#[derive(Default)]
pub struct Models {
    by_name: RwLock<BTreeMap<Box<str>, Arc<Model>>>,
}

impl Models {
    pub const fn new() -> Models {
        Models { by_name: RwLock::new(BTreeMap::new()) }
    }

    /// The model of that name, for a document that says it is of it; it may not be defined.
    pub fn of_document(&self, name: &str) -> Arc<Model> {
        if let Some(model) = self.read().get(name) {
            return model.clone();
        }
        let mut by_name = self.write();
        // Names that nobody defines and no document has any more are forgotten when others come.
        by_name.retain(|_, model| model.is_known() || Arc::strong_count(model) > 1);
        by_name.entry(name.into()).or_insert_with(|| Arc::new(Model::new(name))).clone()
    }

    /// The model of that name, if it is defined; else `NOMODEL`.
    pub fn defined(&self, name: &[u8]) -> Result<Arc<Model>> {
        let found = std::str::from_utf8(name).ok().and_then(|name| self.read().get(name).cloned());
        found.filter(|model| model.read().get().is_some()).ok_or_else(|| no_model(name))
    }

    /// The names of all that is defined, in the order of their bytes.
    pub fn names(&self) -> Vec<Box<str>> {
        let by_name = self.read();
        let defined = by_name.values().filter(|model| model.read().0.source.is_some());
        defined.map(|model| model.name.clone()).collect()
    }

    /// What `name` would be with this definition: none if it is that already.
    pub fn next(&self, name: &str, source: Source) -> Result<Option<Entry>> {
        let by_name = self.read();
        let current = by_name.get(name).map(|model| model.entry());
        let version = current.as_ref().map_or(0, |entry| entry.version);
        let known = current.and_then(|entry| entry.source);
        if known.is_some_and(|known| known.is_same(&source)) {
            return Ok(None);
        }
        let known = by_name.values().filter(|model| model.is_known()).count();
        if version == 0 && known >= MODELS_MAX {
            return Err(Error::limit("models", MODELS_MAX as u64));
        }
        let version = next_version(version)?;
        Ok(Some(Entry { name: name.into(), version, source: Some(source) }))
    }

    /// The end of a definition: `NOMODEL` if there is none, `INUSE` while documents are of it.
    pub fn end(&self, name: &[u8]) -> Result<Entry> {
        let (entry, documents) = self.describe(name)?;
        if documents > 0 {
            return Err(Error::new(ErrorCode::InUse, "the model still has documents")
                .text("model", name)
                .integer("documents", documents as i64));
        }
        Ok(Entry { version: next_version(entry.version)?, source: None, ..entry })
    }

    /// The version in force: of the definition, or 0.
    pub fn version(&self, name: &str) -> u32 {
        let by_name = self.read();
        let found = by_name.get(name).map(|model| model.entry());
        found.filter(|entry| entry.source.is_some()).map_or(0, |entry| entry.version)
    }

    /// Puts in force what a client defined here, compiled within the limits. On an error nothing
    /// changed.
    pub fn define(
        &self,
        entry: &Entry,
        schemas: &SchemaLimits,
        expressions: &ExprLimits,
    ) -> Result<()> {
        let definition = match &entry.source {
            None => None,
            Some(source) => {
                let source = source.clone();
                Some(Definition::compile(source, entry.version, schemas, expressions)?)
            }
        };
        self.set(entry, definition);
        Ok(())
    }

    /// Puts in force what was defined elsewhere, without limits. Where it does not compile here, it is
    /// kept, and its documents are not written; the error says why.
    pub fn install(&self, entry: &Entry) -> Result<()> {
        let compiled = self.define(entry, &SchemaLimits::NONE, &ExprLimits::NONE);
        if compiled.is_err() {
            self.set(entry, None);
        }
        compiled
    }

    /// Whether what another server holds counts more than what is known here: it is later. Of two
    /// definitions with one version, made on two servers at once, the greater one counts, on every server.
    pub fn is_news(&self, entry: &Entry) -> bool {
        let by_name = self.read();
        let Some(model) = by_name.get(&entry.name) else { return true };
        let known = model.entry();
        (entry.version, &entry.source) > (known.version, &known.source)
    }

    /// What is to be put in force where another server's entry is news. Mostly that entry. Where documents
    /// here are of a model that was ended elsewhere, its definition stays, as a later version. And of two
    /// definitions with one version the one that counts becomes a later version too: documents judged by
    /// the other must not pass for judged by it.
    pub fn settle(&self, entry: Entry) -> Entry {
        let (known, documents) = {
            let by_name = self.read();
            let Some(model) = by_name.get(&entry.name) else { return entry };
            (model.entry(), Model::documents(model))
        };
        let Ok(version) = next_version(entry.version) else { return entry };
        if entry.source.is_none() && known.source.is_some() && documents > 0 {
            Entry { version, ..known }
        } else if entry.version == known.version {
            Entry { version, ..entry }
        } else {
            entry
        }
    }

    /// All that is known, ended definitions too, in the order of names.
    pub fn entries(&self) -> Vec<Entry> {
        let by_name = self.read();
        by_name.values().filter(|model| model.is_known()).map(|model| model.entry()).collect()
    }

    /// Whether there is nothing to store.
    pub fn is_empty(&self) -> bool {
        !self.read().values().any(|model| model.is_known())
    }

    /// What is defined under a name, and how many documents are of it; else `NOMODEL`.
    pub fn describe(&self, name: &[u8]) -> Result<(Entry, usize)> {
        let by_name = self.read();
        let found = std::str::from_utf8(name).ok().and_then(|name| by_name.get(name));
        let described = found.map(|model| (model.entry(), Model::documents(model)));
        described.filter(|(entry, _)| entry.source.is_some()).ok_or_else(|| no_model(name))
    }

    /// Takes over what another registry holds, and forgets everything else. Documents keep the models
    /// they have.
    pub fn replace(&self, other: Models) {
        *self.write() = other.by_name.into_inner().unwrap_or_else(|poison| poison.into_inner());
    }

    fn set(&self, entry: &Entry, definition: Option<Definition>) {
        let model = self.of_document(&entry.name);
        model.set(State { version: entry.version, source: entry.source.clone(), definition });
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Box<str>, Arc<Model>>> {
        self.by_name.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<Box<str>, Arc<Model>>> {
        self.by_name.write().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Model {
    /// Whether a definition, or the end of one, was ever heard of.
    fn is_known(&self) -> bool {
        self.read().0.version > 0
    }
}

/// The highest version of a definition; a document keeps the bit above for itself.
pub const VERSION_MAX: u32 = u32::MAX >> 1;

fn next_version(version: u32) -> Result<u32> {
    match version {
        VERSION_MAX.. => Err(Error::limit("definition-versions", VERSION_MAX.into())),
        _ => Ok(version + 1),
    }
}

/// The refusal where a model has to be defined.
pub fn no_model(name: &[u8]) -> Error {
    Error::new(ErrorCode::NoModel, "the model is not defined").text("model", name)
}

/// A name a model may be given: UTF-8, not empty, not too long, and not the built-in model's.
pub fn check_name<'a>(name: &'a [u8], built_in: &str) -> Result<&'a str> {
    let refused = |why: &'static str| Error::syntax(why).text("model", name);
    let text = std::str::from_utf8(name).map_err(|_| refused("a model's name has to be UTF-8"))?;
    if text.is_empty() {
        return Err(refused("a model's name cannot be empty"));
    }
    if text == built_in {
        return Err(refused("this model is built in and has no definition"));
    }
    if text.len() > NAME_BYTES_MAX {
        return Err(Error::limit("model-name-bytes", NAME_BYTES_MAX as u64));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(version: u32, schema: &str) -> Entry {
        let source = Source { schema: schema.as_bytes().into(), ..Source::default() };
        Entry { name: "m".into(), version, source: Some(source) }
    }

    /// What a server does that hears of an entry; the one it holds then.
    fn hear(models: &Models, heard: &Entry) -> Entry {
        if models.is_news(heard) {
            models.install(&models.settle(heard.clone())).unwrap();
        }
        models.entries().remove(0)
    }

    #[test]
    fn servers_come_to_the_same_whatever_they_hear_first() {
        let end = Entry { name: "m".into(), version: 3, source: None };
        let all = [entry(1, "{}"), entry(1, "true"), entry(2, "{}"), end, entry(4, "true")];
        let (first, second) = (Models::new(), Models::new());
        all.iter().for_each(|heard| drop(hear(&first, heard)));
        all.iter().rev().for_each(|heard| drop(hear(&second, heard)));
        assert_eq!(hear(&first, &second.entries()[0]), hear(&second, &first.entries()[0]));
        assert_eq!(first.entries(), [all[4].clone()]);
    }

    #[test]
    fn one_version_is_one_definition() {
        let (first, second) = (Models::new(), Models::new());
        let (a, b) = (hear(&first, &entry(1, "{}")), hear(&second, &entry(1, "true")));
        // One of them counts; whoever held the other takes it for a later version.
        let (a, b) = (hear(&first, &b), hear(&second, &a));
        let (a, b) = (hear(&first, &b), hear(&second, &a));
        assert_eq!((&a, a.version), (&b, 2));
    }

    #[test]
    fn an_end_does_not_reach_a_model_with_documents() {
        let models = Models::new();
        hear(&models, &entry(1, "{}"));
        let document = models.of_document("m");
        let end = Entry { name: "m".into(), version: 2, source: None };
        assert_eq!(hear(&models, &end), entry(3, "{}"));
        drop(document);
        assert_eq!(hear(&models, &Entry { version: 4, ..end.clone() }).source, None);
        assert!(models.names().is_empty() && !models.is_empty());
    }

    #[test]
    fn names_that_nobody_defined_are_forgotten_when_others_come() {
        let models = Models::new();
        for nth in 0..1000 {
            drop(models.of_document(&format!("unknown {nth}")));
        }
        assert!(models.read().len() <= 2);
    }
}
