//! Entries copied from an ordered set, one behind the other in one buffer.

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

impl EntryPage {
    /// An empty page with room for so many entries, if they are not more or longer than usual.
    pub fn for_entries(count: usize) -> EntryPage {
        let count = count.min(USUAL_ENTRIES);
        EntryPage {
            bytes: Vec::with_capacity(count * USUAL_BYTES),
            ends: Vec::with_capacity(count),
        }
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
