//! `MODEL.APPLY`: repeats the effect of a command on one key. Written by the module for replicas and
//! the AOF, not for clients.

use std::ffi::CStr;

use smallvec::smallvec;

use super::args::Args;
use super::host::{Host, Key, KeyEffect, Outcome, Sent};
use super::locking;
use super::{ArgKind, ArgSpec, COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions, Line};
use crate::budget::{Allowance, WorkLimits, weight};
use crate::codec::effect::{Change, Effect};
use crate::codec::locks::decode_edits;
use crate::codec::origin::{Bounds, Origin};
use crate::document::{ANY_NAME, NewDocument};
use crate::error::{ErrorCode, Result};
use crate::expiry::Expiry;
use crate::lock::{At, LockEdit};
use crate::reply::Reply;
use crate::token::Token;
use crate::txn::no_key;
use crate::value::edit::Editor;
use crate::value::{Limits, Measured, parse};

#[linkme::distributed_slice(COMMANDS)]
static APPLY: CommandSpec = CommandSpec {
    name: "MODEL.APPLY",
    summary: "Repeats an effect; internal: written to replicas and the AOF",
    since: "0.1.0",
    complexity: "O(N) with N the size of the effect",
    arity: -3,
    flags: &[Flag::Write, Flag::Dangerous],
    keys: KeyPositions::First,
    tips: &[],
    args: &[
        ArgSpec::new("key", ArgKind::Key),
        ArgSpec::new("effect", ArgKind::String),
        ArgSpec::new("json", ArgKind::String).optional(),
    ],
    reply: "OK",
    errors: &[ErrorCode::Err, ErrorCode::WrongType, ErrorCode::NoKey],
    replicated: "itself",
    examples: &[CommandExample(&[Line::new("MODEL.APPLY a 'not an effect'", "ERR")])],
    run,
};

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let origin = Origin::of_effect(host.replaying());
    let (work, document_bytes) = (work_limits(host, origin), host.settings().document.bytes);
    let allowance = Allowance::for_request(&work, args, document_bytes)?;
    let mut args = Args::new(args);
    let key = args.key()?;
    let effect = Effect::decode(args.next("an effect")?)?;
    origin.admit_revision(last_revision(&effect), host.now_us())?;
    // Clients that cache a document need not know of its locks.
    let signalled = !matches!(effect.change, Change::Locks(_));
    let event = match &effect.change {
        Change::Put { model, definition, ahead } => {
            host.revisions().see(effect.revision + ahead);
            let content = parse::json(args.next("a JSON document")?, &limits(host, origin))?;
            args.finish()?;
            put(host, key, content, (*model, *definition), &effect, origin)?;
            Some(c"model.set")
        }
        Change::Edit { edits, definition } => {
            args.finish()?;
            edit(host, key, edits, &effect, (*definition, origin), &allowance)?;
            Some(c"model.update")
        }
        Change::Touch => {
            args.finish()?;
            host.open(key)?.ok_or_else(no_key)?.revision = effect.revision;
            None
        }
        Change::Token(token) => {
            args.finish()?;
            let token = Token::decode(token, u64::MAX)?;
            host.token(key)?;
            host.put_token(key, token);
            Some(c"model.token")
        }
        Change::Locks(edits) => {
            args.finish()?;
            Some(change_locks(host, key, edits, origin, &allowance)?)
        }
    };
    host.revisions().see(effect.revision);
    // The events are those of the command that had this effect.
    let generic_event = match (effect.expiry, &effect.change) {
        _ if !host.expire(key, effect.expiry) => None,
        (Expiry::Keep, _) | (Expiry::Persist, Change::Put { .. }) => None,
        (Expiry::Persist, _) => Some(c"persist"),
        (Expiry::At(_), _) => Some(c"expire"),
    };
    let effect =
        KeyEffect { key_arg: key.arg, event, generic_event, signalled, sent: Sent::Command };
    Ok(Outcome { reply: Reply::Ok, effects: smallvec![effect], definition: None, waits: None })
}

/// Stores a document of a model and a version of its definition.
fn put(
    host: &mut dyn Host,
    key: Key<'_>,
    content: Measured,
    (model, definition): (&str, u32),
    effect: &Effect<'_>,
    origin: Origin,
) -> Result<()> {
    let locks = locking::take_over(host, key)?;
    let model = (model != ANY_NAME).then(|| host.models().of_document(model));
    let mut document = NewDocument::new(content, model, definition, effect.revision);
    document.locks = locks;
    if !origin.trusts_effects() {
        document.distrust();
    }
    host.put(key, document);
    Ok(())
}

/// Returns the event of the command that changed the locks.
fn change_locks(
    host: &mut dyn Host,
    key: Key<'_>,
    edits: &[u8],
    origin: Origin,
    allowance: &Allowance<'_>,
) -> Result<&'static CStr> {
    let edits = decode_edits(edits)?;
    allowance.spend(edits.len() as u64 * weight::CHANGE)?;
    let fence = edits.iter().map(LockEdit::fence).max().unwrap_or(0);
    origin.admit_fence(fence, host.now_us())?;
    host.open(key)?.ok_or_else(no_key)?;
    repeat(host, key, &edits);
    let granted = edits.iter().any(|edit| matches!(edit, LockEdit::Grant { .. }));
    Ok(if granted { c"model.lock" } else { c"model.unlock" })
}

/// Changes the holders of locks. Only replicas are told: they receive the command.
fn repeat(host: &mut dyn Host, key: Key<'_>, edits: &[LockEdit]) {
    let at = At { db: host.database(), key: key.name };
    host.with_locks(&mut |engine, store, moment| {
        edits.iter().for_each(|edit| engine.repeat(store, moment, at, edit));
    });
}

fn edit(
    host: &mut dyn Host,
    key: Key<'_>,
    edits: &[u8],
    effect: &Effect<'_>,
    (definition, origin): (u32, Origin),
    allowance: &Allowance<'_>,
) -> Result<()> {
    let limits = limits(host, origin);
    let mut journal = host.take_journal();
    let document = host.open(key)?.ok_or_else(no_key)?;
    let size = document.size();
    allowance.own(size);
    let mut editor =
        Editor::new(&mut document.root, size, limits, &mut journal).with_allowance(allowance);
    editor.apply_effects(edits)?;
    let size = editor.commit();
    document.set_size(size);
    document.revision = effect.revision;
    if !origin.trusts_effects() {
        document.distrust();
    } else if definition > 0 {
        document.set_valid_under(definition);
    }
    host.keep_journal(journal);
    Ok(())
}

/// The highest revision that an effect reports.
fn last_revision(effect: &Effect<'_>) -> u64 {
    match effect.change {
        Change::Put { ahead, .. } => effect.revision + ahead,
        _ => effect.revision,
    }
}

/// The limits of documents for an effect of this origin.
fn limits(host: &dyn Host, origin: Origin) -> Limits {
    let settings = host.settings();
    origin.bounds(Bounds { document: settings.document, ..Bounds::NONE }).document
}

/// The bounds on work for an effect of this origin.
fn work_limits(host: &dyn Host, origin: Origin) -> WorkLimits {
    if origin.trusts_effects() { WorkLimits::NONE } else { host.settings().work }
}
