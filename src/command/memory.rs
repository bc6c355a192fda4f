//! A host in memory: for tests, examples and the simulator.

use std::collections::HashMap;
use std::sync::Arc;

use super::host::{Host, JsonText, Key, Outcome, Settings};
use crate::codec::effect::Expiry;
use crate::document::{Document, Revisions};
use crate::error::Result;
use crate::expr::cache::Cache;
use crate::expr::{ExprLimits, Names, Program};
use crate::model::Models;
use crate::value::edit::Journal;

/// Keys in a map and a clock that is set by hand.
pub struct MemoryHost {
    pub documents: HashMap<Vec<u8>, Document>,
    /// When keys expire, in unix milliseconds. Nothing expires by itself.
    pub expiries: HashMap<Vec<u8>, u64>,
    pub now_us: u64,
    pub revisions: Revisions,
    pub models: Models,
    pub expressions: Cache,
    pub settings: Settings,
    pub replaying: bool,
}

impl Default for MemoryHost {
    fn default() -> MemoryHost {
        MemoryHost {
            documents: HashMap::new(),
            expiries: HashMap::new(),
            now_us: 1_700_000_000_000_000,
            revisions: Revisions::new(),
            models: Models::new(),
            expressions: Cache::new(64, 1 << 20),
            settings: Settings::DEFAULT,
            replaying: false,
        }
    }
}

impl MemoryHost {
    /// Runs one command; the clock moves on by a millisecond.
    pub fn call(&mut self, args: &[&str]) -> Result<Outcome> {
        let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
        self.now_us += 1000;
        super::run(self, &args)
    }
}

impl MemoryHost {
    /// Does what a replica does when a command was run elsewhere: repeats its effects. `args` are
    /// those of the command.
    pub fn replicate(&mut self, args: &[&[u8]], outcome: &Outcome) -> Result<()> {
        self.replaying = true;
        if let Some(definition) = &outcome.definition {
            super::run(self, &[b"MODEL.INSTALL", definition])?;
        }
        for effect in &outcome.effects {
            let Some(bytes) = &effect.effect else {
                super::run(self, args)?;
                continue;
            };
            let mut apply: Vec<&[u8]> = vec![b"MODEL.APPLY", args[effect.key_arg], bytes];
            match &effect.json {
                Some(JsonText::Arg(arg)) => apply.push(args[*arg]),
                Some(JsonText::Made(json)) => apply.push(json),
                None => {}
            }
            super::run(self, &apply)?;
        }
        Ok(())
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
        names: Names,
        limits: &ExprLimits,
    ) -> Result<Arc<Program>> {
        self.expressions.get(super::args::expression(source)?, names, limits)
    }

    fn settings(&self) -> Settings {
        self.settings
    }

    fn replaying(&self) -> bool {
        self.replaying
    }

    fn read(&mut self, key: Key<'_>) -> Result<Option<&Document>> {
        Ok(self.documents.get(key.name))
    }

    fn open(&mut self, key: Key<'_>) -> Result<Option<&mut Document>> {
        Ok(self.documents.get_mut(key.name))
    }

    fn put(&mut self, key: Key<'_>, document: Document) {
        self.documents.insert(key.name.to_vec(), document);
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

    fn take_journal(&mut self) -> Journal {
        Journal::default()
    }

    fn keep_journal(&mut self, _: Journal) {}
}
