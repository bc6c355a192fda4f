//! Functions on numbers.

use std::cmp::Ordering;

use super::Function;
use super::foreign::Cost::Linear;
use crate::expr::datum::{Datum, compare_numbers};
use crate::expr::eval::{Eval, Evaluated};
use crate::expr::fault::Fault;

/// The functions of this family.
pub(super) static FUNCTIONS: [Function; 18] = [
    Function::global(
        "math.greatest",
        (1, usize::MAX),
        greatest,
        [
            "math.greatest(a, b, ...)",
            "largest of numbers, or of those in a list",
            "numbers",
            "math.greatest(1, 2.5, 2)",
            "2.5",
        ],
    ),
    Function::global(
        "math.least",
        (1, usize::MAX),
        least,
        [
            "math.least(a, b, ...)",
            "smallest of numbers, or of those in a list",
            "numbers",
            "math.least([3, 1, 2])",
            "1",
        ],
    ),
    Function::foreign(
        "math.abs",
        (1, 1),
        Linear,
        ["math.abs(n)", "absolute value", "1", "math.abs(-3)", "3"],
    ),
    Function::foreign(
        "math.sign",
        (1, 1),
        Linear,
        ["math.sign(n)", "-1, 0 or 1", "1", "math.sign(-2.5)", "-1.0"],
    ),
    Function::foreign(
        "math.ceil",
        (1, 1),
        Linear,
        [
            "math.ceil(n)",
            "nearest integer above or equal, as a double",
            "1",
            "math.ceil(1.2)",
            "2.0",
        ],
    ),
    Function::foreign(
        "math.floor",
        (1, 1),
        Linear,
        [
            "math.floor(n)",
            "nearest integer below or equal, as a double",
            "1",
            "math.floor(-1.2)",
            "-2.0",
        ],
    ),
    Function::foreign(
        "math.round",
        (1, 1),
        Linear,
        [
            "math.round(n)",
            "nearest integer, halves away from zero, as a double",
            "1",
            "math.round(2.5)",
            "3.0",
        ],
    ),
    Function::foreign(
        "math.trunc",
        (1, 1),
        Linear,
        ["math.trunc(n)", "integer part, as a double", "1", "math.trunc(-1.5)", "-1.0"],
    ),
    Function::foreign(
        "math.sqrt",
        (1, 1),
        Linear,
        ["math.sqrt(n)", "square root", "1", "math.sqrt(4)", "2.0"],
    ),
    Function::foreign(
        "math.isNaN",
        (1, 1),
        Linear,
        ["math.isNaN(n)", "true if n is not a number", "1", "math.isNaN(0.0 / 0.0)", "true"],
    ),
    Function::foreign(
        "math.isInf",
        (1, 1),
        Linear,
        ["math.isInf(n)", "true if n is infinite", "1", "math.isInf(1.0 / 0.0)", "true"],
    ),
    Function::foreign(
        "math.isFinite",
        (1, 1),
        Linear,
        [
            "math.isFinite(n)",
            "true if n is neither infinite nor not a number",
            "1",
            "math.isFinite(1.5)",
            "true",
        ],
    ),
    Function::foreign(
        "math.bitNot",
        (1, 1),
        Linear,
        ["math.bitNot(n)", "bitwise complement", "1", "math.bitNot(1)", "-2"],
    ),
    Function::foreign(
        "math.bitAnd",
        (2, 2),
        Linear,
        ["math.bitAnd(a, b)", "bitwise AND", "1", "math.bitAnd(6, 3)", "2"],
    ),
    Function::foreign(
        "math.bitOr",
        (2, 2),
        Linear,
        ["math.bitOr(a, b)", "bitwise OR", "1", "math.bitOr(6, 3)", "7"],
    ),
    Function::foreign(
        "math.bitXor",
        (2, 2),
        Linear,
        ["math.bitXor(a, b)", "bitwise exclusive OR", "1", "math.bitXor(6, 3)", "5"],
    ),
    Function::foreign(
        "math.bitShiftLeft",
        (2, 2),
        Linear,
        ["math.bitShiftLeft(a, count)", "shift to the left", "1", "math.bitShiftLeft(1, 4)", "16"],
    ),
    Function::foreign(
        "math.bitShiftRight",
        (2, 2),
        Linear,
        [
            "math.bitShiftRight(a, count)",
            "shift to the right, filled with zeros",
            "1",
            "math.bitShiftRight(16, 4)",
            "1",
        ],
    ),
];

fn greatest<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    extreme(eval, arguments, Ordering::Greater)
}

fn least<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    extreme(eval, arguments, Ordering::Less)
}

/// The first of the greatest or least numbers, of the arguments or of the one list.
fn extreme<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>], wanted: Ordering) -> Evaluated<'a> {
    let mut best: Option<Datum<'a>> = None;
    let mut consider = |item: Datum<'a>| {
        eval.budget.charge(1)?;
        if !item.is_number() {
            return Err(Fault::Because("math.greatest() and math.least() want numbers"));
        }
        let better = match &best {
            None => true,
            Some(best) => compare_numbers(&item, best).ok_or("NaN has no order")? == wanted,
        };
        if better {
            best = Some(item);
        }
        Ok(())
    };
    match arguments {
        [Datum::List(list)] => list.iter().try_for_each(&mut consider)?,
        several => several.iter().cloned().try_for_each(&mut consider)?,
    }
    best.ok_or(Fault::Because("an empty list has no greatest or least"))
}
