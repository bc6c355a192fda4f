//! A transaction: blocks of statements over several documents, one decision for all of them.
//!
//! Blocks run in order, and so do the statements of each; each sees what those before it did, in any
//! document. When all have run, every document that changed is judged, once. Until [`Transaction::commit`]
//! nothing but the content of documents was touched, and dropping the transaction undoes that.

use std::cell::OnceCell;
use std::ops::Range;
use std::sync::Arc;

use super::keys::KeyIndex;
use super::run::{Block, Done, no_key, run_statement};
use super::slot::{Changing, Committed, Slot};
use super::statement::Statement;
use super::ttl::ExpiryOption;
use crate::budget::Allowance;
use crate::error::{Error, ErrorCode, Result};
use crate::expr::{Documents, ExprLimits, Program};
use crate::model::{Judging, Model};
use crate::op::{Arg, Around, Clock, KeyChange, OpSpec, Run};
use crate::reply::Reply;
use crate::value::edit::{Journal, check_put_in, check_written};
use crate::value::{Measured, View};

/// One block as it was asked for.
pub struct BlockPlan {
    /// Which of the transaction's slots it is about.
    pub slot: usize,
    /// The document to begin with where the key is missing.
    pub init: Option<(Option<Arc<Model>>, Measured)>,
    pub make_path: bool,
    pub expiry: Option<ExpiryOption>,
    /// Its statements among all of the transaction's.
    pub statements: Range<usize>,
}

/// All that a transaction was asked for.
pub struct Plan<'p, 'a> {
    /// The number of a key is that of its slot.
    pub keys: &'p KeyIndex<'a>,
    pub blocks: &'p [BlockPlan],
    pub statements: &'p [Statement<'a>],
    /// The models that operators on keys name, by the number of the statement among all.
    pub models: &'p [(usize, Option<Arc<Model>>)],
    pub args: Option<View<'p>>,
    pub clock: Clock,
    pub expressions: &'p ExprLimits,
    pub allowance: &'p Allowance<'p>,
    pub changing: Changing<'p>,
}

/// A transaction on its way. Dropped before it is committed, it leaves nothing behind.
pub struct Transaction<'p, 'a, 'h> {
    plan: &'p Plan<'p, 'a>,
    slots: Vec<Slot<'h>>,
    /// For documents that need no way back.
    scratch: Journal,
    /// Bytes put in so far: all changes together are bounded, as those of one document are.
    put_in: u64,
    /// Bytes written down for others so far, bounded alike.
    written: u64,
}

