//! The encoding of one model's definition, in RDB and on the way to replicas, the AOF and other shards.
//!
//! ```text
//! entry := 2:version text:name varint:definition state
//! state := 0 ended | 1 text:schema varint:count (text:rule text:expr)* ttl refresh formats defaults
//! ttl   := varint: 0 none, otherwise seconds
//! refresh := 0 never | 1 write | 2 read
//! formats := 0 assert | 1 annotate
//! defaults := 0 filled | 1 ignored
//! ```
//!
//! `definition` is the version of the definition, or of its end. It travels as `MODEL.INSTALL entry`. The end of the
//! empty name is the highest version of all ends that were forgotten.
//!
//! Entries of version 1 are read too: they end before `formats`, and mean `assert` and `filled`.

use crate::document::ANY_NAME;
use crate::error::Result;
use crate::model::{
    Defaults, DefinitionSource, FORGOTTEN, Formats, ModelEntry, NAME_BYTES_MAX, Refresh,
    RuleSource, TTL_MAX_S, VERSION_MAX,
};
use crate::value::wire::{self, Reader};

const VERSION: u8 = 2;
/// The version without `formats` and `defaults`.
const VERSION_1: u8 = 1;
const ENDED: u8 = 0;
const DEFINED: u8 = 1;

pub fn encode(entry: &ModelEntry) -> Vec<u8> {
    let mut out = vec![VERSION];
    wire::put_text(entry.name.as_bytes(), &mut out);
    wire::put_varint(entry.version.into(), &mut out);
    let Some(source) = &entry.source else {
        out.push(ENDED);
        return out;
    };
    out.push(DEFINED);
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
    out
}

/// Decodes untrusted bytes. Does not compile the schema or the rules.
pub fn decode(bytes: &[u8]) -> Result<ModelEntry> {
    let mut reader = Reader::new(bytes);
    let encoding = reader.byte()?;
    if ![VERSION, VERSION_1].contains(&encoding) {
        return Err(wire::corrupt("a definition of a newer release"));
    }
    let name = reader.text()?;
    if name.len() > NAME_BYTES_MAX || name == ANY_NAME {
        return Err(wire::corrupt("an invalid name of a model"));
    }
    let version = read_version(&mut reader)?;
    if version == 0 {
        return Err(wire::corrupt("a definition without a version"));
    }
    let source = match reader.byte()? {
        ENDED => None,
        DEFINED => Some(decode_source(&mut reader, encoding)?),
        _ => return Err(wire::corrupt("an unknown state of a definition")),
    };
    reader.finish()?;
    if name == FORGOTTEN && (source.is_some() || version > VERSION_MAX / 2) {
        return Err(wire::corrupt("an invalid version of forgotten ends"));
    }
    Ok(ModelEntry { name: name.into(), version, source })
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
    if encoding >= VERSION {
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
            ttl_s: Some(TTL_MAX_S),
            refresh: Refresh::Read,
            formats: Formats::Annotate,
            defaults: Defaults::Ignored,
        };
        for source in [None, Some(DefinitionSource::default()), Some(source)] {
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
    fn definitions_of_version_1_are_read() {
        let source = DefinitionSource { schema: b"{}"[..].into(), ..DefinitionSource::default() };
        let entry = ModelEntry { name: "m".into(), version: 2, source: Some(source) };
        assert_eq!(decode(b"\x01\x01m\x02\x01\x02{}\0\0\0").unwrap(), entry);
        assert!(decode(b"\x02\x01m\x02\x01\x02{}\0\0\0").is_err(), "version 2 has more fields");
        assert!(decode(b"\x03\x01m\x02\x01\x02{}\0\0\0\0\0").is_err());
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
