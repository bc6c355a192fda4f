//! Histories of real clients on real servers are linearizable: transactions, field operations, reads
//! of one and of several documents and conditional writes, while clients crash, and over a server
//! that is killed. A transaction that is asked again under its token is one call throughout.
//!
//! A history is short, so that it can be checked; there are many. What they must contain is asserted,
//! and clients that do in several commands, or twice, what they call one are found out, as are servers
//! that forget.

mod accounts;
pub mod checker;
mod clients;
mod verdicts;

use std::sync::atomic::Ordering;
use std::thread;

use redis_model::testing::coverage::{Missing, until_covered};

use crate::harness::{AOF_REWRITTEN, Server, on_every_server, on_every_server_with};
use crate::workload;
use accounts::{ACCOUNTS, Account, Accounts, Action, Answer, Op, Revision, State, json, key};
use checker::{Call, check, describe, must_have_happened};
use clients::{Client, Manner, Recorder};

const CLIENTS: usize = 4;
const BALANCE: i64 = 100;
const CALLS: usize = 12;
/// One call in so many is left without its reply.
const CRASHES: usize = 24;
/// Batches of histories that a test records until they contain everything.
const BATCHES_MAX: u64 = 20;

type History = Vec<Call<Op, Answer>>;

/// Documents as they were written before anyone else came.
fn prepare(server: &Server) -> State {
    let conn = &mut server.conn();
    let mut account = |nth| {
        let revision = conn.must(&["MODEL.SET", &key(nth), "any", &json(BALANCE)]).int();
        Account { balance: BALANCE, revision: Revision::Is(revision) }
    };
    (0..ACCOUNTS).map(&mut account).collect()
}

/// Clients at once, `trouble` meanwhile, and a last look when all that was sent is over. The trouble
/// is given what tells whether the clients are done.
fn record(
    server: &Server,
    recorder: &Recorder,
    clients: &mut [Client],
    calls: usize,
    trouble: impl FnOnce(&dyn Fn() -> bool),
) -> (State, History) {
    let initial = prepare(server);
    thread::scope(|scope| {
        let mut running = Vec::new();
        for client in &mut *clients {
            client.start_from(&initial);
            running.push(scope.spawn(|| client.run(calls, CRASHES)));
        }
        trouble(&|| running.iter().all(|client| client.is_finished()));
    });
    let conn = &mut server.conn();
    server.wait_until("connections that were left are closed", || {
        !recorder.is_left_open(conn.must(&["CLIENT", "LIST"]).text())
    });
    clients[0].look();
    let records = clients.iter_mut().flat_map(|client| client.records.drain(..));
    (initial, recorder.history(records.collect()))
}

/// Counts of the calls in the histories of a test.
#[derive(Debug, Default)]
struct Coverage {
    calls: usize,
    overlaps: usize,
    /// Neighbours in the order that was found which were sent the other way round.
    overtaken: usize,
    conditions_false: usize,
    conditions_true: usize,
    other_revisions: usize,
    same_revisions: usize,
    lost: usize,
    lost_and_happened: usize,
    lost_and_left_out: usize,
}

impl Coverage {
    fn add(&mut self, initial: &State, history: &History, order: &[usize]) {
        self.calls += history.len();
        for (nth, call) in history.iter().enumerate() {
            self.overlaps += history[nth + 1..].iter().filter(|other| call.overlaps(other)).count();
            if call.is_lost() {
                self.lost += 1;
                let happened = must_have_happened(&Accounts, initial, history, nth);
                self.lost_and_happened += usize::from(happened);
                self.lost_and_left_out += usize::from(!order.contains(&nth));
            }
            self.count_guards(call);
        }
        let sent = |nth: usize| history[nth].sent;
        self.overtaken += order.windows(2).filter(|pair| sent(pair[0]) > sent(pair[1])).count();
    }

    fn count_guards(&mut self, call: &Call<Op, Answer>) {
        let checker::Outcome::Answered { reply, .. } = &call.outcome else { return };
        let of_revisions = |action| matches!(action, Action::IfRevision(_));
        let assertions = || call.op.steps.iter().map(|step| step.1).filter(|a| a.is_assertion());
        match reply {
            Answer::False { .. } => self.conditions_false += 1,
            Answer::OtherRevision { .. } => self.other_revisions += 1,
            Answer::Told(_) => {
                let revisions = assertions().filter(|action| of_revisions(*action)).count();
                self.same_revisions += revisions;
                self.conditions_true += assertions().count() - revisions;
            }
        }
    }

    /// The events without which the test would have shown less than it says.
    fn missing(&self, retried: usize) -> Missing {
        Missing::of(&[
            ("calls at the same time", self.overlaps),
            ("a call before one that was sent earlier", self.overtaken),
            ("a condition that is false", self.conditions_false),
            ("a condition that is true", self.conditions_true),
            ("another revision", self.other_revisions),
            ("the same revision", self.same_revisions),
            ("a lost call that happened", self.lost_and_happened),
            ("a lost call that did not happen", self.lost_and_left_out),
            ("a call that was asked again", retried),
        ])
    }
}