impl<'p, 'a, 'h> Transaction<'p, 'a, 'h> {
    /// `slots` are of different keys.
    pub fn new(plan: &'p Plan<'p, 'a>, slots: Vec<Slot<'h>>) -> Transaction<'p, 'a, 'h> {
        Transaction { plan, slots, scratch: Journal::default(), put_in: 0, written: 0 }
    }

    /// Runs all statements, and judges what changed. One array of replies for each block.
    pub fn run(&mut self) -> Result<Vec<Reply>> {
        let plan = self.plan;
        self.prepare()?;
        let mut replies = Vec::with_capacity(plan.blocks.len());
        for (number, block) in plan.blocks.iter().enumerate() {
            let key = self.slots[block.slot].key;
            let ran = self.run_block(block).map_err(|error| located(error, Some(number), key))?;
            replies.push(Reply::Array(ran));
        }
        self.judge()?;
        Ok(replies)
    }

    /// Puts what rules compare with aside, and defaults in, where an operator may write.
    fn prepare(&mut self) -> Result<()> {
        let plan = self.plan;
        for block in plan.blocks {
            let slot = &mut self.slots[block.slot];
            let writes = plan.statements[block.statements.clone()].iter().any(Statement::may_write);
            if writes && slot.begin_writing() {
                slot.prepare(plan.changing).map_err(|error| located(error, None, slot.key))?;
            }
        }
        Ok(())
    }

    fn run_block(&mut self, block: &BlockPlan) -> Result<Vec<Reply>> {
        let plan = self.plan;
        let (before, rest) = self.slots.split_at_mut(block.slot);
        let (slot, after) = rest.split_first_mut().expect("a block's slot is there");
        let named = OnceCell::new();
        let others = Others { keys: plan.keys, before, own_key: slot.key, after, named };
        let mut running = Running { plan, block, slot, others, scratch: &mut self.scratch };
        let mut replies = Vec::with_capacity(block.statements.len());
        running.slot.set_used();
        running.init()?;
        for (number, nth) in block.statements.clone().enumerate() {
            let (put_in_before, written_before) = (running.slot.put_in(), running.slot.written());
            let reply = running.statement(number, nth)?;
            replies.extend(reply);
            self.put_in += running.slot.put_in().saturating_sub(put_in_before);
            self.written += running.slot.written().saturating_sub(written_before);
            check_put_in(plan.changing.limits, self.put_in)
                .and_then(|()| check_written(plan.changing.limits, self.written))
                .map_err(|error| error.integer("statement", number as i64))?;
        }
        running.expire()?;
        Ok(replies)
    }

    fn judge(&mut self) -> Result<()> {
        let plan = self.plan;
        for slot in &mut self.slots {
            let judging = Judging {
                key: slot.key,
                revision: slot.revision(),
                now_us: plan.clock.read(),
                limits: plan.expressions,
                allowance: plan.allowance,
            };
            slot.judge(plan.changing, &judging).map_err(|error| located(error, None, slot.key))?;
        }
        Ok(())
    }

    /// Decides the revisions, beginning with `next`, and fills them in where replies ask for one.
    /// Gives the highest one, if any document changed.
    pub fn number(&mut self, next: u64, replies: &mut [Reply]) -> Option<u64> {
        let mut upcoming = next;
        self.slots.iter_mut().for_each(|slot| slot.plan(&mut upcoming));
        for (block, reply) in self.plan.blocks.iter().zip(replies) {
            reply.fill_revision(self.slots[block.slot].planned());
        }
        (upcoming > next).then(|| upcoming - 1)
    }

    /// Ends the possibility to undo, and says what is left to do with each key.
    pub fn commit(self, now_us: u64) -> Vec<Committed> {
        let changing = self.plan.changing;
        self.slots.into_iter().map(|slot| slot.commit(changing, now_us)).collect()
    }

    /// Undoes everything; gives the journals back, empty.
    pub fn roll_back(self) -> impl Iterator<Item = Journal> + use<'h> {
        self.slots.into_iter().map(Slot::into_journal)
    }
}

/// Where in the transaction it was refused.
#[cold]
fn located(error: Error, block: Option<usize>, key: &[u8]) -> Error {
    let error = match block {
        Some(block) => error.integer("block", block as i64),
        None => error,
    };
    error.text("key", key)
}

/// A block that is being run.
struct Running<'r, 'p, 'a, 'h> {
    plan: &'r Plan<'p, 'a>,
    block: &'r BlockPlan,
    slot: &'r mut Slot<'h>,
    others: Others<'r, 'a, 'h>,
    scratch: &'r mut Journal,
}

impl Running<'_, '_, '_, '_> {
    /// A document to begin with, where there is none.
    fn init(&mut self) -> Result<()> {
        match &self.block.init {
            Some((model, content)) if self.slot.is_missing() => {
                self.slot.make(content, model.clone(), self.plan.changing, self.scratch)
            }
            _ => Ok(()),
        }
    }

    /// The time to live the block asks for.
    fn expire(&mut self) -> Result<()> {
        let Some(expiry) = self.block.expiry else { return Ok(()) };
        if self.slot.is_missing() {
            return Err(no_key());
        }
        self.slot.set_expiry(expiry);
        Ok(())
    }

    /// `number` is the statement's in its block, `nth` among all.
    fn statement(&mut self, number: usize, nth: usize) -> Result<Option<Reply>> {
        let statement = &self.plan.statements[nth];
        if let Statement::Operate { spec, args, when, .. } = statement
            && let Run::Key(change) = spec.run
        {
            return self
                .change_key(change, args, when.as_deref(), nth)
                .map(Some)
                .map_err(|error| named(error, number, spec));
        }
        let (plan, block) = (self.plan, self.block);
        let around = around(plan, self.slot.key, self.slot.revision(), &self.others);
        let done = self.slot.edit(plan.changing, self.scratch, |editor, locks| {
            let (allowance, make_path) = (plan.allowance, block.make_path);
            let mut block = Block { editor, around: &around, allowance, make_path, locks };
            run_statement(&mut block, number, statement)
        })?;
        if matches!(done, Done::Ran(_)) && statement.may_write() {
            self.slot.set_written();
        }
        Ok(done.reply())
    }

