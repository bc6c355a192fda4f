//! The documents of one model in one database: what entries each has, and the ordered sets of all entries.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::building::Building;
use super::entries::{Entries, EntriesIter, IndexMask};
use super::gathered::Gathered;
use super::key::NAME_TAG;
use super::older::{OlderRecords, Renumbering};
use super::ready::ReadyIndexes;
use super::records::{Records, entries_of, name_of, record};
use super::tree::{EntryTree, InsertionPoint};
use crate::value::wire::put_text;

/// The documents of one model in one database.
///
/// A document's record is its name and its entries, see [`Entries`]; whatever the record says is in the trees, and
/// nothing else is. During a build the entries of documents that were gathered are on their way there, see [`Building`].
#[derive(Default)]
pub struct Table {
    records: Records,
    /// The records of documents that were not followed since the indexes were declared.
    older: Vec<OlderRecords>,
    /// The indexes with UNIQUE, whose trees count duplicates.
    unique: IndexMask,
    /// None while nothing is gathered.
    building: Option<Box<Building>>,
    /// The names of all documents, each behind a byte 0.
    pub names: EntryTree,
    /// One for each index: keys with the name behind them.
    pub trees: Vec<EntryTree>,
    /// The new record, and an entry of a tree, while a document is changed: most changes allocate nothing.
    scratch: [Vec<u8>; 2],
}

/// Buffers with a greater capacity are not kept.
const SCRATCH_BYTES_MAX: usize = 4096;

/// The entry of a name among all names.
fn name_entry(name: &[u8]) -> Vec<u8> {
    [&[NAME_TAG], name].concat()
}

/// Writes an entry of a tree: a key, or the tag of names, and a name behind it.
#[inline]
fn write_entry<'e>(key: &[u8], name: &[u8], entry: &'e mut Vec<u8>) -> &'e [u8] {
    entry.clear();
    entry.extend_from_slice(key);
    entry.extend_from_slice(name);
    entry
}

impl Table {
    /// A table of this many indexes, some of which have UNIQUE.
    pub fn new(indexes: usize, unique: IndexMask) -> Table {
        let trees = (0..indexes).map(|_| EntryTree::default()).collect();
        Table { trees, unique, ..Table::default() }
    }

    /// A table of these documents.
    pub fn build(indexes: usize, unique: IndexMask, gathered: Gathered) -> Table {
        let mut table = Table::new(indexes, unique);
        table.names = gathered.names();
        let is_doubled = table.names.len() < gathered.count();
        if is_doubled {
            return Table::build_one_by_one(table, gathered);
        }
        for (index, tree) in table.trees.iter_mut().enumerate() {
            *tree = gathered.tree(index as u8, unique.has(index as u8));
        }
        table.records.reserve(gathered.count());
        gathered.into_records().into_iter().for_each(|record| table.records.insert(record));
        table
    }

    /// As [`Table::build`], where names were gathered more than once: the last record of each counts.
    #[cold]
    fn build_one_by_one(mut table: Table, gathered: Gathered) -> Table {
        table.names = EntryTree::default();
        for record in gathered.into_records() {
            table.remove(name_of(&record));
            table.put_entries(&record);
            table.records.insert(record);
        }
        table
    }

    /// The number of documents.
    pub fn documents(&self) -> usize {
        self.names.len()
    }

    /// The number of documents that have their entries in the declared indexes. One that was gathered counts half, until its
    /// entries are in the trees.
    pub fn indexed(&self) -> usize {
        let left = self.building.as_ref().map_or(0, |building| building.documents_left());
        self.records.len().saturating_sub(left / 2)
    }

    /// Returns true if a document was followed or gathered since the indexes were declared.
    pub fn is_known(&self, name: &[u8]) -> bool {
        self.records.get(name).is_some()
    }

    /// About the number of allocations.
    pub fn weight(&self) -> usize {
        let followed = self.building.as_ref().map_or(0, |building| building.followed());
        self.documents().max(self.entries()).max(followed)
    }

    /// The number of earlier declarations that records are left of.
    pub fn generations(&self) -> usize {
        self.older.len()
    }

