//! The encoding of one definition, of a model or of an action, in RDB and on the way to replicas, the AOF and other
//! shards.
//!
//! ```text
//! model  := 4:version text:name varint:definition state
//! action := 128:version text:name varint:definition (0 ended | 1 roles params blocks)
//! roles  := varint:count text*
//! params := 0 | 1 text:schema
//! blocks := varint:count bytes*
//! bytes  := varint:length any bytes
//! state := 0 ended | 1 text:schema varint:count (text:rule text:expr)* ttl refresh formats defaults indexes changes
//! ttl   := varint: 0 none, otherwise seconds
//! refresh := 0 never | 1 write | 2 read
//! formats := 0 assert | 1 annotate
//! defaults := 0 filled | 1 ignored
//! indexes := varint:count (text:name varint:count text:part* unique only)*
//! unique := 0 | 1
//! only := 0 | 1 text:expr
//! changes := varint: 0 none, otherwise the entries and with
//! with := 0 keys | 1 patch | 2 after | 3 both
//! ```
//!
//! `definition` is the version of the definition, or of its end. It travels as `MODEL.INSTALL entry`. The end of the
//! empty name is the highest version of all ends that were forgotten.
//!
//! Models of version 1 end before `formats`, and mean `assert` and `filled`; those of version 2 end before `indexes`, and
//! have none; those of version 3 end before `changes`. A model is written in the first version that has all of it, so that
//! earlier releases read it. Versions of actions count from 128.

use crate::document::ANY_NAME;
use crate::error::Result;
use crate::index::{INDEXES_MAX, IndexSource, PARTS_MAX};
use crate::model::{
    ActionSource, ChangesSource, ChangesWith, Defaults, DefinitionSource, Entry, FORGOTTEN,
    Formats, ModelEntry, NAME_BYTES_MAX, Refresh, RuleSource, TTL_MAX_S, VERSION_MAX,
};
use crate::value::wire::{self, Reader};

const VERSION: u8 = 4;
/// The version without `changes`.
const VERSION_3: u8 = 3;
/// The version without `indexes`.
const VERSION_2: u8 = 2;
/// The version without `formats` and `defaults`.
const VERSION_1: u8 = 1;
/// The first version of actions, and the only one yet.
const ACTION_VERSION: u8 = 128;
const ENDED: u8 = 0;
const DEFINED: u8 = 1;

/// A definition of either kind.
#[derive(Debug, PartialEq)]
pub enum AnyEntry {
    Model(ModelEntry),
    Action(Entry<ActionSource>),
}

/// Returns true if these bytes would be those of an action.
pub fn is_action(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(ACTION_VERSION..))
}

/// Decodes untrusted bytes of either kind. Compiles nothing.
pub fn decode_any(bytes: &[u8]) -> Result<AnyEntry> {
    match is_action(bytes) {
        true => decode_action(bytes).map(AnyEntry::Action),
        false => decode(bytes).map(AnyEntry::Model),
    }
}

pub fn encode_action(entry: &Entry<ActionSource>) -> Vec<u8> {
    let (mut out, source) = encode_head(ACTION_VERSION, entry);
    let Some(source) = source else { return out };
    wire::put_varint(source.roles.len() as u64, &mut out);
    source.roles.iter().for_each(|role| wire::put_text(role.as_bytes(), &mut out));
    out.push(source.params.is_some().into());
    source.params.iter().for_each(|params| wire::put_text(params, &mut out));
    wire::put_varint(source.blocks.len() as u64, &mut out);
    source.blocks.iter().for_each(|word| wire::put_text(word, &mut out));
    out
}

/// Decodes untrusted bytes. Parses no block and compiles nothing.
pub fn decode_action(bytes: &[u8]) -> Result<Entry<ActionSource>> {
    let mut reader = Reader::new(bytes);
    if reader.byte()? != ACTION_VERSION {
        return Err(wire::corrupt("an action of a newer release"));
    }
    let (name, version, defined) = decode_head(&mut reader)?;
    let mut source = None;
    if defined {
        let mut action = ActionSource::default();
        for _ in 0..reader.count()? {
            action.roles.push(reader.text()?.into());
        }
        action.params = match reader.byte()? {
            0 => None,
            1 => Some(reader.text()?.as_bytes().into()),
            _ => return Err(wire::corrupt("an invalid schema of an action")),
        };
        for _ in 0..reader.count()? {
            let len = reader.count()?;
            action.blocks.push(reader.bytes(len)?.into());
        }
        source = Some(action);
    }
    finish(reader, Entry { name, version, source })
}

