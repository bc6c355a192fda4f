//! The decision of one command over all its keys, in stages.
//!
//! Each stage is a type that is consumed by the step to the next, so that steps happen once and in order:
//! [`Opened`] keys are prepared, [`Prepared`] documents have the statements run on them, what [`Ran`] is
//! validated, [`Validated`] documents are numbered, and [`Numbered`] ones committed. Until then nothing but
//! the content of documents was touched, and dropping the slots reverts that.

use super::block::BlockRun;
use super::context::{JournalBytes, Refused, Released, TransactionContext};
use super::docs::OtherDocuments;
use super::natives::{NativePlan, NativeTarget, plan_block};
use super::request::{Block, NativeBlock, ReplyForm};
use super::slot::{Committed, ScratchJournal, Slot};
use super::statement::Statement;
use super::unique;
use crate::changes::RecordedChanges;
use crate::error::{Error, ErrorCode, Result};
use crate::expr::DocumentSource;
use crate::model::ValidationContext;
use crate::op::Around;
use crate::reply::{Reply, text_of};
use crate::token::Token;

/// The keys are open: nothing was looked at but whether documents exist.
pub struct Opened<'t, 'a, 's, 'h> {
    context: &'t TransactionContext<'t, 'a>,
    slots: &'s mut [Slot<'h>],
    /// Grants that end when the command is over.
    released: &'s mut Released,
    /// Present where a block has natives or an expression reads structures of the server.
    natives: Option<NativePlan<'s>>,
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
        Opened { context, slots, released, natives: None }
    }

    pub fn with_natives(self, natives: NativePlan<'s>) -> Opened<'t, 'a, 's, 'h> {
        Opened { natives: Some(natives), ..self }
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
                    if self.context.records_changes {
                        slot.keep_before(&self.context.recording())
                            .map_err(|error| request.located_at(error, block.slot))?;
                    }
                    slot.begin_validation(edits)
                        .map_err(|error| request.located_at(error, block.slot))?;
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
                    let natives =
                        block.natives.as_ref().map_or(0, |natives| natives.statements.len());
                    let mut of_block = Reply::list(block.statements.len() + natives);
                    opened.run_block(&mut running, block, Some(number), &mut of_block)?;
                    replies.push(Reply::Array(of_block));
                }
                Reply::Array(replies)
            }
            ReplyForm::Found => opened.run_found(&mut running)?,
        };
        Ok(Ran { opened, reply })
    }
}

/// The place of a block of natives in its request.
#[derive(Clone, Copy)]
struct NativePlace {
    number: usize,
    /// The slot of the document found that it is run for.
    found: Option<usize>,
}

/// The state that blocks pass on to later ones, besides the documents.
#[derive(Default)]
struct Running {
    /// For documents that the transaction makes.
    scratch: ScratchJournal,
    bytes: JournalBytes,
}

