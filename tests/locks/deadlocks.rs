//! Searches for deadlock cycles among many requests: their steps are linear in the requests and their documents, and no
//! request and no slice takes more than a bounded number of them.

use redis_model::lock::{Answer, Locks, Woken};

use super::Bench;
use super::mass::{ask, bench, granted, keys};

/// The steps of one search that begins with a request, about.
const SEARCH: u64 = 1 << 17;

/// The steps so far.
fn steps(bench: &Bench) -> u64 {
    bench.engine.counters().steps
}

/// Runs slices until nothing is pending. Returns the most steps of one of them, and the requests that were refused.
fn slices(bench: &mut Bench) -> (u64, Vec<u64>) {
    let (mut most, mut refused) = (0, Vec::new());
    while bench.engine.has_pending() {
        let before = steps(bench);
        let decisions = bench.engine.run_slice(&mut bench.documents, bench.moment);
        most = most.max(steps(bench) - before);
        let deadlocks = decisions.wakes.iter().filter(|wake| wake.woken == Woken::Deadlock);
        refused.extend(deadlocks.map(|wake| wake.waiter));
    }
    (most, refused)
}

/// Requests of different owners for all documents, which another owner holds; and one that holds the lock of another document,
/// for which a request waits: what that owner asks for can close a cycle.
fn crowd(requests: u64, keys: &[Vec<u8>]) -> Bench {
    let mut bench = bench(keys);
    let all: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    granted(ask(&mut bench, &all, "holder", |_| {}));
    bench.documents.locks.insert((0, b"aside".to_vec()), Locks::default());
    granted(ask(&mut bench, &[b"aside"], "suspect", |_| {}));
    for nth in 0..requests {
        let answer = ask(&mut bench, &all, &nth.to_string(), |_| {});
        assert!(matches!(answer, Answer::Waits(_)));
    }
    let answer = ask(&mut bench, &[b"aside"], "asks", |_| {});
    assert!(matches!(answer, Answer::Waits(_)));
    bench
}

#[test]
fn a_request_behind_many_for_many_documents_takes_bounded_steps_and_the_rest_is_linear() {
    for requests in [450, 900] {
        let keys = keys(300);
        let mut bench = crowd(requests, &keys);
        let places = requests * keys.len() as u64;
        let before = steps(&bench);
        let answer = ask(&mut bench, &[&keys[0]], "suspect", |_| {});
        assert!(matches!(answer, Answer::Waits(_)));
        let asked = steps(&bench) - before;
        assert!(asked > SEARCH && asked <= SEARCH + 4 * keys.len() as u64, "{asked}");
        let (most, refused) = slices(&mut bench);
        assert!(most > places && most <= 4 * places + SEARCH, "{most} for {places}");
        assert!(refused.is_empty());
    }
}

#[test]
fn a_cycle_that_is_too_long_to_find_at_once_is_refused_by_a_slice() {
    let keys = keys(300);
    let mut bench = crowd(600, &keys);
    // The first of the crowd waits for the suspect as well.
    granted(ask(&mut bench, &[b"aside"], "suspect", |_| {}));
    assert!(matches!(ask(&mut bench, &[b"aside"], "0", |_| {}), Answer::Waits(_)));
    let Answer::Waits(last) = ask(&mut bench, &[&keys[0]], "suspect", |_| {}) else { panic!() };
    let (_, refused) = slices(&mut bench);
    assert_eq!(refused, [last], "as if it had been found at once");
    let answer = ask(&mut bench, &[&keys[0]], "suspect", |ask| ask.waits = false);
    assert_eq!(answer, Answer::Busy);
}

#[test]
fn a_chain_of_many_owners_is_searched_in_linear_steps() {
    for length in [1_000, 10_000_u64] {
        let keys = keys(length as u32 + 1);
        let mut bench = bench(&keys);
        // Each holds the lock that the one before it waits for.
        for (nth, key) in keys.iter().enumerate() {
            granted(ask(&mut bench, &[key], &nth.to_string(), |_| {}));
        }
        for nth in (0..length).rev() {
            let key = &keys[nth as usize + 1];
            let answer = ask(&mut bench, &[key], &nth.to_string(), |_| {});
            assert!(matches!(answer, Answer::Waits(_)));
        }
        let before = steps(&bench);
        granted(ask(&mut bench, &[&keys[0]], "0", |_| {}));
        bench.documents.locks.insert((0, b"aside".to_vec()), Locks::default());
        granted(ask(&mut bench, &[b"aside"], "last", |_| {}));
        assert!(matches!(ask(&mut bench, &[b"aside"], "behind", |_| {}), Answer::Waits(_)));
        assert!(matches!(ask(&mut bench, &[&keys[0]], "last", |_| {}), Answer::Waits(_)));
        let asked = steps(&bench) - before;
        assert!(asked >= length && asked <= 4 * length + 10, "{asked} for {length}");
        bench.engine.swap(0, 2);
        bench.engine.swap(2, 0);
        let (most, _) = slices(&mut bench);
        assert!(most <= 8 * length + 100, "{most} for {length}");
    }
}

/// All owners wait for each other, so that all but one are refused: one in each round, and no slice does many rounds.
#[test]
fn many_refusals_in_one_cycle_take_slices_of_bounded_steps() {
    const OWNERS: u32 = 60;
    let keys = keys(OWNERS);
    let all: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    let mut bench = bench(&keys);
    let swap = |bench: &mut Bench| {
        let moved = std::mem::take(&mut bench.documents.locks).into_iter();
        bench.documents.locks = moved.map(|((db, key), locks)| ((1 - db, key), locks)).collect();
        bench.engine.swap(0, 1);
    };
    for (nth, key) in keys.iter().enumerate() {
        granted(ask(&mut bench, &[key], &nth.to_string(), |_| {}));
    }
    swap(&mut bench);
    slices(&mut bench);
    for key in &keys {
        bench.documents.locks.insert((0, key.clone()), Locks::default());
    }
    granted(ask(&mut bench, &all, "another", |_| {}));
    for nth in 0..OWNERS {
        let answer = ask(&mut bench, &all, &nth.to_string(), |_| {});
        assert!(matches!(answer, Answer::Waits(_)));
    }
    swap(&mut bench);
    let (most, refused) = slices(&mut bench);
    let places = u64::from(OWNERS * OWNERS);
    assert_eq!((refused.len() as u32, bench.engine.waiting()), (OWNERS - 1, 1));
    assert!(refused.is_sorted(), "the earliest one first");
    assert!(most <= 6 * places + SEARCH, "{most} for {places}");
}
