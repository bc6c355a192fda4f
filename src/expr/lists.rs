//! Functions on lists: the lists extension, over elements in place.
//!
//! They are not the crate's: its lists want every element as a value of their own, and its
//! `distinct` and `flatten` cannot be charged for.

use std::cmp::Ordering;

use super::budget::{Budget, Fault};
use super::datum::{Datum, List, compare_numbers};
use super::eval::{Eval, Outcome};

fn list<'d, 'a>(datum: &'d Datum<'a>) -> Result<&'d List<'a>, Fault> {
    match datum {
        Datum::List(list) => Ok(list),
        other => Err(Fault::text(format!("a list is wanted, not a {}", other.type_name()))),
    }
}

fn int(datum: &Datum<'_>) -> Result<i64, Fault> {
    match datum {
        Datum::Int(value) => Ok(*value),
        other => Err(Fault::text(format!("an int is wanted, not a {}", other.type_name()))),
    }
}

/// `join()` and `join(separator)`.
pub(super) fn join<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Outcome<'a> {
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

pub(super) fn slice<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Outcome<'a> {
    let list = list(&arguments[0])?;
    let (start, end) = (int(&arguments[1])?, int(&arguments[2])?);
    if start < 0 || end < start || end > list.len() as i64 {
        return Err(Fault::Because("slice() wants 0 <= start <= end <= size"));
    }
    let (start, end) = (start as usize, end as usize);
    eval.budget.charge((start / 8) as u64)?;
    eval.budget.make_list(end - start)?;
    Ok(Datum::list(list.iter().skip(start).take(end - start).collect()))
}

pub(super) fn reverse<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Outcome<'a> {
    if let Some(text) = arguments[0].as_str() {
        eval.budget.make(2 * text.len())?;
        return Ok(Datum::string(text.chars().rev().collect::<String>()));
    }
    let list = list(&arguments[0])?;
    eval.budget.make_list(list.len())?;
    let mut items: Vec<_> = list.iter().collect();
    items.reverse();
    Ok(Datum::list(items))
}

/// `flatten()` and `flatten(levels)`. The recursion of nested lists is kept in a stack of our own,
/// because documents may nest deeper than a small stack allows.
pub(super) fn flatten<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Outcome<'a> {
    let levels = arguments.get(1).map_or(Ok(1), int)?;
    if levels < 0 {
        return Err(Fault::Because("flatten() wants a level of at least 0"));
    }
    let mut flat = Vec::new();
    let mut rest: Vec<(Datum<'a>, i64)> = Vec::new();
    let spread = |list: &List<'a>, level, rest: &mut Vec<_>, budget: &mut Budget| {
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
    Ok(Datum::list(flat))
}

pub(super) fn distinct<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Outcome<'a> {
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
    Ok(Datum::list(unique))
}

pub(super) fn sort_list<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Outcome<'a> {
    let list = list(&arguments[0])?;
    eval.budget.make_list(list.len())?;
    let mut items: Vec<_> = list.iter().collect();
    sort(&mut items, |item| item, &mut eval.budget)?;
    Ok(Datum::list(items))
}

/// Sorts by keys that all are numbers, or all of one type that has an order. Stable.
pub(super) fn sort<'a, T>(
    items: &mut [T],
    key: impl Fn(&T) -> &Datum<'a>,
    budget: &mut Budget,
) -> Result<(), Fault> {
    let Some(first) = items.first() else { return Ok(()) };
    let first = key(first);
    for item in items.iter() {
        let key = key(item);
        let same = key.type_name() == first.type_name() || key.is_number() && first.is_number();
        if !same {
            return Err(Fault::Because("what is sorted is of several types"));
        }
        // Rules out what has no order, NaN too, so that the comparisons below agree.
        budget.charge(1)?;
        key.compare(key, budget)?;
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

pub(super) fn range<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Outcome<'a> {
    let count = int(&arguments[0])?;
    let count = usize::try_from(count).map_err(|_| "lists.range() wants at least 0")?;
    eval.budget.make_list(count)?;
    Ok(Datum::list((0..count as i64).map(Datum::Int).collect()))
}

pub(super) fn greatest<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Outcome<'a> {
    extreme(eval, arguments, Ordering::Greater)
}

pub(super) fn least<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Outcome<'a> {
    extreme(eval, arguments, Ordering::Less)
}

/// The first of the greatest or least numbers, of the arguments or of the one list.
fn extreme<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>], wanted: Ordering) -> Outcome<'a> {
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
