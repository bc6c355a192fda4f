//! A cursor over arguments, ended by `finish`, and the parts of the syntax that several commands share.

use std::sync::Arc;

use smallvec::SmallVec;

use super::host::{Key, Settings};
use super::usage::usage;
use super::{ArgKind, ArgSpec};
use crate::argument;
use crate::document::ANY_NAME;
use crate::error::{Error, ErrorCode, Result};
use crate::model::{Model, ModelLimits, Models, VERSION_MAX};
use crate::path::{Binding, Path, PathLimits};
use crate::txn::{ExpiryArg, ExpiryOption};
use crate::value::{Measured, parse};

/// The keys of a command that counts them; four in place, because most have no more.
pub type CountedKeys<'a> = SmallVec<[Key<'a>; 4]>;

pub const EX: ArgSpec = ArgSpec::new("seconds", ArgKind::Integer).token("EX");
pub const PX: ArgSpec = ArgSpec::new("milliseconds", ArgKind::Integer).token("PX");
pub const EXAT: ArgSpec = ArgSpec::new("unix-time-seconds", ArgKind::UnixTime).token("EXAT");
pub const PXAT: ArgSpec = ArgSpec::new("unix-time-milliseconds", ArgKind::UnixTime).token("PXAT");

/// The syntax that [`Args::expiry_option`] reads.
pub const EXPIRY: ArgSpec = ArgSpec::new(
    "expiry",
    ArgKind::OneOf(&[EX, PX, EXAT, PXAT, ArgSpec::new("persist", ArgKind::Token).token("PERSIST")]),
)
.optional();

/// The document that is created where the key is missing.
pub const INIT: ArgSpec = ArgSpec::new(
    "init",
    ArgKind::Block(&[
        ArgSpec::new("model", ArgKind::String),
        ArgSpec::new("json", ArgKind::String),
    ]),
)
.token("INIT")
.optional();

/// The object that expressions read as `args`.
pub const ARGS: ArgSpec = ArgSpec::new("args", ArgKind::String).token("ARGS").optional();

/// The key whose hash slot a query is about.
pub const SLOT: ArgSpec = ArgSpec::new("key", ArgKind::Key).token("SLOT").optional();

/// The path whose stored value a refusal tells.
pub const CURRENT: ArgSpec = ArgSpec::new("path", ArgKind::String).token("CURRENT").optional();

pub const MKPATH: ArgSpec = ArgSpec::new("mkpath", ArgKind::Token).token("MKPATH").optional();

/// A cursor over the arguments of one command.
pub struct Args<'a> {
    args: &'a [&'a [u8]],
    at: usize,
}

