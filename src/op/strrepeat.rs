//! `STRREPEAT`: repeats a string. The size of the result is checked before it is made, so that no count,
//! however large, costs memory.

use super::{Absent, Action, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Site};
use crate::error::{ErrorCode, Result};
use crate::reply::Reply;
use crate::value::{Value, View};

#[linkme::distributed_slice(OPERATORS)]
static STRREPEAT: OpSpec = OpSpec {
    name: "STRREPEAT",
    operands: &[
        Operand { name: "path", kind: OperandKind::Path },
        Operand { name: "n", kind: OperandKind::Integer },
    ],
    summary: "Repeats a string; no times or fewer leave it empty",
    accepts: "string",
    absent: Absent::NoPath,
    reply: "the new length in code points",
    errors: &[ErrorCode::Type, ErrorCode::Limit],
    complexity: "O(N) with N the length of the new string",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example::new(r#"{"a":"ab"}"#, "STRREPEAT $.a 3", "(integer) 6", r#"{"a":"ababab"}"#),
        Example::new(r#"{"a":"ä"}"#, "STRREPEAT $.a 2", "(integer) 2", r#"{"a":"ää"}"#),
        Example::new(r#"{"a":"ab"}"#, "STRREPEAT $.a 1", "(integer) 2", r#"{"a":"ab"}"#),
        Example::new(r#"{"a":"ab"}"#, "STRREPEAT $.a 0", "(integer) 0", r#"{"a":""}"#),
        Example::new(r#"{"a":"ab"}"#, "STRREPEAT $.a -1", "(integer) 0", r#"{"a":""}"#),
        Example::new(
            r#"{"a":""}"#,
            "STRREPEAT $.a 9223372036854775807",
            "(integer) 0",
            r#"{"a":""}"#,
        ),
        Example::new(
            r#"["a","bc"]"#,
            "STRREPEAT $[*] 2",
            "[(integer) 2 (integer) 4]",
            r#"["aa","bcbc"]"#,
        ),
        Example::new("{}", "STRREPEAT $.a 2", "NOPATH", "{}"),
        Example::new(r#"{"a":1}"#, "STRREPEAT $.a 2", "TYPE", r#"{"a":1}"#),
        Example::new(
            r#"{"a":"ab"}"#,
            "STRREPEAT $.a 1000000000000000000",
            "LIMIT",
            r#"{"a":"ab"}"#,
        ),
        Example::new(r#"{"a":"ab"}"#, "STRREPEAT $.a 1.5", "ERR", r#"{"a":"ab"}"#),
    ],
    run: Action::Each(strrepeat),
};

fn strrepeat(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    let text = site.text()?.expect("the operator is run only where something is");
    let bytes = text.as_bytes().len() as u64;
    let times = if bytes == 0 { 0 } else { u64::try_from(args[1].integer()).unwrap_or(0) };
    if times > 1 {
        let rest_of_document = site.size() - View::Str(text).size();
        site.limits().check_bytes(rest_of_document.saturating_add(bytes.saturating_mul(times)))?;
    }
    site.allowance().text(bytes.saturating_mul(times + 1) as usize)?;
    let length = text.code_points() * times as usize;
    let repeated = Value::string(&text.as_str().repeat(times as usize));
    site.put(repeated)?;
    Ok(Reply::count(length))
}
