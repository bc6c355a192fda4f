//! The values behind the names of an expression: documents that are lent, and the values that were in one before
//! a change.

use super::native::{NativeAnswer, NativeQuestion};
use crate::budget::Allowance;
use crate::error::Result;
use crate::value::View;
use crate::value::edit::{Seen, Watch};

/// The values of the names of an expression.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// `self`; without one, reading it is an error.
    pub this: Option<View<'a>>,
    pub args: Option<View<'a>>,
    pub docs: Option<&'a dyn DocumentSource>,
    pub old_self: Option<OldSelf<'a>>,
    /// The value at the path now; a missing one is null.
    pub value: Option<View<'a>>,
    /// Microseconds since 1970.
    pub now_us: Option<u64>,
    /// Reading a key that is not UTF-8 is an error.
    pub key: &'a [u8],
    pub revision: Option<u64>,
    /// The budget of the command that asks, which pays for the evaluation; none where no command does.
    pub allowance: Option<&'a Allowance<'a>>,
}

impl Scope<'_> {
    /// Every name is an error, but `value`, which is null, and `key`, which is empty.
    pub const EMPTY: Scope<'static> = Scope {
        this: None,
        args: None,
        docs: None,
        old_self: None,
        value: None,
        now_us: None,
        key: b"",
        revision: None,
        allowance: None,
    };
}

/// `docs`: the documents an expression may read, by their keys. `this` is the one the expression is
/// about, which is being edited: whoever lends the others cannot lend it as well.
pub trait DocumentSource {
    /// The document at a key, if there is one.
    fn get<'a>(&'a self, key: &[u8], this: Option<View<'a>>) -> Option<View<'a>>;

    /// The answer to a question about a structure of the server at a key, as it was before the transaction. Refused
    /// where the key is not one of the transaction's, or holds something else.
    fn native(&self, key: &[u8], question: NativeQuestion<'_>) -> Result<NativeAnswer>;

    /// The number of those whose key is UTF-8: only they have a name in an expression.
    fn count(&self, this: Option<View<'_>>) -> usize;

    /// One of those, in the order of the keys; each costs the same, however many are missing.
    fn nth<'a>(&'a self, nth: usize, this: Option<View<'a>>) -> Option<(&'a str, View<'a>)>;
}

/// The document before a change, as far as paths of it are watched.
#[derive(Clone, Copy)]
pub struct OldSelf<'a> {
    watch: &'a Watch,
    /// The document that is watched, as it is now.
    document: View<'a>,
}

impl<'a> OldSelf<'a> {
    pub fn new(watch: &'a Watch, document: View<'a>) -> OldSelf<'a> {
        OldSelf { watch, document }
    }

    pub(super) fn get(&self, path: &[Box<str>]) -> Option<Seen<View<'a>>> {
        self.watch.before(self.document, path)
    }
}
