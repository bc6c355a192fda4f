//! Singular paths, of names and indexes only: the place one matches in a document, or the step that is missing.
//!
//! Nearly every path of every command is one of these, so the plain spelling (`$.a.b[0]['x']`) is
//! parsed here, in place and without an allocation; the full grammar has the rest. One that comes again and again is not
//! parsed at all, see [`super::known`].

use std::borrow::Cow;
use std::sync::Arc;

use smallvec::SmallVec;

use super::known::KnownPath;
use super::step::PathStep;
use crate::value::{Kind, PackedWay, Place, View};

/// A path that matches at most one place.
#[derive(Clone, Debug)]
pub struct Singular<'a> {
    steps: StepList<'a>,
}

#[derive(Clone, Debug)]
enum StepList<'a> {
    /// Few in place: a path is moved about more often than it has a third step.
    Parsed(SmallVec<[PathStep<'a>; 2]>),
    Known(Arc<KnownPath>),
}

impl PartialEq for Singular<'_> {
    fn eq(&self, other: &Singular<'_>) -> bool {
        self.steps() == other.steps()
    }
}

impl Eq for Singular<'_> {}

/// The result of looking up a singular path in one document.
pub enum Lookup<'v, 'p> {
    /// A value is at the path.
    Present { place: Place, view: View<'v> },
    /// The last step names a member that the object at `parent` lacks.
    AbsentMember { parent: Place, name: &'p str },
    /// The last step is an index at which the array at `parent` has no item.
    AbsentItem { parent: Place, index: ItemIndex },
    /// The object at `parent` lacks the first of these members, and so all below it. There are at
    /// least two, and each has a [`PathStep::name`].
    AbsentParents { parent: Place, steps: &'p [PathStep<'p>] },
    /// The value at `at` has no child of the kind the next step names, and none can be created. The
    /// step is the one numbered `at.len()`.
    Blocked { at: Place, reason: Blocked },
}

/// An index at which an array has no item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemIndex {
    /// The array's length: an item can be added there.
    End,
    /// Beyond the end, or before the beginning.
    OutOfRange,
}

/// The reason why a path ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// The value is of a kind without such children: a scalar, an array under a name, an object under
    /// an index.
    WrongKind(Kind),
    /// The array has no such item, and the path continues below it.
    MissingItem,
    /// The object lacks the member, and a later step is an array index.
    MissingMember,
}

