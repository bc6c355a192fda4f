//! The decision of one command over all its keys, in stages.
//!
//! Each stage is a type that is consumed by the step to the next, so that steps happen once and in order:
//! [`Opened`] keys are prepared, [`Prepared`] documents have the statements run on them, what [`Ran`] is
//! validated, [`Validated`] documents are numbered, and [`Numbered`] ones committed. Until then nothing but
//! the content of documents was touched, and dropping the slots reverts that.

use super::block::BlockRun;
use super::context::{JournalBytes, Refused, Released, TransactionContext};
use super::docs::OtherDocuments;
use super::request::{Block, ReplyForm};
use super::slot::{Committed, ScratchJournal, Slot};
use super::statement::Statement;
use crate::error::{Error, ErrorCode, Result};
use crate::expr::DocumentSource;
use crate::model::ValidationContext;
use crate::op::Around;
use crate::reply::Reply;
use crate::token::Token;

/// The keys are open: nothing was looked at but whether documents exist.
pub struct Opened<'t, 'a, 's, 'h> {
    context: &'t TransactionContext<'t, 'a>,
    slots: &'s mut [Slot<'h>],
    /// Grants that end when the command is over.
    released: &'s mut Released,
}

/// Documents that may be written have their defaults.
pub struct Prepared<'t, 'a, 's, 'h>(Opened<'t, 'a, 's, 'h>);

/// All statements have run.
pub struct Ran<'t, 'a, 's, 'h> {
    opened: Opened<'t, 'a, 's, 'h>,
    reply: Reply,
}

/// All documents that changed are valid.
pub struct Validated<'t, 'a, 's, 'h>(Ran<'t, 'a, 's, 'h>);

/// Documents that changed have revisions, and the reply is complete.
pub struct Numbered<'t, 'a, 's, 'h> {
    ran: Ran<'t, 'a, 's, 'h>,
    /// The highest new revision; none where no document changed.
    pub highest: Option<u64>,
}

impl<'t, 'a, 's, 'h> Opened<'t, 'a, 's, 'h> {
    /// One slot for each key of the request; `released` is empty.
    pub fn new(
        context: &'t TransactionContext<'t, 'a>,
        slots: &'s mut [Slot<'h>],
        released: &'s mut Released,
    ) -> Opened<'t, 'a, 's, 'h> {
        Opened { context, slots, released }
    }

    /// Begins the validation of documents that may be written.
    #[inline(always)]
    pub fn prepare(self) -> Result<Prepared<'t, 'a, 's, 'h>> {
        let request = self.context.request;
        // A change that a master validated is not validated again.
        if !request.replaying {
            for block in request.blocks {
                let slot = &mut self.slots[block.slot];
                if !slot.needs_validation() {
                    continue;
                }
                let edits = request.statements_of(block).iter().any(Statement::may_write);
                let replaces = block.content.as_ref().is_some_and(|content| content.replaces);
                if edits || replaces {
                    slot.begin_validation(edits).map_err(|error| error.text("key", slot.key))?;
                }
            }
        }
        Ok(Prepared(self))
    }
}

impl<'t, 'a, 's, 'h> Prepared<'t, 'a, 's, 'h> {
    /// Runs all statements.
    #[inline(always)]
    pub fn run(self) -> Result<Ran<'t, 'a, 's, 'h>> {
        let Prepared(mut opened) = self;
        let blocks = opened.context.request.blocks;
        let mut running = Running::default();
        let reply = match opened.context.request.reply {
            ReplyForm::Block => {
                let mut replies = Reply::list(blocks[0].statements.len());
                opened.run_block(&mut running, &blocks[0], None, &mut replies)?;
                Reply::Array(replies)
            }
            ReplyForm::Revision => {
                opened.run_block(&mut running, &blocks[0], None, &mut Vec::new())?;
                Reply::Revision
            }
            ReplyForm::Blocks => {
                let mut replies = Reply::list(blocks.len());
                for (number, block) in blocks.iter().enumerate() {
                    let mut of_block = Reply::list(block.statements.len());
                    opened.run_block(&mut running, block, Some(number), &mut of_block)?;
                    replies.push(Reply::Array(of_block));
                }
                Reply::Array(replies)
            }
        };
        Ok(Ran { opened, reply })
    }
}

/// The state that blocks pass on to later ones, besides the documents.
#[derive(Default)]
struct Running {
    /// For documents that the transaction makes.
    scratch: ScratchJournal,
    bytes: JournalBytes,
}

impl Opened<'_, '_, '_, '_> {
    /// `number` is the block's, where errors name it.
    fn run_block(
        &mut self,
        running: &mut Running,
        block: &Block<'_>,
        number: Option<usize>,
        replies: &mut Vec<Reply>,
    ) -> Result<()> {
        let context = self.context;
        let Running { scratch, bytes } = running;
        // One document alone is bounded by its editor.
        let bytes = number.map(|_| bytes);
        let ran = self.in_block(scratch, block, |run| run.run(block, bytes, replies));
        ran.map_err(|error| {
            context.refused.set(Some(Refused { slot: block.slot, block: number.or(Some(0)) }));
            located(error, number, context.request.keys[block.slot].name)
        })
    }

