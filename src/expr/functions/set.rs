//! Functions on lists taken as sets. Each element of one list is looked for in the other, and paid for.

use super::Function;
use super::arguments::list;
use super::list::contains_all;
use crate::expr::datum::Datum;
use crate::expr::eval::{Eval, Evaluated, list_contains};

/// The functions of this family.
pub(super) static FUNCTIONS: [Function; 3] = [
    Function::global(
        "sets.contains",
        (2, 2),
        contains,
        [
            "sets.contains(list, part)",
            "true if the first list has every element of the second",
            "elements x elements",
            "sets.contains([1, 2, 3], [3, 1])",
            "true",
        ],
    ),
    Function::global(
        "sets.equivalent",
        (2, 2),
        equivalent,
        [
            "sets.equivalent(a, b)",
            "true if each list has every element of the other",
            "elements x elements",
            "sets.equivalent([1, 2], [2, 1, 1])",
            "true",
        ],
    ),
    Function::global(
        "sets.intersects",
        (2, 2),
        intersects,
        [
            "sets.intersects(a, b)",
            "true if the lists have an element in common",
            "elements x elements",
            "sets.intersects([1, 2], [3, 2])",
            "true",
        ],
    ),
];

fn contains<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    contains_all(eval, list(&arguments[0])?, list(&arguments[1])?).map(Datum::Bool)
}

fn equivalent<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    let (a, b) = (list(&arguments[0])?, list(&arguments[1])?);
    Ok(Datum::Bool(contains_all(eval, a, b)? && contains_all(eval, b, a)?))
}

fn intersects<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    let (a, b) = (list(&arguments[0])?, list(&arguments[1])?);
    for item in b.iter() {
        eval.budget.charge(1)?;
        if list_contains(a, &item, &mut eval.budget)? {
            return Ok(Datum::Bool(true));
        }
    }
    Ok(Datum::Bool(false))
}
