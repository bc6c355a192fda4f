//! `PATCH`: JSON Patch (RFC 6902).
//!
//! The document of the standard is the value at the operator's path: every pointer is relative to
//! it. A patch is checked whole before anything is looked up. A failure that depends on
//! the document fails the statement, and so the command: a patch is applied completely or not at all.

use super::json_patch::{Operation, Patch};
use super::site::allow_shift;
use super::{Absent, Action, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Site};
use crate::budget::{Allowance, weight};
use crate::error::{Error, ErrorCode, Result};
use crate::path::{Blocked, ItemIndex, Lookup, Singular};
use crate::reply::Reply;
use crate::value::edit::Editor;
use crate::value::work::comparison;
use crate::value::{Measured, Place};

#[linkme::distributed_slice(OPERATORS)]
static PATCH: OpSpec = OpSpec {
    name: "PATCH",
    operands: &[
        Operand { name: "path", kind: OperandKind::Path },
        Operand { name: "json", kind: OperandKind::Patch },
    ],
    summary: "Applies a JSON Patch (RFC 6902), its pointers relative to the path; the value at the path itself can be replaced, not removed or moved",
    accepts: "any",
    absent: Absent::NoPath,
    reply: "the new value as JSON text",
    errors: &[ErrorCode::NoPath, ErrorCode::Type, ErrorCode::Range, ErrorCode::Condition],
    complexity: "O(M + N) with M the size of what is put in, taken out, copied and compared, and N that of the new value, which is replied",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example::new(
            r#"{"a":{"b":[1,3]},"c":0}"#,
            r#"PATCH $.a '[{"op":"test","path":"/b/0","value":1.0},{"op":"add","path":"/b/1","value":2},{"op":"add","path":"/b/-","value":4},{"op":"add","path":"/d","value":{}}]'"#,
            r#"{"b":[1,2,3,4],"d":{}}"#,
            r#"{"a":{"b":[1,2,3,4],"d":{}},"c":0}"#,
        ),
        Example::new(
            r#"{"a":1,"b":2,"c":[3]}"#,
            r#"PATCH '' '[{"op":"remove","path":"/a"},{"op":"replace","path":"/b","value":5},{"op":"move","from":"/c/0","path":"/d"},{"op":"copy","from":"/d","path":"/c/0"}]'"#,
            r#"{"b":5,"c":[3],"d":3}"#,
            r#"{"b":5,"c":[3],"d":3}"#,
        ),
        Example::new("[1]", r#"PATCH $ '[{"op":"replace","path":"","value":{}}]'"#, "{}", "{}"),
        Example::new("[1]", "PATCH $ []", "[1]", "[1]"),
        Example::new(
            r#"[{"a":1},{}]"#,
            r#"PATCH $[*] '[{"op":"add","path":"/a","value":2}]'"#,
            r#"[{"a":2} {"a":2}]"#,
            r#"[{"a":2},{"a":2}]"#,
        ),
        Example::new(
            r#"{"a":1}"#,
            r#"PATCH $ '[{"op":"remove","path":"/a"},{"op":"test","path":"","value":{"a":1}}]'"#,
            "CONDITION",
            r#"{"a":1}"#,
        ),
        Example::new("{}", r#"PATCH $ '[{"op":"remove","path":"/a"}]'"#, "NOPATH", "{}"),
        Example::new("{}", r#"PATCH $ '[{"op":"add","path":"/a/b","value":1}]'"#, "NOPATH", "{}"),
        Example::new("{}", "PATCH $.a []", "NOPATH", "{}"),
        Example::new("[1]", r#"PATCH $ '[{"op":"add","path":"/2","value":3}]'"#, "RANGE", "[1]"),
        Example::new("[1]", r#"PATCH $ '[{"op":"add","path":"/a","value":3}]'"#, "TYPE", "[1]"),
        Example::new("[1]", r#"PATCH $ '[{"op":"add","path":"/0"}]'"#, "ERR", "[1]"),
        Example::new("[1]", r#"PATCH $ '[{"op":"remove","path":""}]'"#, "ERR", "[1]"),
        Example::new(
            "[[]]",
            r#"PATCH $ '[{"op":"move","from":"/0","path":"/0/0"}]'"#,
            "ERR",
            "[[]]",
        ),
    ],
    run: Action::Each(patch),
};

fn patch(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    let allowance = site.allowance();
    let (editor, target) = site.parts();
    apply(editor, target, args[1].patch(), allowance)?;
    site.new_value()
}

fn apply(
    editor: &mut Editor<'_>,
    target: &Place,
    patch: &Patch,
    allowance: &Allowance<'_>,
) -> Result<()> {
    let mut patched = Patched { editor, target, allowance, carried: 0 };
    for (number, operation) in patch.operations().enumerate() {
        patched
            .apply(operation.expect("the patch was checked"))
            .map_err(|error| error.integer("operation", number as i64))?;
    }
    Ok(())
}

/// The value that is patched.
struct Patched<'e, 'a> {
    editor: &'e mut Editor<'a>,
    target: &'e Place,
    allowance: &'e Allowance<'e>,
    /// The size of all values copied and moved so far.
    carried: u64,
}

impl Patched<'_, '_> {
    fn apply(&mut self, operation: Operation<'_>) -> Result<()> {
        self.allowance.spend(weight::OPERATION)?;
        match operation {
            Operation::Add { path, value } => self.add(&path, value.to_value().into()),
            Operation::Remove { path } => {
                let place = self.find(&path)?;
                self.remove(&place)
            }
            Operation::Replace { path, value } => {
                let place = self.find(&path)?;
                self.editor.replace(&place, value.to_value())
            }
            Operation::Move { from, path } => self.move_to(&from, &path),
            Operation::Copy { from, path } => {
                let place = self.find(&from)?;
                let copied = self.carry(&place)?;
                self.add(&path, copied)
            }
            Operation::Test { path, value } => {
                let place = self.find(&path)?;
                let found = self.editor.at(&place);
                self.allowance.spend(comparison(value, found.work()))?;
                if found.equals(value) {
                    return Ok(());
                }
                Err(Error::new(ErrorCode::Condition, "the value is not the one tested for"))
            }
        }
    }

    /// Moving a value to where it is changes nothing; `path` is never inside `from`.
    fn move_to<'p>(&mut self, from: &Singular<'p>, path: &Singular<'p>) -> Result<()> {
        let place = self.find(from)?;
        if from == path {
            return Ok(());
        }
        let moved = self.carry(&place)?;
        self.remove(&place)?;
        self.add(path, moved)
    }

    fn remove(&mut self, place: &Place) -> Result<()> {
        allow_shift(self.editor, place, self.allowance)?;
        self.editor.remove(place)
    }

    /// Copies the value at `place`. All copies of one patch together fit a document: a short patch cannot
    /// cause endless copies of a large value.
    fn carry(&mut self, place: &Place) -> Result<Measured> {
        let carried = self.editor.at(place);
        self.allowance.transfer_values(carried.work())?;
        let copy: Measured = carried.to_value().into();
        self.carried += copy.size;
        self.editor.limits().check_bytes(self.carried)?;
        Ok(copy)
    }

    /// Sets a member or the whole target; inserts an element before the existing one.
    fn add(&mut self, path: &Singular<'_>, new: Measured) -> Result<()> {
        match path.resolve(self.editor.at(self.target)) {
            Lookup::Present { place, .. } => match self.element(&place) {
                Some((array, index)) => {
                    allow_shift(self.editor, &self.inside(&place), self.allowance)?;
                    self.editor.insert_items(&array, index, vec![new])
                }
                None => self.editor.replace(&self.inside(&place), new),
            },
            Lookup::AbsentMember { parent, name } => {
                self.editor.insert_member(&self.inside(&parent), name, new).map(drop)
            }
            Lookup::AbsentItem { parent, index: ItemIndex::End } => {
                let array = self.inside(&parent);
                let len = self
                    .editor
                    .at(&array)
                    .as_array()
                    .expect("elements are absent from arrays")
                    .len();
                self.editor.insert_items(&array, len, vec![new])
            }
            other => Err(nothing_there(&other)),
        }
    }

    /// The place in the document of a value that must exist.
    fn find(&self, path: &Singular<'_>) -> Result<Place> {
        match path.resolve(self.editor.at(self.target)) {
            Lookup::Present { place, .. } => Ok(self.inside(&place)),
            other => Err(nothing_there(&other)),
        }
    }

    /// The array and the index, if `place` in the target is an array's element.
    fn element(&self, place: &Place) -> Option<(Place, usize)> {
        let (position, parent) = place.split_last()?;
        let parent = self.inside(parent);
        self.editor.at(&parent).as_array()?;
        Some((parent, *position as usize))
    }

    /// A place in the target as one in the document.
    fn inside(&self, place: &[u32]) -> Place {
        self.target.iter().chain(place).copied().collect()
    }
}

fn nothing_there(target: &Lookup<'_, '_>) -> Error {
    match target {
        Lookup::Present { .. } => unreachable!("something is there"),
        Lookup::AbsentItem { .. } => Error::new(ErrorCode::Range, "the index is outside the array"),
        Lookup::AbsentMember { .. } => Error::new(ErrorCode::NoPath, "nothing is at the pointer"),
        Lookup::AbsentParents { .. }
        | Lookup::Blocked { reason: Blocked::MissingItem | Blocked::MissingMember, .. } => {
            Error::new(ErrorCode::NoPath, "a parent is missing")
        }
        Lookup::Blocked { reason: Blocked::WrongKind(kind), .. } => Error::new(
            ErrorCode::Type,
            format!("the pointer does not fit what is on the way: {}", kind.name()),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::json_patch::PATCH_OPERATIONS_MAX;
    use super::*;
    use crate::path::PathLimits;
    use crate::value::edit::Journal;
    use crate::value::{Limits, Root, parse, print};

    fn parse_patch(patch: &str) -> Result<Patch> {
        Patch::parse(patch.as_bytes(), &Limits::DEFAULT, &PathLimits::DEFAULT)
    }

    /// The document after the patch, and true if the patch changed anything.
    fn check(document: &str, patch: &str) -> Result<(String, bool)> {
        check_within(document, patch, Limits::DEFAULT)
    }

    fn check_within(document: &str, patch: &str, limits: Limits) -> Result<(String, bool)> {
        let patch = parse_patch(patch)?;
        let document = parse::json(document.as_bytes(), &Limits::NONE)?;
        let (mut root, mut journal) = (Root::bare(document.value), Journal::default());
        let mut editor = Editor::new(&mut root, document.size, limits, &mut journal);
        let allowance = Allowance::unlimited();
        apply(&mut editor, &Place::new(), &patch, &allowance)?;
        Ok((print::to_string(editor.view()), editor.changed()))
    }

    #[test]
    fn what_stays_is_not_changed() {
        for (document, patch) in [
            (r#"{"a":1}"#, r#"[{"op":"move","from":"/a","path":"/a"}]"#),
            (r#"{"a":1}"#, r#"[{"op":"move","from":"","path":""}]"#),
            (r#"{"a":1}"#, r#"[{"op":"copy","from":"/a","path":"/a"}]"#),
            (r#"{"a":1}"#, r#"[{"op":"add","path":"/a","value":1}]"#),
            (r#"{"a":1}"#, r#"[{"op":"replace","path":"","value":{"a":1}}]"#),
            (r#"{"a":1}"#, r#"[{"op":"test","path":"","value":{"a":1.0}}]"#),
        ] {
            assert_eq!(check(document, patch), Ok((document.to_owned(), false)), "{patch}");
        }
    }

    #[test]
    fn pointers_find_their_way_while_things_move() {
        for (document, patch, after) in [
            ("[0,1,2,3]", r#"[{"op":"move","from":"/0","path":"/2"}]"#, "[1,2,0,3]"),
            ("[0,1,2,3]", r#"[{"op":"move","from":"/3","path":"/0"}]"#, "[3,0,1,2]"),
            ("[0,1]", r#"[{"op":"move","from":"/0","path":"/-"}]"#, "[1,0]"),
            ("[[0],[1]]", r#"[{"op":"move","from":"/0","path":"/0/0"}]"#, ""),
            (r#"{"a":{"b":1}}"#, r#"[{"op":"move","from":"/a/b","path":"/a"}]"#, r#"{"a":1}"#),
            (r#"{"a":{"b":1}}"#, r#"[{"op":"move","from":"/a/b","path":""}]"#, "1"),
            (
                r#"{"a":1}"#,
                r#"[{"op":"copy","from":"","path":"/b"},{"op":"copy","from":"","path":"/b/b"}]"#,
                r#"{"a":1,"b":{"a":1,"b":{"a":1,"b":{"a":1}}}}"#,
            ),
            (r#"{"a":1,"ab":2}"#, r#"[{"op":"move","from":"/a","path":"/ab"}]"#, r#"{"ab":1}"#),
        ] {
            let expected = Some((after.to_owned(), true)).filter(|_| !after.is_empty());
            assert_eq!(check(document, patch).ok(), expected, "{patch}");
        }
    }

    #[test]
    fn errors_have_their_words() {
        let fails = |document: &str, patch: &str| check(document, patch).unwrap_err().code();
        for (document, patch, code) in [
            ("{}", "{}", ErrorCode::Err),
            ("{}", "[1]", ErrorCode::Err),
            ("{}", r#"[{"path":""}]"#, ErrorCode::Err),
            ("{}", r#"[{"op":1,"path":""}]"#, ErrorCode::Err),
            ("{}", r#"[{"op":"Add","path":"/a","value":1}]"#, ErrorCode::Err),
            ("{}", r#"[{"op":"add","path":"/~2","value":1}]"#, ErrorCode::Err),
            ("{}", r#"[{"op":"add","path":"$.a","value":1}]"#, ErrorCode::Err),
            ("{}", r#"[{"op":"move","from":"","path":"/a"}]"#, ErrorCode::Err),
            ("{}", r#"[{"op":"add","path":"/a","value":1},{"op":"no","path":""}]"#, ErrorCode::Err),
            ("[1]", r#"[{"op":"remove","path":"/-"}]"#, ErrorCode::Range),
            (
                "[1]",
                r#"[{"op":"test","path":"/99999999999999999999","value":1}]"#,
                ErrorCode::Range,
            ),
            ("[1]", r#"[{"op":"add","path":"/5/a","value":1}]"#, ErrorCode::NoPath),
            ("[1]", r#"[{"op":"remove","path":"/01"}]"#, ErrorCode::Type),
            ("1", r#"[{"op":"add","path":"/a","value":1}]"#, ErrorCode::Type),
            ("{}", r#"[{"op":"move","from":"/a","path":"/a"}]"#, ErrorCode::NoPath),
            ("{}", r#"[{"op":"test","path":"/a","value":null}]"#, ErrorCode::NoPath),
        ] {
            assert_eq!(fails(document, patch), code, "{patch}");
        }
    }

    #[test]
    fn a_patch_carries_as_much_as_a_document_may_have() {
        let limits = Limits { bytes: 100, ..Limits::DEFAULT };
        // The array in `a` has 13 bytes.
        let patch = |count| {
            let copy = r#"{"op":"copy","from":"/a","path":"/b"}"#;
            format!("[{}]", vec![copy; count].join(","))
        };
        assert!(check_within(r#"{"a":[1]}"#, &patch(7), limits).is_ok());
        assert_eq!(
            check_within(r#"{"a":[1]}"#, &patch(8), limits).unwrap_err().code(),
            ErrorCode::Limit
        );
    }

    #[test]
    fn a_patch_has_so_many_operations_and_no_more() {
        let patch =
            |count| format!("[{}]", vec![r#"{"op":"test","path":"","value":1}"#; count].join(","));
        assert!(check("1", &patch(PATCH_OPERATIONS_MAX)).is_ok());
        assert_eq!(
            check("1", &patch(PATCH_OPERATIONS_MAX + 1)).unwrap_err().code(),
            ErrorCode::Limit
        );
    }
}