    /// Other indexes are declared, this many. Those that have a number among them keep their trees, which have all their
    /// entries; the other trees are returned. Every document has to be followed again.
    pub fn renumber(&mut self, numbers: &Renumbering, indexes: usize, unique: IndexMask) -> Table {
        self.unique = unique;
        let mut gone = Table { building: self.building.take(), ..Table::default() };
        let trees = (0..indexes).map(|_| EntryTree::default()).collect();
        for (index, tree) in std::mem::replace(&mut self.trees, trees).into_iter().enumerate() {
            match numbers.get(index as u8) {
                Some(number) => self.trees[usize::from(number)] = tree,
                None => gone.trees.push(tree),
            }
        }
        self.older.iter_mut().for_each(|older| older.renumber(numbers));
        let records = std::mem::take(&mut self.records);
        self.older.push(OlderRecords::new(records, numbers.clone()));
        self.older.retain(|older| older.len() > 0);
        gone
    }

    /// All documents were followed or gathered, and merged. Returns what is left of earlier declarations.
    pub fn end_build(&mut self) -> Table {
        let older = std::mem::take(&mut self.older);
        Table { older, building: self.building.take(), ..Table::default() }
    }

    /// Adds documents that are not known yet, as they are now. Their entries in the trees that are not ready have to be merged.
    pub fn gather(&mut self, gathered: Gathered, ready: ReadyIndexes) {
        let mut building = self.building.take().unwrap_or_default();
        building.add(&gathered, self.trees.len(), ready);
        for record in gathered.into_records() {
            let name = name_of(&record);
            // A scan of keys may visit one twice.
            if self.is_known(name) {
                continue;
            }
            self.take_older(name);
            if building.is_followed(name) {
                self.put_entries(&record);
            }
            self.records.insert(record);
        }
        self.building = Some(building);
    }

    /// Moves up to this many entries of gathered documents into the trees. Returns false when none was left. `key_len` tells
    /// the bytes of an entry that are in front of the name.
    pub fn merge(&mut self, most: usize, key_len: impl Fn(u8, &[u8]) -> usize) -> bool {
        let Table { building, names, trees, unique, .. } = self;
        let Some(building) = building else { return false };
        // All are of one tree, and come in their order.
        let mut point = InsertionPoint::default();
        let taken = building.take(most, &key_len, |index, entry| {
            match index {
                Some(index) if unique.has(index) => {
                    let key = &entry[..key_len(index, entry)];
                    insert(trees, *unique, index, (entry, key))
                }
                Some(index) => trees[usize::from(index)].insert_next(entry, &mut point),
                None => names.insert_next(entry, &mut point),
            };
        });
        taken > 0
    }

    /// Gives a document that was gathered all its entries, before it changes.
    #[inline]
    fn complete(&mut self, name: &[u8]) {
        if self.building.as_mut().is_some_and(|building| building.follow(name))
            && let Some(record) = self.records.get(name)
        {
            let record: Box<[u8]> = record.into();
            self.put_entries(&record);
        }
    }

    /// Adds the entries of a record, some of which may be there.
    fn put_entries(&mut self, record: &[u8]) {
        let Table { names, trees, unique, scratch: [_, entry], .. } = self;
        let name = name_of(record);
        names.insert(write_entry(&[NAME_TAG], name, entry));
        for (index, key) in entries_of(record) {
            insert(trees, *unique, index, (write_entry(key, name, entry), key));
        }
        self.trim_scratch();
    }

    /// Gives up buffers that have become large.
    fn trim_scratch(&mut self) {
        for buffer in &mut self.scratch {
            if buffer.capacity() > SCRATCH_BYTES_MAX {
                *buffer = Vec::new();
            }
        }
    }

