//! Types, and values of one type from those of another.

use super::Function;
use super::foreign::Cost::Linear;
use crate::expr::datum::Datum;

/// The functions of this family.
pub(super) static FUNCTIONS: [Function; 8] = [
    Function::conversion(
        "int",
        int_of,
        [
            "int(x)",
            "integer from a number or a string; seconds of a timestamp",
            "bytes / 8",
            "int('12') + int(3.9)",
            "15",
        ],
    ),
    Function::foreign(
        "uint",
        (1, 1),
        Linear,
        ["uint(x)", "unsigned integer, likewise", "bytes / 8", "uint(3) + 1u", "4"],
    ),
    Function::conversion(
        "double",
        double_of,
        ["double(x)", "double from a number or a string", "bytes / 8", "double('1.5')", "1.5"],
    ),
    Function::foreign(
        "bool",
        (1, 1),
        Linear,
        ["bool(x)", "boolean from a string", "bytes / 8", "bool('true')", "true"],
    ),
    Function::foreign(
        "string",
        (1, 1),
        Linear,
        [
            "string(x)",
            "string from a scalar, bytes, a timestamp or a duration",
            "bytes / 8",
            "string(1.5) + string(true)",
            "\"1.5true\"",
        ],
    ),
    Function::foreign(
        "bytes",
        (1, 1),
        Linear,
        ["bytes(x)", "UTF-8 bytes of a string", "bytes / 8", "bytes('abc') == b'abc'", "true"],
    ),
    Function::global(
        "type",
        (1, 1),
        |_, arguments| Ok(Datum::Type(arguments[0].type_name())),
        [
            "type(x)",
            "type of the value; as JSON its name",
            "1",
            "[type(1.5), type([])]",
            r#"["double","list"]"#,
        ],
    ),
    Function::global(
        "dyn",
        (1, 1),
        |_, arguments| Ok(arguments[0].clone()),
        [
            "dyn(x)",
            "the value itself: types are checked at evaluation only",
            "1",
            "dyn(1) == 1",
            "true",
        ],
    ),
];

/// The seconds of a timestamp are asked for by every condition that compares `now` with a number.
fn int_of<'a>(datum: &Datum<'a>) -> Option<Datum<'a>> {
    match datum {
        Datum::Int(_) => Some(datum.clone()),
        Datum::Timestamp(instant) => Some(Datum::Int(instant.seconds)),
        _ => None,
    }
}

fn double_of<'a>(datum: &Datum<'a>) -> Option<Datum<'a>> {
    matches!(datum, Datum::Double(_)).then(|| datum.clone())
}
