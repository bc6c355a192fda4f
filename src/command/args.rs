//! A cursor over arguments, ended by `finish`, and the parts of the syntax that several commands share.

use std::sync::Arc;

use smallvec::SmallVec;

use super::host::{Key, Settings};
use super::{ArgKind, ArgSpec};
use crate::argument;
use crate::document::ANY_NAME;
use crate::error::{Error, ErrorCode, Result};
use crate::model::{Model, Models};
use crate::path::{Binding, Path, PathLimits};
use crate::txn::{ExpiryArg, ExpiryOption};
use crate::value::{Measured, parse};

/// The keys of a command that counts them; two in place, because many have no more.
pub type CountedKeys<'a> = SmallVec<[Key<'a>; 2]>;

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

    pub fn next(&mut self, what: &'static str) -> Result<&'a [u8]> {
        let arg =
            self.args.get(self.at).ok_or_else(|| Error::syntax(format!("expected {what}")))?;
        self.at += 1;
        Ok(arg)
    }

    pub fn key(&mut self) -> Result<Key<'a>> {
        let arg = self.at;
        self.next("a key").map(|name| Key { arg, name })
    }

    /// Takes the keyword if it comes next.
    pub fn keyword(&mut self, word: &str) -> bool {
        let next =
            self.args.get(self.at).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()));
        self.at += usize::from(next);
        next
    }

    pub fn integer(&mut self, what: &'static str) -> Result<i64> {
        argument::integer(self.next(what)?)
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
            Some(arg) => Err(Error::syntax("unexpected argument").text("argument", arg)),
        }
    }

    /// `numkeys key [key ...]`.
    pub fn counted_keys(&mut self) -> Result<CountedKeys<'a>> {
        let written = self.next("numkeys")?;
        let left = self.args.len() - self.at;
        let count = argument::integer(written)?;
        match usize::try_from(count) {
            Ok(count) if count > 0 && count <= left => (0..count).map(|_| self.key()).collect(),
            _ => Err(Error::syntax("numkeys is not the number of keys that follow")
                .text("argument", written)),
        }
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

/// The path behind `CURRENT`.
pub fn parse_current<'a>(
    text: Option<&'a [u8]>,
    limits: &PathLimits,
    binding: Option<Binding<'_>>,
) -> Result<Option<Box<Path<'a>>>> {
    text.map(|text| Path::parse_bound(text, limits, binding).map(Box::new)).transpose()
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