    /// The record of a document.
    fn record(&self, name: &[u8]) -> Option<Cow<'_, [u8]>> {
        let current = self.records.get(name).map(Cow::Borrowed);
        current.or_else(|| self.older.iter().find_map(|older| older.get(name)))
    }

    /// Takes the record of a document out of those of earlier declarations.
    fn take_older(&mut self, name: &[u8]) -> Option<Box<[u8]>> {
        let record = self.older.iter_mut().find_map(|older| older.take(name))?;
        self.older.retain(|older| older.len() > 0);
        Some(record)
    }

    /// The number of entries of all indexes.
    pub fn entries(&self) -> usize {
        self.trees.iter().map(EntryTree::len).sum()
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        let trees = self.trees.iter().map(EntryTree::heap_bytes).sum::<usize>();
        let older = self.older.iter().map(OlderRecords::heap_bytes).sum::<usize>();
        let building = self.building.as_ref().map_or(0, |building| building.heap_bytes());
        self.records.heap_bytes() + older + building + self.names.heap_bytes() + trees
    }

    /// Records that the document at a key has these entries and no other ones.
    pub fn set(&mut self, name: &[u8], entries: &Entries) {
        self.complete(name);
        if let Some(record) = self.take_older(name) {
            self.records.insert(record);
        }
        if self.change(name, IndexMask::ALL, entries) {
            return;
        }
        let record = record(name, entries);
        self.put_entries(&record);
        self.records.insert(record);
    }

    /// Records that the document at a key has these entries in the indexes that they are of; those in other indexes stay.
    /// Returns false, and changes nothing, if it was not followed since the indexes were declared.
    pub fn update(&mut self, name: &[u8], entries: &Entries) -> bool {
        self.complete(name);
        self.change(name, entries.of, entries)
    }

    fn change(&mut self, name: &[u8], of: IndexMask, entries: &Entries) -> bool {
        let Table { records, trees, unique, scratch: [new, entry], .. } = self;
        let found = records.update(name, |record| {
            if update_record(name, record, (of, entries), new, |index, key, adds| {
                let change = if adds { insert } else { remove };
                let changed = change(trees, *unique, index, (write_entry(key, name, entry), key));
                debug_assert!(changed, "the record says what is in the trees");
            }) {
                match record.len() == new.len() {
                    true => record.copy_from_slice(new),
                    false => *record = Box::from(&**new),
                }
            }
        });
        self.trim_scratch();
        found
    }

    /// Records that no document of the model is at a key.
    pub fn remove(&mut self, name: &[u8]) {
        self.complete(name);
        let Some(record) = self.records.remove(name).or_else(|| self.take_older(name)) else {
            return;
        };
        let Table { names, trees, unique, scratch: [_, entry], .. } = self;
        names.remove(write_entry(&[NAME_TAG], name, entry));
        for (index, key) in entries_of(&record) {
            let removed = remove(trees, *unique, index, (write_entry(key, name, entry), key));
            debug_assert!(removed, "the record says what is in the trees");
        }
        self.trim_scratch();
    }

    /// Returns true if these are the entries of the document at a key, and all of them are in the trees.
    pub fn agrees(&self, name: &[u8], entries: &Entries) -> bool {
        let found = self.record(name).is_some_and(|known| *known == *record(name, entries));
        let is_there = |(index, key): (u8, &[u8])| {
            self.trees[usize::from(index)].contains(&[key, name].concat())
        };
        found && self.names.contains(&name_entry(name)) && entries.iter().all(is_there)
    }

    /// The number of entries that the document at a key has.
    pub fn count_of(&self, name: &[u8]) -> usize {
        self.record(name).map_or(0, |record| entries_of(&record).count())
    }

    /// Returns true if there is a record of this name, and the tree of names has it.
    pub fn has_name(&self, name: &[u8]) -> bool {
        self.record(name).is_some() && self.names.contains(&name_entry(name))
    }

    /// The difference between the number of records and that of names.
    pub fn unmatched(&self) -> usize {
        let older = self.older.iter().map(OlderRecords::len).sum::<usize>();
        (self.records.len() + older).abs_diff(self.names.len())
    }

    /// Makes a record say something else, or removes it, and leaves the trees as they are.
    #[cfg(test)]
    pub fn spoil_record(&mut self, name: &[u8], entries: Option<&Entries>) {
        self.records.remove(name);
        if let Some(entries) = entries {
            self.records.insert(record(name, entries));
        }
    }

    /// Compares the record of a document with new entries in the indexes that these are of: calls with each of them and
    /// a flag that the document has it already, and returns how many it has beside them.
    pub fn compare(
        &self,
        name: &[u8],
        entries: &Entries,
        mut each: impl FnMut(u8, &[u8], bool),
    ) -> usize {
        let mut gone = 0;
        let mut fresh = entries.iter().peekable();
        let record = self.record(name);
        let known = record.iter().flat_map(|record| entries_of(record));
        for entry in known.filter(|(index, _)| entries.of.has(*index)) {
            while let Some((index, key)) = fresh.next_if(|next| *next < entry) {
                each(index, key, false);
            }
            match fresh.next_if_eq(&entry) {
                Some((index, key)) => each(index, key, true),
                None => gone += 1,
            }
        }
        fresh.for_each(|(index, key)| each(index, key, false));
        gone
    }

    /// Returns true if a document has this entry, by its record. `passed` are the bytes of the record's entries that are before
    /// it: none at first, and then as many as were passed for an entry before it.
    pub fn has_entry(&self, index: u8, key: &[u8], name: &[u8], passed: &mut usize) -> bool {
        let Some(record) = self.record(name) else { return false };
        let all = entries_of(&record).rest();
        let mut entries = EntriesIter::new(&all[*passed..]);
        loop {
            let rest = entries.rest();
            match entries.next().map(|entry| entry.cmp(&(index, key))) {
                Some(Ordering::Less) => {}
                found => {
                    *passed = all.len() - rest.len();
                    return found == Some(Ordering::Equal);
                }
            }
        }
    }
}

