//! Runs the statements of one block on one document, in order, each seeing what those before it did.

use smallvec::SmallVec;

use super::statement::{Assertion, Statement};
use crate::budget::Allowance;
use crate::error::{Error, ErrorCode, Result};
use crate::expr::Program;
use crate::lock::{Held, Locks, lost};
use crate::op::{Absent, Arg, Around, Frame, OpSpec, Run, Site};
use crate::path::Path;
use crate::reply::Reply;
use crate::value::Place;
use crate::value::edit::Editor;

/// What statements run in.
pub struct Block<'b, 'a> {
    /// The document, if it exists by now.
    pub editor: Option<&'b mut Editor<'a>>,
    pub around: &'b Around<'b>,
    pub allowance: &'b Allowance<'b>,
    pub make_path: bool,
    pub locks: HeldLocks<'b>,
}

/// The locks of a block's document, as the statements so far leave them.
pub struct HeldLocks<'b> {
    /// None where the document is missing or was just made.
    pub locks: Option<&'b Locks>,
    /// The grants that end when the command is over.
    pub released: &'b mut Released,
    /// The moment, where a statement asks who holds locks.
    pub now_ms: u64,
    /// What is repeated was judged elsewhere.
    pub replaying: bool,
}

/// Grants that are over: the names of the locks, and the fences.
pub type Released = SmallVec<[(Box<str>, u64); 1]>;

impl HeldLocks<'_> {
    /// `LOCKLOST` unless the lock is held by this grant.
    fn check(&self, key: &[u8], name: &str, owner: &str, fence: u64) -> Result<()> {
        let over = self.released.iter().any(|(known, at)| **known == *name && *at == fence);
        let (name, owner) = (name.as_bytes(), owner.as_bytes());
        let held = self.locks.and_then(|locks| locks.holding(name, owner, fence, self.now_ms));
        match held.filter(|_| !over) {
            Some(_) => Ok(()),
            None => Err(lost(key, &Held { name, owner, fence })),
        }
    }
}

/// One reply for each operator.
pub type Ran = Vec<Reply>;

