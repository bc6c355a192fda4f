//! The server's own structures as a command finds them, read through whoever holds them.

use crate::error::{Error, ErrorCode, Result};
use crate::expr::{NativeAnswer, NativeQuestion};
use crate::keys::Key;

use super::call::NativeCall;

/// The kind of value at a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NativeKind {
    Missing,
    String,
    List,
    Set,
    SortedSet,
    Hash,
    Stream,
    /// A value of a module, ours included.
    Other,
}

impl NativeKind {
    pub fn name(self) -> &'static str {
        match self {
            NativeKind::Missing => "nothing",
            NativeKind::String => "a string",
            NativeKind::List => "a list",
            NativeKind::Set => "a set",
            NativeKind::SortedSet => "a sorted set",
            NativeKind::Hash => "a hash",
            NativeKind::Stream => "a stream",
            NativeKind::Other => "a value of a module",
        }
    }
}

/// The id of an entry of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId {
    pub ms: u64,
    pub seq: u64,
}

impl StreamId {
    pub const MAX: StreamId = StreamId { ms: u64::MAX, seq: u64::MAX };

    /// The next id that the server makes, if there is one.
    pub fn next(self, now_ms: u64) -> Option<StreamId> {
        match self {
            _ if now_ms > self.ms => Some(StreamId { ms: now_ms, seq: 0 }),
            StreamId { ms, seq } if seq < u64::MAX => Some(StreamId { ms, seq: seq + 1 }),
            StreamId { ms, .. } => Some(StreamId { ms: ms.checked_add(1)?, seq: 0 }),
        }
    }

    /// Reads `ms-seq`.
    pub fn parse(text: &[u8]) -> Option<StreamId> {
        let (ms, seq) = std::str::from_utf8(text).ok()?.split_once('-')?;
        Some(StreamId { ms: ms.parse().ok()?, seq: seq.parse().ok()? })
    }

    pub fn text(self) -> String {
        format!("{}-{}", self.ms, self.seq)
    }
}

/// The structures at the keys of a command, as they were before it. Reading changes nothing.
pub trait NativeSource {
    fn kind(&self, key: Key<'_>) -> NativeKind;

    /// The answer about a key that holds a structure of the right kind, see [`ask`].
    fn read(&self, key: Key<'_>, question: NativeQuestion<'_>) -> Result<NativeAnswer>;

    /// Refuses a command that the server would not run for this caller: `NOPERM`, or `ERR` where the server does
    /// not have it.
    fn check_call(&self, key: Key<'_>, call: &NativeCall) -> Result<()>;

    /// Flag: the stream at the key, or a missing one, is known to have an id left. Where it is not, the last id tells.
    fn has_next_id(&self, key: Key<'_>) -> bool;

    /// Flag: a command about this key would be accepted if the key were missing. Not while the hash slot is
    /// being moved to another server.
    fn may_be_missing(&self, key: Key<'_>) -> bool;

    /// The server's clock.
    fn now_ms(&self) -> u64;
}

/// Answers a question; `WRONGTYPE` where the key holds something of which it cannot be asked.
pub fn ask(
    source: &dyn NativeSource,
    key: Key<'_>,
    question: NativeQuestion<'_>,
) -> Result<NativeAnswer> {
    use NativeKind::{Hash, List, Set, SortedSet, Stream, String};
    let kind = source.kind(key);
    let fits = match question {
        NativeQuestion::Has(_) => matches!(kind, Set | SortedSet | Hash),
        NativeQuestion::Score(_) | NativeQuestion::Rank(_) => kind == SortedSet,
        NativeQuestion::Field(_) => kind == Hash,
        NativeQuestion::Size => matches!(kind, String | List | Set | SortedSet | Hash | Stream),
        NativeQuestion::Text => kind == String,
        NativeQuestion::Last => kind == Stream,
    };
    match (kind, question) {
        (NativeKind::Missing, NativeQuestion::Has(_)) => Ok(NativeAnswer::Bool(false)),
        (NativeKind::Missing, NativeQuestion::Size) => Ok(NativeAnswer::Int(0)),
        (NativeKind::Missing, _) => Ok(NativeAnswer::Missing),
        _ if fits => source.read(key, question),
        _ => {
            let (kind, method) = (kind.name(), question.method());
            let message = format!("the key holds {kind}, which has no {method}()");
            Err(Error::new(ErrorCode::WrongType, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::StreamId;

    #[test]
    fn ids_of_a_stream_grow_until_there_is_none_left() {
        let id = |ms, seq| StreamId { ms, seq };
        assert_eq!(id(5, 9).next(6), Some(id(6, 0)));
        assert_eq!(id(5, 9).next(5), Some(id(5, 10)));
        assert_eq!(id(5, u64::MAX).next(4), Some(id(6, 0)));
        assert_eq!(id(u64::MAX, u64::MAX - 1).next(4), Some(StreamId::MAX));
        assert_eq!(StreamId::MAX.next(4), None);
        assert_eq!(StreamId::parse(b"7-8"), Some(id(7, 8)));
        assert_eq!(StreamId::parse(id(7, 8).text().as_bytes()), Some(id(7, 8)));
        assert_eq!(StreamId::parse(b"7"), None);
    }
}
