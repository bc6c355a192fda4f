//! `MOVE`: moves a value to another place of the document.
//!
//! Both paths mean the document as it is before the statement, as if the value were copied to its new place and what
//! is left of it at the old one removed then: `MOVE $.a[0] $.a[2]` replaces the third element, which becomes the second
//! when the first is gone. What stands at the target is replaced, never pushed aside as JSON Patch (RFC 6902) does it; to
//! move an element to the end, move it past the end (`/a/-`). A value cannot move into itself: its new place would
//! be gone with it, which is `NOPATH`.

use super::{
    Absent, Action, Arg, Example, Frame, OPERATORS, OpSpec, Operand, OperandKind, Repeats,
};
use crate::error::{Error, ErrorCode, Result};
use crate::reply::Reply;

#[linkme::distributed_slice(OPERATORS)]
static MOVE: OpSpec = OpSpec {
    name: "MOVE",
    operands: &[
        Operand { name: "from", kind: OperandKind::SingularBelowRoot },
        Operand { name: "to", kind: OperandKind::Singular },
    ],
    summary: "Moves a value to another place of the document, replacing what is there; both paths mean the document before the move",
    accepts: "any",
    absent: Absent::Own,
    reply: "1; `NOPATH` where nothing is at the source, or the target is inside of it",
    errors: &[ErrorCode::NoPath, ErrorCode::Type, ErrorCode::Range],
    complexity: "O(N) with N the size of what is replaced, and the elements that shift; moved deeper, of the value",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example::new(r#"{"a":[1]}"#, "MOVE $.a $.b", "(integer) 1", r#"{"b":[1]}"#),
        Example::new(r#"{"a":1,"b":2,"c":3}"#, "MOVE $.a $.c", "(integer) 1", r#"{"b":2,"c":1}"#),
        Example::new(r#"{"a":{"b":{"c":1}}}"#, "MOVE $.a.b $.a", "(integer) 1", r#"{"a":{"c":1}}"#),
        Example::new(r#"{"a":{"b":1}}"#, "MOVE $.a $", "(integer) 1", r#"{"b":1}"#),
        Example::new("[1,2,3]", "MOVE $[0] $[2]", "(integer) 1", "[2,1]"),
        Example::new("[1,2,3]", "MOVE $[2] $[0]", "(integer) 1", "[3,2]"),
        Example::new("[1,2,3]", "MOVE $[0] /-", "(integer) 1", "[2,3,1]"),
        Example::new("[1,[2],3]", "MOVE $[0] $[1][1]", "(integer) 1", "[[2,1],3]"),
        Example::new(r#"{"a":1}"#, "MOVE $.a $.a", "(integer) 1", r#"{"a":1}"#),
        Example::new("[1,2]", "MOVE $[-1] $[1]", "(integer) 1", "[1,2]"),
        Example::new("[1,2]", "MOVE $[1] $[2]", "(integer) 1", "[1,2]"),
        Example::new(r#"{"a":1}"#, "MOVE $.b $.a", "NOPATH", r#"{"a":1}"#),
        Example::new(r#"{"a":1}"#, "MOVE $.a $.b.c", "NOPATH", r#"{"a":1}"#),
        Example::new(r#"{"a":{"b":1}}"#, "MOVE $.a $.a.b", "NOPATH", r#"{"a":{"b":1}}"#),
        Example::new(r#"{"a":{}}"#, "MOVE $.a $.a.b", "NOPATH", r#"{"a":{}}"#),
        Example::new(r#"{"a":1,"b":2}"#, "MOVE $.a $.b.c", "TYPE", r#"{"a":1,"b":2}"#),
        Example::new("[1,2]", "MOVE $[0] $[3]", "RANGE", "[1,2]"),
        Example::new(r#"{"a":1}"#, "MOVE $ $.a", "ERR", r#"{"a":1}"#),
        Example::new(r#"{"a":1}"#, "MOVE $.* $.b", "ERR", r#"{"a":1}"#),
    ],
    run: Action::Once(move_value),
};

fn move_value(frame: &mut Frame<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    let no_path = |message| Err(Error::new(ErrorCode::NoPath, message));
    let Some(from) = frame.place(args[0].singular()) else {
        return no_path("nothing is at the source path");
    };
    let mut target = frame.site(args[1].singular());
    if let Some(error) = target.blocked() {
        return Err(error.clone());
    }
    if target.is_where(&from) {
        return Ok(Reply::Int(1));
    }
    if target.is_inside(&from) {
        return no_path("a value cannot be moved into itself");
    }
    target.put_from(&from)?;
    Ok(Reply::Int(1))
}
