//! A host in memory, for tests of commands without a server.
//!
//! Nothing of the module uses it; it is public because integration tests are crates of their own.

pub mod coverage;
mod natives;

#[cfg(test)]
mod checked_pages;
#[cfg(test)]
mod clustered_unique;
#[cfg(test)]
mod computed_entries;
#[cfg(test)]
mod exchanged_values;
#[cfg(test)]
mod redefined_indexes;
#[cfg(test)]
mod spoiled_indexes;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::budget::Allowance;
use crate::changes::stream;
use crate::claim::ClaimLine;
use crate::codec::effect;
use crate::command::{
    self, Access, Documents, IndexScope, JsonText, Key, KeyEffect, KeyRole, Outcome, Sent,
    Settings, WithLocks,
};
use crate::document::{Document, NewDocument, Revisions};
use crate::error::{Error, ErrorCode, Result};
use crate::expiry::Expiry;
use crate::expr::cache::Cache;
use crate::expr::{AllowedNames, ExprLimits, Program};
use crate::host::{ClaimLineState, Host, RunBeside};
use crate::index::Entries;
use crate::keys::listed_twice;
use crate::lock::{At, Decisions, Engine, Locks, Moment, Store};
use crate::model::{Actions, Models};
use crate::native::{NativeCall, NativeReply};
use crate::token::Token;
use crate::value::edit::Journal;

pub use natives::{Structure, Structures, StructuresAt};

/// Keys in a map and a clock that is set by hand.
pub struct MemoryHost {
    pub documents: HashMap<Vec<u8>, Box<Document>>,
    pub tokens: HashMap<Vec<u8>, Token>,
    /// The server's own structures.
    pub structures: Structures,
    /// The expiries of keys, in unix milliseconds. No key expires by itself.
    pub expiries: HashMap<Vec<u8>, u64>,
    pub now_us: u64,
    pub revisions: Revisions,
    pub models: Models,
    pub actions: Actions,
    pub expressions: Cache,
    pub settings: Settings,
    pub replaying: bool,
    /// Flag: UNIQUE holds among documents of one hash slot.
    pub clustered: bool,
    /// The keys without a document that have expired and are not deleted yet.
    pub expired: HashSet<Vec<u8>>,
    /// The keys that the caller may not read.
    pub forbidden: HashSet<Vec<u8>>,
    /// The keys that the caller may not change.
    pub protected: HashSet<Vec<u8>>,
    /// The keys that commands found: they stand behind the arguments of the last command that found any.
    pub named: Vec<Vec<u8>>,
    /// The line of requests that wait for documents to be found; a test drives it.
    pub claims: ClaimLine,
    /// Flag: a test has changes that were not offered yet.
    pub claims_noted: bool,
    /// Flag: the command that runs is one of a waiting request.
    pub serving: bool,
    /// The only document that this one may find.
    pub only_document: Option<Vec<u8>>,
    /// The lock engine. A test runs it with [`MemoryHost::settle`].
    pub engine: Engine,
    /// Journals of earlier commands, for their buffers. In boxes, as the server's shell keeps them.
    pub journals: Vec<Box<Journal>>,
    /// The keys that commands announced with [`Host::prefetch`], where a test asks for them.
    pub prefetched: Option<Vec<(Vec<u8>, Access)>>,
}

impl Default for MemoryHost {
    fn default() -> MemoryHost {
        MemoryHost {
            documents: HashMap::new(),
            tokens: HashMap::new(),
            structures: Structures::default(),
            expiries: HashMap::new(),
            now_us: 1_700_000_000_000_000,
            revisions: Revisions::new(),
            models: Models::new(),
            actions: Actions::new(),
            expressions: Cache::new(64, 1 << 20),
            settings: Settings::DEFAULT,
            replaying: false,
            clustered: false,
            expired: HashSet::new(),
            forbidden: HashSet::new(),
            protected: HashSet::new(),
            named: Vec::new(),
            claims: ClaimLine::default(),
            claims_noted: false,
            serving: false,
            only_document: None,
            engine: Engine::default(),
            journals: Vec::new(),
            prefetched: None,
        }
    }
}

impl MemoryHost {
    /// Runs one command; the clock moves on by a millisecond.
    pub fn call(&mut self, args: &[&str]) -> Result<Outcome> {
        let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
        self.now_us += 1000;
        let done = command::run(self, &args);
        if let (Err(error), Some(spec)) = (&done, args.first().and_then(|name| command::find(name)))
        {
            let code = error.code();
            assert!(spec.errors.contains(&code), "{} does not declare {code:?}", spec.name);
        }
        done
    }
}

