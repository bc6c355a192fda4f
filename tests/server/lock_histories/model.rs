//! A sequential model of locks: the holders, their fences, the shortest and the longest time that each grant may
//! last, and the count of the writes under it.
//!
//! The end of a lease is no call. A grant knows the first moment at which its lease may have been over
//! and the last at which it was not, and a reply that reports it as expired is checked against both.

use crate::linearizability::checker::Model;

pub const DOCUMENTS: usize = 2;
pub const NAMES: [&str; 2] = ["a", "b"];
pub const LOCKS: usize = DOCUMENTS * NAMES.len();
/// The inaccuracy of the server's clock, which counts milliseconds, in microseconds.
const SLACK: u64 = 2_000;

/// Locks by their number: the names of the first document, then those of the next.
pub fn document(lock: usize) -> usize {
    lock / NAMES.len()
}

pub fn name(lock: usize) -> &'static str {
    NAMES[lock % NAMES.len()]
}

/// A grant as its client knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    pub lock: usize,
    pub fence: u64,
}

#[derive(Clone, Debug)]
pub struct Op {
    pub sent: u64,
    pub what: What,
}

#[derive(Clone, Debug)]
pub enum What {
    Lock {
        locks: Vec<usize>,
        owner: String,
        shared: bool,
        ephemeral: bool,
        lease: u64,
    },
    /// Increments the counter of each grant, all or none.
    Write {
        grants: Vec<Grant>,
        release: bool,
    },
    Renew {
        grant: Grant,
        lease: u64,
    },
    Unlock(Grant),
    /// The connection that held these is closed: they end if they are ephemeral.
    HangUp(Vec<Grant>),
    /// A restarted server, which died at that moment, or a promoted one starts all leases anew.
    Restart {
        gone: u64,
    },
    /// Reads all counts.
    Look,
}

