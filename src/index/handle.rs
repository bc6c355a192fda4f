//! The indexes of one model, over all databases: which are declared, and what is in them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use super::entries::{Entries, IndexMask};
use super::gathered::Gathered;
use super::hash_slot::hash_slot;
use super::key::{Range, is_exempt};
use super::older::Renumbering;
use super::page::EntryPage;
use super::ready::ReadyIndexes;
use super::set::IndexSet;
use super::source::IndexSource;
use super::table::Table;
use super::tree::{Direction, EntryTree};
use crate::budget::Allowance;
use crate::error::{Error, ErrorCode, Result};
use crate::value::View;

/// The indexes of one model. They change on the server's main thread alone; the lock only makes them shareable.
#[derive(Default)]
pub struct ModelIndexes {
    state: Mutex<IndexState>,
}

#[derive(Default)]
struct IndexState {
    /// None where no index is declared.
    set: Option<Arc<IndexSet>>,
    phase: Phase,
    ready: ReadyIndexes,
    /// Counts the builds, so that the end of an earlier one is not taken for that of a later one.
    build: u64,
    tables: BTreeMap<i32, Table>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Every document has its entries.
    #[default]
    Ready,
    /// Documents that were there before may be without entries in the indexes that are not ready.
    Building,
}

/// Records of more earlier declarations are not kept: all indexes are built anew.
const GENERATIONS_MAX: usize = 4;

/// The bytes of records that one call of [`ModelIndexes::check`] goes through: about 10 ms.
const PASSED_BYTES_MAX: usize = if cfg!(test) { 64 << 10 } else { 4 << 20 };

/// The state of the indexes of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Undeclared,
    Building,
    Ready,
}

/// Numbers for descriptions and `INFO`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexTotals {
    pub documents: usize,
    /// The documents that have entries in all indexes.
    pub indexed: usize,
    pub entries: usize,
    /// The documents that have the values of another one in an index with UNIQUE, for each such index.
    pub duplicates: usize,
    pub bytes: usize,
}

/// The outcome of comparing entries with what they are of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// The entries that were compared: one at least, and no more once long records were gone through.
    pub compared: usize,
    /// Entries whose document, by its record, does not have them.
    pub stray: usize,
    /// The names in these entries.
    pub strays: Vec<Vec<u8>>,
    /// The names in entries of an index with UNIQUE that have the values of an entry before.
    pub duplicates: Vec<Vec<u8>>,
}

impl IndexTotals {
    pub fn add(&mut self, other: IndexTotals) {
        self.documents += other.documents;
        self.indexed += other.indexed;
        self.entries += other.entries;
        self.duplicates += other.duplicates;
        self.bytes += other.bytes;
    }
}

impl IndexState {
    /// The most earlier declarations that a table has records of.
    fn generations(&self) -> usize {
        self.tables.values().map(Table::generations).max().unwrap_or(0)
    }

    /// Keeps the entries in the indexes that were declared before.
    fn renumber(&mut self, before: &IndexSet) {
        let Some(set) = &self.set else { return };
        let now: Vec<&IndexSource> = set.sources().collect();
        let mut numbers = Renumbering::new(before.sources(), now.iter().copied());
        // Where expressions have other bounds, a document may have a value that it had not before.
        if set.evaluation() != before.evaluation() {
            numbers.retain(|index| before.indexes[index].expressions() == 0);
        }
        // A tree that has not all its entries may have some that no record tells of.
        let ready = self.ready.indexes;
        numbers.retain(|index| ready.has(index as u8));
        let kept = (0..before.indexes.len() as u8).filter_map(|index| numbers.get(index));
        self.ready.indexes = kept.map(IndexMask::one).fold(IndexMask::NONE, IndexMask::with);
        let (indexes, unique) = (set.indexes.len(), set.unique());
        let renumber = |table: &mut Table| table.renumber(&numbers, indexes, unique);
        discard(self.tables.values_mut().map(renumber).collect());
    }
}