impl MemoryHost {
    /// Does what a replica does when a command was run elsewhere: repeats its effects. `args` are
    /// those of the command, and behind them the keys it found.
    pub fn replicate(&mut self, args: &[&[u8]], outcome: &Outcome) -> Result<()> {
        self.replaying = true;
        if let Some(definition) = &outcome.definition {
            command::run(self, &[b"MODEL.INSTALL", definition])?;
        }
        let natives = outcome.natives.as_ref();
        let (before, after) =
            outcome.effects.split_at(natives.map_or(outcome.effects.len(), |ran| ran.after));
        self.repeat_effects(args, before)?;
        if let Some(natives) = natives {
            self.repeat_natives(args, &natives.calls);
        }
        self.repeat_effects(args, after)
    }

    /// Repeats effects that are sent together, as the server's shell sends them.
    fn repeat_effects(&mut self, args: &[&[u8]], effects: &[KeyEffect]) -> Result<()> {
        let (mut keys, mut unit, mut jsons) = (Vec::new(), Vec::new(), Vec::<&[u8]>::new());
        let mut single: &[u8] = &[];
        for key_effect in effects {
            let Sent::Effect(effect, json) = &key_effect.sent else { continue };
            (keys, single) = ([keys, vec![args[key_effect.key_arg]]].concat(), effect);
            effect::put_in_unit(effect, &mut unit);
            jsons.extend(json.as_ref().map(|json| match json {
                JsonText::Arg(arg) => args[*arg],
                JsonText::Made(json) => json,
            }));
        }
        let count = keys.len().to_string();
        let head: &[&[u8]] = match keys.len() {
            0 => &[],
            1 => &[b"MODEL.APPLY"],
            _ => &[b"MODEL.APPLYALL", count.as_bytes()],
        };
        let content = [if keys.len() > 1 { &unit[..] } else { single }];
        if !keys.is_empty() {
            command::run(self, &[head, &keys, &content, &jsons].concat())?;
        }
        let mut repeated = false;
        for effect in effects {
            match effect.sent {
                Sent::Effect(..) => {}
                Sent::Command if repeated => {}
                Sent::Command => {
                    command::run(self, args)?;
                    repeated = true;
                }
                Sent::Unlink => self.unlink(args[effect.key_arg]),
            }
        }
        Ok(())
    }
}

impl MemoryHost {
    /// Runs the commands of natives that ran elsewhere; `args` are those of the transaction.
    fn repeat_natives(&mut self, args: &[&[u8]], calls: &[NativeCall]) {
        for call in calls {
            self.run_native(args[call.key_arg], call);
        }
    }

    fn run_native(&mut self, key: &[u8], call: &NativeCall) -> NativeReply {
        let now_ms = self.now_us / 1000;
        let words: Vec<_> = call.words.iter().collect();
        if call.spec.name == "PEXPIRE" && self.structures.keys.contains_key(key) {
            let ms = crate::native::strict_integer(words[0]).expect("it was checked");
            self.expiries.insert(key.to_vec(), now_ms + ms as u64);
        }
        if matches!(call.spec.name, "SET" | "UNLINK") {
            self.expiries.remove(key);
        }
        let reply = self.structures.run(call.spec.name, key, &words, now_ms);
        if !call.spec.channel && !self.structures.keys.contains_key(key) {
            self.expiries.remove(key);
        }
        reply
    }

    /// Deletes whatever is at a key.
    pub fn unlink(&mut self, key: &[u8]) {
        if let Some(document) = self.documents.remove(key) {
            if let Some(model) = &document.model {
                model.indexes().follow(0, key, None);
            }
            self.engine.remove(At { db: 0, key }, &document.locks);
        }
        self.tokens.remove(key);
        self.structures.keys.remove(key);
        self.expiries.remove(key);
    }

    fn check_type(&self, key: Key<'_>, tokens: bool) -> Result<()> {
        let other = if tokens {
            self.documents.contains_key(key.name)
        } else {
            self.tokens.contains_key(key.name)
        };
        if other || self.structures.keys.contains_key(key.name) {
            return Err(Error::new(ErrorCode::WrongType, "the key holds a value of another type"));
        }
        Ok(())
    }
}

/// A document to be changed. What grew out of its block the last time is given another one first; the
/// server's shell does so right after the change.
fn open(document: &mut Box<Document>) -> &mut Document {
    if !document.is_settled() {
        *document = document.resettle();
    }
    document
}

/// Lends the locks of documents.
struct MemoryStore<'h>(&'h mut HashMap<Vec<u8>, Box<Document>>);

impl Store for MemoryStore<'_> {
    fn locks(&mut self, at: At<'_>) -> Option<&mut Locks> {
        self.0.get_mut(at.key).map(|document| &mut document.locks)
    }
}

