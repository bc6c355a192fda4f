//! Types, and values of one type from those of another.

use super::Function;
use super::foreign::Cost::Linear;
use crate::expr::datum::Datum;

/// The functions of this family.
pub(super) static FUNCTIONS: [Function; 8] = [
    Function::foreign(
        "int",
        (1, 1),
        Linear,
        [
            "int(x)",
            "from a number, a string, seconds of a timestamp",
            "bytes / 8",
            "int('12') + int(3.9)",
            "15",
        ],
    ),
    Function::foreign(
        "uint",
        (1, 1),
        Linear,
        ["uint(x)", "the same, unsigned", "bytes / 8", "uint(3) + 1u", "4"],
    ),
    Function::foreign(
        "double",
        (1, 1),
        Linear,
        ["double(x)", "from a number or a string", "bytes / 8", "double('1.5')", "1.5"],
    ),
    Function::foreign(
        "bool",
        (1, 1),
        Linear,
        ["bool(x)", "from a string", "bytes / 8", "bool('true')", "true"],
    ),
    Function::foreign(
        "string",
        (1, 1),
        Linear,
        [
            "string(x)",
            "from a scalar, bytes, a time",
            "bytes / 8",
            "string(1.5) + string(true)",
            "\"1.5true\"",
        ],
    ),
    Function::foreign(
        "bytes",
        (1, 1),
        Linear,
        ["bytes(x)", "UTF-8 of a string", "bytes / 8", "bytes('abc') == b'abc'", "true"],
    ),
    Function::global(
        "type",
        (1, 1),
        |_, arguments| Ok(Datum::Type(arguments[0].type_name())),
        ["type(x)", "the type of a value", "1", "type(1.5) == double", "true"],
    ),
    Function::global(
        "dyn",
        (1, 1),
        |_, arguments| Ok(arguments[0].clone()),
        ["dyn(x)", "the value itself: types are not checked ahead", "1", "dyn(1) == 1", "true"],
    ),
];
