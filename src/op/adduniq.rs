//! `ADDUNIQ`: adds the elements that are not there yet.

use hashbrown::HashTable;

use super::{Absent, Action, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Site};
use crate::error::{ErrorCode, Result};
use crate::reply::Reply;
use crate::value::work::comparisons;
use crate::value::{ArrayView, Measured, View};

#[linkme::distributed_slice(OPERATORS)]
static ADDUNIQ: OpSpec = OpSpec {
    name: "ADDUNIQ",
    operands: &[
        Operand { name: "path", kind: OperandKind::Path },
        Operand { name: "array", kind: OperandKind::JsonArray },
    ],
    summary: "Adds at the end those elements that equal none there and none added before them",
    accepts: "array",
    absent: Absent::Create,
    reply: "the number added",
    errors: &[ErrorCode::Type],
    complexity: "O(N + M) with N the size of the array and M that of the operand",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example::new(
            r#"{"a":[1,2]}"#,
            "ADDUNIQ $.a [2,3,3,1.0]",
            "(integer) 1",
            r#"{"a":[1,2,3]}"#,
        ),
        Example::new(
            r#"[{"x":1,"y":[2]}]"#,
            r#"ADDUNIQ $ '[{"y":[2.0],"x":1},{"x":1}]'"#,
            "(integer) 1",
            r#"[{"x":1,"y":[2]},{"x":1}]"#,
        ),
        Example::new("[1]", "ADDUNIQ $ [1]", "(integer) 0", "[1]"),
        Example::new("[1,1]", "ADDUNIQ $ []", "(integer) 0", "[1,1]"),
        Example::new("{}", "ADDUNIQ $.a [1,1,null]", "(integer) 2", r#"{"a":[1,null]}"#),
        Example::new("{}", "ADDUNIQ $.a []", "(integer) 0", r#"{"a":[]}"#),
        Example::new("[[1],[]]", "ADDUNIQ $[*] [1]", "[(integer) 0 (integer) 1]", "[[1],[1]]"),
        Example::new(r#"{"a":"1"}"#, "ADDUNIQ $.a [1]", "TYPE", r#"{"a":"1"}"#),
    ],
    run: Action::Each(adduniq),
};

fn adduniq(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    let there = site.array()?;
    site.allowance().spend(cost(there, args[1].array()))?;
    let Some(there) = there else {
        let distinct = crate::value::array(new_elements(None, args[1].array()));
        let added = distinct.view().as_array().expect("an array was built").len();
        site.put(distinct)?;
        return Ok(Reply::count(added));
    };
    let len = there.len();
    site.allowance().scan(len)?;
    let new: Vec<Measured> = new_elements(Some(there), args[1].array())
        .into_iter()
        .map(|item| item.to_value().into())
        .collect();
    let added = new.len();
    let (editor, place) = site.parts();
    editor.insert_items(place, len, new)?;
    Ok(Reply::count(added))
}

/// Up to this many offered elements, comparing them with all others is faster than hashing all.
const COMPARED_MAX: usize = 8;

/// Steps for looking an element up in a table.
const LOOK_UP: u64 = 8;
/// Steps for putting an offered element into the table, and for moving it from there into the array.
const NOTED: u64 = 12;

/// Steps that comparing two elements for equality takes.
fn cost(there: Option<ArrayView<'_>>, offered: ArrayView<'_>) -> u64 {
    let largest = offered.iter().map(View::work).max().unwrap_or(0);
    let others = there.into_iter().chain([offered]);
    if offered.len() <= COMPARED_MAX {
        others.map(|array| comparisons(array, largest)).sum::<u64>() * offered.len() as u64
    } else {
        // Each is hashed, whole; the offered ones are put into a table in which all are looked for.
        let count: u64 = others.clone().map(|array| array.len() as u64).sum();
        let work: u64 = others.map(|array| View::Array(array).work()).sum();
        work + LOOK_UP * count + NOTED * offered.len() as u64
    }
}

/// The elements of `offered` that equal no element of `there` and no earlier offered one.
fn new_elements<'v>(there: Option<ArrayView<'_>>, offered: ArrayView<'v>) -> Vec<View<'v>> {
    let there = there.into_iter().flat_map(ArrayView::iter);
    if offered.len() <= COMPARED_MAX {
        by_comparison(there, offered)
    } else {
        by_hash(there, offered)
    }
}

fn by_comparison<'v, 't>(
    there: impl Iterator<Item = View<'t>>,
    offered: ArrayView<'v>,
) -> Vec<View<'v>> {
    let mut new: Vec<View<'v>> = Vec::with_capacity(offered.len());
    for item in offered.iter() {
        if !new.iter().any(|other| other.equals(item)) {
            new.push(item);
        }
    }
    for item in there {
        new.retain(|other| !other.equals(item));
    }
    new
}

/// The hash is seeded at random, so that no client can choose elements that collide.
fn by_hash<'v, 't>(there: impl Iterator<Item = View<'t>>, offered: ArrayView<'v>) -> Vec<View<'v>> {
    let state = foldhash::quality::RandomState::default();
    let mut new: HashTable<(u64, usize, View<'v>)> = HashTable::with_capacity(offered.len());
    for (nth, item) in offered.iter().enumerate() {
        let hash = item.hash_with(&state);
        if new.find(hash, |(other, _, view)| *other == hash && view.equals(item)).is_none() {
            new.insert_unique(hash, (hash, nth, item), |(hash, ..)| *hash);
        }
    }
    for item in there {
        let hash = item.hash_with(&state);
        if let Ok(known) =
            new.find_entry(hash, |(other, _, view)| *other == hash && view.equals(item))
        {
            known.remove();
        }
    }
    let mut new: Vec<(usize, View<'v>)> =
        new.into_iter().map(|(_, nth, item)| (nth, item)).collect();
    new.sort_unstable_by_key(|(nth, _)| *nth);
    new.into_iter().map(|(_, item)| item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Limits, Value, array, parse, print};

    fn value(json: &str) -> Value {
        parse::json(json.as_bytes(), &Limits::NONE).unwrap().value
    }

    fn both_ways(there: &str, offered: &str) -> [String; 2] {
        let (there, offered) = (value(there), value(offered));
        let (there, offered) =
            (there.view().as_array().unwrap(), offered.view().as_array().unwrap());
        let compared = by_comparison(there.iter(), offered);
        let hashed = by_hash(there.iter(), offered);
        [compared, hashed].map(|new| print::to_string(array(new).view()))
    }

    #[test]
    fn hashing_and_comparing_agree() {
        for (there, offered, expected) in [
            ("[]", "[]", "[]"),
            ("[0]", "[-0.0,0.0,1.0,1]", "[1.0]"),
            (r#"[{"a":1,"b":2}]"#, r#"[{"b":2,"a":1.0},{"a":1},{"a":1}]"#, r#"[{"a":1}]"#),
            ("[9007199254740993]", "[9007199254740992.0,9007199254740992]", "[9007199254740992.0]"),
            (r#"["1",null,[]]"#, r#"[1,null,false,{},[[]],[]]"#, "[1,false,{},[[]]]"),
        ] {
            assert_eq!(both_ways(there, offered), [expected, expected], "{there} {offered}");
        }
    }

    #[test]
    fn large_operands_are_hashed() {
        let offered = value(&format!(
            "[{}]",
            (0..50_000).map(|n| (n / 2).to_string()).collect::<Vec<_>>().join(",")
        ));
        let new = new_elements(None, offered.view().as_array().unwrap());
        assert_eq!(new.len(), 25_000);
    }
}
