//! `MODEL.APPLY`: repeats the effect of a command on one key. Written by the module for replicas and
//! the AOF; clients have no use for it.

use smallvec::smallvec;

use super::args::Args;
use super::host::{Host, Key, KeyEffect, Outcome, Sent};
use super::locking;
use super::{ArgKind, ArgSpec, COMMANDS, CommandSpec, Example, Flag, Keys, Line};
use crate::codec::effect::{Change, Effect};
use crate::codec::locks::decode_edits;
use crate::document::{ANY_NAME, NewDocument, believed_revision};
use crate::error::{ErrorCode, Result};
use crate::expiry::Expiry;
use crate::lock::{At, LockEdit, believed_fence};
use crate::reply::Reply;
use crate::token::Token;
use crate::txn::no_key;
use crate::value::edit::Editor;
use crate::value::{Limits, parse, wire};

#[linkme::distributed_slice(COMMANDS)]
static APPLY: CommandSpec = CommandSpec {
    name: "MODEL.APPLY",
    summary: "Repeats an effect; internal: written to replicas and the AOF",
    since: "0.1.0",
    complexity: "O(N) with N the size of the effect",
    arity: -3,
    flags: &[Flag::Write, Flag::Dangerous],
    keys: Keys::First,
    tips: &[],
    args: &[
        ArgSpec::new("key", ArgKind::Key),
        ArgSpec::new("effect", ArgKind::String),
        ArgSpec::new("json", ArgKind::String).optional(),
    ],
    reply: "OK",
    errors: &[ErrorCode::Err, ErrorCode::WrongType, ErrorCode::NoKey],
    replicated: "itself",
    examples: &[Example(&[Line::new("MODEL.APPLY a 'not an effect'", "ERR")])],
    run,
};

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let mut args = Args::new(args);
    let key = args.key()?;
    let effect = Effect::decode(args.next("an effect")?)?;
    believe(host, &effect)?;
    let limits = limits(host);
    // Who keeps what was read of a document need not know who holds it.
    let signalled = !matches!(effect.change, Change::Locks(_));
    let event = match &effect.change {
        Change::Put { model, definition, ahead } => {
            host.revisions().see(effect.revision + ahead);
            let content = parse::json(args.next("a JSON document")?, &limits)?;
            args.finish()?;
            let locks = locking::take_over(host, key)?;
            let model = (*model != ANY_NAME).then(|| host.models().of_document(model));
            let mut document = NewDocument::new(content, model, *definition, effect.revision);
            document.locks = locks;
            if !host.replaying() {
                document.distrust();
            }
            host.put(key, document);
            Some(c"model.set")
        }
        Change::Edit { edits, definition } => {
            args.finish()?;
            edit(host, key, edits, &effect, *definition)?;
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
            let edits = decode_edits(edits)?;
            let fence = edits.iter().map(LockEdit::fence).max().unwrap_or(0);
            if !host.replaying() && fence > believed_fence(host.now_us() / 1000) {
                return Err(wire::corrupt("a fence is years ahead"));
            }
            host.open(key)?.ok_or_else(no_key)?;
            repeat(host, key, &edits);
            let granted = edits.iter().any(|edit| matches!(edit, LockEdit::Grant { .. }));
            Some(if granted { c"model.lock" } else { c"model.unlock" })
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

/// Changes who holds locks; nobody is told but replicas, which are sent the command.
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
    definition: u32,
) -> Result<()> {
    let (replaying, limits) = (host.replaying(), limits(host));
    let mut journal = host.take_journal();
    let document = host.open(key)?.ok_or_else(no_key)?;
    let size = document.size();
    let mut editor = Editor::new(&mut document.root, size, limits, &mut journal);
    editor.apply_effects(edits)?;
    let size = editor.commit();
    document.set_size(size);
    document.revision = effect.revision;
    if !replaying {
        document.distrust();
    } else if definition > 0 {
        document.set_judged_by(definition);
    }
    host.keep_journal(journal);
    Ok(())
}

/// Refuses what a client brings that is too far ahead of the clock.
fn believe(host: &mut dyn Host, effect: &Effect<'_>) -> Result<()> {
    let ahead = match effect.change {
        Change::Put { ahead, .. } => ahead,
        _ => 0,
    };
    if !host.replaying() && effect.revision + ahead > believed_revision(host.now_us()) {
        return Err(wire::corrupt("a revision is years ahead"));
    }
    Ok(())
}

/// What a master accepted is never refused; a client's own use stays within this server's limits.
fn limits(host: &dyn Host) -> Limits {
    if host.replaying() { Limits::NONE } else { host.settings().document }
}
