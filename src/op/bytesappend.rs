//! `BYTESAPPEND`: adds bytes behind those of a base64 string (RFC 4648, the standard alphabet, padded).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Absent, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Run, Site};
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
        Example {
            before: r#"{"a":"AQI="}"#,
            statement: &["BYTESAPPEND", "$.a", "Aw=="],
            reply: "(integer) 3",
            after: r#"{"a":"AQID"}"#,
        },
        Example {
            before: r#"{"a":""}"#,
            statement: &["BYTESAPPEND", "$.a", "+/8="],
            reply: "(integer) 2",
            after: r#"{"a":"+/8="}"#,
        },
        Example {
            before: r#"{"a":"AQI="}"#,
            statement: &["BYTESAPPEND", "$.a", ""],
            reply: "(integer) 2",
            after: r#"{"a":"AQI="}"#,
        },
        Example {
            before: "{}",
            statement: &["BYTESAPPEND", "$.a", "AQI="],
            reply: "(integer) 2",
            after: r#"{"a":"AQI="}"#,
        },
        Example {
            before: "{}",
            statement: &["BYTESAPPEND", "$.a.b", "AQI="],
            reply: "NOPATH",
            after: "{}",
        },
        Example {
            before: r#"["","AQID"]"#,
            statement: &["BYTESAPPEND", "$[*]", "BA=="],
            reply: "[(integer) 1 (integer) 4]",
            after: r#"["BA==","AQIDBA=="]"#,
        },
        Example {
            before: r#"{"a":"AQI"}"#,
            statement: &["BYTESAPPEND", "$.a", "Aw=="],
            reply: "TYPE",
            after: r#"{"a":"AQI"}"#,
        },
        Example {
            before: r#"{"a":1}"#,
            statement: &["BYTESAPPEND", "$.a", "Aw=="],
            reply: "TYPE",
            after: r#"{"a":1}"#,
        },
        Example {
            before: r#"{"a":"AQI="}"#,
            statement: &["BYTESAPPEND", "$.a", "Aw"],
            reply: "ERR",
            after: r#"{"a":"AQI="}"#,
        },
        Example {
            before: r#"{"a":"AQI="}"#,
            statement: &["BYTESAPPEND", "$.a", "-_8="],
            reply: "ERR",
            after: r#"{"a":"AQI="}"#,
        },
    ],
    run: Run::Each(bytesappend),
};

fn bytesappend(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    let mut bytes = match site.text()? {
        Some(text) => decode(text.as_bytes()).ok_or_else(|| {
            Error::new(ErrorCode::Type, "expected a base64 string, found another one")
        })?,
        None => Vec::new(),
    };
    bytes.extend_from_slice(args[1].bytes());
    site.put(Value::string(&STANDARD.encode(&bytes)))?;
    Ok(Reply::count(bytes.len()))
}

/// The bytes; `None` for what is not base64.
pub(super) fn decode(base64: &[u8]) -> Option<Vec<u8>> {
    STANDARD.decode(base64).ok()
}
