//! A host in memory, for tests of commands without a server.
//!
//! Nothing of the module uses it; it is public because integration tests are crates of their own.

use std::collections::HashMap;
use std::sync::Arc;

use crate::budget::Allowance;
use crate::command::{self, Documents, Host, JsonText, Key, Outcome, Sent, Settings, WithLocks};
use crate::document::{Document, NewDocument, Revisions};
use crate::error::{Error, ErrorCode, Result};
use crate::expiry::Expiry;
use crate::expr::cache::Cache;
use crate::expr::{AllowedNames, ExprLimits, Program};
use crate::lock::{At, Decisions, Engine, Locks, Moment, Store};
use crate::model::Models;
use crate::token::Token;
use crate::value::edit::Journal;

/// Keys in a map and a clock that is set by hand.
pub struct MemoryHost {
    pub documents: HashMap<Vec<u8>, Box<Document>>,
    pub tokens: HashMap<Vec<u8>, Token>,
    /// The expiries of keys, in unix milliseconds. No key expires by itself.
    pub expiries: HashMap<Vec<u8>, u64>,
    pub now_us: u64,
    pub revisions: Revisions,
    pub models: Models,
    pub expressions: Cache,
    pub settings: Settings,
    pub replaying: bool,
    /// The lock engine. A test runs it with [`MemoryHost::settle`].
    pub engine: Engine,
    /// Journals of earlier commands, for their buffers. In boxes, as the server's shell keeps them.
    pub journals: Vec<Box<Journal>>,
}

impl Default for MemoryHost {
    fn default() -> MemoryHost {
        MemoryHost {
            documents: HashMap::new(),
            tokens: HashMap::new(),
            expiries: HashMap::new(),
            now_us: 1_700_000_000_000_000,
            revisions: Revisions::new(),
            models: Models::new(),
            expressions: Cache::new(64, 1 << 20),
            settings: Settings::DEFAULT,
            replaying: false,
            engine: Engine::default(),
            journals: Vec::new(),
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
    /// those of the command.
    pub fn replicate(&mut self, args: &[&[u8]], outcome: &Outcome) -> Result<()> {
        self.replaying = true;
        if let Some(definition) = &outcome.definition {
            command::run(self, &[b"MODEL.INSTALL", definition])?;
        }
        let mut repeated = false;
        for effect in &outcome.effects {
            let key = args[effect.key_arg];
            match &effect.sent {
                Sent::Command if repeated => {}
                Sent::Command => {
                    command::run(self, args)?;
                    repeated = true;
                }
                Sent::Effect(effect, json) => {
                    let mut apply: Vec<&[u8]> = vec![b"MODEL.APPLY", key, effect];
                    match json {
                        Some(JsonText::Arg(arg)) => apply.push(args[*arg]),
                        Some(JsonText::Made(json)) => apply.push(json),
                        None => {}
                    }
                    command::run(self, &apply)?;
                }
                Sent::Unlink => self.unlink(key),
            }
        }
        Ok(())
    }
}

impl MemoryHost {
    /// Deletes whatever is at a key.
    pub fn unlink(&mut self, key: &[u8]) {
        if let Some(document) = self.documents.remove(key) {
            self.engine.remove(At { db: 0, key }, &document.locks);
        }
        self.tokens.remove(key);
        self.expiries.remove(key);
    }

    fn check_type(&self, key: Key<'_>, tokens: bool) -> Result<()> {
        let other = if tokens {
            self.documents.contains_key(key.name)
        } else {
            self.tokens.contains_key(key.name)
        };
        if other {
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

    fn open_all(&mut self, keys: &[Key<'_>]) -> Result<Documents<'_>> {
        for key in keys {
            self.check_type(*key, false).map_err(|error| error.text("key", key.name))?;
        }
        let mut found: Documents<'_> = keys.iter().map(|_| None).collect();
        for (name, document) in &mut self.documents {
            if let Some(nth) = keys.iter().position(|key| key.name == name) {
                found[nth] = Some(open(document));
            }
        }
        Ok(found)
    }

    fn put(&mut self, key: Key<'_>, document: NewDocument) {
        self.documents.insert(key.name.to_vec(), document.settle());
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

    fn scan(&mut self, model: &str, cursor: u64, count: usize) -> (u64, Vec<Vec<u8>>) {
        let mut keys: Vec<&Vec<u8>> = self.documents.keys().collect();
        keys.sort();
        let met = keys.iter().skip(cursor as usize).take(count);
        let found = met.filter(|key| self.documents[**key].model_name() == model);
        let next = cursor + count as u64;
        let next = if next < keys.len() as u64 { next } else { 0 };
        (next, found.map(|key| (**key).clone()).collect())
    }

    fn database(&mut self) -> i32 {
        0
    }

    fn client(&mut self) -> u64 {
        1
    }

    fn may_wait(&mut self) -> bool {
        true
    }

    fn moment(&mut self) -> Moment {
        Moment { steady_ms: self.now_us / 1000, unix_ms: self.now_us / 1000 }
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
