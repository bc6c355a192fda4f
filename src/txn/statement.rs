//! Statements: assertions and operators, with their arguments.
//!
//! Every operator has a fixed number of operands, so a value can never be read as a keyword.

use std::borrow::Cow;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::argument;
use crate::error::{Error, ErrorCode, Result};
use crate::expr::Program;
use crate::limit;
use crate::native::{self, NATIVE_BLOCK};
use crate::op::{
    self, Arg, OpSpec, Operand, OperandKind, Parsing, Repeats, Target, parse_operands,
};
use crate::path::{Binding, PathLimits};

/// One statement, ready to run.
pub enum Statement<'a> {
    Assert(Assertion),
    Operate {
        spec: &'static OpSpec,
        args: SmallVec<[Arg<'a>; 2]>,
        /// The text of the first operand, for errors.
        first_operand: Cow<'a, [u8]>,
        before: Prefixes,
    },
}

/// Needs of statements beside their changes, found out once. An action keeps them.
#[derive(Clone, Copy, Debug)]
pub struct StatementTraits {
    /// Flag: a replica may be sent all of them, see [`Statement::repeats_exactly`].
    pub repeat_exactly: bool,
    /// Flag: a condition asks for the time. Other statements that do so do not repeat exactly.
    pub condition_reads_clock: bool,
    /// Flag: one asks for the holders of locks.
    pub concern_locks: bool,
}

impl StatementTraits {
    /// Those of a request without statements.
    pub const NONE: StatementTraits = StatementTraits {
        repeat_exactly: true,
        condition_reads_clock: false,
        concern_locks: false,
    };

    #[inline]
    pub fn of(statements: &[Statement<'_>]) -> StatementTraits {
        let mut traits = StatementTraits::NONE;
        for statement in statements {
            traits.repeat_exactly &= statement.repeats_exactly();
            traits.condition_reads_clock |= statement.is_condition_of_clock();
            traits.concern_locks |= statement.concerns_locks();
        }
        traits
    }
}

/// The words in front of an operator.
#[derive(Clone, Default)]
pub struct Prefixes {
    /// The operator runs only where this is true.
    pub when: Option<Arc<Program>>,
    /// Flag: its path has to match a place.
    pub strict: bool,
}

impl<'a> Statement<'a> {
    /// The statement with its texts in memory of its own.
    pub fn into_owned(self) -> Statement<'static> {
        match self {
            Statement::Assert(assertion) => Statement::Assert(assertion),
            Statement::Operate { spec, args, first_operand, before } => Statement::Operate {
                spec,
                args: args.into_iter().map(Arg::into_owned).collect(),
                first_operand: Cow::Owned(first_operand.into_owned()),
                before,
            },
        }
    }

    /// Flag: an operand has to be bound to the `args` of a call.
    pub fn is_bound(&self) -> bool {
        matches!(self, Statement::Operate { args, .. } if args.iter().any(Arg::is_bound))
    }

    /// Returns true if a replica with the same document may be sent the statement: an assertion, which held and
    /// is not looked at again, or an operator without a guard that leads to one place and gives the
    /// same everywhere.
    #[inline]
    fn repeats_exactly(&self) -> bool {
        let one_place = |arg: &Arg<'_>| !matches!(arg, Arg::Path(path) if !path.is_singular());
        match self {
            Statement::Assert(Assertion::Holding(grant)) => !grant.iter().any(Arg::is_computed),
            Statement::Assert(_) => true,
            Statement::Operate { spec, args, before, .. } => {
                before.when.is_none()
                    && spec.repeats != Repeats::Differently
                    && args.iter().all(|arg| one_place(arg) && arg.is_known())
            }
        }
    }

    /// Returns true if an expression of it asks about structures of the server.
    pub fn reads_native(&self) -> bool {
        let reads = |arg: &Arg<'_>| match arg {
            Arg::Computed(program) | Arg::Expression(program) => program.reads_native(),
            _ => false,
        };
        match self {
            Statement::Assert(Assertion::If(program)) => program.reads_native(),
            Statement::Assert(Assertion::Holding(grant)) => grant.iter().any(reads),
            Statement::Assert(_) => false,
            Statement::Operate { args, before, .. } => {
                args.iter().any(reads)
                    || before.when.as_ref().is_some_and(|when| when.reads_native())
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
            Statement::Assert(assertion) => matches!(assertion, Assertion::Holding(_)),
            Statement::Operate { spec, .. } => spec.target() == Target::Lock,
        }
    }

    /// Returns true for a condition that reads the clock.
    fn is_condition_of_clock(&self) -> bool {
        matches!(self, Statement::Assert(Assertion::If(program)) if program.reads_clock())
    }
}

