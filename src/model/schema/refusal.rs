//! Refusals of a schema: the message and the subschema it is about.

use crate::error::Error;

/// A refusal of the schema itself, with the JSON Pointer of the subschema.
#[cold]
pub(super) fn refuse(message: impl Into<String>, pointer: &str) -> Error {
    Error::syntax(message.into()).text("schema", pointer.as_bytes())
}

/// A message of bounded length.
pub(super) fn cut(message: &str) -> String {
    const MESSAGE_CHARS_MAX: usize = 200;
    match message.char_indices().nth(MESSAGE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    }
}
