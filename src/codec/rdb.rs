//! A document in RDB and DUMP.
//!
//! ```text
//! document := varint:revision text:model value        (encoding version 1)
//! ```
//!
//! See [`crate::value::wire`] for `varint`, `text` and `value`. The version is the data type's encoding
//! version, kept by the server beside the payload.

use crate::document::{ANY, ANY_NAME, Document, REVISION_MAX};
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
    if revision > REVISION_MAX {
        return Err(wire::corrupt("a revision is too large"));
    }
    Ok(revision)
}