/// Runs all statements. On an error the caller undoes what was done.
pub fn run_block(mut block: Block<'_, '_>, statements: &[Statement<'_>]) -> Result<Ran> {
    let mut replies = Vec::with_capacity(statements.len());
    for (number, statement) in statements.iter().enumerate() {
        replies.extend(run_statement(&mut block, number, statement)?.reply());
    }
    Ok(replies)
}

/// What became of a statement.
pub enum Done {
    /// An assertion held.
    Held,
    /// The operator did not run, because its guard is false.
    Skipped,
    Ran(Reply),
}

impl Done {
    /// An assertion has no reply.
    #[inline]
    pub fn reply(self) -> Option<Reply> {
        match self {
            Done::Held => None,
            Done::Skipped => Some(Reply::Null),
            Done::Ran(reply) => Some(reply),
        }
    }
}

/// Runs one statement that is none about a key. `number` is the statement's, for errors.
#[inline]
pub fn run_statement(
    block: &mut Block<'_, '_>,
    number: usize,
    statement: &Statement<'_>,
) -> Result<Done> {
    let numbered = |error: Error| error.integer("statement", number as i64);
    match statement {
        Statement::Assert(assertion) => {
            check(block, assertion).map(|()| Done::Held).map_err(numbered)
        }
        Statement::Operate { when: Some(when), .. }
            if !is_true(block, when).map_err(numbered)? =>
        {
            Ok(Done::Skipped)
        }
        Statement::Operate { spec, args, written, .. } => {
            operate(block, spec, args).map(Done::Ran).map_err(|error| {
                let error = numbered(error).text("operator", spec.name.as_bytes());
                let has_path = matches!(args.first(), Some(Arg::Path(_)));
                if has_path { error.text("path", written) } else { error }
            })
        }
    }
}

/// What an expression says of the document as it stands.
fn is_true(block: &Block<'_, '_>, program: &Program) -> Result<bool> {
    let editor = block.editor.as_deref().ok_or_else(no_key)?;
    program.test(&block.around.scope(Some(editor.view()), None), block.around.limits)
}

/// The refusal where an `IF` is false: what it was, and what it had read.
#[cold]
fn is_false(block: &Block<'_, '_>, program: &Program) -> Error {
    let error = Error::new(ErrorCode::Condition, "condition is false")
        .text("expr", program.source().as_bytes());
    match block.editor.as_deref() {
        Some(editor) => {
            let scope = block.around.scope(Some(editor.view()), None);
            error.values(program.explain(&scope, block.around.limits))
        }
        None => error,
    }
}

fn check(block: &Block<'_, '_>, assertion: &Assertion) -> Result<()> {
    let exists = block.editor.is_some();
    match assertion {
        Assertion::Exists if !exists => {
            Err(Error::new(ErrorCode::Condition, "the document does not exist"))
        }
        Assertion::Missing if exists => {
            Err(Error::new(ErrorCode::Condition, "the document exists"))
        }
        Assertion::Exists | Assertion::Missing | Assertion::Held => Ok(()),
        Assertion::Revision(_) if !exists => Err(no_key()),
        Assertion::Revision(expected) => check_revision(*expected, block.around.revision),
        Assertion::Holding { name, owner, fence } => {
            block.locks.check(block.around.key, name, owner, *fence)
        }
        Assertion::If(program) => match is_true(block, program)? {
            true => Ok(()),
            false => Err(is_false(block, program)),
        },
    }
}

/// `REVISION` unless the document has the expected revision.
pub fn check_revision(expected: u64, found: Option<u64>) -> Result<()> {
    if found == Some(expected) {
        return Ok(());
    }
    let error = Error::new(ErrorCode::Revision, "the document has another revision")
        .integer("expected", expected as i64);
    Err(match found {
        Some(found) => error.integer("revision", found as i64),
        None => error,
    })
}

/// The refusal where a statement needs a document.
pub fn no_key() -> Error {
    Error::new(ErrorCode::NoKey, "the key is missing")
}

/// Notes that a grant is over when the command is.
fn release(block: &mut Block<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    let (name, owner, fence) = (args[0].text(), args[1].text(), args[2].integer() as u64);
    if !block.locks.replaying {
        block.locks.check(block.around.key, name, owner, fence)?;
    }
    block.locks.released.push((name.into(), fence));
    Ok(Reply::Int(1))
}

fn operate(block: &mut Block<'_, '_>, spec: &OpSpec, args: &[Arg<'_>]) -> Result<Reply> {
    if let Run::Release = spec.run {
        return release(block, args);
    }
    let editor = block.editor.as_deref_mut().ok_or_else(no_key)?;
    let (around, allowance) = (block.around, block.allowance);
    let mut frame = Frame { editor, around, allowance, make_path: block.make_path };
    match spec.run {
        Run::Once(run) => run(&mut frame, args)?.within(allowance),
        Run::Each(run) => each(&mut frame, spec, args, run, Reply::Array),
        Run::Total(run) => each(&mut frame, spec, args, run, total),
        Run::Release => unreachable!("it was run above"),
        Run::Key(_) => unreachable!("the transaction runs it, which holds the key"),
    }
}

fn total(replies: Vec<Reply>) -> Reply {
    let count = |reply: &Reply| match reply {
        Reply::Int(count) => *count,
        other => unreachable!("an operator with a total replies integers, not {other:?}"),
    };
    Reply::Int(replies.iter().map(count).sum())
}

type RunEach = fn(&mut Site<'_, '_>, &[Arg<'_>]) -> Result<Reply>;

fn each(
    frame: &mut Frame<'_, '_>,
    spec: &OpSpec,
    args: &[Arg<'_>],
    run: RunEach,
    gather: fn(Vec<Reply>) -> Reply,
) -> Result<Reply> {
    match args[0].path() {
        Path::Singular(path) => {
            let mut site = frame.site(path);
            if site.is_present() {
                return run(&mut site, args)?.within(site.allowance());
            }
            match spec.absent {
                Absent::Null => Ok(Reply::Null),
                Absent::Zero => Ok(Reply::Int(0)),
                Absent::NoPath => Err(Error::new(ErrorCode::NoPath, "nothing is at the path")),
                Absent::Create => match site.blocked() {
                    Some(error) => Err(error.clone()),
                    None => run(&mut site, args)?.within(site.allowance()),
                },
                Absent::Own => unreachable!("an operator that looks for itself runs once"),
            }
        }
        Path::Query(query) => {
            let places = query.places(frame.view(), frame.allowance)?;
            let counted = matches!(spec.run, Run::Each(_));
            at_places(frame, places, args, run, counted).map(gather)
        }
    }
}

/// Runs back to front, so that no change moves a place that is still to come: what stands behind a
/// place or inside it is done before it. Replies stand in the order of the matches; `counted` are those
/// that are given as they are.
fn at_places(
    frame: &mut Frame<'_, '_>,
    places: Vec<Place>,
    args: &[Arg<'_>],
    run: RunEach,
    counted: bool,
) -> Result<Vec<Reply>> {
    let mut replies = vec![Reply::Null; places.len()];
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_unstable_by(|a, b| places[*b].cmp(&places[*a]));
    for nth in order {
        let reply = run(&mut frame.site_at(places[nth].clone()), args)?;
        replies[nth] = if counted { reply.within(frame.allowance)? } else { reply };
    }
    Ok(replies)
}
