//! The operators: one file each, found through the registry.
//!
//! An operator is a static [`OpSpec`] that says everything about it: name, operands, what it does
//! where nothing is, errors, complexity and examples. The statement parser, `COMMAND DOCS`,
//! `commands.md`, `MODEL.HELP` and the tests read nothing else. To add one, copy a file, change it,
//! and name it below.
//!
//! An operator never touches the document itself: it gets a [`Site`] (a place, or the gap where
//! something can be created) or a [`Frame`] (the whole document) and changes values through them,
//! which records the undo. Its arguments were parsed and checked before anything was looked up.
//!
//! Three operators of transactions change a key as a whole ([`Run::Key`]). They are found apart, by
//! [`find_key_operator`], because no other command has them. So is the one on locks ([`Run::Release`]),
//! which changes no value.

mod index;
mod operand;
mod site;

mod adduniq;
mod append;
mod bytesappend;
mod clear;
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

pub use get::read as read_path;
pub use operand::{
    Arg, Operand, OperandKind, Parsing, fence, integer as operand_integer, lock_name,
    parse_operands,
};
pub use patch::Patch;
pub use site::{Around, Clock, Frame, Site};

/// Everything there is to know about an operator.
pub struct OpSpec {
    /// Upper case, at most 16 bytes.
    pub name: &'static str,
    /// The first one is the path for every operator that runs once for each place.
    pub operands: &'static [Operand],
    /// One sentence without a final stop.
    pub summary: &'static str,
    /// What it works on, in words, for the documentation: `number`, `array`, `any`.
    pub accepts: &'static str,
    /// What it does where nothing is at a singular path.
    pub absent: Absent,
    /// What it replies, in words.
    pub reply: &'static str,
    /// The errors its own code gives, in order of precedence. Those of paths and limits come on top.
    pub errors: &'static [ErrorCode],
    pub complexity: &'static str,
    pub repeats: Repeats,
    pub since: &'static str,
    pub examples: &'static [Example],
    pub run: Run,
}

/// What happens where nothing is at a singular path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// It replies null and does nothing.
    Null,
    /// It replies 0 and does nothing.
    Zero,
    /// It is refused with `NOPATH`.
    NoPath,
    /// It may create the last step: the operator runs with a site that holds nothing.
    Create,
    /// It looks for itself: it runs once with the whole document.
    Own,
}

/// What the same statement on the same document gives elsewhere: on a replica, or when an AOF is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeats {
    /// The same: a replica may be sent the statement.
    Exactly,
    /// Perhaps something else (another clock, another mathematical library): a replica is sent the
    /// change alone.
    Differently,
    /// It only reads: there is nothing to repeat.
    Nothing,
}

/// How an operator is run.
#[derive(Clone, Copy)]
pub enum Run {
    /// Once for every place the first operand names; a non-singular path replies an array.
    Each(fn(&mut Site<'_, '_>, &[Arg<'_>]) -> Result<Reply>),
    /// As `Each`, but a non-singular path replies the sum of the integers.
    Total(fn(&mut Site<'_, '_>, &[Arg<'_>]) -> Result<Reply>),
    /// Once.
    Once(fn(&mut Frame<'_, '_>, &[Arg<'_>]) -> Result<Reply>),
    /// On the key, by the transaction that holds it.
    Key(KeyChange),
    /// On a lock of the document, by the block that knows who holds it.
    Release,
}

/// What becomes of a key in a transaction. The first operand is a model, the second a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyChange {
    /// A new document, where none may be.
    Create,
    /// A new document, in the place of one that may be there.
    Put,
    /// The document goes.
    Delete,
}

/// An example that runs as a test and stands in the documentation.
pub struct Example {
    /// The document before, as JSON; empty where there is none.
    pub before: &'static str,
    /// The statement, split as a shell splits it.
    pub statement: &'static [&'static str],
    /// The reply in the notation of [`Reply::notation`], or the error's word.
    pub reply: &'static str,
    /// The document after, as JSON; empty where there is none.
    pub after: &'static str,
}

/// All operators, in the order the linker found them. Use [`all`].
#[distributed_slice]
pub static OPERATORS: [OpSpec];

/// The operators of transactions that change a key as a whole. Use [`key_operators`].
#[distributed_slice]
pub static KEY_OPERATORS: [OpSpec];

/// The operators on locks of a document. Use [`lock_operators`].
#[distributed_slice]
pub static LOCK_OPERATORS: [OpSpec];

/// All operators on places of a document, by name.
pub fn all() -> &'static [&'static OpSpec] {
    static SORTED: OnceLock<Vec<&'static OpSpec>> = OnceLock::new();
    SORTED.get_or_init(|| sorted(&OPERATORS))
}

/// All operators on keys, by name.
pub fn key_operators() -> &'static [&'static OpSpec] {
    static SORTED: OnceLock<Vec<&'static OpSpec>> = OnceLock::new();
    SORTED.get_or_init(|| sorted(&KEY_OPERATORS))
}

/// All operators on locks, by name.
pub fn lock_operators() -> &'static [&'static OpSpec] {
    static SORTED: OnceLock<Vec<&'static OpSpec>> = OnceLock::new();
    SORTED.get_or_init(|| sorted(&LOCK_OPERATORS))
}

fn sorted(specs: &'static [OpSpec]) -> Vec<&'static OpSpec> {
    let mut specs: Vec<_> = specs.iter().collect();
    specs.sort_by_key(|spec| spec.name);
    let unique = specs.windows(2).all(|pair| pair[0].name < pair[1].name);
    assert!(unique, "operator names are unique");
    specs
}

/// The operator on keys of that name, in any case of letters.
pub fn find_key_operator(name: &[u8]) -> Option<&'static OpSpec> {
    key_operators().iter().find(|spec| name.eq_ignore_ascii_case(spec.name.as_bytes())).copied()
}

/// The operator on locks of that name, in any case of letters.
pub fn find_lock_operator(name: &[u8]) -> Option<&'static OpSpec> {
    lock_operators().iter().find(|spec| name.eq_ignore_ascii_case(spec.name.as_bytes())).copied()
}

/// The operator on places of that name, in any case of letters.
#[inline]
pub fn find(name: &[u8]) -> Option<&'static OpSpec> {
    static KEYS: OnceLock<Vec<(u128, &'static OpSpec)>> = OnceLock::new();
    let keys = KEYS.get_or_init(|| {
        let key = |spec: &&'static OpSpec| {
            (name_key(spec.name.as_bytes()).expect("names are short"), *spec)
        };
        let mut keys: Vec<_> = all().iter().map(key).collect();
        keys.sort_by_key(|(key, _)| *key);
        keys
    });
    let key = name_key(name)?;
    keys.binary_search_by_key(&key, |(key, _)| *key).ok().map(|at| keys[at].1)
}

/// A name of at most 16 bytes as one number, in upper case.
fn name_key(name: &[u8]) -> Option<u128> {
    if name.len() > 16 {
        return None;
    }
    Some(name.iter().fold(0, |key, byte| key << 8 | u128::from(byte.to_ascii_uppercase())))
}