impl<'a> Singular<'a> {
    /// The path of the whole document.
    pub fn root() -> Singular<'a> {
        Singular { steps: StepList::Parsed(SmallVec::new()) }
    }

    pub(super) fn from_steps(steps: impl IntoIterator<Item = PathStep<'a>>) -> Singular<'a> {
        Singular { steps: StepList::Parsed(steps.into_iter().collect()) }
    }

    /// The path of these steps.
    pub fn of_steps(steps: impl IntoIterator<Item = PathStep<'a>>) -> Singular<'a> {
        Singular::from_steps(steps)
    }

    pub(super) fn push(&mut self, step: PathStep<'a>) {
        match &mut self.steps {
            StepList::Parsed(steps) => steps.push(step),
            StepList::Known(_) => unreachable!("a known path is complete"),
        }
    }

    pub(super) fn into_steps(self) -> Vec<PathStep<'a>> {
        match self.steps {
            StepList::Parsed(steps) => steps.into_vec(),
            StepList::Known(known) => known.steps().to_vec(),
        }
    }

    /// The path with its text borrowed.
    #[inline]
    pub fn lend(&self) -> Singular<'_> {
        match &self.steps {
            StepList::Parsed(steps) => Singular::from_steps(steps.iter().map(PathStep::lend)),
            StepList::Known(known) => Singular::from(Arc::clone(known)),
        }
    }

    /// The path with its text in memory of its own.
    pub fn into_owned(self) -> Singular<'static> {
        match self.steps {
            StepList::Parsed(steps) => {
                Singular::from_steps(steps.into_iter().map(PathStep::into_owned))
            }
            StepList::Known(known) => Singular::from(known),
        }
    }

    /// As [`Singular::into_owned`], for a path that is looked up again and again: it keeps the numbers of its names.
    pub fn into_kept(self) -> Singular<'static> {
        match KnownPath::new(self.steps()) {
            Some(known) => Singular::from(Arc::new(known)),
            None => self.into_owned(),
        }
    }

    #[inline]
    pub fn steps(&self) -> &[PathStep<'a>] {
        match &self.steps {
            StepList::Parsed(steps) => steps,
            StepList::Known(known) => known.steps(),
        }
    }

    /// Returns true for the path of the whole document.
    pub fn is_root(&self) -> bool {
        self.steps().is_empty()
    }

    /// The value the path leads to.
    pub fn find<'v>(&self, root: View<'v>) -> Option<View<'v>> {
        match &self.steps {
            StepList::Parsed(steps) => {
                steps.iter().try_fold(root, |view, step| step.child(view).map(|(_, child)| child))
            }
            StepList::Known(known) => {
                known.names().iter().try_fold(root, |view, name| view.as_object()?.get_kept(name))
            }
        }
    }

    /// Looks the path up: the place it matches, or the step that is missing.
    pub fn resolve<'v>(&self, root: View<'v>) -> Lookup<'v, '_> {
        let (mut view, mut place, mut way) = (root, Place::new(), PackedWay::default());
        match self.go(&mut view, &mut place, &mut way) {
            true => Lookup::Present { place, view },
            false => self.missing(view, place),
        }
    }

    /// Goes from the root, which `view` is, to the value at the path. `place` and `way` are empty, and then those of the
    /// value; the way is known where the root is packed. Returns false where a step does not lead on: all three are those of
    /// the last value reached then, and [`Singular::missing`] tells what that means.
    #[inline(always)]
    pub fn go(&self, view: &mut View<'_>, place: &mut Place, way: &mut PackedWay) -> bool {
        let is_packed = view.is_packed();
        let reached = match &self.steps {
            StepList::Parsed(steps) => walk(steps, view, place, |step, view| step.go(view, way)),
            StepList::Known(known) => {
                walk(known.names(), view, place, |name, view| view.go_to_kept(name, way))
            }
        };
        if !is_packed {
            way.clear();
        }
        reached
    }

    /// The result of a look-up that ended at the value `view` at `parent`.
    pub fn missing<'v>(&self, view: View<'_>, parent: Place) -> Lookup<'v, '_> {
        let steps = &self.steps()[parent.len()..];
        let last = steps.len() == 1;
        match view {
            View::Object(_) => match steps[0].name() {
                None => blocked(parent, Blocked::WrongKind(Kind::Object)),
                Some(name) if last => Lookup::AbsentMember { parent, name },
                Some(_) if steps.iter().all(|step| step.name().is_some()) => {
                    Lookup::AbsentParents { parent, steps }
                }
                Some(_) => blocked(parent, Blocked::MissingMember),
            },
            View::Array(array) => match steps[0].index(array.len()) {
                None => blocked(parent, Blocked::WrongKind(Kind::Array)),
                Some(_) if !last => blocked(parent, Blocked::MissingItem),
                Some(index) if index == array.len() => {
                    Lookup::AbsentItem { parent, index: ItemIndex::End }
                }
                Some(_) => Lookup::AbsentItem { parent, index: ItemIndex::OutOfRange },
            },
            scalar => blocked(parent, Blocked::WrongKind(scalar.kind())),
        }
    }
}

impl From<Arc<KnownPath>> for Singular<'_> {
    fn from(known: Arc<KnownPath>) -> Self {
        Singular { steps: StepList::Known(known) }
    }
}

/// Goes through `steps`: `go` goes on from a value to the child that a step leads to, and gives its position. Returns false
/// where a step does not lead on. The value stays where it is: one that is returned is moved, which takes longer than a step.
#[inline(always)]
fn walk<'v, S>(
    steps: &[S],
    view: &mut View<'v>,
    place: &mut Place,
    mut go: impl FnMut(&S, &mut View<'v>) -> Option<u32>,
) -> bool {
    for step in steps {
        let Some(position) = go(step, view) else { return false };
        place.push(position);
    }
    true
}

fn blocked<'v, 'p>(at: Place, reason: Blocked) -> Lookup<'v, 'p> {
    Lookup::Blocked { at, reason }
}

/// Parses the plain spelling of a singular query: no white space, no escapes. `None` means only that
/// the text is not plain; the full parser decides then. The first byte is `$` or `@`.
pub(super) fn parse_plain(text: &str) -> Option<Singular<'_>> {
    let mut singular = Singular::root();
    let mut rest = &text[1..];
    while !rest.is_empty() {
        let (step, len) = match rest.as_bytes()[0] {
            b'.' => shorthand(&rest[1..]).map(|(step, len)| (step, len + 1))?,
            b'[' => bracketed(rest)?,
            _ => return None,
        };
        singular.push(step);
        rest = &rest[len..];
    }
    Some(singular)
}

