//! The encoding of effects: the change a command made to one key, as it is replicated.
//!
//! ```text
//! effect := 3:version kind varint:revision expiry rest
//! kind   := 1 edit   rest is varint:definition and the edits (see `value::edit`); the document exists
//!         | 2 put    rest is text:model varint:definition varint:ahead; the document's JSON is the next
//!                    argument; the sender had seen revisions up to `ahead` above this one
//!         | 3 touch  no rest; only the expiry changes
//!         | 4 token  rest is the token (see `codec::token`); the revision is 0
//!         | 5 locks  rest is the edits of `codec::locks`; the document exists; the revision is 0
//! expiry := 0 as it was | 1 none | 2 varint:unix-ms
//! ```
//!
//! `definition` is the version of the definition that the document was validated against; 0 for none, and for
//! an edit that does not change it. Version 1 had no `definition`; version 2 had no edits that exchange or
//! lift values. Both are still read.
//!
//! It travels as `MODEL.APPLY key effect [json]`. The effects of a command on several keys travel together, as
//! `MODEL.APPLYALL numkeys key [key ...] unit [json ...]`:
//!
//! ```text
//! unit := (varint:length effect)*   one for each key, in order; the JSON of documents follows in the same order
//! ```

use super::definition::read_version;
use super::rdb::read_revision;
use crate::document::REVISION_MAX;
use crate::error::Result;
use crate::expiry::Expiry;
use crate::reply::empty_text;
use crate::value::wire::{self, Reader};

const VERSION: u8 = 3;
const EDIT: u8 = 1;
const PUT: u8 = 2;
const TOUCH: u8 = 3;
const TOKEN: u8 = 4;
const LOCKS: u8 = 5;