impl MemoryHost {
    /// Runs the lock engine. Returns its decisions, for replicas and waiting clients.
    pub fn settle(&mut self) -> Decisions {
        let moment = self.moment();
        self.engine.run_slice(&mut MemoryStore(&mut self.documents), moment)
    }
}

impl command::Host for MemoryHost {
    fn actions(&self) -> &Actions {
        &self.actions
    }

    fn defines_actions(&mut self) -> bool {
        !self.replaying
    }
}

impl Host for MemoryHost {
    fn now_us(&mut self) -> u64 {
        self.now_us
    }

    fn revisions(&self) -> &Revisions {
        &self.revisions
    }

    fn models(&self) -> &Models {
        &self.models
    }

    fn compile(
        &mut self,
        source: &[u8],
        names: AllowedNames,
        limits: &ExprLimits,
        allowance: &Allowance<'_>,
    ) -> Result<Arc<Program>> {
        self.expressions.get(command::expression(source)?, names, limits, allowance)
    }

    fn settings(&self) -> Settings {
        self.settings
    }

    fn replaying(&self) -> bool {
        self.replaying
    }

    fn prefetch(&mut self, keys: &[Key<'_>], access: Access) {
        assert_eq!(listed_twice(keys), None, "the names of the keys differ");
        if let Some(prefetched) = &mut self.prefetched {
            prefetched.extend(keys.iter().map(|key| (key.name.to_vec(), access)));
        }
    }

    fn read(&mut self, key: Key<'_>) -> Result<Option<&Document>> {
        self.check_type(key, false)?;
        Ok(self.documents.get(key.name).map(|document| &**document))
    }

    fn open(&mut self, key: Key<'_>) -> Result<Option<&mut Document>> {
        self.check_type(key, false)?;
        Ok(self.documents.get_mut(key.name).map(open))
    }

    fn open_timed(
        &mut self,
        key: Key<'_>,
        reads_clock: &mut dyn FnMut(Option<&Document>) -> bool,
    ) -> Result<(Option<&mut Document>, Option<u64>)> {
        let now_us = self.now_us();
        let found = self.open(key)?;
        let reads_clock = reads_clock(found.as_deref());
        Ok((found, reads_clock.then_some(now_us)))
    }

    fn open_all_timed(
        &mut self,
        keys: &[Key<'_>],
        reads_clock: &mut dyn FnMut(&[Option<&mut Document>]) -> bool,
    ) -> Result<(Documents<'_>, Option<u64>)> {
        let now_us = self.now_us();
        for key in keys {
            self.check_type(*key, false).map_err(|error| error.text("key", key.name))?;
        }
        let mut found: Documents<'_> = keys.iter().map(|_| None).collect();
        for (name, document) in &mut self.documents {
            if let Some(nth) = keys.iter().position(|key| key.name == name) {
                found[nth] = Some(open(document));
            }
        }
        let reads_clock = reads_clock(&found);
        Ok((found, reads_clock.then_some(now_us)))
    }

    fn open_beside(
        &mut self,
        keys: &[Key<'_>],
        roles: &[KeyRole],
        run: &mut RunBeside<'_>,
    ) -> Result<()> {
        let (mut listed, mut all_ours) = (Vec::new(), HashSet::new());
        for (key, role) in keys.iter().zip(roles) {
            let ours = self.documents.contains_key(key.name) || self.tokens.contains_key(key.name);
            match role {
                KeyRole::Document => {
                    self.check_type(*key, false).map_err(|error| error.text("key", key.name))?;
                }
                KeyRole::Native if ours => {
                    let message = "the key holds a document or a token; documents stand behind ON";
                    return Err(Error::new(ErrorCode::WrongType, message).text("key", key.name));
                }
                KeyRole::Native | KeyRole::Other => {}
            }
            if ours {
                all_ours.insert(key.name.to_vec());
            }
            listed.push((*role != KeyRole::Native).then_some(key.name));
        }
        let mut found: Documents<'_> = keys.iter().map(|_| None).collect();
        for (name, document) in &mut self.documents {
            if let Some(nth) = listed.iter().position(|key| *key == Some(name)) {
                found[nth] = Some(open(document));
            }
        }
        let now_ms = self.now_us / 1000;
        run(found, &StructuresAt { structures: &self.structures, ours: all_ours, now_ms })
    }

    fn run_natives(
        &mut self,
        _: &[KeyEffect],
        keys: &[Key<'_>],
        calls: &[NativeCall],
        each: &mut dyn FnMut(NativeReply),
    ) {
        calls.iter().for_each(|call| each(self.run_native(keys[call.slot].name, call)));
    }

    fn put(&mut self, key: Key<'_>, document: NewDocument, entries: Option<&Entries>) {
        let old = self.documents.insert(key.name.to_vec(), document.settle());
        if let Some(model) = old.and_then(|old| old.model.clone()) {
            model.indexes().follow(0, key.name, None);
        }
        self.follow(key, entries);
    }

    fn remove(&mut self, key: Key<'_>) {
        self.unlink(key.name);
    }

    fn token(&mut self, key: Key<'_>) -> Result<Option<&Token>> {
        self.check_type(key, true)?;
        Ok(self.tokens.get(key.name))
    }

    fn put_token(&mut self, key: Key<'_>, token: Token) {
        self.tokens.insert(key.name.to_vec(), token);
    }

    fn expire(&mut self, key: Key<'_>, expiry: Expiry) -> bool {
        match expiry {
            Expiry::Keep => false,
            Expiry::Persist => self.expiries.remove(key.name).is_some(),
            Expiry::At(unix_ms) => {
                self.expiries.insert(key.name.to_vec(), unix_ms) != Some(unix_ms)
            }
        }
    }

    fn expires_at(&mut self, key: Key<'_>) -> Option<u64> {
        self.expiries.get(key.name).copied()
    }

    fn may_refresh(&mut self) -> bool {
        !self.replaying
    }

    fn scan(&mut self, model: &str, cursor: u64, count: usize) -> Result<(u64, Vec<Vec<u8>>)> {
        let mut keys: Vec<&Vec<u8>> = self.documents.keys().collect();
        keys.sort();
        let met = keys.iter().skip(cursor as usize).take(count);
        let found = met.filter(|key| self.documents[**key].model_name() == model);
        let next = cursor.saturating_add(count as u64);
        let next = if next < keys.len() as u64 { next } else { 0 };
        Ok((next, found.map(|key| (**key).clone()).collect()))
    }

    fn database(&mut self) -> i32 {
        0
    }

    fn index_scope(&mut self) -> IndexScope {
        IndexScope { database: 0, clustered: self.clustered }
    }

    fn look(&mut self, name: &[u8]) -> Option<&Document> {
        self.documents.get(name).map(|document| &**document)
    }

    fn has_expired(&mut self, name: &[u8]) -> bool {
        self.expired.contains(name)
    }

    fn may_look(&mut self, name: &[u8]) -> bool {
        !self.forbidden.contains(name)
    }

    fn has_document(&mut self, name: &[u8], model: &str) -> bool {
        self.documents.get(name).is_some_and(|document| document.model_name() == model)
    }

    fn has_whole_slot(&mut self, _: &[u8]) -> bool {
        true
    }

    fn may_change(&mut self, name: &[u8]) -> bool {
        self.may_look(name) && !self.protected.contains(name)
    }

    fn name_keys(&mut self, _: usize, names: &[&[u8]]) {
        self.named = names.iter().map(|name| name.to_vec()).collect();
    }

    fn follow(&mut self, key: Key<'_>, entries: Option<&Entries>) {
        let Some(document) = self.documents.get(key.name) else { return };
        if let Some(model) = &document.model {
            model.indexes().follow_change(0, key.name, document.root.view(), entries);
        }
    }

    fn records_changes(&mut self) -> bool {
        !self.replaying
    }

    /// The streams of changes are not kept: outcomes have the entries.
    fn check_stream(&mut self, model: &str, _: &[u8]) -> Result<()> {
        match self.structures.keys.contains_key(&stream::name(model)) {
            true => {
                let message = "the key of the change stream holds a value of another type";
                Err(Error::new(ErrorCode::WrongType, message))
            }
            false => Ok(()),
        }
    }

    fn stream_position(&mut self, _: &str, _: Option<&[u8]>) -> Option<u64> {
        None
    }

    fn note_conflict(&mut self, _: Option<Vec<u8>>) {}

    fn client(&mut self) -> u64 {
        1
    }

    fn may_wait(&mut self) -> bool {
        !self.serving
    }

    fn only_document(&mut self) -> Option<Vec<u8>> {
        self.only_document.clone()
    }

    fn claim_line(&mut self, model: &str) -> ClaimLineState {
        ClaimLineState {
            waiting: self.claims.len(),
            is_busy: self.claims_noted || self.claims.is_busy(0, model),
        }
    }

    fn moment(&mut self) -> Moment {
        Moment { steady_ms: self.now_us / 1000, unix_ms: self.now_us / 1000, since_ms: 0 }
    }

    fn with_locks(&mut self, run: &mut WithLocks<'_>) {
        let moment = self.moment();
        run(&mut self.engine, &mut MemoryStore(&mut self.documents), moment);
    }

    fn take_journal(&mut self) -> Box<Journal> {
        self.journals.pop().unwrap_or_default()
    }

    fn keep_journal(&mut self, mut journal: Box<Journal>) {
        journal.clear();
        self.journals.push(journal);
    }
}
