//! `+ - * / %` and negation.
//!
//! As CEL has them, and between integers and doubles as well: `self.price * 2` is what people write
//! about JSON. Integers are exact or a fault; with a double on either side the result is a double, and
//! an integer on the other side has to be one exactly.

use super::budget::StepBudget;
use super::datum::{Datum, List};
use super::fault::Fault;
use super::operator::Operator;
use crate::value::{NO_SUCH_DOUBLE, exact_double};

type ArithmeticResult<'a> = Result<Datum<'a>, Fault>;

const OVERFLOW: Fault = Fault::Because("the result does not fit 64 bits");
const BY_ZERO: Fault = Fault::Because("division by zero");
const NO_TIME: Fault = Fault::Because("the result is no timestamp between the years 1 and 9999");
const NO_DURATION: Fault = Fault::Because("the result is longer than a duration can be");

#[inline]
pub(super) fn apply<'a>(
    operator: Operator,
    left: Datum<'a>,
    right: Datum<'a>,
    budget: &mut StepBudget,
) -> ArithmeticResult<'a> {
    match (&left, &right) {
        (Datum::Int(a), Datum::Int(b)) => integers(operator, *a, *b).map(Datum::Int),
        (Datum::Double(a), Datum::Double(b)) => doubles(operator, *a, *b),
        _ => others(operator, left, right, budget),
    }
}

fn integers(operator: Operator, a: i64, b: i64) -> Result<i64, Fault> {
    let result = match operator {
        Operator::Add => a.checked_add(b),
        Operator::Subtract => a.checked_sub(b),
        Operator::Multiply => a.checked_mul(b),
        Operator::Divide | Operator::Remainder if b == 0 => return Err(BY_ZERO),
        Operator::Divide => a.checked_div(b),
        Operator::Remainder => a.checked_rem(b),
    };
    result.ok_or(OVERFLOW)
}

fn unsigned(operator: Operator, a: u64, b: u64) -> Result<u64, Fault> {
    let result = match operator {
        Operator::Add => a.checked_add(b),
        Operator::Subtract => a.checked_sub(b),
        Operator::Multiply => a.checked_mul(b),
        Operator::Divide | Operator::Remainder if b == 0 => return Err(BY_ZERO),
        Operator::Divide => a.checked_div(b),
        Operator::Remainder => a.checked_rem(b),
    };
    result.ok_or(OVERFLOW)
}

/// IEEE 754, as CEL asks: dividing by 0.0 gives an infinity.
fn doubles<'a>(operator: Operator, a: f64, b: f64) -> ArithmeticResult<'a> {
    Ok(Datum::Double(match operator {
        Operator::Add => a + b,
        Operator::Subtract => a - b,
        Operator::Multiply => a * b,
        Operator::Divide => a / b,
        Operator::Remainder => return Err(Fault::Because("% wants integers")),
    }))
}

#[inline(never)]
fn others<'a>(
    operator: Operator,
    left: Datum<'a>,
    right: Datum<'a>,
    budget: &mut StepBudget,
) -> ArithmeticResult<'a> {
    if left.is_number() && right.is_number() {
        return mixed(operator, &left, &right);
    }
    match (operator, &left, &right) {
        (Operator::Add, _, _) => add(&left, &right, budget),
        (Operator::Subtract, Datum::Timestamp(a), Datum::Timestamp(b)) => {
            a.since(*b).map(Datum::Duration).ok_or(NO_DURATION)
        }
        (Operator::Subtract, Datum::Timestamp(a), Datum::Duration(b)) => {
            a.plus(-i128::from(*b)).map(Datum::Timestamp).ok_or(NO_TIME)
        }
        (Operator::Subtract, Datum::Duration(a), Datum::Duration(b)) => {
            a.checked_sub(*b).map(Datum::Duration).ok_or(NO_DURATION)
        }
        _ => Err(unsupported(operator, &left, &right)),
    }
}

/// Numbers of two types, or two unsigned ones.
fn mixed<'a>(operator: Operator, left: &Datum<'_>, right: &Datum<'_>) -> ArithmeticResult<'a> {
    if let (Datum::Uint(a), Datum::Uint(b)) = (left, right) {
        return unsigned(operator, *a, *b).map(Datum::Uint);
    }
    if let Some((a, b)) = integer(left).zip(integer(right)) {
        return whole(operator, a, b).map(Datum::Int);
    }
    if matches!(operator, Operator::Divide) && integer(right) == Some(0) {
        return Err(BY_ZERO);
    }
    doubles(operator, double(left)?, double(right)?)
}

/// An int and a uint: exact, and an int.
fn whole(operator: Operator, a: i128, b: i128) -> Result<i64, Fault> {
    let result = match operator {
        Operator::Add => a + b,
        Operator::Subtract => a - b,
        Operator::Multiply => a * b,
        Operator::Divide | Operator::Remainder if b == 0 => return Err(BY_ZERO),
        Operator::Divide => a / b,
        Operator::Remainder => a % b,
    };
    i64::try_from(result).map_err(|_| OVERFLOW)
}

fn integer(number: &Datum<'_>) -> Option<i128> {
    match number {
        Datum::Int(value) => Some((*value).into()),
        Datum::Uint(value) => Some((*value).into()),
        _ => None,
    }
}

/// A number for arithmetic in doubles.
fn double(number: &Datum<'_>) -> Result<f64, Fault> {
    match number {
        Datum::Double(value) => Ok(*value),
        _ => integer(number).and_then(exact_double).ok_or(Fault::Range(NO_SUCH_DOUBLE)),
    }
}

fn add<'a>(left: &Datum<'a>, right: &Datum<'a>, budget: &mut StepBudget) -> ArithmeticResult<'a> {
    if let (Some(a), Some(b)) = (left.utf8(), right.utf8()) {
        budget.make(a.len() + b.len())?;
        let (a, b) = left.as_str().zip(right.as_str()).expect("both are strings");
        return Ok(Datum::string([a, b].concat()));
    }
    if let (Some(a), Some(b)) = (left.as_bytes(), right.as_bytes()) {
        budget.make(a.len() + b.len())?;
        return Ok(Datum::MadeBytes([a, b].concat().into()));
    }
    match (left, right) {
        (Datum::List(a), Datum::List(b)) => concatenate(a, b, budget),
        (Datum::Timestamp(a), Datum::Duration(b)) | (Datum::Duration(b), Datum::Timestamp(a)) => {
            a.plus((*b).into()).map(Datum::Timestamp).ok_or(NO_TIME)
        }
        (Datum::Duration(a), Datum::Duration(b)) => {
            a.checked_add(*b).map(Datum::Duration).ok_or(NO_DURATION)
        }
        _ => Err(unsupported(Operator::Add, left, right)),
    }
}

fn concatenate<'a>(a: &List<'a>, b: &List<'a>, budget: &mut StepBudget) -> ArithmeticResult<'a> {
    budget.make_list(a.len() + b.len())?;
    Datum::list(a.iter().chain(b.iter()).collect())
}

pub(super) fn negate<'a>(operand: Datum<'a>) -> ArithmeticResult<'a> {
    match operand {
        Datum::Int(value) => value.checked_neg().map(Datum::Int).ok_or(OVERFLOW),
        Datum::Double(value) => Ok(Datum::Double(-value)),
        other => {
            Err(Fault::text(format!("'-' needs an int or a double, not {}", other.described())))
        }
    }
}

#[cold]
fn unsupported(operator: Operator, left: &Datum<'_>, right: &Datum<'_>) -> Fault {
    let (left, right) = (left.described(), right.described());
    Fault::text(format!("'{}' does not take {left} and {right}", operator.symbol()))
}
