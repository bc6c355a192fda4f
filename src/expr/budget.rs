//! What an evaluation may cost, and how it can fail.
//!
//! Every step of an evaluation is paid for before it is made: one for a node, and more where the
//! work, or the memory it leaves behind, grows with the data. So a budget bounds time and memory
//! alike. A fault that ends an evaluation for good is told from one that `||` may absorb.

use std::borrow::Cow;

use super::code::Code;
use crate::budget::Allowance;
use crate::error::{Error, ErrorCode};

/// Bytes that are compared, searched or counted for one step.
const BYTES_SCANNED: usize = 32;
/// Bytes that are produced for one step.
const BYTES_MADE: usize = 8;

/// What is left to spend: a view on the budget of the command, with a bound of its own. It counts in a
/// register and settles with the command's when the evaluation is over.
#[derive(Debug)]
pub(super) struct Budget {
    left: u64,
    start: u64,
}

/// What an evaluation costs beside its steps.
const EVALUATION: u64 = 8;

impl Budget {
    #[cfg(test)]
    pub fn new(steps: u64) -> Budget {
        Budget { left: steps, start: steps }
    }

    /// At most so many steps, and no more than the command may still make.
    pub fn within(steps: u64, allowance: Option<&Allowance<'_>>) -> Budget {
        let start = allowance.map_or(steps, |allowance| steps.min(allowance.steps_left()));
        Budget { left: start, start }
    }

    /// Pays for what the evaluation took. The command has no step left where they were too few.
    pub fn settle(&self, allowance: Option<&Allowance<'_>>) {
        if let Some(allowance) = allowance {
            allowance.spend_counted(self.start - self.left + EVALUATION);
        }
    }

    #[inline]
    pub fn charge(&mut self, steps: u64) -> Result<(), Fault> {
        match self.left.checked_sub(steps) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(self.exhaust()),
        }
    }

    /// Nothing is affordable any more, whatever it costs.
    #[cold]
    fn exhaust(&mut self) -> Fault {
        self.left = 0;
        Fault::Exhausted
    }

    /// Pays for looking at so many bytes.
    #[inline]
    pub fn scan(&mut self, bytes: usize) -> Result<(), Fault> {
        self.charge((bytes / BYTES_SCANNED) as u64)
    }

    /// Pays for making so many bytes.
    #[inline]
    pub fn make(&mut self, bytes: usize) -> Result<(), Fault> {
        self.charge((bytes / BYTES_MADE) as u64)
    }

    /// Pays for making a list of so many elements, or as many entries of a map.
    #[inline]
    pub fn make_list(&mut self, len: usize) -> Result<(), Fault> {
        self.charge((len as u64).saturating_mul(4))
    }
}

/// Why an evaluation gives no value. Making one allocates as little as it can: `all()` may meet one
/// for each of a hundred thousand elements and still be false in the end.
#[derive(Debug)]
pub(super) enum Fault {
    /// The budget is spent.
    Exhausted,
    /// The value would be larger or deeper than any document.
    Refused(Error),
    /// No member of that name, a number into the program's names.
    NoMember(u32),
    Because(&'static str),
    /// A number outside of what can be calculated with exactly.
    Range(&'static str),
    Text(Box<str>),
}

impl Fault {
    /// Whether no operator may absorb it.
    pub fn is_final(&self) -> bool {
        match self {
            Fault::Exhausted | Fault::Refused(_) => true,
            Fault::NoMember(_) | Fault::Because(_) | Fault::Range(_) | Fault::Text(_) => false,
        }
    }

    #[cold]
    pub fn text(message: String) -> Fault {
        Fault::Text(message.into())
    }
}

impl From<&'static str> for Fault {
    fn from(message: &'static str) -> Fault {
        Fault::Because(message)
    }
}

impl Fault {
    /// As the error a client sees.
    #[cold]
    pub(super) fn into_error(self, code: &Code, source: &str) -> Error {
        let mut code_of_fault = ErrorCode::Expr;
        let message = match self {
            Fault::Refused(error) => return error.text("expr", source.as_bytes()),
            Fault::Range(message) => {
                code_of_fault = ErrorCode::Range;
                Cow::Borrowed(message)
            }
            Fault::Exhausted => "the expression takes more steps than it may".into(),
            Fault::NoMember(name) => format!("no such member: {}", code.name(name)).into(),
            Fault::Because(message) => Cow::Borrowed(message),
            Fault::Text(message) => String::from(message).into(),
        };
        Error::new(code_of_fault, message).text("expr", source.as_bytes())
    }
}
