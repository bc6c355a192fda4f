//! The closed table of error codes, and the error that carries one to the client.
//!
//! An error is one line: the code's word, then one JSON object. The client branches on the word, a
//! person reads the object. Text from the user is JSON-escaped in the object, so that no NUL, CR or LF
//! can reach the wire.

use std::borrow::Cow;
use std::fmt;

use crate::limit::Limit;

/// The kind of a refusal. The words are the contract of design section 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorCode {
    /// Wrong syntax, unknown operator, malformed JSON, path or integer. Found before any look-up.
    Err,
    /// The key holds a value of another type.
    WrongType,
    /// The key is missing and the statement needs a document.
    NoKey,
    /// The key exists and must not.
    BusyKey,
    /// The model is not defined here.
    NoModel,
    /// The action is not defined here.
    NoAction,
    /// The model still has documents.
    InUse,
    /// The path matches no value, or a parent is missing.
    NoPath,
    /// The value at the path is of the wrong kind.
    Type,
    /// An index, a division or a number outside what can be represented.
    Range,
    /// The exact result does not fit a signed 64-bit integer.
    Overflow,
    /// The document would violate its model's schema, or the arguments of a call that of the action.
    Schema,
    /// The document would violate one of its model's rules.
    Rule,
    /// Another document has the same values in an index with UNIQUE.
    Unique,
    /// No index of the model serves the query.
    NoIndex,
    /// The indexes of the model are being built.
    Indexing,
    /// An `IF`, `EXISTS` or `MISSING` is false.
    Condition,
    /// The document's revision is not the one asked for.
    Revision,
    /// An expression does not compile, fails, or exceeds its budget.
    Expr,
    /// The lock is no longer held by this grant.
    LockLost,
    /// Waiting would close a cycle of owners.
    Deadlock,
    /// The token was used for a different request.
    TokenMismatch,
    /// The token's window is over.
    TokenExpired,
    /// The caller may not run the server's command that a native stands for, or not on this key or channel.
    NoPerm,
    /// The hash slot is being moved, and a key is not there.
    TryAgain,
    /// A named limit would be exceeded.
    Limit,
}

impl ErrorCode {
    /// Every code, in the order of the table.
    pub const ALL: [ErrorCode; 26] = [
        ErrorCode::Err,
        ErrorCode::WrongType,
        ErrorCode::NoKey,
        ErrorCode::BusyKey,
        ErrorCode::NoModel,
        ErrorCode::NoAction,
        ErrorCode::InUse,
        ErrorCode::NoPath,
        ErrorCode::Type,
        ErrorCode::Range,
        ErrorCode::Overflow,
        ErrorCode::Schema,
        ErrorCode::Rule,
        ErrorCode::Unique,
        ErrorCode::NoIndex,
        ErrorCode::Indexing,
        ErrorCode::Condition,
        ErrorCode::Revision,
        ErrorCode::Expr,
        ErrorCode::LockLost,
        ErrorCode::Deadlock,
        ErrorCode::TokenMismatch,
        ErrorCode::TokenExpired,
        ErrorCode::NoPerm,
        ErrorCode::TryAgain,
        ErrorCode::Limit,
    ];

