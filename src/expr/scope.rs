//! The values behind the names of an expression: documents that are lent, and the members of an old document
//! that were captured before a change.

use crate::budget::Allowance;
use crate::value::{Value, View};

/// The values of the names of an expression.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// `self`; without one, reading it is an error.
    pub this: Option<View<'a>>,
    pub args: Option<View<'a>>,
    pub docs: Option<&'a dyn Documents>,
    pub old_self: Option<&'a OldSelf>,
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
pub trait Documents {
    /// The document at a key, if there is one.
    fn get<'a>(&'a self, key: &[u8], this: Option<View<'a>>) -> Option<View<'a>>;

    /// The number of those whose key is UTF-8: only they have a name in an expression.
    fn count(&self, this: Option<View<'_>>) -> usize;

    /// One of those, in the order of the keys; each costs the same, however many are missing.
    fn nth<'a>(&'a self, nth: usize, this: Option<View<'a>>) -> Option<(&'a str, View<'a>)>;
}

/// The values that were at some paths of a document before a change.
#[derive(Clone, Debug, Default)]
pub struct OldSelf {
    entries: Vec<(Vec<Box<str>>, Captured)>,
}

/// The value at a path of names of members inside each other.
#[derive(Clone, Debug)]
pub(super) enum Captured {
    Value(Value),
    /// The member of that number on the way was missing.
    Missing(usize),
    /// The value before the member of that number was null.
    Null(usize),
    /// The value before the member of that number was no object.
    NoObject(usize),
}

impl OldSelf {
    /// Copies the value at each of the paths.
    pub fn capture<'p>(root: View<'_>, paths: impl Iterator<Item = &'p [Box<str>]>) -> OldSelf {
        let mut entries: Vec<(Vec<Box<str>>, Captured)> = Vec::new();
        for path in paths {
            if !entries.iter().any(|(known, _)| known == path) {
                entries.push((path.to_vec(), captured(root, path)));
            }
        }
        OldSelf { entries }
    }

    pub(super) fn get(&self, path: &[Box<str>]) -> Option<&Captured> {
        self.entries.iter().find(|(known, _)| known == path).map(|(_, captured)| captured)
    }
}

fn captured(root: View<'_>, path: &[Box<str>]) -> Captured {
    let mut view = root;
    for (at, name) in path.iter().enumerate() {
        let Some(object) = view.as_object() else {
            let null = at > 0 && matches!(view, View::Null);
            return if null { Captured::Null(at) } else { Captured::NoObject(at) };
        };
        let Some(member) = object.get(name) else { return Captured::Missing(at) };
        view = member;
    }
    Captured::Value(view.to_value())
}
