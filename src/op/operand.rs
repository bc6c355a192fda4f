//! The kinds of operands, and how each is read from one argument before anything is looked up.

use std::borrow::Cow;
use std::sync::Arc;

use super::base64;
use super::json_patch::Patch;
use crate::argument;
use crate::error::{Error, Result};
use crate::expr::{AllowedNames, Program};
use crate::path::{Binding, Missed, Path, PathLimits, Singular};
use crate::time::Duration;
use crate::value::{ArrayView, Limits, Measured, Number, ObjectView, parse};

/// One operand of an operator.
pub struct Operand {
    /// The name in the syntax.
    pub name: &'static str,
    pub kind: OperandKind,
}

/// The kind of an operand: the form its argument must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperandKind {
    /// A path that may match many places.
    Path,
    /// A path that may match many places below the root: the root itself cannot be removed.
    PathBelowRoot,
    /// A path to at most one place.
    Singular,
    /// A path to at most one place below the root.
    SingularBelowRoot,
    Json,
    JsonArray,
    JsonObject,
    JsonString,
    /// A JSON Patch (RFC 6902).
    Patch,
    /// An expression that gives a value.
    Expression,
    /// A JSON number.
    Number,
    /// A signed 64-bit integer.
    Integer,
    /// A plain UTF-8 string.
    Name,
    /// The name of a lock or of its owner: 1 to 256 bytes of UTF-8.
    LockName,
    /// A fence: the number of a grant.
    Fence,
    /// `@` or a singular path from `@`.
    SortKey,
    /// Base64 text: the standard alphabet, padded.
    Base64,
    /// `-1h30m`, or ISO 8601.
    Duration,
    /// One of a few words, in any case of letters.
    Choice(&'static [&'static str]),
}

impl OperandKind {
    /// The source of the expression, where the argument is one (`=expr`): no operand of these kinds begins
    /// with `=`. In an action the grant of a lock may be computed too: it differs from call to call.
    fn expression(self, arg: &[u8], in_action: bool) -> Option<&[u8]> {
        match self {
            OperandKind::Json
            | OperandKind::JsonArray
            | OperandKind::JsonObject
            | OperandKind::JsonString
            | OperandKind::Patch
            | OperandKind::Number
            | OperandKind::Integer
            | OperandKind::Duration => arg.strip_prefix(b"="),
            OperandKind::LockName | OperandKind::Fence if in_action => arg.strip_prefix(b"="),
            _ => None,
        }
    }
}

/// A path of an action that reads `args`, and is parsed again with those of each call.
#[derive(Clone)]
pub struct BoundPath {
    kind: OperandKind,
    text: Box<[u8]>,
}

