//! Functions on lists, over elements in place.
//!
//! They are not the crate's: its lists want every element as a value of their own, and its
//! `distinct` and `flatten` cannot be charged for.

use std::cmp::Ordering;

use super::Function;
use super::arguments::{int, list};
use crate::expr::arithmetic;
use crate::expr::budget::StepBudget;
use crate::expr::datum::{Datum, List};
use crate::expr::eval::{Eval, Evaluated, list_contains};
use crate::expr::fault::Fault;
use crate::expr::operator::Operator;

/// The functions of this family.
pub(super) static FUNCTIONS: [Function; 12] = [
    Function::method(
        "sum",
        (1, 1),
        sum,
        [
            "list.sum()",
            "sum of numbers or durations; 0 for an empty list",
            "elements",
            "[1, 2.5].sum()",
            "3.5",
        ],
    ),
    Function::method(
        "min",
        (1, 1),
        min,
        ["list.min()", "smallest element", "elements", "[3, 1, 2].min()", "1"],
    ),
    Function::method(
        "max",
        (1, 1),
        max,
        ["list.max()", "largest element", "elements", "['a', 'b'].max()", "\"b\""],
    ),
    Function::method(
        "first",
        (1, 1),
        first,
        ["list.first()", "optional of the first element", "1", "[3, 1].first().value()", "3"],
    ),
    Function::method(
        "last",
        (1, 1),
        last,
        ["list.last()", "optional of the last element", "1", "[].last().orValue(0)", "0"],
    ),
    Function::method(
        "slice",
        (3, 3),
        slice,
        [
            "list.slice(start, end)",
            "elements from start to before end",
            "elements of the result, and start / 8",
            "[1, 2, 3, 4].slice(1, 3)",
            "[2,3]",
        ],
    ),
    Function::method(
        "flatten",
        (1, 2),
        flatten,
        [
            "list.flatten(levels)",
            "list in which nested lists are replaced by their elements, for one level or the number of levels",
            "elements",
            "[1, [2, [3]]].flatten()",
            "[1,2,[3]]",
        ],
    ),
    Function::method(
        "distinct",
        (1, 1),
        distinct,
        [
            "list.distinct()",
            "elements without later equal ones",
            "elements x elements of the result",
            "[1, 2, 1].distinct()",
            "[1,2]",
        ],
    ),
    Function::method(
        "sort",
        (1, 1),
        sort_list,
        [
            "list.sort()",
            "elements in ascending order",
            "comparisons",
            "[3, 1, 2].sort()",
            "[1,2,3]",
        ],
    ),
    Function::method(
        "isSorted",
        (1, 1),
        is_sorted,
        [
            "list.isSorted()",
            "true if no element is smaller than the one before",
            "elements",
            "[1, 1, 2].isSorted()",
            "true",
        ],
    ),
    Function::global(
        "lists.range",
        (1, 1),
        range,
        ["lists.range(n)", "integers from 0 to n - 1", "elements", "lists.range(3)", "[0,1,2]"],
    ),
    Function::method(
        "join",
        (1, 2),
        join,
        [
            "list.join(separator)",
            "strings joined, with the separator between them",
            "bytes of the result",
            "['a', 'b'].join('-')",
            "\"a-b\"",
        ],
    ),
];

/// `join()` and `join(separator)`.
fn join<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    let separator = match arguments.get(1) {
        Some(separator) => separator.as_str().ok_or("join() wants a string between")?,
        None => "",
    };
    let mut joined = String::new();
    for (at, item) in list(&arguments[0])?.iter().enumerate() {
        let text = item.as_str().ok_or("join() wants a list of strings")?;
        eval.budget.charge(1)?;
        eval.budget.make(text.len() + separator.len())?;
        if at > 0 {
            joined.push_str(separator);
        }
        joined.push_str(text);
    }
    Ok(Datum::string(joined))
}

