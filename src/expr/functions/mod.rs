//! The functions expressions may call, by name, style and number of arguments.
//!
//! Each family has a file, with its functions in a table that the documentation is made of. Functions that
//! are called often, that have to be charged for step by step, or that work on lists are our own. All others
//! run the `cel` crate's implementation: the arguments are lent to it as its values, and charged for
//! before, because it counts nothing.

use std::borrow::Cow;
use std::sync::OnceLock;

use super::datum::Datum;
use super::eval::{Eval, Evaluated};
use crate::argument::nearest;

mod arguments;
mod convert;
mod encoding;
mod foreign;
pub(super) mod list;
mod listing;
mod number;
mod optional;
mod regex;
mod set;
mod text;
mod time;

use self::foreign::Cost;
pub use self::listing::{Listed, listed};

type Native = for<'a> fn(&mut Eval<'a>, &[Datum<'a>]) -> Evaluated<'a>;
/// Gives the result for an argument that needs no work; none for any other.
type Shortcut = for<'a> fn(&Datum<'a>) -> Option<Datum<'a>>;

pub(super) struct Function {
    /// With its namespace.
    pub name: &'static str,
    /// Called on its first argument.
    member: bool,
    /// The least and the largest number of arguments, the one it is called on included.
    counts: (usize, usize),
    run: Implementation,
    /// Form, summary, cost, an example and its value as JSON; empty for a second way to call a function.
    listing: [&'static str; 5],
}

enum Implementation {
    Native(Native),
    Foreign { cost: Cost, call: OnceLock<foreign::Call>, shortcut: Option<Shortcut> },
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Function {
    /// Returns true if it is called on its first argument.
    pub fn is_member(&self) -> bool {
        self.member
    }

    /// A function of its own, `name(a)`.
    const fn global(
        name: &'static str,
        counts: (usize, usize),
        run: Native,
        listing: [&'static str; 5],
    ) -> Function {
        Function { name, member: false, counts, run: Implementation::Native(run), listing }
    }

    /// A function called on its first argument, `a.name()`.
    const fn method(
        name: &'static str,
        counts: (usize, usize),
        run: Native,
        listing: [&'static str; 5],
    ) -> Function {
        Function { name, member: true, counts, run: Implementation::Native(run), listing }
    }

    /// A function of the crate's.
    const fn foreign(
        name: &'static str,
        counts: (usize, usize),
        cost: Cost,
        listing: [&'static str; 5],
    ) -> Function {
        let run = Implementation::Foreign { cost, call: OnceLock::new(), shortcut: None };
        Function { name, member: false, counts, run, listing }
    }

    /// A function of the crate's with one argument, and what it gives for kinds that need no work.
    const fn conversion(
        name: &'static str,
        shortcut: Shortcut,
        listing: [&'static str; 5],
    ) -> Function {
        let shortcut = Some(shortcut);
        let run = Implementation::Foreign { cost: Cost::Linear, call: OnceLock::new(), shortcut };
        Function { name, member: false, counts: (1, 1), run, listing }
    }

    /// A function of the crate's, called on its first argument.
    const fn foreign_method(
        name: &'static str,
        counts: (usize, usize),
        cost: Cost,
        listing: [&'static str; 5],
    ) -> Function {
        let run = Implementation::Foreign { cost, call: OnceLock::new(), shortcut: None };
        Function { name, member: true, counts, run, listing }
    }

    #[inline(never)]
    pub fn call<'a>(&self, eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
        match &self.run {
            Implementation::Native(function) => function(eval, arguments),
            Implementation::Foreign { cost, call, shortcut } => {
                if let Some(known) = shortcut.and_then(|shortcut| shortcut(&arguments[0])) {
                    return Ok(known);
                }
                let (least, most) = self.counts;
                call.get_or_init(|| foreign::Call::new(self.name, self.member, least..=most))
                    .run(*cost, eval, arguments)
            }
        }
    }
}

/// The families, as the documentation lists them.
static FAMILIES: [(&str, &[Function]); 9] = [
    ("Lists", &list::FUNCTIONS),
    ("Sets", &set::FUNCTIONS),
    ("Texts", &text::FUNCTIONS),
    ("Regular expressions", &regex::FUNCTIONS),
    ("Numbers", &number::FUNCTIONS),
    ("Optionals", &optional::FUNCTIONS),
    ("Kinds", &convert::FUNCTIONS),
    ("Times", &time::FUNCTIONS),
    ("Encodings", &encoding::FUNCTIONS),
];

/// Tests for a name that is no value but stands before the names of functions.
pub(super) fn is_namespace(name: &str) -> bool {
    matches!(name, "math" | "lists" | "sets" | "strings" | "base64" | "cel" | "optional")
}

/// Functions of other languages, with those here that do the same.
const ELSEWHERE: [(&str, &str); 8] = [
    ("len", "size"),
    ("length", "size"),
    ("count", "size"),
    ("lower", "lowerAscii"),
    ("toLowerCase", "lowerAscii"),
    ("upper", "upperAscii"),
    ("toUpperCase", "upperAscii"),
    ("includes", "contains"),
];

/// The refusal of a name that no function has, with the one that may be meant.
fn unknown(name: &str) -> Cow<'static, str> {
    let all = || FAMILIES.iter().flat_map(|(_, functions)| functions.iter());
    let elsewhere = ELSEWHERE.iter().find(|(other, _)| *other == name).map(|(_, own)| *own);
    let meant = elsewhere.or_else(|| nearest(name.as_bytes(), all().map(|function| function.name)));
    match meant {
        Some(meant) => format!("unknown function (is {meant} meant?)").into(),
        None => "unknown function".into(),
    }
}

/// The function that is called, or why it cannot be called so.
pub(super) fn find(
    name: &str,
    member: bool,
    count: usize,
) -> Result<&'static Function, Cow<'static, str>> {
    let all = FAMILIES.iter().flat_map(|(_, functions)| *functions);
    let mut named = all.filter(|function| function.name == name).peekable();
    if named.peek().is_none() {
        return Err(match listing::is_macro(name) {
            true => "this macro takes other arguments".into(),
            false => unknown(name),
        });
    }
    let fits = |function: &&Function| {
        let (least, most) = function.counts;
        function.member == member && (least..=most).contains(&count)
    };
    let form = named.peek().map_or("", |function| function.listing[0]);
    named.find(fits).ok_or_else(|| match form {
        "" => "this function takes other arguments".into(),
        form => format!("this function takes other arguments, as in {form}").into(),
    })
}