/// An operand's value.
#[derive(Clone)]
pub enum Arg<'a> {
    Path(Path<'a>),
    Json(Measured),
    Patch(Patch),
    Expression(Arc<Program>),
    Text(Cow<'a, str>),
    Number(Number),
    Integer(i64),
    Bytes(Vec<u8>),
    Duration(Duration),
    /// The position of the word among the choices.
    Choice(usize),
    /// An expression that gives one of the others when its statement runs.
    Computed(Arc<Program>),
    /// A path in the definition of an action; a call binds it, see [`Arg::bind`].
    Bound(Box<BoundPath>),
}

impl<'a> Arg<'a> {
    /// Flag: its value is not known before its statement runs.
    #[inline]
    pub fn is_computed(&self) -> bool {
        matches!(self, Arg::Computed(_))
    }

    /// Flag: its value is the same wherever the command is repeated. An expression that reads the document, or only
    /// calculates, is not repeated elsewhere: another release may calculate differently.
    pub fn is_known(&self) -> bool {
        !matches!(self, Arg::Computed(program) if !program.is_value_of_args())
    }

    /// Flag: it has to be bound to the `args` of a call.
    pub fn is_bound(&self) -> bool {
        matches!(self, Arg::Bound(_))
    }

    /// The operand with its texts borrowed.
    pub fn lend(&self) -> Arg<'_> {
        match self {
            Arg::Path(path) => Arg::Path(path.lend()),
            Arg::Text(text) => Arg::Text(Cow::Borrowed(text)),
            Arg::Json(json) => Arg::Json(json.clone()),
            Arg::Patch(patch) => Arg::Patch(patch.clone()),
            Arg::Expression(program) => Arg::Expression(Arc::clone(program)),
            Arg::Number(number) => Arg::Number(*number),
            Arg::Integer(integer) => Arg::Integer(*integer),
            Arg::Bytes(bytes) => Arg::Bytes(bytes.clone()),
            Arg::Duration(duration) => Arg::Duration(*duration),
            Arg::Choice(choice) => Arg::Choice(*choice),
            Arg::Computed(program) => Arg::Computed(Arc::clone(program)),
            Arg::Bound(bound) => Arg::Bound(bound.clone()),
        }
    }

    /// The operand with its texts in memory of its own, to be used again and again.
    pub fn into_owned(self) -> Arg<'static> {
        match self {
            Arg::Path(path) => Arg::Path(path.into_kept()),
            Arg::Text(text) => Arg::Text(Cow::Owned(text.into_owned())),
            Arg::Json(json) => Arg::Json(json),
            Arg::Patch(patch) => Arg::Patch(patch),
            Arg::Expression(program) => Arg::Expression(program),
            Arg::Number(number) => Arg::Number(number),
            Arg::Integer(integer) => Arg::Integer(integer),
            Arg::Bytes(bytes) => Arg::Bytes(bytes),
            Arg::Duration(duration) => Arg::Duration(duration),
            Arg::Choice(choice) => Arg::Choice(choice),
            Arg::Computed(program) => Arg::Computed(program),
            Arg::Bound(bound) => Arg::Bound(bound),
        }
    }

    pub fn path(&self) -> &Path<'a> {
        match self {
            Arg::Path(path) => path,
            _ => unreachable!("the declaration says it is a path"),
        }
    }

    pub fn singular(&self) -> &Singular<'a> {
        self.path().singular().expect("the declaration says the path is singular")
    }

    pub fn json(&self) -> &Measured {
        match self {
            Arg::Json(json) => json,
            _ => unreachable!("the declaration says it is JSON"),
        }
    }

    /// The operand of the kind [`OperandKind::JsonArray`].
    pub fn array(&self) -> ArrayView<'_> {
        self.json().value.view().as_array().expect("the declaration says it is an array")
    }

    /// The operand of the kind [`OperandKind::JsonObject`].
    pub fn object(&self) -> ObjectView<'_> {
        self.json().value.view().as_object().expect("the declaration says it is an object")
    }

    pub fn patch(&self) -> &Patch {
        match self {
            Arg::Patch(patch) => patch,
            _ => unreachable!("the declaration says it is a patch"),
        }
    }

    pub fn expression(&self) -> &Program {
        match self {
            Arg::Expression(program) => program,
            _ => unreachable!("the declaration says it is an expression"),
        }
    }

    pub fn text(&self) -> &str {
        match self {
            Arg::Text(text) => text,
            _ => unreachable!("the declaration says it is text"),
        }
    }

    pub fn number(&self) -> Number {
        match self {
            Arg::Number(number) => *number,
            _ => unreachable!("the declaration says it is a number"),
        }
    }

    pub fn integer(&self) -> i64 {
        match self {
            Arg::Integer(integer) => *integer,
            _ => unreachable!("the declaration says it is an integer"),
        }
    }

    pub fn bytes(&self) -> &[u8] {
        match self {
            Arg::Bytes(bytes) => bytes,
            _ => unreachable!("the declaration says it is base64"),
        }
    }

    pub fn duration(&self) -> Duration {
        match self {
            Arg::Duration(duration) => *duration,
            _ => unreachable!("the declaration says it is a duration"),
        }
    }

    pub fn choice(&self) -> usize {
        match self {
            Arg::Choice(choice) => *choice,
            _ => unreachable!("the declaration says it is a choice"),
        }
    }
}

