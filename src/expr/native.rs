//! Questions about the server's own structures: `native['board'].score('ann')`.
//!
//! An expression asks through [`super::DocumentSource`]; the answer is about the structure as it was before the
//! transaction.

/// A question about one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NativeQuestion<'q> {
    /// Flag: a set, a sorted set or a hash has this member or field.
    Has(&'q [u8]),
    /// The score of a member of a sorted set.
    Score(&'q [u8]),
    /// The position of a member of a sorted set, from the lowest score, from 0.
    Rank(&'q [u8]),
    /// The value of a field of a hash.
    Field(&'q [u8]),
    /// The number of elements, members, fields or entries; of a string its bytes. 0 where the key is missing.
    Size,
    /// The content of a string.
    Text,
    /// The last id of a stream.
    Last,
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq)]
pub enum NativeAnswer {
    /// The key, the member or the field is missing.
    Missing,
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(Vec<u8>),
}

/// The methods of `native[key]` as expressions call them: name, the number of arguments.
pub const NATIVE_METHODS: [(&str, usize); 7] =
    [("has", 1), ("score", 1), ("rank", 1), ("field", 1), ("size", 0), ("text", 0), ("last", 0)];

impl<'q> NativeQuestion<'q> {
    /// The question of a method, by its number in [`NATIVE_METHODS`]; `operand` is its argument, if it has one.
    pub fn of_method(method: usize, operand: &'q [u8]) -> NativeQuestion<'q> {
        match NATIVE_METHODS[method].0 {
            "has" => NativeQuestion::Has(operand),
            "score" => NativeQuestion::Score(operand),
            "rank" => NativeQuestion::Rank(operand),
            "field" => NativeQuestion::Field(operand),
            "size" => NativeQuestion::Size,
            "text" => NativeQuestion::Text,
            _ => NativeQuestion::Last,
        }
    }

    /// The name of the method.
    pub fn method(&self) -> &'static str {
        match self {
            NativeQuestion::Has(_) => "has",
            NativeQuestion::Score(_) => "score",
            NativeQuestion::Rank(_) => "rank",
            NativeQuestion::Field(_) => "field",
            NativeQuestion::Size => "size",
            NativeQuestion::Text => "text",
            NativeQuestion::Last => "last",
        }
    }
}