fn slice<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    let list = list(&arguments[0])?;
    let (start, end) = (int(&arguments[1])?, int(&arguments[2])?);
    if start < 0 || end < start || end > list.len() as i64 {
        return Err(Fault::Because("slice() wants 0 <= start <= end <= size"));
    }
    let (start, end) = (start as usize, end as usize);
    eval.budget.charge((start / 8) as u64)?;
    eval.budget.make_list(end - start)?;
    Datum::list(list.iter().skip(start).take(end - start).collect())
}

/// `flatten()` and `flatten(levels)`. The recursion of nested lists is kept in a stack of our own,
/// because documents may nest deeper than a small stack allows.
fn flatten<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    let levels = arguments.get(1).map_or(Ok(1), int)?;
    if levels < 0 {
        return Err(Fault::Because("flatten() wants a level of at least 0"));
    }
    let mut flat = Vec::new();
    let mut rest: Vec<(Datum<'a>, i64)> = Vec::new();
    let spread = |list: &List<'a>, level, rest: &mut Vec<_>, budget: &mut StepBudget| {
        budget.make_list(list.len())?;
        let start = rest.len();
        rest.extend(list.iter().map(|item| (item, level)));
        rest[start..].reverse();
        Ok::<_, Fault>(())
    };
    spread(list(&arguments[0])?, levels, &mut rest, &mut eval.budget)?;
    while let Some((item, level)) = rest.pop() {
        match &item {
            Datum::List(list) if level > 0 => {
                eval.budget.charge(1)?;
                spread(list, level - 1, &mut rest, &mut eval.budget)?;
            }
            _ => flat.push(item),
        }
    }
    Datum::list(flat)
}

fn distinct<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    let mut unique: Vec<Datum<'a>> = Vec::new();
    for item in list(&arguments[0])?.iter() {
        eval.budget.make_list(1)?;
        let mut known = false;
        for own in &unique {
            eval.budget.charge(1)?;
            if own.equals(&item, &mut eval.budget)? {
                known = true;
                break;
            }
        }
        if !known {
            unique.push(item);
        }
    }
    Datum::list(unique)
}

fn sort_list<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    let list = list(&arguments[0])?;
    eval.budget.make_list(list.len())?;
    let mut items: Vec<_> = list.iter().collect();
    sort(&mut items, |item| item, &mut eval.budget)?;
    Datum::list(items)
}

/// Sorts pairs by their keys.
pub(in crate::expr) fn sort_pairs<'a>(
    pairs: &mut [(Datum<'a>, Datum<'a>)],
    budget: &mut StepBudget,
) -> Result<(), Fault> {
    sort(pairs, |pair| &pair.0, budget)
}

/// Sorts by keys that all are numbers, or all of one type that has an order. Stable.
fn sort<'a, T>(
    items: &mut [T],
    key: impl Fn(&T) -> &Datum<'a>,
    budget: &mut StepBudget,
) -> Result<(), Fault> {
    let Some(first) = items.first() else { return Ok(()) };
    let first = key(first);
    for item in items.iter() {
        let key = key(item);
        // Rules out values without an order, NaN too, so that the comparisons below agree.
        budget.charge(1)?;
        check_order(first, key, budget)?;
    }
    let mut fault = None;
    items.sort_by(|a, b| {
        if fault.is_some() {
            return Ordering::Equal;
        }
        let compared = budget.charge(2).and_then(|()| key(a).compare(key(b), budget));
        compared.unwrap_or_else(|failed| {
            fault = Some(failed);
            Ordering::Equal
        })
    });
    fault.map_or(Ok(()), Err)
}

/// Refuses a value that has no order, or none among values like the first one.
fn check_order(first: &Datum<'_>, item: &Datum<'_>, budget: &mut StepBudget) -> Result<(), Fault> {
    let same = item.type_name() == first.type_name() || item.is_number() && first.is_number();
    if !same {
        return Err(Fault::Because("values of several types have no order"));
    }
    item.compare(item, budget).map(|_| ())
}