/// The reply that a client read, and the moment.
#[derive(Clone, Debug)]
pub struct Told {
    pub at: u64,
    pub answer: Answer,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// For each lock its fence and its counter.
    Granted(Vec<(u64, i64)>),
    NotGranted,
    Deadlock,
    Counts(Vec<i64>),
    Done,
    /// The grant of this fence is over.
    Lost(u64),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    locks: [Lock; LOCKS],
    /// The latest moment at which an applied call was sent: the next one is applied later.
    now: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Lock {
    /// The greatest fence so far.
    fence: u64,
    holders: Vec<Holder>,
    count: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Holder {
    owner: String,
    fence: u64,
    shared: bool,
    ephemeral: bool,
    lease: u64,
    /// The lease does not end before this moment.
    earliest: u64,
    /// The lease has ended after this moment.
    latest: u64,
}

impl Holder {
    fn extend(&mut self, from: u64, until: u64) {
        self.earliest = self.earliest.max(from + self.lease - SLACK);
        self.latest = self.latest.max(until.saturating_add(self.lease + SLACK));
    }
}

impl Lock {
    /// A grant that was replied by `at`, to an owner that is not a holder any more or has the same grant already.
    fn grant(&mut self, mut new: Holder, count: i64, now: u64, at: u64) -> Option<()> {
        let own = self.holders.iter().position(|holder| holder.owner == new.owner);
        let own = own.map(|nth| self.holders.remove(nth));
        let is_again = own.as_ref().is_some_and(|own| own.fence == new.fence);
        if let Some(own) = own {
            let is_covered = new.shared || !own.shared;
            if is_again && is_covered && now <= own.latest {
                (new.shared, new.earliest, new.latest) = (own.shared, own.earliest, own.latest);
            } else if is_again || (is_covered && at < own.earliest) {
                return None;
            }
        }
        let is_in_the_way = |other: &Holder| !(other.shared && new.shared);
        if self.holders.iter().any(|other| is_in_the_way(other) && at < other.earliest) {
            return None;
        }
        self.holders.retain(|other| !is_in_the_way(other));
        let grows = is_again || new.fence > self.fence;
        self.fence = self.fence.max(new.fence);
        new.extend(now, at);
        self.holders.push(new);
        (grows && count == self.count).then_some(())
    }

    fn holder(&mut self, fence: u64) -> Option<&mut Holder> {
        self.holders.iter_mut().find(|holder| holder.fence == fence)
    }

    fn release(&mut self, fence: u64) {
        self.holders.retain(|holder| holder.fence != fence);
    }
}

impl State {
    /// The holder by this grant, whose lease is not over for sure.
    fn holder(&mut self, grant: Grant) -> Option<&mut Holder> {
        let now = self.now;
        self.locks[grant.lock].holder(grant.fence).filter(|holder| now <= holder.latest)
    }

    /// A reply by `at` reported the grant of this fence as over.
    fn lose(&mut self, fence: u64, at: u64) -> Option<()> {
        for lock in &mut self.locks {
            if lock.holder(fence).is_some_and(|holder| at < holder.earliest) {
                return None;
            }
            lock.release(fence);
        }
        Some(())
    }

    /// A request whose client read no reply. Its possible grant is never written under and may end at any time,
    /// together with the shared grant it replaced.
    fn raise_unheard(&mut self, locks: &[usize], owner: &str, shared: bool) -> Option<()> {
        let before = self.locks.clone();
        for lock in locks {
            let holders = &mut self.locks[*lock].holders;
            holders.retain(|holder| shared || holder.owner != owner || !holder.shared);
        }
        (self.locks != before).then_some(())
    }

    fn restart(&mut self, gone: u64, at: u64) {
        for lock in &mut self.locks {
            lock.holders.retain(|holder| !holder.ephemeral);
            for holder in &mut lock.holders {
                // One that may have been over before does not begin again for sure.
                let from = if holder.earliest > gone { self.now } else { 0 };
                holder.extend(from, at);
            }
        }
    }

    fn write(&mut self, grants: &[Grant], release: bool) -> Option<Vec<i64>> {
        let mut counts = Vec::new();
        for grant in grants {
            self.holder(*grant)?;
            let lock = &mut self.locks[grant.lock];
            lock.count += 1;
            counts.push(lock.count);
            if release {
                lock.release(grant.fence);
            }
        }
        Some(counts)
    }

    fn apply(&mut self, what: &What, told: Option<&Told>) -> Option<()> {
        let at = told.map_or(u64::MAX, |told| told.at);
        let answer = told.map(|told| &told.answer);
        if let Some(Answer::Lost(fence)) = answer {
            return self.lose(*fence, at);
        }
        match what {
            What::Lock { locks, owner, shared, ephemeral, lease } => {
                let Some(answer) = answer else {
                    return self.raise_unheard(locks, owner, *shared);
                };
                let Answer::Granted(granted) = answer else { return Some(()) };
                for (lock, (fence, count)) in locks.iter().zip(granted) {
                    let (owner, lease, shared, ephemeral) =
                        (owner.clone(), *lease, *shared, *ephemeral);
                    let (fence, earliest, latest) = (*fence, 0, 0);
                    let new = Holder { owner, fence, shared, ephemeral, lease, earliest, latest };
                    self.locks[*lock].grant(new, *count, self.now, at)?;
                }
            }
            What::Write { grants, release } => {
                let counts = Answer::Counts(self.write(grants, *release)?);
                return answer.is_none_or(|told| *told == counts).then_some(());
            }
            What::Renew { grant, lease } => {
                let now = self.now;
                let holder = self.holder(*grant)?;
                holder.lease = *lease;
                // It may end sooner than the one before.
                (holder.earliest, holder.latest) = (0, 0);
                holder.extend(now, at);
            }
            What::Unlock(grant) => {
                self.holder(*grant)?;
                self.locks[grant.lock].release(grant.fence);
            }
            What::HangUp(grants) => {
                let before = self.locks.clone();
                for grant in grants {
                    let ends = |holder: &Holder| holder.ephemeral && holder.fence == grant.fence;
                    self.locks[grant.lock].holders.retain(|holder| !ends(holder));
                }
                return (self.locks != before).then_some(());
            }
            What::Restart { gone } => self.restart(*gone, at),
            What::Look => {
                let counts = self.locks.iter().map(|lock| lock.count).collect();
                return (answer == Some(&Answer::Counts(counts))).then_some(());
            }
        }
        Some(())
    }
}

pub struct LockModel;

impl Model for LockModel {
    type State = State;
    type Op = Op;
    type Reply = Told;

    fn apply(&self, state: &State, op: &Op, told: Option<&Told>) -> Option<State> {
        let mut next = state.clone();
        next.now = next.now.max(op.sent);
        next.apply(&op.what, told)?;
        Some(next)
    }
}
