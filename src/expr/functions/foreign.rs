//! Calling the `cel` crate's functions.
//!
//! A call is an expression of one call whose operands are variables; the crate evaluates it with
//! the arguments lent to it as its own values. Strings and bytes are borrowed; lists and maps, which
//! only `format` takes, are copied to a bounded depth.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use cel::common::ast::{CallExpr, Expr, IdedExpr};
use cel::common::types::{
    CelBool, CelBytes, CelDouble, CelDuration, CelInt, CelList, CelMap, CelMapKey, CelNull,
    CelString, CelTimestamp, CelType, CelUInt,
};
use cel::common::value::{CowVal, Val};
use cel::{Context, Env, ExecutionError, Value, extensions};

use crate::expr::budget::StepBudget;
use crate::expr::datum::{Datum, Instant};
use crate::expr::eval::{Eval, Evaluated};
use crate::expr::fault::Fault;

/// The growth of the work and the result of a function with its arguments.
#[derive(Clone, Copy)]
pub(super) enum Cost {
    /// With their bytes, added up.
    Linear,
    /// `replace`: with the replacement at every place it may go to.
    Replace,
    /// `split`: with the number of parts.
    Split,
    /// `format`: with the clauses, and everything the arguments hold.
    Format,
}

const NO_OPTIONAL: Fault = Fault::Because("this function takes no optional");

/// The cost of any call: it takes about this many times as long as a step.
const CALL: u64 = 40;
/// The most one clause of `format` gives beside the text of its argument: a double without exponent
/// and a hundred decimals.
const CLAUSE_BYTES: usize = 512;
/// The deepest nesting of lists and maps given to `format`: the crate recurses over them.
const NESTING_MAX: u32 = 8;

/// One expression for each number of arguments.
pub(super) struct Call {
    first_count: usize,
    expressions: Vec<IdedExpr>,
}

const OPERANDS: [&str; 4] = ["a", "b", "c", "d"];

impl Call {
    pub fn new(name: &str, member: bool, counts: RangeInclusive<usize>) -> Call {
        let operand = |name: &&str| IdedExpr { id: 0, expr: Expr::Ident((*name).to_owned()) };
        let first_count = *counts.start();
        let expressions = counts.map(|count| {
            let mut args: Vec<IdedExpr> = OPERANDS[..count].iter().map(operand).collect();
            let target = member.then(|| Box::new(args.remove(0)));
            let call = CallExpr { func_name: name.to_owned(), target, args };
            IdedExpr { id: 0, expr: Expr::Call(call) }
        });
        Call { first_count, expressions: expressions.collect() }
    }

    pub fn run<'a>(
        &self,
        cost: Cost,
        eval: &mut Eval<'a>,
        arguments: &[Datum<'a>],
    ) -> Evaluated<'a> {
        eval.budget.charge(CALL)?;
        charge(cost, arguments, &mut eval.budget)?;
        let mut context = Context::with_env(Arc::clone(&ENV));
        for (name, argument) in OPERANDS.iter().zip(arguments) {
            let value = lend(argument, NESTING_MAX, &mut eval.budget)?;
            context.add_variable_as_val(*name, value);
        }
        let expression = &self.expressions[arguments.len() - self.first_count];
        match Value::resolve_val(expression, &context) {
            Ok(value) => take(&value, &mut eval.budget),
            Err(error) => Err(fault(&error)),
        }
    }
}

/// The standard functions with the extensions that are used.
static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::default().with_optional_support(false).with_stdlib();
    for extension in [extensions::strings, extensions::math] {
        env.add_extension(extension).expect("no two extensions declare the same function");
    }
    Arc::new(env)
});

fn len(datum: &Datum<'_>) -> usize {
    datum.utf8().or_else(|| datum.as_bytes()).map_or(0, <[u8]>::len)
}

