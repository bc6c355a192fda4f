//! The state machine: who asks, who is granted, who waits. Here is what it knows, and what it is asked and
//! answers.
//!
//! A request is decided in `asking`, who is next in `serve`; what holders do with their grants is in `grants`,
//! what happens to documents, connections and clocks in `events`. All of them change locks through `changes`,
//! and queues through `waiting`.

mod asking;
mod changes;
mod events;
mod grants;
mod serve;
mod slices;
mod waiting;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use smallvec::SmallVec;

use super::fence::Fences;
use super::held::{LockEdit, Locks, Mode};
use super::lease::Leases;
use super::queue::{Queues, WaiterId};
use super::{At, Place};
use crate::error::{Error, ErrorCode};
use slices::Ended;
pub use slices::SLICE;

/// Lends the locks of documents, and knows the clients that wait for them.
pub trait Store {
    /// The locks of the document at a key; `None` where there is no document.
    fn locks(&mut self, at: At<'_>) -> Option<&mut Locks>;

    /// Flag: the client of a waiting request still has the permission to lock these documents. Asked just before
    /// the request is granted.
    fn permits(&mut self, _waiter: WaiterId, _documents: &[Place]) -> bool {
        true
    }
}

/// A request for the lock of one name, on one document or several at once.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Different ones.
    pub documents: &'a [At<'a>],
    pub name: &'a [u8],
    pub owner: &'a [u8],
    pub mode: Mode,
    pub lease_ms: u64,
    /// The grants end with this connection; 0 for one that is not known.
    pub ephemeral: Option<u64>,
    /// Whether it may wait.
    pub waits: bool,
}

/// What a grant gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    pub fence: u64,
    /// What is left of the lease.
    pub lease_ms: u64,
}

/// A grant as its holder knows it.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    pub name: &'a [u8],
    pub owner: &'a [u8],
    pub fence: u64,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// One grant for each document.
    Granted(SmallVec<[Grant; 1]>),
    /// It is told by a [`Wake`].
    Waits(WaiterId),
    /// Others hold it or came before.
    Busy,
}

/// A waiter whose waiting is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wake {
    pub waiter: WaiterId,
    pub woken: Woken,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Woken {
    /// The documents it asked for, and a grant for each.
    Granted(SmallVec<[Place; 1]>, SmallVec<[Grant; 1]>),
    /// This document is gone.
    Gone(Place),
    /// The permission to lock one of the documents was withdrawn while the request waited.
    Forbidden,
    /// It waits in a circle that was not there when it began: another owner came to hold what it wants, its
    /// own lost what it wanted more of, or databases were swapped.
    Deadlock,
}

/// What has to be told to others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settled {
    /// In order.
    pub changes: SmallVec<[(Place, LockEdit); 1]>,
    pub wakes: Vec<Wake>,
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub grants: u64,
    /// Leases that were over before their holder released the lock.
    pub expired: u64,
    pub deadlocks: u64,
    /// Holders and requests that were looked at in search of circles.
    pub steps: u64,
    /// The work of slices, see [`SLICE`].
    pub work: u64,
}

/// The waiting of one server.
pub struct Engine {
    pub(super) queues: HashMap<i32, HashMap<Arc<[u8]>, Queues>>,
    pub(super) waiters: BTreeMap<WaiterId, Waiter>,
    /// The requests of each owner who waits.
    pub(super) by_owner: HashMap<Arc<[u8]>, SmallVec<[WaiterId; 1]>>,
    /// In how many queues each owner is known as a holder: whom somebody may be waiting for.
    pub(super) awaited: HashMap<Arc<[u8]>, u32>,
    last_waiter: WaiterId,
    leases: Leases,
    /// The grants that end with each connection.
    ephemerals: HashMap<u64, Ephemerals>,
    /// Connections that have closed, and whose grants are still to be ended.
    closed: Vec<u64>,
    /// Requests that have ended, and are still to be taken out of their queues.
    ended: Vec<Ended>,
    /// Documents with waiters where something has changed: each once, as its queues know.
    unsettled: Vec<Place>,
    /// The work of one slice, and what is left of the current one.
    slice: usize,
    left: usize,
    suspects: Suspects,
    settled: Settled,
    fences: Fences,
    counters: Counters,
}

