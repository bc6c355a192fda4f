//! `MODEL.APPLY`: repeats the effect of a command on one key. Written by the module for replicas and
//! the AOF, not for clients.

use smallvec::{SmallVec, smallvec};

use super::args::Args;
use super::host::{Access, Documents, Host, Key, KeyEffect, KeyspaceEvent, Outcome, Sent};
use super::locking;
use super::{ArgKind, ArgSpec, COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions, Line};
use crate::budget::{Allowance, WorkLimits, weight};
use crate::codec::effect::{Change, Effect};
use crate::codec::locks::decode_edits;
use crate::codec::origin::{Bounds, Origin};
use crate::document::{ANY_NAME, Document, NewDocument};
use crate::error::{ErrorCode, Result};
use crate::expiry::Expiry;
use crate::lock::{At, LockEdit};
use crate::model::Model;
use crate::reply::Reply;
use crate::token::Token;
use crate::txn::no_key;
use crate::value::edit::{Editor, Journal};
use crate::value::{Limits, Measured, View, parse};

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
    Repetition::begin(host, args, |host, repetition| {
        let mut args = Args::new(args);
        let key = args.key()?;
        host.prefetch(&[key], Access::Change);
        let effect = Effect::decode(args.next("an effect")?)?;
        let part = repetition.part(host, key, effect, &mut args)?;
        args.finish()?;
        repetition.repeat(host, smallvec![part])
    })
}

/// The terms on which effects are repeated: how far their origin is trusted, and what they may cost.
pub(super) struct Repetition<'r> {
    origin: Origin,
    limits: Limits,
    allowance: &'r Allowance<'r>,
}

/// The effect on one key, with what it carries.
pub(super) struct EffectPart<'a> {
    key: Key<'a>,
    effect: Effect<'a>,
    payload: Payload,
}

/// The content of an effect, decoded.
enum Payload {
    /// The effect has all of it.
    None,
    Document(Measured),
    Token(Token),
    Locks(Vec<LockEdit>),
}

/// The parts of one command; one in place, because most commands have no more.
pub(super) type EffectParts<'a> = SmallVec<[EffectPart<'a>; 1]>;