impl Arg<'static> {
    /// The operand for one call of an action.
    pub fn bind(&self, paths: &PathLimits, binding: Option<Binding<'_>>) -> Result<Arg<'static>> {
        match self {
            Arg::Bound(bound) => {
                let path = bound.kind.path(&bound.text, paths, binding, None)?;
                Ok(Arg::Path(path.into_owned()))
            }
            known => Ok(known.clone()),
        }
    }
}

/// Compiles an expression, or finds it compiled.
pub type Compile<'p> = dyn FnMut(&[u8], AllowedNames) -> Result<Arc<Program>> + 'p;

/// The context of parsing arguments: limits, the expression compiler, the kind of command.
pub struct Parsing<'p> {
    pub limits: &'p Limits,
    pub paths: &'p PathLimits,
    /// The values behind `args` in paths; none where the command came without ARGS.
    pub binding: Option<Binding<'p>>,
    pub compile: &'p mut Compile<'p>,
    /// Flag: the statements are a transaction's, so that expressions may read other documents and
    /// operators may change keys.
    pub transaction: bool,
    /// Flag: a replica or an AOF load repeats statements that a master validated.
    pub replaying: bool,
}

impl Parsing<'_> {
    pub fn condition(&mut self, source: &[u8]) -> Result<Arc<Program>> {
        (self.compile)(source, AllowedNames { docs: self.transaction, ..AllowedNames::CONDITION })
    }

    pub fn computed(&mut self, source: &[u8]) -> Result<Arc<Program>> {
        (self.compile)(source, AllowedNames { docs: self.transaction, ..AllowedNames::COMPUTED })
    }
}

/// Parses the operands of one statement into `parsed`; `args` holds exactly as many as are declared.
pub fn parse_operands<'a>(
    operands: &[Operand],
    args: &[&'a [u8]],
    parsing: &mut Parsing<'_>,
    parsed: &mut smallvec::SmallVec<[Arg<'a>; 2]>,
) -> Result<()> {
    // Neither collected nor returned: a result in between would move every argument once more.
    for (operand, arg) in operands.iter().zip(args) {
        match operand.kind.known_path(arg, parsing.paths) {
            Some(Ok(path)) => parsed.push(Arg::Path(path)),
            Some(Err(missed)) => parsed.push(parse_path(operand, arg, parsing, Some(missed))?),
            None => parsed.push(parse(operand, arg, parsing)?),
        }
    }
    Ok(())
}

/// Reads an operand of a kind that is a path. `missed` says that it is not known.
fn parse_path<'a>(
    operand: &Operand,
    arg: &'a [u8],
    parsing: &mut Parsing<'_>,
    missed: Option<Missed>,
) -> Result<Arg<'a>> {
    let path = operand.kind.path(arg, parsing.paths, parsing.binding, missed)?;
    Ok(match parsing.binding {
        Some(Binding::Later(reads_args)) if reads_args.take() => {
            Arg::Bound(Box::new(BoundPath { kind: operand.kind, text: arg.into() }))
        }
        _ => Arg::Path(path),
    })
}

