//! `STRAPPEND`: adds text behind a string.

use super::{Absent, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Run, Site};
use crate::error::{ErrorCode, Result};
use crate::reply::Reply;
use crate::value::Value;

#[linkme::distributed_slice(OPERATORS)]
static STRAPPEND: OpSpec = OpSpec {
    name: "STRAPPEND",
    operands: &[
        Operand { name: "path", kind: OperandKind::Path },
        Operand { name: "json-string", kind: OperandKind::JsonString },
    ],
    summary: "Adds text behind a string",
    accepts: "string",
    absent: Absent::Create,
    reply: "the new length in code points",
    errors: &[ErrorCode::Type],
    complexity: "O(N) with N the length of the new string",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example {
            before: r#"{"a":"ab"}"#,
            statement: &["STRAPPEND", "$.a", r#""cd""#],
            reply: "(integer) 4",
            after: r#"{"a":"abcd"}"#,
        },
        Example {
            before: r#"{"a":"€"}"#,
            statement: &["STRAPPEND", "$.a", r#""\ud83d\ude00""#],
            reply: "(integer) 2",
            after: r#"{"a":"€😀"}"#,
        },
        Example {
            before: r#"{"a":"ab"}"#,
            statement: &["STRAPPEND", "$.a", r#""""#],
            reply: "(integer) 2",
            after: r#"{"a":"ab"}"#,
        },
        Example {
            before: "{}",
            statement: &["STRAPPEND", "$.a", r#""cd""#],
            reply: "(integer) 2",
            after: r#"{"a":"cd"}"#,
        },
        Example {
            before: "{}",
            statement: &["STRAPPEND", "$.a.b", r#""cd""#],
            reply: "NOPATH",
            after: "{}",
        },
        Example {
            before: r#"["a",""]"#,
            statement: &["STRAPPEND", "$[*]", r#""b""#],
            reply: "[(integer) 2 (integer) 1]",
            after: r#"["ab","b"]"#,
        },
        Example {
            before: r#"{"a":1}"#,
            statement: &["STRAPPEND", "$.a", r#""cd""#],
            reply: "TYPE",
            after: r#"{"a":1}"#,
        },
        Example {
            before: r#"{"a":"ab"}"#,
            statement: &["STRAPPEND", "$.a", "cd"],
            reply: "ERR",
            after: r#"{"a":"ab"}"#,
        },
    ],
    run: Run::Each(strappend),
};

fn strappend(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    let mut joined = site.text()?.map_or(String::new(), |text| text.as_str().to_owned());
    joined.push_str(args[1].text());
    let length = crate::value::Text::from(joined.as_str()).code_points();
    site.put(Value::string(&joined))?;
    Ok(Reply::count(length))
}
