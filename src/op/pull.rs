//! `PULL`: removes equal elements.

use super::{Absent, Action, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Site};
use crate::error::{ErrorCode, Result};
use crate::reply::Reply;
use crate::value::work::comparisons;
use crate::value::{ArrayView, View};

#[linkme::distributed_slice(OPERATORS)]
static PULL: OpSpec = OpSpec {
    name: "PULL",
    operands: &[
        Operand { name: "path", kind: OperandKind::Path },
        Operand { name: "count", kind: OperandKind::Integer },
        Operand { name: "json", kind: OperandKind::Json },
    ],
    summary: "Removes elements equal to a value: the first count, the last -count, or with 0 all",
    accepts: "array",
    absent: Absent::Zero,
    reply: "the number removed; with a non-singular path the total",
    errors: &[ErrorCode::Type],
    complexity: "O(N) with N the size of the array",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example::new("[1,2,1,1.0]", "PULL $ 0 1", "(integer) 3", "[2]"),
        Example::new("[1,2,1,3,1]", "PULL $ 2 1", "(integer) 2", "[2,3,1]"),
        Example::new("[1,2,1,3,1]", "PULL $ -2 1", "(integer) 2", "[1,2,3]"),
        Example::new("[1,2]", "PULL $ -9223372036854775808 1", "(integer) 1", "[2]"),
        Example::new(
            r#"[{"a":1,"b":2},{"a":1}]"#,
            r#"PULL $ 0 '{"b":2,"a":1}'"#,
            "(integer) 1",
            r#"[{"a":1}]"#,
        ),
        Example::new("[1]", r#"PULL $ 0 '"1"'"#, "(integer) 0", "[1]"),
        Example::new("[[1,2],[1,1]]", "PULL $[*] 1 1", "(integer) 2", "[[2],[1]]"),
        Example::new("{}", "PULL $.a 0 1", "(integer) 0", "{}"),
        Example::new(r#"{"a":1}"#, "PULL $.a 0 1", "TYPE", r#"{"a":1}"#),
    ],
    run: Action::Total(pull),
};

fn pull(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    let array = site.present_array()?;
    let wanted = args[2].json().value.view();
    site.allowance().scan(array.len())?;
    site.allowance().spend(3 * array.len() as u64 + comparisons(array, wanted.work()))?;
    let found = matches(array, args[1].integer(), wanted);
    let (editor, place) = site.parts();
    editor.remove_each(place, &found)?;
    Ok(Reply::count(found.len()))
}

/// The positions of the elements to remove, ascending.
fn matches(array: ArrayView<'_>, count: i64, wanted: View<'_>) -> Vec<u32> {
    let equal = (0..).zip(array.iter()).filter(|(_, item)| item.equals(wanted));
    let mut found: Vec<u32> = equal.map(|(position, _)| position).collect();
    let most = match usize::try_from(count.unsigned_abs()) {
        Ok(most) if count != 0 => most.min(found.len()),
        _ => found.len(),
    };
    if count < 0 {
        found.drain(..found.len() - most);
    } else {
        found.truncate(most);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Limits, parse};

    fn check(array: &str, count: i64) -> Vec<u32> {
        let array = parse::json(array.as_bytes(), &Limits::NONE).unwrap().value;
        matches(array.view().as_array().unwrap(), count, View::Int(1))
    }

    #[test]
    fn count_chooses_among_matches() {
        for (count, expected) in [
            (0, vec![0, 1, 3, 5]),
            (1, vec![0]),
            (3, vec![0, 1, 3]),
            (9, vec![0, 1, 3, 5]),
            (-1, vec![5]),
            (-3, vec![1, 3, 5]),
            (i64::MIN, vec![0, 1, 3, 5]),
            (i64::MAX, vec![0, 1, 3, 5]),
        ] {
            assert_eq!(check("[1,1.0,2,1,[1],1]", count), expected, "{count}");
        }
        assert!(check("[]", 0).is_empty());
    }
}
