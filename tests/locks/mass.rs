//! Events that end thousands of grants or requests at once: the work is in proportion to their number, it is done in
//! bounded slices, and pending slices are not visible to new requests.

use redis_model::error::ErrorCode;
use redis_model::lock::{
    Answer, Ask, At, GrantRef, LockEdit, LockLimits, Locks, Mode, SLICE, Woken,
};

use super::Bench;

pub fn keys(count: u32) -> Vec<Vec<u8>> {
    (0..count).map(|nth| nth.to_be_bytes().to_vec()).collect()
}

pub fn bench(keys: &[Vec<u8>]) -> Bench {
    let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    Bench::new(&keys)
}

/// Asks without limits on waiters and holders.
pub fn ask(
    bench: &mut Bench,
    keys: &[&[u8]],
    owner: &str,
    change: impl FnOnce(&mut Ask<'_>),
) -> Answer {
    let documents: Vec<_> = keys.iter().map(|key| At { db: 0, key }).collect();
    let mut ask = Ask {
        documents: &documents,
        name: b"n",
        owner: owner.as_bytes(),
        mode: Mode::Exclusive,
        lease_ms: 1000,
        ephemeral: None,
        waits: true,
    };
    change(&mut ask);
    let asked = bench.engine.ask(&mut bench.documents, bench.moment, &LockLimits::NONE, ask);
    asked.expect("the request is in order")
}

#[track_caller]
pub fn granted(answer: Answer) -> u64 {
    match answer {
        Answer::Granted(grants) => grants[0].fence,
        other => panic!("{other:?}"),
    }
}

/// Runs slices until no work is pending, and returns the work and the number of edits. No slice exceeds its bound by
/// much.
fn work(bench: &mut Bench) -> (u64, usize) {
    let before = bench.engine.counters().work;
    let slices = bench.slices();
    let edits = slices.iter().map(|slice| slice.changes.len());
    assert!(edits.clone().all(|edits| edits <= 4 * SLICE));
    (bench.engine.counters().work - before, edits.sum())
}

#[test]
fn a_release_to_many_sharers_is_linear_and_in_slices() {
    for sharers in [1_000, 10_000, 20_000] {
        let mut bench = Bench::new(&[b"a"]);
        let held = granted(ask(&mut bench, &[b"a"], "holder", |_| {}));
        for nth in 0..sharers {
            let owner = nth.to_string();
            let answer = ask(&mut bench, &[b"a"], &owner, |ask| ask.mode = Mode::Shared);
            assert!(matches!(answer, Answer::Waits(_)));
        }
        bench.unlock(b"a", "holder", held);
        let (work, edits) = work(&mut bench);
        assert_eq!(edits, sharers + 2);
        assert!(work <= 4 * sharers as u64 + 10, "{work} for {sharers}");
        assert_eq!(bench.engine.held(), sharers);
        // All of them end together again.
        bench.moment.steady_ms += 1000;
        assert_eq!(bench.slices().iter().map(|slice| slice.changes.len()).sum::<usize>(), sharers);
        assert!(bench.engine.is_idle());
    }
}

#[test]
fn between_two_slices_no_request_passes_a_waiter_that_can_be_granted() {
    let mut bench = Bench::new(&[b"a"]);
    let held = granted(ask(&mut bench, &[b"a"], "holder", |_| {}));
    let sharers = 3 * SLICE;
    for nth in 0..sharers {
        ask(&mut bench, &[b"a"], &nth.to_string(), |ask| ask.mode = Mode::Shared);
    }
    let Answer::Waits(last) = ask(&mut bench, &[b"a"], "last", |_| {}) else { panic!() };
    bench.unlock(b"a", "holder", held);
    let first = bench.engine.run_slice(&mut bench.documents, bench.moment);
    assert!(!first.wakes.is_empty() && first.wakes.len() < sharers && bench.engine.has_pending());
    let busy = ask(&mut bench, &[b"a"], "new", |ask| ask.waits = false);
    assert_eq!(busy, Answer::Busy);
    let shared = |ask: &mut Ask<'_>| (ask.mode, ask.waits) = (Mode::Shared, false);
    assert_eq!(
        ask(&mut bench, &[b"a"], "new", shared),
        Answer::Busy,
        "an exclusive one is before it"
    );
    assert_eq!(first.wakes.len() + bench.woken().len(), sharers);
    assert_eq!(bench.engine.waiters_of(At { db: 0, key: b"a" }, b"n"), 1, "{last} waits");
}

#[test]
fn many_grants_of_a_closed_connection_end_in_slices_and_at_once_for_a_new_request() {
    const GRANTS: u32 = 50_000;
    let keys = keys(GRANTS);
    let mut bench = bench(&keys);
    let mut fences = Vec::new();
    for key in &keys {
        let answer = ask(&mut bench, &[key], "gone", |ask| ask.ephemeral = Some(7));
        fences.push(granted(answer));
    }
    let Answer::Waits(waiter) = ask(&mut bench, &[&keys[3]], "next", |_| {}) else { panic!() };
    bench.slices();
    bench.engine.disconnect(7);
    // Grants that are ended in this order come last.
    let (asked, renewed, forced) = (&keys[49_999], &keys[49_998], &keys[49_997]);
    let first = bench.engine.run_slice(&mut bench.documents, bench.moment);
    assert!(first.changes.len() <= SLICE && bench.engine.has_pending());
    granted(ask(&mut bench, &[asked], "new", |ask| ask.waits = false));
    let held = GrantRef { name: b"n", owner: b"gone", fence: fences[49_998] };
    let at = At { db: 0, key: renewed };
    let lost = bench.engine.renew(&mut bench.documents, bench.moment, at, held, None);
    assert_eq!(lost.map_err(|error| error.code()), Err(ErrorCode::LockLost));
    let at = At { db: 0, key: forced };
    assert_eq!(bench.engine.force(&mut bench.documents, bench.moment, at, b"n"), 0);
    assert!(bench.engine.held() > 40_000, "the others are pending");
    let (work, _) = work(&mut bench);
    assert!(work <= 2 * u64::from(GRANTS), "{work}");
    assert_eq!(bench.engine.held(), 2, "the new one, and {waiter}");
}

#[test]
fn many_leases_end_in_slices_and_at_once_for_a_new_request() {
    const GRANTS: u32 = 50_000;
    let keys = keys(GRANTS);
    let mut bench = bench(&keys);
    for key in &keys {
        granted(ask(&mut bench, &[key], "late", |_| {}));
    }
    bench.slices();
    bench.moment.steady_ms += 1000;
    let next = granted(ask(&mut bench, &[&keys[49_999]], "next", |ask| ask.waits = false));
    let (at, held) =
        (At { db: 0, key: &keys[49_999] }, GrantRef { name: b"n", owner: b"next", fence: next });
    bench.engine.renew(&mut bench.documents, bench.moment, at, held, None).expect("it is held");
    assert!(bench.engine.held() > 40_000, "the others are pending");
    let (work, _) = work(&mut bench);
    assert!(work <= 3 * u64::from(GRANTS), "{work}");
    assert_eq!((bench.engine.held(), bench.engine.counters().expired), (1, u64::from(GRANTS)));
}

/// Runs slices and ends leases until nothing is due. No slice looks at more documents than it may.
fn settle(bench: &mut Bench) {
    loop {
        let before = bench.documents.looked_at;
        bench.engine.tick(&mut bench.documents, bench.moment);
        bench.engine.run_slice(&mut bench.documents, bench.moment);
        assert!(bench.documents.looked_at - before <= 10 * SLICE);
        let due = bench.engine.next_end().is_some_and(|ends| ends <= bench.moment.steady_ms);
        if !due && !bench.engine.has_pending() {
            return;
        }
    }
}

#[test]
fn a_promotion_with_many_leases_examines_no_document_and_no_lease_ends_by_its_old_end() {
    const GRANTS: u32 = 50_000;
    let keys = keys(GRANTS);
    let mut bench = bench(&keys);
    for key in &keys {
        granted(ask(&mut bench, &[key], "holder", |_| {}));
    }
    bench.slices();
    // A replica ends no lease, however long its master is silent.
    bench.moment.steady_ms += 5000;
    bench.moment.since_ms = bench.moment.steady_ms;
    let (work, looked_at) = (bench.engine.counters().work, bench.documents.looked_at);
    bench.engine.become_master();
    assert_eq!((bench.engine.counters().work, bench.documents.looked_at), (work, looked_at));
    let locks = &bench.documents.locks[&(0, keys[7].clone())];
    let fence = locks.holders(b"n")[0].fence;
    assert!(locks.holding(b"n", b"holder", fence, bench.moment).is_some());
    let busy = ask(&mut bench, &[&keys[49_999]], "next", |ask| ask.waits = false);
    assert_eq!(busy, Answer::Busy);
    settle(&mut bench);
    assert_eq!(bench.engine.held(), GRANTS as usize);
    assert_eq!(bench.engine.next_end(), Some(bench.moment.steady_ms + 1000));
    bench.moment.steady_ms += 999;
    settle(&mut bench);
    assert_eq!(bench.engine.held(), GRANTS as usize);
    bench.moment.steady_ms += 1;
    settle(&mut bench);
    assert!(bench.engine.is_idle());
}

#[test]
fn many_documents_that_are_loaded_with_locks_are_taken_over_in_slices() {
    const GRANTS: u32 = 50_000;
    let keys = keys(GRANTS);
    let mut bench = bench(&keys);
    for key in &keys {
        granted(ask(&mut bench, &[key], "holder", |_| {}));
    }
    bench.slices();
    bench.engine = redis_model::lock::Engine::default();
    for (key, locks) in keys.iter().zip(bench.documents.locks.values_mut()) {
        *locks = super::simulation::loaded(locks);
        bench.engine.arrive(At { db: 0, key }.to_document_key());
    }
    let busy = ask(&mut bench, &[&keys[0]], "next", |ask| ask.waits = false);
    assert_eq!(busy, Answer::Busy, "a document is taken over before its turn by a request for it");
    assert!(bench.engine.held() < 3 * SLICE, "the others are pending");
    settle(&mut bench);
    assert_eq!(bench.engine.held(), GRANTS as usize);
}

#[test]
fn ephemeral_grants_from_before_a_promotion_end_in_slices_and_their_connections_ask_again() {
    const GRANTS: u32 = 50_000;
    let keys = keys(GRANTS);
    let mut bench = bench(&keys);
    for key in &keys {
        granted(ask(&mut bench, &[key], "holder", |ask| ask.ephemeral = Some(7)));
    }
    bench.slices();
    bench.engine.become_master();
    // As a replica it ends nothing.
    bench.engine.withhold_ends();
    settle(&mut bench);
    assert_eq!(bench.engine.held(), GRANTS as usize);
    bench.engine.become_master();
    let first = bench.engine.run_slice(&mut bench.documents, bench.moment);
    assert!(first.changes.len() <= SLICE && bench.engine.has_pending());
    granted(ask(&mut bench, &[&keys[49_999]], "holder", |ask| ask.ephemeral = Some(7)));
    settle(&mut bench);
    assert_eq!(bench.engine.held(), 1, "the one asked for since");
    bench.engine.disconnect(7);
    settle(&mut bench);
    assert!(bench.engine.is_idle());
}

#[test]
fn many_requests_for_a_deleted_document_end_in_slices() {
    const WAITERS: u32 = 400;
    let keys = keys(300);
    let all: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    let mut bench = bench(&keys);
    let held = granted(ask(&mut bench, &all[..1], "holder", |_| {}));
    for nth in 0..WAITERS {
        let answer = ask(&mut bench, &all, &nth.to_string(), |_| {});
        assert!(matches!(answer, Answer::Waits(_)));
    }
    // Behind all of them, on a document without holders.
    let Answer::Waits(behind) = ask(&mut bench, &all[7..8], "behind", |_| {}) else { panic!() };
    bench.slices();
    let before = bench.engine.counters().work;
    let locks = bench.documents.locks.remove(&(0, keys[0].clone())).expect("it is there");
    bench.engine.remove(At { db: 0, key: &keys[0] }, &locks);
    assert!(bench.engine.counters().work - before <= u64::from(WAITERS), "told, nothing else");
    assert_eq!(bench.engine.waiting(), 1);
    let slices = bench.slices();
    let wakes: Vec<_> = slices.iter().flat_map(|slice| &slice.wakes).collect();
    let gone = wakes.iter().filter(|wake| matches!(wake.woken, Woken::Gone(_))).count();
    assert_eq!((gone as u32, wakes.len() as u32), (WAITERS, WAITERS + 1));
    assert!(wakes.last().is_some_and(|wake| wake.waiter == behind));
    assert!(slices.len() > 10, "{} slices", slices.len());
    assert!(bench.engine.waiters_of(At { db: 0, key: &keys[7] }, b"n") == 0 && held > 0);
    let locks = bench.documents.locks.values().filter(|locks| !Locks::is_free(locks));
    assert_eq!(locks.count(), 1);
    let released = |edit: &&LockEdit| matches!(edit, LockEdit::Release { .. });
    let edits = slices.iter().flat_map(|slice| &slice.changes).map(|(_, edit)| edit);
    assert_eq!(edits.filter(released).count(), 0);
}
