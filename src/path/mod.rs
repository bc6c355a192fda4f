//! Path arguments: text in, values and places out.
//!
//! A path is one of two standards, told apart by its first character: `$` begins a JSONPath query
//! (RFC 9535), `/` or nothing at all a JSON Pointer (RFC 6901). A path made of names and indexes only
//! is *singular*: it matches at most one place, and where it matches none, [`Singular::resolve`] says which
//! step failed and why, so that writers can create the missing step. Any other path is a [`Query`].
//!
//! Beyond the standard, `args` followed by names or indexes stands for a value that came with the command, see
//! [`Binding`]: as a comparable in a filter, or as a selector in brackets.
//!
//! A path is parsed completely before anything is looked up, and the work any path can cause
//! is bounded: parsing recurses no deeper than [`FILTER_DEPTH_MAX`] levels, the queries of a command
//! visit no more than [`crate::budget::WorkLimits::query_nodes`] nodes together, and the patterns of
//! `match` and `search` run in linear time. Nothing here changes a value.

mod bound;
mod filter;
mod known;
mod limits;
mod parser;
mod pattern;
mod pointer;
mod query;
mod singular;
mod step;

#[cfg(test)]
mod tests;

pub use bound::Binding;
pub use known::Missed;
pub use limits::PathLimits;
pub use parser::FILTER_DEPTH_MAX;
pub use pattern::PATTERN_WEIGHT_MAX;
pub use query::Query;
pub use singular::{Blocked, ItemIndex, Lookup, Singular};
pub use step::PathStep;

use std::borrow::Cow;

use crate::error::{Error, ErrorCode, Result};
use crate::limit;
use crate::value::Place;

/// A parsed path argument.
#[derive(Clone, Debug)]
pub enum Path<'a> {
    /// Matches at most one place.
    Singular(Singular<'a>),
    /// Matches any number of places.
    Query(Box<Query>),
}

impl<'a> Path<'a> {
    /// Parses a path that reads no `args`. Malformed text is `ERR` with the byte offset, text longer than the limit
    /// is `LIMIT`.
    pub fn parse(text: &'a [u8], limits: &PathLimits) -> Result<Path<'a>> {
        Path::parse_bound(text, limits, None)
    }

    /// As [`Path::parse`]; `args` is read from the binding. `ERR` where there is none, or ARGS has no value for a
    /// selector; `TYPE` where a selector is neither a string nor an integer.
    pub fn parse_bound(
        text: &'a [u8],
        limits: &PathLimits,
        binding: Option<Binding<'_>>,
    ) -> Result<Path<'a>> {
        Path::known(text, limits)
            .or_else(|missed| Path::parse_missed(text, limits, binding, missed))
    }

    /// The path of a text that comes again and again; [`Path::parse_missed`] reads any other. Made where it is used: a path
    /// is large.
    #[inline(always)]
    pub fn known(text: &[u8], limits: &PathLimits) -> std::result::Result<Path<'a>, Missed> {
        known::find(text, limits).map(|known| Path::Singular(Singular::from(known)))
    }

    /// As [`Path::parse_bound`], of a text that is not known.
    pub fn parse_missed(
        text: &'a [u8],
        limits: &PathLimits,
        binding: Option<Binding<'_>>,
        missed: Missed,
    ) -> Result<Path<'a>> {
        check_length(text, limits)?;
        let written = text;
        let text = checked_text(text)?;
        match text.as_bytes().first() {
            None | Some(b'/') => pointer::parse(text).map(Path::Singular),
            Some(b'$') => match singular::parse_plain(text) {
                Some(plain) => {
                    known::note(missed, written, plain.steps());
                    Ok(Path::Singular(plain))
                }
                None => parser::query(text, limits, binding).map(Path::from),
            },
            Some(_) => Err(Error::syntax(no_root(text)).integer("offset", 0)),
        }
        .map_err(|error| with_path(error, text))
    }

    /// The path with its text borrowed.
    pub fn lend(&self) -> Path<'_> {
        match self {
            Path::Singular(singular) => Path::Singular(singular.lend()),
            Path::Query(query) => Path::Query(query.clone()),
        }
    }

    /// The path with its text in memory of its own.
    pub fn into_owned(self) -> Path<'static> {
        match self {
            Path::Singular(singular) => Path::Singular(singular.into_owned()),
            Path::Query(query) => Path::Query(query),
        }
    }

    /// As [`Path::into_owned`], for a path that is looked up again and again: it keeps the numbers of its names.
    pub fn into_kept(self) -> Path<'static> {
        match self {
            Path::Singular(singular) => Path::Singular(singular.into_kept()),
            Path::Query(query) => Path::Query(query),
        }
    }

    /// Returns true for a path that leads to one place at most.
    pub fn is_singular(&self) -> bool {
        self.singular().is_some()
    }

    pub fn singular(&self) -> Option<&Singular<'a>> {
        match self {
            Path::Singular(singular) => Some(singular),
            Path::Query(_) => None,
        }
    }
}

