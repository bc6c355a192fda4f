//! A request against a host: opens the keys, lets the transaction decide, and applies what it decided.

use std::cell::Cell;
use std::slice;

use smallvec::SmallVec;

use super::changes;
use super::commit::Commit;
use super::context::{Released, TransactionContext};
use super::natives::{NativeAccess, NativePlan, REPLY_BYTES, reply_of};
use super::refusal;
use super::request::{Block, Request};
use super::slot::{Committed, Editing, Slot};
use super::transaction::{Decision, Opened};
use crate::document::Document;
use crate::error::{Error, Result};
use crate::host::{Host, IndexScope, Key, KeyRole, Outcome, RanNatives};
use crate::limit;
use crate::lock::Moment;
use crate::model::{ReadDefinition, Refresh};
use crate::native::NativeCalls;
use crate::op::Clock;
use crate::reply::Reply;
use crate::token::{Digest, Token};
use crate::value::edit::{Effects, Journal};

/// The journals of several keys; in boxes, which are moved faster.
type Journals = SmallVec<[Box<Journal>; 4]>;

/// Executes a command, all or nothing.
pub fn execute(host: &mut dyn Host, request: &Request<'_, '_>) -> Result<Outcome> {
    let counted = request.replaying || host.revisions().is_told();
    let repeats = counted && request.repeats_exactly();
    // In a cluster the commands on the keys of a slot that is moved go to a master that may know another action of that
    // name. Replicas and the AOF are sent definitions and calls in their order.
    let sent_as_effects = repeats && request.is_call() && host.index_scope().clustered;
    let unique_among = match !request.replaying && host.models().has_indexes() {
        true => Some(host.index_scope()),
        false => None,
    };
    let next_revision = host.revisions().next();
    let records_changes = host.models().has_changes() && changes::prepare(host, request)?;
    let execution = Execution {
        request,
        repeats,
        sent_as_effects,
        next_revision,
        unique_among,
        records_changes,
    };
    if let Some(roles) = request.natives {
        return execution.with_natives(host, roles);
    }
    match request.keys {
        [key] => execution.on_one(host, *key),
        _ => execution.on_many(host),
    }
}

/// A command that is being executed.
struct Execution<'t, 'a> {
    request: &'t Request<'t, 'a>,
    /// The command says itself what it changes, and replicas count to the same revisions: they are sent the
    /// command and not its effects, unless the model of a document adds something to it.
    repeats: bool,
    /// Flag: replicas are sent effects in any case.
    sent_as_effects: bool,
    /// Without regard to the clock.
    next_revision: u64,
    unique_among: Option<IndexScope>,
    records_changes: bool,
}

/// The way in which a command is executed, decided once its documents are known.
struct ExecutionMode<'t, 'a> {
    context: TransactionContext<'t, 'a>,
    /// Replicas are sent the command itself.
    verbatim: bool,
    next_revision: u64,
}

