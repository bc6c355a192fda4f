//! A digest of entries that does not depend on their order, nor on how they came into a tree.

use sha2::{Digest, Sha256};

const BYTES: usize = 16;

/// The sum of a hash of each entry: equal on two servers that have the same entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryDigest(u128);

impl EntryDigest {
    /// The length of [`EntryDigest::to_bytes`].
    pub const BYTES: usize = BYTES;

    /// Adds an entry of an index, or of the names of all documents.
    pub fn add(&mut self, index: Option<u8>, entry: &[u8]) {
        // Every index has a tag of its own, so that an entry counts differently in each of them.
        let tag = index.map_or(0, |index| index + 1);
        let hash = Sha256::new().chain_update([tag]).chain_update(entry).finalize();
        let first = hash[..BYTES].try_into().expect("a hash is longer");
        self.0 = self.0.wrapping_add(u128::from_be_bytes(first));
    }

    pub fn to_bytes(self) -> [u8; BYTES] {
        self.0.to_be_bytes()
    }

    pub fn from_bytes(bytes: [u8; BYTES]) -> EntryDigest {
        EntryDigest(u128::from_be_bytes(bytes))
    }

    /// Returns 32 hexadecimal digits.
    pub fn to_hex(self) -> String {
        format!("{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(entries: &[(Option<u8>, &[u8])]) -> EntryDigest {
        let mut digest = EntryDigest::default();
        entries.iter().for_each(|(index, entry)| digest.add(*index, entry));
        digest
    }

    #[test]
    fn a_digest_depends_on_entries_and_not_on_their_order() {
        let entry = b"a".as_slice();
        let (a, b, c) = ((None, entry), (Some(0), entry), (Some(1), entry));
        assert_eq!(digest(&[a, b, c]), digest(&[c, a, b]));
        let different = [digest(&[]), digest(&[a]), digest(&[b]), digest(&[c]), digest(&[a, a])];
        for (nth, one) in different.iter().enumerate() {
            assert!(different[..nth].iter().all(|other| other != one));
            assert_eq!(EntryDigest::from_bytes(one.to_bytes()), *one);
            assert_eq!(one.to_hex().len(), 2 * BYTES);
        }
    }
}
