//! Compiled expressions by their source, the least recently used out first.
//!
//! Bounded in entries and in bytes. A hit hashes the source, compares it once, and moves one entry to
//! the front of a list that is linked by numbers. What does not compile is not kept.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::limits::{AllowedNames, ExprLimits};
use super::program::Program;
use crate::budget::Allowance;
use crate::error::{Error, Result};
use crate::limit;

/// The bytes an entry takes beside those of its program on the heap.
const ENTRY_BYTES: usize = size_of::<CachedProgram>() + size_of::<Program>() + 32;
/// The end of the list.
const END: u32 = u32::MAX;

/// A cache of programs. It belongs to no thread.
pub struct Cache {
    /// Numbers of entries, found by their hash.
    table: HashTable<u32>,
    entries: Vec<CachedProgram>,
    newest: u32,
    oldest: u32,
    entries_max: usize,
    bytes_max: usize,
    bytes: usize,
    hits: u64,
    misses: u64,
    hasher: RandomState,
}

struct CachedProgram {
    program: Arc<Program>,
    names: AllowedNames,
    hash: u64,
    bytes: usize,
    newer: u32,
    older: u32,
}

impl CachedProgram {
    fn is(&self, source: &[u8], names: AllowedNames) -> bool {
        self.names == names && self.program.source().as_bytes() == source
    }
}

impl Cache {
    pub fn new(entries: usize, bytes: usize) -> Cache {
        Cache {
            table: HashTable::new(),
            entries: Vec::new(),
            newest: END,
            oldest: END,
            entries_max: entries.min(END as usize - 1),
            bytes_max: bytes,
            bytes: 0,
            hits: 0,
            misses: 0,
            hasher: RandomState::default(),
        }
    }

    /// The program of a source, compiled if it is not here, which the command pays for. A program compiled
    /// under wider limits than these is refused as compiling it would be.
    pub fn get(
        &mut self,
        source: &str,
        names: AllowedNames,
        limits: &ExprLimits,
        allowance: &Allowance<'_>,
    ) -> Result<Arc<Program>> {
        if let Some(found) = self.find(source.as_bytes(), names, limits) {
            return found;
        }
        self.misses += 1;
        let program = Arc::new(Program::compile_within(source, names, limits, allowance)?);
        if names == AllowedNames::QUERY {
            // Looked for now, so that they are counted.
            program.terms();
        }
        self.insert(self.hasher.hash_one(source.as_bytes()), names, Arc::clone(&program));
        Ok(program)
    }

    /// As [`Cache::get`], of a source that is here. Then it is UTF-8, which takes longer to find out than
    /// all the rest.
    #[inline]
    pub fn find(
        &mut self,
        source: &[u8],
        names: AllowedNames,
        limits: &ExprLimits,
    ) -> Option<Result<Arc<Program>>> {
        let hash = self.hasher.hash_one(source);
        let found = self.table.find(hash, |at| self.entries[*at as usize].is(source, names));
        let &at = found?;
        self.hits += 1;
        self.touch(at);
        let program = &self.entries[at as usize].program;
        Some(check(program, limits).map(|()| Arc::clone(program)))
    }

    pub fn hits(&self) -> u64 {
        self.hits
    }

