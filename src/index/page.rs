//! Entries copied from an ordered set, one behind the other in one buffer.

use std::cell::RefCell;
use std::mem;

/// Byte strings in an order that they were added in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryPage {
    bytes: Vec<u8>,
    /// The offset behind each.
    ends: Vec<usize>,
}

/// The entries of most pages, and the bytes of most entries.
const USUAL_ENTRIES: usize = 64;
const USUAL_BYTES: usize = 32;

/// The buffers of earlier pages that are kept, and the most entries that they have room for.
const PAGES_KEPT: usize = 4;
const PAGE_KEPT_MAX: usize = 1024;

thread_local! {
    static KEPT: RefCell<Vec<EntryBuffers>> = const { RefCell::new(Vec::new()) };
}

/// The buffers of a page.
type EntryBuffers = (Vec<u8>, Vec<usize>);

impl Drop for EntryPage {
    fn drop(&mut self) {
        let (bytes, ends) = (mem::take(&mut self.bytes), mem::take(&mut self.ends));
        let is_small =
            bytes.capacity() <= PAGE_KEPT_MAX * USUAL_BYTES && ends.capacity() <= PAGE_KEPT_MAX;
        KEPT.with_borrow_mut(|kept| {
            if ends.capacity() > 0 && is_small && kept.len() < PAGES_KEPT {
                kept.push((bytes, ends));
            }
        });
    }
}

impl EntryPage {
    /// An empty page with room for so many entries, if they are not more or longer than usual: in the buffers of an earlier
    /// one most of the time.
    pub fn for_entries(count: usize) -> EntryPage {
        let count = count.min(USUAL_ENTRIES);
        let (mut bytes, mut ends) = KEPT.with_borrow_mut(Vec::pop).unwrap_or_default();
        bytes.clear();
        ends.clear();
        bytes.reserve(count * USUAL_BYTES);
        ends.reserve(count);
        EntryPage { bytes, ends }
    }

    pub fn push(&mut self, entry: &[u8]) {
        self.bytes.extend_from_slice(entry);
        self.ends.push(self.bytes.len());
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub fn get(&self, nth: usize) -> Option<&[u8]> {
        let end = *self.ends.get(nth)?;
        let start = nth.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.bytes[start..end])
    }

    pub fn last(&self) -> Option<&[u8]> {
        self.get(self.len().checked_sub(1)?)
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &[u8]> + ExactSizeIterator + Clone {
        (0..self.len()).map(|nth| self.get(nth).expect("the number is below the length"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_they_were_added() {
        let mut page = EntryPage::default();
        assert!(page.is_empty() && page.last().is_none());
        let entries = [&b"a"[..], b"", b"bcd"];
        entries.iter().for_each(|entry| page.push(entry));
        assert_eq!(page.iter().collect::<Vec<_>>(), entries);
        assert_eq!((page.len(), page.last(), page.get(3)), (3, Some(&b"bcd"[..]), None));
        page.clear();
        assert_eq!(page.iter().len(), 0);
    }
}
