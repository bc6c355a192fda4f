//! A document in RDB and DUMP.
//!
//! ```text
//! document := varint:revision text:model value        (encoding version 1)
//! ```
//!
//! See [`crate::value::wire`] for `varint`, `text` and `value`. The version is the data type's encoding
//! version, kept by the server beside the payload.

use crate::document::{ANY, ANY_NAME, Document, REVISION_LOADED_MAX};
use crate::error::Result;
use crate::value::Limits;
use crate::value::wire::{self, Reader};

/// The encoding written by this release. Every release reads all versions up to its own.
pub const VERSION: u32 = 1;

/// Appends the document in the current version.
pub fn encode(document: &Document, out: &mut Vec<u8>) {
    // The portable form is a little shorter than the text.
    out.reserve(16 + document.root.view().text_hint());
    wire::put_varint(document.revision, out);
    wire::put_text(ANY_NAME.as_bytes(), out);
    wire::put_value(document.root.view(), out);
}

/// Reads a document. `version` is what it was written with.
pub fn decode(bytes: &[u8], version: u32) -> Result<Document> {
    if version == 0 || version > VERSION {
        return Err(wire::corrupt("written by a newer release"));
    }
    let mut reader = Reader::new(bytes);
    let revision = read_revision(&mut reader)?;
    if reader.text()? != ANY_NAME {
        return Err(wire::corrupt("an unknown model"));
    }
    let content = reader.value(&Limits::NONE)?;
    reader.finish()?;
    Ok(Document::new(content, ANY, revision))
}

pub(super) fn read_revision(reader: &mut Reader<'_>) -> Result<u64> {
    let revision = reader.varint()?;
    if revision > REVISION_LOADED_MAX {
        return Err(wire::corrupt("a revision is too large"));
    }
    Ok(revision)
}

/// The aux field: `varint:revision varint:0`. The first is the highest revision the server had seen, so
/// that a replica that starts from its RDB counts along with its master; the second the number of
/// model definitions that follow.
pub mod aux {
    use super::{Reader, Result, read_revision, wire};

    pub const VERSION: u64 = 1;

    pub fn encode(seen: u64) -> Vec<u8> {
        let mut out = Vec::new();
        wire::put_varint(seen, &mut out);
        wire::put_varint(0, &mut out);
        out
    }

    /// Gives the highest revision seen.
    pub fn decode(bytes: &[u8]) -> Result<u64> {
        let mut reader = Reader::new(bytes);
        let seen = read_revision(&mut reader)?;
        if reader.varint()? != 0 {
            return Err(wire::corrupt("model definitions of a newer release"));
        }
        reader.finish()?;
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_aux_field_survives_and_corrupt_ones_are_refused() {
        let bytes = aux::encode(1_700_000_000_000_000);
        assert_eq!(aux::decode(&bytes).unwrap(), 1_700_000_000_000_000);
        for cut in 0..bytes.len() {
            assert!(aux::decode(&bytes[..cut]).is_err());
        }
        assert!(aux::decode(&aux::encode(1 << 53)).is_err());
        assert!(aux::decode(&[1, 0, 0]).is_err());
        assert!(aux::decode(&[1, 1]).is_err());
    }

    #[test]
    fn a_revision_that_leaves_no_room_is_refused() {
        let mut bytes = Vec::new();
        wire::put_varint(REVISION_LOADED_MAX + 1, &mut bytes);
        wire::put_text(ANY_NAME.as_bytes(), &mut bytes);
        bytes.push(0);
        assert!(decode(&bytes, VERSION).is_err());
    }
}
