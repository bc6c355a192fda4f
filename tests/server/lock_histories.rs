//! Histories of real clients that work under locks on real servers are correct: an exclusive holder is the only
//! one, a lost grant is not used again, fences grow, leases are neither cut short nor outlived, and no write
//! under a lock is lost. Clients disconnect and oversleep meanwhile, servers are killed, and replicas take over;
//! every request is answered, and no lock or request is left at the end.
//!
//! The checker of linearizability compares each history with a model of locks; invariants of every history are
//! checked without it as well. The checker detects clients that do not do what they record.

mod clients;
mod model;

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Instant;

use redis_model::testing::coverage::{Missing, until_covered};

use crate::harness::{
    AOF_REWRITTEN, Server, on_every_flavor, on_every_server, on_every_server_with,
};
use crate::linearizability::checker::{Call, Outcome, check, describe, is_refused};
use crate::resp::Reply;
use crate::workload::{self, Rng};
use clients::{Client, Manner, Recorder};
use model::{Answer, DOCUMENTS, Grant, LOCKS, LockModel, Op, State, Told, What};

const CLIENTS: usize = 6;
const TASKS: usize = 5;
const ROUNDS: usize = 25;
/// The number of killed servers.
const DEATHS: usize = 5;
/// Batches of so many rounds or deaths that a test runs until its histories contain everything.
const BATCHES_MAX: u64 = 20;
const EMPTY: &str = r#"{"a":0,"b":0}"#;
const LONG: &str = "60000";

type History = Vec<Call<Op, Told>>;

/// Runs concurrent clients and `trouble` beside them; afterwards reads the final state of the current server, when
/// no request waits and all leases are over. `trouble` is passed a function that returns true once the clients are done.
fn record(
    (first, last): (&Server, &Server),
    recorder: &Recorder,
    seed: u64,
    manner: Manner,
    trouble: impl FnOnce(&dyn Fn() -> bool),
) -> History {
    for document in 0..DOCUMENTS {
        first.must(&["MODEL.SET", &recorder.key(document), "any", EMPTY]);
    }
    let mut clients: Vec<Client> =
        (0..CLIENTS).map(|nth| Client::new(recorder, nth, seed, manner)).collect();
    thread::scope(|scope| {
        // The checker refutes a short history faster.
        let tasks = if manner == Manner::Honest { TASKS } else { 2 };
        let run = |client| scope.spawn(move || Client::run(client, tasks));
        let running: Vec<_> = clients.iter_mut().map(run).collect();
        trouble(&|| running.iter().all(|client| client.is_finished()));
    });
    check_idle(last);
    clients[0].look();
    let records = clients.iter_mut().flat_map(|client| client.records.drain(..));
    recorder.history(records.collect())
}

fn check_idle(server: &Server) {
    for field in ["model_lock_waiters", "model_locks_held", "blocked_clients"] {
        server.wait_until(&format!("{field} is 0"), || server.info(field) == "0");
    }
}

/// Asserts that the model explains the history, and that the history satisfies the invariants of all histories.
#[track_caller]
fn check_history(seed: u64, history: &History) {
    let again = format!(
        "to run it again: WORKLOAD_SEED={seed} cargo test --test server lock_histories\n(it decides \
         what clients choose, not when they are served)"
    );
    if let Err(refusal) = check(&LockModel, &State::default(), history) {
        let text = describe(&State::default(), history, &refusal);
        panic!("no order explains this history\n{text}{again}");
    }
    if let Some(wrong) = find_lost_update(history).or_else(|| find_disorder(history)) {
        panic!("{wrong}\n{history:#?}\n{again}");
    }
}

/// Returns an error if the final counts are not the acknowledged writes, plus at most the unanswered ones.
fn find_lost_update(history: &History) -> Option<String> {
    let (mut acknowledged, mut lost, mut last) = ([0; LOCKS], [0; LOCKS], Vec::new());
    for call in history {
        match (&call.op.what, answer(call)) {
            (What::Write { grants, .. }, Some(Answer::Counts(_))) => {
                grants.iter().for_each(|grant| acknowledged[grant.lock] += 1);
            }
            (What::Write { grants, .. }, None) => {
                grants.iter().for_each(|grant| lost[grant.lock] += 1);
            }
            (What::Look, Some(Answer::Counts(counts))) => last.clone_from(counts),
            _ => {}
        }
    }
    let is_right =
        |lock: usize| (acknowledged[lock]..=acknowledged[lock] + lost[lock]).contains(&last[lock]);
    let wrong = (0..LOCKS).find(|lock| !is_right(*lock));
    wrong.map(|lock| format!("lock {lock}: {last:?} of {acknowledged:?} and {lost:?} lost"))
}

