//! The different keys of one command, numbered in the order in which they first come.

use hashbrown::HashMap;
use smallvec::SmallVec;

/// A key of the command: its name, and the position of its argument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Key<'a> {
    pub arg: usize,
    pub name: &'a [u8],
}

/// Keys by name. A few are compared one by one, many are found by their hash: commands name thousands
/// of keys as they like.
#[derive(Default)]
pub struct KeyIndex<'a> {
    names: SmallVec<[&'a [u8]; 4]>,
    /// None where there are few.
    by_name: Option<Box<ByName<'a>>>,
}

type ByName<'a> = HashMap<&'a [u8], usize, foldhash::fast::RandomState>;

/// The first key whose name an earlier one has; none where all names differ.
pub fn listed_twice<'k, 'a>(keys: &'k [Key<'a>]) -> Option<&'k Key<'a>> {
    let mut known = KeyIndex::new();
    keys.iter().find(|key| {
        let is_known = known.find(key.name).is_some();
        if !is_known {
            known.push(key.name);
        }
        is_known
    })
}

/// Up to so many names are compared one by one.
const FEW: usize = 16;

impl<'a> KeyIndex<'a> {
    #[inline(always)]
    pub fn new() -> KeyIndex<'a> {
        KeyIndex { names: SmallVec::new(), by_name: None }
    }

    /// The number of a key that was added.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<usize> {
        match &self.by_name {
            None => self.names.iter().position(|known| *known == name),
            Some(by_name) => by_name.get(name).copied(),
        }
    }

    /// Adds a key that is not among them yet; returns its number, counting from 0.
    pub fn push(&mut self, name: &'a [u8]) -> usize {
        let number = self.names.len();
        self.names.push(name);
        match &mut self.by_name {
            Some(by_name) => {
                by_name.insert(name, number);
            }
            None if number >= FEW => {
                let all = self.names.iter().enumerate().map(|(nth, name)| (*name, nth));
                self.by_name = Some(Box::new(all.collect()));
            }
            None => {}
        }
        number
    }

    /// Makes room for so many keys.
    pub fn reserve(&mut self, keys: usize) {
        self.names.reserve(keys);
        if self.by_name.is_none() && keys > FEW {
            self.by_name = Some(Box::default());
        }
        if let Some(by_name) = &mut self.by_name {
            by_name.reserve(keys);
        }
    }

    pub fn names(&self) -> &[&'a [u8]] {
        &self.names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_names_are_found() {
        let names: Vec<String> = (0..100).map(|nth| format!("key:{nth}")).collect();
        let mut index = KeyIndex::default();
        for (nth, name) in names.iter().enumerate() {
            assert_eq!(index.find(name.as_bytes()), None);
            assert_eq!(index.push(name.as_bytes()), nth);
            for (known, name) in names[..=nth].iter().enumerate() {
                assert_eq!(index.find(name.as_bytes()), Some(known));
            }
        }
        assert_eq!(index.names().len(), 100);
    }

    #[test]
    fn the_first_name_that_comes_again_is_found() {
        let key = |arg: usize, name: &'static str| Key { arg, name: name.as_bytes() };
        assert_eq!(listed_twice(&[]), None);
        assert_eq!(listed_twice(&[key(1, "a"), key(2, "b")]), None);
        let again = [key(1, "a"), key(2, "b"), key(3, "b"), key(4, "a")];
        assert_eq!(listed_twice(&again), Some(&again[2]));
    }
}
