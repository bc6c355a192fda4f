//! The state machine of lock requests: its state, its inputs and its outputs.
//!
//! `asking` decides a new request and `serve` the next one of a queue; `grants` holds the operations on a grant, `events`
//! those on documents, connections and clocks. All of them change locks through `changes` and queues through `waiting`;
//! `slices` bounds the work that is done at once.

mod asking;
mod changes;
mod events;
mod grants;
mod serve;
mod slices;
mod waiting;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use smallvec::SmallVec;

use super::fence::Fences;
use super::lease::Leases;
use super::queue::{Queues, WaiterId};
use super::state::{LockEdit, Locks, Mode};
use super::{At, DocumentKey};
use crate::error::{Error, ErrorCode};
use slices::Ended;
pub use slices::SLICE;

/// Lends the locks of documents, and knows the clients that wait for them.
pub trait Store {
    /// The locks of the document at a key; `None` where there is no document.
    fn locks(&mut self, at: At<'_>) -> Option<&mut Locks>;

    /// Flag: the client of a waiting request still has the permission to lock these documents. Asked just before
    /// the request is granted.
    fn permits(&mut self, _waiter: WaiterId, _documents: &[DocumentKey]) -> bool {
        true
    }
}

/// A request for the lock of one name, on one document or several at once.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Distinct documents.
    pub documents: &'a [At<'a>],
    pub name: &'a [u8],
    pub owner: &'a [u8],
    pub mode: Mode,
    pub lease_ms: u64,
    /// For `EPHEMERAL`: the connection with which the grants end, 0 if it is unknown.
    pub ephemeral: Option<u64>,
    /// Flag: the request may wait.
    pub waits: bool,
}

/// The part of a grant that its client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    pub fence: u64,
    /// The rest of the lease.
    pub lease_ms: u64,
}

/// A grant as a client names it.
#[derive(Clone, Copy, Debug)]
pub struct GrantRef<'a> {
    pub name: &'a [u8],
    pub owner: &'a [u8],
    pub fence: u64,
}

/// The result of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// One grant for each document.
    Granted(SmallVec<[Grant; 1]>),
    /// The request waits; a [`Wake`] brings its result.
    Waits(WaiterId),
    /// Holders or earlier requests are in the way, and the request may not wait.
    Busy,
}

/// The result of a request that has waited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wake {
    pub waiter: WaiterId,
    pub woken: Woken,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Woken {
    /// The documents it asked for, and a grant for each.
    Granted(SmallVec<[DocumentKey; 1]>, SmallVec<[Grant; 1]>),
    /// This document was deleted, renamed or moved.
    Gone(DocumentKey),
    /// The permission to lock one of the documents was withdrawn while the request waited.
    Forbidden,
    /// The request became part of a deadlock cycle while it waited: another owner was granted a lock it wants, its own
    /// lost one it wanted to upgrade, or databases were swapped.
    Deadlock,
}

/// Decisions that replicas and waiting clients are to be told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decisions {
    /// Edits of locks, in order.
    pub changes: SmallVec<[(DocumentKey, LockEdit); 1]>,
    pub wakes: Vec<Wake>,
}

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub grants: u64,
    /// Leases that expired before their holder released the lock.
    pub expired: u64,
    pub deadlocks: u64,
    /// Holders and requests that were visited in search of deadlock cycles.
    pub steps: u64,
    /// The work of slices, see [`SLICE`].
    pub work: u64,
}