/// Returns a violation of: of two grants of one lock, or two writes under grants that are not both shared, the one
/// that was answered before the other was sent has the lower fence.
fn find_disorder(history: &History) -> Option<String> {
    let (mut granted, mut written) = (HashMap::new(), Vec::new());
    for call in history {
        let Outcome::Answered { at, reply } = &call.outcome else { continue };
        match (&call.op.what, &reply.answer) {
            (What::Lock { locks, shared, .. }, Answer::Granted(grants)) => {
                for (lock, (fence, _)) in locks.iter().zip(grants) {
                    let first = granted.entry((*lock, *fence)).or_insert((call.sent, *at, *shared));
                    // It is the same grant however often it was asked for.
                    *first = (first.0.min(call.sent), first.1.min(*at), first.2 && *shared);
                }
            }
            (What::Write { grants, .. }, Answer::Counts(_)) => {
                written.extend(grants.iter().map(|grant| (*grant, call.sent, *at)));
            }
            _ => {}
        }
    }
    for (one, before) in &granted {
        for (other, after) in &granted {
            if one.0 == other.0 && before.1 < after.0 && one.1 > other.1 {
                return Some(format!("{other:?} was granted after {one:?}"));
            }
        }
    }
    let is_shared = |grant: Grant| granted.get(&(grant.lock, grant.fence)).is_some_and(|it| it.2);
    for (one, _, at) in &written {
        for (other, sent, _) in &written {
            let is_late = one.lock == other.lock && at < sent && one.fence > other.fence;
            if is_late && !(is_shared(*one) && is_shared(*other)) {
                return Some(format!("{other:?} wrote after {one:?}"));
            }
        }
    }
    None
}

fn answer(call: &Call<Op, Told>) -> Option<&Answer> {
    match &call.outcome {
        Outcome::Answered { reply, .. } => Some(&reply.answer),
        Outcome::Lost { .. } => None,
    }
}

/// Counts of the events in the histories of a test.
#[derive(Debug, Default)]
struct Coverage {
    calls: usize,
    granted: usize,
    several_granted: usize,
    not_granted: usize,
    deadlocks: usize,
    written: usize,
    renewed: usize,
    told_lost: usize,
    writes_lost: usize,
    hung_up: usize,
    /// Grants of a killed server that were used on its successor.
    outlived: usize,
}

impl Coverage {
    fn add(&mut self, history: &History) {
        self.calls += history.len();
        for call in history {
            let count = match (&call.op.what, answer(call)) {
                (What::Lock { locks, .. }, Some(Answer::Granted(_))) if locks.len() > 1 => {
                    &mut self.several_granted
                }
                (What::Lock { .. }, Some(Answer::Granted(_))) => &mut self.granted,
                (_, Some(Answer::NotGranted)) => &mut self.not_granted,
                (_, Some(Answer::Deadlock)) => &mut self.deadlocks,
                (_, Some(Answer::Lost(_))) => &mut self.told_lost,
                (What::Write { .. }, Some(_)) => &mut self.written,
                (What::Write { .. }, None) => &mut self.writes_lost,
                (What::Renew { .. }, Some(_)) => &mut self.renewed,
                (What::HangUp(_), _) => &mut self.hung_up,
                _ => continue,
            };
            *count += 1;
        }
        let restart = history.iter().find(|call| matches!(call.op.what, What::Restart { .. }));
        self.outlived += restart.map_or(0, |restart| count_outlived(history, restart.sent));
    }

    /// Every kind of event that the histories of living servers have to contain.
    fn missing(&self) -> Missing {
        Missing::of(&[
            ("a grant", self.granted),
            ("a grant of several locks", self.several_granted),
            ("a request in vain", self.not_granted),
            ("a deadlock", self.deadlocks),
            ("a write", self.written),
            ("a renewal", self.renewed),
            ("a lost lock", self.told_lost),
            ("a write without a reply", self.writes_lost),
            ("a disconnected holder", self.hung_up),
        ])
    }

