//! A document in RDB and DUMP.
//!
//! ```text
//! document := varint:revision text:model value                     (encoding version 1)
//!           | varint:revision text:model varint:definition value   (encoding version 2)
//!           | varint:revision text:model varint:definition locks value   (encoding version 3)
//! ```
//!
//! `locks` is the encoding of [`super::locks`]. `definition` is the version of the definition the document was
//! validated against last, 0 for the model `any`.
//! See [`crate::value::wire`] for `varint`, `text` and `value`. The version is the data type's encoding
//! version, kept by the server beside the payload.

use super::definition::read_version;
use super::locks;
use super::origin::Bounds;
use crate::document::{ANY_NAME, Document, NewDocument, REVISION_MAX};
use crate::error::Result;
use crate::lock::Locks;
use crate::model::{Models, NAME_BYTES_MAX};
use crate::value::wire::{self, Reader};

/// The encoding written by this release. Every release reads all versions up to its own.
pub const VERSION: u32 = 3;

/// Appends the document in the current version.
pub fn encode(document: &Document, out: &mut Vec<u8>) {
    // The portable form is a little shorter than the text.
    out.reserve(16 + document.root.view().text_hint());
    wire::put_varint(document.revision, out);
    wire::put_text(document.model_name().as_bytes(), out);
    wire::put_varint(document.definition_version().into(), out);
    locks::encode(&document.locks, out);
    wire::put_value(document.root.view(), out);
}

/// Reads a document. `version` is the encoding version it was written with. `LIMIT` as soon as more was read than is
/// allowed: what is behind takes neither time nor memory.
pub fn decode(bytes: &[u8], version: u32, models: &Models, bounds: &Bounds) -> Result<NewDocument> {
    if version == 0 || version > VERSION {
        return Err(wire::corrupt("written by a newer release"));
    }
    let mut reader = Reader::new(bytes);
    let revision = read_revision(&mut reader)?;
    let name = reader.text()?;
    let definition = if version == 1 { 0 } else { read_version(&mut reader)? };
    if name.len() > NAME_BYTES_MAX || (name == ANY_NAME && definition > 0) {
        return Err(wire::corrupt("an invalid name or version of a model"));
    }
    let locks =
        if version < 3 { Locks::default() } else { locks::decode(&mut reader, &bounds.locks)? };
    let content = reader.value(&bounds.document)?;
    reader.finish()?;
    let model = (name != ANY_NAME).then(|| models.of_document(name));
    let mut document = NewDocument::new(content, model, definition, revision);
    document.locks = locks;
    Ok(document)
}

pub(super) fn read_revision(reader: &mut Reader<'_>) -> Result<u64> {
    let revision = reader.varint()?;
    if revision > REVISION_MAX {
        return Err(wire::corrupt("a revision is too large"));
    }
    Ok(revision)
}

/// The aux field: `varint:revision varint:fence varint:count entry*`. The first two are the highest
/// revision and the highest fence that the server had seen, so that a replica that starts from its RDB
/// goes on from them; the entries are what the server knew of models, see
/// [`crate::codec::definition`], each in a `text`. Version 1 had no fence and is still read.
pub mod aux {
    use super::{Reader, Result, locks, read_revision, wire};
    use crate::codec::definition;
    use crate::model::ModelEntry;

    pub const VERSION: u64 = 2;

    /// The content of the aux field.
    #[derive(Debug, PartialEq)]
    pub struct Aux {
        pub revision: u64,
        pub fence: u64,
        pub models: Vec<ModelEntry>,
    }

    pub fn encode(revision: u64, fence: u64, models: &[ModelEntry]) -> Vec<u8> {
        let mut out = Vec::new();
        wire::put_varint(revision, &mut out);
        wire::put_varint(fence, &mut out);
        wire::put_varint(models.len() as u64, &mut out);
        for entry in models {
            wire::put_text(&definition::encode(entry), &mut out);
        }
        out
    }

