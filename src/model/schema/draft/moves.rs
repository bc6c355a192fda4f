//! JSON Pointers and patterns that translation changed, with their spelling in the schema as it was given.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::limit;

/// Pointers that changed, in both directions. Pointers below a changed one changed too.
pub struct Moves {
    forward: HashMap<Box<str>, Box<str>>,
    back: HashMap<Box<str>, Box<str>>,
    /// Patterns as they were given, by their spelling after translation.
    patterns: HashMap<Box<str>, Box<str>>,
    bytes: usize,
    bytes_max: usize,
}

impl Moves {
    pub fn new(bytes_max: usize) -> Moves {
        Moves {
            forward: HashMap::new(),
            back: HashMap::new(),
            patterns: HashMap::new(),
            bytes: 0,
            bytes_max,
        }
    }

    pub fn record(&mut self, given: &str, translated: &str) -> Result<()> {
        self.bytes += given.len() + translated.len();
        if self.bytes > self.bytes_max {
            return Err(Error::limit(limit::SCHEMA_POINTER_BYTES, self.bytes_max as u64));
        }
        self.forward.insert(given.into(), translated.into());
        self.back.insert(translated.into(), given.into());
        Ok(())
    }

    pub fn record_pattern(&mut self, given: &str, spelled: &str) {
        self.bytes += given.len() + spelled.len();
        self.patterns.insert(spelled.into(), given.into());
    }

    /// The pattern as it was given.
    pub fn given_pattern<'p>(&'p self, spelled: &'p str) -> &'p str {
        self.patterns.get(spelled).map_or(spelled, |given| given)
    }

    /// The pointer after translation, of a pointer in the schema as it was given.
    pub fn translated<'p>(&self, given: &'p str) -> Cow<'p, str> {
        follow(&self.forward, given)
    }

    /// The pointer in the schema as it was given, of a pointer after translation.
    pub fn given<'p>(&self, translated: &'p str) -> Cow<'p, str> {
        follow(&self.back, translated)
    }

    /// The approximate memory of the tables.
    pub fn heap_bytes(&self) -> usize {
        2 * self.bytes + (self.forward.len() + self.back.len()) * 48
    }
}

fn follow<'p>(moves: &HashMap<Box<str>, Box<str>>, pointer: &'p str) -> Cow<'p, str> {
    let mut end = pointer.len();
    while !moves.is_empty() {
        if let Some(moved) = moves.get(&pointer[..end]) {
            return Cow::Owned(format!("{moved}{}", &pointer[end..]));
        }
        match pointer[..end].rfind('/') {
            Some(cut) => end = cut,
            None => break,
        }
    }
    Cow::Borrowed(pointer)
}
