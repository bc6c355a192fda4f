//! A seeded simulation of the state machine of locks: clients that request, wait, hold, disconnect and crash,
//! documents that are created, deleted and renamed, clocks that step, and servers that restart.
//!
//! After every event: an exclusive holder is the only one; no grant has passed an earlier conflicting request; fences
//! have grown; every waiting request was answered once; a replica that is fed the edits has the same locks; and what a
//! client was told of its grant (its lease, whether it ends with a connection) holds here and is recorded there. When no
//! work is pending, every waiting request is blocked, and there is no deadlock cycle. The simulation decides again, by
//! examining everything, which requests may be granted and which close a cycle. At the end, no state is left.
//!
//! `SIMULATION_SEED=n cargo test --test locks` repeats a run, `SIMULATION_STEPS` makes it longer.

mod deadlocks;
mod mass;
mod random;
mod simulation;

use std::collections::{BTreeMap, BTreeSet};

use redis_model::error::ErrorCode;
use redis_model::lock::{
    Answer, Ask, At, Clients, Decisions, Engine, GrantRef, Holder, LockLimits, Locks, Mode, Moment,
    NamedLock, SLICE, Woken,
};
use redis_model::testing::coverage::{Missing, until_covered};

use simulation::{Documents, Simulation};

const STEPS: u64 = 150_000;
const SEEDS: u64 = 6;
const BATCHES_MAX: u64 = 10;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn the_simulation_holds() {
    let start = number("SIMULATION_SEED").unwrap_or_else(|| {
        std::time::UNIX_EPOCH.elapsed().expect("a clock").as_nanos() as u64 >> 10
    });
    let steps = number("SIMULATION_STEPS").unwrap_or(STEPS);
    println!("SIMULATION_SEED={start}");
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    until_covered(BATCHES_MAX, |batch| {
        for (what, times) in simulate(start.wrapping_add(batch * SEEDS * 2), steps) {
            *seen.entry(what).or_default() += times;
        }
        println!("{seen:?}");
        let mut missing = Missing::default();
        for what in EVENTS {
            missing.expect(what, seen.get(what).copied().unwrap_or(0), 101);
        }
        missing
    });
}

/// The events that have to occur in the simulations.
const EVENTS: [&str; 25] = [
    "woken",
    "forbidden",
    "gone",
    "missing",
    "deadlock",
    "busy",
    "waits",
    "granted",
    "granted again",
    "renewed",
    "released",
    "unlocked",
    "lost",
    "renamed",
    "removed",
    "disconnected",
    "given back",
    "cancelled",
    "flushed",
    "swapped",
    "promoted",
    "restarted",
    "forced",
    "ticked",
    "pending",
];

/// Runs simulations of several seeds at the same time. Returns the events that they saw, and how often.
fn simulate(start: u64, steps: u64) -> Vec<(&'static str, u64)> {
    let runs: Vec<_> = (0..SEEDS)
        .map(|nth| {
            std::thread::spawn(move || {
                let mut simulation = Simulation::new(start.wrapping_add(nth * 2));
                for step in 0..steps {
                    simulation.step();
                    if step % 1000 == 0 {
                        simulation.check_replica();
                    }
                }
                simulation.finish();
                simulation.seen
            })
        })
        .collect();
    runs.into_iter().flat_map(|run| run.join().expect("a run holds")).collect()
}

/// One document, and an engine whose clock stands still.
struct Bench {
    engine: Engine,
    documents: Documents,
    moment: Moment,
}

impl Bench {
    fn new(keys: &[&[u8]]) -> Bench {
        let mut documents = Documents::default();
        for key in keys {
            documents.locks.insert((0, key.to_vec()), Locks::default());
        }
        let moment = Moment { steady_ms: 1, unix_ms: 1_700_000_000_000, since_ms: 0 };
        Bench { engine: Engine::default(), documents, moment }
    }

    fn ask(&mut self, keys: &[&[u8]], owner: &str, mode: Mode) -> Result<Answer, ErrorCode> {
        let documents: Vec<_> = keys.iter().map(|key| At { db: 0, key }).collect();
        let ask = Ask {
            documents: &documents,
            name: b"n",
            owner: owner.as_bytes(),
            mode,
            lease_ms: 1000,
            ephemeral: None,
            waits: true,
        };
        let limits = LockLimits { waiters: 20_000, names: 1, holders: 3, ..LockLimits::DEFAULT };
        self.engine
            .ask(&mut self.documents, self.moment, &limits, ask)
            .map_err(|error| error.code())
    }