/// A name behind a dot, and its length.
fn shorthand(text: &str) -> Option<(PathStep<'_>, usize)> {
    let len = shorthand_len(text.as_bytes());
    (len > 0).then(|| (PathStep::Name(Cow::Borrowed(&text[..len])), len))
}

/// The length of the member name shorthand at the start; 0 when there is none.
#[inline]
pub(super) fn shorthand_len(text: &[u8]) -> usize {
    match text.first() {
        Some(first) if !first.is_ascii_digit() => {
            text.iter().position(|byte| !is_name_byte(*byte)).unwrap_or(text.len())
        }
        _ => 0,
    }
}

/// Every character beyond ASCII may be part of a name, so every byte of one may.
#[inline]
fn is_name_byte(byte: u8) -> bool {
    IS_NAME_BYTE[usize::from(byte)]
}

/// One load for each byte of every path.
static IS_NAME_BYTE: [bool; 256] = {
    let mut all = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let value = byte as u8;
        all[byte] = value.is_ascii_alphanumeric() || value == b'_' || value >= 0x80;
        byte += 1;
    }
    all
};

/// `[0]`, `[-1]`, `['x']`, `["x"]`, and the length with the brackets.
fn bracketed(text: &str) -> Option<(PathStep<'_>, usize)> {
    let bytes = text.as_bytes();
    let (step, len) = match *bytes.get(1)? {
        quote @ (b'\'' | b'"') => {
            let inside = &bytes[2..];
            let len = inside.iter().position(|b| *b == quote || *b == b'\\' || *b < b' ')?;
            if inside[len] != quote {
                return None;
            }
            (PathStep::Name(Cow::Borrowed(&text[2..2 + len])), len + 3)
        }
        _ => {
            let (index, len) = plain_index(&bytes[1..])?;
            (PathStep::Index(index), len + 1)
        }
    };
    (bytes.get(len) == Some(&b']')).then_some((step, len + 1))
}