impl<'t, 'a> Execution<'t, 'a> {
    /// Executes a command with one key, in place: most commands are such, and need no lists.
    fn on_one(&self, host: &mut dyn Host, key: Key<'_>) -> Result<Outcome> {
        let request = self.request;
        let mut journal = host.take_journal();
        let (mut committed, mut released) = (None, Released::new());
        let moment = self.moment(host);
        let mut repeats = self.repeats;
        let opened = host.open_timed(key, &mut |document| {
            repeats &= request.replaying || document.is_none_or(changes_only_as_asked);
            self.reads_clock(repeats)
        });
        let (document, now_us) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                host.keep_journal(journal);
                return Err(error.text("key", key.name));
            }
        };
        let mode = self.mode(repeats, now_us, moment);
        let decided = {
            let mut slot = Slot::new(key.name, document, mode.editing(&mut journal));
            let slots = slice::from_mut(&mut slot);
            mode.decide(slots, &mut released, |result| committed = Some(result))
        };
        // Large results are not moved: each of these is made where it is returned.
        let mut decision = match decided {
            Ok(decision) => decision,
            Err(error) => {
                host.keep_journal(journal);
                return Err(refused(host, &mode.context, error));
            }
        };
        issue(host, &decision);
        let committed = committed.as_mut().expect("the key was committed");
        let commit = mode.commit(released);
        let mut effects = SmallVec::new();
        if let Some(effect) = commit.apply(host, 0, key, committed, &journal) {
            effects.push(effect);
        }
        if decision.token.is_some() {
            effects.extend(commit.record(host, decision.token.take()));
        }
        host.keep_journal(journal);
        let Decision { reply, changes, .. } = decision;
        Ok(Outcome { effects, changes, ..Outcome::from(reply) })
    }

    fn on_many(&self, host: &mut dyn Host) -> Result<Outcome> {
        let request = self.request;
        let keys = request.keys;
        let moment = self.moment(host);
        let mut journals: Journals = keys.iter().map(|_| host.take_journal()).collect();
        // Slots are large: a list that grows would move them.
        let mut committed = SmallVec::<[_; 2]>::with_capacity(keys.len());
        let mut released = Released::new();
        let repeats = Cell::new(self.repeats);
        let opened = host.open_all_timed(keys, &mut |documents| {
            let mut changed = request.blocks.iter().map(|block| documents[block.slot].as_deref());
            let as_asked = |document: Option<&Document>| document.is_none_or(changes_only_as_asked);
            repeats.set(repeats.get() && (request.replaying || changed.all(as_asked)));
            self.reads_clock(repeats.get())
        });
        // None where a key was refused.
        let mut mode = None;
        let decided = opened.and_then(|(found, now_us)| {
            let mode = mode.insert(self.mode(repeats.get(), now_us, moment));
            let mut slots = SmallVec::<[_; 2]>::with_capacity(keys.len());
            for ((key, document), journal) in keys.iter().zip(found).zip(&mut journals) {
                slots.push(Slot::new(key.name, document, mode.editing(journal)));
            }
            mode.decide(&mut slots, &mut released, |result| committed.push(result))
        });
        let mut decision = match decided {
            Ok(decision) => decision,
            Err(error) => {
                journals.into_iter().for_each(|journal| host.keep_journal(journal));
                return Err(match &mode {
                    Some(mode) => refused(host, &mode.context, error),
                    None => error,
                });
            }
        };
        let mode = mode.as_ref().expect("what was decided was opened");
        issue(host, &decision);
        let mut effects =
            SmallVec::with_capacity(keys.len() + usize::from(decision.token.is_some()));
        let commit = mode.commit(released);
        for (slot, committed) in committed.iter_mut().enumerate() {
            let effect = commit.apply(host, slot, keys[slot], committed, &journals[slot]);
            if let Some(effect) = effect {
                effects.push(effect);
            }
        }
        if decision.token.is_some() {
            effects.extend(commit.record(host, decision.token.take()));
        }
        journals.into_iter().for_each(|journal| host.keep_journal(journal));
        let Decision { reply, changes, .. } = decision;
        Ok(Outcome { effects, changes, ..Outcome::from(reply) })
    }

    /// Executes a transaction that has natives or whose expressions read structures of the server.
    #[inline(never)]
    fn with_natives(&self, host: &mut dyn Host, roles: &[KeyRole]) -> Result<Outcome> {
        let request = self.request;
        let keys = request.keys;
        let now_us = host.now_us();
        let mode = self.mode(false, Some(now_us), self.moment(host));
        let mut journals: Journals = keys.iter().map(|_| host.take_journal()).collect();
        let (mut committed, mut released) = (SmallVec::<[_; 3]>::new(), Released::new());
        let mut calls = NativeCalls::take();
        let mut decision = None;
        let decided = host.open_beside(keys, roles, &mut |found, source| {
            let mut slots = SmallVec::<[_; 3]>::new();
            for ((key, document), journal) in keys.iter().zip(found).zip(&mut journals) {
                slots.push(Slot::new(key.name, document, mode.editing(journal)));
            }
            let access = NativeAccess { source, keys };
            let plan = NativePlan { access: &access, calls: &mut calls };
            let opened = Opened::new(&mode.context, &mut slots, &mut released).with_natives(plan);
            decision = Some(mode.decide_with(opened, |result| committed.push(result))?);
            Ok(())
        });
        let result = decided.map(|()| {
            let mut decision = decision.expect("what was not refused was decided");
            issue(host, &decision);
            // Most keys of natives have no document.
            let mut effects = SmallVec::new();
            let commit = mode.commit(released);
            for (slot, committed) in committed.iter_mut().enumerate() {
                effects.extend(commit.apply(host, slot, keys[slot], committed, &journals[slot]));
            }
            let mut natives = None;
            if !calls.is_empty() {
                let mut replies = SmallVec::<[_; 2]>::new();
                host.run_natives(&effects, keys, &calls, &mut |reply| {
                    replies.push(reply_of(reply));
                });
                decision.reply.fill_natives(&mut replies);
                natives = Some(RanNatives { calls, after: effects.len() });
            }
            let token = request.token.as_ref();
            let token = token.map(|record| Token::new(record.digest, &decision.reply));
            effects.extend(commit.record(host, token));
            let Decision { reply, changes, .. } = decision;
            Outcome { effects, natives, changes, ..Outcome::from(reply) }
        });
        journals.into_iter().for_each(|journal| host.keep_journal(journal));
        result.map_err(|error| refused(host, &mode.context, error))
    }

    fn reads_clock(&self, repeats: bool) -> bool {
        // No operator of a command that repeats exactly reads the clock.
        !repeats || self.request.traits.condition_reads_clock
    }

    fn moment(&self, host: &mut dyn Host) -> Moment {
        if self.request.traits.concern_locks { host.moment() } else { Moment::default() }
    }

    #[inline(always)]
    fn mode(&self, repeats: bool, now_us: Option<u64>, moment: Moment) -> ExecutionMode<'t, 'a> {
        let verbatim = repeats && !self.sent_as_effects;
        let next_revision = match now_us {
            Some(now_us) if !repeats => self.next_revision.max(now_us),
            _ => self.next_revision,
        };
        let clock = now_us.map_or(Clock::UNREAD, Clock::at);
        let refused = Cell::new(None);
        let context = TransactionContext {
            request: self.request,
            clock,
            moment,
            refused,
            unique_among: self.unique_among,
            records_changes: self.records_changes,
            conflict: Cell::new(None),
        };
        ExecutionMode { context, verbatim, next_revision }
    }
}