fn charge(cost: Cost, arguments: &[Datum<'_>], budget: &mut StepBudget) -> Result<(), Fault> {
    let bytes: usize = arguments.iter().map(len).sum();
    budget.make(bytes)?;
    // Where a part of nothing is replaced or split at, that is between any two characters.
    let places = || 1 + len(&arguments[0]) / len(&arguments[1]).max(1);
    match cost {
        Cost::Linear => Ok(()),
        Cost::Replace => budget.make(places().saturating_mul(len(&arguments[2]))),
        Cost::Split => budget.make_list(2 * places()),
        Cost::Format => {
            let format = arguments[0].utf8().unwrap_or_default();
            let clauses = format.iter().filter(|byte| **byte == b'%').count();
            budget.make(clauses * CLAUSE_BYTES)
        }
    }
}

static EPOCH: LazyLock<CelTimestamp> = LazyLock::new(|| {
    let zero = vec![CowVal::owned(CelInt::from(0))];
    let function = ENV.find_overload("timestamp", &zero).expect("timestamp(int) is declared");
    let epoch = function(zero).expect("there is a time 0");
    epoch.downcast_ref::<CelTimestamp>().expect("timestamp() gives a timestamp").clone()
});

/// At any offset from the epoch an instant can have.
fn timestamp(instant: Instant) -> CelTimestamp {
    let distance = Duration::from_secs(instant.seconds.unsigned_abs());
    let epoch = *EPOCH.inner();
    let seconds = if instant.seconds < 0 { epoch - distance } else { epoch + distance };
    CelTimestamp::from(seconds + Duration::from_nanos(instant.nanos.into()))
}

fn duration(nanos: i64) -> CelDuration {
    let distance = Duration::from_nanos(nanos.unsigned_abs());
    let epoch = *EPOCH.inner();
    let there = if nanos < 0 { epoch - distance } else { epoch + distance };
    CelDuration::from(there - epoch)
}

/// The datum as a value of the crate's.
fn lend<'v>(
    datum: &'v Datum<'_>,
    nesting: u32,
    budget: &mut StepBudget,
) -> Result<Box<dyn Val + 'v>, Fault> {
    Ok(match datum {
        Datum::Null => Box::new(CelNull),
        Datum::Bool(value) => Box::new(CelBool::from(*value)),
        Datum::Int(value) => Box::new(CelInt::from(*value)),
        Datum::Uint(value) => Box::new(CelUInt::from(*value)),
        Datum::Double(value) => Box::new(CelDouble::from(*value)),
        Datum::Str(text) => Box::new(CelString::from(text.as_str())),
        Datum::MadeStr(text) => Box::new(CelString::from(&**text)),
        Datum::Bytes(bytes) => Box::new(CelBytes::from(*bytes)),
        Datum::MadeBytes(bytes) => Box::new(CelBytes::from(&**bytes)),
        Datum::Timestamp(instant) => Box::new(timestamp(*instant)),
        Datum::Duration(nanos) => Box::new(duration(*nanos)),
        Datum::Type(name) => Box::new(CelType::new_static(name)),
        Datum::List(_) | Datum::Map(_) => copy(datum, nesting, budget)?,
        Datum::Optional(_) => return Err(NO_OPTIONAL),
    })
}

