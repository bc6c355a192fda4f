//! The value of an expression as a JSON value.
//!
//! Times become their RFC 3339 text, durations seconds with an `s`, bytes base64, keys of maps
//! strings. Values that JSON does not have are refused: NaN, infinities, unsigned integers beyond an
//! `i64`, types, optionals. Everything written is paid for, documents that are copied too.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::budget::StepBudget;
use super::code::{ExprNode, NodeId};
use super::datum::{Datum, List, Map};
use super::eval::Eval;
use super::fault::Fault;
use super::functions;
use crate::error::Error;
use crate::value::{Limits, Measured, Number, ValueBuilder, View};

/// The value of a whole expression.
#[inline]
pub(super) fn evaluated<'a>(eval: &mut Eval<'a>, root: NodeId) -> Result<Measured, Fault> {
    // A map that is written out becomes an object without being made before.
    if let ExprNode::Map(parts) = eval.node_at(root) {
        let entries = eval.root_entries(parts)?;
        let mut builder = ValueBuilder::new(&Limits::NONE);
        eval.budget.charge(1)?;
        put_entries(eval, &entries, &mut builder)?;
        return Ok(builder.finish());
    }
    let datum = eval.node(root)?;
    measured(eval, &datum)
}

pub(super) fn measured<'a>(eval: &mut Eval<'a>, datum: &Datum<'a>) -> Result<Measured, Fault> {
    let number = match datum {
        Datum::Int(value) => Some(Number::Int(*value)),
        Datum::Double(value) if value.is_finite() => Some(Number::Float(*value)),
        _ => None,
    };
    if let Some(number) = number {
        return Ok(number.into());
    }
    let mut builder = ValueBuilder::new(&Limits::NONE);
    put(eval, datum, &mut builder)?;
    Ok(builder.finish())
}

fn refused(error: Error) -> Fault {
    Fault::Refused(error)
}

fn put<'a>(eval: &mut Eval<'a>, datum: &Datum<'a>, out: &mut ValueBuilder) -> Result<(), Fault> {
    eval.budget.charge(1)?;
    match datum {
        Datum::Null => out.null().map_err(refused),
        Datum::Bool(value) => out.boolean(*value).map_err(refused),
        Datum::Int(value) => out.number(Number::Int(*value)).map_err(refused),
        Datum::Uint(value) => {
            let value =
                i64::try_from(*value).map_err(|_| "JSON has no unsigned integer so large")?;
            out.number(Number::Int(value)).map_err(refused)
        }
        Datum::Double(value) => {
            let number =
                Number::from_f64(*value).map_err(|_| "the result is not a finite number")?;
            out.number(number).map_err(refused)
        }
        Datum::Str(_) | Datum::MadeStr(_) => put_text(eval, datum, out),
        Datum::Bytes(_) | Datum::MadeBytes(_) => {
            let bytes = datum.as_bytes().unwrap_or_default();
            eval.budget.make(2 * bytes.len())?;
            out.string(&STANDARD.encode(bytes)).map_err(refused)
        }
        Datum::Timestamp(_) | Datum::Duration(_) => {
            let string = functions::find("string", false, 1).expect("string() is declared");
            let text = string.call(eval, std::slice::from_ref(datum))?;
            put_text(eval, &text, out)
        }
        Datum::Optional(_) => Err("JSON has no optionals: use orValue() or value()".into()),
        Datum::Type(name) => {
            eval.budget.make(name.len())?;
            out.string(name).map_err(refused)
        }
        Datum::List(List::Document(array)) => put_view(View::Array(*array), &mut eval.budget, out),
        Datum::Map(Map::Document(object)) => put_view(View::Object(*object), &mut eval.budget, out),
        Datum::List(list) => {
            out.begin_array().map_err(refused)?;
            for item in list.iter() {
                put(eval, &item, out)?;
            }
            out.end();
            Ok(())
        }
        Datum::Map(map) => put_map(eval, map, out),
    }
}

#[inline(never)]
fn put_text(eval: &mut Eval<'_>, datum: &Datum<'_>, out: &mut ValueBuilder) -> Result<(), Fault> {
    let text = datum.as_str().unwrap_or_default();
    eval.budget.make(text.len())?;
    out.string(text).map_err(refused)
}

#[inline(never)]
fn put_map<'a>(eval: &mut Eval<'a>, map: &Map<'a>, out: &mut ValueBuilder) -> Result<(), Fault> {
    out.begin_object().map_err(refused)?;
    for (key, value) in map.entries() {
        put_member(eval, &key, &value, out)?;
    }
    out.end();
    Ok(())
}

fn put_entries<'a>(
    eval: &mut Eval<'a>,
    entries: &[(Datum<'a>, Datum<'a>)],
    out: &mut ValueBuilder,
) -> Result<(), Fault> {
    out.begin_object().map_err(refused)?;
    for (key, value) in entries {
        put_member(eval, key, value, out)?;
    }
    out.end();
    Ok(())
}

#[inline]
fn put_member<'a>(
    eval: &mut Eval<'a>,
    key: &Datum<'a>,
    value: &Datum<'a>,
    out: &mut ValueBuilder,
) -> Result<(), Fault> {
    let name = key_text(key)?;
    eval.budget.make(name.len())?;
    out.name(&name).map_err(refused)?;
    put(eval, value, out)
}

fn key_text<'k>(key: &'k Datum<'_>) -> Result<Cow<'k, str>, Fault> {
    Ok(match key {
        Datum::Bool(key) => key.to_string().into(),
        Datum::Int(key) => key.to_string().into(),
        Datum::Uint(key) => key.to_string().into(),
        other => other.as_str().ok_or("a key is a string")?.into(),
    })
}

/// A part of a document. The recursion is that of the document room's own builder.
fn put_view(view: View<'_>, budget: &mut StepBudget, out: &mut ValueBuilder) -> Result<(), Fault> {
    budget.charge(1)?;
    match view {
        View::Str(text) => {
            budget.make(text.as_bytes().len())?;
            out.string(text.as_str()).map_err(refused)
        }
        View::Array(array) => {
            out.begin_array().map_err(refused)?;
            for item in array.iter() {
                put_view(item, budget, out)?;
            }
            out.end();
            Ok(())
        }
        View::Object(object) => {
            out.begin_object().map_err(refused)?;
            for (name, value) in object.iter() {
                budget.make(name.as_bytes().len())?;
                out.name(name.as_str()).map_err(refused)?;
                put_view(value, budget, out)?;
            }
            out.end();
            Ok(())
        }
        scalar => out.events(scalar).map_err(refused),
    }
}
