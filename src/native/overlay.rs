//! The keyspace as it was before a transaction, with the natives that were checked so far.
//!
//! State that is not noted is asked of the server, once. A key keeps its kind through the transaction, but for `SET` and
//! `UNLINK`: one that loses its last member is still refused a command of another kind.

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::call::NativeCall;
use super::source::{NativeKind, NativeSource, StreamId, ask};
use super::text::strict_integer;
use crate::error::{Error, ErrorCode, Result};
use crate::expr::{NativeAnswer, NativeQuestion};
use crate::keys::Key;
use crate::limit;

/// The overlay of all keys of a transaction.
pub struct Overlay<'n> {
    source: &'n dyn NativeSource,
    /// Those that natives were about, by slot.
    keys: SmallVec<[(usize, KeyState); 2]>,
}

/// The state of one key, as far as it is known.
struct KeyState {
    kind: NativeKind,
    /// Nothing of what the key held is left.
    fresh: bool,
    /// The key may be gone by a native before.
    may_be_gone: bool,
    /// The members or fields that are known; none before the first one is noted.
    parts: Option<Box<KnownParts>>,
    /// The integer of a string, once it is known.
    integer: Option<Option<i64>>,
    /// The last id of a stream, once it is known.
    last: Option<StreamId>,
}

/// The parts of a structure that natives changed.
#[derive(Default)]
struct KnownParts {
    /// Scores of members of a sorted set; none where the member is missing.
    scores: HashMap<Box<[u8]>, Option<f64>, foldhash::fast::RandomState>,
    /// Fields of a hash; none where the value is no integer.
    fields: HashMap<Box<[u8]>, Option<i64>, foldhash::fast::RandomState>,
}

impl<'n> Overlay<'n> {
    pub fn new(source: &'n dyn NativeSource) -> Overlay<'n> {
        Overlay { source, keys: SmallVec::new() }
    }

    /// Refuses a command that the server would refuse after those before it. `last`: no other one about this key
    /// follows, and nothing needs to be noted.
    pub fn check(&mut self, key: Key<'_>, call: &NativeCall, last: bool) -> Result<()> {
        self.source.check_call(key, call)?;
        if call.spec.channel {
            return Ok(());
        }
        let source = self.source;
        let known = self.keys.iter().position(|(slot, _)| *slot == call.slot);
        let known = known.unwrap_or_else(|| {
            self.keys.push((call.slot, KeyState::found(source.kind(key))));
            self.keys.len() - 1
        });
        let state = &mut self.keys[known].1;
        let missing = state.kind == NativeKind::Missing || state.may_be_gone;
        if missing && !source.may_be_missing(key) {
            let message = "the hash slot is being moved, and the key is not there";
            return Err(Error::new(ErrorCode::TryAgain, message));
        }
        (call.spec.check)(&mut KeyOverlay { source, key, state, last }, &call.words)
    }
}

/// One key of the overlay, for the native that is checked.
pub struct KeyOverlay<'o> {
    source: &'o dyn NativeSource,
    key: Key<'o>,
    state: &'o mut KeyState,
    /// No other native about this key follows.
    last: bool,
}

impl KeyState {
    fn found(kind: NativeKind) -> KeyState {
        KeyState { kind, fresh: false, may_be_gone: false, parts: None, integer: None, last: None }
    }
}

