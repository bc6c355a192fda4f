//! Statements: assertions and operators, with their arguments.
//!
//! Every operator has a fixed number of operands, so a value can never be read as a keyword.

use smallvec::SmallVec;

use crate::error::{Error, Result};
use crate::op::{self, Arg, OpSpec, Repeats, operand_integer, parse_operands};
use crate::path::PathLimits;
use crate::value::Limits;

/// One statement, ready to run.
pub enum Statement<'a> {
    Assert(Assertion),
    Operate {
        spec: &'static OpSpec,
        args: SmallVec<[Arg<'a>; 2]>,
        /// The first operand as it was written, for errors.
        written: &'a [u8],
    },
}

impl Statement<'_> {
    /// Whether a replica with the same document may be sent the statement: it has no condition, leads
    /// to one place, and gives the same everywhere.
    pub fn repeats_exactly(&self) -> bool {
        let Statement::Operate { spec, args, .. } = self else { return false };
        let one_place = |arg: &Arg<'_>| !matches!(arg, Arg::Path(path) if !path.is_singular());
        spec.repeats == Repeats::Exactly && args.iter().all(one_place)
    }
}

/// What has to hold for the command to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assertion {
    /// The document's revision before this command.
    Revision(u64),
    Exists,
    Missing,
}

/// The most statements one command may have.
pub const STATEMENTS_MAX: usize = 1024;

/// Statements as they are parsed: one in place, because one is what most commands have.
pub type Statements<'a> = SmallVec<[Statement<'a>; 1]>;

/// Parses all statements up to the end of `args` into `statements`, which is empty: they are large, and
/// not moved again. Errors carry the statement's number.
pub fn parse_statements<'a>(
    args: &'a [&'a [u8]],
    limits: &Limits,
    paths: &PathLimits,
    statements: &mut Statements<'a>,
) -> Result<()> {
    let mut rest = args;
    while let Some((word, operands)) = rest.split_first() {
        let number = statements.len();
        if number == STATEMENTS_MAX {
            return Err(Error::limit("statements", STATEMENTS_MAX as u64));
        }
        let used = parse_statement(word, operands, limits, paths, statements)
            .map_err(|error| error.integer("statement", number as i64))?;
        rest = &operands[used..];
    }
    if statements.is_empty() {
        return Err(Error::syntax("expected a statement"));
    }
    Ok(())
}

/// Adds the statement and gives how many arguments behind its word belong to it.
fn parse_statement<'a>(
    word: &'a [u8],
    rest: &'a [&'a [u8]],
    limits: &Limits,
    paths: &PathLimits,
    statements: &mut Statements<'a>,
) -> Result<usize> {
    let Some(spec) = op::find(word) else {
        let (assertion, used) = parse_assertion(word, rest)?;
        statements.push(Statement::Assert(assertion));
        return Ok(used);
    };
    let count = spec.operands.len();
    let operands = rest.get(..count).ok_or_else(|| missing_operand(spec, rest.len()))?;
    let written = operands.first().copied().unwrap_or_default();
    let mut args = SmallVec::new();
    parse_operands(spec.operands, operands, limits, paths, &mut args)
        .map_err(|error| error.text("operator", spec.name.as_bytes()))?;
    statements.push(Statement::Operate { spec, args, written });
    Ok(count)
}

fn parse_assertion(word: &[u8], rest: &[&[u8]]) -> Result<(Assertion, usize)> {
    if word.eq_ignore_ascii_case(b"EXISTS") {
        return Ok((Assertion::Exists, 0));
    }
    if word.eq_ignore_ascii_case(b"MISSING") {
        return Ok((Assertion::Missing, 0));
    }
    if word.eq_ignore_ascii_case(b"IFREV") {
        let revision = rest.first().ok_or_else(|| Error::syntax("IFREV needs a revision"))?;
        return Ok((Assertion::Revision(parse_revision(revision)?), 1));
    }
    Err(Error::syntax("unknown operator").text("operator", word))
}

/// A revision as a client gives it back.
pub fn parse_revision(arg: &[u8]) -> Result<u64> {
    u64::try_from(operand_integer(arg)?)
        .map_err(|_| Error::syntax("a revision is not negative").text("argument", arg))
}

fn missing_operand(spec: &OpSpec, given: usize) -> Error {
    let operand = &spec.operands[given];
    Error::syntax(format!("{} needs the operand {}", spec.name, operand.name))
        .text("operator", spec.name.as_bytes())
}
