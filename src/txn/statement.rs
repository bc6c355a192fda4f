//! Statements: assertions and operators, with their arguments.
//!
//! Every operator has a fixed number of operands, so a value can never be read as a keyword.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::argument;
use crate::error::{Error, ErrorCode, Result};
use crate::expr::Program;
use crate::limit;
use crate::op::{self, Arg, OpSpec, Parsing, Repeats, Target, parse_operands};

/// One statement, ready to run.
pub enum Statement<'a> {
    Assert(Assertion),
    Operate {
        spec: &'static OpSpec,
        args: SmallVec<[Arg<'a>; 2]>,
        /// The text of the first operand, for errors.
        first_operand: &'a [u8],
        before: Prefixes,
    },
}

/// The words in front of an operator.
#[derive(Default)]
pub struct Prefixes {
    /// The operator runs only where this is true.
    pub when: Option<Arc<Program>>,
    /// Flag: its path has to match a place.
    pub strict: bool,
}

impl Statement<'_> {
    /// Returns true if a replica with the same document may be sent the statement: an assertion, which held and
    /// is not looked at again, or an operator without a guard that leads to one place and gives the
    /// same everywhere.
    pub fn repeats_exactly(&self) -> bool {
        let one_place = |arg: &Arg<'_>| !matches!(arg, Arg::Path(path) if !path.is_singular());
        match self {
            Statement::Assert(_) => true,
            Statement::Operate { spec, args, before, .. } => {
                before.when.is_none()
                    && spec.repeats != Repeats::Differently
                    && args.iter().all(|arg| one_place(arg) && !arg.is_computed())
            }
        }
    }

    /// Returns true if it may change the document or its key.
    pub fn may_write(&self) -> bool {
        match self {
            Statement::Assert(_) => false,
            Statement::Operate { spec, .. } => {
                spec.repeats != Repeats::Nothing && !self.concerns_locks()
            }
        }
    }

    /// Returns true if it reads the holders of locks.
    pub fn concerns_locks(&self) -> bool {
        match self {
            Statement::Assert(assertion) => matches!(assertion, Assertion::Holding { .. }),
            Statement::Operate { spec, .. } => spec.target() == Target::Lock,
        }
    }

    /// Returns true for a condition that reads the clock.
    pub fn is_condition_of_clock(&self) -> bool {
        matches!(self, Statement::Assert(Assertion::If(program)) if program.reads_clock())
    }
}

/// A condition that must hold for the command to be executed.
#[derive(Clone)]
pub enum Assertion {
    /// An expression about the document as it stands at this point.
    If(Arc<Program>),
    /// The document's revision before this command.
    Revision(u64),
    /// A lock is held by this grant.
    Holding {
        name: Box<str>,
        owner: Box<str>,
        fence: u64,
    },
    Exists,
    Missing,
    /// It held where the command was validated.
    Held,
}

/// The declaration of an assertion, for the documentation.
pub struct AssertionSpec {
    pub name: &'static str,
    pub operands: &'static [AssertionOperand],
    /// One sentence without a final stop.
    pub summary: &'static str,
    /// In order of precedence.
    pub errors: &'static [ErrorCode],
}

/// The operand of an assertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssertionOperand {
    Expression,
    Revision,
    LockName,
    Owner,
    Fence,
}

impl AssertionOperand {
    /// As it stands in the syntax.
    pub const fn name(self) -> &'static str {
        match self {
            AssertionOperand::Expression => "expr",
            AssertionOperand::Revision => "revision",
            AssertionOperand::LockName => "name",
            AssertionOperand::Owner => "owner",
            AssertionOperand::Fence => "fence",
        }
    }
}

/// The assertions there are.
pub static ASSERTIONS: [AssertionSpec; 5] = [
    AssertionSpec {
        name: "IF",
        operands: &[AssertionOperand::Expression],
        summary: "The expression is true of the document as it stands at this point; a refusal says what it read",
        errors: &[ErrorCode::Expr, ErrorCode::NoKey, ErrorCode::Condition],
    },
    AssertionSpec {
        name: "IFREV",
        operands: &[AssertionOperand::Revision],
        summary: "The document had this revision before the command",
        errors: &[ErrorCode::NoKey, ErrorCode::Revision],
    },
    AssertionSpec {
        name: "HOLDING",
        operands: &[AssertionOperand::LockName, AssertionOperand::Owner, AssertionOperand::Fence],
        summary: "The lock of that name is held by this grant, whose lease is not over",
        errors: &[ErrorCode::LockLost],
    },
    AssertionSpec {
        name: "EXISTS",
        operands: &[],
        summary: "The document exists",
        errors: &[ErrorCode::Condition],
    },
    AssertionSpec {
        name: "MISSING",
        operands: &[],
        summary: "The document does not exist",
        errors: &[ErrorCode::Condition],
    },
];