    fn change_key(
        &mut self,
        change: KeyChange,
        args: &[Arg<'_>],
        when: Option<&Program>,
        nth: usize,
    ) -> Result<Reply> {
        if let Some(when) = when {
            let (key, revision) = (self.slot.key, self.slot.revision());
            let around = around(self.plan, key, revision, &self.others);
            if !when.test(&around.scope(self.slot.view(), None), around.limits)? {
                return Ok(Reply::Null);
            }
        }
        match change {
            KeyChange::Create if !self.slot.is_missing() => {
                Err(Error::new(ErrorCode::BusyKey, "the key already exists"))
            }
            KeyChange::Create | KeyChange::Put => {
                let models = self.plan.models;
                let at = models.binary_search_by_key(&nth, |(nth, _)| *nth);
                let (_, model) = &models[at.expect("the model was looked up")];
                self.slot.make(args[1].json(), model.clone(), self.plan.changing, self.scratch)?;
                Ok(Reply::Revision)
            }
            KeyChange::Delete if self.slot.is_missing() => Err(no_key()),
            KeyChange::Delete => {
                self.slot.delete();
                Ok(Reply::Int(1))
            }
        }
    }
}

#[cold]
fn named(error: Error, number: usize, spec: &OpSpec) -> Error {
    error.integer("statement", number as i64).text("operator", spec.name.as_bytes())
}

fn around<'r>(
    plan: &'r Plan<'_, '_>,
    key: &'r [u8],
    revision: Option<u64>,
    others: &'r dyn Documents,
) -> Around<'r> {
    Around {
        key,
        revision,
        args: plan.args,
        docs: Some(others),
        clock: plan.clock,
        limits: plan.expressions,
        allowance: plan.allowance,
    }
}

/// `docs` of a block: all documents but its own, which is being edited and lent with each expression.
struct Others<'r, 'k, 'h> {
    keys: &'r KeyIndex<'k>,
    before: &'r [Slot<'h>],
    own_key: &'r [u8],
    after: &'r [Slot<'h>],
    /// Those that can be named, looked up when an expression asks for all of them.
    named: OnceCell<Named<'r>>,
}

struct Named<'r> {
    documents: Vec<(&'r str, View<'r>)>,
    /// How many of them stand before the block's own.
    before: usize,
    own_key: Option<&'r str>,
}

impl<'r> Others<'r, '_, '_> {
    fn named(&self) -> &Named<'r> {
        self.named.get_or_init(|| {
            let named =
                |slot: &'r Slot<'_>| Some((std::str::from_utf8(slot.key).ok()?, slot.view()?));
            let mut documents: Vec<_> = self.before.iter().filter_map(named).collect();
            let before = documents.len();
            documents.extend(self.after.iter().filter_map(named));
            Named { documents, before, own_key: std::str::from_utf8(self.own_key).ok() }
        })
    }
}

impl Documents for Others<'_, '_, '_> {
    fn get<'a>(&'a self, key: &[u8], this: Option<View<'a>>) -> Option<View<'a>> {
        let slot = self.keys.find(key)?;
        match slot.checked_sub(self.before.len()) {
            None => self.before[slot].view(),
            Some(0) => this,
            Some(behind) => self.after[behind - 1].view(),
        }
    }

    fn count(&self, this: Option<View<'_>>) -> usize {
        let named = self.named();
        named.documents.len() + usize::from(this.is_some() && named.own_key.is_some())
    }

    fn nth<'a>(&'a self, nth: usize, this: Option<View<'a>>) -> Option<(&'a str, View<'a>)> {
        let named = self.named();
        let (Some(own_key), Some(this)) = (named.own_key, this) else {
            return named.documents.get(nth).copied();
        };
        match nth.checked_sub(named.before) {
            None => named.documents.get(nth).copied(),
            Some(0) => Some((own_key, this)),
            Some(_) => named.documents.get(nth - 1).copied(),
        }
    }
}
