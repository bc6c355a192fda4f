//! `UPDATE`: sets members, as a dict is updated.

use super::{Absent, Action, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Site};
use crate::budget::weight;
use crate::error::{ErrorCode, Result};
use crate::reply::Reply;
use crate::value::Place;

#[linkme::distributed_slice(OPERATORS)]
static UPDATE: OpSpec = OpSpec {
    name: "UPDATE",
    operands: &[
        Operand { name: "path", kind: OperandKind::Path },
        Operand { name: "object", kind: OperandKind::JsonObject },
    ],
    summary: "Sets every member of an object, shallow; null is stored",
    accepts: "object",
    absent: Absent::Create,
    reply: "the number of members set, whether or not they changed anything",
    errors: &[ErrorCode::Type],
    complexity: "O(M) with M the size of the operand and of the values it replaces",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example::new(
            r#"{"a":1,"b":{"x":1}}"#,
            r#"UPDATE $ '{"b":{"y":2},"c":null}'"#,
            "(integer) 2",
            r#"{"a":1,"b":{"y":2},"c":null}"#,
        ),
        Example::new(r#"{"a":1}"#, r#"UPDATE $ '{"a":1}'"#, "(integer) 1", r#"{"a":1}"#),
        Example::new(r#"{"a":1}"#, "UPDATE $ {}", "(integer) 0", r#"{"a":1}"#),
        Example::new("{}", r#"UPDATE $.a '{"b":1}'"#, "(integer) 1", r#"{"a":{"b":1}}"#),
        Example::new(
            r#"[{},{"a":2}]"#,
            r#"UPDATE $[*] '{"a":1}'"#,
            "[(integer) 1 (integer) 1]",
            r#"[{"a":1},{"a":1}]"#,
        ),
        Example::new("[1]", r#"UPDATE $ '{"a":1}'"#, "TYPE", "[1]"),
        Example::new("{}", "UPDATE $ []", "ERR", "{}"),
    ],
    run: Action::Each(update),
};

fn update(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    let members = args[1].object();
    if site.object()?.is_none() {
        site.put(args[1].json().clone())?;
        return Ok(Reply::count(members.len()));
    }
    site.allowance().spend(weight::MEMBER * members.len() as u64)?;
    let (editor, place) = site.parts();
    for (name, value) in members.iter() {
        let name = name.as_str();
        match editor.at(place).as_object().expect("the place is an object").find(name) {
            Some((position, _)) => editor.replace(&child(place, position), value.to_value())?,
            None => {
                editor.insert_member(place, name, value.to_value())?;
            }
        }
    }
    Ok(Reply::count(members.len()))
}

fn child(place: &Place, position: u32) -> Place {
    let mut child = place.clone();
    child.push(position);
    child
}