impl<'a> Args<'a> {
    /// Starts behind the command's name.
    pub fn new(args: &'a [&'a [u8]]) -> Args<'a> {
        Args { args, at: 1 }
    }

    /// Starts at the first argument: they are a part of a command.
    pub fn of_part(args: &'a [&'a [u8]]) -> Args<'a> {
        Args { args, at: 0 }
    }

    pub fn next(&mut self, what: &'static str) -> Result<&'a [u8]> {
        let arg = self
            .args
            .get(self.at)
            .ok_or_else(|| self.with_usage(Error::syntax(format!("expected {what}"))))?;
        self.at += 1;
        Ok(arg)
    }

    pub fn key(&mut self) -> Result<Key<'a>> {
        let arg = self.at;
        self.next("a key").map(|name| Key { arg, name })
    }

    /// Takes the keyword if it comes next.
    #[inline]
    pub fn keyword(&mut self, word: &str) -> bool {
        let next = self.args.get(self.at).is_some_and(|arg| is_word(arg, word));
        self.at += usize::from(next);
        next
    }

    /// Takes the keyword of an option if it comes next; `ERR` where the option was given before.
    pub fn option(&mut self, word: &str, is_given: bool) -> Result<bool> {
        if is_given && self.left().first().is_some_and(|arg| is_word(arg, word)) {
            return Err(self.unexpected("this option may be given once"));
        }
        Ok(self.keyword(word))
    }

    /// The next argument, an integer; an error names it by `what`.
    pub fn integer(&mut self, what: &'static str) -> Result<i64> {
        let written = self.next(what)?;
        argument::integer(written).map_err(|error| error.text("expected", what.as_bytes()))
    }

    /// The position of the next argument.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Takes all remaining arguments.
    pub fn rest(&mut self) -> &'a [&'a [u8]] {
        let rest = &self.args[self.at..];
        self.at = self.args.len();
        rest
    }

    pub fn is_finished(&self) -> bool {
        self.at == self.args.len()
    }

    /// Refuses remaining arguments.
    pub fn finish(self) -> Result<()> {
        match self.args.get(self.at) {
            None => Ok(()),
            Some(arg) => {
                Err(self.with_usage(Error::syntax("unexpected argument").text("argument", arg)))
            }
        }
    }

    /// The refusal of the next argument, or of its lack.
    #[cold]
    pub fn unexpected(&self, message: &'static str) -> Error {
        let error = Error::syntax(message);
        self.with_usage(match self.args.get(self.at) {
            Some(arg) => error.text("argument", arg),
            None => error,
        })
    }

    /// The refusal with the syntax of the command, whose name is the first argument.
    #[cold]
    fn with_usage(&self, error: Error) -> Error {
        match self.args.first().and_then(|name| super::find(name)) {
            Some(spec) => error.text("usage", usage(spec).as_bytes()),
            None => error,
        }
    }

    /// `numkeys key [key ...]`.
    pub fn counted_keys(&mut self) -> Result<CountedKeys<'a>> {
        self.at_least_keys(1)
    }

    /// `numkeys [key ...]`, with so many keys at least.
    pub fn at_least_keys(&mut self, least: usize) -> Result<CountedKeys<'a>> {
        let written = self.next("numkeys")?;
        let left = self.args.len() - self.at;
        let count = argument::integer(written)?;
        let counted = usize::try_from(count).ok();
        let Some(count) = counted.filter(|count| *count >= least && *count <= left) else {
            let message = "numkeys is not the number of keys that follow";
            return Err(self.with_usage(Error::syntax(message).text("argument", written)));
        };
        let names = self.args[self.at..self.at + count].iter().enumerate();
        let mut keys = CountedKeys::new();
        keys.extend(names.map(|(nth, name)| Key { arg: self.at + nth, name }));
        self.at += count;
        Ok(keys)
    }

    /// `model json`.
    pub fn model_and_json(&mut self, settings: &Settings) -> Result<(&'a [u8], Measured)> {
        let model = self.next("a model")?;
        let json = self.next("a JSON document")?;
        Ok((model, parse::json(json, &settings.document)?))
    }

    /// `json` behind the keyword `ARGS`: an object.
    pub fn object(&mut self, settings: &Settings) -> Result<Measured> {
        object(self.next("a JSON object")?, settings)
    }

    /// Skips arguments that were read elsewhere.
    pub fn skip(&mut self, count: usize) {
        self.at += count;
        debug_assert!(self.at <= self.args.len());
    }

    /// The remaining arguments, without taking them.
    pub fn left(&self) -> &'a [&'a [u8]] {
        &self.args[self.at..]
    }

    /// `EX s | PX ms | EXAT s | PXAT ms | PERSIST`, if one comes next.
    pub fn expiry_option(&mut self) -> Result<Option<ExpiryOption>> {
        // Asked first, because mostly a statement comes next.
        let next = self.args.get(self.at).and_then(|arg| arg.first());
        if !matches!(next, Some(b'E' | b'e' | b'P' | b'p')) {
            return Ok(None);
        }
        if self.keyword("PERSIST") {
            return Ok(Some(ExpiryOption::Persist));
        }
        Ok(self.expiry()?.map(ExpiryOption::Set))
    }

    /// `EX s | PX ms | EXAT s | PXAT ms`, if one comes next.
    pub fn expiry(&mut self) -> Result<Option<ExpiryArg>> {
        for (word, unit_ms, relative) in
            [("EX", 1000, true), ("PX", 1, true), ("EXAT", 1000, false), ("PXAT", 1, false)]
        {
            if self.keyword(word) {
                let written = self.next("an expiry")?;
                let invalid = || Error::syntax("invalid expire time").text("argument", written);
                let value = argument::integer(written)?;
                let unix_ms =
                    value.checked_mul(unit_ms).filter(|ms| *ms > 0).ok_or_else(invalid)?;
                // A relative time has to leave room for the clock.
                if relative && unix_ms > i64::MAX / 2 {
                    return Err(invalid());
                }
                return Ok(Some(ExpiryArg { ms: unix_ms as u64, relative }));
            }
        }
        Ok(None)
    }
}

/// Returns true if the argument is this keyword.
#[inline]
pub fn is_word(arg: &[u8], word: &str) -> bool {
    arg.len() == word.len() && arg.eq_ignore_ascii_case(word.as_bytes())
}

/// The path behind `CURRENT`.
pub fn parse_current<'a>(
    text: Option<&'a [u8]>,
    limits: &PathLimits,
    binding: Option<Binding<'_>>,
) -> Result<Option<Arc<Path<'a>>>> {
    text.map(|text| Path::parse_bound(text, limits, binding).map(Arc::new)).transpose()
}

/// The operand of `ARGS`.
pub fn object(json: &[u8], settings: &Settings) -> Result<Measured> {
    let parsed = parse::json(json, &settings.document)?;
    if parsed.value.view().as_object().is_none() {
        return Err(Error::syntax("ARGS has to be a JSON object").text("argument", json));
    }
    Ok(parsed)
}

/// The model a client names for a document: none for the built-in one, `NOMODEL` if it is not defined.
pub fn find_model(models: &Models, name: &[u8]) -> Result<Option<Arc<Model>>> {
    if name == ANY_NAME.as_bytes() { Ok(None) } else { models.defined(name).map(Some) }
}

/// The text of an expression.
pub fn expression(source: &[u8]) -> Result<&str> {
    std::str::from_utf8(source).map_err(|_| {
        Error::new(ErrorCode::Expr, "an expression has to be UTF-8").text("expr", source)
    })
}

/// The version of a definition, 0 for none.
pub fn parse_version(args: &mut Args<'_>) -> Result<u32> {
    let version = args.integer("a version")?;
    let valid = u32::try_from(version).ok().filter(|version| *version <= VERSION_MAX);
    valid.ok_or_else(|| {
        Error::syntax("a version is a number from 0 on").integer("definition-version", version)
    })
}

/// The configured limits of compiling a model's definition.
pub fn model_limits(settings: &Settings) -> ModelLimits {
    ModelLimits { schemas: settings.schemas, expressions: settings.expressions }
}