/// The word in front of an operator that runs only where an expression is true.
pub const GUARD: &str = "WHEN";

/// The word in front of an operator whose path has to match at least one place.
pub const STRICT: &str = "STRICT";

/// The word a transaction's block begins with.
pub const BLOCK: &str = "ON";

/// The most statements one command may have, all blocks of a transaction together.
pub const STATEMENTS_MAX: usize = crate::limit::STATEMENTS.default as usize;

/// Statements as they are parsed: a few in place, because most commands have no more.
pub type Statements<'a> = SmallVec<[Statement<'a>; 4]>;

/// Parses all statements up to the end of `args` into `statements`, which is empty: they are large, and
/// not moved again. Errors carry the statement's number.
pub fn parse_statements<'a>(
    args: &'a [&'a [u8]],
    parsing: &mut Parsing<'_>,
    statements: &mut Statements<'a>,
) -> Result<()> {
    let mut rest = args;
    while let Some((word, operands)) = rest.split_first() {
        let used = parse_next(word, operands, 0, parsing, statements)?;
        rest = &operands[used..];
    }
    Ok(())
}

/// Parses the statements of one block, up to the next one, behind those that are in `statements`
/// already. Gives how many arguments they are. Errors carry the statement's number in the block.
pub fn parse_block<'a>(
    args: &'a [&'a [u8]],
    parsing: &mut Parsing<'_>,
    statements: &mut Statements<'a>,
) -> Result<usize> {
    let (mut rest, first) = (args, statements.len());
    while let Some((word, operands)) = rest.split_first() {
        if word.eq_ignore_ascii_case(BLOCK.as_bytes()) {
            break;
        }
        let used = parse_next(word, operands, first, parsing, statements)?;
        rest = &operands[used..];
    }
    Ok(args.len() - rest.len())
}

/// `first` is where the block's statements begin.
fn parse_next<'a>(
    word: &'a [u8],
    operands: &'a [&'a [u8]],
    first: usize,
    parsing: &mut Parsing<'_>,
    statements: &mut Statements<'a>,
) -> Result<usize> {
    if statements.len() == STATEMENTS_MAX {
        return Err(Error::limit(limit::STATEMENTS, STATEMENTS_MAX as u64));
    }
    let number = (statements.len() - first) as i64;
    parse_statement(word, operands, parsing, statements)
        .map_err(|error| error.integer("statement", number))
}

/// Adds the statement and gives how many arguments behind its word belong to it.
fn parse_statement<'a>(
    word: &'a [u8],
    rest: &'a [&'a [u8]],
    parsing: &mut Parsing<'_>,
    statements: &mut Statements<'a>,
) -> Result<usize> {
    if let Some(spec) = find_operator(word, parsing)? {
        return parse_operator(spec, rest, Prefixes::default(), parsing, statements);
    }
    if is_word(word, GUARD) || is_word(word, STRICT) {
        return parse_prefixed(word, rest, parsing, statements);
    }
    let (assertion, used) = parse_assertion(word, rest, parsing)?;
    statements.push(Statement::Assert(assertion));
    Ok(used)
}

/// Parses `[WHEN expr] [STRICT] operator`, from the first of these words.
fn parse_prefixed<'a>(
    word: &'a [u8],
    rest: &'a [&'a [u8]],
    parsing: &mut Parsing<'_>,
    statements: &mut Statements<'a>,
) -> Result<usize> {
    let mut before = Prefixes::default();
    let (mut last, mut word, mut behind) = (GUARD, word, rest);
    let next = |last: &str, behind: &mut &'a [&'a [u8]]| -> Result<&'a [u8]> {
        let (word, others) = behind.split_first().ok_or_else(|| no_operator(last))?;
        *behind = others;
        Ok(word)
    };
    if is_word(word, GUARD) {
        let expr = rest.first().ok_or_else(|| Error::syntax("WHEN needs an expression"))?;
        before.when = Some(parsing.condition(expr)?);
        behind = &rest[1..];
        word = next(last, &mut behind)?;
    }
    if is_word(word, STRICT) {
        (before.strict, last) = (true, STRICT);
        word = next(last, &mut behind)?;
    }
    let spec =
        find_operator(word, parsing)?.ok_or_else(|| no_operator(last).text("operator", word))?;
    if before.strict && !spec.takes_path() {
        return Err(Error::syntax("STRICT needs an operator with a path")
            .text("operator", spec.name.as_bytes()));
    }
    let operands = parse_operator(spec, behind, before, parsing, statements)?;
    Ok(rest.len() - behind.len() + operands)
}

