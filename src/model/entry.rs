//! The record of one model name as it is stored and sent: its latest definition, or the end of it.

use std::hash::{BuildHasher, Hash, Hasher};

use super::source::{DefinitionSource, RuleSource};
use crate::error::{Error, Result};
use crate::limit;

/// The longest name of a model, in bytes.
pub const NAME_BYTES_MAX: usize = crate::limit::MODEL_NAME_BYTES.default as usize;
/// The highest version of a definition; documents use the bit above as a flag.
pub const VERSION_MAX: u32 = crate::limit::DEFINITION_VERSIONS.default as u32;

/// The empty name, which no model can have. Its entry is an end with the highest version of all ends that were
/// forgotten.
pub const FORGOTTEN: &str = "";

/// The latest definition of one name, or its end, as it is stored and sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelEntry {
    pub name: Box<str>,
    pub version: u32,
    /// None if the definition was ended.
    pub source: Option<DefinitionSource>,
}

impl ModelEntry {
    /// The highest version of all ends that were forgotten, as an entry.
    pub fn forgotten(version: u32) -> ModelEntry {
        ModelEntry { name: FORGOTTEN.into(), version, source: None }
    }

    /// The same number on every node that runs the same build of the module.
    pub fn hash(&self) -> u64 {
        #[cfg(test)]
        HASHED.set(HASHED.get() + 1);
        let mut hasher = foldhash::quality::FixedState::with_seed(1).build_hasher();
        Hash::hash(self, &mut hasher);
        hasher.finish()
    }

    /// The approximate number of bytes when stored or sent.
    pub fn bytes(&self) -> usize {
        let rule = |rule: &RuleSource| rule.name.len() + rule.expr.len();
        let source = |source: &DefinitionSource| {
            source.schema.len() + source.rules.iter().map(rule).sum::<usize>()
        };
        16 + self.name.len() + self.source.as_ref().map_or(0, source)
    }
}

/// The part of an entry that nodes compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlineItem {
    pub name: Box<str>,
    pub version: u32,
    pub hash: u64,
}

/// Accepts the name of a new model: UTF-8, not empty, not too long, and not the name of the built-in model.
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
        return Err(Error::limit(limit::MODEL_NAME_BYTES, NAME_BYTES_MAX as u64));
    }
    Ok(text)
}

#[cfg(test)]
thread_local! {
    static HASHED: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// The number of entries this thread has hashed.
#[cfg(test)]
pub fn hashed() -> u64 {
    HASHED.get()
}