/// Adds an entry, which begins with a key, to the tree of an index. Returns false if it was there.
fn insert(
    trees: &mut [EntryTree],
    unique: IndexMask,
    index: u8,
    (entry, key): (&[u8], &[u8]),
) -> bool {
    let tree = &mut trees[usize::from(index)];
    if unique.has(index) { tree.insert_unique(entry, key) } else { tree.insert(entry) }
}

/// Removes an entry from the tree of an index, as [`insert`] adds it. Returns false if it was not there.
fn remove(
    trees: &mut [EntryTree],
    unique: IndexMask,
    index: u8,
    (entry, key): (&[u8], &[u8]),
) -> bool {
    let tree = &mut trees[usize::from(index)];
    if unique.has(index) { tree.remove_unique(entry, key) } else { tree.remove(entry) }
}

/// Writes to `new` the record of a document that is given these entries in some indexes. Calls with each entry that comes
/// or goes; returns false if there is none.
fn update_record(
    name: &[u8],
    record: &[u8],
    (of, entries): (IndexMask, &Entries),
    new: &mut Vec<u8>,
    mut change: impl FnMut(u8, &[u8], bool),
) -> bool {
    new.clear();
    put_text(name, new);
    let mut put = |(index, key): (u8, &[u8])| {
        new.push(index);
        put_text(key, new);
    };
    let mut changed = false;
    let mut fresh = entries.iter().peekable();
    for entry in entries_of(record) {
        while let Some(next) = fresh.next_if(|next| *next < entry) {
            change(next.0, next.1, true);
            put(next);
            changed = true;
        }
        if !of.has(entry.0) || fresh.next_if_eq(&entry).is_some() {
            put(entry);
        } else {
            change(entry.0, entry.1, false);
            changed = true;
        }
    }
    for next in fresh {
        change(next.0, next.1, true);
        put(next);
        changed = true;
    }
    changed
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::index::key::is_exempt;
    use crate::index::{Direction, IndexSource};

    /// All indexes have UNIQUE, so that duplicates are counted in each.
    const UNIQUE: IndexMask = IndexMask::ALL;

    /// All entries of the trees, and those that the documents have.
    fn check(table: &Table, naive: &BTreeMap<Vec<u8>, Entries>) {
        let all = |tree: &EntryTree| -> Vec<Vec<u8>> {
            let page = tree.page(&[], &[255; 4], Direction::Ascending, usize::MAX);
            page.iter().map(<[u8]>::to_vec).collect()
        };
        let names: Vec<_> = naive.keys().map(|name| name_entry(name)).collect();
        assert_eq!(all(&table.names), names);
        for (index, tree) in table.trees.iter().enumerate() {
            let mut keys: Vec<&[u8]> = Vec::new();
            let mut expected: Vec<Vec<u8>> = Vec::new();
            for (name, entries) in naive {
                let own = entries.iter().filter(|(number, _)| usize::from(*number) == index);
                for (_, key) in own {
                    expected.push([key, name].concat());
                    keys.extend(Some(key).filter(|key| !is_exempt(key)));
                }
            }
            expected.sort();
            assert_eq!(all(tree), expected);
            let count = keys.len();
            keys.sort();
            keys.dedup();
            let is_unique = table.unique.has(index as u8);
            assert_eq!(tree.duplicates, if is_unique { count - keys.len() } else { 0 });
        }
        assert_eq!(table.unmatched(), 0);
        for (name, entries) in naive {
            assert!(table.agrees(name, entries));
            let mut passed = 0;
            assert!(entries.iter().all(|(i, key)| table.has_entry(i, key, name, &mut passed)));
        }
    }

    fn entries() -> impl Strategy<Value = Entries> {
        let key = (
            0_u8..3,
            prop::collection::vec(1_u8..4, 1..3).prop_map(|mut key| {
                key.push(0);
                key
            }),
        );
        prop::collection::btree_set(key, 0..6).prop_map(|keys| Entries::of_keys(&keys))
    }

    /// The entries that a document has when it is given some in a few indexes.
    fn merged(before: &Entries, entries: &Entries) -> Entries {
        let stay = before.iter().filter(|(index, _)| !entries.of.has(*index));
        let mut all: Vec<_> = stay.chain(entries.iter()).collect();
        all.sort_unstable();
        let all: Vec<(u8, Vec<u8>)> =
            all.into_iter().map(|(index, key)| (index, key.to_vec())).collect();
        Entries::of_keys(&all)
    }

    /// The entries that are left when indexes get other numbers.
    fn renumbered(entries: &Entries, numbers: &Renumbering) -> Entries {
        let left =
            entries.iter().filter_map(|(index, key)| Some((numbers.get(index)?, key.to_vec())));
        let left: std::collections::BTreeSet<(u8, Vec<u8>)> = left.collect();
        Entries::of_keys(&left)
    }

    /// Indexes of these names.
    fn sources(names: &[u8]) -> Vec<IndexSource> {
        let of =
            |name: &u8| IndexSource { name: name.to_string().into(), ..IndexSource::default() };
        names.iter().map(of).collect()
    }

    /// Entries in some of three indexes, and in no other ones.
    fn within(entries: &Entries, of: u8) -> Entries {
        let in_it = |index: u8| of >> index & 1 == 1;
        let keys: Vec<(u8, Vec<u8>)> = entries
            .iter()
            .filter(|(index, _)| in_it(*index))
            .map(|(index, key)| (index, key.to_vec()))
            .collect();
        let masks = (0..3).filter(|index| in_it(*index)).map(IndexMask::one);
        let mut entries = Entries::of_keys(&keys);
        entries.of = masks.fold(IndexMask::NONE, IndexMask::with);
        entries
    }

    /// The bytes of a key in front of a name.
    fn key_len(_: u8, entry: &[u8]) -> usize {
        1 + entry.iter().position(|byte| *byte == 0).unwrap()
    }

    /// Gathers those of the documents that are not known.
    fn gather(table: &mut Table, naive: &BTreeMap<Vec<u8>, Entries>, ready: ReadyIndexes) {
        let mut gathered = Gathered::default();
        for (name, entries) in naive {
            if !table.is_known(name) {
                gathered.add(name, entries);
            }
        }
        table.gather(gathered, ready);
    }

    proptest! {
        #[test]
        fn documents_that_were_gathered_have_their_entries_in_the_end(
            mut naive in prop::collection::btree_map(prop::collection::vec(0_u8..12, 1), entries(), 0..40),
            shares in any::<bool>(),
            steps in prop::collection::vec((0_u8..6, 0_u8..12, entries(), 0_u8..8), 0..60),
        ) {
            let (mut table, mut ready) = (Table::new(3, UNIQUE), ReadyIndexes::NONE);
            if shares {
                // The first index was declared before.
                naive.iter().for_each(|(name, entries)| table.set(name, &within(entries, 1)));
                let numbers = Renumbering::new(sources(&[0]).iter(), sources(&[0, 1, 2]).iter());
                table.trees.truncate(1);
                table.renumber(&numbers, 3, UNIQUE);
                ready = ReadyIndexes { indexes: IndexMask::one(0), names: true };
            }
            for (step, name, entries, of) in steps {
                let name = vec![name];
                match step {
                    0 => {
                        let from = naive.split_off(&name);
                        gather(&mut table, &naive, ready);
                        naive.extend(from);
                    }
                    1 => drop(table.merge(usize::from(of), key_len)),
                    2 => {
                        table.remove(&name);
                        naive.remove(&name);
                    }
                    3 if naive.contains_key(&name) => {
                        let entries = within(&entries, of);
                        let all = merged(&naive[&name], &entries);
                        if !table.update(&name, &entries) {
                            table.set(&name, &all);
                        }
                        prop_assert!(table.agrees(&name, &all));
                        naive.insert(name, all);
                    }
                    _ => {
                        table.set(&name, &entries);
                        prop_assert!(table.agrees(&name, &entries));
                        naive.insert(name, entries);
                    }
                }
                prop_assert!(table.indexed() <= naive.len());
            }
            gather(&mut table, &naive, ready);
            while table.merge(7, key_len) {}
            prop_assert_eq!((table.indexed(), table.generations()), (naive.len(), 0));
            drop(table.end_build());
            check(&table, &naive);
        }

        #[test]
        fn trees_have_the_entries_of_the_documents(
            steps in prop::collection::vec((0_u8..12, prop::option::of(entries()), 0_u8..12), 0..80),
            declared in prop::collection::vec(Just(vec![0_u8, 1, 2, 3, 4]).prop_shuffle(), 0..4),
            every in 1_usize..40,
        ) {
            let (mut declared, mut names) = (declared.into_iter(), vec![0_u8, 1, 2]);
            let (mut table, mut naive) = (Table::new(3, UNIQUE), BTreeMap::new());
            for (nth, (name, entries, of)) in steps.into_iter().enumerate() {
                if nth % every == 0 && let Some(mut next) = declared.next() {
                    // Three of five indexes, in another order.
                    next.truncate(3);
                    let (before, now) = (sources(&names), sources(&next));
                    let numbers = Renumbering::new(before.iter(), now.iter());
                    let gone = table.renumber(&numbers, 3, UNIQUE);
                    prop_assert_eq!(gone.trees.len(), names.iter().filter(|n| !next.contains(n)).count());
                    names = next;
                    naive.values_mut().for_each(|entries| *entries = renumbered(entries, &numbers));
                    check(&table, &naive);
                }
                let name = vec![name; 3];
                match entries {
                    Some(entries) => {
                        let before: Option<Entries> = naive.get(&name).cloned();
                        // Some changes concern a few indexes.
                        let entries = if of < 8 { within(&entries, of) } else { entries };
                        let known = before.clone().unwrap_or_default();
                        let known: Vec<_> = known.iter().filter(|(i, _)| entries.of.has(*i)).collect();
                        let expected: Vec<bool> =
                            entries.iter().map(|entry| known.contains(&entry)).collect();
                        let stay = expected.iter().filter(|known| **known).count();
                        let mut compared = Vec::new();
                        let gone = table.compare(&name, &entries, |index, key, is_known| {
                            compared.push((index, key.to_vec(), is_known));
                        });
                        prop_assert_eq!(gone, known.len() - stay);
                        let all = entries.iter().zip(expected);
                        let all: Vec<_> = all.map(|((i, key), is)| (i, key.to_vec(), is)).collect();
                        prop_assert_eq!(compared, all);
                        // A document that was not followed since is given all its entries.
                        let is_older = table.records.get(&name).is_none() && before.is_some();
                        let updated = table.update(&name, &entries);
                        prop_assert_eq!(updated, before.is_some() && !is_older);
                        let entries = match before {
                            Some(before) if of < 8 && updated => merged(&before, &entries),
                            _ => {
                                table.set(&name, &entries);
                                entries
                            }
                        };
                        prop_assert!(table.agrees(&name, &entries));
                        naive.insert(name, entries);
                    }
                    None => {
                        table.remove(&name);
                        naive.remove(&name);
                    }
                }
            }
            check(&table, &naive);
            for (name, entries) in &naive {
                table.set(name, entries);
            }
            prop_assert_eq!((table.generations(), table.indexed()), (0, naive.len()));
            check(&table, &naive);
            let mut gathered = Gathered::default();
            naive.iter().rev().for_each(|(name, entries)| gathered.add(name, entries));
            check(&Table::build(3, UNIQUE, gathered), &naive);
            // A scan of keys may visit one twice.
            let mut gathered = Gathered::default();
            naive.keys().for_each(|name| gathered.add(name, &Entries::default()));
            naive.iter().for_each(|(name, entries)| gathered.add(name, entries));
            check(&Table::build(3, UNIQUE, gathered), &naive);
        }
    }
}
