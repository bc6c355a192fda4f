//! A request against a host: opens the keys, lets the transaction decide, and applies what it decided.

use smallvec::SmallVec;

use super::commit::Commit;
use super::request::Request;
use super::slot::{Editing, Slot};
use super::transaction::{Context, Decision, Opened, Slots};
use crate::codec::token::Token;
use crate::document::Document;
use crate::error::{Error, Result};
use crate::host::{Host, Outcome};
use crate::limit;
use crate::model::{ReadDefinition, Refresh};
use crate::op::Clock;
use crate::value::edit::{Effects, Journal};

/// The journals of the request's keys; in boxes, which are moved faster.
type Journals = SmallVec<[Box<Journal>; 2]>;

/// Executes a command, all or nothing.
pub fn execute(host: &mut dyn Host, request: &Request<'_, '_>) -> Result<Outcome> {
    let verbatim = is_sent_verbatim(host, request);
    let clock = match !verbatim || request.may_read_clock() {
        true => Clock::at(host.now_us()),
        // Reading it takes time.
        false => Clock::UNREAD,
    };
    let next_revision = match clock.read() {
        Some(now_us) if !verbatim => host.revisions().next_at(now_us),
        _ => host.revisions().next(),
    };
    let steady_ms = if request.concerns_locks() { host.moment().steady_ms } else { 0 };
    let context = Context { request, clock, steady_ms };
    let effects = if verbatim { Effects::Unrecorded } else { Effects::Recorded };
    let mut journals: Journals = request.keys.iter().map(|_| host.take_journal()).collect();
    let decided = decide(host, &context, &mut journals, effects, next_revision);
    let (decision, token) = match decided {
        Ok(decided) => decided,
        Err(error) => {
            journals.into_iter().for_each(|journal| host.keep_journal(journal));
            return Err(error);
        }
    };
    Ok(Commit { request, clock, verbatim }.apply(host, decision, token, journals))
}

/// Decides everything that can be refused.
fn decide(
    host: &mut dyn Host,
    context: &Context<'_, '_>,
    journals: &mut Journals,
    effects: Effects,
    next_revision: u64,
) -> Result<(Decision, Option<Token>)> {
    let request = context.request;
    let (limits, allowance) = (&request.settings.document, request.allowance);
    let found = host.open_all(request.keys)?;
    let mut slots: Slots<'_> = SmallVec::with_capacity(request.keys.len());
    for ((key, document), journal) in request.keys.iter().zip(found).zip(journals) {
        let editing = Editing { journal, limits, allowance, effects };
        slots.push(Slot::new(key.name, document, editing));
    }
    let opened = Opened::new(context, &mut slots);
    let numbered = opened.prepare()?.run()?.validate()?.number(next_revision);
    let token = match &request.token {
        Some(record) => {
            let token = Token::new(record.digest, numbered.reply());
            let most = request.settings.transactions.token_reply_bytes;
            if token.reply_bytes() as u64 > most {
                return Err(Error::limit(limit::TOKEN_REPLY_BYTES, most));
            }
            Some(token)
        }
        None => None,
    };
    Ok((numbered.commit(), token))
}

/// Returns true if replicas are sent the command itself and not its effects: it says what it changes, its
/// documents' models add nothing to that, and replicas count to the same revisions.
fn is_sent_verbatim(host: &mut dyn Host, request: &Request<'_, '_>) -> bool {
    let counted = request.replaying || host.revisions().is_told();
    if !counted || !request.repeats_exactly() {
        return false;
    }
    // A key of another type is refused when all are opened.
    let mut blocks = request.blocks.iter();
    request.replaying
        || blocks.all(|block| match host.open(request.keys[block.slot]) {
            Ok(Some(document)) => changes_only_as_asked(document),
            Ok(None) | Err(_) => true,
        })
}

/// Returns true if changing this document has no effect besides: its model refreshes no time to live, asks
/// for no time, and validated it under the definition in force.
fn changes_only_as_asked(document: &Document) -> bool {
    let Some(model) = &document.model else { return true };
    let definition = model.read();
    ReadDefinition::get(&definition).is_none_or(|definition| {
        let plain = definition.source.refresh == Refresh::Never && !definition.reads_clock();
        plain && document.is_judged_by(definition.version)
    })
}