impl KeyOverlay<'_> {
    /// `WRONGTYPE` unless the key holds this kind, or nothing.
    pub fn expect(&self, kind: NativeKind) -> Result<()> {
        match self.state.kind {
            found if found == kind || found == NativeKind::Missing => Ok(()),
            found => {
                let message = format!("the key holds {}, not {}", found.name(), kind.name());
                Err(Error::new(ErrorCode::WrongType, message))
            }
        }
    }

    /// As [`KeyOverlay::expect`], for a command that creates what is missing.
    pub fn create(&mut self, kind: NativeKind) -> Result<()> {
        self.expect(kind)?;
        (self.state.kind, self.state.may_be_gone) = (kind, false);
        Ok(())
    }

    /// A member, a field or an element may have been the last.
    pub fn take_out(&mut self) {
        self.state.may_be_gone = true;
    }

    /// Nothing is left at the key.
    pub fn clear(&mut self) {
        let state = &mut *self.state;
        state.parts = None;
        (state.kind, state.fresh) = (NativeKind::Missing, true);
        (state.integer, state.last) = (None, None);
        state.may_be_gone = true;
    }

    /// The key holds this string, whatever it held before.
    pub fn put_text(&mut self, text: &[u8]) {
        self.clear();
        (self.state.kind, self.state.may_be_gone) = (NativeKind::String, false);
        self.state.integer = Some(strict_integer(text));
    }

    fn ask(&self, question: NativeQuestion<'_>) -> Result<NativeAnswer> {
        match self.state.fresh {
            true => Ok(NativeAnswer::Missing),
            false => ask(self.source, self.key, question),
        }
    }

    /// The score of a member, if it has one.
    pub fn score(&self, member: &[u8]) -> Result<Option<f64>> {
        if let Some(parts) = &self.state.parts
            && let Some(known) = parts.scores.get(member)
        {
            return Ok(*known);
        }
        Ok(match self.ask(NativeQuestion::Score(member))? {
            NativeAnswer::Double(score) => Some(score),
            _ => None,
        })
    }

    pub fn set_score(&mut self, member: &[u8], score: Option<f64>) {
        if !self.last {
            self.state.parts.get_or_insert_default().scores.insert(member.into(), score);
        }
    }

    /// The integer of a field, 0 where the field is missing; none where it is another text.
    pub fn field(&self, field: &[u8]) -> Result<Option<i64>> {
        if let Some(parts) = &self.state.parts
            && let Some(known) = parts.fields.get(field)
        {
            return Ok(*known);
        }
        Ok(match self.ask(NativeQuestion::Field(field))? {
            NativeAnswer::Bytes(text) => strict_integer(&text),
            _ => Some(0),
        })
    }

    pub fn set_field(&mut self, field: &[u8], integer: Option<i64>) {
        if !self.last {
            self.state.parts.get_or_insert_default().fields.insert(field.into(), integer);
        }
    }

    /// The integer that the string is, 0 where the key is missing; none where it is another text.
    pub fn integer(&self) -> Result<Option<i64>> {
        if let Some(known) = self.state.integer {
            return Ok(known);
        }
        /// The longest text of an integer.
        const DIGITS: i64 = 20;
        if let NativeAnswer::Int(bytes) = self.ask(NativeQuestion::Size)?
            && bytes > DIGITS
        {
            return Ok(None);
        }
        Ok(match self.ask(NativeQuestion::Text)? {
            NativeAnswer::Bytes(text) => strict_integer(&text),
            _ => Some(0),
        })
    }

    pub fn set_integer(&mut self, integer: i64) {
        self.state.integer = Some(Some(integer));
    }

    /// Takes the next id of the stream; `LIMIT` where there is none.
    pub fn take_id(&mut self) -> Result<()> {
        let known = self.state.fresh || self.state.last.is_some();
        if self.last && !known && self.source.has_next_id(self.key) {
            return Ok(());
        }
        let last = match self.state.last {
            Some(known) => known,
            None => match self.ask(NativeQuestion::Last)? {
                NativeAnswer::Bytes(text) => StreamId::parse(&text).unwrap_or(StreamId::MAX),
                _ => StreamId::default(),
            },
        };
        let next = last.next(self.source.now_ms()).ok_or_else(|| {
            Error::new(ErrorCode::Limit, "the stream has no id left")
                .text("limit", limit::STREAM_ID.name.as_bytes())
                .text("last", last.text().as_bytes())
        })?;
        self.state.last = Some(next);
        Ok(())
    }
}