/// The beginning of an entry, and its source if it has one.
fn encode_head<S>(encoding: u8, entry: &Entry<S>) -> (Vec<u8>, Option<&S>) {
    let mut out = vec![encoding];
    wire::put_text(entry.name.as_bytes(), &mut out);
    wire::put_varint(entry.version.into(), &mut out);
    out.push(if entry.source.is_some() { DEFINED } else { ENDED });
    (out, entry.source.as_ref())
}

/// The name, the version, and if a source follows.
fn decode_head(reader: &mut Reader<'_>) -> Result<(Box<str>, u32, bool)> {
    let name = reader.text()?;
    if name.len() > NAME_BYTES_MAX {
        return Err(wire::corrupt("a name of a definition is too long"));
    }
    let version = read_version(reader)?;
    if version == 0 {
        return Err(wire::corrupt("a definition without a version"));
    }
    match reader.byte()? {
        ENDED => Ok((name.into(), version, false)),
        DEFINED => Ok((name.into(), version, true)),
        _ => Err(wire::corrupt("an unknown state of a definition")),
    }
}

fn finish<S>(reader: Reader<'_>, entry: Entry<S>) -> Result<Entry<S>> {
    reader.finish()?;
    if &*entry.name == FORGOTTEN && (entry.source.is_some() || entry.version > VERSION_MAX / 2) {
        return Err(wire::corrupt("an invalid version of forgotten ends"));
    }
    Ok(entry)
}

pub fn encode(entry: &ModelEntry) -> Vec<u8> {
    let encoding = match &entry.source {
        Some(source) if source.changes.is_some() => VERSION,
        Some(source) if !source.indexes.is_empty() => VERSION_3,
        _ => VERSION_2,
    };
    let (mut out, source) = encode_head(encoding, entry);
    let Some(source) = source else { return out };
    wire::put_text(&source.schema, &mut out);
    wire::put_varint(source.rules.len() as u64, &mut out);
    for rule in &source.rules {
        wire::put_text(rule.name.as_bytes(), &mut out);
        wire::put_text(rule.expr.as_bytes(), &mut out);
    }
    wire::put_varint(source.ttl_s.unwrap_or(0), &mut out);
    out.push(match source.refresh {
        Refresh::Never => 0,
        Refresh::Write => 1,
        Refresh::Read => 2,
    });
    out.push(u8::from(source.formats == Formats::Annotate));
    out.push(u8::from(source.defaults == Defaults::Ignored));
    if encoding >= VERSION_3 {
        put_indexes(&source.indexes, &mut out);
    }
    if let Some(changes) = &source.changes {
        wire::put_varint(changes.entries, &mut out);
        let with = ChangesWith::ALL.iter().position(|with| *with == changes.with);
        out.push(with.expect("it is one of all") as u8);
    }
    out
}

fn put_indexes(indexes: &[IndexSource], out: &mut Vec<u8>) {
    wire::put_varint(indexes.len() as u64, out);
    for index in indexes {
        wire::put_text(index.name.as_bytes(), out);
        wire::put_varint(index.parts.len() as u64, out);
        index.parts.iter().for_each(|part| wire::put_text(part.as_bytes(), out));
        out.push(u8::from(index.unique));
        out.push(u8::from(index.only.is_some()));
        index.only.iter().for_each(|only| wire::put_text(only.as_bytes(), out));
    }
}

fn decode_indexes(reader: &mut Reader<'_>) -> Result<Vec<IndexSource>> {
    let flag = |reader: &mut Reader<'_>| match reader.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(wire::corrupt("an unknown option of an index")),
    };
    let mut indexes = Vec::new();
    for _ in 0..reader.count()? {
        let name = reader.text()?.into();
        let mut parts: Vec<Box<str>> = Vec::new();
        for _ in 0..reader.count()? {
            parts.push(reader.text()?.into());
        }
        let unique = flag(reader)?;
        let only = if flag(reader)? { Some(reader.text()?.into()) } else { None };
        if parts.is_empty() || parts.len() > PARTS_MAX || indexes.len() == INDEXES_MAX {
            return Err(wire::corrupt("too many indexes or parts of one"));
        }
        indexes.push(IndexSource { name, parts, unique, only });
    }
    Ok(indexes)
}