/// The waiting requests of one server, and what it keeps of leases and connections.
pub struct Engine {
    pub(super) queues: HashMap<i32, HashMap<Arc<[u8]>, Queues>>,
    pub(super) waiters: BTreeMap<WaiterId, Waiter>,
    /// The waiting requests of each owner.
    pub(super) by_owner: HashMap<Arc<[u8]>, SmallVec<[WaiterId; 1]>>,
    /// The number of queues that know each owner as a holder, so that a request may be waiting for it.
    pub(super) awaited: HashMap<Arc<[u8]>, u32>,
    last_waiter: WaiterId,
    leases: Leases,
    /// The grants that end with each connection.
    ephemerals: HashMap<u64, Ephemerals>,
    /// Those that are to be ended: their connections have closed, or are from before this server became the master.
    ending: BTreeMap<u64, Ephemerals>,
    /// Connections that have closed while their grants are to be ended, or documents to be taken over: such a document may
    /// have a grant of one.
    closed: HashSet<u64>,
    /// Documents that came with their locks, and are still to be taken over.
    arrived: Vec<DocumentKey>,
    /// Requests that have ended, and are still to be taken out of their queues.
    ended: Vec<Ended>,
    /// Documents with waiting requests whose locks have changed; each once, which its queues record.
    pending: Vec<DocumentKey>,
    /// The work of one slice, and what is left of the current one.
    slice: usize,
    left: usize,
    suspects: Suspects,
    /// Requests that wait although it is not known yet if they close a cycle.
    undecided: Vec<WaiterId>,
    decisions: Decisions,
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
            ending: BTreeMap::new(),
            closed: HashSet::new(),
            arrived: Vec::new(),
            ended: Vec::new(),
            pending: Vec::new(),
            slice: SLICE,
            left: SLICE,
            suspects: Suspects::default(),
            undecided: Vec::new(),
            decisions: Decisions::default(),
            fences: Fences::default(),
            counters: Counters::default(),
        }
    }
}

/// The documents of the ephemeral grants of one connection, by fence.
type Ephemerals = BTreeMap<u64, DocumentKey>;

/// The owners through whom a deadlock cycle may have arisen since its requests began to wait.
#[derive(Default)]
enum Suspects {
    #[default]
    None,
    One(Arc<[u8]>),
    /// Several owners, or locks that came from elsewhere.
    Any,
}

impl Suspects {
    fn add(&mut self, owner: &Arc<[u8]>) {
        match self {
            Suspects::None => *self = Suspects::One(owner.clone()),
            Suspects::One(known) if known == owner => {}
            Suspects::One(_) | Suspects::Any => *self = Suspects::Any,
        }
    }
}

/// A waiting request.
pub(super) struct Waiter {
    pub documents: SmallVec<[DocumentKey; 1]>,
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

    /// The number of waiting requests.
    pub fn waiting(&self) -> usize {
        self.waiters.len()
    }

    /// The number of grants, of all documents.
    pub fn held(&self) -> usize {
        self.leases.held()
    }

    /// The number of documents that are watched for leases that end.
    pub fn watched(&self) -> usize {
        self.leases.len()
    }

    /// Flag: no request waits and no lock is held.
    pub fn is_idle(&self) -> bool {
        let empty = self.waiters.is_empty() && self.by_owner.is_empty() && self.awaited.is_empty();
        let quiet = self.leases.len() == 0 && self.ephemerals.is_empty();
        empty && quiet && self.queues.is_empty() && !self.has_pending()
    }

    /// The number of waiting requests for a lock.
    pub fn waiters_of(&self, at: At<'_>, name: &[u8]) -> usize {
        let queue = self.queues_of(at).and_then(|queues| queues.find(name));
        queue.map_or(0, |queue| match self.ended.is_empty() {
            true => queue.all.len(),
            false => self.live(queue).count(),
        })
    }

    /// The names of a document's locks that have waiting requests.
    pub fn names_awaited(&self, at: At<'_>) -> Vec<Arc<[u8]>> {
        let Some(queues) = self.queues_of(at) else { return Vec::new() };
        let awaited = queues.all().filter(|queue| self.live(queue).next().is_some());
        awaited.map(|queue| queue.name.clone()).collect()
    }

    /// When the next lease ends, on the steady clock.
    pub fn next_end(&self) -> Option<u64> {
        self.leases.first()
    }

    /// Flag: something was decided that [`Engine::run_slice`] has not returned yet.
    #[inline]
    pub fn has_decided(&self) -> bool {
        !(self.decisions.changes.is_empty() && self.decisions.wakes.is_empty())
    }
}

/// The refusal of a request that would close a deadlock cycle.
#[cold]
pub fn deadlock() -> Error {
    Error::new(ErrorCode::Deadlock, "owners would wait for each other for ever")
}

/// The refusal where a lock is not, or no longer, held by a grant.
#[cold]
pub fn lost(key: &[u8], grant: &GrantRef<'_>) -> Error {
    Error::new(ErrorCode::LockLost, "the lock is not held by this grant")
        .text("key", key)
        .text("name", grant.name)
        .text("owner", grant.owner)
        .integer("fence", grant.fence as i64)
}
