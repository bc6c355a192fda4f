//! Optionals: a value that may be missing. `or` and `orValue` are evaluated by nodes of their own, which
//! look at their argument only if it is needed.

use super::Function;
use super::arguments::{list, wanted};
use crate::expr::datum::Datum;
use crate::expr::eval::{Eval, Evaluated};
use crate::expr::fault::Fault;

/// The functions of this family.
pub(super) static FUNCTIONS: [Function; 9] = [
    Function::global("optional.unwrap", (1, 1), unwrap, [""; 5]),
    Function::global(
        "optional.of",
        (1, 1),
        of,
        ["optional.of(x)", "optional with the value x", "1", "optional.of(1).value()", "1"],
    ),
    Function::global(
        "optional.ofNonZeroValue",
        (1, 1),
        of_non_zero_value,
        [
            "optional.ofNonZeroValue(x)",
            "optional with the value x; none if x is null, false, 0 or empty",
            "1",
            "optional.ofNonZeroValue('').hasValue()",
            "false",
        ],
    ),
    Function::global(
        "optional.none",
        (0, 0),
        |_, _| Ok(Datum::Optional(None)),
        ["optional.none()", "optional without a value", "1", "optional.none().hasValue()", "false"],
    ),
    Function::method(
        "hasValue",
        (1, 1),
        has_value,
        [
            "optional.hasValue()",
            "true if the optional has a value",
            "1",
            "{'a': 1}.?a.hasValue()",
            "true",
        ],
    ),
    Function::method(
        "value",
        (1, 1),
        value,
        ["optional.value()", "value; an error if there is none", "1", "{'a': 1}.?a.value()", "1"],
    ),
    Function::method(
        "or",
        (2, 2),
        or,
        [
            "optional.or(other)",
            "the first of two optionals that has a value",
            "1",
            "{'b': 2}.?a.or(optional.of(3)).value()",
            "3",
        ],
    ),
    Function::method(
        "orValue",
        (2, 2),
        or_value,
        [
            "optional.orValue(x)",
            "value; x if there is none",
            "1",
            "{'a': {}}.?a.?b.orValue(5)",
            "5",
        ],
    ),
    Function::method(
        "unwrapOpt",
        (1, 1),
        unwrap,
        [
            "list.unwrapOpt()",
            "list of the values of the optionals that have one",
            "elements",
            "[optional.of(1), optional.none()].unwrapOpt()",
            "[1]",
        ],
    ),
];

fn of<'a>(_: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    Datum::present(arguments[0].clone())
}

fn of_non_zero_value<'a>(_: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    let zero = match &arguments[0] {
        Datum::Null | Datum::Bool(false) | Datum::Int(0) | Datum::Uint(0) | Datum::Duration(0) => {
            true
        }
        Datum::Double(value) => *value == 0.0,
        Datum::List(list) => list.len() == 0,
        Datum::Map(map) => map.len() == 0,
        Datum::Optional(value) => value.is_none(),
        other => other.utf8().or_else(|| other.as_bytes()).is_some_and(<[u8]>::is_empty),
    };
    if zero { Ok(Datum::Optional(None)) } else { Datum::present(arguments[0].clone()) }
}

fn inner<'d, 'a>(datum: &'d Datum<'a>) -> Result<Option<&'d Datum<'a>>, Fault> {
    match datum {
        Datum::Optional(value) => Ok(value.as_deref()),
        other => Err(wanted("an optional", other)),
    }
}

fn has_value<'a>(_: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    inner(&arguments[0]).map(|value| Datum::Bool(value.is_some()))
}

fn value<'a>(_: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    inner(&arguments[0])?.cloned().ok_or(Fault::Because("the optional has no value"))
}

fn or<'a>(_: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    let (value, other) = (inner(&arguments[0])?, inner(&arguments[1])?);
    Datum::optional(value.or(other).cloned())
}

fn or_value<'a>(_: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    Ok(inner(&arguments[0])?.unwrap_or(&arguments[1]).clone())
}

fn unwrap<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    let items = list(&arguments[0])?;
    eval.budget.make_list(items.len())?;
    let mut values = Vec::new();
    for item in items.iter() {
        values.extend(inner(&item)?.cloned());
    }
    Datum::list(values)
}
