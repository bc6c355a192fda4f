//! `SORT`: puts the elements of an array in order.

use std::cmp::Ordering;
use std::ops::Range;

use super::{Absent, Action, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Site};
use crate::budget::Allowance;
use crate::error::{Error, ErrorCode, Result};
use crate::path::Singular;
use crate::reply::Reply;
use crate::value::{ArrayView, Measured, Number, Text, View};

#[linkme::distributed_slice(OPERATORS)]
static SORT: OpSpec = OpSpec {
    name: "SORT",
    operands: &[
        Operand { name: "path", kind: OperandKind::Path },
        Operand { name: "order", kind: OperandKind::Choice(&["ASC", "DESC"]) },
        Operand { name: "by", kind: OperandKind::SortKey },
    ],
    summary: "Sorts an array, stable, by its elements (`@`) or by what a singular path leads to from each (`@.score`): null, false, true, numbers, strings by code points, `DESC` the other way round; elements without a key stand last either way",
    accepts: "array",
    absent: Absent::NoPath,
    reply: "the length",
    errors: &[ErrorCode::NoPath, ErrorCode::Type],
    complexity: "O(N * log N) with N the length of the array, and the size of the elements that move",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example::new(
            r#"["b",10,true,"a",9.5,null,false]"#,
            "SORT $ ASC @",
            "(integer) 7",
            r#"[null,false,true,9.5,10,"a","b"]"#,
        ),
        Example::new(
            r#"[{"s":1,"n":"x"},{},{"s":2},{"s":1.0,"n":"y"}]"#,
            "SORT $ DESC @.s",
            "(integer) 4",
            r#"[{"s":2},{"s":1,"n":"x"},{"s":1.0,"n":"y"},{}]"#,
        ),
        Example::new("[[1,3],[2,1]]", "SORT $ asc @[-1]", "(integer) 2", "[[2,1],[1,3]]"),
        Example::new("[1,2]", "SORT $ ASC @", "(integer) 2", "[1,2]"),
        Example::new("[[2,1],[]]", "SORT $[*] ASC @", "[(integer) 2 (integer) 0]", "[[1,2],[]]"),
        Example::new("[[2],1]", "SORT $ ASC @", "TYPE", "[[2],1]"),
        Example::new(r#"{"a":1}"#, "SORT $.a ASC @", "TYPE", r#"{"a":1}"#),
        Example::new("{}", "SORT $.a ASC @", "NOPATH", "{}"),
        Example::new("[2,1]", "SORT $ ASC @.*", "ERR", "[2,1]"),
        Example::new("[2,1]", "SORT $ ASC $", "ERR", "[2,1]"),
    ],
    run: Action::Each(sort),
};

fn sort(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    let array = site.present_array()?;
    let len = array.len();
    site.allowance().scan(len)?;
    let (descending, by) = (args[1].choice() == 1, args[2].singular());
    let (range, moved) = sorted(array, descending, by, site.allowance())?;
    let (editor, place) = site.parts();
    editor.remove_items(place, range.start, range.len())?;
    editor.insert_items(place, range.start, moved)?;
    Ok(Reply::count(len))
}

/// Steps for one name or index on the way to a key.
const KEY_STEP: u64 = 24;

/// The range outside which every element stays where it is, and the elements in order inside it.
fn sorted(
    array: ArrayView<'_>,
    descending: bool,
    by: &Singular<'_>,
    allowance: &Allowance<'_>,
) -> Result<(Range<usize>, Vec<Measured>)> {
    // Each is compared with as many others as its number has binary digits. Comparing two scalars
    // takes three quarters of a step; looking a key up, and moving what it is in, more than a comparison.
    let comparisons = u64::from(array.len().checked_ilog2().unwrap_or(0));
    allowance.spend(KEY_STEP * (by.steps().len() * array.len()) as u64)?;
    allowance.spend((array.len() as u64).saturating_mul(comparisons) / 4 * 3)?;
    let items: Vec<View<'_>> = array.iter().collect();
    let mut keys = Vec::with_capacity(items.len());
    let mut work = 0;
    for (index, item) in items.iter().enumerate() {
        let key =
            ElementKey::of(*item, by).map_err(|error| error.integer("index", index as i64))?;
        work += key.work();
        keys.push((key, index));
    }
    allowance.spend(work.saturating_mul(comparisons) / 2)?;
    keys.sort_by(|(a, _), (b, _)| a.compare(b, descending));
    let is_moved = |(nth, (_, index)): (usize, &(ElementKey<'_>, usize))| nth != *index;
    let Some(first) = keys.iter().enumerate().position(is_moved) else {
        return Ok((0..0, Vec::new()));
    };
    let last = keys.iter().enumerate().rposition(is_moved).expect("one is moved");
    let moved =
        keys[first..=last].iter().map(|(_, index)| items[*index].to_value().into()).collect();
    Ok((first..last + 1, moved))
}

/// The sort key of an element.
enum ElementKey<'v> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Text<'v>),
    Missing,
}

