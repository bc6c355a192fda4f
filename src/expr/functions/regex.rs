//! Regular expressions. A pattern that is written out is compiled with the expression and has a node of
//! its own; these functions take one that only the evaluation knows.

use super::Function;
use super::arguments::text;
use crate::expr::code::RegexSearch;
use crate::expr::datum::Datum;
use crate::expr::eval::{Eval, Evaluated};

/// The functions of this family.
pub(super) static FUNCTIONS: [Function; 4] = [
    Function::method(
        "matches",
        (2, 2),
        matches,
        [
            "text.matches(pattern)",
            "true if the pattern matches a part of the text; also matches(text, pattern)",
            "bytes x 2 x KiB of the pattern",
            "'abc'.matches('^a.c$')",
            "true",
        ],
    ),
    Function::global("matches", (2, 2), matches, [""; 5]),
    Function::method(
        "find",
        (2, 2),
        find,
        [
            "text.find(pattern)",
            "first match; empty if there is none",
            "bytes x 2 x KiB of the pattern",
            "'abc 123'.find('[0-9]+')",
            "\"123\"",
        ],
    ),
    Function::method(
        "findAll",
        (2, 3),
        find_all,
        [
            "text.findAll(pattern, limit)",
            "list of all matches, or of the first limit of them",
            "as find, for the rest of the text behind each match",
            "'1 22 333'.findAll('[0-9]+', 2)",
            "[\"1\",\"22\"]",
        ],
    ),
];

fn matches<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    eval.search(RegexSearch::Matches, &arguments[0], text(&arguments[1])?, None)
}

fn find<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    eval.search(RegexSearch::Find, &arguments[0], text(&arguments[1])?, None)
}

fn find_all<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    eval.search(RegexSearch::FindAll, &arguments[0], text(&arguments[1])?, arguments.get(2))
}
