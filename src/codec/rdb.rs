//! A document in RDB and DUMP.
//!
//! ```text
//! document := varint:revision text:model value                     (encoding version 1)
//!           | varint:revision text:model varint:definition value   (encoding version 2)
//!           | varint:revision text:model varint:definition locks value   (encoding versions 3 and 4)
//! ```
//!
//! `locks` is the encoding of [`super::locks`]. `definition` is the version of the definition the document was
//! validated against last, 0 for the model `any`.
//! See [`crate::value::wire`] for `varint`, `text` and `value`. In version 4, `value` may have packed containers: in a
//! file, whose aux field has the names. `DUMP` writes none, so that its payload stands by itself. The version is the data type's encoding
//! version, kept by the server beside the payload.

use super::definition::read_version;
use super::locks;
use super::origin::Bounds;
use crate::document::{ANY_NAME, Document, NewDocument, REVISION_MAX};
use crate::error::Result;
use crate::lock::Locks;
use crate::model::{Models, NAME_BYTES_MAX};
use crate::value::FileNames;
use crate::value::wire::{self, Reader};

/// The encoding written by this release. Every release reads all versions up to its own.
pub const VERSION: u32 = 4;

/// Appends the document in the current version.
pub fn encode(document: &Document, out: &mut Vec<u8>) {
    // The portable form is a little shorter than the text.
    out.reserve(16 + document.root.view().text_hint());
    put_head(document, out);
    wire::put_value(document.root.view(), out);
}

/// As [`encode`], for a file whose aux field has the shared names as they are now, or were before others came.
pub fn encode_for_file(document: &Document, out: &mut Vec<u8>) {
    put_head(document, out);
    wire::put_value_for_file(document.root.view(), out);
}

fn put_head(document: &Document, out: &mut Vec<u8>) {
    wire::put_varint(document.revision, out);
    wire::put_text(document.model_name().as_bytes(), out);
    wire::put_varint(document.definition_version().into(), out);
    locks::encode(&document.locks, out);
}

/// Reads a document. `version` is the encoding version it was written with. `LIMIT` as soon as more was read than is
/// allowed: what is behind takes neither time nor memory.
pub fn decode(bytes: &[u8], version: u32, models: &Models, bounds: &Bounds) -> Result<NewDocument> {
    decode_from_file(bytes, version, models, bounds, None)
}