fn is_sorted<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    let items = list(&arguments[0])?;
    let mut before: Option<Datum<'a>> = None;
    let mut sorted = true;
    for item in items.iter() {
        eval.budget.charge(1)?;
        check_order(before.as_ref().unwrap_or(&item), &item, &mut eval.budget)?;
        if let Some(before) = &before {
            sorted &= before.compare(&item, &mut eval.budget)? != Ordering::Greater;
        }
        before = Some(item);
    }
    Ok(Datum::Bool(sorted))
}

/// The sum of numbers or of durations, by the rules of `+`; 0 for an empty list.
fn sum<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    let mut total: Option<Datum<'a>> = None;
    for item in list(&arguments[0])?.iter() {
        eval.budget.charge(3)?;
        if !item.is_number() && !matches!(item, Datum::Duration(_)) {
            return Err(Fault::text(format!("sum() needs numbers, not {}", item.described())));
        }
        total = Some(match total {
            None => item,
            Some(total) => arithmetic::apply(Operator::Add, total, item, &mut eval.budget)?,
        });
    }
    Ok(total.unwrap_or(Datum::Int(0)))
}

fn min<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    extreme(eval, &arguments[0], Ordering::Less)
}

fn max<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    extreme(eval, &arguments[0], Ordering::Greater)
}

/// The first of the smallest or largest elements.
fn extreme<'a>(eval: &mut Eval<'a>, items: &Datum<'a>, wanted: Ordering) -> Evaluated<'a> {
    let mut best: Option<Datum<'a>> = None;
    for item in list(items)?.iter() {
        eval.budget.charge(1)?;
        check_order(best.as_ref().unwrap_or(&item), &item, &mut eval.budget)?;
        let better = match &best {
            None => true,
            Some(best) => item.compare(best, &mut eval.budget)? == wanted,
        };
        if better {
            best = Some(item);
        }
    }
    best.ok_or(Fault::Because("an empty list has no smallest or largest element"))
}

fn first<'a>(_: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    Datum::optional(list(&arguments[0])?.get(0))
}

fn last<'a>(_: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    let items = list(&arguments[0])?;
    Datum::optional(items.len().checked_sub(1).and_then(|at| items.get(at)))
}

/// The index of the first element equal to a value, or -1.
pub(super) fn index_of<'a>(
    eval: &mut Eval<'a>,
    items: &List<'a>,
    value: &Datum<'a>,
) -> Evaluated<'a> {
    for (at, item) in items.iter().enumerate() {
        eval.budget.charge(1)?;
        if item.equals(value, &mut eval.budget)? {
            return Ok(Datum::Int(at as i64));
        }
    }
    Ok(Datum::Int(-1))
}

/// The index of the last element equal to a value, or -1. A list in a document is read from the front.
pub(super) fn last_index_of<'a>(
    eval: &mut Eval<'a>,
    items: &List<'a>,
    value: &Datum<'a>,
) -> Evaluated<'a> {
    let mut found = -1;
    for (at, item) in items.iter().enumerate() {
        eval.budget.charge(1)?;
        if item.equals(value, &mut eval.budget)? {
            found = at as i64;
        }
    }
    Ok(Datum::Int(found))
}

/// Tests for every element of the second list in the first one.
pub(super) fn contains_all<'a>(
    eval: &mut Eval<'a>,
    items: &List<'a>,
    wanted: &List<'a>,
) -> Result<bool, Fault> {
    for item in wanted.iter() {
        eval.budget.charge(1)?;
        if !list_contains(items, &item, &mut eval.budget)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn range<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    let count = int(&arguments[0])?;
    let count = usize::try_from(count).map_err(|_| "lists.range() wants at least 0")?;
    eval.budget.make_list(count)?;
    Datum::list((0..count as i64).map(Datum::Int).collect())
}
