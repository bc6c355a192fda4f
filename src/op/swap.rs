//! `SWAP`: exchanges two values of the document.
//!
//! Neither may contain the other: its new place would be inside itself, which is `NOPATH`.

use super::{
    Absent, Action, Arg, Example, Frame, OPERATORS, OpSpec, Operand, OperandKind, Repeats,
};
use crate::error::{Error, ErrorCode, Result};
use crate::reply::Reply;

#[linkme::distributed_slice(OPERATORS)]
static SWAP: OpSpec = OpSpec {
    name: "SWAP",
    operands: &[
        Operand { name: "a", kind: OperandKind::Singular },
        Operand { name: "b", kind: OperandKind::Singular },
    ],
    summary: "Exchanges two values of the document",
    accepts: "any",
    absent: Absent::Own,
    reply: "1; `NOPATH` if one of the paths matches no value, or one place is inside the other",
    errors: &[ErrorCode::NoPath],
    complexity: "O(1); O(N) with N the number of values in what is moved deeper, or is equal on both sides",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example::new(r#"{"a":1,"b":[2]}"#, "SWAP $.a $.b", "(integer) 1", r#"{"a":[2],"b":1}"#),
        Example::new("[1,2,3]", "SWAP $[0] $[-1]", "(integer) 1", "[3,2,1]"),
        Example::new(
            r#"{"a":{"b":1},"c":{"d":[]}}"#,
            "SWAP $.a.b $.c.d",
            "(integer) 1",
            r#"{"a":{"b":[]},"c":{"d":1}}"#,
        ),
        Example::new(r#"{"a":1,"b":1}"#, "SWAP $.a $.b", "(integer) 1", r#"{"a":1,"b":1}"#),
        Example::new(r#"{"a":1}"#, "SWAP $.a /a", "(integer) 1", r#"{"a":1}"#),
        Example::new(r#"{"a":1}"#, "SWAP $.a $.b", "NOPATH", r#"{"a":1}"#),
        Example::new(r#"{"a":1}"#, "SWAP $.b $.a", "NOPATH", r#"{"a":1}"#),
        Example::new(r#"{"a":{"b":1}}"#, "SWAP $.a $.a.b", "NOPATH", r#"{"a":{"b":1}}"#),
        Example::new(r#"{"a":{"b":1}}"#, "SWAP $.a.b $", "NOPATH", r#"{"a":{"b":1}}"#),
        Example::new(r#"{"a":1}"#, "SWAP $.* $.a", "ERR", r#"{"a":1}"#),
    ],
    run: Action::Once(swap),
};

fn swap(frame: &mut Frame<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    let places = [0, 1].map(|nth: usize| frame.place(args[nth].singular()));
    let [Some(a), Some(b)] = places else {
        return Err(Error::new(ErrorCode::NoPath, "nothing is at one of the paths"));
    };
    if a == b {
        return Ok(Reply::Int(1));
    }
    if a.starts_with(&b) || b.starts_with(&a) {
        return Err(Error::new(
            ErrorCode::NoPath,
            "a value cannot be swapped with a part of itself",
        ));
    }
    let looked_at = frame.editor.exchange(&a, &b)?;
    frame.allowance.scan(looked_at as usize)?;
    Ok(Reply::Int(1))
}
