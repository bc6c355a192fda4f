//! The words of a command in one buffer.

use std::cell::RefCell;

use smallvec::SmallVec;

/// Words of any bytes, in order.
#[derive(Debug, PartialEq, Eq)]
pub struct Words {
    bytes: Vec<u8>,
    /// Where each word ends.
    ends: SmallVec<[usize; 6]>,
}

/// Buffers that are kept for later words, and the most bytes that one has room for.
const KEPT: usize = 8;
const KEPT_BYTES_MAX: usize = 1 << 12;

thread_local! {
    /// Empty buffers of earlier words.
    static BUFFERS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

impl Default for Words {
    /// No words, in the buffer of earlier ones most of the time.
    fn default() -> Words {
        let bytes = BUFFERS.with_borrow_mut(Vec::pop).unwrap_or_default();
        Words { bytes, ends: SmallVec::new() }
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        if (1..=KEPT_BYTES_MAX).contains(&bytes.capacity()) {
            bytes.clear();
            BUFFERS.with_borrow_mut(|kept| {
                if kept.len() < KEPT {
                    kept.push(bytes);
                }
            });
        }
    }
}

impl Words {
    pub fn push(&mut self, word: &[u8]) {
        self.bytes.extend_from_slice(word);
        self.ends.push(self.bytes.len());
    }

    /// Adds a word that `write` appends to the buffer.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub fn get(&self, nth: usize) -> &[u8] {
        let start = nth.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[nth]]
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|nth| self.get(nth))
    }

    /// The bytes of all words together.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::Words;

    #[test]
    fn words_come_back_as_they_were_put_in() {
        let mut words = Words::default();
        let given: [&[u8]; 4] = [b"a", b"", b"x\0y", b"\xff"];
        words.push(given[0]);
        words.push_with(|_| {});
        given[2..].iter().for_each(|word| words.push(word));
        assert_eq!(words.iter().collect::<Vec<_>>(), given);
        assert_eq!((words.len(), words.bytes(), words.get(2)), (4, 5, given[2]));
    }
}