impl ModelIndexes {
    fn state(&self) -> MutexGuard<'_, IndexState> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Declares the indexes of a definition. Those that were declared before keep their entries. Returns true if documents
    /// have to be followed: other indexes were declared, and there are documents.
    pub fn declare(&self, set: Option<Arc<IndexSet>>, has_documents: bool) -> bool {
        let mut state = self.state();
        let same = match (&state.set, &set) {
            (Some(known), Some(set)) => known.sources().eq(set.sources()),
            (None, None) => return false,
            _ => false,
        };
        let before = std::mem::replace(&mut state.set, set);
        if same {
            return state.phase == Phase::Building;
        }
        state.build += 1;
        let builds = state.set.is_some() && has_documents;
        state.phase = if builds { Phase::Building } else { Phase::Ready };
        let keeps = builds && state.ready.names && state.generations() < GENERATIONS_MAX;
        match before.filter(|_| keeps) {
            Some(before) => state.renumber(&before),
            None => {
                state.ready = if builds { ReadyIndexes::NONE } else { ReadyIndexes::ALL };
                discard(std::mem::take(&mut state.tables).into_values().collect());
            }
        }
        builds
    }

    /// The declared indexes.
    pub fn declared(&self) -> Option<Arc<IndexSet>> {
        self.state().set.clone()
    }

    pub fn progress(&self) -> Progress {
        let state = self.state();
        match (&state.set, state.phase) {
            (None, _) => Progress::Undeclared,
            (Some(set), Phase::Building) if !state.ready.is_all_of(set) => Progress::Building,
            (Some(_), _) => Progress::Ready,
        }
    }

    /// The trees that have all their entries.
    pub fn ready(&self) -> ReadyIndexes {
        self.state().ready
    }

    pub fn totals(&self) -> IndexTotals {
        let mut totals = IndexTotals::default();
        for table in self.state().tables.values() {
            totals.add(IndexTotals {
                documents: table.documents(),
                indexed: table.indexed(),
                entries: table.entries(),
                duplicates: table.trees.iter().map(|tree| tree.duplicates).sum(),
                bytes: table.heap_bytes(),
            });
        }
        totals
    }

    /// The documents that have the values of another one in an index with UNIQUE, over all databases.
    pub fn duplicates(&self, index: u8) -> usize {
        let of =
            |table: &Table| table.trees.get(usize::from(index)).map_or(0, |tree| tree.duplicates);
        self.state().tables.values().map(of).sum()
    }

    /// Makes the entries of a key those of the document that is there now; none if there is none of this model.
    pub fn follow(&self, db: i32, name: &[u8], document: Option<View<'_>>) {
        match document {
            Some(document) => self.follow_change(db, name, document, None),
            None => {
                if let Some(table) = self.state().tables.get_mut(&db) {
                    table.remove(name);
                }
            }
        }
    }

    /// Makes the entries of a key those of the document that is there now, after a change. `known` are its entries in
    /// the indexes that the change can have touched.
    pub fn follow_change(&self, db: i32, name: &[u8], document: View<'_>, known: Option<&Entries>) {
        let mut state = self.state();
        let state = &mut *state;
        let Some(set) = &state.set else { return };
        let new = || Table::new(set.indexes.len(), set.unique());
        let table = state.tables.entry(db).or_insert_with(new);
        let known = known.filter(|known| known.fingerprint == set.fingerprint());
        // A document that was there before an index may be without a record.
        if !known.is_some_and(|known| table.update(name, known)) {
            match known.filter(|known| known.of == IndexMask::ALL) {
                Some(known) => table.set(name, known),
                None => table.set(name, &set.entries(IndexMask::ALL, document, None)),
            }
        }
        debug_assert!(
            table.agrees(name, &set.expected(document, None)),
            "entries are those that the document has to have"
        );
    }

    /// The entries that a document has to have; none where no index is declared.
    pub fn entries(&self, document: View<'_>) -> Option<Entries> {
        let set = self.state().set.clone()?;
        Some(set.entries(IndexMask::ALL, document, None))
    }

