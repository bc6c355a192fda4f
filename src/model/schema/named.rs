//! Subschemas by name.

use hashbrown::HashTable;

use super::subschema::SubschemaId;

/// Subschemas by name, in the schema's order.
#[derive(Default)]
pub(super) struct NamedSubschemas {
    pub entries: Box<[(Box<str>, SubschemaId)]>,
    index: HashTable<u32>,
    state: foldhash::fast::RandomState,
}

impl NamedSubschemas {
    /// Up to this many names a scan is faster than a hash.
    const SCANNED_MAX: usize = 6;

    pub fn new(entries: Box<[(Box<str>, SubschemaId)]>) -> NamedSubschemas {
        use std::hash::BuildHasher;
        let state = foldhash::fast::RandomState::default();
        let mut index = HashTable::new();
        if entries.len() > NamedSubschemas::SCANNED_MAX {
            let hash = |nth: &u32| state.hash_one(entries[*nth as usize].0.as_bytes());
            for nth in 0..entries.len() as u32 {
                index.insert_unique(hash(&nth), nth, hash);
            }
        }
        NamedSubschemas { entries, index, state }
    }

    /// The bytes allocated for it.
    pub fn heap_bytes(&self) -> usize {
        let names: usize = self.entries.iter().map(|(name, _)| name.len()).sum();
        names + size_of_val(&*self.entries) + self.index.allocation_size()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn entries(&self) -> &[(Box<str>, SubschemaId)] {
        &self.entries
    }

    #[inline]
    pub fn get(&self, name: &[u8]) -> Option<SubschemaId> {
        use std::hash::BuildHasher;
        let is = |entry: &(Box<str>, SubschemaId)| entry.0.as_bytes() == name;
        if self.index.is_empty() {
            return self.entries.iter().find(|entry| is(entry)).map(|(_, id)| *id);
        }
        let hash = self.state.hash_one(name);
        let nth = self.index.find(hash, |nth| is(&self.entries[*nth as usize]))?;
        Some(self.entries[*nth as usize].1)
    }
}