    fn fence(&mut self, keys: &[&[u8]], owner: &str, mode: Mode) -> u64 {
        match self.ask(keys, owner, mode) {
            Ok(Answer::Granted(grants)) => grants[0].fence,
            other => panic!("{owner}: {other:?}"),
        }
    }

    fn waits(&mut self, keys: &[&[u8]], owner: &str, mode: Mode) -> u64 {
        match self.ask(keys, owner, mode) {
            Ok(Answer::Waits(id)) => id,
            other => panic!("{owner}: {other:?}"),
        }
    }

    fn unlock(&mut self, key: &[u8], owner: &str, fence: u64) {
        let held = GrantRef { name: b"n", owner: owner.as_bytes(), fence };
        let at = At { db: 0, key };
        self.engine.unlock(&mut self.documents, self.moment, at, held).expect("it is held");
    }

    /// The woken requests, in order, over as many slices as it takes.
    fn woken(&mut self) -> Vec<u64> {
        self.slices().iter().flat_map(|slice| &slice.wakes).map(|wake| wake.waiter).collect()
    }

    /// Runs slices until no work is pending. No slice exceeds its bound by much.
    fn slices(&mut self) -> Vec<Decisions> {
        let mut slices = Vec::new();
        loop {
            let before = self.engine.counters().work;
            self.engine.tick(&mut self.documents, self.moment);
            slices.push(self.engine.run_slice(&mut self.documents, self.moment));
            let due = self.engine.next_end().is_some_and(|ends| ends <= self.moment.steady_ms);
            if !self.engine.has_pending() && !due {
                return slices;
            }
            let work = self.engine.counters().work - before;
            assert!(work > 0 && work <= 3 * SLICE as u64, "{work} steps in a slice");
        }
    }
}

use Mode::{Exclusive, Shared};

#[test]
fn the_same_owner_gets_the_same_grant_and_its_lease_is_not_cut_short() {
    let mut bench = Bench::new(&[b"a"]);
    let fence = bench.fence(&[b"a"], "u", Exclusive);
    bench.moment.steady_ms += 400;
    for mode in [Exclusive, Shared] {
        let Ok(Answer::Granted(grants)) = bench.ask(&[b"a"], "u", mode) else { panic!() };
        assert_eq!((grants[0].fence, grants[0].lease_ms), (fence, 1000));
    }
    assert_eq!(bench.engine.counters().grants, 1);
}

#[test]
fn a_sharer_is_upgraded_before_the_queue_once_no_other_sharer_is_left() {
    let mut bench = Bench::new(&[b"a"]);
    let first = bench.fence(&[b"a"], "u", Shared);
    let other = bench.fence(&[b"a"], "v", Shared);
    bench.waits(&[b"a"], "w", Exclusive);
    let upgrade = bench.waits(&[b"a"], "u", Exclusive);
    assert_eq!(bench.ask(&[b"a"], "v", Exclusive), Err(ErrorCode::Deadlock));
    bench.unlock(b"a", "v", other);
    assert_eq!(bench.woken(), [upgrade]);
    let holders = bench.documents.locks[&(0, b"a".to_vec())].holders(b"n");
    assert!(holders.len() == 1 && holders[0].fence > other && other > first);
}

#[test]
fn shared_requests_at_the_front_are_granted_together_up_to_the_first_exclusive_one() {
    let mut bench = Bench::new(&[b"a"]);
    let fence = bench.fence(&[b"a"], "u", Exclusive);
    let sharers = ["v", "w"].map(|owner| bench.waits(&[b"a"], owner, Shared));
    bench.waits(&[b"a"], "x", Exclusive);
    bench.waits(&[b"a"], "y", Shared);
    bench.unlock(b"a", "u", fence);
    assert_eq!(bench.woken(), sharers);
}