    /// The assertions at the beginning of the blocks from `first` on that fail, no more than `most`. Nothing has run.
    #[cold]
    pub fn others(mut self, first: usize, most: usize) -> Result<Vec<Error>> {
        let request = self.context.request;
        let mut scratch = ScratchJournal::default();
        let mut failed = Vec::new();
        for (number, block) in request.blocks.iter().enumerate().skip(first) {
            let refused = self.in_block(&mut scratch, block, |run| run.failed_at_first(block));
            for error in refused {
                if failed.len() == most || error.code() == ErrorCode::Limit {
                    return if failed.len() == most { Ok(failed) } else { Err(error) };
                }
                failed.push(located(error, Some(number), request.keys[block.slot].name));
            }
        }
        Ok(failed)
    }

    #[inline(always)]
    fn in_block<T>(
        &mut self,
        scratch: &mut ScratchJournal,
        block: &Block<'_>,
        work: impl FnOnce(BlockRun<'_, '_, '_>) -> T,
    ) -> T {
        let context = self.context;
        let request = context.request;
        let (before, rest) = self.slots.split_at_mut(block.slot);
        let (slot, after) = rest.split_first_mut().expect("a block's slot exists");
        let key = slot.key;
        let others = request.docs.map(|keys| OtherDocuments::new(keys, before, key, after));
        slot.set_used();
        let around = Around {
            key,
            revision: slot.revision(),
            args: request.args.map(|args| args.value.view()),
            docs: others.as_ref().map(|others| others as &dyn DocumentSource),
            clock: context.clock,
            limits: &request.settings.expressions,
            allowance: request.allowance,
        };
        let run = BlockRun {
            context,
            slot,
            slot_number: block.slot,
            around,
            make_path: block.make_path,
            scratch,
            released: self.released,
        };
        work(run)
    }
}

/// The part of a command that it was refused for.
#[cold]
fn located(error: Error, block: Option<usize>, key: &[u8]) -> Error {
    let error = match block {
        Some(block) => error.integer("block", block as i64),
        None => error,
    };
    error.text("key", key)
}

impl<'t, 'a, 's, 'h> Ran<'t, 'a, 's, 'h> {
    /// Validates documents that changed.
    #[inline(always)]
    pub fn validate(self) -> Result<Validated<'t, 'a, 's, 'h>> {
        let context = self.opened.context;
        if context.request.replaying {
            return Ok(Validated(self));
        }
        for (number, slot) in self.opened.slots.iter_mut().enumerate() {
            if !slot.has_model() {
                continue;
            }
            let validation = ValidationContext {
                key: slot.key,
                revision: slot.revision(),
                now_us: context.clock.read(),
                limits: &context.request.settings.expressions,
                allowance: context.request.allowance,
            };
            slot.validate(&validation).map_err(|error| {
                context.refused.set(Some(Refused { slot: number, block: None }));
                error.text("key", slot.key)
            })?;
        }
        Ok(Validated(self))
    }
}

impl<'t, 'a, 's, 'h> Validated<'t, 'a, 's, 'h> {
    /// Gives documents that changed their revisions, from `next` on, and fills them in where the reply asks for
    /// one.
    #[inline(always)]
    pub fn number(self, next: u64) -> Numbered<'t, 'a, 's, 'h> {
        let Validated(mut ran) = self;
        let slots = &mut *ran.opened.slots;
        let mut upcoming = next;
        slots.iter_mut().for_each(|slot| slot.number(&mut upcoming));
        let blocks = ran.opened.context.request.blocks;
        match (&mut ran.reply, ran.opened.context.request.reply) {
            (Reply::Array(replies), ReplyForm::Blocks) => {
                for (block, reply) in blocks.iter().zip(replies) {
                    reply.fill_revision(slots[block.slot].numbered());
                }
            }
            (reply, _) => reply.fill_revision(slots[0].numbered()),
        }
        let highest = (upcoming > next).then(|| upcoming - 1);
        Numbered { ran, highest }
    }
}

impl Numbered<'_, '_, '_, '_> {
    pub fn reply(&self) -> &Reply {
        &self.ran.reply
    }

    /// Ends the possibility to revert. Calls with what is left to do for each key, in their order.
    #[inline(always)]
    pub fn commit(self, token: Option<Token>, mut each: impl FnMut(Committed)) -> Decision {
        let Ran { opened, reply } = self.ran;
        let now_us = match opened.context.request.replaying {
            // A replica is sent times to live.
            true => None,
            false => opened.context.clock.read(),
        };
        opened.slots.iter_mut().for_each(|slot| each(slot.commit(now_us)));
        Decision { reply, highest: self.highest, token }
    }
}

/// Everything that was decided for a command as a whole and is left to be done.
pub struct Decision {
    pub reply: Reply,
    /// The highest new revision; none where no document changed.
    pub highest: Option<u64>,
    /// The record of the reply.
    pub token: Option<Token>,
}
