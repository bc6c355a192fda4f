//! The operators: one file each, found through the registry.
//!
//! An operator is a static [`OpSpec`] that declares all of it: name, operands, behaviour at a missing
//! path, errors, complexity and examples. The statement parser, `COMMAND DOCS`,
//! `commands.md`, `MODEL.HELP` and the tests read nothing else. To add one, copy a file, change it,
//! and name it below.
//!
//! An operator never touches the document itself: it gets a [`Site`] (a place, or the gap where
//! something can be created) or a [`Frame`] (the whole document) and changes values through them,
//! which records the undo. Its arguments were parsed and checked before anything was looked up.
//!
//! Three operators change a key as a whole ([`Action::Key`]), two of which stand in transactions alone; one releases a
//! lock ([`Action::Release`]) and changes no value. [`OpSpec::target`] tells them apart.

mod base64;
mod example;
mod index;
mod json_patch;
mod operand;
mod site;

mod adduniq;
mod append;
mod bytesappend;
mod clear;
mod computed;
mod copy;
mod create;
mod del;
mod delete;
mod delrange;
mod div;
mod eval;
mod floordiv;
mod get;
mod incr;
mod insert;
mod len;
mod max;
mod merge;
mod min;
mod modulo;
mod move_value;
mod mul;
mod now;
mod patch;
mod pop;
mod popitem;
mod popkey;
mod pow;
mod prepend;
mod pull;
mod pullall;
mod put;
mod release;
mod revision;
mod set;
mod setnx;
mod setxx;
mod sort;
mod strappend;
mod strrepeat;
mod swap;
mod timeadd;
mod toggle;
mod trim;
mod update;

use std::sync::OnceLock;

use linkme::distributed_slice;

use crate::error::{ErrorCode, Result};
use crate::reply::Reply;

pub use computed::computed;
pub use example::{Example, words};
pub use get::read as read_path;
pub use json_patch::Patch;
pub use operand::{Arg, Operand, OperandKind, Parsing, parse_operands};
pub use site::{Around, Clock, Frame, Site};

/// The complete declaration of an operator.
pub struct OpSpec {
    /// Upper case, at most 16 bytes.
    pub name: &'static str,
    /// The first one is the path for every operator that runs once for each place.
    pub operands: &'static [Operand],
    /// One sentence without a final stop.
    pub summary: &'static str,
    /// The kinds of values it accepts, in words, for the documentation: `number`, `array`, `any`.
    pub accepts: &'static str,
    /// The behaviour where a singular path matches no value.
    pub absent: Absent,
    /// The reply, in words.
    pub reply: &'static str,
    /// The errors its own code gives, in order of precedence. Those of paths and limits come on top.
    pub errors: &'static [ErrorCode],
    pub complexity: &'static str,
    pub repeats: Repeats,
    pub since: &'static str,
    pub examples: &'static [Example],
    pub run: Action,
}

impl OpSpec {
    /// Flag: the first operand is a path.
    pub fn takes_path(&self) -> bool {
        use OperandKind::{Path, PathBelowRoot, Singular, SingularBelowRoot};
        let first = self.operands.first().map(|operand| operand.kind);
        matches!(first, Some(Path | PathBelowRoot | Singular | SingularBelowRoot))
    }

    /// The syntax, `INCR path n`.
    pub fn usage(&self) -> String {
        let operands = self.operands.iter().map(|operand| match operand.kind {
            OperandKind::Choice(words) => words.join("|"),
            _ => operand.name.to_owned(),
        });
        std::iter::once(self.name.to_owned()).chain(operands).collect::<Vec<_>>().join(" ")
    }

    /// The part of a request the operator works on.
    pub const fn target(&self) -> Target {
        match self.run {
            Action::Each(_) | Action::Total(_) | Action::Once(_) => Target::Value,
            Action::Release => Target::Lock,
            Action::Key(KeyChange::Delete) => Target::Document,
            Action::Key(KeyChange::Create | KeyChange::Put) => Target::Key,
        }
    }
}

/// The part of a request an operator works on. It decides where the operator may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// Values of the document: in `MODEL.FIELDOP` and in every block of `MODEL.TXN`.
    Value,
    /// Locks of the document: likewise.
    Lock,
    /// The document as a whole: likewise.
    Document,
    /// The key, whether or not it holds a document: in `MODEL.TXN` alone.
    Key,
}

/// The behaviour of an operator where a singular path matches no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// It replies null and does nothing.
    Null,
    /// It replies 0 and does nothing.
    Zero,
    /// It is refused with `NOPATH`.
    NoPath,
    /// It may create the last step: the operator runs with a site that holds no value.
    Create,
    /// It resolves its paths itself: it runs once with the whole document.
    Own,
}

/// The result of repeating a statement on the same document: on a replica, or when an AOF is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeats {
    /// The same: a replica may be sent the statement.
    Exactly,
    /// Possibly another one (another clock, another mathematical library): a replica is sent the
    /// resulting change.
    Differently,
    /// It only reads: there is nothing to repeat.
    Nothing,
}