#[test]
fn requests_for_several_documents_do_not_block_each_other() {
    let mut bench = Bench::new(&[b"a", b"b"]);
    let held = bench.fence(&[b"b"], "u", Exclusive);
    let first = bench.waits(&[b"a", b"b"], "v", Exclusive);
    let second = bench.waits(&[b"b", b"a"], "w", Exclusive);
    bench.unlock(b"b", "u", held);
    assert_eq!(bench.woken(), [first]);
    for key in [&b"a"[..], b"b"] {
        let fence = bench.documents.locks[&(0, key.to_vec())].holders(b"n")[0].fence;
        bench.unlock(key, "v", fence);
    }
    assert_eq!(bench.woken(), [second]);
}

#[test]
fn a_cycle_of_any_length_is_refused() {
    for length in [2, 3, 50] {
        let keys: Vec<Vec<u8>> = (0..length).map(|nth| vec![nth as u8]).collect();
        let refs: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        let mut bench = Bench::new(&refs);
        for (nth, key) in refs.iter().enumerate() {
            bench.fence(&[*key], &nth.to_string(), Exclusive);
        }
        for nth in 0..length - 1 {
            bench.waits(&[refs[nth + 1]], &nth.to_string(), Shared);
        }
        let last = (length - 1).to_string();
        let all = [refs[0], refs[length / 2]];
        let keys = if length > 2 { &all[..] } else { &all[..1] };
        assert_eq!(bench.ask(keys, &last, Exclusive), Err(ErrorCode::Deadlock), "{length}");
        assert_eq!(bench.engine.waiting(), length - 1, "the request left nothing behind");
    }
}

#[test]
fn a_lease_ends_at_its_end() {
    let mut bench = Bench::new(&[b"a"]);
    bench.fence(&[b"a"], "u", Exclusive);
    let next = bench.waits(&[b"a"], "v", Exclusive);
    bench.moment.steady_ms += 999;
    bench.engine.tick(&mut bench.documents, bench.moment);
    assert!(bench.woken().is_empty());
    bench.moment.steady_ms += 1;
    bench.engine.tick(&mut bench.documents, bench.moment);
    assert_eq!(bench.woken(), [next]);
    assert_eq!(bench.engine.counters().expired, 1);
}

#[test]
fn limits_hold_at_their_maximum_and_not_one_past_it() {
    let mut bench = Bench::new(&[b"a"]);
    for owner in ["u", "v", "w"] {
        bench.fence(&[b"a"], owner, Shared);
    }
    assert_eq!(bench.ask(&[b"a"], "x", Shared), Err(ErrorCode::Limit), "holders");
    bench.fence(&[b"a"], "u", Shared);
    let at = [At { db: 0, key: b"a" }];
    let ask = Ask {
        documents: &at,
        name: b"other",
        owner: b"u",
        mode: Exclusive,
        lease_ms: 1,
        ephemeral: None,
        waits: true,
    };
    let limits = LockLimits { waiters: 2, names: 1, holders: 3, ..LockLimits::DEFAULT };
    let mut ask_with = |ask: Ask<'_>| {
        let asked = bench.engine.ask(&mut bench.documents, bench.moment, &limits, ask);
        asked.map_err(|error| error.code())
    };
    assert_eq!(ask_with(ask), Err(ErrorCode::Limit), "names");
    for owner in ["x", "y"] {
        let ask = Ask { name: b"n", owner: owner.as_bytes(), ..ask };
        assert!(matches!(ask_with(ask), Ok(Answer::Waits(_))));
    }
    let ask = Ask { name: b"n", owner: b"z", ..ask };
    assert_eq!(ask_with(ask), Err(ErrorCode::Limit), "waiters");
}

/// The number of look-ups of documents measures the work.
#[test]
fn a_hand_over_and_a_request_cost_the_same_however_many_wait() {
    let mut costs = BTreeSet::new();
    for waiters in [2, 100, 10_000] {
        let mut bench = Bench::new(&[b"a"]);
        let fence = bench.fence(&[b"a"], "holder", Exclusive);
        for nth in 0..waiters {
            bench.waits(&[b"a"], &nth.to_string(), Exclusive);
        }
        bench.documents.looked_at = 0;
        bench.waits(&[b"a"], "one more", Exclusive);
        let asked = std::mem::take(&mut bench.documents.looked_at);
        bench.unlock(b"a", "holder", fence);
        assert_eq!(bench.woken().len(), 1);
        costs.insert((asked, bench.documents.looked_at));
    }
    assert_eq!(costs.len(), 1, "{costs:?}");
}