/// As [`decode`], of a document in a file that has these names.
pub fn decode_from_file(
    bytes: &[u8],
    version: u32,
    models: &Models,
    bounds: &Bounds,
    names: Option<&FileNames>,
) -> Result<NewDocument> {
    if version == 0 || version > VERSION {
        return Err(wire::corrupt("written by a newer release"));
    }
    let mut reader = Reader::new(bytes).with_names(names.filter(|_| version >= 4));
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

/// The aux field: `varint:revision varint:fence models actions names`, with `varint:count entry*` for each of the last
/// three. The first two are the highest revision and the highest fence that the server had seen, so that a replica that
/// starts from its RDB goes on from them; the entries are what the server knew of models and of actions, see
/// [`crate::codec::definition`], each in a `text`, and the shared names by their numbers, each a `text`. Version 1 had
/// no fence, version 2 no actions, version 3 no names; all are still read.
pub mod aux {
    use std::collections::HashSet;

    use super::{Reader, Result, locks, read_revision, wire};
    use crate::codec::definition;
    use crate::model::{ActionSource, Entry, ModelEntry};
    use crate::value::names::{NAME_BYTES_MAX, NAMES_MAX};

    pub const VERSION: u64 = 4;

    /// The content of the aux field.
    #[derive(Debug, Default, PartialEq)]
    pub struct Aux {
        pub revision: u64,
        pub fence: u64,
        pub models: Vec<ModelEntry>,
        pub actions: Vec<Entry<ActionSource>>,
        pub names: Vec<Box<str>>,
    }

    pub fn encode(aux: &Aux) -> Vec<u8> {
        let mut out = Vec::new();
        wire::put_varint(aux.revision, &mut out);
        wire::put_varint(aux.fence, &mut out);
        wire::put_varint(aux.models.len() as u64, &mut out);
        for entry in &aux.models {
            wire::put_text(&definition::encode(entry), &mut out);
        }
        wire::put_varint(aux.actions.len() as u64, &mut out);
        for entry in &aux.actions {
            wire::put_text(&definition::encode_action(entry), &mut out);
        }
        wire::put_varint(aux.names.len() as u64, &mut out);
        for name in &aux.names {
            wire::put_text(name.as_bytes(), &mut out);
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
        let models = read_entries(&mut reader, definition::decode)?;
        let actions = match version {
            ..3 => Vec::new(),
            _ => read_entries(&mut reader, definition::decode_action)?,
        };
        let names = if version < 4 { Vec::new() } else { read_names(&mut reader)? };
        reader.finish()?;
        Ok(Aux { revision, fence, models, actions, names })
    }

    fn read_names(reader: &mut Reader<'_>) -> Result<Vec<Box<str>>> {
        let count = reader.count()?;
        let mut names: Vec<Box<str>> = Vec::new();
        for _ in 0..count {
            names.push(reader.text()?.into());
        }
        let distinct: HashSet<&str> = names.iter().map(AsRef::as_ref).collect();
        let are_valid = count <= NAMES_MAX
            && distinct.len() == count
            && names.iter().all(|name| name.len() <= NAME_BYTES_MAX);
        if are_valid { Ok(names) } else { Err(wire::corrupt("names that are not shared")) }
    }

    fn read_entries<S>(
        reader: &mut Reader<'_>,
        decode: fn(&[u8]) -> Result<Entry<S>>,
    ) -> Result<Vec<Entry<S>>> {
        let mut entries = Vec::new();
        for _ in 0..reader.count()? {
            let len = reader.count()?;
            entries.push(decode(reader.bytes(len)?)?);
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use crate::model::{ActionSource, DefinitionSource, Entry, ModelEntry};
    use crate::value::{Limits, names};

    #[test]
    fn the_aux_field_survives_and_corrupt_ones_are_refused() {
        let ended = ModelEntry { name: "old".into(), version: 3, source: None };
        let models = vec![
            ended,
            ModelEntry { name: "m".into(), version: 1, source: Some(DefinitionSource::default()) },
        ];
        let source = Some(ActionSource::default());
        let actions = vec![Entry { name: "m".into(), version: 2, source }];
        let names = vec!["qty".into(), "é".into()];
        let (revision, fence) = (1_700_000_000_000_000, 1 << 49);
        let written = aux::Aux { revision, fence, models, actions, names };
        let bytes = aux::encode(&written);
        let read = |bytes: &[u8]| aux::decode(bytes, aux::VERSION);
        assert_eq!(read(&bytes).unwrap(), written);
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut]).is_err());
        }
        let aux = aux::Aux::default;
        assert!(read(&aux::encode(&aux())).is_ok());
        assert!(read(&aux::encode(&aux::Aux { revision: 1 << 53, ..aux() })).is_err());
        assert!(read(&aux::encode(&aux::Aux { fence: 1 << 53, ..aux() })).is_err());
        let long = "x".repeat(names::NAME_BYTES_MAX + 1);
        let numbers = |count: usize| (0..count).map(|nth| nth.to_string().into()).collect();
        for (names, is_read) in [
            (vec![long[1..].into()], true),
            (vec![long.into()], false),
            (vec!["x".into(), "x".into()], false),
            (numbers(names::NAMES_MAX), true),
            (numbers(names::NAMES_MAX + 1), false),
        ] {
            let bytes = aux::encode(&aux::Aux { names, ..aux() });
            assert_eq!(read(&bytes).is_ok(), is_read);
        }
        assert!(read(&[1, 0, 0, 0, 0, 0]).is_err());
        assert!(read(&[1, 0, 1]).is_err());
        assert!(read(&[1, 0, 0, 1]).is_err());
        assert!(read(&[1, 0, 0, 0, 1]).is_err());
        assert!(aux::decode(&bytes, aux::VERSION + 1).is_err());
    }

    #[test]
    fn the_aux_field_of_earlier_releases_is_read() {
        let aux = |fence| aux::Aux { revision: 7, fence, ..aux::Aux::default() };
        assert_eq!(aux::decode(&[7, 0], 1).unwrap(), aux(0));
        assert_eq!(aux::decode(&[7, 3, 0], 2).unwrap(), aux(3));
        assert_eq!(aux::decode(&[7, 3, 0, 0], 3).unwrap(), aux(3));
    }

    #[test]
    fn a_document_in_a_file_is_read_with_the_names_of_the_file_alone() {
        let models = Models::new();
        let content = crate::value::parse::json(br#"{"n":[1,{"m":2}]}"#, &Limits::NONE).unwrap();
        let document = NewDocument::new(content, None, 0, 7);
        let (mut alone, mut bytes) = (Vec::new(), Vec::new());
        encode(&document, &mut alone);
        encode_for_file(&document, &mut bytes);
        let names = FileNames::admit(names::all());
        let read = |bytes: &[u8], version, names| {
            let read = decode_from_file(bytes, version, &models, &Bounds::NONE, names)?;
            assert_eq!(read.size(), document.size());
            Ok::<_, crate::error::Error>(crate::value::print::to_string(read.root.view()))
        };
        for bytes in [&alone, &bytes] {
            assert_eq!(read(bytes, VERSION, Some(&names)).unwrap(), r#"{"n":[1,{"m":2}]}"#);
        }
        assert!(read(&bytes, VERSION, None).is_err() && read(&bytes, 3, Some(&names)).is_err());
        assert!(decode(&alone, VERSION, &models, &Bounds::NONE).is_ok());
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
        let third = [&FIRST[..5], &[0, 0, 0], &FIRST[5..]].concat();
        for version in [3, 4] {
            let third = decode(&third, version, &models, &Bounds::NONE).unwrap();
            assert_eq!(crate::value::print::to_string(third.root.view()), r#"{"n":1}"#);
        }
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
