//! A request against a host: opens the keys, lets the transaction decide, and applies what it decided.

use std::cell::Cell;
use std::slice;

use smallvec::SmallVec;

use super::commit::Commit;
use super::context::{Released, TransactionContext};
use super::refusal;
use super::request::Request;
use super::slot::{Committed, Editing, Slot};
use super::transaction::{Decision, Opened};
use crate::document::Document;
use crate::error::{Error, Result};
use crate::host::{Host, Key, Outcome};
use crate::limit;
use crate::model::{ReadDefinition, Refresh};
use crate::op::Clock;
use crate::reply::Reply;
use crate::token::{Digest, Token};
use crate::value::edit::{Effects, Journal};

/// The journals of several keys; in boxes, which are moved faster.
type Journals = SmallVec<[Box<Journal>; 2]>;

/// Executes a command, all or nothing.
pub fn execute(host: &mut dyn Host, request: &Request<'_, '_>) -> Result<Outcome> {
    let counted = request.replaying || host.revisions().is_told();
    let repeats = counted && request.repeats_exactly();
    let execution = Execution { request, repeats, next_revision: host.revisions().next() };
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
    /// Without regard to the clock.
    next_revision: u64,
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
        let steady_ms = self.steady_ms(host);
        let mut verbatim = self.repeats;
        let opened = host.open_timed(key, &mut |document| {
            verbatim &= request.replaying || document.is_none_or(changes_only_as_asked);
            self.reads_clock(verbatim)
        });
        let (document, now_us) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                host.keep_journal(journal);
                return Err(error.text("key", key.name));
            }
        };
        let mode = self.mode(verbatim, now_us, steady_ms);
        let decided = {
            let mut slot = Slot::new(key.name, document, mode.editing(&mut journal));
            let slots = slice::from_mut(&mut slot);
            mode.decide(slots, &mut released, |result| committed = Some(result))
        };
        let result = decided.map(|decision| {
            issue(host, &decision);
            let committed = committed.expect("the key was committed");
            let commit = mode.commit(released);
            let effect = commit.apply(host, 0, key, committed, &journal);
            let mut effects = SmallVec::new();
            effects.extend(effect);
            if decision.token.is_some() {
                effects.extend(commit.record(host, decision.token));
            }
            Outcome { reply: decision.reply, effects, definition: None, waits: None }
        });
        host.keep_journal(journal);
        result.map_err(|error| refusal::explained(host, &mode.context, error))
    }

    fn on_many(&self, host: &mut dyn Host) -> Result<Outcome> {
        let request = self.request;
        let keys = request.keys;
        let verbatim = self.repeats
            && (request.replaying
                || request.blocks.iter().all(|block| {
                    // A key of another type is refused when all are opened.
                    host.open(keys[block.slot])
                        .is_ok_and(|document| document.is_none_or(|d| changes_only_as_asked(d)))
                }));
        let now_us = self.reads_clock(verbatim).then(|| host.now_us());
        let mode = self.mode(verbatim, now_us, self.steady_ms(host));
        let mut journals: Journals = keys.iter().map(|_| host.take_journal()).collect();
        let (mut committed, mut released) = (SmallVec::<[_; 2]>::new(), Released::new());
        let decided = host.open_all(keys).and_then(|found| {
            let mut slots = SmallVec::<[_; 2]>::new();
            for ((key, document), journal) in keys.iter().zip(found).zip(&mut journals) {
                slots.push(Slot::new(key.name, document, mode.editing(journal)));
            }
            mode.decide(&mut slots, &mut released, |result| committed.push(result))
        });
        let result = decided.map(|decision| {
            issue(host, &decision);
            let mut effects =
                SmallVec::with_capacity(keys.len() + usize::from(decision.token.is_some()));
            let commit = mode.commit(released);
            for (slot, committed) in committed.into_iter().enumerate() {
                effects.extend(commit.apply(host, slot, keys[slot], committed, &journals[slot]));
            }
            effects.extend(commit.record(host, decision.token));
            Outcome { reply: decision.reply, effects, definition: None, waits: None }
        });
        journals.into_iter().for_each(|journal| host.keep_journal(journal));
        result.map_err(|error| refusal::explained(host, &mode.context, error))
    }

    fn reads_clock(&self, verbatim: bool) -> bool {
        // A command that is replicated as it is repeats exactly: no operator in it reads the clock.
        !verbatim || self.request.condition_reads_clock()
    }

    fn steady_ms(&self, host: &mut dyn Host) -> u64 {
        if self.request.concerns_locks() { host.moment().steady_ms } else { 0 }
    }

    #[inline(always)]
    fn mode(&self, verbatim: bool, now_us: Option<u64>, steady_ms: u64) -> ExecutionMode<'t, 'a> {
        let next_revision = match now_us {
            Some(now_us) if !verbatim => self.next_revision.max(now_us),
            _ => self.next_revision,
        };
        let clock = now_us.map_or(Clock::UNREAD, Clock::at);
        let refused = Cell::new(None);
        let context = TransactionContext { request: self.request, clock, steady_ms, refused };
        ExecutionMode { context, verbatim, next_revision }
    }
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
        let opened = Opened::new(&self.context, slots, released);
        let numbered = opened.prepare()?.run()?.validate()?.number(self.next_revision);
        let token = match &self.context.request.token {
            Some(record) => Some(self.token(record.digest, numbered.reply())?),
            None => None,
        };
        Ok(numbered.commit(token, each))
    }

    /// The token for this reply; `LIMIT` where that is too large.
    fn token(&self, digest: Digest, reply: &Reply) -> Result<Token> {
        let token = Token::new(digest, reply);
        let most = self.context.request.settings.transactions.token_reply_bytes;
        if token.reply_bytes() as u64 > most {
            return Err(Error::limit(limit::TOKEN_REPLY_BYTES, most));
        }
        Ok(token)
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
        let plain = definition.source.refresh == Refresh::Never && !definition.reads_clock();
        plain && document.is_valid_under(definition.version)
    })
}