/// How an operator is run.
#[derive(Clone, Copy)]
pub enum Action {
    /// Once for every place the first operand names; a non-singular path replies an array.
    Each(fn(&mut Site<'_, '_>, &[Arg<'_>]) -> Result<Reply>),
    /// As `Each`, but a non-singular path replies the sum of the integers.
    Total(fn(&mut Site<'_, '_>, &[Arg<'_>]) -> Result<Reply>),
    /// Once.
    Once(fn(&mut Frame<'_, '_>, &[Arg<'_>]) -> Result<Reply>),
    /// On the key, by the transaction that holds it.
    Key(KeyChange),
    /// On a lock of the document, by the block that knows its holders.
    Release,
}

/// A change of a key as a whole. The first operand is a model, the second a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyChange {
    /// Creates a document at a key that must be missing.
    Create,
    /// Stores a new document, and replaces one that exists.
    Put,
    /// Deletes the document.
    Delete,
}

/// All operators, in the order the linker found them. Use [`all`], [`of`] or [`find`].
#[distributed_slice]
pub static OPERATORS: [OpSpec];

/// All operators: those on values, on locks, on the document and on keys, each group by name.
pub fn all() -> &'static [&'static OpSpec] {
    static SORTED: OnceLock<Vec<&'static OpSpec>> = OnceLock::new();
    SORTED.get_or_init(|| {
        let mut specs: Vec<_> = OPERATORS.iter().collect();
        specs.sort_by_key(|spec| (spec.target(), spec.name));
        specs
    })
}

/// The operators that work on this, by name.
pub fn of(target: Target) -> &'static [&'static OpSpec] {
    let all = all();
    let first = all.partition_point(|spec| spec.target() < target);
    let end = all.partition_point(|spec| spec.target() <= target);
    &all[first..end]
}

/// The operator of that name, in any case of letters.
#[inline]
pub fn find(name: &[u8]) -> Option<&'static OpSpec> {
    static TABLE: OnceLock<NameTable> = OnceLock::new();
    TABLE.get_or_init(NameTable::of_all).find(name)
}

/// The most bytes of an operator's name.
const NAME_BYTES_MAX: usize = 16;
/// Several times as many slots as there are operators, so that a look-up ends at the first one or two.
const NAME_SLOTS: usize = 256;

/// All operators by their names, hashed: each command looks up one or two.
struct NameTable {
    slots: [Option<(NameKey, &'static OpSpec)>; NAME_SLOTS],
}

impl NameTable {
    fn of_all() -> NameTable {
        let mut table = NameTable { slots: [None; NAME_SLOTS] };
        assert!(all().len() < NAME_SLOTS / 2, "the table has room");
        for spec in all().iter().copied() {
            let key = NameKey::new(spec.name.as_bytes()).expect("names are short");
            let mut slot = key.slot();
            while let Some((known, _)) = table.slots[slot] {
                assert!(known != key, "operator names are unique");
                slot = (slot + 1) % NAME_SLOTS;
            }
            table.slots[slot] = Some((key, spec));
        }
        table
    }

    #[inline]
    fn find(&self, name: &[u8]) -> Option<&'static OpSpec> {
        let key = NameKey::new(name)?;
        let mut slot = key.slot();
        loop {
            let (known, spec) = self.slots[slot]?;
            if known == key {
                return Some(spec);
            }
            slot = (slot + 1) % NAME_SLOTS;
        }
    }
}

/// A name in upper case as two numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
struct NameKey([u64; 2]);

impl NameKey {
    /// None of a name that is too long or has a NUL, as no operator has.
    #[inline]
    fn new(name: &[u8]) -> Option<NameKey> {
        if name.len() > NAME_BYTES_MAX || name.last() == Some(&0) {
            return None;
        }
        let (low, high) = name.split_at(name.len().min(8));
        Some(NameKey([low, high].map(|part| upper_case(word_of(part)))))
    }

    #[inline]
    fn slot(self) -> usize {
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        let [low, high] = self.0;
        ((low ^ high.rotate_left(23)).wrapping_mul(SPREAD) >> 56) as usize % NAME_SLOTS
    }
}

/// Up to eight bytes as a number, the first one lowest. Four at a time, which may overlap.
#[inline]
fn word_of(bytes: &[u8]) -> u64 {
    match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => {
            let last = u64::from(u32::from_le_bytes(*last)) << ((bytes.len() - 4) * 8);
            u64::from(u32::from_le_bytes(*first)) | last
        }
        _ => bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

/// Eight ASCII bytes in upper case, all at once; other bytes stay as they are.
#[inline]
fn upper_case(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    let low_bits = word & (ONES * 0x7f);
    let from_a = low_bits + ONES * (0x80 - b'a' as u64);
    let behind_z = low_bits + ONES * (0x7f - b'z' as u64);
    let lower = from_a & !behind_z & !word & (ONES * 0x80);
    word & !(lower >> 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_found_in_any_case_and_under_no_other_name() {
        for spec in all() {
            let lower = spec.name.to_ascii_lowercase();
            for name in [spec.name, &lower] {
                assert!(std::ptr::eq(find(name.as_bytes()).expect(name), *spec));
            }
            for other in
                [format!("{}\0", spec.name), format!("\0{}", spec.name), format!("{}X", spec.name)]
            {
                assert!(find(other.as_bytes()).is_none_or(|found| found.name == other), "{other}");
            }
        }
        for name in ["", "\0", "incr\u{80}", "INCRINCRINCRINCRINCR", "`NCR", "{NCR", "@NCR", "[NCR"]
        {
            assert!(find(name.as_bytes()).is_none(), "{name}");
        }
    }

    #[test]
    fn a_word_has_its_bytes_in_order() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 255];
        for len in 0..=bytes.len() {
            let mut padded = [0; 8];
            padded[..len].copy_from_slice(&bytes[..len]);
            assert_eq!(word_of(&bytes[..len]), u64::from_le_bytes(padded), "{len}");
        }
    }

    #[test]
    fn letters_alone_become_upper_case() {
        for byte in 0..=255u8 {
            let word = u64::from_le_bytes([byte, b'a', byte, 0xff, byte, 0, b'z', byte]);
            let expected = word.to_le_bytes().map(|byte| byte.to_ascii_uppercase());
            assert_eq!(upper_case(word).to_le_bytes(), expected, "{byte}");
        }
    }
}