impl Default for Engine {
    fn default() -> Engine {
        Engine {
            queues: HashMap::new(),
            waiters: BTreeMap::new(),
            by_owner: HashMap::new(),
            awaited: HashMap::new(),
            last_waiter: 0,
            leases: Leases::default(),
            ephemerals: HashMap::new(),
            closed: Vec::new(),
            ended: Vec::new(),
            unsettled: Vec::new(),
            slice: SLICE,
            left: SLICE,
            suspects: Suspects::default(),
            settled: Settled::default(),
            fences: Fences::default(),
            counters: Counters::default(),
        }
    }
}

/// The ephemeral grants of one connection.
#[derive(Default)]
struct Ephemerals {
    /// By fence: where.
    held: BTreeMap<u64, Place>,
    /// The connection has closed.
    closed: bool,
}

/// Through whom a circle may go that was not there when its requests began to wait.
#[derive(Default)]
enum Suspects {
    #[default]
    Nobody,
    One(Arc<[u8]>),
    /// Holders came from elsewhere to where somebody waits, or it is about several.
    Anybody,
}

impl Suspects {
    fn add(&mut self, owner: &Arc<[u8]>) {
        match self {
            Suspects::Nobody => *self = Suspects::One(owner.clone()),
            Suspects::One(known) if known == owner => {}
            Suspects::One(_) | Suspects::Anybody => *self = Suspects::Anybody,
        }
    }
}

/// A request that waits.
pub(super) struct Waiter {
    pub places: SmallVec<[Place; 1]>,
    pub name: Arc<[u8]>,
    pub owner: Arc<[u8]>,
    pub mode: Mode,
    pub lease_ms: u64,
    pub ephemeral: Option<u64>,
}

impl Engine {
    pub fn counters(&self) -> Counters {
        self.counters
    }

    pub fn fences(&mut self) -> &mut Fences {
        &mut self.fences
    }

    /// How many requests wait.
    pub fn waiting(&self) -> usize {
        self.waiters.len()
    }

    /// How many grants there are, of all documents.
    pub fn held(&self) -> usize {
        self.leases.held()
    }

    /// How many documents are watched for leases that end.
    pub fn watched(&self) -> usize {
        self.leases.len()
    }

    /// Whether nothing is kept: nobody waits, and nothing is held.
    pub fn is_idle(&self) -> bool {
        let empty = self.waiters.is_empty() && self.by_owner.is_empty() && self.awaited.is_empty();
        let quiet = self.leases.len() == 0 && self.ephemerals.is_empty();
        empty && quiet && self.queues.is_empty() && !self.has_pending()
    }

    /// How many requests wait for a lock.
    pub fn waiters_of(&self, at: At<'_>, name: &[u8]) -> usize {
        let queue = self.queues_of(at).and_then(|queues| queues.find(name));
        queue.map_or(0, |queue| match self.ended.is_empty() {
            true => queue.all.len(),
            false => self.live(queue).count(),
        })
    }

    /// The names that requests wait for on a document.
    pub fn names_awaited(&self, at: At<'_>) -> Vec<Arc<[u8]>> {
        let Some(queues) = self.queues_of(at) else { return Vec::new() };
        let awaited = queues.all().filter(|queue| self.live(queue).next().is_some());
        awaited.map(|queue| queue.name.clone()).collect()
    }

    /// When the next lease ends, on the steady clock.
    pub fn next_end(&self) -> Option<u64> {
        self.leases.first()
    }

    /// Flag: something was decided that [`Engine::settle`] has not returned yet.
    #[inline]
    pub fn has_decided(&self) -> bool {
        !(self.settled.changes.is_empty() && self.settled.wakes.is_empty())
    }
}

/// The refusal where waiting would never end.
#[cold]
pub fn deadlock() -> Error {
    Error::new(ErrorCode::Deadlock, "owners would wait for each other for ever")
}

/// The refusal where a lock is not held by a grant.
#[cold]
pub fn lost(key: &[u8], grant: &Held<'_>) -> Error {
    Error::new(ErrorCode::LockLost, "the lock is not held by this grant")
        .text("key", key)
        .text("name", grant.name)
        .text("owner", grant.owner)
        .integer("fence", grant.fence as i64)
}