#[test]
fn an_upgrade_does_not_search_from_requests_for_another_lock() {
    let mut bench = Bench::new(&[b"a"]);
    bench.fence(&[b"a"], "holder", Exclusive);
    for nth in 0..1000 {
        bench.waits(&[b"a"], &nth.to_string(), Exclusive);
    }
    let before = bench.engine.counters();
    let documents = [At { db: 0, key: b"a" }];
    for mode in [Shared, Exclusive] {
        let ask = Ask {
            documents: &documents,
            name: b"other",
            owner: b"u",
            mode,
            lease_ms: 1000,
            ephemeral: None,
            waits: true,
        };
        let asked = bench.engine.ask(&mut bench.documents, bench.moment, &LockLimits::DEFAULT, ask);
        assert!(matches!(asked, Ok(Answer::Granted(_))));
    }
    assert!(bench.woken().is_empty());
    assert_eq!(bench.engine.counters().steps, before.steps);
}

/// A ring of owners, which is closed when databases are swapped: each waits for the next one.
#[test]
fn a_cycle_of_many_owners_is_found_in_one_pass_and_its_first_request_is_refused() {
    let mut steps = Vec::new();
    for length in [500u64, 2000] {
        let keys: Vec<Vec<u8>> = (0..length).map(|nth| nth.to_be_bytes().to_vec()).collect();
        let refs: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        let mut bench = Bench::new(&refs);
        for (nth, key) in refs.iter().enumerate() {
            bench.fence(&[*key], &((nth as u64 + 1) % length).to_string(), Exclusive);
        }
        let swap = |bench: &mut Bench| {
            let moved = std::mem::take(&mut bench.documents.locks).into_iter();
            let moved = moved.map(|((db, key), locks)| ((1 - db, key), locks));
            bench.documents.locks = moved.collect();
            bench.engine.swap(0, 1);
        };
        swap(&mut bench);
        bench.woken();
        for key in &keys {
            bench.documents.locks.insert((0, key.clone()), Locks::default());
            bench.fence(&[key], "another", Exclusive);
        }
        let waiters: Vec<u64> = (0..length)
            .map(|nth| bench.waits(&[refs[nth as usize]], &nth.to_string(), Exclusive))
            .collect();
        let before = bench.engine.counters();
        swap(&mut bench);
        assert_eq!(bench.woken(), waiters[..1]);
        let after = bench.engine.counters();
        assert_eq!(after.deadlocks - before.deadlocks, 1);
        steps.push(after.steps - before.steps);
    }
    assert!(steps[0] > 0 && steps[1] < 5 * steps[0], "{steps:?}");
}

/// Outside of commands, keys can expire between two look-ups.
#[test]
fn requests_for_a_document_that_expires_during_a_grant_get_nokey() {
    let (mut granted, mut gone) = (0, 0);
    for key in [&b"a"[..], b"b"] {
        for looks in 1..30 {
            let mut bench = Bench::new(&[b"a", b"b"]);
            let held = bench.fence(&[b"a"], "u", Exclusive);
            let first = bench.waits(&[b"a", b"b"], "v", Exclusive);
            let second = bench.waits(&[b"a"], "w", Exclusive);
            bench.unlock(b"a", "u", held);
            bench.documents.expires = Some((bench.documents.looked_at + looks, key.to_vec()));
            let mut wakes = bench.engine.run_slice(&mut bench.documents, bench.moment).wakes;
            if !bench.documents.locks.contains_key(&(0, key.to_vec())) {
                // The server reports the expiry after the engine has run.
                bench.engine.remove(At { db: 0, key }, &Locks::default());
                wakes.extend(bench.engine.run_slice(&mut bench.documents, bench.moment).wakes);
            }
            let woken = |id| wakes.iter().find(|wake| wake.waiter == id);
            match &woken(first).expect("its waiting is over").woken {
                Woken::Granted(_, grants) => {
                    granted += 1;
                    assert_eq!(grants.len(), 2);
                }
                Woken::Gone(document) => {
                    gone += 1;
                    assert_eq!(*document.key, *key);
                    let left = bench.documents.locks.values().flat_map(Locks::names);
                    let mut left = left.flat_map(|lock| &lock.holders);
                    assert!(left.all(|holder| *holder.owner == *b"w"), "all or nothing");
                    assert!(woken(second).is_some(), "the next request is answered as well");
                }
                Woken::Deadlock | Woken::Forbidden => panic!("{looks}"),
            }
        }
    }
    assert!(granted > 0 && gone > 0, "{granted} {gone}");
}

