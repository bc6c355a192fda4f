//! The values of an `enum`.

use hashbrown::HashTable;

use crate::value::{Value, View};

/// The values of an `enum`.
pub(in super::super) struct Options {
    all: Box<[Value]>,
    /// Their numbers by hash, if there are many.
    index: HashTable<u32>,
    state: foldhash::quality::RandomState,
}

impl Options {
    /// Up to this many are compared one by one.
    const SCANNED_MAX: usize = 8;

    pub fn new(all: Box<[Value]>) -> Options {
        let state = foldhash::quality::RandomState::default();
        let mut index = HashTable::new();
        if all.len() > Options::SCANNED_MAX {
            index = HashTable::with_capacity(all.len());
            let hash = |nth: &u32| all[*nth as usize].view().hash_with(&state);
            for nth in 0..all.len() as u32 {
                // Equal values are put in once: all have one hash, and each would be behind those before it.
                let value = all[nth as usize].view();
                let equal = |other: &u32| all[*other as usize].view().equals(value);
                if index.find(hash(&nth), equal).is_none() {
                    index.insert_unique(hash(&nth), nth, hash);
                }
            }
        }
        Options { all, index, state }
    }

    #[inline]
    pub fn have(&self, view: View<'_>) -> bool {
        self.position(view).is_some()
    }

    /// The number of the value that is equal to this one.
    #[inline]
    pub fn position(&self, view: View<'_>) -> Option<usize> {
        if self.index.is_empty() {
            return self.all.iter().position(|value| value.view().equals(view));
        }
        let hash = view.hash_with(&self.state);
        let found = self.index.find(hash, |nth| self.all[*nth as usize].view().equals(view))?;
        Some(*found as usize)
    }

    pub fn all(&self) -> &[Value] {
        &self.all
    }

    pub fn heap_bytes(&self) -> usize {
        let values = self.all.iter().map(|value| size_of::<Value>() + value.heap_bytes());
        values.sum::<usize>() + self.index.allocation_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Limits, parse};

    fn options(json: &str) -> Options {
        let value = parse::json(json.as_bytes(), &Limits::NONE).expect("it is JSON").value;
        let all = value.view().as_array().expect("an array").iter();
        Options::new(all.map(|item| item.to_value()).collect())
    }

    #[test]
    fn equal_options_are_found_by_the_first_one_and_take_one_place() {
        let many = options("[9,8,7,6,5,4,3,2,1,0,[],9.0,[],[],[],{},[]]");
        assert_eq!((many.all().len(), many.index.len()), (17, 12));
        for (nth, value) in many.all().iter().enumerate() {
            let first = many.all().iter().position(|other| other.view().equals(value.view()));
            assert_eq!(many.position(value.view()), first, "option {nth}");
        }
    }
}
