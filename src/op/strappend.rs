//! `STRAPPEND`: adds text behind a string.

use super::{Absent, Action, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Site};
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
    summary: "Appends text to a string",
    accepts: "string",
    absent: Absent::Create,
    reply: "the new length in code points",
    errors: &[ErrorCode::Type],
    complexity: "O(N) with N the length of the new string",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example::new(r#"{"a":"ab"}"#, r#"STRAPPEND $.a '"cd"'"#, "(integer) 4", r#"{"a":"abcd"}"#),
        Example::new(
            r#"{"a":"€"}"#,
            r#"STRAPPEND $.a '"\ud83d\ude00"'"#,
            "(integer) 2",
            r#"{"a":"€😀"}"#,
        ),
        Example::new(r#"{"a":"ab"}"#, r#"STRAPPEND $.a '""'"#, "(integer) 2", r#"{"a":"ab"}"#),
        Example::new("{}", r#"STRAPPEND $.a '"cd"'"#, "(integer) 2", r#"{"a":"cd"}"#),
        Example::new("{}", r#"STRAPPEND $.a.b '"cd"'"#, "NOPATH", "{}"),
        Example::new(
            r#"["a",""]"#,
            r#"STRAPPEND $[*] '"b"'"#,
            "[(integer) 2 (integer) 1]",
            r#"["ab","b"]"#,
        ),
        Example::new(r#"{"a":1}"#, r#"STRAPPEND $.a '"cd"'"#, "TYPE", r#"{"a":1}"#),
        Example::new(r#"{"a":"ab"}"#, "STRAPPEND $.a cd", "ERR", r#"{"a":"ab"}"#),
    ],
    run: Action::Each(strappend),
};

/// The steps of a short text, which is made anew.
const TEXT_STEPS: u64 = 40;

fn strappend(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    let text = site.text()?;
    let bytes = text.map_or(0, |text| text.as_bytes().len()) + args[1].text().len();
    // It is read, copied and counted, beside what putting it takes.
    site.allowance().text(bytes.saturating_mul(2))?;
    site.allowance().spend(TEXT_STEPS)?;
    let mut joined = text.map_or(String::new(), |text| text.as_str().to_owned());
    joined.push_str(args[1].text());
    let length = crate::value::Text::from(joined.as_str()).code_points();
    site.put(Value::string(&joined))?;
    Ok(Reply::count(length))
}