    /// The first word of the error line.
    pub const fn word(self) -> &'static str {
        match self {
            ErrorCode::Err => "ERR",
            ErrorCode::WrongType => "WRONGTYPE",
            ErrorCode::NoKey => "NOKEY",
            ErrorCode::BusyKey => "BUSYKEY",
            ErrorCode::NoModel => "NOMODEL",
            ErrorCode::NoAction => "NOACTION",
            ErrorCode::InUse => "INUSE",
            ErrorCode::NoPath => "NOPATH",
            ErrorCode::Type => "TYPE",
            ErrorCode::Range => "RANGE",
            ErrorCode::Overflow => "OVERFLOW",
            ErrorCode::Schema => "SCHEMA",
            ErrorCode::Rule => "RULE",
            ErrorCode::Unique => "UNIQUE",
            ErrorCode::NoIndex => "NOINDEX",
            ErrorCode::Indexing => "INDEXING",
            ErrorCode::Condition => "CONDITION",
            ErrorCode::Revision => "REVISION",
            ErrorCode::Expr => "EXPR",
            ErrorCode::LockLost => "LOCKLOST",
            ErrorCode::Deadlock => "DEADLOCK",
            ErrorCode::TokenMismatch => "TOKENMISMATCH",
            ErrorCode::TokenExpired => "TOKENEXPIRED",
            ErrorCode::NoPerm => "NOPERM",
            ErrorCode::TryAgain => "TRYAGAIN",
            ErrorCode::Limit => "LIMIT",
        }
    }

    /// When a client sees it, in one sentence.
    pub const fn meaning(self) -> &'static str {
        match self {
            ErrorCode::Err => {
                "wrong syntax, unknown operator, malformed JSON, path or integer; found before anything is looked up"
            }
            ErrorCode::WrongType => "the key holds a value of another type",
            ErrorCode::NoKey => "the key is missing",
            ErrorCode::BusyKey => "the key already exists",
            ErrorCode::NoModel => "the model is not defined",
            ErrorCode::NoAction => "the action is not defined",
            ErrorCode::InUse => "the model still has documents",
            ErrorCode::NoPath => "nothing is at the path, or its parent is missing",
            ErrorCode::Type => "the value at the path is of the wrong kind",
            ErrorCode::Range => {
                "an index is out of range, a division by zero, a number that is not finite or has no exact integer, or arithmetic of a double with an integer that no double equals"
            }
            ErrorCode::Overflow => "the exact result does not fit a signed 64-bit integer",
            ErrorCode::Schema => {
                "the document would violate its model's schema, or ARGS that of the action"
            }
            ErrorCode::Rule => "the document would violate a rule of its model",
            ErrorCode::Unique => {
                "another document of the model has the same values in an index with UNIQUE"
            }
            ErrorCode::NoIndex => "no index of the model serves the query",
            ErrorCode::Indexing => "the indexes of the model are being built",
            ErrorCode::Condition => "an IF, EXISTS or MISSING is false, or a test of a PATCH",
            ErrorCode::Revision => "the document's revision is another one",
            ErrorCode::Expr => "an expression does not compile, fails, or exceeds its budget",
            ErrorCode::LockLost => "the lock is no longer held by this grant",
            ErrorCode::Deadlock => "waiting would close a cycle of owners",
            ErrorCode::TokenMismatch => "the token was used for a different request",
            ErrorCode::TokenExpired => "the token's window is over",
            ErrorCode::NoPerm => {
                "the caller may not run the server's command of a native, or not on this key or channel"
            }
            ErrorCode::TryAgain => {
                "the hash slot is being moved, and the key of a native or the stream of changes is not there, or documents of the slot are on two nodes"
            }
            ErrorCode::Limit => "a named limit would be exceeded",
        }
    }

    /// Says if the same request can succeed later without being changed.
    pub const fn retry_can_help(self) -> bool {
        match self {
            ErrorCode::NoKey
            | ErrorCode::BusyKey
            | ErrorCode::NoModel
            | ErrorCode::NoAction
            | ErrorCode::InUse
            | ErrorCode::NoPath
            | ErrorCode::Unique
            | ErrorCode::NoIndex
            | ErrorCode::Indexing
            | ErrorCode::Condition
            | ErrorCode::Deadlock
            | ErrorCode::TryAgain => true,
            ErrorCode::Err
            | ErrorCode::WrongType
            | ErrorCode::Type
            | ErrorCode::Range
            | ErrorCode::Overflow
            | ErrorCode::Schema
            | ErrorCode::Rule
            | ErrorCode::Revision
            | ErrorCode::Expr
            | ErrorCode::LockLost
            | ErrorCode::TokenMismatch
            | ErrorCode::TokenExpired
            | ErrorCode::NoPerm
            | ErrorCode::Limit => false,
        }
    }
}

/// One refusal: a code, a sentence, and named details. Boxed, so that a `Result` stays small where
/// nothing fails.
#[derive(Clone, PartialEq)]
pub struct Error(Box<ErrorParts>);

#[derive(Clone, PartialEq)]
struct ErrorParts {
    code: ErrorCode,
    message: Cow<'static, str>,
    details: Vec<(&'static str, Detail)>,
}

/// The value of a named detail.
#[derive(Clone, PartialEq, Debug)]
pub enum Detail {
    Text(String),
    Integer(i64),
    /// JSON text that is already well-formed.
    Json(String),
}

/// The result of everything that can be refused.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// User text in a detail is cut to this many bytes.
pub const DETAIL_BYTES_MAX: usize = 256;

impl Error {
    #[cold]
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Error {
        Error(Box::new(ErrorParts { code, message: message.into(), details: Vec::new() }))
    }

    /// A syntax error: found before anything is looked up.
    #[cold]
    pub fn syntax(message: impl Into<Cow<'static, str>>) -> Error {
        Error::new(ErrorCode::Err, message)
    }

