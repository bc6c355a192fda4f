//! `[WHEN expr] op operand ...` behind `AT key`.

use smallvec::SmallVec;

use super::{NativeSpec, NativeStatement, all, find};
use crate::error::{Error, ErrorCode, Result};
use crate::op::{self, Parsing, parse_operands};

/// The word that a block of natives begins with.
pub const NATIVE_BLOCK: &str = "AT";

/// The word in front of a native that is run only where an expression is true.
const WHEN: &[u8] = b"WHEN";

/// Parses the native that begins with `word`, behind which stands `rest`. Returns the number of arguments behind
/// the word that belong to it, too.
pub fn parse_native<'a>(
    word: &'a [u8],
    rest: &'a [&'a [u8]],
    parsing: &mut Parsing<'_>,
) -> Result<(NativeStatement<'a>, usize)> {
    if !word.eq_ignore_ascii_case(WHEN) {
        return parse_op(word, rest, parsing);
    }
    let expr = rest.first().ok_or_else(|| Error::syntax("WHEN needs an expression"))?;
    let when = parsing.condition(expr)?;
    let word = rest.get(1).ok_or_else(|| Error::syntax("WHEN needs a native command"))?;
    let (mut statement, used) = parse_op(word, &rest[2..], parsing)?;
    statement.when = Some(when);
    Ok((statement, used + 2))
}

fn parse_op<'a>(
    word: &'a [u8],
    rest: &'a [&'a [u8]],
    parsing: &mut Parsing<'_>,
) -> Result<(NativeStatement<'a>, usize)> {
    let spec = find(word).ok_or_else(|| unknown(word))?;
    let count = spec.operands.len();
    let operands = rest.get(..count).ok_or_else(|| missing_operand(spec, rest.len()))?;
    let mut args = SmallVec::new();
    parse_operands(spec.operands, operands, parsing, &mut args)
        .map_err(|error| misread(spec, error))
        .and_then(|()| check_literals(spec, &args))
        .map_err(|error| error.text("operator", spec.name.as_bytes()))?;
    Ok((NativeStatement { spec, args, when: None }, count))
}

/// A malformed operand, with the syntax: that of the server's command may be another one.
#[cold]
fn misread(spec: &NativeSpec, error: Error) -> Error {
    match error.code() {
        ErrorCode::Err => {
            let message = format!("here it is {}: {}", spec.usage(), error.message());
            error.with_message(message)
        }
        _ => error,
    }
}

/// Refuses operands that no command can be made of, where they are known before anything is looked up.
fn check_literals(spec: &NativeSpec, args: &[op::Arg<'_>]) -> Result<()> {
    match args.iter().any(op::Arg::is_computed) {
        true => Ok(()),
        false => (spec.write)(args, &mut super::Words::default()),
    }
}

fn missing_operand(spec: &NativeSpec, given: usize) -> Error {
    let operand = &spec.operands[given];
    Error::syntax(format!("{} needs the operand {}", spec.name, operand.name))
        .text("operator", spec.name.as_bytes())
        .text("usage", spec.usage().as_bytes())
}

/// The refusal of a word that is no native, with those there are.
#[cold]
fn unknown(word: &[u8]) -> Error {
    let names: Vec<_> = all().iter().map(|spec| spec.name).collect();
    let message = format!(
        "no native command: AT takes {}, whose refusals are known before anything is changed; operators on \
         documents stand behind ON",
        names.join(", ")
    );
    Error::syntax(message).text("operator", word)
}