impl<'r> Repetition<'r> {
    /// Calls with the terms for the command that has these arguments.
    pub fn begin(
        host: &mut dyn Host,
        args: &[&[u8]],
        run: impl FnOnce(&mut dyn Host, &Repetition<'_>) -> Result<Outcome>,
    ) -> Result<Outcome> {
        let origin = Origin::of_effect(host.replaying());
        let (work, document_bytes) = (work_limits(host, origin), host.settings().document.bytes);
        let allowance = Allowance::for_request(&work, args, document_bytes)?;
        let limits = limits(host, origin);
        run(host, &Repetition { origin, limits, allowance: &allowance })
    }

    /// Decodes what an effect carries. The JSON of a document is the next argument.
    pub fn part<'a>(
        &self,
        host: &mut dyn Host,
        key: Key<'a>,
        effect: Effect<'a>,
        args: &mut Args<'a>,
    ) -> Result<EffectPart<'a>> {
        self.origin.admit_revision(last_revision(&effect), host.now_us())?;
        let payload = match effect.change {
            Change::Put { model, .. } => {
                let content = parse::json(args.next("a JSON document")?, &self.limits)?;
                if !self.origin.trusts_effects()
                    && let Ok(model) = host.models().defined(model.as_bytes())
                {
                    self.pay_for_entries(&model, content.value.view())?;
                }
                Payload::Document(content)
            }
            Change::Token(token) => Payload::Token(Token::decode(token, u64::MAX)?),
            Change::Locks(edits) => {
                let edits = decode_edits(edits)?;
                self.allowance.spend(edits.len() as u64 * weight::CHANGE)?;
                let fence = edits.iter().map(LockEdit::fence).max().unwrap_or(0);
                self.origin.admit_fence(fence, host.now_us())?;
                Payload::Locks(edits)
            }
            Change::Edit { .. } | Change::Touch => Payload::None,
        };
        Ok(EffectPart { key, effect, payload })
    }

    /// Pays for the entries of a document in the indexes of its model.
    fn pay_for_entries(&self, model: &Model, document: View<'_>) -> Result<()> {
        let indexes = model.indexes().declared();
        self.allowance.spend(indexes.map_or(0, |set| set.arrival_steps(document)))
    }

    /// Repeats effects on different keys: all of them, or none.
    pub fn repeat(&self, host: &mut dyn Host, parts: EffectParts<'_>) -> Result<Outcome> {
        for part in &parts {
            part.check(host)?;
        }
        // Nothing else can be refused.
        self.edit(host, &parts)?;
        let effects = parts.into_iter().map(|part| part.finish(host, self.origin)).collect();
        Ok(Outcome { effects, ..Outcome::from(Reply::Ok) })
    }

    /// Makes the edits of all documents, or of none.
    fn edit(&self, host: &mut dyn Host, parts: &[EffectPart<'_>]) -> Result<()> {
        let is_edit = |part: &&EffectPart<'_>| matches!(part.effect.change, Change::Edit { .. });
        let edited: SmallVec<[&EffectPart<'_>; 1]> = parts.iter().filter(is_edit).collect();
        if edited.is_empty() {
            return Ok(());
        }
        let keys: SmallVec<[Key<'_>; 1]> = edited.iter().map(|part| part.key).collect();
        let mut journals: SmallVec<[_; 1]> = keys.iter().map(|_| host.take_journal()).collect();
        let done = {
            let mut documents = host.open_all(&keys)?;
            self.edit_documents(&edited, &mut documents, &mut journals)
        };
        journals.into_iter().for_each(|journal| host.keep_journal(journal));
        done
    }

    fn edit_documents(
        &self,
        edited: &[&EffectPart<'_>],
        documents: &mut Documents<'_>,
        journals: &mut [Box<Journal>],
    ) -> Result<()> {
        let mut editing = SmallVec::<[_; 1]>::new();
        for ((part, document), journal) in edited.iter().zip(documents).zip(journals) {
            let document = document.as_mut().expect("the key was checked");
            let (head, root) = document.split();
            self.allowance.own(head.size());
            let mut editor =
                Editor::new(root, head.size(), self.limits, journal).with_allowance(self.allowance);
            let Change::Edit { edits, .. } = part.effect.change else {
                unreachable!("only these are edited")
            };
            // An editor that is dropped reverts its document.
            editor.apply_effects(edits)?;
            if let Some(model) = head.model.filter(|_| !self.origin.trusts_effects()) {
                self.pay_for_entries(model, editor.view())?;
            }
            editing.push((head, editor, part.effect.revision));
        }
        for (head, editor, revision) in &mut editing {
            head.set_edited(editor.end(), *revision);
        }
        Ok(())
    }
}

impl EffectPart<'_> {
    /// Refuses an effect that the key has no document for, or a value of another type.
    fn check(&self, host: &mut dyn Host) -> Result<()> {
        match self.effect.change {
            Change::Put { .. } => host.open(self.key).map(|_| ()),
            Change::Token(_) => host.token(self.key).map(|_| ()),
            Change::Edit { .. } | Change::Touch | Change::Locks(_) => {
                host.open(self.key)?.map(|_| ()).ok_or_else(no_key)
            }
        }
    }

    /// Does everything of an effect that cannot be refused, after the edits of its document.
    fn finish(self, host: &mut dyn Host, origin: Origin) -> KeyEffect {
        let EffectPart { key, effect, payload } = self;
        // Clients that cache a document need not know of its locks.
        let signalled = !matches!(effect.change, Change::Locks(_));
        let event = match (effect.change, payload) {
            (Change::Put { model, definition, ahead }, Payload::Document(content)) => {
                host.revisions().see(effect.revision + ahead);
                put(host, key, content, (model, definition), effect.revision, origin);
                Some(KeyspaceEvent::Set)
            }
            (Change::Edit { definition, .. }, _) => {
                settle_edited(host, key, definition, origin);
                Some(KeyspaceEvent::Update)
            }
            (Change::Touch, _) => {
                document(host, key).revision = effect.revision;
                None
            }
            (Change::Token(_), Payload::Token(token)) => {
                host.put_token(key, token);
                Some(KeyspaceEvent::Token)
            }
            (Change::Locks(_), Payload::Locks(edits)) => {
                repeat_locks(host, key, &edits);
                let granted = edits.iter().any(|edit| matches!(edit, LockEdit::Grant { .. }));
                Some(if granted { KeyspaceEvent::Lock } else { KeyspaceEvent::Unlock })
            }
            _ => unreachable!("the payload is that of the effect"),
        };
        host.revisions().see(effect.revision);
        // The events are those of the command that had this effect.
        let generic_event = match (effect.expiry, effect.change) {
            _ if !host.expire(key, effect.expiry) => None,
            (Expiry::Keep, _) | (Expiry::Persist, Change::Put { .. }) => None,
            (Expiry::Persist, _) => Some(KeyspaceEvent::Persist),
            (Expiry::At(_), _) => Some(KeyspaceEvent::Expire),
        };
        KeyEffect { key_arg: key.arg, event, generic_event, signalled, sent: Sent::Command }
    }
}

/// The document at a key that was checked.
fn document<'h>(host: &'h mut dyn Host, key: Key<'_>) -> &'h mut Document {
    host.open(key).ok().flatten().expect("the key was checked")
}

/// Stores a document of a model and a version of its definition.
fn put(
    host: &mut dyn Host,
    key: Key<'_>,
    content: Measured,
    (model, definition): (&str, u32),
    revision: u64,
    origin: Origin,
) {
    let locks = locking::take_over(host, key).expect("the key was checked");
    let model = (model != ANY_NAME).then(|| host.models().of_document(model));
    let mut document = NewDocument::new(content, model, definition, revision);
    document.locks = locks;
    if !origin.trusts_effects() {
        document.distrust();
    }
    host.put(key, document, None);
}

/// Records the validation of a document that was edited, and what indexes have of it.
fn settle_edited(host: &mut dyn Host, key: Key<'_>, definition: u32, origin: Origin) {
    let document = document(host, key);
    if !origin.trusts_effects() {
        document.distrust();
    } else if definition > 0 {
        document.set_valid_under(definition);
    }
    if document.has_indexes() {
        host.follow(key, None);
    }
}

/// Changes the holders of locks. Only replicas are told: they receive the command.
fn repeat_locks(host: &mut dyn Host, key: Key<'_>, edits: &[LockEdit]) {
    let at = At { db: host.database(), key: key.name };
    host.with_locks(&mut |engine, store, moment| {
        edits.iter().for_each(|edit| engine.repeat(store, moment, at, edit));
    });
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