impl From<Query> for Path<'_> {
    fn from(query: Query) -> Self {
        match query.into_singular() {
            Ok(singular) => Path::Singular(singular),
            Err(query) => Path::Query(Box::new(query)),
        }
    }
}

impl<'a> Singular<'a> {
    /// Parses a JSON Pointer and nothing else, as JSON Patch has them.
    pub fn parse_pointer(text: &'a [u8], limits: &PathLimits) -> Result<Singular<'a>> {
        check_length(text, limits)?;
        let text = checked_text(text)?;
        pointer::parse(text).map_err(|error| with_path(error, text))
    }

    /// Parses a singular path from a current value: `@`, `@.score`, `@['a'][0]`, `@[args.by]`.
    pub fn parse_relative(
        text: &'a [u8],
        limits: &PathLimits,
        binding: Option<Binding<'_>>,
    ) -> Result<Singular<'a>> {
        check_length(text, limits)?;
        let text = checked_text(text)?;
        let parsed = match text.as_bytes().first() {
            Some(b'@') => match singular::parse_plain(text) {
                Some(plain) => Ok(plain),
                None => parser::query(text, limits, binding).and_then(|query| {
                    query.into_singular().map_err(|_| {
                        Error::syntax("the path has to lead to one place at most")
                            .integer("offset", 0)
                    })
                }),
            },
            _ => Err(Error::syntax("a relative path begins with '@'").integer("offset", 0)),
        };
        parsed.map_err(|error| with_path(error, text))
    }
}

#[inline]
fn check_length(text: &[u8], limits: &PathLimits) -> Result<()> {
    match text.len() > limits.path_bytes {
        true => Err(Error::limit(limit::PATH_BYTES, limits.path_bytes as u64)),
        false => Ok(()),
    }
}

fn checked_text(text: &[u8]) -> Result<&str> {
    std::str::from_utf8(text).map_err(|bad| {
        Error::syntax("a path is UTF-8 text")
            .integer("offset", bad.valid_up_to() as i64)
            .text("path", text)
    })
}

/// The refusal of a path without a root, with the one that may be meant: `name` and `.name` are `$.name`.
#[cold]
fn no_root(text: &str) -> Cow<'static, str> {
    let names = text.strip_prefix('.').unwrap_or(text);
    let plain = |c: char| c.is_alphanumeric() || "_.[]*".contains(c);
    match names.len() < 100 && names.starts_with(char::is_alphabetic) && names.chars().all(plain) {
        true => format!("a path begins with '$' or '/': $.{names}").into(),
        false => "a path begins with '$' or '/'".into(),
    }
}

/// An error in the text, or in a value bound to it, shows the path; a limit is about the path's nature.
#[cold]
fn with_path(error: Error, text: &str) -> Error {
    match error.code() {
        ErrorCode::Err | ErrorCode::Type => error.text("path", text.as_bytes()),
        _ => error,
    }
}

/// Sorts places into document order, parents before their children. Positions grow in document order
/// inside every container, so changes applied from the back leave those in front where they are.
pub fn document_order(places: &mut [Place]) {
    places.sort_unstable();
}