    pub fn misses(&self) -> u64 {
        self.misses
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// About the bytes that the programs take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Sets new bounds and keeps to them at once.
    pub fn resize(&mut self, entries: usize, bytes: usize) {
        let bounds = (entries.min(END as usize - 1), bytes);
        if bounds != (self.entries_max, self.bytes_max) {
            (self.entries_max, self.bytes_max) = bounds;
            self.make_room(0, 0);
        }
    }

    fn insert(&mut self, hash: u64, names: AllowedNames, program: Arc<Program>) {
        let bytes = ENTRY_BYTES + program.heap_bytes();
        if self.entries_max == 0 || bytes > self.bytes_max {
            return;
        }
        self.make_room(1, bytes);
        let at = self.entries.len() as u32;
        self.entries.push(CachedProgram { program, names, hash, bytes, newer: END, older: END });
        self.bytes += bytes;
        self.link(at);
        let entries = &self.entries;
        self.table.insert_unique(hash, at, |at| entries[*at as usize].hash);
    }

    /// Removes the oldest until so many more fit.
    fn make_room(&mut self, entries: usize, bytes: usize) {
        while self.oldest != END
            && (self.entries.len() + entries > self.entries_max
                || self.bytes + bytes > self.bytes_max)
        {
            self.remove(self.oldest);
        }
    }

    fn remove(&mut self, at: u32) {
        self.unlink(at);
        self.forget(at);
        let removed = self.entries.swap_remove(at as usize);
        self.bytes -= removed.bytes;
        let moved = self.entries.len() as u32;
        if at == moved {
            return;
        }
        // The last entry has a new number.
        let CachedProgram { hash, newer, older, .. } = self.entries[at as usize];
        let number = self.table.find_mut(hash, |number| *number == moved);
        *number.expect("an entry is in the table") = at;
        self.set_older(newer, at);
        self.set_newer(older, at);
    }

    fn forget(&mut self, at: u32) {
        let hash = self.entries[at as usize].hash;
        if let Ok(found) = self.table.find_entry(hash, |number| *number == at) {
            found.remove();
        }
    }

    /// Makes an entry the newest.
    #[inline]
    fn touch(&mut self, at: u32) {
        if self.newest != at {
            self.unlink(at);
            self.link(at);
        }
    }

    fn link(&mut self, at: u32) {
        let newest = self.newest;
        let entry = &mut self.entries[at as usize];
        (entry.newer, entry.older) = (END, newest);
        self.set_newer(newest, at);
        self.newest = at;
    }

    fn unlink(&mut self, at: u32) {
        let CachedProgram { newer, older, .. } = self.entries[at as usize];
        self.set_older(newer, older);
        self.set_newer(older, newer);
    }

    /// Sets what is older than an entry; than the end of the list, that is the newest.
    fn set_older(&mut self, at: u32, older: u32) {
        match self.entries.get_mut(at as usize) {
            Some(entry) => entry.older = older,
            None => self.newest = older,
        }
    }

    fn set_newer(&mut self, at: u32, newer: u32) {
        match self.entries.get_mut(at as usize) {
            Some(entry) => entry.newer = newer,
            None => self.oldest = newer,
        }
    }
}

fn check(program: &Program, limits: &ExprLimits) -> Result<()> {
    if program.source().len() > limits.bytes {
        return Err(Error::limit(limit::EXPRESSION_BYTES, limits.bytes as u64));
    }
    if program.depth() > limits.depth {
        return Err(Error::limit(limit::EXPRESSION_DEPTH, limits.depth.into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;

    const NAMES: AllowedNames = AllowedNames::CONDITION;
    const LIMITS: ExprLimits = ExprLimits::DEFAULT;

    fn kept(cache: &Cache) -> Vec<String> {
        let mut at = cache.newest;
        let mut sources = Vec::new();
        while at != END {
            sources.push(cache.entries[at as usize].program.source().to_owned());
            at = cache.entries[at as usize].older;
        }
        assert_eq!(sources.len(), cache.len());
        assert_eq!(cache.table.len(), cache.len());
        sources
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut cache = Cache::new(3, 1 << 20);
        for source in ["1", "2", "3", "1", "4", "5"] {
            cache.get(source, NAMES, &LIMITS, &Allowance::unlimited()).unwrap();
        }
        assert_eq!(kept(&cache), ["5", "4", "1"]);
        assert_eq!((cache.hits(), cache.misses()), (1, 5));
        cache.resize(1, 1 << 20);
        assert_eq!(kept(&cache), ["5"]);
        cache.resize(0, 1 << 20);
        assert!(cache.is_empty());
        assert_eq!(cache.bytes(), 0);
        cache.get("1", NAMES, &LIMITS, &Allowance::unlimited()).unwrap();
        assert!(cache.is_empty());
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut cache = Cache::new(1000, 4 * ENTRY_BYTES);
        for number in 0..100 {
            cache.get(&number.to_string(), NAMES, &LIMITS, &Allowance::unlimited()).unwrap();
            assert!(cache.bytes() <= 4 * ENTRY_BYTES);
        }
        assert!((1..4).contains(&cache.len()));
        let large = format!("'{}'", "x".repeat(8 * ENTRY_BYTES + LIMITS.bytes));
        cache.get(&large, NAMES, &LIMITS, &Allowance::unlimited()).unwrap_err();
        let wide = ExprLimits::NONE;
        assert_eq!(
            cache.get(&large, NAMES, &wide, &Allowance::unlimited()).unwrap().source(),
            large
        );
        assert!(!kept(&cache).contains(&large));
    }

    #[test]
    fn names_tell_expressions_apart_and_limits_are_kept() {
        let mut cache = Cache::new(10, 1 << 20);
        cache.get("[[args]]", NAMES, &LIMITS, &Allowance::unlimited()).unwrap();
        let refused = cache
            .get("[[args]]", AllowedNames::RULE, &LIMITS, &Allowance::unlimited())
            .unwrap_err();
        assert_eq!(refused.code(), ErrorCode::Expr);
        for narrow in [ExprLimits { bytes: 7, ..LIMITS }, ExprLimits { depth: 2, ..LIMITS }] {
            let refused =
                cache.get("[[args]]", NAMES, &narrow, &Allowance::unlimited()).unwrap_err();
            assert_eq!(refused.code(), ErrorCode::Limit);
        }
        cache
            .get(
                "[[args]]",
                NAMES,
                &ExprLimits { bytes: 8, depth: 3, ..LIMITS },
                &Allowance::unlimited(),
            )
            .unwrap();
        assert_eq!(cache.len(), 1);
    }

    /// Random use keeps the list, the table and a plain model in step.
    #[test]
    fn the_list_agrees_with_a_plain_one() {
        let mut cache = Cache::new(8, 1 << 20);
        let mut model: Vec<String> = Vec::new();
        let mut state = 7u32;
        for _ in 0..2000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let source = (state >> 16).wrapping_rem(14).to_string();
            cache.get(&source, NAMES, &LIMITS, &Allowance::unlimited()).unwrap();
            model.retain(|known| *known != source);
            model.insert(0, source);
            model.truncate(8);
            assert_eq!(kept(&cache), model);
        }
    }
}
