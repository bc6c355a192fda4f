//! One run of the simulation: a server, its clients, and the expectations about both.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use redis_model::error::ErrorCode;
use redis_model::lock::{
    Answer, Ask, At, Clients, Decisions, DocumentKey, Engine, Grant, GrantRef, Holder, LockLimits,
    Locks, Mode, Moment, NamedLock, SLICE, Store, Woken,
};

use crate::random::Rng;

const KEYS: [&[u8]; 5] = [b"a", b"b", b"c", b"d", b"e"];
const NAMES: [&[u8]; 2] = [b"n", b"m"];
const OWNERS: [&[u8]; 6] = [b"u", b"v", b"w", b"x", b"y", b"z"];
const WAITERS_MAX: usize = 12;

/// The documents of a server, by database and key.
#[derive(Clone, Default)]
pub struct Documents {
    pub locks: HashMap<(i32, Vec<u8>), Locks>,
    pub looked_at: usize,
    /// Requests whose permission was withdrawn.
    pub forbidden: HashSet<u64>,
    /// A key that expires after so many look-ups.
    pub expires: Option<(usize, Vec<u8>)>,
}

impl Store for Documents {
    fn locks(&mut self, at: At<'_>) -> Option<&mut Locks> {
        self.looked_at += 1;
        if let Some((_, key)) = self.expires.take_if(|(looks, _)| *looks <= self.looked_at) {
            self.locks.remove(&(0, key));
        }
        self.locks.get_mut(&(at.db, at.key.to_vec()))
    }

    fn permits(&mut self, waiter: u64, _: &[DocumentKey]) -> bool {
        !self.forbidden.contains(&waiter)
    }
}

#[derive(Clone, Debug)]
struct Waiter {
    documents: Vec<DocumentKey>,
    name: &'static [u8],
    owner: &'static [u8],
    mode: Mode,
    client: Option<u64>,
}

/// A grant that a client knows of.
#[derive(Clone, Debug)]
struct Known {
    document: DocumentKey,
    name: &'static [u8],
    owner: &'static [u8],
    fence: u64,
}

/// The replies about one grant that its clients have read.
#[derive(Clone, Debug)]
struct Promise {
    name: &'static [u8],
    owner: &'static [u8],
    /// The earliest moment at which the lease may end.
    ends_ms: u64,
    /// The connections with which the grant ends; `None` after a request without `EPHEMERAL`.
    clients: Option<BTreeSet<u64>>,
}

/// Documents, names and owners.
type Holding = HashSet<(DocumentKey, Vec<u8>, Vec<u8>)>;

pub struct Simulation {
    rng: Rng,
    engine: Engine,
    documents: Documents,
    replica: Documents,
    waiters: BTreeMap<u64, Waiter>,
    known: Vec<Known>,
    moment: Moment,
    clients: u64,
    /// By fence.
    promises: HashMap<u64, Promise>,
    /// Connections that have closed.
    closed: HashSet<u64>,
    /// Ephemeral grants from before a promotion: they are to end.
    forgotten: HashSet<u64>,
    /// The highest fence of each key.
    fences: HashMap<Vec<u8>, u64>,
    pub seen: BTreeMap<&'static str, u64>,
    /// The last events, for the report of a failure.
    last: Vec<&'static str>,
}

/// The locks as they are read from a file.
pub fn loaded(locks: &Locks) -> Locks {
    let unstarted = |holder: &Holder| Holder {
        ends_ms: Holder::UNSTARTED,
        clients: Clients::default(),
        again: false,
        ..holder.clone()
    };
    let of_lock = |lock: &NamedLock| NamedLock {
        name: lock.name.clone(),
        holders: lock.holders.iter().map(unstarted).collect(),
    };
    Locks::of_names(locks.last_fence(), locks.names().iter().map(of_lock).collect())
}

impl Simulation {
    pub fn new(seed: u64) -> Simulation {
        Simulation {
            rng: Rng::new(seed),
            engine: Engine::default(),
            documents: Documents::default(),
            replica: Documents::default(),
            waiters: BTreeMap::new(),
            known: Vec::new(),
            moment: Moment { steady_ms: 1, unix_ms: 1_700_000_000_000, since_ms: 0 },
            clients: 1,
            promises: HashMap::new(),
            closed: HashSet::new(),
            forgotten: HashSet::new(),
            fences: HashMap::new(),
            seen: BTreeMap::new(),
            last: Vec::new(),
        }
    }

