//! What is replicated: the effect of a command on one key, never the command itself.
//!
//! ```text
//! effect := 1:version kind varint:revision expiry rest
//! kind   := 1 edit   rest is the edits (see `value::edit`); the document exists
//!         | 2 put    rest is text:model varint:ahead; the document's JSON is the next argument; the
//!                    sender had seen revisions up to `ahead` above this one
//!         | 3 touch  no rest; only the expiry changes
//! expiry := 0 as it was | 1 none | 2 varint:unix-ms
//! ```
//!
//! It travels as `MODEL.APPLY key effect [json]`.

use super::rdb::read_revision;
use crate::document::REVISION_LOADED_MAX;
use crate::error::Result;
use crate::value::wire::{self, Reader};

const VERSION: u8 = 1;
const EDIT: u8 = 1;
const PUT: u8 = 2;
const TOUCH: u8 = 3;

/// What becomes of a key's time to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It stays as it was.
    Keep,
    /// The key does not expire.
    Persist,
    /// The key expires at this moment, in unix milliseconds.
    At(u64),
}

/// The decoded form of an effect.
#[derive(Debug, PartialEq)]
pub struct Effect<'a> {
    pub revision: u64,
    pub expiry: Expiry,
    pub change: Change<'a>,
}

#[derive(Debug, PartialEq)]
pub enum Change<'a> {
    Edit(&'a [u8]),
    Put { model: &'a str, ahead: u64 },
    Touch,
}

impl<'a> Effect<'a> {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32);
        out.push(VERSION);
        out.push(match self.change {
            Change::Edit(_) => EDIT,
            Change::Put { .. } => PUT,
            Change::Touch => TOUCH,
        });
        wire::put_varint(self.revision, &mut out);
        match self.expiry {
            Expiry::Keep => out.push(0),
            Expiry::Persist => out.push(1),
            Expiry::At(unix_ms) => {
                out.push(2);
                wire::put_varint(unix_ms, &mut out);
            }
        }
        match self.change {
            Change::Edit(edits) => out.extend_from_slice(edits),
            Change::Put { model, ahead } => {
                wire::put_text(model.as_bytes(), &mut out);
                wire::put_varint(ahead, &mut out);
            }
            Change::Touch => {}
        }
        out
    }

    pub fn decode(bytes: &'a [u8]) -> Result<Effect<'a>> {
        let mut reader = Reader::new(bytes);
        if reader.byte()? != VERSION {
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
            EDIT => Change::Edit(reader.take_rest()),
            PUT => Change::Put { model: reader.text()?, ahead: read_ahead(&mut reader, revision)? },
            TOUCH => Change::Touch,
            _ => return Err(wire::corrupt("an unknown effect")),
        };
        reader.finish()?;
        Ok(Effect { revision, expiry, change })
    }
}

fn read_ahead(reader: &mut Reader<'_>, revision: u64) -> Result<u64> {
    let ahead = reader.varint()?;
    if revision.checked_add(ahead).is_none_or(|seen| seen > REVISION_LOADED_MAX) {
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
    fn effects_survive_and_cuts_are_refused() {
        for effect in [
            Effect { revision: 1, expiry: Expiry::Keep, change: Change::Edit(b"xyz") },
            Effect {
                revision: 1 << 52,
                expiry: Expiry::At(1 << 41),
                change: Change::Put { model: "any", ahead: 7 },
            },
            Effect { revision: 7, expiry: Expiry::Persist, change: Change::Touch },
        ] {
            let bytes = effect.encode();
            assert_eq!(Effect::decode(&bytes).unwrap(), effect);
            if !matches!(effect.change, Change::Edit(_)) {
                for cut in 0..bytes.len() {
                    assert!(Effect::decode(&bytes[..cut]).is_err());
                }
            }
        }
    }
}