impl<'v> ElementKey<'v> {
    fn of(item: View<'v>, by: &Singular<'_>) -> Result<ElementKey<'v>> {
        Ok(match by.find(item) {
            None => ElementKey::Missing,
            Some(View::Null) => ElementKey::Null,
            Some(View::Bool(value)) => ElementKey::Bool(value),
            Some(View::Int(value)) => ElementKey::Number(Number::Int(value)),
            Some(View::Float(value)) => ElementKey::Number(Number::Float(value)),
            Some(View::Str(text)) => ElementKey::Text(text),
            Some(View::Array(_) | View::Object(_)) => {
                return Err(Error::new(
                    ErrorCode::Type,
                    "arrays and objects have no order to be sorted by",
                ));
            }
        })
    }

    /// Steps beside its own that comparing it takes.
    fn work(&self) -> u64 {
        match self {
            ElementKey::Text(text) => View::Str(*text).work(),
            _ => 0,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            ElementKey::Null => 0,
            ElementKey::Bool(_) => 1,
            ElementKey::Number(_) => 2,
            ElementKey::Text(_) => 3,
            ElementKey::Missing => 4,
        }
    }

    /// A missing key sorts last in both directions.
    fn compare(&self, other: &ElementKey<'_>, descending: bool) -> Ordering {
        let ascending = match (self, other) {
            (ElementKey::Missing, _) | (_, ElementKey::Missing) => {
                return self.rank().cmp(&other.rank());
            }
            (ElementKey::Bool(a), ElementKey::Bool(b)) => a.cmp(b),
            (ElementKey::Number(a), ElementKey::Number(b)) => a.compare(*b),
            // UTF-8 orders as code points do.
            (ElementKey::Text(a), ElementKey::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
            _ => self.rank().cmp(&other.rank()),
        };
        if descending { ascending.reverse() } else { ascending }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::PathLimits;
    use crate::value::{Limits, array, parse, print};

    fn check(before: &str, descending: bool, by: &str) -> (Range<usize>, String) {
        let before = parse::json(before.as_bytes(), &Limits::NONE).unwrap().value;
        let by = Singular::parse_relative(by.as_bytes(), &PathLimits::DEFAULT, None).unwrap();
        let (range, moved) =
            sorted(before.view().as_array().unwrap(), descending, &by, &Allowance::unlimited())
                .unwrap();
        (range, print::to_string(array(moved.iter().map(|item| item.value.view())).view()))
    }

    #[test]
    fn only_what_moves_is_touched() {
        for (before, descending, by, range, moved) in [
            ("[]", false, "@", 0..0, "[]"),
            ("[1,1.0,1]", true, "@", 0..0, "[]"),
            ("[1,3,2,4]", false, "@", 1..3, "[2,3]"),
            ("[1,2,0]", false, "@", 0..3, "[0,1,2]"),
            (
                "[9007199254740993,9007199254740992.0]",
                false,
                "@",
                0..2,
                "[9007199254740992.0,9007199254740993]",
            ),
            (r#"["é","z","😀","","a"]"#, false, "@", 0..5, r#"["","a","z","é","😀"]"#),
            (
                r#"[{},{"a":1},{"b":2},{"a":0}]"#,
                false,
                "@.a",
                0..4,
                r#"[{"a":0},{"a":1},{},{"b":2}]"#,
            ),
            (
                r#"[{},{"a":1},{"b":2},{"a":null}]"#,
                true,
                "@.a",
                0..4,
                r#"[{"a":1},{"a":null},{},{"b":2}]"#,
            ),
            (
                r#"[{"a":[2]},{"a":[1]},{"a":[]}]"#,
                false,
                "@['a'][0]",
                0..2,
                r#"[{"a":[1]},{"a":[2]}]"#,
            ),
        ] {
            assert_eq!(check(before, descending, by), (range, moved.to_owned()), "{before} {by}");
        }
    }
}
