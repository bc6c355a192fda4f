//! `PULLALL`: removes all elements that equal one of several values.

use hashbrown::HashTable;

use super::{Absent, Action, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Site};
use crate::error::{ErrorCode, Result};
use crate::reply::Reply;
use crate::value::work::comparisons;
use crate::value::{ArrayView, View};

#[linkme::distributed_slice(OPERATORS)]
static PULLALL: OpSpec = OpSpec {
    name: "PULLALL",
    operands: &[
        Operand { name: "path", kind: OperandKind::Path },
        Operand { name: "array", kind: OperandKind::JsonArray },
    ],
    summary: "Removes all elements that equal an element of the operand",
    accepts: "array",
    absent: Absent::Zero,
    reply: "the number removed; with a non-singular path the total",
    errors: &[ErrorCode::Type],
    complexity: "O(N + M) with N the size of the array and M that of the operand",
    repeats: Repeats::Exactly,
    since: "0.5.0",
    examples: &[
        Example::new("[1,2,3,1.0]", "PULLALL $ [1,3,9]", "(integer) 3", "[2]"),
        Example::new(
            r#"[{"a":1,"b":2},{"a":1},null]"#,
            r#"PULLALL $ '[{"b":2,"a":1},null]'"#,
            "(integer) 2",
            r#"[{"a":1}]"#,
        ),
        Example::new("[1]", r#"PULLALL $ '["1",[1]]'"#, "(integer) 0", "[1]"),
        Example::new("[1]", "PULLALL $ []", "(integer) 0", "[1]"),
        Example::new("[[1,2],[2,3]]", "PULLALL $[*] [2,3]", "(integer) 3", "[[1],[]]"),
        Example::new("{}", "PULLALL $.a [1]", "(integer) 0", "{}"),
        Example::new(r#"{"a":1}"#, "PULLALL $.a [1]", "TYPE", r#"{"a":1}"#),
    ],
    run: Action::Total(pullall),
};

fn pullall(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    let (array, wanted) = (site.present_array()?, args[1].array());
    site.allowance().scan(array.len())?;
    site.allowance().spend(cost(array, wanted))?;
    let found = matches(array, wanted);
    let (editor, place) = site.parts();
    editor.remove_each(place, &found)?;
    Ok(Reply::count(found.len()))
}

/// Up to this many values, comparing each element with all of them is faster than hashing all.
const COMPARED_MAX: usize = 8;

/// Steps that looking for the values takes.
fn cost(array: ArrayView<'_>, wanted: ArrayView<'_>) -> u64 {
    if wanted.len() <= COMPARED_MAX {
        let largest = wanted.iter().map(View::work).max().unwrap_or(0);
        comparisons(array, largest) * wanted.len() as u64
    } else {
        // Each is hashed, whole.
        let hashed = |array: ArrayView<'_>| View::Array(array).work() + 3 * array.len() as u64;
        hashed(array) + hashed(wanted)
    }
}

/// The positions of the elements to remove, ascending.
fn matches(array: ArrayView<'_>, wanted: ArrayView<'_>) -> Vec<u32> {
    let elements = (0..).zip(array.iter());
    if wanted.len() <= COMPARED_MAX {
        let is_wanted = |item: View<'_>| wanted.iter().any(|other| other.equals(item));
        return elements.filter(|(_, item)| is_wanted(*item)).map(|(at, _)| at).collect();
    }
    // The hash is seeded at random, so that no client can choose elements that collide.
    let state = foldhash::quality::RandomState::default();
    let mut known: HashTable<(u64, View<'_>)> = HashTable::with_capacity(wanted.len());
    for item in wanted.iter() {
        let hash = item.hash_with(&state);
        if known.find(hash, |(other, view)| *other == hash && view.equals(item)).is_none() {
            known.insert_unique(hash, (hash, item), |(hash, _)| *hash);
        }
    }
    let is_wanted = |item: View<'_>| {
        let hash = item.hash_with(&state);
        known.find(hash, |(other, view)| *other == hash && view.equals(item)).is_some()
    };
    elements.filter(|(_, item)| is_wanted(*item)).map(|(at, _)| at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Limits, Value, parse};

    fn value(json: &str) -> Value {
        parse::json(json.as_bytes(), &Limits::NONE).unwrap().value
    }

    #[test]
    fn hashing_and_comparing_agree() {
        let array = value(r#"[0,"1",null,{"a":1,"b":[2.0]},[],1.0,9007199254740993,-0.0]"#);
        for (wanted, expected) in [
            (r#"[0]"#, vec![0, 7]),
            (r#"[1,null,{"b":[2],"a":1.0}]"#, vec![2, 3, 5]),
            (r#"[9007199254740992.0,[]]"#, vec![4]),
            (r#"["2",false,{}]"#, vec![]),
        ] {
            let padding: Vec<_> = (100..120).map(|n| n.to_string()).collect();
            let long = format!("{},{}]", &wanted[..wanted.len() - 1], padding.join(","));
            for wanted in [wanted, &long] {
                let operand = value(wanted);
                let found =
                    matches(array.view().as_array().unwrap(), operand.view().as_array().unwrap());
                assert_eq!(found, expected, "{wanted}");
            }
        }
    }
}