fn decode_changes(reader: &mut Reader<'_>) -> Result<Option<ChangesSource>> {
    let entries = reader.varint()?;
    if entries == 0 {
        return Ok(None);
    }
    let with = ChangesWith::ALL.get(usize::from(reader.byte()?)).copied();
    let with = with.ok_or_else(|| wire::corrupt("an unknown content of changes"))?;
    match i64::try_from(entries) {
        Ok(_) => Ok(Some(ChangesSource { entries, with })),
        Err(_) => Err(wire::corrupt("too many entries of changes")),
    }
}

/// Decodes untrusted bytes. Does not compile the schema or the rules.
pub fn decode(bytes: &[u8]) -> Result<ModelEntry> {
    let mut reader = Reader::new(bytes);
    let encoding = reader.byte()?;
    if ![VERSION, VERSION_3, VERSION_2, VERSION_1].contains(&encoding) {
        return Err(wire::corrupt("a definition of a newer release"));
    }
    let (name, version, defined) = decode_head(&mut reader)?;
    if &*name == ANY_NAME {
        return Err(wire::corrupt("an invalid name of a model"));
    }
    let source = if defined { Some(decode_source(&mut reader, encoding)?) } else { None };
    finish(reader, ModelEntry { name, version, source })
}

/// Reads the version of a definition, 0 for none.
pub(super) fn read_version(reader: &mut Reader<'_>) -> Result<u32> {
    let version = u32::try_from(reader.varint()?).ok();
    version
        .filter(|version| *version <= VERSION_MAX)
        .ok_or_else(|| wire::corrupt("a definition's version is too large"))
}