    fn missing_of_deaths(&self) -> Missing {
        Missing::of(&[
            ("a grant used after the death of its server", self.outlived),
            ("a write without a reply", self.writes_lost),
        ])
    }
}

/// Counts the grants that were replied before the server died and used after it.
fn count_outlived(history: &History, death: u64) -> usize {
    let mut granted = HashSet::new();
    let mut used = HashSet::new();
    for call in history {
        let Outcome::Answered { at, reply } = &call.outcome else { continue };
        match (&call.op.what, &reply.answer) {
            (What::Lock { .. }, Answer::Granted(grants)) if *at < death => {
                granted.extend(grants.iter().map(|(fence, _)| *fence));
            }
            (What::Write { grants, .. }, Answer::Counts(_)) if call.sent > death => {
                used.extend(grants.iter().map(|grant| grant.fence));
            }
            _ => {}
        }
    }
    granted.intersection(&used).count()
}

/// The rounds of a batch.
fn rounds(batch: u64, count: usize) -> Range<usize> {
    let first = batch as usize * count;
    first..first + count
}

#[test]
fn histories_of_disconnecting_and_oversleeping_clients_are_linearizable() {
    let seed = workload::seed("lock_histories");
    on_every_server(|server| {
        let mut coverage = Coverage::default();
        until_covered(BATCHES_MAX, |batch| {
            for round in rounds(batch, ROUNDS) {
                let recorder = Recorder::new(round, server.port, false);
                let history = record((server, server), &recorder, seed, Manner::Honest, |_| {});
                check_history(seed, &history);
                coverage.add(&history);
            }
            coverage.missing()
        });
        println!("{}: {coverage:?}", server.flavor.name());
    });
}

/// Waits until so many calls are answered, or the clients are done.
fn wait_for_answers(server: &Server, recorder: &Recorder, answers: usize, done: &dyn Fn() -> bool) {
    server.wait_until("some calls are answered", || {
        recorder.answered.load(SeqCst) >= answers || done()
    });
}

#[test]
fn acknowledged_locks_hold_after_a_kill_and_restart() {
    let seed = workload::seed("lock_histories");
    on_every_server_with(&AOF_REWRITTEN, |server| {
        let (mut rng, mut coverage) = (Rng::new(seed), Coverage::default());
        until_covered(BATCHES_MAX, |batch| {
            for round in rounds(batch, DEATHS) {
                let recorder = Recorder::new(round, server.port, false);
                let answers = 10 + rng.below(40);
                let history = record((server, server), &recorder, seed, Manner::Honest, |done| {
                    wait_for_answers(server, &recorder, answers, done);
                    recorder.record_death(|| server.kill9(), || server.restart());
                });
                check_history(seed, &history);
                coverage.add(&history);
            }
            coverage.missing_of_deaths()
        });
        println!("{}: {coverage:?}", server.flavor.name());
    });
}

#[test]
fn replicated_locks_hold_after_a_failover() {
    let seed = workload::seed("lock_histories");
    on_every_flavor(|flavor| {
        let servers = [Server::start(flavor, &[]), Server::start(flavor, &[])];
        let (mut rng, mut coverage) = (Rng::new(seed), Coverage::default());
        until_covered(BATCHES_MAX, |batch| {
            for round in rounds(batch, DEATHS) {
                let (master, replica) = (&servers[round % 2], &servers[(round + 1) % 2]);
                if !replica.is_running() {
                    replica.restart();
                }
                replica.replica_of(master);
                let recorder = Recorder::new(round, master.port, true);
                let answers = 10 + rng.below(40);
                let history = record((master, replica), &recorder, seed, Manner::Honest, |done| {
                    wait_for_answers(master, &recorder, answers, done);
                    let promote = || {
                        replica.must(&["REPLICAOF", "NO", "ONE"]);
                        recorder.replicated.store(false, SeqCst);
                        recorder.port.store(replica.port, SeqCst);
                    };
                    recorder.record_death(|| master.kill9(), promote);
                });
                check_history(seed, &history);
                coverage.add(&history);
            }
            coverage.missing_of_deaths()
        });
        println!("{}: {coverage:?}", flavor.name());
    });
}