    /// Returns true if documents were gathered with entries in the declared indexes.
    pub fn declares(&self, gathered: &Gathered) -> bool {
        self.state().set.as_ref().is_some_and(|set| gathered.is_of(set.fingerprint()))
    }

    /// Puts documents that were gathered in place of all that is known of a database.
    pub fn replace(&self, db: i32, gathered: Gathered) {
        let mut state = self.state();
        let Some(set) = &state.set else { return };
        let table = Table::build(set.indexes.len(), set.unique(), gathered);
        state.tables.insert(db, table);
    }

    /// The entries of a document that a build has to gather; none for one that is known, or where nothing is built.
    pub fn missing_entries(&self, db: i32, name: &[u8], document: View<'_>) -> Option<Entries> {
        let state = self.state();
        let is_known = |table: &Table| table.is_known(name);
        if state.phase == Phase::Ready || state.tables.get(&db).is_some_and(is_known) {
            return None;
        }
        let set = state.set.as_ref()?;
        Some(set.entries(IndexMask::ALL, document, None))
    }

    /// Adds documents that a build has gathered, see [`Table::gather`].
    pub fn gather(&self, db: i32, gathered: Gathered) {
        let mut state = self.state();
        let state = &mut *state;
        let Some(set) = &state.set else { return };
        let new = || Table::new(set.indexes.len(), set.unique());
        state.tables.entry(db).or_insert_with(new).gather(gathered, state.ready);
    }

    /// Moves up to this many entries of gathered documents into the trees. Returns false when none was left.
    pub fn merge(&self, most: usize) -> bool {
        let mut state = self.state();
        let state = &mut *state;
        let Some(set) = &state.set else { return false };
        let key_len = |index: u8, entry: &[u8]| {
            set.indexes[usize::from(index)].key_len(entry).expect("entries begin with their keys")
        };
        state.tables.values_mut().any(|table| table.merge(most, key_len))
    }

    /// Forgets all documents, which are gathered again. Returns what is to be discarded.
    pub fn begin_build(&self) -> Vec<Table> {
        let mut state = self.state();
        let tables = std::mem::take(&mut state.tables).into_values().collect();
        state.build += 1;
        if state.set.is_some() {
            state.phase = Phase::Building;
            state.ready = ReadyIndexes::NONE;
        }
        tables
    }

    /// The number of the build that is going on, if there is one.
    pub fn build(&self) -> Option<u64> {
        let state = self.state();
        (state.set.is_some() && state.phase == Phase::Building).then_some(state.build)
    }

    /// Every document was followed since the build of this number began, or was gathered, and all entries are merged.
    pub fn end_build(&self, build: u64) {
        let mut state = self.state();
        if state.build == build {
            state.phase = Phase::Ready;
            state.ready = ReadyIndexes::ALL;
            discard(state.tables.values_mut().map(Table::end_build).collect());
        }
    }

    /// A database is empty, or all are. Returns what is to be discarded.
    pub fn flush(&self, db: Option<i32>) -> Vec<Table> {
        let mut state = self.state();
        match db {
            Some(db) => state.tables.remove(&db).into_iter().collect(),
            None => std::mem::take(&mut state.tables).into_values().collect(),
        }
    }

    /// Two databases changed places.
    pub fn swap(&self, one: i32, other: i32) {
        let mut state = self.state();
        let (first, second) = (state.tables.remove(&one), state.tables.remove(&other));
        state.tables.extend(first.map(|table| (other, table)));
        state.tables.extend(second.map(|table| (one, table)));
    }

    /// Calls with the ordered set of an index in a database, or of all names where no index is given.
    fn with_tree<T>(
        &self,
        db: i32,
        index: Option<u8>,
        read: impl FnOnce(&EntryTree) -> T,
    ) -> Option<T> {
        let state = self.state();
        let table = state.tables.get(&db)?;
        match index {
            Some(index) => table.trees.get(usize::from(index)).map(read),
            None => Some(read(&table.names)),
        }
    }

