//! The ways an evaluation fails. A fault that ends an evaluation for good is told from one that `||` may
//! absorb.

use crate::error::Error;

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
    /// Flag: no operator may absorb it.
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
