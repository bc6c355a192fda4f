//! The position of a query between two calls: all of its state, in text that the client keeps.
//!
//! ```text
//! cursor := 1 8:fingerprint 1:index (1 + number, 0 for names) 1:direction entry
//!         | 2 8:scan (varint:bytes name)*
//! ```
//!
//! `entry` is the last one looked at; the next call goes on behind it, whatever has changed. The other kind is a position
//! of the server's own `SCAN`, with the names that it gave and that were not looked at. The text is URL-safe base64.
//! Nothing in a cursor is trusted: it only says where to look, and every document is asked the whole condition.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::planner::IndexPlan;
use super::tree::Direction;
use crate::error::{Error, Result};
use crate::value::wire::{Reader, put_text};

const ENTRY: u8 = 1;
const KEYS: u8 = 2;
const HEAD: usize = 11;

/// A position of either kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryCursor {
    Entry(Cursor),
    Keys(KeysCursor),
}

/// The position of a walk over the keys of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeysCursor {
    /// The cursor of `SCAN`; 0 at its end.
    pub scan: u64,
    /// The names it gave that were not looked at.
    pub left: Vec<Vec<u8>>,
}

/// The position behind an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// That of the declared indexes, see [`super::IndexSet::fingerprint`].
    pub fingerprint: u64,
    /// None for the names of all documents.
    pub index: Option<u8>,
    pub direction: Direction,
    pub entry: Vec<u8>,
}

impl QueryCursor {
    pub fn encode(&self) -> String {
        let mut bytes = Vec::new();
        match self {
            QueryCursor::Entry(cursor) => cursor.put(&mut bytes),
            QueryCursor::Keys(cursor) => cursor.put(&mut bytes),
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Decodes what a client gives: `ERR` if it is no cursor.
    pub fn decode(text: &[u8]) -> Result<QueryCursor> {
        let parsed = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| match *bytes.first()? {
            ENTRY => Cursor::read(&bytes).map(QueryCursor::Entry),
            KEYS => KeysCursor::read(&bytes[1..]).map(QueryCursor::Keys),
            _ => None,
        });
        parsed.ok_or_else(|| {
            Error::syntax("a cursor is what an earlier call replied").text("argument", text)
        })
    }
}

impl KeysCursor {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(KEYS);
        out.extend_from_slice(&self.scan.to_be_bytes());
        self.left.iter().for_each(|name| put_text(name, out));
    }

    fn read(bytes: &[u8]) -> Option<KeysCursor> {
        let (scan, names) = bytes.split_first_chunk()?;
        let (mut reader, mut left) = (Reader::new(names), Vec::new());
        while !reader.is_empty() {
            let len = usize::try_from(reader.varint().ok()?).ok()?;
            left.push(reader.bytes(len).ok()?.to_vec());
        }
        Some(KeysCursor { scan: u64::from_be_bytes(*scan), left })
    }
}

impl Cursor {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(ENTRY);
        out.extend_from_slice(&self.fingerprint.to_be_bytes());
        out.push(self.index.map_or(0, |index| index + 1));
        out.push(u8::from(self.direction == Direction::Descending));
        out.extend_from_slice(&self.entry);
    }

    fn read(bytes: &[u8]) -> Option<Cursor> {
        let (head, entry) = bytes.split_first_chunk::<HEAD>()?;
        let fingerprint = head[1..9].try_into().expect("eight bytes");
        let direction = match head[10] {
            0 => Direction::Ascending,
            1 => Direction::Descending,
            _ => return None,
        };
        Some(Cursor {
            fingerprint: u64::from_be_bytes(fingerprint),
            index: head[9].checked_sub(1),
            direction,
            entry: entry.to_vec(),
        })
    }

    /// Cuts from a plan what is before the position.
    pub fn cut(&self, plan: &mut IndexPlan) {
        match self.direction {
            Direction::Ascending => {
                // The smallest string above the entry.
                let next = [&self.entry[..], &[0]].concat();
                for range in &mut plan.ranges {
                    if range.low < next {
                        range.low.clone_from(&next);
                    }
                }
            }
            Direction::Descending => {
                for range in &mut plan.ranges {
                    if range.high > self.entry {
                        range.high.clone_from(&self.entry);
                    }
                }
            }
        }
        plan.ranges.retain(|range| range.low < range.high);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::key::Range;

    fn survives(cursor: &QueryCursor) {
        assert_eq!(QueryCursor::decode(cursor.encode().as_bytes()).unwrap(), *cursor);
    }

    #[test]
    fn cursors_survive_and_other_text_is_refused() {
        for (index, direction) in [(None, Direction::Ascending), (Some(15), Direction::Descending)]
        {
            let cursor =
                Cursor { fingerprint: u64::MAX - 1, index, direction, entry: vec![0, 255] };
            survives(&QueryCursor::Entry(cursor));
        }
        for left in [vec![], vec![vec![]], vec![b"a".to_vec(), vec![0; 300]]] {
            survives(&QueryCursor::Keys(KeysCursor { scan: u64::MAX - 1, left }));
        }
        for text in
            ["", "0", "AQ", "!!!!", "AQAAAAAAAAAAAAI", "AwAAAAAAAAAAAAA", "AgAA", "AgAAAAAAAAAABQ"]
        {
            assert!(QueryCursor::decode(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_cursor_cuts_the_ranges_before_it() {
        let range = |low: u8, high: u8| Range { low: vec![low], high: vec![high] };
        let plan = |direction, ranges| IndexPlan { index: Some(0), direction, ranges, bound: 1 };
        let cursor =
            |direction| Cursor { fingerprint: 0, index: Some(0), direction, entry: vec![5] };
        let mut up = plan(Direction::Ascending, vec![range(1, 3), range(4, 7), range(8, 9)]);
        cursor(Direction::Ascending).cut(&mut up);
        assert_eq!(up.ranges, [Range { low: vec![5, 0], high: vec![7] }, range(8, 9)]);
        let mut down = plan(Direction::Descending, vec![range(8, 9), range(4, 7), range(1, 3)]);
        cursor(Direction::Descending).cut(&mut down);
        assert_eq!(down.ranges, [range(4, 5), range(1, 3)]);
    }
}