    pub fn decode(bytes: &[u8], version: u64) -> Result<Aux> {
        if version == 0 || version > VERSION {
            return Err(wire::corrupt("written by a newer release"));
        }
        let mut reader = Reader::new(bytes);
        let revision = read_revision(&mut reader)?;
        let fence = if version == 1 { 0 } else { locks::read_fence(&mut reader)? };
        let mut models = Vec::new();
        for _ in 0..reader.count()? {
            let len = reader.count()?;
            models.push(definition::decode(reader.bytes(len)?)?);
        }
        reader.finish()?;
        Ok(Aux { revision, fence, models })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use crate::model::{DefinitionSource, ModelEntry};
    use crate::value::Limits;

    #[test]
    fn the_aux_field_survives_and_corrupt_ones_are_refused() {
        let ended = ModelEntry { name: "old".into(), version: 3, source: None };
        let models = vec![
            ended,
            ModelEntry { name: "m".into(), version: 1, source: Some(DefinitionSource::default()) },
        ];
        let bytes = aux::encode(1_700_000_000_000_000, 1 << 49, &models);
        let read = |bytes: &[u8]| aux::decode(bytes, aux::VERSION);
        let expected = aux::Aux { revision: 1_700_000_000_000_000, fence: 1 << 49, models };
        assert_eq!(read(&bytes).unwrap(), expected);
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut]).is_err());
        }
        assert!(read(&aux::encode(1 << 53, 0, &[])).is_err());
        assert!(read(&aux::encode(0, 1 << 53, &[])).is_err());
        assert!(read(&[1, 0, 0, 0]).is_err());
        assert!(read(&[1, 0, 1]).is_err());
        assert!(aux::decode(&bytes, aux::VERSION + 1).is_err());
    }

    #[test]
    fn the_aux_field_of_earlier_releases_is_read() {
        let first = aux::decode(&[7, 0], 1).unwrap();
        assert_eq!(first, aux::Aux { revision: 7, fence: 0, models: Vec::new() });
    }

    #[test]
    fn a_revision_that_leaves_no_room_is_refused() {
        let mut bytes = Vec::new();
        wire::put_varint(REVISION_MAX + 1, &mut bytes);
        wire::put_text(ANY_NAME.as_bytes(), &mut bytes);
        bytes.extend([0, 0]);
        assert!(decode(&bytes, VERSION, &Models::new(), &Bounds::NONE).is_err());
    }

    /// Bytes written by the first release: revision 7, model any, `{"n":1}`.
    const FIRST: [u8; 11] = [7, 3, b'a', b'n', b'y', 7, 1, 1, b'n', 3, 2];

    #[test]
    fn every_version_is_read() {
        let models = Models::new();
        let document = decode(&FIRST, 1, &models, &Bounds::NONE).unwrap();
        assert_eq!((document.revision, document.model_name()), (7, ANY_NAME));
        assert_eq!(crate::value::print::to_string(document.root.view()), r#"{"n":1}"#);
        let second = [&FIRST[..5], &[0], &FIRST[5..]].concat();
        let second = decode(&second, 2, &models, &Bounds::NONE).unwrap();
        assert_eq!((second.revision, second.locks.is_blank()), (7, true));
        assert!(decode(&FIRST, VERSION, &models, &Bounds::NONE).is_err());
        assert!(decode(&FIRST, VERSION + 1, &models, &Bounds::NONE).is_err());
    }

    #[test]
    fn a_document_is_read_up_to_the_limits_and_no_further() {
        let models = Models::new();
        let mut bytes = Vec::new();
        let content = crate::value::parse::json(b"[[1,2],[3]]", &Limits::NONE).unwrap();
        let size = content.size;
        encode(&NewDocument::new(content, None, 0, 9), &mut bytes);
        let read = |bytes: &[u8], depth, size| {
            let document = Limits { depth, bytes: size };
            decode(bytes, VERSION, &models, &Bounds { document, ..Bounds::NONE })
        };
        assert!(read(&bytes, 2, size).is_ok());
        assert_eq!(read(&bytes, 1, size).unwrap_err().code(), ErrorCode::Limit);
        assert_eq!(read(&bytes, 2, size - 1).unwrap_err().code(), ErrorCode::Limit);
        // Damage behind the limit is not found: nothing was read there.
        bytes.truncate(bytes.len() - 4);
        assert_eq!(read(&bytes, 2, 8).unwrap_err().code(), ErrorCode::Limit);
        assert_ne!(read(&bytes, 2, size).unwrap_err().code(), ErrorCode::Limit);
    }

    #[test]
    fn a_document_keeps_its_model_and_the_version_that_validated_it() {
        let models = Models::new();
        let model = Some(models.of_document("item"));
        let document = NewDocument::new(crate::value::Value::NULL.into(), model, 5, 9);
        let mut bytes = Vec::new();
        encode(&document, &mut bytes);
        // A server without the model keeps the document.
        let loaded = decode(&bytes, VERSION, &Models::new(), &Bounds::NONE).unwrap();
        assert_eq!((loaded.model_name(), loaded.definition_version()), ("item", 5));
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut], VERSION, &models, &Bounds::NONE).is_err());
        }
    }
}