    fn note(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
        self.last.push(what);
        if self.last.len() > 8 {
            self.last.remove(0);
        }
    }

    fn document(&mut self) -> DocumentKey {
        let (db, key) = (self.rng.below(2) as i32, self.rng.pick(&KEYS));
        At { db, key }.to_document_key()
    }

    fn holders(&self, document: &DocumentKey, name: &[u8]) -> &[Holder] {
        let locks = self.documents.locks.get(&(document.db, document.key.to_vec()));
        locks.map_or(&[], |locks| locks.holders(name))
    }

    /// Flag: no work is left for a slice or a tick, which end as many leases as a slice has room for.
    fn is_settled(&self) -> bool {
        let names = self.documents.locks.values().flat_map(Locks::names);
        let ended = |holder: &Holder| holder.has_ended(self.moment);
        !self.engine.has_pending() && !names.flat_map(|lock| &lock.holders).any(ended)
    }

    /// The owners a request waits for, found by a full search: conflicting holders, and conflicting earlier requests.
    fn blockers(&self, id: u64, waiter: &Waiter) -> BTreeSet<&'static [u8]> {
        let mut blockers = BTreeSet::new();
        for document in &waiter.documents {
            let holders = self.holders(document, waiter.name).iter();
            // A new request ends due grants first.
            let asks = id == u64::MAX;
            let holders: Vec<&Holder> =
                holders.filter(|holder| !asks || !self.is_over(holder)).collect();
            let own = holders.iter().find(|holder| *holder.owner == *waiter.owner);
            if own.is_some_and(|own| own.mode.covers(waiter.mode)) {
                continue;
            }
            for holder in &holders {
                if *holder.owner != *waiter.owner && holder.mode.conflicts(waiter.mode) {
                    let owner = OWNERS.iter().find(|owner| ***owner == *holder.owner);
                    blockers.insert(*owner.expect("an owner of ours"));
                }
            }
            let before = self.waiters.range(..id).filter(|(_, other)| {
                let same = other.name == waiter.name && other.documents.contains(document);
                same && other.owner != waiter.owner && other.mode.conflicts(waiter.mode)
            });
            if own.is_none() {
                blockers.extend(before.map(|(_, other)| other.owner));
            }
        }
        blockers
    }

    /// Returns true if the owner waits for itself, directly or through others.
    fn is_in_cycle(&self, owner: &'static [u8]) -> bool {
        let mut edges: HashMap<&[u8], BTreeSet<&'static [u8]>> = HashMap::new();
        for (id, waiter) in &self.waiters {
            edges.entry(waiter.owner).or_default().extend(self.blockers(*id, waiter));
        }
        let (mut open, mut reached) = (vec![owner], HashSet::new());
        while let Some(next) = open.pop() {
            for blocker in edges.get(next).into_iter().flatten() {
                if *blocker == owner {
                    return true;
                }
                if reached.insert(*blocker) {
                    open.push(blocker);
                }
            }
        }
        false
    }

    /// Runs one slice, and checks the result against every invariant.
    fn run_slice(&mut self) {
        let (before, held) = (self.waiters.clone(), self.holding());
        let last = self.last.last().copied().unwrap_or_default();
        // Every other time, a slice is too small for everything.
        let small = self.rng.one_in(2);
        self.engine.set_slice(if small { 1 + self.rng.below(6) } else { SLICE });
        let Decisions { changes, wakes } = self.engine.run_slice(&mut self.documents, self.moment);
        for (document, edit) in &changes {
            if let Some(locks) = self.replica.locks.get_mut(&(document.db, document.key.to_vec())) {
                locks.apply(edit);
            }
        }
        let mut granted = Vec::new();
        for wake in wakes {
            let waiter = self.waiters.remove(&wake.waiter).expect("it waited, and is told once");
            match wake.woken {
                Woken::Granted(documents, grants) => {
                    assert_eq!(documents.to_vec(), waiter.documents);
                    assert!(!self.documents.forbidden.contains(&wake.waiter));
                    self.note("woken");
                    assert_eq!(grants.len(), waiter.documents.len());
                    granted.push(wake.waiter);
                    grants.iter().for_each(|grant| self.promise(&waiter, *grant));
                    let known =
                        waiter.documents.iter().zip(&grants).map(|(document, grant)| Known {
                            document: document.clone(),
                            name: waiter.name,
                            owner: waiter.owner,
                            fence: grant.fence,
                        });
                    self.known.extend(known);
                }
                Woken::Gone(document) => {
                    self.note("gone");
                    assert!(waiter.documents.contains(&document));
                }
                Woken::Forbidden => {
                    self.note("forbidden");
                    assert!(self.documents.forbidden.remove(&wake.waiter));
                }
                Woken::Deadlock => self.note("cycle by an upgrade"),
            }
        }
        self.check_order(&before, &held, &granted);
        self.check();
        self.check_promises(last);
    }

    /// Records the reply about a grant.
    fn promise(&mut self, waiter: &Waiter, grant: Grant) {
        let ends_ms = self.moment.steady_ms + grant.lease_ms;
        let clients = waiter.client.map(|client| BTreeSet::from([client]));
        let (name, owner) = (waiter.name, waiter.owner);
        match self.promises.get_mut(&grant.fence) {
            None => {
                let promise = Promise { name, owner, ends_ms, clients };
                self.promises.insert(grant.fence, promise);
            }
            Some(known) => {
                known.ends_ms = known.ends_ms.max(ends_ms);
                match (&mut known.clients, clients) {
                    (Some(known), Some(clients)) => known.extend(clients),
                    (known, _) => *known = None,
                }
            }
        }
    }

    /// Asserts that each promised grant is held here, and recorded for replicas, until it is released or expires.
    fn check_promises(&mut self, last: &str) {
        fn by_fence(documents: &Documents) -> HashMap<u64, &Holder> {
            let locks = documents.locks.values().flat_map(Locks::names);
            let holders = locks.flat_map(|lock| &lock.holders);
            holders.map(|holder| (holder.fence, holder)).collect()
        }
        let (held, recorded) = (by_fence(&self.documents), by_fence(&self.replica));
        let now_ms = self.moment.steady_ms;
        let takes_back = ["unlocked", "released", "given back", "forced", "removed"];
        let takes_away = ["renamed", "flushed", "restarted", "promoted"];
        let documents = &self.documents.locks;
        self.promises.retain(|fence, promise| {
            let Some(holder) = held.get(fence) else {
                let over = promise.ends_ms <= now_ms;
                let gone = promise.clients.as_ref().is_some_and(BTreeSet::is_empty);
                let ended = takes_back.contains(&last) || takes_away.contains(&last);
                let mut holders = documents.values().flat_map(|locks| locks.holders(promise.name));
                let upgraded =
                    holders.any(|new| *new.owner == *promise.owner && new.fence > *fence);
                assert!(over || gone || ended || upgraded, "{last} broke {fence}: {promise:?}");
                return false;
            };
            let left_ms = promise.ends_ms.saturating_sub(now_ms);
            let recorded = &recorded[fence];
            let gone = promise.clients.as_ref().is_some_and(BTreeSet::is_empty);
            let holds = gone || holder.ends_at(self.moment) >= promise.ends_ms;
            assert!(holds, "{last}: {holder:?} {promise:?}");
            assert!(recorded.lease_ms >= left_ms, "{last}: {recorded:?} {left_ms}");
            assert_eq!(recorded.ephemeral, promise.clients.is_some(), "{last}: {promise:?}");
            true
        });
    }

    /// No request that still waits came before a granted one of another owner that conflicts with it, unless the
    /// granted owner held the lock already.
    fn check_order(&self, before: &BTreeMap<u64, Waiter>, held: &Holding, granted: &[u64]) {
        for id in granted {
            let waiter = &before[id];
            let new = |document: &&DocumentKey| {
                let again = granted.iter().filter(|other| {
                    let other = &before[*other];
                    let same = (other.name, other.owner) == (waiter.name, waiter.owner);
                    same && other.documents.contains(document)
                });
                let had =
                    (DocumentKey::clone(document), waiter.name.to_vec(), waiter.owner.to_vec());
                again.count() == 1 && !held.contains(&had)
            };
            let documents: Vec<&DocumentKey> = waiter.documents.iter().filter(new).collect();
            for (other_id, other) in self.waiters.range(..id) {
                let conflicts = other.owner != waiter.owner
                    && other.name == waiter.name
                    && other.mode.conflicts(waiter.mode)
                    && other.documents.iter().any(|document| documents.contains(&document));
                assert!(!conflicts, "{id} passed {other_id}");
            }
        }
    }

    /// All grants: document, name and owner.
    fn holding(&self) -> Holding {
        let mut held = Holding::new();
        for ((db, key), locks) in &self.documents.locks {
            let document = At { db: *db, key }.to_document_key();
            for lock in locks.names() {
                for holder in &lock.holders {
                    held.insert((document.clone(), lock.name.to_vec(), holder.owner.to_vec()));
                }
            }
        }
        held
    }

    fn check(&mut self) {
        for ((_, key), locks) in &self.documents.locks {
            for lock in locks.names() {
                let owners: HashSet<_> = lock.holders.iter().map(|holder| &holder.owner).collect();
                assert_eq!(owners.len(), lock.holders.len(), "an owner holds once");
                let exclusive = lock.holders.iter().any(|holder| holder.mode == Mode::Exclusive);
                assert!(!exclusive || lock.holders.len() == 1, "an exclusive holder is alone");
                for holder in &lock.holders {
                    let highest = self.fences.entry(key.clone()).or_default();
                    *highest = (*highest).max(holder.fence);
                }
            }
        }
        assert_eq!(self.engine.waiting(), self.waiters.len());
        if self.engine.has_pending() {
            *self.seen.entry("pending").or_default() += 1;
            return;
        }
        let held = self.documents.locks.values().flat_map(Locks::names);
        let mut clients = held.flat_map(|lock| &lock.holders).flat_map(|held| held.clients.iter());
        assert!(clients.all(|client| !self.closed.contains(&client)), "it ended with it");
        for (id, waiter) in &self.waiters {
            assert!(!self.blockers(*id, waiter).is_empty(), "nothing blocks {id}: {waiter:?}");
        }
        let owners: BTreeSet<_> = self.waiters.values().map(|waiter| waiter.owner).collect();
        for owner in owners {
            assert!(!self.is_in_cycle(owner), "{owner:?} waits for itself\n{}", self.describe());
        }
    }

    /// The waiting requests with what blocks them, and the holders.
    fn describe(&self) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut lines = vec![format!("{:?}", self.last)];
        for (id, waiter) in &self.waiters {
            let documents = waiter
                .documents
                .iter()
                .map(|document| format!("{}{}", document.db, text(&document.key)));
            let documents: Vec<_> = documents.collect();
            let blockers: Vec<_> = self.blockers(*id, waiter).into_iter().map(text).collect();
            let (owner, name, mode) = (text(waiter.owner), text(waiter.name), waiter.mode);
            lines.push(format!(
                "{id}: {owner} wants {name} {mode:?} {documents:?}, behind {blockers:?}"
            ));
        }
        for (document, name, owner) in self.holding() {
            let (key, name, owner) = (text(&document.key), text(&name), text(&owner));
            lines.push(format!("{owner} holds {name} of {}{key}", document.db));
        }
        lines.join("\n")
    }

    pub fn check_replica(&self) {
        assert_eq!(self.replica.locks.len(), self.documents.locks.len());
        for (at, locks) in &self.documents.locks {
            assert_eq!(&self.replica.locks[at], locks, "{at:?}");
        }
    }

    /// One of the latest connections.
    fn client(&mut self) -> u64 {
        let latest = self.rng.below(4) as u64;
        self.clients.saturating_sub(latest).max(1)
    }

    fn ask(&mut self) {
        // Expired grants end before the request is decided.
        self.engine.tick(&mut self.documents, self.moment);
        self.run_slice();
        if self.rng.one_in(2) {
            while !self.is_settled() {
                self.engine.tick(&mut self.documents, self.moment);
                self.run_slice();
            }
        }
        // A request does pending work itself before it is decided, and so may find other holders than those known here.
        let settled = self.is_settled();
        let mut documents = vec![self.document()];
        while self.rng.one_in(3) {
            let document = self.document();
            if !documents.contains(&document) {
                documents.push(document);
            }
        }
        let client = self.rng.one_in(4).then(|| self.client());
        let client = client.filter(|client| !self.closed.contains(client));
        let waiter = Waiter {
            documents,
            name: self.rng.pick(&NAMES),
            owner: self.rng.pick(&OWNERS),
            mode: if self.rng.one_in(2) { Mode::Shared } else { Mode::Exclusive },
            client,
        };
        let waits = !self.rng.one_in(4) && self.waiters.len() < WAITERS_MAX;
        let documents: Vec<At<'_>> = waiter.documents.iter().map(DocumentKey::at).collect();
        let ask = Ask {
            documents: &documents,
            name: waiter.name,
            owner: waiter.owner,
            mode: waiter.mode,
            lease_ms: 1 + self.rng.below(400) as u64,
            ephemeral: waiter.client,
            waits,
        };
        let missing = waiter.documents.iter().any(|document| {
            !self.documents.locks.contains_key(&(document.db, document.key.to_vec()))
        });
        let blocked = !self.blockers(u64::MAX, &waiter).is_empty();
        let heard: Vec<Option<u64>> = waiter
            .documents
            .iter()
            .map(|document| self.fences.get(&document.key.to_vec()).copied())
            .collect();
        let own = |document: &DocumentKey| {
            let mut holders = self.holders(document, waiter.name).iter();
            let own = |holder: &&Holder| *holder.owner == *waiter.owner && !self.is_over(holder);
            holders.find(own).map(|holder| holder.fence)
        };
        let own: Vec<Option<u64>> = waiter.documents.iter().map(own).collect();
        let limits = LockLimits::DEFAULT;
        match self.engine.ask(&mut self.documents, self.moment, &limits, ask) {
            Err(error) if error.code() == ErrorCode::NoKey => {
                assert!(missing);
                self.note("missing");
            }
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::Deadlock, "{error}");
                assert!((blocked || !settled) && waits && !missing);
                self.waiters.insert(u64::MAX, waiter.clone());
                assert!(self.is_in_cycle(waiter.owner) || !settled, "there is a cycle");
                self.waiters.remove(&u64::MAX);
                self.note("deadlock");
            }
            Ok(Answer::Busy) => {
                assert!((blocked || !settled) && !waits && !missing);
                self.note("busy");
            }
            Ok(Answer::Waits(id)) => {
                assert!((blocked || !settled) && waits && !missing);
                self.waiters.insert(id, waiter);
                self.note("waits");
            }
            Ok(Answer::Granted(grants)) => {
                assert!((!blocked || !settled) && !missing, "it passed an earlier request");

                for (nth, (document, grant)) in waiter.documents.iter().zip(&grants).enumerate() {
                    let (name, owner) = (waiter.name, waiter.owner);
                    let again = own[nth] == Some(grant.fence);
                    assert!(again || Some(grant.fence) > heard[nth], "a fence grows");
                    self.note(if again { "granted again" } else { "granted" });
                    self.promise(&waiter, *grant);
                    let fence = grant.fence;
                    self.known.push(Known { document: document.clone(), name, owner, fence });
                }
            }
        }
    }

    /// A grant that some client knows, valid or not.
    fn take_known(&mut self) -> Option<Known> {
        if self.known.is_empty() {
            return None;
        }
        let nth = self.rng.below(self.known.len());
        Some(self.known.swap_remove(nth))
    }

    fn is_held(&self, known: &Known) -> bool {
        let mut holders = self.holders(&known.document, known.name).iter();
        holders.any(|holder| holder.fence == known.fence && !self.is_over(holder))
    }

    /// Flag: the grant has ended, though the slice that records it may be still to come.
    fn is_over(&self, holder: &Holder) -> bool {
        let closed = |client: u64| self.closed.contains(&client);
        let gone = !holder.clients.is_empty() && holder.clients.iter().all(closed);
        gone || self.forgotten.contains(&holder.fence) || holder.has_ended(self.moment)
    }

    fn unlock(&mut self) {
        let Some(known) = self.take_known() else { return };
        let held = GrantRef { name: known.name, owner: known.owner, fence: known.fence };
        let (is_held, at) = (self.is_held(&known), known.document.at());
        let done = match self.rng.below(5) {
            0 => {
                let lease_ms = self.rng.one_in(2).then_some(50);
                let renewed =
                    self.engine.renew(&mut self.documents, self.moment, at, held, lease_ms);
                self.known.push(known.clone());
                if let Ok(lease_ms) = renewed
                    && let Some(promise) = self.promises.get_mut(&known.fence)
                {
                    promise.ends_ms = self.moment.steady_ms + lease_ms;
                }
                renewed.map(|_| "renewed")
            }
            1 if is_held => {
                self.engine.release(&mut self.documents, at, known.name, known.fence, false);
                Ok("released")
            }
            _ => {
                let unlocked = self.engine.unlock(&mut self.documents, self.moment, at, held);
                unlocked.map(|()| "unlocked")
            }
        };
        assert_eq!(done.is_ok(), is_held, "{known:?}");
        self.note(done.unwrap_or("lost"));
    }

    fn remove(&mut self, document: &DocumentKey) -> Option<Locks> {
        let at = (document.db, document.key.to_vec());
        let locks = self.documents.locks.remove(&at)?;
        self.replica.locks.remove(&at);
        self.engine.remove(document.at(), &locks);
        Some(locks)
    }

    fn insert(&mut self, document: &DocumentKey, locks: Locks) {
        let at = (document.db, document.key.to_vec());
        self.replica.locks.insert(at.clone(), locks.clone());
        self.documents.locks.insert(at, locks);
        self.engine.arrive(document.clone());
    }

    fn create(&mut self) {
        let document = self.document();
        if !self.documents.locks.contains_key(&(document.db, document.key.to_vec())) {
            self.insert(&document, Locks::default());
        }
    }

    fn rename(&mut self) {
        let (from, to) = (self.document(), self.document());
        if from == to || !self.documents.locks.contains_key(&(from.db, from.key.to_vec())) {
            return;
        }
        self.remove(&to);
        if let Some(locks) = self.remove(&from) {
            // Its holders do not know the new name.
            self.note("renamed");
            self.insert(&to, locks);
        }
    }

    fn vanish(&mut self) {
        match self.rng.below(3) {
            0 => {
                let client = self.client();
                self.clients += 1;
                let promised = self.promises.values_mut();
                for clients in promised.filter_map(|promise| promise.clients.as_mut()) {
                    clients.remove(&client);
                }
                self.engine.disconnect(client);
                self.closed.insert(client);
                let own = self.waiters.iter().filter(|(_, waiter)| waiter.client == Some(client));
                let own: Vec<u64> = own.map(|(id, _)| *id).collect();
                for id in own {
                    self.waiters.remove(&id);
                    self.engine.cancel(id);
                }
                self.note("disconnected");
            }
            1 => {
                let Some(known) = self.take_known() else { return };
                self.engine.give_back(&mut self.documents, known.document.at(), known.fence);
                self.note("given back");
            }
            _ => {
                let ids: Vec<u64> = self.waiters.keys().copied().collect();
                if !ids.is_empty() {
                    let id = self.rng.pick(&ids);
                    if self.rng.one_in(3) {
                        self.documents.forbidden.insert(id);
                        return;
                    }
                    self.waiters.remove(&id);
                    self.engine.cancel(id);
                    self.note("cancelled");
                }
            }
        }
    }

    fn databases(&mut self) {
        if self.rng.one_in(2) {
            let db = self.rng.one_in(2).then(|| self.rng.below(2) as i32);
            let stays = |at: &(i32, Vec<u8>)| db.is_some_and(|db| at.0 != db);
            self.documents.locks.retain(|at, _| stays(at));
            self.replica.locks.retain(|at, _| stays(at));
            self.engine.flush(db);
            self.note("flushed");
        } else {
            for documents in [&mut self.documents, &mut self.replica] {
                let moved = std::mem::take(&mut documents.locks).into_iter();
                documents.locks = moved.map(|((db, key), locks)| ((1 - db, key), locks)).collect();
            }
            self.engine.swap(0, 1);
            self.note("swapped");
        }
    }

    /// Restarts the server from a replica or a file, or promotes a replica.
    fn restart(&mut self) {
        self.check_replica();
        // No connection is known there: ephemeral grants end.
        let promised = self.promises.values_mut();
        promised.filter_map(|promise| promise.clients.as_mut()).for_each(BTreeSet::clear);
        let locks = self.documents.locks.values().flat_map(Locks::names);
        for holder in locks.flat_map(|lock| &lock.holders) {
            if holder.ephemeral {
                self.forgotten.insert(holder.fence);
            } else if let Some(promise) = self.promises.get_mut(&holder.fence) {
                // All leases that have not ended run in full from now on.
                promise.ends_ms = match holder.has_ended(self.moment) {
                    true => promise.ends_ms,
                    false => self.moment.steady_ms + holder.lease_ms,
                };
            }
        }
        if self.rng.one_in(2) {
            let looked_at = self.documents.looked_at;
            self.moment.since_ms = self.moment.steady_ms;
            self.engine.become_master();
            assert_eq!(self.documents.looked_at, looked_at, "no document is examined");
            self.note("promoted");
            return;
        }
        self.engine = Engine::default();
        self.waiters.clear();
        self.documents = self.replica.clone();
        let documents: Vec<_> = self.documents.locks.keys().cloned().collect();
        for (db, key) in documents {
            let locks = self.documents.locks.get_mut(&(db, key.clone())).expect("it is there");
            *locks = loaded(locks);
            self.engine.arrive(At { db, key: &key }.to_document_key());
        }
        // A clock that stood still while the server was down.
        let highest = self.fences.values().max().copied().unwrap_or(0);
        self.engine.fences().see(highest);
        self.note("restarted");
    }

    pub fn step(&mut self) {
        self.moment.steady_ms += self.rng.below(4) as u64;
        self.moment.unix_ms = match self.rng.below(200) {
            0 => self.moment.unix_ms - 5_000,
            1 => self.moment.unix_ms + 5_000,
            _ => self.moment.unix_ms + 1,
        };
        match self.rng.below(1000) {
            0..=449 => self.ask(),
            450..=739 => self.unlock(),
            740..=859 => self.vanish(),
            860..=899 => self.create(),
            900..=919 => {
                let document = self.document();
                if self.remove(&document).is_some() {
                    self.note("removed");
                }
            }
            920..=939 => self.rename(),
            940..=959 => {
                let (document, name) = (self.document(), self.rng.pick(&NAMES));
                let held = self.holders(&document, name).len();
                let ended =
                    self.engine.force(&mut self.documents, self.moment, document.at(), name);
                assert!(ended <= held);
                self.note("forced");
            }
            960..=989 => {
                // The server was stopped meanwhile, every now and then.
                let jump = if self.rng.one_in(5) { 100_000 } else { 100 };
                self.moment.steady_ms += self.rng.below(jump) as u64;
                let mut ticks = 1;
                self.engine.tick(&mut self.documents, self.moment);
                while self.engine.next_end().is_some_and(|ends| ends <= self.moment.steady_ms) {
                    self.run_slice();
                    self.engine.tick(&mut self.documents, self.moment);
                    ticks += 1;
                }
                assert!(ticks < 100);
                self.note("ticked");
            }
            990..=995 => self.databases(),
            _ => self.restart(),
        }
        self.run_slice();
    }

    /// The end of a run: all holders release, all requests are answered, and no state is left.
    pub fn finish(&mut self) {
        // Every holder releases at last, so every waiting request is granted.
        for _ in 0..10_000 {
            self.moment.steady_ms += 50;
            self.engine.tick(&mut self.documents, self.moment);
            self.run_slice();
            if self.waiters.is_empty() {
                break;
            }
        }
        assert!(self.waiters.is_empty(), "requests wait for ever: {:?}", self.waiters);
        self.moment.steady_ms += 1_000_000;
        for _ in 0..100 {
            self.engine.tick(&mut self.documents, self.moment);
            self.run_slice();
        }
        self.check_replica();
        assert!(self.documents.locks.values().all(Locks::is_free));
        assert!(self.engine.is_idle() && self.engine.held() == 0, "something is left behind");
    }
}