#[inline]
fn parse<'a>(operand: &Operand, arg: &'a [u8], parsing: &mut Parsing<'_>) -> Result<Arg<'a>> {
    let (limits, paths) = (parsing.limits, parsing.paths);
    let in_action = matches!(parsing.binding, Some(Binding::Later(_)));
    if let Some(source) = operand.kind.expression(arg, in_action) {
        return parsing.condition(source).map(Arg::Computed);
    }
    let refused = |message: String| Error::syntax(message).text("argument", arg);
    Ok(match operand.kind {
        OperandKind::Path
        | OperandKind::PathBelowRoot
        | OperandKind::Singular
        | OperandKind::SingularBelowRoot
        | OperandKind::SortKey => return parse_path(operand, arg, parsing, None),
        OperandKind::Json => Arg::Json(parse::json(arg, limits)?),
        OperandKind::JsonArray => {
            let json = parse::json(arg, limits)?;
            if json.value.view().as_array().is_none() {
                return Err(refused(format!("{} has to be a JSON array", operand.name)));
            }
            Arg::Json(json)
        }
        OperandKind::JsonObject => {
            let json = parse::json(arg, limits)?;
            if json.value.view().as_object().is_none() {
                return Err(refused(format!("{} has to be a JSON object", operand.name)));
            }
            Arg::Json(json)
        }
        OperandKind::Patch => Arg::Patch(Patch::parse(arg, limits, paths)?),
        OperandKind::JsonString => Arg::Text(parse::string(arg, limits)?.into()),
        OperandKind::Expression => Arg::Expression(parsing.computed(arg)?),
        OperandKind::Number => Arg::Number(Number::parse(arg)?),
        OperandKind::Integer => Arg::Integer(argument::integer(arg)?),
        OperandKind::Name => {
            let text = std::str::from_utf8(arg)
                .map_err(|_| refused(format!("{} has to be UTF-8", operand.name)))?;
            Arg::Text(text.into())
        }
        OperandKind::LockName => Arg::Text(argument::lock_name(arg, operand.name)?.into()),
        OperandKind::Fence => Arg::Integer(argument::fence(arg)? as i64),
        OperandKind::Base64 => {
            let bytes = base64::decode(arg);
            Arg::Bytes(bytes.ok_or_else(|| {
                refused(format!("{} has to be standard base64, padded", operand.name))
            })?)
        }
        OperandKind::Duration => Arg::Duration(Duration::parse(arg)?),
        OperandKind::Choice(choices) => {
            let chosen = choices.iter().position(|word| arg.eq_ignore_ascii_case(word.as_bytes()));
            Arg::Choice(chosen.ok_or_else(|| {
                refused(format!("{} has to be {}", operand.name, choices.join(" or ")))
            })?)
        }
    })
}

impl OperandKind {
    /// The path of an operand, if it is one that comes again and again; none of another kind.
    #[inline(always)]
    fn known_path<'a>(
        self,
        arg: &'a [u8],
        limits: &PathLimits,
    ) -> Option<std::result::Result<Path<'a>, Missed>> {
        match self {
            OperandKind::Path | OperandKind::Singular => Some(Path::known(arg, limits)),
            _ => None,
        }
    }

    /// Reads an operand of a kind that is a path.
    fn path<'a>(
        self,
        arg: &'a [u8],
        limits: &PathLimits,
        binding: Option<Binding<'_>>,
        missed: Option<Missed>,
    ) -> Result<Path<'a>> {
        let path = match (self, missed) {
            (OperandKind::SortKey, _) => {
                return Singular::parse_relative(arg, limits, binding).map(Path::Singular);
            }
            (_, Some(missed)) => Path::parse_missed(arg, limits, binding, missed)?,
            (_, None) => Path::parse_bound(arg, limits, binding)?,
        };
        let (singular, below_root) = match self {
            OperandKind::Singular => (true, false),
            OperandKind::SingularBelowRoot => (true, true),
            OperandKind::PathBelowRoot => (false, true),
            _ => (false, false),
        };
        if singular && !path.is_singular() {
            return Err(Error::syntax("the path has to be singular: names and indexes only")
                .text("path", arg));
        }
        if below_root && path.singular().is_some_and(Singular::is_root) {
            return Err(Error::syntax(
                "the root of a document cannot be taken away; delete the key",
            )
            .text("path", arg));
        }
        Ok(path)
    }
}
