//! How the nodes of a cluster come to hold the same definitions, as a state machine without clock and network.
//!
//! A definition is sent to all other nodes when it is made. Messages can be lost, and a node can be away. So
//! every node tells the others from time to time what it holds, as one number ([`Message::Summary`]). One that hears
//! another number than its own sends an outline: names, versions and hashes, some of them in each message
//! ([`Message::Outline`]). Who reads it sends what the other lacks ([`Message::Definition`]). Messages go to all nodes,
//! because not every server can address a single one.
//!
//! What a node does for others is bounded: a summary is kept up to date by the registry and costs
//! nothing, an outline takes time in its length, and definitions are sent in pieces of [`PIECE_BYTES`].

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use super::entry::{ModelEntry, OutlineItem};
use super::registry::Models;
use crate::error::Error;

/// How often nodes tell each other what they hold.
pub const SUMMARY_EVERY_MS: u32 = 2000;
/// How often they send a piece, while there is more to send.
const PIECE_EVERY_MS: u32 = 100;
/// The bytes of definitions after which a piece is complete.
pub const PIECE_BYTES: usize = 256 << 10;
/// The most items of one outline.
pub const OUTLINE_ITEMS: usize = 1000;

/// What a node tells all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// One number for all it holds.
    Summary(u64),
    Outline(ModelsOutline),
    Definition(ModelEntry),
}

/// What a node holds of all names behind `after`, up to `last` and with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelsOutline {
    pub after: Box<str>,
    /// None: to the end.
    pub last: Option<Box<str>>,
    /// In the order of names.
    pub items: Vec<OutlineItem>,
}

/// A definition that another node sent and that is in force now.
#[derive(Debug)]
pub struct Learned {
    /// What was put in force, to be replicated.
    pub entry: ModelEntry,
    /// Flag: it is not what was sent, so that the others have to hear of it.
    pub resolved: bool,
    /// Why its documents cannot be written here.
    pub unusable: Option<Error>,
}

/// The part of one node.
#[derive(Debug, Default)]
pub struct Exchange {
    /// Flag: another node was heard to hold something else since the last summary.
    differs: bool,
    /// Behind which name the outline goes on, while it is being sent.
    outline: Option<Box<str>>,
    /// The names whose definitions are to be sent.
    wanted: BTreeSet<Box<str>>,
    until_summary_ms: u32,
}

impl Exchange {
    pub const fn new() -> Exchange {
        Exchange { differs: false, outline: None, wanted: BTreeSet::new(), until_summary_ms: 0 }
    }

    /// The messages to send now, and in how many milliseconds to ask again.
    pub fn tick(&mut self, models: &Models) -> (Vec<Message>, u32) {
        let mut messages = Vec::new();
        if self.until_summary_ms == 0 {
            self.until_summary_ms = SUMMARY_EVERY_MS;
            messages.push(Message::Summary(models.summary()));
            if std::mem::take(&mut self.differs) && self.outline.is_none() {
                self.outline = Some("".into());
            }
        }
        messages.extend(self.next_outline(models).map(Message::Outline));
        messages.extend(self.next_definitions(models).into_iter().map(Message::Definition));
        let idle = self.outline.is_none() && self.wanted.is_empty();
        let wait = if idle { self.until_summary_ms } else { PIECE_EVERY_MS };
        self.until_summary_ms -= wait.min(self.until_summary_ms);
        (messages, wait)
    }

    fn next_outline(&mut self, models: &Models) -> Option<ModelsOutline> {
        let after = self.outline.take()?;
        let items = models.items(&after, OUTLINE_ITEMS);
        let last = items.last().filter(|_| items.len() == OUTLINE_ITEMS);
        let last = last.map(|item| item.name.clone());
        self.outline = last.clone();
        Some(ModelsOutline { after, last, items })
    }

    fn next_definitions(&mut self, models: &Models) -> Vec<ModelEntry> {
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while bytes < PIECE_BYTES {
            let Some(name) = self.wanted.pop_first() else { break };
            if let Some(entry) = models.entry(&name) {
                bytes += entry.bytes();
                entries.push(entry);
            }
        }
        entries
    }

    pub fn hear_summary(&mut self, models: &Models, summary: u64) {
        self.differs |= summary != models.summary();
    }

    /// Notes to send what the other node lacks: what it does not have, or has of an earlier version, or of
    /// the same version with another content.
    pub fn hear_outline(&mut self, models: &Models, heard: &ModelsOutline) {
        let mut theirs = heard.items.iter().peekable();
        for own in models.items(&heard.after, usize::MAX) {
            if heard.last.as_ref().is_some_and(|last| own.name > *last) {
                break;
            }
            while theirs.next_if(|item| item.name < own.name).is_some() {}
            let known = theirs.next_if(|item| item.name == own.name);
            let has = known.is_some_and(|item| {
                item.version > own.version || (item.version, item.hash) == (own.version, own.hash)
            });
            if !has {
                self.wanted.insert(own.name);
            }
        }
    }

    /// Returns true for a definition that is news; see [`learn`]. All nodes hear it: who has the same need not
    /// send it, too.
    pub fn hear_definition(&mut self, models: &Models, heard: &ModelEntry) -> bool {
        if models.is_news(heard) {
            return true;
        }
        if models.version_of(&heard.name) == heard.version {
            self.wanted.remove(&heard.name);
        }
        false
    }
}

/// Takes over a definition, if it is news.
pub fn learn(models: &Models, heard: ModelEntry) -> Option<Learned> {
    if !models.is_news(&heard) {
        return None;
    }
    let version = heard.version;
    let entry = models.resolve(heard.clone());
    let unusable = models.install(&entry).err();
    Some(Learned {
        resolved: entry.version != version || entry.source != heard.source,
        entry,
        unusable,
    })
}
