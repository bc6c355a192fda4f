//! The last step of a command: applies to the host what was decided, and says what is replicated. Nothing is
//! refused here.

use super::context::Released;
use super::request::TokenRecord;
use super::slot::{Committed, KeyResult};
use super::ttl::{EndsAt, ExpiryOption};
use crate::codec::effect::{Change, Effect};
use crate::document::{ANY_NAME, NewDocument};
use crate::expiry::Expiry;
use crate::host::{Host, JsonText, Key, KeyEffect, KeyspaceEvent, Sent};
use crate::index::Entries;
use crate::lock::At;
use crate::op::Clock;
use crate::token::Token;
use crate::value::edit::Journal;
use crate::value::print;

/// A command that was decided and is being applied.
pub struct Commit<'r> {
    pub replaying: bool,
    pub token: Option<&'r TokenRecord<'r>>,
    pub clock: Clock,
    /// Replicas are sent the command itself.
    pub verbatim: bool,
    pub released: Released,
}

impl Commit<'_> {
    /// Applies what was decided for one key, and returns its effect, if there is one. `journal` holds its
    /// changes.
    #[inline(always)]
    pub fn apply(
        &self,
        host: &mut dyn Host,
        slot: usize,
        key: Key<'_>,
        committed: &mut Committed,
        journal: &Journal,
    ) -> Option<KeyEffect> {
        // Replicas that are sent the command hear there which grants end.
        let changed = matches!(committed.result, KeyResult::Changed { .. });
        let told = self.replaying || (self.verbatim && changed);
        let effect = self.effect(host, key, committed, journal);
        if !self.released.is_empty() {
            release(host, key, slot, &self.released, told);
        }
        effect
    }

    /// Stores the token, after all keys were applied.
    #[inline(always)]
    pub fn record(&self, host: &mut dyn Host, token: Option<Token>) -> Option<KeyEffect> {
        let (token, record) = token.zip(self.token)?;
        Some(store_token(host, record, token))
    }

    #[inline(always)]
    fn effect(
        &self,
        host: &mut dyn Host,
        key: Key<'_>,
        committed: &mut Committed,
        journal: &Journal,
    ) -> Option<KeyEffect> {
        let Committed { result, expiry: option, ends_at, entries } = committed;
        let (option, ends_at) = (*option, *ends_at);
        match result {
            KeyResult::Untouched => None,
            KeyResult::Unchanged { revision } => {
                let revision = *revision;
                let expiry = self.expire(host, key, option, ends_at);
                let effect = Effect { revision, expiry, change: Change::Touch };
                (expiry != Expiry::Keep).then(|| KeyEffect {
                    key_arg: key.arg,
                    event: None,
                    generic_event: expiry_event(expiry),
                    signalled: option.is_some(),
                    sent: Sent::Effect(effect.encode(), None),
                })
            }
            KeyResult::Changed { revision, definition } => {
                let (revision, definition) = (*revision, *definition);
                // Entries that a master validated are not computed here before.
                if entries.is_some() || (self.replaying && host.models().has_indexes()) {
                    host.follow(key, entries.as_deref());
                }
                let expiry = self.expire(host, key, option, ends_at);
                let change = Change::Edit { edits: journal.effects(), definition };
                let sent = match self.verbatim {
                    true => Sent::Command,
                    false => Sent::Effect(Effect { revision, expiry, change }.encode(), None),
                };
                Some(KeyEffect {
                    key_arg: key.arg,
                    event: Some(KeyspaceEvent::Update),
                    generic_event: expiry_event(expiry),
                    signalled: true,
                    sent,
                })
            }
            KeyResult::Made { .. } => {
                // Moved out of where it was decided: it is the document that the host is given.
                let made = std::mem::replace(result, KeyResult::Untouched);
                let KeyResult::Made { document, json_arg, existed, deleted } = made else {
                    unreachable!("the result is a document")
                };
                let expiry = self.expiry_of_new(option, ends_at, existed);
                let effect = store(host, key, (document, entries.as_deref()), json_arg, expiry);
                // Grants on the document that was deleted are over.
                if existed && deleted {
                    let at = At { db: host.database(), key: key.name };
                    host.with_locks(&mut |engine, store, _| engine.end_all(store, at));
                }
                Some(effect)
            }
            KeyResult::Removed => {
                host.remove(key);
                Some(KeyEffect {
                    key_arg: key.arg,
                    event: None,
                    generic_event: Some(KeyspaceEvent::Delete),
                    signalled: true,
                    sent: Sent::Unlink,
                })
            }
        }
    }

    /// Changes the time to live of a document that was there, as the command asks for or else as the model
    /// wants it; `Keep` where that changes nothing.
    #[inline(always)]
    fn expire(
        &self,
        host: &mut dyn Host,
        key: Key<'_>,
        option: Option<ExpiryOption>,
        ends_at: Option<EndsAt>,
    ) -> Expiry {
        let expiry = match (option, ends_at) {
            (None, None) => return Expiry::Keep,
            (Some(option), _) => option.at(self.clock.unix_us()),
            (None, Some(ends)) if ends.is_near(host.expires_at(key)) => return Expiry::Keep,
            (None, Some(ends)) => Expiry::At(ends.unix_ms),
        };
        if host.expire(key, expiry) { expiry } else { Expiry::Keep }
    }

    /// The time to live of a new document: what is left of another one's does not pass on unless asked for.
    fn expiry_of_new(
        &self,
        option: Option<ExpiryOption>,
        ends_at: Option<EndsAt>,
        existed: bool,
    ) -> Expiry {
        match (option, ends_at) {
            (Some(ExpiryOption::Keep), Some(ends)) if !existed => Expiry::At(ends.unix_ms),
            (Some(option), _) => option.at(self.clock.unix_us()),
            (None, Some(ends)) => Expiry::At(ends.unix_ms),
            (None, None) => Expiry::Persist,
        }
    }
}