impl Statement<'static> {
    /// The statement for one call of an action.
    pub fn bind(
        &self,
        paths: &PathLimits,
        binding: Option<Binding<'_>>,
    ) -> Result<Statement<'static>> {
        Ok(match self {
            Statement::Assert(assertion) => Statement::Assert(assertion.clone()),
            Statement::Operate { spec, args, first_operand, before } => {
                let args = args.iter().map(|arg| arg.bind(paths, binding)).collect::<Result<_>>();
                let args = args.map_err(|error| error.text("operator", spec.name.as_bytes()))?;
                let (first_operand, before) = (first_operand.clone(), before.clone());
                Statement::Operate { spec, args, first_operand, before }
            }
        })
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
    Holding(Box<[Arg<'static>; 3]>),
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
        if is_word(word, BLOCK) || is_word(word, NATIVE_BLOCK) {
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
    if is_word(word, GUARD) {
        return Err(Error::syntax("WHEN stands once, before STRICT"));
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
    let first_operand = Cow::Borrowed(operands.first().copied().unwrap_or_default());
    // Its operands are read where they stay: they are large.
    statements.push(Statement::Operate { spec, args: SmallVec::new(), first_operand, before });
    let Some(Statement::Operate { args, .. }) = statements.last_mut() else {
        unreachable!("an operator was pushed")
    };
    parse_operands(spec.operands, operands, parsing, args)
        .map_err(|error| error.text("operator", spec.name.as_bytes()))?;
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
        (parse_holding(rest, parsing)?, 3)
    } else {
        return Err(unknown_operator(word));
    };
    Ok((if parsing.replaying { Assertion::Held } else { assertion }, used))
}

/// Options that people write behind a statement.
const OPTIONS: [&str; 10] =
    ["INIT", "ARGS", "CURRENT", "MKPATH", "EX", "PX", "EXAT", "PXAT", "PERSIST", "TOKEN"];

/// Operators of RedisJSON, of the server and of other databases, with the statements that do the same here.
const ELSEWHERE: [(&str, &str); 18] = [
    ("ADD", "INCR"),
    ("ARRAPPEND", "APPEND"),
    ("ARRINDEX", "INDEX"),
    ("ARRINSERT", "INSERT"),
    ("ARRLEN", "LEN"),
    ("ARRPOP", "POP"),
    ("ARRTRIM", "TRIM"),
    ("DECR", "INCR with a negative number"),
    ("DECRBY", "INCR with a negative number"),
    ("INC", "INCR"),
    ("INCRBY", "INCR"),
    ("NUMINCRBY", "INCR"),
    ("NUMMULTBY", "MUL"),
    ("PUSH", "APPEND"),
    ("REMOVE", "DEL"),
    ("RPUSH", "APPEND"),
    ("STRLEN", "LEN"),
    ("UNSET", "DEL"),
];

#[cold]
fn unknown_operator(word: &[u8]) -> Error {
    if let Some(option) = OPTIONS.iter().find(|option| is_word(word, option)) {
        let message = format!("{option} is an option: it stands before the statements, and once");
        return Error::syntax(message).text("argument", word);
    }
    let is_native = native::find(word).is_some() || is_word(word, native::NATIVE_BLOCK);
    let message: Cow<'static, str> = match (is_native, meant(word)) {
        (true, Some(own)) => format!("{NATIVE_PLACE}; in a document it is {own}").into(),
        (true, None) => NATIVE_PLACE.into(),
        (false, Some(own)) => format!("unknown operator: is {own} meant?").into(),
        (false, None) => "unknown operator".into(),
    };
    Error::syntax(message).text("operator", word)
}

const NATIVE_PLACE: &str =
    "a native command stands behind AT and its key, in MODEL.TXN, MODEL.FINDOP or MODEL.ACTION";

/// The statement that is meant by a word that is none.
fn meant(word: &[u8]) -> Option<&'static str> {
    let elsewhere = ELSEWHERE.iter().find(|(name, _)| is_word(word, name));
    elsewhere.map(|(_, own)| *own).or_else(|| {
        let words = ASSERTIONS.iter().map(|spec| spec.name).chain([GUARD, STRICT]);
        let names = op::all().iter().map(|spec| spec.name).chain(words);
        argument::nearest(word, names)
    })
}

/// The operands of `HOLDING`.
pub static GRANT: [Operand; 3] = [
    Operand { name: "name", kind: OperandKind::LockName },
    Operand { name: "owner", kind: OperandKind::LockName },
    Operand { name: "fence", kind: OperandKind::Fence },
];

fn parse_holding(rest: &[&[u8]], parsing: &mut Parsing<'_>) -> Result<Assertion> {
    let Some(operands) = rest.get(..GRANT.len()) else {
        return Err(Error::syntax("HOLDING needs the name, the owner and the fence of a lock"));
    };
    let mut grant = SmallVec::new();
    parse_operands(&GRANT, operands, parsing, &mut grant)?;
    let [name, owner, fence] = [0, 1, 2].map(|nth: usize| grant[nth].clone().into_owned());
    Ok(Assertion::Holding(Box::new([name, owner, fence])))
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
        .text("usage", spec.usage().as_bytes())
}
