//! Runs the statements of one block on its key, in order, each seeing what those before it did.

use std::sync::Arc;

use super::context::{JournalBytes, Released, TransactionContext};
use super::request::{Block, Content};
use super::slot::{Making, ScratchJournal, Slot, no_key};
use super::statement::{Assertion, GRANT, Prefixes, Statement};
use crate::budget::Allowance;
use crate::error::{Error, ErrorCode, Result};
use crate::expr::{ExprLimits, Program, Scope};
use crate::lock::{GrantRef, lost};
use crate::model::Model;
use crate::op::{self, Absent, Action, Arg, Around, Frame, KeyChange, OpSpec, Site};
use crate::path::Path;
use crate::reply::Reply;
use crate::value::edit::{Editor, Journal};
use crate::value::{Measured, Place};

/// A block that is being run.
pub struct BlockRun<'b, 'a, 'h> {
    pub context: &'b TransactionContext<'b, 'a>,
    pub slot: &'b mut Slot<'h>,
    pub slot_number: usize,
    pub around: Around<'b>,
    pub make_path: bool,
    pub scratch: &'b mut ScratchJournal,
    pub released: &'b mut Released,
}

impl BlockRun<'_, '_, '_> {
    /// Adds one reply for each operator. On an error the slots are to be dropped, which reverts what was done.
    /// `bytes` counts for all blocks together.
    pub fn run(
        mut self,
        block: &Block<'_>,
        mut bytes: Option<&mut JournalBytes>,
        replies: &mut Vec<Reply>,
    ) -> Result<()> {
        if let Some(content) = &block.content {
            self.store(content)?;
        }
        for (number, nth) in block.statements.clone().enumerate() {
            let before = bytes.is_some().then(|| self.slot.journal_bytes());
            if let Some(reply) = self.statement(number, nth)? {
                replies.push(reply);
            }
            if let (Some(bytes), Some(before)) = (&mut bytes, before) {
                let made = self.scratch.as_ref().map_or(0, Journal::put_in);
                bytes
                    .add(self.context, before, self.slot.journal_bytes(), made)
                    .map_err(|error| error.integer("statement", number as i64))?;
            }
        }
        if let Some(expiry) = block.expiry {
            if self.slot.is_missing() {
                return Err(no_key());
            }
            self.slot.set_expiry(expiry);
        }
        Ok(())
    }

    /// The assertions before the block's first operator that fail, each by itself.
    #[cold]
    pub fn failed_at_first(self, block: &Block<'_>) -> Vec<Error> {
        let statements = self.context.request.statements_of(block);
        let assertions = statements.iter().map_while(|statement| match statement {
            Statement::Assert(assertion) => Some(assertion),
            Statement::Operate { .. } => None,
        });
        let failed = |(number, assertion): (usize, &Assertion)| {
            let refused = self.assert(assertion).err()?;
            Some(refused.integer("statement", number as i64))
        };
        assertions.enumerate().filter_map(failed).collect()
    }

    /// Stores the block's own document, where there is none or it replaces one.
    fn store(&mut self, content: &Content) -> Result<()> {
        if !content.replaces && !self.slot.is_missing() {
            return Ok(());
        }
        let document = content.document.take();
        self.context.request.allowance.own(document.size);
        self.make(document, content.model.clone(), content.json_arg)
    }

    fn make(
        &mut self,
        content: Measured,
        model: Option<Arc<Model>>,
        json_arg: Option<usize>,
    ) -> Result<()> {
        let request = self.context.request;
        let (limits, allowance) = (&request.settings.document, request.allowance);
        let making = Making { scratch: self.scratch, limits, allowance };
        self.slot.make(content, model, json_arg, making)
    }

    /// Runs one statement. `number` is its number in the block, `nth` the one among all. An assertion has no
    /// reply.
    #[inline]
    fn statement(&mut self, number: usize, nth: usize) -> Result<Option<Reply>> {
        let numbered = |error: Error| error.integer("statement", number as i64);
        let (spec, args, first_operand, before) = match &self.context.request.statements[nth] {
            // It held where the command was validated.
            Statement::Assert(_) if self.context.request.replaying => return Ok(None),
            Statement::Assert(assertion) => {
                return self.assert(assertion).map(|()| None).map_err(numbered);
            }
            Statement::Operate { spec, args, first_operand, before } => {
                (*spec, args, &**first_operand, before)
            }
        };
        let Prefixes { when, strict } = before;
        let when = when.as_deref();
        if let Action::Key(change) = spec.run {
            let reply = self.change_key_when(when, (spec, change), args, nth);
            return reply
                .map(Some)
                .map_err(|error| numbered(error).text("operator", spec.name.as_bytes()));
        }
        if let Some(when) = when
            && !self.holds(when).map_err(numbered)?
        {
            return Ok(Some(Reply::Null));
        }
        self.operate(spec, args, *strict).map(Some).map_err(|error| {
            let error = numbered(error).text("operator", spec.name.as_bytes());
            let has_path = matches!(args.first(), Some(Arg::Path(_)));
            if has_path { error.text("path", first_operand) } else { error }
        })
    }

    /// Evaluates the condition of an operator. Where the document is missing, the operator may be skipped for a reason
    /// other than the document, such as `key in docs`; a condition that needs the document is `NOKEY`.
    fn holds(&self, condition: &Program) -> Result<bool> {
        let view = self.slot.view();
        let result = condition.test(&self.around.scope(view, None), self.around.limits);
        match result {
            Err(error) if view.is_none() && error.code() == ErrorCode::Expr => Err(no_key()),
            result => result,
        }
    }

    fn assert(&self, assertion: &Assertion) -> Result<()> {
        let exists = !self.slot.is_missing();
        match assertion {
            Assertion::If(program) => {
                let view = self.slot.view().ok_or_else(no_key)?;
                check_condition(program, &self.around.scope(Some(view), None), self.around.limits)
            }
            Assertion::Exists if !exists => {
                Err(Error::new(ErrorCode::Condition, "the document does not exist"))
            }
            Assertion::Missing if exists => {
                Err(Error::new(ErrorCode::Condition, "the document exists"))
            }
            Assertion::Exists | Assertion::Missing | Assertion::Held => Ok(()),
            Assertion::Revision(_) if !exists => Err(no_key()),
            Assertion::Revision(expected) => check_revision(*expected, self.around.revision),
            Assertion::Holding(grant) => {
                let view = self.slot.view();
                match op::computed(&GRANT, &grant[..], &self.around, view)? {
                    Some(computed) => self.check_grant(&computed),
                    None => self.check_grant(&grant[..]),
                }
            }
        }
    }

    /// `LOCKLOST` unless the lock is held by this grant: a name, an owner and a fence.
    fn check_grant(&self, grant: &[Arg<'_>]) -> Result<()> {
        let (name, owner, fence) = (grant[0].text(), grant[1].text(), grant[2].integer() as u64);
        let over = self
            .released
            .iter()
            .any(|(slot, known, at)| *slot == self.slot_number && **known == *name && *at == fence);
        let (name, owner) = (name.as_bytes(), owner.as_bytes());
        let moment = self.context.moment;
        let held = self.slot.locks().and_then(|locks| locks.holding(name, owner, fence, moment));
        match held.filter(|_| !over) {
            Some(_) => Ok(()),
            None => Err(lost(self.around.key, &GrantRef { name, owner, fence })),
        }
    }

    /// Notes that a grant ends when the command is over.
    fn release(&mut self, args: &[Arg<'_>]) -> Result<Reply> {
        if !self.context.request.replaying {
            self.check_grant(args)?;
        }
        let (name, fence) = (args[0].text(), args[2].integer() as u64);
        self.released.push((self.slot_number, name.into(), fence));
        Ok(Reply::Int(1))
    }

    fn operate(&mut self, spec: &OpSpec, args: &[Arg<'_>], strict: bool) -> Result<Reply> {
        if let Action::Release = spec.run {
            return match op::computed(spec.operands, args, &self.around, self.slot.view())? {
                Some(computed) => self.release(&computed),
                None => self.release(args),
            };
        }
        let request = self.context.request;
        let (limits, allowance) = (&request.settings.document, request.allowance);
        let (around, make_path) = (&self.around, self.make_path);
        let making = Making { scratch: self.scratch, limits, allowance };
        self.slot.edit(making, |editor: &mut Editor<'_>| {
            let mut frame = Frame { editor, around, allowance, make_path };
            if strict {
                must_match(&frame, args[0].path())?;
            }
            apply(&mut frame, spec, args, allowance)
        })
    }

    fn change_key_when(
        &mut self,
        when: Option<&Program>,
        change: (&OpSpec, KeyChange),
        args: &[Arg<'_>],
        nth: usize,
    ) -> Result<Reply> {
        // An operator on a key may be guarded where the document is missing.
        let scope = self.around.scope(self.slot.view(), None);
        match when {
            Some(when) if !when.test(&scope, self.around.limits)? => Ok(Reply::Null),
            _ => self.change_key(change, args, nth),
        }
    }

    fn change_key(
        &mut self,
        (spec, change): (&OpSpec, KeyChange),
        args: &[Arg<'_>],
        nth: usize,
    ) -> Result<Reply> {
        match change {
            KeyChange::Create if !self.slot.is_missing() => {
                Err(Error::new(ErrorCode::BusyKey, "the key already exists"))
            }
            KeyChange::Create | KeyChange::Put => {
                let request = self.context.request;
                let at = request.models.binary_search_by_key(&nth, |(nth, _)| *nth);
                let (_, model) = &request.models[at.expect("the model was looked up")];
                let computed = op::computed(spec.operands, args, &self.around, self.slot.view())?;
                let content = match computed {
                    Some(computed) => computed[1].json().clone(),
                    None => args[1].json().clone(),
                };
                self.make(content, model.clone(), None)?;
                Ok(Reply::Revision)
            }
            KeyChange::Delete if self.slot.is_missing() => Err(no_key()),
            KeyChange::Delete => {
                self.slot.delete();
                self.around.revision = None;
                self.released.retain(|(slot, _, _)| *slot != self.slot_number);
                Ok(Reply::Int(1))
            }
        }
    }
}

/// `CONDITION`, with the expression and the values it read, unless the expression is true.
#[inline]
pub fn check_condition(program: &Program, scope: &Scope<'_>, limits: &ExprLimits) -> Result<()> {
    match program.test(scope, limits)? {
        true => Ok(()),
        false => Err(Error::new(ErrorCode::Condition, "condition is false")
            .text("expr", program.source().as_bytes())
            .values(program.explain(scope, limits))),
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

/// `NOPATH` unless the path matches at least one place.
fn must_match(frame: &Frame<'_, '_>, path: &Path<'_>) -> Result<()> {
    let found = match path {
        Path::Singular(path) => path.find(frame.view()).is_some(),
        Path::Query(query) => !query.select(frame.view(), frame.allowance)?.is_empty(),
    };
    match found {
        true => Ok(()),
        false => {
            Err(Error::new(ErrorCode::NoPath, "nothing is at the path, and STRICT asks for it"))
        }
    }
}

fn apply(
    frame: &mut Frame<'_, '_>,
    spec: &OpSpec,
    args: &[Arg<'_>],
    allowance: &Allowance<'_>,
) -> Result<Reply> {
    if !args.iter().any(Arg::is_computed) {
        return run_operator(frame, spec, args, allowance);
    }
    match op::computed(spec.operands, args, frame.around, Some(frame.view()))? {
        Some(computed) => run_operator(frame, spec, &computed, allowance),
        None => run_operator(frame, spec, args, allowance),
    }
}

#[inline]
fn run_operator(
    frame: &mut Frame<'_, '_>,
    spec: &OpSpec,
    args: &[Arg<'_>],
    allowance: &Allowance<'_>,
) -> Result<Reply> {
    match spec.run {
        Action::Once(run) => run(frame, args)?.within(allowance),
        Action::Each(run) => each(frame, spec, args, run, Reply::Array),
        Action::Total(run) => each(frame, spec, args, run, total),
        Action::Release | Action::Key(_) => unreachable!("the block runs it, which holds the key"),
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
            let mut site = frame.site_at_root();
            site.go(path);
            if site.is_present() {
                if spec.absent == Absent::Create {
                    site.confirm_default();
                }
                return run_at(&mut site, args, run);
            }
            match spec.absent {
                Absent::Null => Ok(Reply::Null),
                Absent::Zero => Ok(Reply::Int(0)),
                Absent::NoPath => Err(Error::new(ErrorCode::NoPath, "nothing is at the path")),
                Absent::Create => match site.blocked() {
                    Some(error) => Err(error.clone()),
                    None => run_at(&mut site, args, run),
                },
                Absent::Own => unreachable!("an operator that looks for itself runs once"),
            }
        }
        Path::Query(query) => {
            let places = query.places(frame.view(), frame.allowance)?;
            let counted = matches!(spec.run, Action::Each(_));
            at_places(frame, places, args, run, counted).map(gather)
        }
    }
}

/// Runs an operator at one place. Its reply is charged where it was made: moving it takes longer.
#[inline(always)]
fn run_at(site: &mut Site<'_, '_>, args: &[Arg<'_>], run: RunEach) -> Result<Reply> {
    let mut reply = run(site, args);
    if let Ok(made) = &reply
        && let Err(error) = made.charge(site.allowance())
    {
        reply = Err(error);
    }
    reply
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
    frame.editor.end_ways();
    Ok(replies)
}
