//! The record of one name as it is stored and sent: its latest definition, or the end of it.

use std::hash::{BuildHasher, Hash, Hasher};

use super::source::DefinitionSource;
use crate::budget::Allowance;
use crate::error::{Error, Result};
use crate::limit::{self, Limit};

/// The source of a definition, as it is stored, sent, and compiled by each server: of a model or of an action.
pub trait Source: Clone + Ord + Hash + Send + Sync + 'static {
    /// The compiled form.
    type Compiled: Send + Sync;
    /// The limits of compiling it.
    type Limits;
    /// The state that a name keeps beside its definition.
    type Kept: Default + Send + Sync;

    /// The word for what it defines, in errors and in the log.
    const NOUN: &'static str;
    /// The most definitions that clients may have at a time.
    const COUNT: Limit;
    /// For a definition that another server accepted.
    const UNLIMITED: Self::Limits;

    /// Returns true if two definitions are the same, perhaps in another spelling.
    fn is_same(&self, other: &Self) -> bool;

    /// The approximate number of bytes when stored or sent.
    fn bytes(&self) -> usize;

    /// Compiles a definition that was given this version.
    fn compile(
        &self,
        version: u32,
        limits: &Self::Limits,
        allowance: &Allowance<'_>,
    ) -> Result<Self::Compiled>;

    /// Tells the kept state of the definition that takes force. `in_use`: documents refer to the name.
    fn declare(kept: &Self::Kept, definition: Option<&Self::Compiled>, in_use: bool) -> Declared;

    /// Flag: changes of documents are recorded.
    fn records_changes(&self) -> bool {
        false
    }

    /// The refusal of a command that names an undefined one; `known` are the names that are defined.
    fn unknown(name: &[u8], known: &mut dyn Iterator<Item = &str>) -> Error;
}

/// The parts of a definition that commands have to know of before they look for them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Declared {
    pub indexes: bool,
    pub changes: bool,
}

/// The longest name of a model, in bytes.
pub const NAME_BYTES_MAX: usize = crate::limit::MODEL_NAME_BYTES.default as usize;
/// The highest version of a definition; documents use the bit above as a flag.
pub const VERSION_MAX: u32 = crate::limit::DEFINITION_VERSIONS.default as u32;

/// The empty name, which no model can have. Its entry is an end with the highest version of all ends that were
/// forgotten.
pub const FORGOTTEN: &str = "";

/// The latest definition of one name, or its end, as it is stored and sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry<S> {
    pub name: Box<str>,
    pub version: u32,
    /// None if the definition was ended.
    pub source: Option<S>,
}

pub type ModelEntry = Entry<DefinitionSource>;

impl<S: Source> Entry<S> {
    /// The highest version of all ends that were forgotten, as an entry.
    pub fn forgotten(version: u32) -> Entry<S> {
        Entry { name: FORGOTTEN.into(), version, source: None }
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
        16 + self.name.len() + self.source.as_ref().map_or(0, S::bytes)
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
    if name == built_in.as_bytes() {
        let why = "this model is built in and has no definition";
        return Err(Error::syntax(why).text("model", name));
    }
    check_new_name(name, ("model", "a model's"), limit::MODEL_NAME_BYTES)
}

/// Accepts a new name: UTF-8, not empty, and not too long. An error has it under `noun`, and calls it `whose` name.
pub fn check_new_name<'a>(
    name: &'a [u8],
    (noun, whose): (&'static str, &str),
    longest: Limit,
) -> Result<&'a str> {
    let refused = |why: &str| Error::syntax(format!("{whose} name {why}")).text(noun, name);
    let text = std::str::from_utf8(name).map_err(|_| refused("has to be UTF-8"))?;
    if text.is_empty() {
        return Err(refused("cannot be empty"));
    }
    if text.len() > longest.default as usize {
        return Err(Error::limit(longest, longest.default));
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
