//! `STRREPEAT`: repeats a string. How large the result would be is judged before it is made, so that no count,
//! however large, costs memory.

use super::{Absent, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Run, Site};
use crate::error::{ErrorCode, Result};
use crate::reply::Reply;
use crate::value::Value;

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
        Example {
            before: r#"{"a":"ab"}"#,
            statement: &["STRREPEAT", "$.a", "3"],
            reply: "(integer) 6",
            after: r#"{"a":"ababab"}"#,
        },
        Example {
            before: r#"{"a":"ä"}"#,
            statement: &["STRREPEAT", "$.a", "2"],
            reply: "(integer) 2",
            after: r#"{"a":"ää"}"#,
        },
        Example {
            before: r#"{"a":"ab"}"#,
            statement: &["STRREPEAT", "$.a", "1"],
            reply: "(integer) 2",
            after: r#"{"a":"ab"}"#,
        },
        Example {
            before: r#"{"a":"ab"}"#,
            statement: &["STRREPEAT", "$.a", "0"],
            reply: "(integer) 0",
            after: r#"{"a":""}"#,
        },
        Example {
            before: r#"{"a":"ab"}"#,
            statement: &["STRREPEAT", "$.a", "-1"],
            reply: "(integer) 0",
            after: r#"{"a":""}"#,
        },
        Example {
            before: r#"{"a":""}"#,
            statement: &["STRREPEAT", "$.a", "9223372036854775807"],
            reply: "(integer) 0",
            after: r#"{"a":""}"#,
        },
        Example {
            before: r#"["a","bc"]"#,
            statement: &["STRREPEAT", "$[*]", "2"],
            reply: "[(integer) 2 (integer) 4]",
            after: r#"["aa","bcbc"]"#,
        },
        Example {
            before: "{}",
            statement: &["STRREPEAT", "$.a", "2"],
            reply: "NOPATH",
            after: "{}",
        },
        Example {
            before: r#"{"a":1}"#,
            statement: &["STRREPEAT", "$.a", "2"],
            reply: "TYPE",
            after: r#"{"a":1}"#,
        },
        Example {
            before: r#"{"a":"ab"}"#,
            statement: &["STRREPEAT", "$.a", "1000000000000000000"],
            reply: "LIMIT",
            after: r#"{"a":"ab"}"#,
        },
        Example {
            before: r#"{"a":"ab"}"#,
            statement: &["STRREPEAT", "$.a", "1.5"],
            reply: "ERR",
            after: r#"{"a":"ab"}"#,
        },
    ],
    run: Run::Each(strrepeat),
};

fn strrepeat(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    let text = site.text()?.expect("the operator is run only where something is");
    let bytes = text.as_bytes().len() as u64;
    let times = if bytes == 0 { 0 } else { u64::try_from(args[1].integer()).unwrap_or(0) };
    if times > 1 {
        let rest_of_document = site.size() - bytes;
        site.limits().check_bytes(rest_of_document.saturating_add(bytes.saturating_mul(times)))?;
    }
    let length = text.code_points() * times as usize;
    let repeated = Value::string(&text.as_str().repeat(times as usize));
    site.put(repeated)?;
    Ok(Reply::count(length))
}
