//! `MOVE`: moves a value to another place of the document.
//!
//! Both paths mean the document as it is before the statement, as if the value were copied to its new place and what
//! is left of it at the old one removed then: `MOVE $.a[0] $.a[2]` replaces the third element, which becomes the second
//! when the first is gone. What stands at the target is replaced, never pushed aside as JSON Patch (RFC 6902) does it; to
//! move an element to the end, move it past the end (`/a/-`). A value cannot move into itself: its new place would
//! be gone with it, which is `NOPATH`.

use super::{Absent, Arg, Example, Frame, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Run};
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
    errors: &[ErrorCode::NoPath],
    complexity: "O(N) with N the size of the value and of what it replaces, and the elements that shift",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example {
            before: r#"{"a":[1]}"#,
            statement: &["MOVE", "$.a", "$.b"],
            reply: "(integer) 1",
            after: r#"{"b":[1]}"#,
        },
        Example {
            before: r#"{"a":1,"b":2,"c":3}"#,
            statement: &["MOVE", "$.a", "$.c"],
            reply: "(integer) 1",
            after: r#"{"b":2,"c":1}"#,
        },
        Example {
            before: r#"{"a":{"b":{"c":1}}}"#,
            statement: &["MOVE", "$.a.b", "$.a"],
            reply: "(integer) 1",
            after: r#"{"a":{"c":1}}"#,
        },
        Example {
            before: r#"{"a":{"b":1}}"#,
            statement: &["MOVE", "$.a", "$"],
            reply: "(integer) 1",
            after: r#"{"b":1}"#,
        },
        Example {
            before: "[1,2,3]",
            statement: &["MOVE", "$[0]", "$[2]"],
            reply: "(integer) 1",
            after: "[2,1]",
        },
        Example {
            before: "[1,2,3]",
            statement: &["MOVE", "$[2]", "$[0]"],
            reply: "(integer) 1",
            after: "[3,2]",
        },
        Example {
            before: "[1,2,3]",
            statement: &["MOVE", "$[0]", "/-"],
            reply: "(integer) 1",
            after: "[2,3,1]",
        },
        Example {
            before: "[1,[2],3]",
            statement: &["MOVE", "$[0]", "$[1][1]"],
            reply: "(integer) 1",
            after: "[[2,1],3]",
        },
        Example {
            before: r#"{"a":1}"#,
            statement: &["MOVE", "$.a", "$.a"],
            reply: "(integer) 1",
            after: r#"{"a":1}"#,
        },
        Example {
            before: "[1,2]",
            statement: &["MOVE", "$[-1]", "$[1]"],
            reply: "(integer) 1",
            after: "[1,2]",
        },
        Example {
            before: "[1,2]",
            statement: &["MOVE", "$[1]", "$[2]"],
            reply: "(integer) 1",
            after: "[1,2]",
        },
        Example {
            before: r#"{"a":1}"#,
            statement: &["MOVE", "$.b", "$.a"],
            reply: "NOPATH",
            after: r#"{"a":1}"#,
        },
        Example {
            before: r#"{"a":1}"#,
            statement: &["MOVE", "$.a", "$.b.c"],
            reply: "NOPATH",
            after: r#"{"a":1}"#,
        },
        Example {
            before: r#"{"a":{"b":1}}"#,
            statement: &["MOVE", "$.a", "$.a.b"],
            reply: "NOPATH",
            after: r#"{"a":{"b":1}}"#,
        },
        Example {
            before: r#"{"a":{}}"#,
            statement: &["MOVE", "$.a", "$.a.b"],
            reply: "NOPATH",
            after: r#"{"a":{}}"#,
        },
        Example {
            before: r#"{"a":1,"b":2}"#,
            statement: &["MOVE", "$.a", "$.b.c"],
            reply: "TYPE",
            after: r#"{"a":1,"b":2}"#,
        },
        Example {
            before: "[1,2]",
            statement: &["MOVE", "$[0]", "$[3]"],
            reply: "RANGE",
            after: "[1,2]",
        },
        Example {
            before: r#"{"a":1}"#,
            statement: &["MOVE", "$", "$.a"],
            reply: "ERR",
            after: r#"{"a":1}"#,
        },
        Example {
            before: r#"{"a":1}"#,
            statement: &["MOVE", "$.*", "$.b"],
            reply: "ERR",
            after: r#"{"a":1}"#,
        },
    ],
    run: Run::Once(move_value),
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
    let moved = target.take(&from)?;
    target.put(moved)?;
    Ok(Reply::Int(1))
}