/// With quadratic work this test would take minutes.
#[test]
fn many_grants_of_one_connection_end_one_by_one() {
    const GRANTS: u32 = 100_000;
    let mut bench = Bench::new(&[]);
    for nth in 0..GRANTS {
        let key = nth.to_be_bytes();
        bench.documents.locks.insert((0, key.to_vec()), Locks::default());
        let documents = [At { db: 0, key: &key }];
        let ask = Ask {
            documents: &documents,
            name: b"n",
            owner: b"u",
            mode: Exclusive,
            lease_ms: 1000,
            ephemeral: Some(7),
            waits: false,
        };
        let asked = bench.engine.ask(&mut bench.documents, bench.moment, &LockLimits::DEFAULT, ask);
        assert!(matches!(asked, Ok(Answer::Granted(_))));
    }
    for nth in (1..GRANTS).rev() {
        let key = nth.to_be_bytes();
        let locks = bench.documents.locks.remove(&(0, key.to_vec())).expect("it is there");
        bench.engine.remove(At { db: 0, key: &key }, &locks);
    }
    assert!(bench.engine.has_ephemerals(7));
    bench.engine.disconnect(7);
    bench.woken();
    assert!(!bench.engine.has_ephemerals(7) && bench.engine.is_idle());
}

/// A document takes its grants along under another name, until a slice ends those of closed connections.
#[test]
fn ephemeral_grants_end_though_their_document_is_renamed() {
    for closes_first in [true, false] {
        let mut bench = Bench::new(&[b"a"]);
        let ask = Ask {
            documents: &[At { db: 0, key: b"a" }],
            name: b"n",
            owner: b"x",
            mode: Exclusive,
            lease_ms: 1000,
            ephemeral: Some(7),
            waits: false,
        };
        let asked = bench.engine.ask(&mut bench.documents, bench.moment, &LockLimits::DEFAULT, ask);
        assert!(matches!(asked, Ok(Answer::Granted(_))));
        if closes_first {
            bench.engine.disconnect(7);
        }
        let locks = bench.documents.locks.remove(&(0, b"a".to_vec())).expect("it is there");
        bench.engine.remove(At { db: 0, key: b"a" }, &locks);
        bench.documents.locks.insert((0, b"b".to_vec()), locks);
        bench.engine.arrive(At { db: 0, key: b"b" }.to_document_key());
        if !closes_first {
            bench.engine.disconnect(7);
        }
        bench.slices();
        assert_eq!(bench.engine.held(), 0, "the connection closes first: {closes_first}");
        assert!(bench.engine.is_idle());
    }
}

/// With quadratic work this test would take minutes.
#[test]
fn many_leases_end_in_one_pass() {
    const HOLDERS: u64 = 100_000;
    let mut bench = Bench::new(&[]);
    let holder = |nth: u64| Holder {
        owner: nth.to_string().as_bytes().into(),
        fence: nth + 1,
        mode: Shared,
        lease_ms: 10,
        ephemeral: false,
        ends_ms: Holder::UNSTARTED,
        clients: Clients::default(),
        again: false,
    };
    let holders = (0..HOLDERS).map(holder).collect();
    let locks = Locks::of_names(0, vec![NamedLock { name: b"n"[..].into(), holders }]);
    bench.documents.locks.insert((0, b"a".to_vec()), locks);
    bench.engine.arrive(At { db: 0, key: b"a" }.to_document_key());
    bench.engine.run_slice(&mut bench.documents, bench.moment);
    bench.moment.steady_ms += 10;
    bench.engine.tick(&mut bench.documents, bench.moment);
    let decisions = bench.engine.run_slice(&mut bench.documents, bench.moment);
    assert_eq!(decisions.changes.len() as u64, HOLDERS);
    assert!(bench.engine.counters().expired == HOLDERS && bench.engine.is_idle());
}