#[track_caller]
fn find_order(seed: u64, initial: &State, history: &History) -> Vec<usize> {
    check(&Accounts, initial, history).unwrap_or_else(|refusal| {
        let text = describe(initial, history, &refusal);
        panic!(
            "no order explains this history\n{text}to run it again: WORKLOAD_SEED={seed} cargo \
             test --test server linearizability\n(it decides what clients choose, not when they \
             are served)"
        )
    })
}

fn new_clients(recorder: &Recorder, seed: u64, manner: Manner) -> Vec<Client<'_>> {
    let client = |nth| Client::new(recorder, nth, seed, manner);
    (0..CLIENTS).map(client).collect()
}

#[test]
fn concurrent_commands_are_linearizable_while_clients_crash() {
    let seed = workload::seed("linearizability");
    on_every_server(|server| {
        let recorder = Recorder::new(server.port);
        let mut clients = new_clients(&recorder, seed, Manner::Honest);
        let mut coverage = Coverage::default();
        until_covered(BATCHES_MAX, |_| {
            for _ in 0..250 {
                let (initial, history) = record(server, &recorder, &mut clients, CALLS, |_| {});
                let order = find_order(seed, &initial, &history);
                coverage.add(&initial, &history, &order);
            }
            coverage.missing(recorder.retried.load(Ordering::SeqCst))
        });
        println!("{}: {coverage:?}", server.flavor.name());
    });
}

#[test]
fn a_history_over_a_killed_server_is_linearizable() {
    let seed = workload::seed("linearizability");
    on_every_server_with(&AOF_REWRITTEN, |server| {
        let recorder = Recorder::new(server.port);
        let mut clients = new_clients(&recorder, seed, Manner::Honest);
        let mut coverage = Coverage::default();
        let mut rng = workload::Rng::new(seed);
        until_covered(BATCHES_MAX, |_| {
            for _ in 0..6 {
                let answers = 10 + rng.below(40);
                let killed =
                    |done: &dyn Fn() -> bool| kill_in_the_middle(server, &recorder, answers, done);
                let (initial, history) = record(server, &recorder, &mut clients, 2 * CALLS, killed);
                let order = find_order(seed, &initial, &history);
                coverage.add(&initial, &history, &order);
            }
            Missing::of(&[
                ("calls at the same time", coverage.overlaps),
                ("a call before one that was sent earlier", coverage.overtaken),
                ("a call under way when the server was killed", recorder.cut_off()),
            ])
        });
        println!("{}: {coverage:?}", server.flavor.name());
    });
}

/// SIGKILL after so many answers more, and a new start with what is on the disk.
fn kill_in_the_middle(
    server: &Server,
    recorder: &Recorder,
    answers: usize,
    done: &dyn Fn() -> bool,
) {
    let enough = recorder.answered.load(Ordering::SeqCst) + answers;
    // This thread may have come late, and there are not so many answers more.
    server.wait_until("some calls are answered", || {
        recorder.answered.load(Ordering::SeqCst) >= enough || done()
    });
    recorder.record_death(|| server.kill9());
    server.restart();
}

/// The checker finds out clients that do not do as one what they call one.
fn check_detected(manner: Manner) {
    let seed = workload::seed("linearizability");
    on_every_server(|server| {
        let recorder = Recorder::new(server.port);
        let mut clients = new_clients(&recorder, seed, manner);
        let found_out = (0..5000).any(|_| {
            let (initial, history) = record(server, &recorder, &mut clients, CALLS, |_| {});
            check(&Accounts, &initial, &history).is_err()
        });
        assert!(found_out, "{manner:?} clients passed for honest ones");
    });
}

#[test]
fn the_checker_detects_transfers_in_two_commands() {
    check_detected(Manner::TornWrites);
}

#[test]
fn the_checker_detects_snapshots_in_several_commands() {
    check_detected(Manner::TornReads);
}

#[test]
fn the_checker_detects_reading_and_writing_back() {
    check_detected(Manner::ReadModifyWrite);
}

#[test]
fn the_checker_detects_retries_without_a_token() {
    check_detected(Manner::WithoutTokens);
}

#[test]
fn the_checker_detects_a_server_that_loses_acknowledged_writes() {
    let seed = workload::seed("linearizability");
    on_every_server(|server| {
        let recorder = Recorder::new(server.port);
        let mut clients = new_clients(&recorder, seed, Manner::Honest);
        let found_out = (0..200).any(|_| {
            // All there is to start from is what was saved at the beginning.
            let forgets = |done: &dyn Fn() -> bool| {
                server.must(&["SAVE"]);
                kill_in_the_middle(server, &recorder, CLIENTS * CALLS / 2, done);
            };
            let (initial, history) = record(server, &recorder, &mut clients, 2 * CALLS, forgets);
            check(&Accounts, &initial, &history).is_err()
        });
        assert!(found_out, "a server that lost writes passed");
    });
}