/// A copy that owns its parts, with everything in it paid for as if it were printed.
fn copy<'v>(
    datum: &Datum<'_>,
    nesting: u32,
    budget: &mut StepBudget,
) -> Result<Box<dyn Val + 'v>, Fault> {
    let nesting =
        nesting.checked_sub(1).ok_or("this function takes no value that nests so deeply")?;
    budget.charge(8)?;
    budget.make(4 * len(datum))?;
    Ok(match datum {
        Datum::List(list) => {
            let items = list.iter().map(|item| copy(&item, nesting, budget));
            Box::new(CelList::from(items.collect::<Result<Vec<_>, Fault>>()?))
        }
        Datum::Map(map) => {
            let mut entries = HashMap::new();
            for (key, value) in map.entries() {
                let key = match &key {
                    Datum::Bool(key) => CelMapKey::Bool((*key).into()),
                    Datum::Int(key) => CelMapKey::Int((*key).into()),
                    Datum::Uint(key) => CelMapKey::UInt((*key).into()),
                    other => {
                        let name = other.as_str().unwrap_or_default().to_owned();
                        budget.make(4 * name.len())?;
                        CelMapKey::String(name.into())
                    }
                };
                entries.insert(key, copy(&value, nesting, budget)?);
            }
            Box::new(CelMap::from(entries))
        }
        Datum::Str(_) | Datum::MadeStr(_) => {
            Box::new(CelString::from(datum.as_str().unwrap_or_default().to_owned()))
        }
        Datum::Bytes(_) | Datum::MadeBytes(_) => {
            Box::new(CelBytes::from(datum.as_bytes().unwrap_or_default().to_vec()))
        }
        Datum::Null => Box::new(CelNull),
        Datum::Bool(value) => Box::new(CelBool::from(*value)),
        Datum::Int(value) => Box::new(CelInt::from(*value)),
        Datum::Uint(value) => Box::new(CelUInt::from(*value)),
        Datum::Double(value) => Box::new(CelDouble::from(*value)),
        Datum::Timestamp(instant) => Box::new(timestamp(*instant)),
        Datum::Duration(nanos) => Box::new(duration(*nanos)),
        Datum::Type(name) => Box::new(CelType::new_static(name)),
        Datum::Optional(_) => return Err(NO_OPTIONAL),
    })
}

/// A result of the crate's as a value of ours.
fn take<'a>(value: &CowVal<'_, '_>, budget: &mut StepBudget) -> Evaluated<'a> {
    let value: &dyn Val = value.as_ref();
    if let Some(value) = value.downcast_ref::<CelInt>() {
        return Ok(Datum::Int(*value.inner()));
    }
    if let Some(text) = value.downcast_ref::<CelString>() {
        budget.make(text.len())?;
        return Ok(Datum::string(text.inner()));
    }
    if let Some(value) = value.downcast_ref::<CelDouble>() {
        return Ok(Datum::Double(*value.inner()));
    }
    if let Some(value) = value.downcast_ref::<CelBool>() {
        return Ok(Datum::Bool(*value.inner()));
    }
    if let Some(value) = value.downcast_ref::<CelUInt>() {
        return Ok(Datum::Uint(*value.inner()));
    }
    if let Some(bytes) = value.downcast_ref::<CelBytes>() {
        budget.make(bytes.len())?;
        return Ok(Datum::MadeBytes(bytes.inner().into()));
    }
    if let Some(value) = value.downcast_ref::<CelTimestamp>() {
        let (seconds, nanos) = (value.inner().timestamp(), value.inner().timestamp_subsec_nanos());
        // A leap second is the one before it, as in cel-go.
        let instant = Instant::new(seconds, nanos.min(999_999_999));
        return instant.map(Datum::Timestamp).ok_or(Fault::Because("timestamp out of range"));
    }
    if let Some(list) = value.downcast_ref::<CelList>() {
        let mut items = Vec::with_capacity(list.len());
        for item in list.inner() {
            let text = item.downcast_ref::<CelString>().ok_or("unexpected result")?;
            items.push(Datum::string(text.inner()));
        }
        return Datum::list(items);
    }
    Err(Fault::Because("unexpected result"))
}

#[cold]
fn fault(error: &ExecutionError) -> Fault {
    /// The text of an error may hold whole arguments.
    const BYTES_MAX: usize = 200;
    let message = match error {
        ExecutionError::NoSuchOverload(_) => {
            "the function takes arguments of other types".to_owned()
        }
        ExecutionError::FunctionError { function, message } => format!("{function}: {message}"),
        other => other.to_string(),
    };
    let end = (0..=BYTES_MAX.min(message.len())).rev().find(|at| message.is_char_boundary(*at));
    Fault::text(message[..end.unwrap_or(0)].to_owned())
}
