//! Computed operands: `=expr` in place of JSON, a number, a string or a duration.
//!
//! The expression is compiled when the statement is parsed, and evaluated once, at the statement's place in the
//! sequence, before its operator looks at anything. A replica is sent the effect, or the command where every expression is a
//! value of `ARGS` or its negative.

use smallvec::SmallVec;

use super::json_patch::Patch;
use super::{Arg, Around, Operand, OperandKind};
use crate::argument;
use crate::error::{Error, ErrorCode, Result};
use crate::limit;
use crate::time::Duration;
use crate::value::{Measured, Number, View, print};

/// The operands with their expressions evaluated; none where no operand is one. `this` is none where the key
/// is missing.
#[inline]
pub fn computed<'s>(
    operands: &[Operand],
    args: &'s [Arg<'_>],
    around: &Around<'_>,
    this: Option<View<'_>>,
) -> Result<Option<SmallVec<[Arg<'s>; 2]>>> {
    match args.iter().any(Arg::is_computed) {
        true => evaluated(operands, args, around, this).map(Some),
        false => Ok(None),
    }
}

#[inline(never)]
fn evaluated<'s>(
    operands: &[Operand],
    args: &'s [Arg<'_>],
    around: &Around<'_>,
    this: Option<View<'_>>,
) -> Result<SmallVec<[Arg<'s>; 2]>> {
    let mut all = SmallVec::new();
    for (operand, arg) in operands.iter().zip(args) {
        // Not collected: a result in between would move every operand twice more.
        all.push(match arg {
            Arg::Computed(program) => {
                let made = program.evaluate(&around.scope(this, None), around.limits)?;
                let source = program.source().as_bytes();
                operand_of(operand, made, around).map_err(|error| error.text("expr", source))?
            }
            known => known.lend(),
        });
    }
    Ok(all)
}

/// A value as the operand it has to be; `TYPE` where it is of another kind.
fn operand_of<'a>(operand: &Operand, made: Measured, around: &Around<'_>) -> Result<Arg<'a>> {
    let limits = around.document;
    if made.depth > limits.depth {
        return Err(Error::limit(limit::DEPTH, limits.depth.into()));
    }
    if made.size > limits.bytes {
        return Err(Error::limit(limit::DOCUMENT_BYTES, limits.bytes));
    }
    let view = made.value.view();
    let wanted = |what: &str| wrong_kind(operand, what, view);
    let text = || view.as_text().map(|text| text.as_str().to_owned());
    Ok(match operand.kind {
        OperandKind::Json => Arg::Json(made),
        OperandKind::JsonArray if view.as_array().is_some() => Arg::Json(made),
        OperandKind::JsonArray => return Err(wanted("an array")),
        OperandKind::JsonObject if view.as_object().is_some() => Arg::Json(made),
        OperandKind::JsonObject => return Err(wanted("an object")),
        OperandKind::JsonString => Arg::Text(text().ok_or_else(|| wanted("a string"))?.into()),
        OperandKind::Number => Arg::Number(view.as_number().ok_or_else(|| wanted("a number"))?),
        OperandKind::Integer => match view.as_number() {
            Some(Number::Int(integer)) => Arg::Integer(integer),
            _ => return Err(wanted("an integer")),
        },
        OperandKind::LockName => {
            let text = text().ok_or_else(|| wanted("a name"))?;
            Arg::Text(argument::lock_name(text.as_bytes(), operand.name)?.to_owned().into())
        }
        OperandKind::Fence => match view.as_number() {
            Some(Number::Int(fence @ 0..)) => Arg::Integer(fence),
            _ => return Err(wanted("a fence")),
        },
        OperandKind::Duration => {
            let text = text().ok_or_else(|| wanted("a duration"))?;
            let refused = |error: Error| match error.code() {
                ErrorCode::Err => wanted("a duration"),
                _ => error,
            };
            Arg::Duration(Duration::parse(text.as_bytes()).map_err(refused)?)
        }
        OperandKind::Patch if view.as_array().is_some() => {
            let text = print::to_string(view);
            Arg::Patch(Patch::parse(text.as_bytes(), limits, around.paths)?)
        }
        OperandKind::Patch => return Err(wanted("an array of operations")),
        _ => unreachable!("no operand of another kind is computed"),
    })
}

#[cold]
fn wrong_kind(operand: &Operand, wanted: &str, found: View<'_>) -> Error {
    let found = match found.kind().name() {
        found @ ("array" | "object") => format!("an {found}"),
        "null" => "null".to_owned(),
        found => format!("a {found}"),
    };
    let message = format!("{} has to be {wanted}, the expression gives {found}", operand.name);
    Error::new(ErrorCode::Type, message)
}
