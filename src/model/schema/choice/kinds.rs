//! Kinds of values, as bits. A number without a fraction is an integer.

use crate::value::View;

pub const ALL: u8 = 0x7f;
pub const INTEGER: u8 = 1 << 2;
pub const FRACTION: u8 = 1 << 3;
pub const OBJECT: u8 = 1 << 6;
pub const COUNT: usize = 7;

/// The bit of a type; two bits for numbers.
pub fn of_type(name: &str) -> Option<u8> {
    Some(match name {
        "null" => 1,
        "boolean" => 1 << 1,
        "integer" => INTEGER,
        "number" => INTEGER | FRACTION,
        "string" => 1 << 4,
        "array" => 1 << 5,
        "object" => OBJECT,
        _ => return None,
    })
}

/// The number of a value's kind: the position of its bit.
#[inline]
pub fn index(view: View<'_>) -> usize {
    match view {
        View::Null => 0,
        View::Bool(_) => 1,
        View::Int(_) => 2,
        View::Float(value) => 3 - usize::from(value.trunc() == value),
        View::Str(_) => 4,
        View::Array(_) => 5,
        View::Object(_) => 6,
    }
}