#[cold]
fn no_operator(before: &str) -> Error {
    Error::syntax(format!("{before} needs an operator"))
}

fn is_word(argument: &[u8], word: &str) -> bool {
    argument.eq_ignore_ascii_case(word.as_bytes())
}

fn find_operator(word: &[u8], parsing: &Parsing<'_>) -> Result<Option<&'static OpSpec>> {
    match op::find(word) {
        Some(spec) if spec.target() == Target::Key && !parsing.transaction => {
            Err(Error::syntax("this operator is one of MODEL.TXN")
                .text("operator", spec.name.as_bytes()))
        }
        found => Ok(found),
    }
}

fn parse_operator<'a>(
    spec: &'static OpSpec,
    rest: &'a [&'a [u8]],
    before: Prefixes,
    parsing: &mut Parsing<'_>,
    statements: &mut Statements<'a>,
) -> Result<usize> {
    let count = spec.operands.len();
    let operands = rest.get(..count).ok_or_else(|| missing_operand(spec, rest.len()))?;
    let first_operand = operands.first().copied().unwrap_or_default();
    let mut args = SmallVec::new();
    parse_operands(spec.operands, operands, parsing, &mut args)
        .map_err(|error| error.text("operator", spec.name.as_bytes()))?;
    statements.push(Statement::Operate { spec, args, first_operand, before });
    Ok(count)
}

fn parse_assertion(
    word: &[u8],
    rest: &[&[u8]],
    parsing: &mut Parsing<'_>,
) -> Result<(Assertion, usize)> {
    let operand = |needed: &'static str| rest.first().copied().ok_or_else(|| Error::syntax(needed));
    if word.eq_ignore_ascii_case(b"IF") {
        let expr = operand("IF needs an expression")?;
        // It was true where the command was validated, or the command would not be here.
        if parsing.replaying {
            return Ok((Assertion::Held, 1));
        }
        return Ok((Assertion::If(parsing.condition(expr)?), 1));
    }
    let (assertion, used) = if word.eq_ignore_ascii_case(b"EXISTS") {
        (Assertion::Exists, 0)
    } else if word.eq_ignore_ascii_case(b"MISSING") {
        (Assertion::Missing, 0)
    } else if word.eq_ignore_ascii_case(b"IFREV") {
        (Assertion::Revision(parse_revision(operand("IFREV needs a revision")?)?), 1)
    } else if word.eq_ignore_ascii_case(b"HOLDING") {
        (parse_holding(rest)?, 3)
    } else {
        return Err(unknown_operator(word));
    };
    Ok((if parsing.replaying { Assertion::Held } else { assertion }, used))
}

/// Options that people write behind a statement.
const OPTIONS: [&str; 10] =
    ["INIT", "ARGS", "CURRENT", "MKPATH", "EX", "PX", "EXAT", "PXAT", "PERSIST", "TOKEN"];

#[cold]
fn unknown_operator(word: &[u8]) -> Error {
    match OPTIONS.iter().find(|option| is_word(word, option)) {
        Some(option) => Error::syntax(format!(
            "{option} is an option: it stands before the statements, and once"
        ))
        .text("argument", word),
        None => Error::syntax("unknown operator").text("operator", word),
    }
}

fn parse_holding(rest: &[&[u8]]) -> Result<Assertion> {
    let &[name, owner, fence, ..] = rest else {
        return Err(Error::syntax("HOLDING needs the name, the owner and the fence of a lock"));
    };
    let name = argument::lock_name(name, "name")?.into();
    let owner = argument::lock_name(owner, "owner")?.into();
    Ok(Assertion::Holding { name, owner, fence: argument::fence(fence)? })
}

/// A revision as a client gives it back.
pub fn parse_revision(arg: &[u8]) -> Result<u64> {
    u64::try_from(argument::integer(arg)?)
        .map_err(|_| Error::syntax("a revision is not negative").text("argument", arg))
}

fn missing_operand(spec: &OpSpec, given: usize) -> Error {
    let operand = &spec.operands[given];
    Error::syntax(format!("{} needs the operand {}", spec.name, operand.name))
        .text("operator", spec.name.as_bytes())
}