/// Stores a new document.
fn store(
    host: &mut dyn Host,
    key: Key<'_>,
    (document, entries): (NewDocument, Option<&Entries>),
    json_arg: Option<usize>,
    expiry: Expiry,
) -> KeyEffect {
    let (revision, definition) = (document.revision, document.definition_version());
    let model = document.model.clone();
    let json = json_arg.map_or_else(
        || {
            let mut json = Vec::new();
            print::json(document.root.view(), &mut json);
            JsonText::Made(json)
        },
        JsonText::Arg,
    );
    host.put(key, document, entries);
    host.expire(key, expiry);
    let model = model.as_ref().map_or(ANY_NAME, |model| model.name());
    let change = Change::Put { model, definition, ahead: 0 };
    KeyEffect {
        key_arg: key.arg,
        event: Some(KeyspaceEvent::Set),
        generic_event: matches!(expiry, Expiry::At(_)).then_some(KeyspaceEvent::Expire),
        signalled: true,
        sent: Sent::Effect(Effect { revision, expiry, change }.encode(), Some(json)),
    }
}

/// Ends grants that the command released on the document of one slot. `told` says that replicas hear of it in
/// another way.
#[cold]
fn release(host: &mut dyn Host, key: Key<'_>, slot: usize, released: &Released, told: bool) {
    let at = At { db: host.database(), key: key.name };
    host.with_locks(&mut |engine, store, _| {
        for (_, name, fence) in released.iter().filter(|(of, _, _)| *of == slot) {
            engine.release(store, at, name.as_bytes(), *fence, told);
        }
    });
}

/// Records the reply under the token.
fn store_token(host: &mut dyn Host, record: &TokenRecord<'_>, token: Token) -> KeyEffect {
    let (key, expiry) = (record.key, record.expiry);
    let encoded = token.encode();
    let effect = Effect { revision: 0, expiry, change: Change::Token(&encoded) }.encode();
    host.put_token(key, token);
    host.expire(key, expiry);
    KeyEffect {
        key_arg: key.arg,
        event: Some(KeyspaceEvent::Token),
        generic_event: Some(KeyspaceEvent::Expire),
        signalled: true,
        sent: Sent::Effect(effect, None),
    }
}

fn expiry_event(expiry: Expiry) -> Option<KeyspaceEvent> {
    match expiry {
        Expiry::Keep => None,
        Expiry::Persist => Some(KeyspaceEvent::Persist),
        Expiry::At(_) => Some(KeyspaceEvent::Expire),
    }
}