#[test]
fn the_checker_detects_a_server_that_loses_acknowledged_writes() {
    let seed = workload::seed("lock_histories");
    on_every_server(|server| {
        let found_out = (0..200).any(|round| {
            let recorder = Recorder::new(round, server.port, false);
            let history = record((server, server), &recorder, seed, Manner::Honest, |done| {
                // The server restarts from the file saved at the beginning.
                server.must(&["SAVE"]);
                wait_for_answers(server, &recorder, 50, done);
                recorder.record_death(|| server.kill9(), || server.restart());
            });
            find_lost_update(&history).is_some()
        });
        assert!(found_out, "a server that lost writes passed");
    });
}

/// Asserts that the checker detects clients that do something else than they record.
fn check_detected(manner: Manner) {
    let seed = workload::seed("lock_histories");
    on_every_server(|server| {
        let found_out = (0..300).any(|round| {
            let recorder = Recorder::new(round, server.port, false);
            let history = record((server, server), &recorder, seed, manner, |_| {});
            is_refused(&LockModel, &State::default(), &history)
        });
        assert!(found_out, "{manner:?} clients passed for honest ones");
    });
}

#[test]
fn the_checker_detects_writes_without_holding() {
    check_detected(Manner::Unguarded);
}

#[test]
fn the_checker_detects_an_old_fence() {
    check_detected(Manner::OldFence);
}

#[test]
fn the_checker_detects_a_shared_exclusive_lock() {
    check_detected(Manner::Sharing);
}

#[test]
fn the_checker_detects_a_lease_that_is_cut_short() {
    check_detected(Manner::LongerLease);
}

#[test]
fn a_disconnected_holder_is_replaced_when_its_lease_ends_or_at_once() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.SET", "k", "any", EMPTY]);
        for (nth, ephemeral) in [false, true, false, true].into_iter().enumerate() {
            let (lease, owner) = (if ephemeral { LONG } else { "300" }, nth.to_string());
            let ask = ["MODEL.LOCK", "k", "a", &owner, "LEASE", lease, "EPHEMERAL"];
            let begin = Instant::now();
            server.must(if ephemeral { &ask } else { &ask[..6] });
            let granted = conn.must(&["MODEL.LOCK", "k", "a", "next", "WAIT", LONG]);
            let took = begin.elapsed().as_millis();
            let expected = if ephemeral { 0..=20_000 } else { 298..=20_000 };
            assert!(expected.contains(&took), "{took} ms, ephemeral: {ephemeral}");
            let fence = granted.array()[0].int().to_string();
            conn.must(&["MODEL.UNLOCK", "k", "a", "next", &fence]);
        }
        check_idle(server);
    });
}

#[test]
fn a_process_that_is_stopped_past_its_lease_changes_nothing() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.SET", "k", "any", EMPTY]);
        let cli = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("servers/redis-cli");
        let mut process = Command::new(cli)
            .args(["-p", &server.port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-cli is there");
        let mut keyboard = process.stdin.take().expect("it has a stdin");
        let mut screen = BufReader::new(process.stdout.take().expect("it has a stdout")).lines();
        let mut line = || screen.next().expect("redis-cli prints").expect("text");
        let signal = |name: &str| {
            let kill = Command::new("kill").args([name, &process.id().to_string()]).status();
            assert!(kill.expect("kill is there").success());
        };
        writeln!(keyboard, "MODEL.LOCK k a slow LEASE 300").expect("it reads");
        let fence = line();
        let _lease_revision_document = [line(), line(), line()];
        signal("-STOP");
        for command in ["FIELDOP k HOLDING", "TXN 1 k ON k HOLDING"] {
            writeln!(keyboard, "MODEL.{command} a slow {fence} SET $.a 7").expect("it reads");
        }
        let granted = conn.must(&["MODEL.LOCK", "k", "a", "next", "LEASE", LONG, "WAIT", LONG]);
        let next = granted.array()[0].int();
        assert!(next > fence.parse().expect("a fence"));
        signal("-CONT");
        for _ in 0..2 {
            let told = std::iter::repeat_with(&mut line).find(|line| !line.is_empty());
            assert!(told.as_ref().is_some_and(|told| told.starts_with("LOCKLOST")), "{told:?}");
        }
        assert_eq!(conn.must(&["MODEL.GET", "k"]), Reply::bulk(EMPTY));
        drop(keyboard);
        process.wait().expect("it ends with its stdin");
        conn.must(&["MODEL.UNLOCK", "k", "a", "next", &next.to_string()]);
        check_idle(server);
    });
}