/// An index of so few digits that it cannot be out of range, and its length.
fn plain_index(text: &[u8]) -> Option<(i64, usize)> {
    const DIGITS_MAX: usize = 15;
    let negative = text.first() == Some(&b'-');
    let digits = &text[usize::from(negative)..];
    let len = digits.iter().position(|b| !b.is_ascii_digit()).unwrap_or(digits.len());
    let canonical = digits.first() != Some(&b'0') || (len == 1 && !negative);
    if len == 0 || len > DIGITS_MAX || !canonical {
        return None;
    }
    let magnitude = digits[..len].iter().fold(0, |sum, b| sum * 10 + i64::from(b - b'0'));
    Some((if negative { -magnitude } else { magnitude }, len + usize::from(negative)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::{Path, PathLimits};
    use crate::value::edit::{Editor, Journal};
    use crate::value::{Limits, Number, Root, Value, parse, print};

    /// A one-line description of the lookup's result.
    fn lead(json: &str, path: &str) -> String {
        let document = parse::json(json.as_bytes(), &Limits::DEFAULT).unwrap().value;
        let parse = || Path::parse(path.as_bytes(), &PathLimits::DEFAULT).unwrap();
        // A path of names is known in the end, and leads to the same.
        let parsed = outcome(&document, &parse());
        assert_eq!(outcome(&document, &parse().into_owned()), parsed, "{path}");
        assert_eq!(outcome(&document, &parse().into_kept()), parsed, "{path}");
        for _ in 0..20 {
            assert_eq!(outcome(&document, &parse()), parsed, "{path}");
        }
        parsed
    }

    fn outcome(document: &Value, path: &Path<'_>) -> String {
        match path.singular().unwrap().resolve(document.view()) {
            Lookup::Present { place, view, .. } => {
                let there = document.view().at(&place).unwrap();
                assert!(there.identical(view));
                format!("present {}", crate::value::print::to_string(view))
            }
            Lookup::AbsentMember { parent, name } => format!("member {parent:?} {name}"),
            Lookup::AbsentItem { parent, index } => format!("item {parent:?} {index:?}"),
            Lookup::AbsentParents { parent, steps } => {
                let names: Vec<_> = steps.iter().map(|step| step.name().unwrap()).collect();
                format!("parents {parent:?} {}", names.join(" "))
            }
            Lookup::Blocked { at, reason } => format!("blocked {at:?} {reason:?}"),
        }
    }

    /// The way is kept in a few words, so that a long one is not known: the value is found by its place then.
    #[test]
    fn a_value_is_replaced_at_the_end_of_a_way_of_any_length() {
        for (step, open, close) in [("[0]", "[", ",8]"), (".a", "{\"a\":", ",\"b\":8}")] {
            for depth in 0..12 {
                let json =
                    |inside: &str| format!("{}{inside}{}", open.repeat(depth), close.repeat(depth));
                let document = parse::json(json("1").as_bytes(), &Limits::DEFAULT).unwrap();
                let (mut root, size) = (Root::bare(document.value), document.size);
                let path = format!("${}", step.repeat(depth));
                let path = Path::parse(path.as_bytes(), &PathLimits::DEFAULT).unwrap();
                let (mut place, mut way) = (Place::new(), PackedWay::default());
                let mut view = root.view();
                assert!(path.singular().unwrap().go(&mut view, &mut place, &mut way));
                assert!(view.identical(View::Int(1)));
                assert_eq!(way.is_known(), (1..=8).contains(&depth), "{depth}");
                let mut journal = Journal::default();
                let mut editor = Editor::new(&mut root, size, Limits::DEFAULT, &mut journal);
                let known = (depth % 2 == 0).then_some(Number::Int(1));
                editor.replace_on_way(&place, &way, known, Number::Int(-300).into()).unwrap();
                assert_eq!(print::to_string(editor.view()), json("-300"));
                editor.rollback();
                drop(editor);
                assert_eq!(print::to_string(root.view()), json("1"));
            }
        }
    }

    #[test]
    fn a_path_leads_somewhere_or_says_what_is_missing() {
        let json = r#"{"a":{"b":[10,20]},"n":null,"s":"x"}"#;
        for (path, expected) in [
            ("$.a.b[1]", "present 20"),
            ("$.a.b[-2]", "present 10"),
            ("/a/b/1", "present 20"),
            ("$.n", "present null"),
            ("$.a.c", "member [0] c"),
            ("/a/c", "member [0] c"),
            ("/-", "member [] -"),
            ("$.a.b[2]", "item [0, 0] End"),
            ("/a/b/2", "item [0, 0] End"),
            ("/a/b/-", "item [0, 0] End"),
            ("$.a.b[3]", "item [0, 0] OutOfRange"),
            ("$.a.b[-3]", "item [0, 0] OutOfRange"),
            ("$.a.b[9007199254740991]", "item [0, 0] OutOfRange"),
            ("$.a.b[-9007199254740991]", "item [0, 0] OutOfRange"),
            ("/a/b/18446744073709551616", "item [0, 0] OutOfRange"),
            ("$.x.y.z", "parents [] x y z"),
            ("/x/0/-", "parents [] x 0 -"),
            ("$.a.x.y", "parents [0] x y"),
            ("$.x[0]", "blocked [] MissingMember"),
            ("$.x.y[0].z", "blocked [] MissingMember"),
            ("$[0]", "blocked [] WrongKind(Object)"),
            ("$.a.b.c", "blocked [0, 0] WrongKind(Array)"),
            ("/a/b/c", "blocked [0, 0] WrongKind(Array)"),
            ("/a/b/01", "blocked [0, 0] WrongKind(Array)"),
            ("$.a.b[2].c", "blocked [0, 0] MissingItem"),
            ("/a/b/-/c", "blocked [0, 0] MissingItem"),
            ("$.s.x", "blocked [2] WrongKind(String)"),
            ("$.n.x.y", "blocked [1] WrongKind(Null)"),
        ] {
            assert_eq!(lead(json, path), expected, "{path}");
        }
        assert_eq!(lead("[]", "$[0]"), "item [] End");
        assert_eq!(lead("[]", "$[-1]"), "item [] OutOfRange");
        assert_eq!(lead("[]", "/-"), "item [] End");
        assert_eq!(lead("5", "$"), "present 5");
        assert_eq!(lead("5", "$.a"), "blocked [] WrongKind(Number)");
    }

    #[test]
    fn the_plain_spelling_is_parsed_in_place() {
        for text in ["$", "$.a", "$.a.b_1[0]", "$['x.y'][-1]", "$[\"it's\"]", "$.☺", "$['']"] {
            let plain = parse_plain(text).expect(text);
            for step in plain.steps() {
                assert!(!matches!(step, PathStep::Name(Cow::Owned(_))), "{text}");
            }
        }
        for text in ["$.1", "$.", "$..a", "$[ 0]", "$['\\'']", "$[01]", "$[-0]", "$[0,1]", "$[:]"] {
            assert_eq!(parse_plain(text), None, "{text}");
        }
    }
}