    /// A page of entries of an index, or of names, see [`EntryTree::page`].
    pub fn page(
        &self,
        db: i32,
        index: Option<u8>,
        range: &Range,
        direction: Direction,
        most: usize,
    ) -> EntryPage {
        let page = |tree: &EntryTree| tree.page(&range.low, &range.high, direction, most);
        self.with_tree(db, index, page).unwrap_or_default()
    }

    /// The number of entries in a range of an index, or of names.
    pub fn count(&self, db: i32, index: Option<u8>, range: &Range) -> usize {
        let count = |tree: &EntryTree| tree.count(&range.low, &range.high);
        self.with_tree(db, index, count).unwrap_or(0)
    }

    /// Compares new entries with those that the document at a key is known to have, see [`Table::compare`].
    pub fn compare(
        &self,
        db: i32,
        name: &[u8],
        entries: &Entries,
        mut each: impl FnMut(u8, &[u8], bool),
    ) -> usize {
        match self.state().tables.get(&db) {
            Some(table) => table.compare(name, entries, each),
            None => {
                entries.iter().for_each(|(index, key)| each(index, key, false));
                0
            }
        }
    }

    /// The number of entries that the document at a key has.
    pub fn count_of(&self, db: i32, name: &[u8]) -> usize {
        self.state().tables.get(&db).map_or(0, |table| table.count_of(name))
    }

    /// Returns true if the entries of a key are those of this document, and their number. `allowance` counts the steps of
    /// evaluating expressions, and has enough of them.
    pub fn agrees(
        &self,
        db: i32,
        name: &[u8],
        document: View<'_>,
        allowance: &Allowance<'_>,
    ) -> (bool, usize) {
        let Some(set) = self.declared() else { return (true, 0) };
        let entries = set.expected(document, Some(allowance));
        let agrees = self.state().tables.get(&db).is_some_and(|table| table.agrees(name, &entries));
        (agrees, entries.count())
    }

    /// Compares entries of an index with the records of documents, see [`Checked::compared`]. `before` is the entry before the
    /// first one. In a cluster documents of different hash slots are no duplicates.
    pub fn check(
        &self,
        (db, clustered): (i32, bool),
        index: u8,
        before: Option<&[u8]>,
        entries: &EntryPage,
    ) -> Checked {
        let state = self.state();
        let mut checked = Checked::default();
        let (Some(set), Some(table)) = (&state.set, state.tables.get(&db)) else { return checked };
        let of = &set.indexes[usize::from(index)];
        let tree = &table.trees[usize::from(index)];
        let key_of = |entry: &[u8]| of.key_len(entry).map(|len| entry[..len].to_vec());
        let scope = |name: &[u8]| if clustered { hash_slot(name) } else { 0 };
        let mut last = before.and_then(key_of);
        // The hash slots of the documents before that have the last key.
        let mut slots = HashSet::new();
        if let (Some(key), Some(before), true) = (&last, before, of.source.unique)
            && !is_exempt(key)
        {
            if clustered {
                let earlier = tree.page(key, before, Direction::Ascending, usize::MAX);
                slots.extend(earlier.iter().map(|entry| scope(&entry[key.len()..])));
            }
            slots.insert(scope(&before[key.len()..]));
        }
        // How far the record of each document was gone through: its entries come in the order of the record.
        let mut passed: HashMap<&[u8], usize> = HashMap::new();
        let mut passed_bytes = 0;
        for (entry, is_found) in located(tree, before, entries) {
            if passed_bytes > PASSED_BYTES_MAX {
                break;
            }
            checked.compared += 1;
            let Some(key) = key_of(entry) else {
                checked.stray += 1;
                checked.strays.push(entry.to_vec());
                continue;
            };
            let name = &entry[key.len()..];
            let known = is_found && table.has_name(name) && {
                let passed = passed.entry(name).or_default();
                let before = *passed;
                let found = table.has_entry(index, &key, name, passed);
                passed_bytes += *passed - before;
                found
            };
            if !known {
                checked.stray += 1;
                checked.strays.push(name.to_vec());
            }
            if of.source.unique && !is_exempt(&key) {
                if last.as_ref() != Some(&key) {
                    slots.clear();
                }
                if !slots.insert(scope(name)) {
                    checked.duplicates.push(name.to_vec());
                }
            }
            last = Some(key);
        }
        checked
    }

