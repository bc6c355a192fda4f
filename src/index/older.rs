//! The records that documents had under earlier indexes of their model.
//!
//! A definition may have other indexes than the one before, and share some with it. Their trees stay, and get the numbers
//! that they have now; the records of all documents have the numbers of before. They are not rewritten at once, which would
//! hold the server: they are kept here with the new number of each index, and a document's own is translated when the document
//! is followed, by a change or by the pass that builds the new indexes.

use std::borrow::Cow;

use super::entries::EntriesIter;
use super::records::{Records, entries_of, name_of};
use super::source::IndexSource;
use crate::value::wire::put_text;

/// The numbers that indexes have under another definition; none for those that it lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renumbering(Vec<Option<u8>>);

impl Renumbering {
    /// The numbers of these indexes among others: those that are the same in every respect.
    pub fn new<'s>(
        before: impl Iterator<Item = &'s IndexSource>,
        now: impl Iterator<Item = &'s IndexSource> + Clone,
    ) -> Renumbering {
        let number = |source| now.clone().position(|other| other == source);
        Renumbering(before.map(|source| number(source).map(|number| number as u8)).collect())
    }

    /// Gives no number to indexes that are not kept.
    pub fn retain(&mut self, is_kept: impl Fn(usize) -> bool) {
        let dropped = self.0.iter_mut().enumerate().filter(|(index, _)| !is_kept(*index));
        dropped.for_each(|(_, number)| *number = None);
    }

    pub fn get(&self, index: u8) -> Option<u8> {
        self.0.get(usize::from(index)).copied().flatten()
    }

    fn then(&mut self, next: &Renumbering) {
        self.0.iter_mut().for_each(|number| *number = number.and_then(|number| next.get(number)));
    }
}

/// Records with other numbers of indexes.
pub struct OlderRecords {
    records: Records,
    numbers: Renumbering,
}

impl OlderRecords {
    pub fn new(records: Records, numbers: Renumbering) -> OlderRecords {
        OlderRecords { records, numbers }
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn heap_bytes(&self) -> usize {
        self.records.heap_bytes()
    }

    /// The indexes have other numbers again.
    pub fn renumber(&mut self, numbers: &Renumbering) {
        self.numbers.then(numbers);
    }

    /// The record of a document, with the numbers that indexes have now.
    pub fn get(&self, name: &[u8]) -> Option<Cow<'_, [u8]>> {
        let record = self.records.get(name)?;
        Some(Cow::Owned(self.translate(record).into_vec()))
    }

    /// As [`OlderRecords::get`]; the record is here no more.
    pub fn take(&mut self, name: &[u8]) -> Option<Box<[u8]>> {
        let record = self.records.remove(name)?;
        Some(self.translate(&record))
    }

    fn translate(&self, record: &[u8]) -> Box<[u8]> {
        let entries: EntriesIter<'_> = entries_of(record);
        let known = entries.filter_map(|(index, key)| Some((self.numbers.get(index)?, key)));
        let mut known: Vec<(u8, &[u8])> = known.collect();
        known.sort_unstable();
        let mut translated = Vec::with_capacity(record.len());
        put_text(name_of(record), &mut translated);
        for (index, key) in known {
            translated.push(index);
            put_text(key, &mut translated);
        }
        translated.into()
    }
}