impl Opened<'_, '_, '_, '_> {
    /// Runs the block of each document found, and the natives behind it.
    #[cold]
    fn run_found(&mut self, running: &mut Running) -> Result<Reply> {
        let request = self.context.request;
        let is_first = |number: usize| request.blocks.get(number).is_none_or(|b| b.found.is_none());
        let mut documents = Reply::list(request.blocks.len());
        let mut of_document = Vec::new();
        for (number, block) in request.blocks.iter().enumerate() {
            if block.found.is_none() {
                of_document = Reply::list(block.statements.len());
            }
            self.run_block(running, block, Some(number), &mut of_document)?;
            if is_first(number + 1) {
                let key = request.keys[block.found.unwrap_or(block.slot)].name;
                let key = Reply::Text(text_of(key)).within(request.allowance)?;
                let mut document = Reply::list(3);
                document.push(key);
                document.push(Reply::Revision);
                document.push(Reply::Array(std::mem::take(&mut of_document)));
                documents.push(Reply::Array(document));
            }
        }
        Ok(Reply::Array(documents))
    }

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
        if let Some(natives) = &block.natives {
            let place = NativePlace { number: number.unwrap_or(0), found: block.found };
            return self.run_natives(natives, place, block.slot, bytes, replies);
        }
        // One document alone is bounded by its editor.
        let bytes = number.map(|_| bytes);
        let ran = self.in_block(scratch, block, |run| run.run(block, bytes, replies));
        ran.map_err(|error| {
            context.refused.set(Some(Refused { slot: block.slot, block: number.or(Some(0)) }));
            context.request.located(error, number, block.slot)
        })
    }

    /// Evaluates the natives of a block, to be run when the transaction is committed.
    #[inline(never)]
    fn run_natives(
        &mut self,
        block: &NativeBlock<'_>,
        NativePlace { number, found }: NativePlace,
        slot: usize,
        bytes: &mut JournalBytes,
        replies: &mut Vec<Reply>,
    ) -> Result<()> {
        let context = self.context;
        let request = context.request;
        let planned = self.natives.as_mut().expect("a transaction with natives can read them");
        let none: &[Slot<'_>] = &[];
        let key = request.keys[slot];
        let docs = request.docs.map(|names| {
            OtherDocuments::new(names, self.slots, key.name, none, Some(planned.access))
        });
        let document = found.map(|found| &self.slots[found]);
        let around = Around {
            key: document.map_or(key.name, |document| document.key),
            revision: document.and_then(Slot::revision),
            args: request.args.map(|args| args.value.view()),
            docs: docs.as_ref().map(|docs| docs as &dyn DocumentSource),
            clock: context.clock,
            limits: &request.settings.expressions,
            document: &request.settings.document,
            paths: &request.settings.paths,
            allowance: request.allowance,
        };
        let first = planned.calls.len();
        let this = document.and_then(Slot::last_view);
        let target = NativeTarget { number, slot, key_arg: key.arg, around: &around, this };
        let ran = plan_block(block, &target, planned.calls, replies).and_then(|()| {
            let written = planned.calls[first..].iter().map(|call| call.words.bytes() as u64);
            bytes.add_written(context, written.sum())
        });
        ran.map_err(|error| {
            context.refused.set(Some(Refused { slot, block: Some(number) }));
            request.located(error, Some(number), slot)
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
                failed.push(request.located(error, Some(number), block.slot));
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
        let others = request.docs.map(|names| {
            let natives = self.natives.as_ref().map(|natives| natives.access);
            OtherDocuments::new(names, before, key, after, natives)
        });
        slot.set_used();
        let around = Around {
            key,
            revision: slot.revision(),
            args: request.args.map(|args| args.value.view()),
            docs: others.as_ref().map(|others| others as &dyn DocumentSource),
            clock: context.clock,
            limits: &request.settings.expressions,
            document: &request.settings.document,
            paths: &request.settings.paths,
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
                context.request.located_at(error, number)
            })?;
        }
        if context.unique_among.is_some() {
            unique::check(context, self.opened.slots)?;
        }
        Ok(Validated(self))
    }
}

impl<'t, 'a, 's, 'h> Validated<'t, 'a, 's, 'h> {
    /// Refuses natives that the server would refuse.
    #[inline(always)]
    pub fn check_natives(&self) -> Result<()> {
        let Some(natives) = &self.0.opened.natives else { return Ok(()) };
        natives.check().map_err(|(error, refused)| {
            let context = self.0.opened.context;
            context.refused.set(Some(refused));
            context.request.located(error, refused.block, refused.slot)
        })
    }

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
            (Reply::Array(replies), ReplyForm::Found) => {
                let now_us = ran.opened.context.clock.read();
                let documents = blocks.iter().filter(|block| block.found.is_none());
                for (block, reply) in documents.zip(replies) {
                    reply.fill_revision(slots[block.slot].numbered_at(now_us));
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

    /// The changes for the streams of their models.
    #[cold]
    pub fn changes(&mut self) -> Result<Option<Box<RecordedChanges>>> {
        let context = self.ran.opened.context;
        let (recording, mut changes) = (context.recording(), Box::<RecordedChanges>::default());
        for (number, slot) in self.ran.opened.slots.iter_mut().enumerate() {
            slot.record(&recording, &mut changes)
                .map_err(|error| context.request.located_at(error, number))?;
        }
        Ok((!changes.0.is_empty()).then_some(changes))
    }

    /// Ends the possibility to revert. Calls with what is left to do for each key, in their order.
    #[inline(always)]
    pub fn commit(
        self,
        token: Option<Token>,
        changes: Option<Box<RecordedChanges>>,
        mut each: impl FnMut(Committed),
    ) -> Decision {
        let Ran { opened, reply } = self.ran;
        let now_us = match opened.context.request.replaying {
            // A replica is sent times to live.
            true => None,
            false => opened.context.clock.read(),
        };
        opened.slots.iter_mut().for_each(|slot| each(slot.commit(now_us)));
        Decision { reply, highest: self.highest, token, changes }
    }
}

/// Everything that was decided for a command as a whole and is left to be done.
pub struct Decision {
    pub reply: Reply,
    /// The highest new revision; none where no document changed.
    pub highest: Option<u64>,
    /// The record of the reply.
    pub token: Option<Token>,
    /// Entries for change streams.
    pub changes: Option<Box<RecordedChanges>>,
}