fn decode_source(reader: &mut Reader<'_>, encoding: u8) -> Result<DefinitionSource> {
    let schema = reader.text()?.as_bytes().into();
    let mut rules = Vec::new();
    for _ in 0..reader.count()? {
        let name = reader.text()?.into();
        rules.push(RuleSource { name, expr: reader.text()?.into() });
    }
    let ttl_s = match reader.varint()? {
        0 => None,
        ttl_s if ttl_s <= TTL_MAX_S => Some(ttl_s),
        _ => return Err(wire::corrupt("a time to live is too long")),
    };
    let refresh = match reader.byte()? {
        0 => Refresh::Never,
        1 => Refresh::Write,
        2 => Refresh::Read,
        _ => return Err(wire::corrupt("an unknown refresh")),
    };
    let mut source =
        DefinitionSource { schema, rules, ttl_s, refresh, ..DefinitionSource::default() };
    if encoding >= VERSION_2 {
        source.formats = match reader.byte()? {
            0 => Formats::Assert,
            1 => Formats::Annotate,
            _ => return Err(wire::corrupt("an unknown treatment of formats")),
        };
        source.defaults = match reader.byte()? {
            0 => Defaults::Filled,
            1 => Defaults::Ignored,
            _ => return Err(wire::corrupt("an unknown treatment of defaults")),
        };
    }
    if encoding >= VERSION_3 {
        source.indexes = decode_indexes(reader)?;
    }
    if encoding >= VERSION {
        source.changes = decode_changes(reader)?;
    }
    Ok(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_reverts_encoding_and_truncated_definitions_are_refused() {
        let rule = RuleSource { name: "stock".into(), expr: "self.reserved <= self.stock".into() };
        let source = DefinitionSource {
            schema: br#"{"type":"object"}"#[..].into(),
            rules: vec![rule],
            indexes: vec![
                IndexSource {
                    name: "by_mail".into(),
                    parts: vec!["$.mail".into()],
                    unique: true,
                    only: None,
                },
                IndexSource {
                    name: "by_day".into(),
                    parts: vec!["$.status".into(), "self.day.lowerAscii()".into()],
                    unique: false,
                    only: Some("has(self.day)".into()),
                },
            ],
            ttl_s: Some(TTL_MAX_S),
            refresh: Refresh::Read,
            formats: Formats::Annotate,
            defaults: Defaults::Ignored,
            changes: None,
        };
        let changes = Some(ChangesSource { entries: i64::MAX as u64, with: ChangesWith::Both });
        let recorded = DefinitionSource { changes, ..source.clone() };
        for source in [None, Some(DefinitionSource::default()), Some(source), Some(recorded)] {
            let entry = ModelEntry { name: "item".into(), version: 7, source };
            let bytes = encode(&entry);
            assert_eq!(decode(&bytes).unwrap(), entry);
            for cut in 0..bytes.len() {
                assert!(decode(&bytes[..cut]).is_err());
            }
            assert!(decode(&[&bytes[..], &[0]].concat()).is_err());
        }
    }

    #[test]
    fn actions_survive_and_truncated_ones_are_refused() {
        let source = ActionSource {
            roles: vec!["from".into(), "to".into()],
            params: Some(b"{}"[..].into()),
            blocks: vec![
                b"ON"[..].into(),
                b"from"[..].into(),
                b"\0\xff"[..].into(),
                Box::default(),
            ],
        };
        for source in [None, Some(ActionSource::default()), Some(source)] {
            let entry = Entry { name: "transfer".into(), version: 7, source };
            let bytes = encode_action(&entry);
            assert_eq!(decode_any(&bytes).unwrap(), AnyEntry::Action(entry));
            for cut in 0..bytes.len() {
                assert!(decode_action(&bytes[..cut]).is_err());
            }
            assert!(decode_action(&[&bytes[..], &[0]].concat()).is_err());
        }
        for corrupt in [
            &b"\x80\x01a\0\0"[..],
            b"\x80\x01a\x01\x02",
            b"\x80\x01a\x01\x01\0\x02\0",
            b"\x80\x01a\x01\x01\xff\xff\xff\xff\x0f",
            b"\x80\0\x01\x01\0\0\0",
            b"\x81\x01a\x01\0",
        ] {
            assert!(decode_any(corrupt).is_err(), "{corrupt:?}");
        }
    }

    #[test]
    fn definitions_of_version_1_are_read() {
        let source = DefinitionSource { schema: b"{}"[..].into(), ..DefinitionSource::default() };
        let entry = ModelEntry { name: "m".into(), version: 2, source: Some(source) };
        assert_eq!(decode(b"\x01\x01m\x02\x01\x02{}\0\0\0").unwrap(), entry);
        assert!(decode(b"\x02\x01m\x02\x01\x02{}\0\0\0").is_err(), "version 2 has more fields");
        assert!(decode(b"\x03\x01m\x02\x01\x02{}\0\0\0\0\0").is_err(), "version 3 has more fields");
        assert!(
            decode(b"\x04\x01m\x02\x01\x02{}\0\0\0\0\0\0").is_err(),
            "version 4 has more fields"
        );
        for changes in [&b"\x07\x04"[..], b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\0"] {
            let bytes = [&b"\x04\x01m\x02\x01\x02{}\0\0\0\0\0\0"[..], changes].concat();
            assert!(decode(&bytes).is_err(), "{changes:?}");
        }
        assert!(decode(b"\x05\x01m\x02\x01\x02{}\0\0\0\0\0\0\0").is_err());
    }

    #[test]
    fn invalid_definitions_are_refused() {
        let with = |name: &str, version| ModelEntry { name: name.into(), version, source: None };
        let beyond = with(FORGOTTEN, VERSION_MAX / 2 + 1);
        let nul =
            ModelEntry { source: Some(DefinitionSource::default()), ..with("\0", VERSION_MAX) };
        assert_eq!(decode(&encode(&nul)).unwrap(), nul);
        let defined =
            ModelEntry { source: Some(DefinitionSource::default()), ..with(FORGOTTEN, 1) };
        assert!(decode(&encode(&with(FORGOTTEN, VERSION_MAX / 2))).is_ok());
        for entry in [with("any", 1), with(&"x".repeat(256), 1), with("a", 0), beyond, defined] {
            assert!(decode(&encode(&entry)).is_err(), "{entry:?}");
        }
    }
}
