//! The exchange of definitions between the nodes of a cluster: a state machine without clock and network. Models and
//! actions have one each.
//!
//! A new definition is sent to all other nodes. Messages can be lost, and a node can be disconnected. So every node
//! periodically sends a hash of all its entries ([`Message::Summary`]). A node that receives a different hash sends an
//! outline: names, versions and hashes, in several messages ([`Message::Outline`]). A node that receives an outline
//! sends the definitions that are missing in it ([`Message::Definition`]). Messages go to all nodes, because not every
//! server can address a single one.
//!
//! The work of a node is bounded: the registry keeps the summary up to date, an outline takes time linear in its
//! length, and definitions are sent in pieces of [`PIECE_BYTES`].

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use super::entry::{Entry, OutlineItem, Source};
use super::registry::Registry;
use super::source::DefinitionSource;
use crate::error::Error;

/// The interval of summaries.
pub const SUMMARY_EVERY_MS: u32 = 2000;
/// The interval of pieces, while there is more to send.
const PIECE_EVERY_MS: u32 = 100;
/// The bytes of definitions after which a piece is complete.
pub const PIECE_BYTES: usize = 256 << 10;
/// The most items of one outline.
pub const OUTLINE_ITEMS: usize = 1000;

/// A message from a node to all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<S = DefinitionSource> {
    /// The sum of the hashes of all entries of the node.
    Summary(u64),
    Outline(Outline),
    Definition(Entry<S>),
}

/// The entries of a node with names after `after`, up to `last` inclusive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    pub after: Box<str>,
    /// None: up to the last name.
    pub last: Option<Box<str>>,
    /// In the order of names.
    pub items: Vec<OutlineItem>,
}

/// A definition that another node sent and that is in force now.
#[derive(Debug)]
pub struct Learned<S = DefinitionSource> {
    /// The entry that was put in force, to be replicated.
    pub entry: Entry<S>,
    /// Flag: it differs from the entry that was sent, so that the other nodes have to be sent it.
    pub resolved: bool,
    /// The reason why it cannot be used here.
    pub unusable: Option<Error>,
}

/// The state of one node.
#[derive(Debug, Default)]
pub struct Exchange {
    /// Flag: a different summary was received since the last one was sent.
    differs: bool,
    /// The name after which the outline continues, while it is being sent.
    outline: Option<Box<str>>,
    /// The names whose definitions have to be sent.
    wanted: BTreeSet<Box<str>>,
    until_summary_ms: u32,
}

impl Exchange {
    pub const fn new() -> Exchange {
        Exchange { differs: false, outline: None, wanted: BTreeSet::new(), until_summary_ms: 0 }
    }

    /// The messages to send now, and the number of milliseconds until the next call.
    pub fn tick<S: Source>(&mut self, models: &Registry<S>) -> (Vec<Message<S>>, u32) {
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

    fn next_outline<S: Source>(&mut self, models: &Registry<S>) -> Option<Outline> {
        let after = self.outline.take()?;
        let items = models.items(&after, OUTLINE_ITEMS);
        let last = items.last().filter(|_| items.len() == OUTLINE_ITEMS);
        let last = last.map(|item| item.name.clone());
        self.outline = last.clone();
        Some(Outline { after, last, items })
    }

    fn next_definitions<S: Source>(&mut self, models: &Registry<S>) -> Vec<Entry<S>> {
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

    pub fn receive_summary<S: Source>(&mut self, models: &Registry<S>, summary: u64) {
        self.differs |= summary != models.summary();
    }

    /// Schedules the entries that the other node does not have, or has with an earlier version, or with the same
    /// version and another hash.
    pub fn receive_outline<S: Source>(&mut self, models: &Registry<S>, received: &Outline) {
        let mut theirs = received.items.iter().peekable();
        for own in models.items(&received.after, usize::MAX) {
            if received.last.as_ref().is_some_and(|last| own.name > *last) {
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

    /// Returns true for a definition that wins over the one here; see [`learn`]. All nodes receive it: a node with the
    /// same definition need not send it any more.
    pub fn receive_definition<S: Source>(
        &mut self,
        models: &Registry<S>,
        received: &Entry<S>,
    ) -> bool {
        if models.is_superseded_by(received) {
            return true;
        }
        if models.version_of(&received.name) == received.version {
            self.wanted.remove(&received.name);
        }
        false
    }
}

/// Puts a definition in force, if it wins over the one here.
pub fn learn<S: Source>(models: &Registry<S>, received: Entry<S>) -> Option<Learned<S>> {
    if !models.is_superseded_by(&received) {
        return None;
    }
    let version = received.version;
    let entry = models.resolve(received.clone());
    let unusable = models.install(&entry).err();
    Some(Learned {
        resolved: entry.version != version || entry.source != received.source,
        entry,
        unusable,
    })
}