/// The refusal of a command.
#[cold]
fn refused(host: &mut dyn Host, context: &TransactionContext<'_, '_>, error: Error) -> Error {
    host.note_conflict(context.conflict.take());
    refusal::explained(host, context, error)
}

fn issue(host: &mut dyn Host, decision: &Decision) {
    if let Some(highest) = decision.highest {
        host.revisions().issue(highest);
    }
}

impl ExecutionMode<'_, '_> {
    #[inline(always)]
    fn editing<'e>(&'e self, journal: &'e mut Journal) -> Editing<'e> {
        let request = self.context.request;
        Editing {
            journal,
            limits: &request.settings.document,
            allowance: request.allowance,
            effects: if self.verbatim { Effects::Unrecorded } else { Effects::Recorded },
        }
    }

    /// Decides everything that can be refused. Calls with what is left to do for each key.
    #[inline(always)]
    fn decide(
        &self,
        slots: &mut [Slot<'_>],
        released: &mut Released,
        each: impl FnMut(Committed),
    ) -> Result<Decision> {
        self.decide_with(Opened::new(&self.context, slots, released), each)
    }

    /// With natives the token is made when their replies are known; there is room for it.
    #[inline(always)]
    fn decide_with(
        &self,
        opened: Opened<'_, '_, '_, '_>,
        each: impl FnMut(Committed),
    ) -> Result<Decision> {
        let validated = opened.prepare()?.run()?.validate()?;
        validated.check_natives()?;
        let mut numbered = validated.number(self.next_revision);
        let changes = if self.context.records_changes { numbered.changes()? } else { None };
        let token = match &self.context.request.token {
            Some(record) => Some(self.token(record.digest, numbered.reply())?),
            None => None,
        };
        Ok(numbered.commit(token, changes, each))
    }

    /// The token for this reply; `LIMIT` where that is too large.
    fn token(&self, digest: Digest, reply: &Reply) -> Result<Token> {
        let token = Token::new(digest, reply);
        let most = self.context.request.settings.transactions.token_reply_bytes;
        if token.reply_bytes() as u64 + self.native_reply_bytes() > most {
            return Err(Error::limit(limit::TOKEN_REPLY_BYTES, most));
        }
        Ok(token)
    }

    /// The room that the replies of natives may take in a token.
    fn native_reply_bytes(&self) -> u64 {
        let of_block = |block: &Block<'_>| {
            block.natives.as_ref().map_or(0, |natives| natives.statements.len() * REPLY_BYTES)
        };
        self.context.request.blocks.iter().map(of_block).sum::<usize>() as u64
    }

    fn commit(&self, released: Released) -> Commit<'_> {
        let request = self.context.request;
        Commit {
            replaying: request.replaying,
            token: request.token.as_ref(),
            clock: self.context.clock,
            verbatim: self.verbatim,
            released,
        }
    }
}

/// Returns true if changing this document has no effect besides: its model refreshes no time to live, asks
/// for no time, and validated it under the definition in force.
fn changes_only_as_asked(document: &Document) -> bool {
    let Some(model) = &document.model else { return true };
    let definition = model.read();
    ReadDefinition::get(&definition).is_none_or(|definition| {
        // A change that is recorded is sent with its entry, and so are its effects.
        let recorded = definition.source.changes.is_some();
        let refreshed = definition.source.refresh != Refresh::Never;
        let plain = !recorded && !refreshed && !definition.reads_clock();
        plain && document.is_valid_under(definition.version)
    })
}