    /// Compares names of documents with their records: the number of names that have none, or stand at a wrong place.
    pub fn check_names(&self, db: i32, before: Option<&[u8]>, names: &EntryPage) -> usize {
        let state = self.state();
        let Some(table) = state.tables.get(&db) else { return 0 };
        let sound = located(&table.names, before, names)
            .filter(|(name, is_found)| *is_found && table.has_name(&name[1..]));
        names.len() - sound.count()
    }

    /// The number of records of documents that are not among the names, once each name was compared.
    pub fn unmatched(&self, db: i32) -> usize {
        self.state().tables.get(&db).map_or(0, Table::unmatched)
    }

    /// Lets a test change what is known of a database.
    #[cfg(test)]
    pub fn spoil<T>(&self, db: i32, spoil: impl FnOnce(&mut Table) -> T) -> T {
        let mut state = self.state();
        let set = state.set.clone().expect("indexes are declared");
        let new = || Table::new(set.indexes.len(), set.unique());
        spoil(state.tables.entry(db).or_insert_with(new))
    }

    /// `INDEXING` unless every document has its entries.
    pub fn check_ready(&self) -> Result<()> {
        match self.progress() {
            Progress::Building => Err(self.is_building()),
            Progress::Undeclared | Progress::Ready => Ok(()),
        }
    }

    /// The refusal of a query that needs an index that is being built.
    #[cold]
    pub fn is_building(&self) -> Error {
        let documents = self.totals().indexed as i64;
        Error::new(ErrorCode::Indexing, "the indexes of the model are being built")
            .integer("documents-indexed", documents)
    }
}

/// Tables with more documents or entries, all together, are freed by a thread of their own.
const FREED_AT_ONCE_MAX: usize = 10_000;

/// Frees tables. Large or many ones would hold the server for a second or more: `FLUSHALL ASYNC` must not. Returns true if a
/// thread frees them.
pub fn discard(tables: Vec<Table>) -> bool {
    let weight = |table: &Table| 1 + table.weight();
    if tables.iter().map(weight).sum::<usize>() <= FREED_AT_ONCE_MAX {
        return false;
    }
    // Where no thread can be had, they are freed here.
    std::thread::Builder::new().spawn(move || drop(tables)).is_ok()
}

/// Entries that were read from a tree, each with a flag: it is above the one before, and a search finds it.
fn located<'e>(
    tree: &EntryTree,
    mut before: Option<&'e [u8]>,
    entries: &'e EntryPage,
) -> impl Iterator<Item = (&'e [u8], bool)> {
    entries.iter().map(move |entry| {
        let ascends = before.replace(entry).is_none_or(|before| before < entry);
        (entry, ascends && tree.contains(entry))
    })
}

impl std::fmt::Debug for ModelIndexes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ModelIndexes").field(&self.progress()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(count: usize, documents: usize) -> Vec<Table> {
        let of_one = |_| {
            let mut table = Table::new(0, IndexMask::NONE);
            (0..documents).for_each(|nth| table.set(&nth.to_be_bytes(), &Entries::default()));
            table
        };
        (0..count).map(of_one).collect()
    }

    #[test]
    fn large_tables_and_many_small_ones_are_freed_by_a_thread() {
        assert!(!discard(tables(1, FREED_AT_ONCE_MAX - 1)));
        assert!(discard(tables(1, FREED_AT_ONCE_MAX)));
        assert!(!discard(tables(10, 100)));
        assert!(discard(tables(101, 100)));
    }
}