/// The decoded form of an effect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect<'a> {
    pub revision: u64,
    pub expiry: Expiry,
    pub change: Change<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change<'a> {
    Edit {
        edits: &'a [u8],
        definition: u32,
    },
    Put {
        model: &'a str,
        definition: u32,
        ahead: u64,
    },
    Touch,
    /// An encoded token.
    Token(&'a [u8]),
    /// Encoded edits of locks.
    Locks(&'a [u8]),
}

/// The bytes in front of what an effect brings, whose number is bounded: none of them asks for room.
struct EffectHead {
    bytes: [u8; EffectHead::BYTES_MAX],
    len: usize,
}

impl EffectHead {
    /// Three bytes, and three varints.
    const BYTES_MAX: usize = 3 + 3 * wire::VARINT_BYTES_MAX;

    fn new() -> EffectHead {
        EffectHead { bytes: [0; EffectHead::BYTES_MAX], len: 0 }
    }

    #[inline]
    fn byte(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    #[inline]
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8);
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl<'a> Effect<'a> {
    pub fn encode(&self) -> Vec<u8> {
        let payload = match self.change {
            Change::Edit { edits, .. } => edits.len(),
            Change::Token(bytes) | Change::Locks(bytes) => bytes.len(),
            Change::Put { .. } | Change::Touch => 0,
        };
        let mut out = empty_text();
        out.reserve(EffectHead::BYTES_MAX + payload);
        let mut head = EffectHead::new();
        head.byte(VERSION);
        head.byte(match self.change {
            Change::Edit { .. } => EDIT,
            Change::Put { .. } => PUT,
            Change::Touch => TOUCH,
            Change::Token(_) => TOKEN,
            Change::Locks(_) => LOCKS,
        });
        head.varint(self.revision);
        match self.expiry {
            Expiry::Keep => head.byte(0),
            Expiry::Persist => head.byte(1),
            Expiry::At(unix_ms) => {
                head.byte(2);
                head.varint(unix_ms);
            }
        }
        if let Change::Edit { definition, .. } = self.change {
            head.varint(definition.into());
        }
        out.extend_from_slice(head.bytes());
        match self.change {
            Change::Edit { edits, .. } => out.extend_from_slice(edits),
            Change::Put { model, definition, ahead } => {
                wire::put_text(model.as_bytes(), &mut out);
                wire::put_varint(definition.into(), &mut out);
                wire::put_varint(ahead, &mut out);
            }
            Change::Touch => {}
            Change::Token(token) => out.extend_from_slice(token),
            Change::Locks(edits) => out.extend_from_slice(edits),
        }
        out
    }

    pub fn decode(bytes: &'a [u8]) -> Result<Effect<'a>> {
        let mut reader = Reader::new(bytes);
        let version = reader.byte()?;
        if version == 0 || version > VERSION {
            return Err(wire::corrupt("an effect of a newer release"));
        }
        let kind = reader.byte()?;
        let revision = read_revision(&mut reader)?;
        let expiry = match reader.byte()? {
            0 => Expiry::Keep,
            1 => Expiry::Persist,
            2 => Expiry::At(read_unix_ms(&mut reader)?),
            _ => return Err(wire::corrupt("an unknown expiry")),
        };
        let change = match kind {
            EDIT => {
                let definition = read_definition(&mut reader, version)?;
                Change::Edit { edits: reader.take_rest(), definition }
            }
            PUT => Change::Put {
                model: reader.text()?,
                definition: read_definition(&mut reader, version)?,
                ahead: read_ahead(&mut reader, revision)?,
            },
            TOUCH => Change::Touch,
            TOKEN => Change::Token(reader.take_rest()),
            LOCKS => Change::Locks(reader.take_rest()),
            _ => return Err(wire::corrupt("an unknown effect")),
        };
        reader.finish()?;
        Ok(Effect { revision, expiry, change })
    }
}

/// Appends an encoded effect to a unit.
pub fn put_in_unit(effect: &[u8], unit: &mut Vec<u8>) {
    wire::put_text(effect, unit);
}

/// Reads the effects of a unit, front to back.
pub struct UnitReader<'a>(Reader<'a>);

impl<'a> UnitReader<'a> {
    pub fn new(unit: &'a [u8]) -> UnitReader<'a> {
        UnitReader(Reader::new(unit))
    }

    /// Decodes the next effect.
    pub fn read(&mut self) -> Result<Effect<'a>> {
        let length = usize::try_from(self.0.varint()?);
        let length = length.map_err(|_| wire::corrupt("an effect is too long"))?;
        Effect::decode(self.0.bytes(length)?)
    }

    /// Refuses a unit that has more effects.
    pub fn finish(self) -> Result<()> {
        self.0.finish()
    }
}

fn read_definition(reader: &mut Reader<'_>, version: u8) -> Result<u32> {
    if version == 1 { Ok(0) } else { read_version(reader) }
}

fn read_ahead(reader: &mut Reader<'_>, revision: u64) -> Result<u64> {
    let ahead = reader.varint()?;
    if revision.checked_add(ahead).is_none_or(|seen| seen > REVISION_MAX) {
        return Err(wire::corrupt("a revision is too large"));
    }
    Ok(ahead)
}

fn read_unix_ms(reader: &mut Reader<'_>) -> Result<u64> {
    let unix_ms = reader.varint()?;
    if unix_ms > i64::MAX as u64 {
        return Err(wire::corrupt("a moment is too late"));
    }
    Ok(unix_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_reverts_encoding_and_truncated_effects_are_refused() {
        for effect in [
            Effect {
                revision: 1,
                expiry: Expiry::Keep,
                change: Change::Edit { edits: b"xyz", definition: 300 },
            },
            Effect {
                revision: 1 << 52,
                expiry: Expiry::At(1 << 41),
                change: Change::Put { model: "item", definition: 2, ahead: 7 },
            },
            Effect { revision: 7, expiry: Expiry::Persist, change: Change::Touch },
            Effect { revision: 0, expiry: Expiry::At(9), change: Change::Token(b"token") },
            Effect { revision: 0, expiry: Expiry::Keep, change: Change::Locks(b"edits") },
        ] {
            let bytes = effect.encode();
            assert_eq!(Effect::decode(&bytes).unwrap(), effect);
            if !matches!(effect.change, Change::Edit { .. } | Change::Token(_) | Change::Locks(_)) {
                for cut in 0..bytes.len() {
                    assert!(Effect::decode(&bytes[..cut]).is_err());
                }
            }
        }
    }

    #[test]
    fn the_effects_of_a_unit_are_read_in_order() {
        let effects = [
            Effect { revision: 1, expiry: Expiry::Keep, change: Change::Touch },
            Effect { revision: 0, expiry: Expiry::Keep, change: Change::Locks(&[7; 200]) },
        ];
        let mut unit = Vec::new();
        effects.iter().for_each(|effect| put_in_unit(&effect.encode(), &mut unit));
        let mut reader = UnitReader::new(&unit);
        effects.iter().for_each(|effect| assert_eq!(reader.read().unwrap(), *effect));
        reader.finish().unwrap();
        let mut one = UnitReader::new(&unit);
        one.read().unwrap();
        assert!(one.finish().is_err());
        for cut in 0..unit.len() {
            let mut reader = UnitReader::new(&unit[..cut]);
            assert!(reader.read().and_then(|_| reader.read()).is_err(), "{cut}");
        }
    }

    #[test]
    fn effects_of_earlier_releases_are_read() {
        let edit = Effect::decode(&[2, EDIT, 5, 0, 7, b'x']).unwrap();
        assert_eq!(edit.change, Change::Edit { edits: b"x", definition: 7 });
        let edit = Effect::decode(&[1, EDIT, 5, 0, b'x']).unwrap();
        assert_eq!(edit.change, Change::Edit { edits: b"x", definition: 0 });
        let put = Effect::decode(&[1, PUT, 5, 0, 3, b'a', b'n', b'y', 2]).unwrap();
        assert_eq!(put.change, Change::Put { model: "any", definition: 0, ahead: 2 });
        assert!(Effect::decode(&[VERSION + 1, TOUCH, 5, 0]).is_err());
    }
}
