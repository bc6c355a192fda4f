//! `BYTESAPPEND`: adds bytes behind those of a base64 string (RFC 4648, the standard alphabet, padded).

use super::base64::{decode, encode};
use super::{Absent, Action, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Site};
use crate::error::{Error, ErrorCode, Result};
use crate::reply::Reply;
use crate::value::Value;

#[linkme::distributed_slice(OPERATORS)]
static BYTESAPPEND: OpSpec = OpSpec {
    name: "BYTESAPPEND",
    operands: &[
        Operand { name: "path", kind: OperandKind::Path },
        Operand { name: "base64", kind: OperandKind::Base64 },
    ],
    summary: "Adds bytes behind those a base64 string stands for; standard alphabet, padded",
    accepts: "base64 string",
    absent: Absent::Create,
    reply: "the new length in bytes",
    errors: &[ErrorCode::Type],
    complexity: "O(N) with N the length of the new string",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example::new(r#"{"a":"AQI="}"#, "BYTESAPPEND $.a Aw==", "(integer) 3", r#"{"a":"AQID"}"#),
        Example::new(r#"{"a":""}"#, "BYTESAPPEND $.a +/8=", "(integer) 2", r#"{"a":"+/8="}"#),
        Example::new(r#"{"a":"AQI="}"#, "BYTESAPPEND $.a ''", "(integer) 2", r#"{"a":"AQI="}"#),
        Example::new("{}", "BYTESAPPEND $.a AQI=", "(integer) 2", r#"{"a":"AQI="}"#),
        Example::new("{}", "BYTESAPPEND $.a.b AQI=", "NOPATH", "{}"),
        Example::new(
            r#"["","AQID"]"#,
            "BYTESAPPEND $[*] BA==",
            "[(integer) 1 (integer) 4]",
            r#"["BA==","AQIDBA=="]"#,
        ),
        Example::new(r#"{"a":"AQI"}"#, "BYTESAPPEND $.a Aw==", "TYPE", r#"{"a":"AQI"}"#),
        Example::new(r#"{"a":1}"#, "BYTESAPPEND $.a Aw==", "TYPE", r#"{"a":1}"#),
        Example::new(r#"{"a":"AQI="}"#, "BYTESAPPEND $.a Aw", "ERR", r#"{"a":"AQI="}"#),
        Example::new(r#"{"a":"AQI="}"#, "BYTESAPPEND $.a -_8=", "ERR", r#"{"a":"AQI="}"#),
    ],
    run: Action::Each(bytesappend),
};

fn bytesappend(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    let there = site.text()?;
    let text_bytes = there.map_or(0, |text| text.as_bytes().len()) + args[1].bytes().len();
    // Decoding and encoding take longer than reading.
    site.allowance().text(text_bytes.saturating_mul(4))?;
    let mut bytes = match there {
        Some(text) => decode(text.as_bytes()).ok_or_else(|| {
            Error::new(ErrorCode::Type, "expected a base64 string, found another one")
        })?,
        None => Vec::new(),
    };
    bytes.extend_from_slice(args[1].bytes());
    site.put(Value::string(&encode(&bytes)))?;
    Ok(Reply::count(bytes.len()))
}