    /// A limit would be exceeded, whose value is this one now.
    #[cold]
    pub fn limit(limit: Limit, value: u64) -> Error {
        Error::new(ErrorCode::Limit, "a limit would be exceeded")
            .text("limit", limit.name.as_bytes())
            .integer("value", value as i64)
    }

    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// The error with another message.
    #[cold]
    pub fn with_message(mut self, message: String) -> Error {
        self.0.message = message.into();
        self
    }

    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Adds a text detail, cut to [`DETAIL_BYTES_MAX`]; bytes that are not UTF-8 are replaced.
    pub fn text(mut self, name: &'static str, text: &[u8]) -> Error {
        let cut = &text[..text.len().min(DETAIL_BYTES_MAX)];
        let mut text_out = String::from_utf8_lossy(cut).into_owned();
        if cut.len() < text.len() {
            text_out.push('…');
        }
        self.set(name, Detail::Text(text_out));
        self
    }

    /// Adds a text detail that would be wrong if it were cut. It is bounded where it is made.
    pub fn whole_text(mut self, name: &'static str, text: String) -> Error {
        self.set(name, Detail::Text(text));
        self
    }

    pub fn integer(mut self, name: &'static str, value: i64) -> Error {
        self.set(name, Detail::Integer(value));
        self
    }

    /// Adds a detail that is JSON text already.
    pub fn json(mut self, name: &'static str, json: String) -> Error {
        self.set(name, Detail::Json(json));
        self
    }

    /// Adds the values an expression read, each as JSON text, as one object `values`. Adds nothing for none.
    pub fn values(self, values: Vec<(String, String)>) -> Error {
        if values.is_empty() {
            return self;
        }
        let mut object = String::from("{");
        for (name, json) in values {
            if object.len() > 1 {
                object.push(',');
            }
            push_json_string(&mut object, &name);
            object.push(':');
            object.push_str(&json);
        }
        object.push('}');
        self.json("values", object)
    }

    /// The detail of that name, if there is one.
    pub fn detail(&self, name: &str) -> Option<&Detail> {
        self.0.details.iter().find(|(n, _)| *n == name).map(|(_, d)| d)
    }

    /// The first detail of a name stays: the inner place knows more than the outer one.
    fn set(&mut self, name: &'static str, detail: Detail) {
        if self.detail(name).is_none() {
            self.0.details.push((name, detail));
        }
    }

    /// The whole line as it goes over the wire, without the leading `-` and the line end.
    pub fn line(&self) -> String {
        let mut line = String::with_capacity(64);
        line.push_str(self.0.code.word());
        line.push_str(" {\"message\":");
        self.push_members(&mut line);
        line
    }

    /// The refusal as one JSON object, with the word as its member `error`: an element of another one's list.
    pub fn object(&self) -> String {
        let mut object = format!("{{\"error\":\"{}\",\"message\":", self.0.code.word());
        self.push_members(&mut object);
        object
    }

    /// The message, the details and the end of the object.
    fn push_members(&self, line: &mut String) {
        push_json_string(line, &self.0.message);
        for (name, detail) in &self.0.details {
            line.push(',');
            push_json_string(line, name);
            line.push(':');
            match detail {
                Detail::Text(text) => push_json_string(line, text),
                Detail::Integer(value) => line.push_str(&value.to_string()),
                Detail::Json(json) => line.push_str(json),
            }
        }
        line.push('}');
    }
}

/// Every control character is escaped, DEL and the C1 range too, so that a terminal stays whole.
fn push_json_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_word_and_one_object() {
        let error = Error::new(ErrorCode::Condition, "condition is false")
            .text("key", b"acct:1")
            .integer("statement", 0)
            .integer("statement", 7);
        assert_eq!(
            error.line(),
            r#"CONDITION {"message":"condition is false","key":"acct:1","statement":0}"#
        );
    }

    #[test]
    fn user_bytes_stay_on_one_line() {
        let line = Error::syntax("no").text("argument", b"a\0b\r\n%s\"\\\xff\x7f").line();
        assert_eq!(
            line,
            "ERR {\"message\":\"no\",\"argument\":\"a\\u0000b\\u000d\\u000a%s\\\"\\\\\u{fffd}\\u007f\"}"
        );
    }

    #[test]
    fn long_user_text_is_cut() {
        let line = Error::syntax("no").text("argument", &[b'x'; 10_000]).line();
        assert!(line.len() < DETAIL_BYTES_MAX + 64, "{}", line.len());
    }

    #[test]
    fn words_are_unique_and_upper_case() {
        let mut words: Vec<_> = ErrorCode::ALL.iter().map(|c| c.word()).collect();
        assert!(words.iter().all(|w| w.bytes().all(|b| b.is_ascii_uppercase())));
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), ErrorCode::ALL.len());
    }
}
