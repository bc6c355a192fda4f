//! Requests that wait for documents to be found, over the host in memory, without a server: workers, jobs and time drawn
//! at random, over many steps, with the line driven in pieces of any size.
//!
//! After each served request: its documents fulfilled its condition, no earlier request that waits is fulfilled by one of
//! them, and the lease of the worker before was over. When nothing is pending, no request that waits is fulfilled by any
//! document. Every request is answered once.
//!
//! `CLAIMS_SEED=n cargo test --test claims` repeats a run, `CLAIMS_ROUNDS=n` makes more of them.

#[path = "locks/random.rs"]
mod random;

use std::collections::{BTreeMap, VecDeque};

use redis_model::claim::{
    AskedSearch, CLOCK_ASKS, ClaimLine, ClaimQuestion, Claimants, OFFERS_MAX,
};
use redis_model::command::{ask_for_one, fits_question};
use redis_model::error::ErrorCode;
use redis_model::reply::Reply;
use redis_model::testing::MemoryHost;

use random::Rng;

const DEFINE: &[&str] = &[
    "MODEL.DEFINE",
    "job",
    r#"{"properties":{"tries":{"type":"integer","maximum":6}}}"#,
    "INDEX",
    "due",
    "1",
    "$.due",
    "INDEX",
    "queue",
    "2",
    "$.queue",
    "$.due",
];

/// The microseconds between 1970 and the beginning of a run.
const START_US: u64 = 1_700_000_000_000_000;

/// The world: one server, its jobs, and the requests that wait.
struct World {
    host: MemoryHost,
    /// The keys of documents that changed and were not offered yet.
    changed: VecDeque<Vec<u8>>,
    waiting: BTreeMap<u64, Vec<String>>,
    served: usize,
    refused: usize,
    /// When the lease of each job ends.
    leases: BTreeMap<String, u64>,
}

fn with_args<T>(words: &[String], run: impl FnOnce(&[&[u8]]) -> T) -> T {
    let args: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    run(&args)
}

impl World {
    fn new() -> World {
        let mut host = MemoryHost::default();
        host.call(DEFINE).unwrap();
        host.now_us = START_US;
        World {
            host,
            changed: VecDeque::new(),
            waiting: BTreeMap::new(),
            served: 0,
            refused: 0,
            leases: BTreeMap::new(),
        }
    }

    fn now(&self) -> u64 {
        self.host.now_us / 1000
    }

    /// Runs a command of a client, and records what changed.
    fn call(&mut self, words: &[&str]) -> Reply {
        let now_us = self.host.now_us;
        self.host.claims_noted = !self.changed.is_empty();
        let outcome = self.host.call(words);
        self.host.now_us = now_us;
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::Schema, "{words:?}: {error}");
                return Reply::Null;
            }
        };
        self.record(words, &outcome.effects);
        if let Some(wait) = outcome.lines_up {
            let question = wait.question;
            assert_eq!(&*question.model, "job");
            let number = self.host.claims.add(question, wait.is_asked);
            let words = words.iter().map(|word| (*word).to_owned()).collect();
            self.waiting.insert(number, words);
        }
        outcome.reply
    }

    fn record(&mut self, words: &[&str], effects: &[redis_model::command::KeyEffect]) {
        for effect in effects.iter().filter(|effect| effect.event.is_some()) {
            let key = match words.get(effect.key_arg) {
                Some(key) => key.as_bytes().to_vec(),
                None => self.host.named[effect.key_arg - words.len()].clone(),
            };
            self.changed.push_back(key);
        }
    }

    fn fits_now(&mut self, number: u64, key: &[u8]) -> bool {
        let words = self.waiting[&number].clone();
        with_args(&words, |args| fits_question(&mut self.host, args, key))
    }

    /// Does a bounded piece of the work. Returns false if there is none.
    fn step(&mut self) -> bool {
        let mut line = std::mem::take(&mut self.host.claims);
        for key in self.changed.drain(..) {
            line.offer(0, key);
        }
        let stepped = line.step(self);
        self.host.claims = line;
        stepped
    }

    fn run_to_rest(&mut self) {
        self.host.claims.tick();
        let mut steps = 0;
        while self.step() || !self.changed.is_empty() {
            steps += 1;
            assert!(steps < 1_000_000, "the work ends");
        }
    }

    /// No request that waits is fulfilled by a document.
    fn check_rest(&mut self) {
        let numbers: Vec<u64> = self.waiting.keys().copied().collect();
        assert_eq!(self.host.claims.len(), numbers.len());
        for number in numbers {
            let words = self.waiting[&number].clone();
            let found = with_args(&words, |args| ask_for_one(&mut self.host, args)).unwrap();
            assert_eq!(found, None, "{number} waits for what is there: {words:?}");
        }
    }
}

impl Claimants for World {
    fn model_at(&mut self, _: i32, key: &[u8]) -> Option<Box<str>> {
        self.host.documents.get(key).map(|document| document.model_name().into())
    }

    fn fits(&mut self, request: u64, key: &[u8]) -> bool {
        self.fits_now(request, key)
    }

    fn search(&mut self, request: u64) -> AskedSearch {
        let words = self.waiting[&request].clone();
        match with_args(&words, |args| ask_for_one(&mut self.host, args)) {
            Ok(Some(key)) => AskedSearch::Found(key),
            Ok(None) => AskedSearch::Nothing,
            Err(error) => panic!("{error}"),
        }
    }

    fn serve(&mut self, request: u64, only: Option<&[u8]>) -> bool {
        let words = self.waiting[&request].clone();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let now_us = self.host.now_us;
        // The earlier requests that the documents fulfil, before anything is changed.
        let earlier: Vec<u64> = self.waiting.range(..request).map(|(number, _)| *number).collect();
        let keys: Vec<Vec<u8>> = match only {
            Some(key) => vec![key.to_vec()],
            None => self.host.documents.keys().cloned().collect(),
        };
        self.host.serving = true;
        self.host.only_document = only.map(<[u8]>::to_vec);
        let before: Vec<(Vec<u8>, Vec<u64>)> = keys
            .into_iter()
            .map(|key| {
                let fitted = earlier.iter().copied().filter(|number| self.fits_now(*number, &key));
                let fitted = fitted.collect();
                (key, fitted)
            })
            .collect();
        let outcome = self.host.call(&words);
        self.host.now_us = now_us;
        self.host.serving = false;
        self.host.only_document = None;
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::Schema, "{error}");
                self.waiting.remove(&request).expect("it is answered once");
                self.refused += 1;
                return true;
            }
        };
        let Reply::Array(rows) = &outcome.reply else { panic!("{outcome:?}") };
        if rows.is_empty() {
            return false;
        }
        self.record(&words, &outcome.effects);
        self.waiting.remove(&request).expect("it is answered once");
        self.served += 1;
        let now = self.now();
        for row in rows {
            let Reply::Array(row) = row else { panic!("{row:?}") };
            let key = row[0].notation();
            let (_, fitted) = before.iter().find(|(known, _)| *known == key.as_bytes()).unwrap();
            assert!(fitted.is_empty(), "{request} got {key} before {fitted:?}");
            let ends = self.leases.insert(key.clone(), now + LEASE_MS);
            assert!(ends.is_none_or(|ends| ends <= now), "{key} was taken twice");
        }
        true
    }
}

/// How long a worker has a job.
const LEASE_MS: u64 = 500;
/// Unix milliseconds.
const NOW_MS: &str = "int(now) * 1000 + now.getMilliseconds()";

/// The request of a worker. Conditions that read the clock are fulfilled by time alone.
fn request(rng: &mut Rng, number: usize) -> Vec<String> {
    let own = format!("self.queue == 'q{}' && self.due <= 0", number % 40);
    let conditions = [
        format!("self.queue == 'a' && self.due <= {NOW_MS}"),
        format!("self.due <= {NOW_MS}"),
        "self.due <= 0 && self.queue == 'b' && self.tries < 3".to_owned(),
        "self.due <= 0 && self.tries < 1".to_owned(),
        "self.due <= 0".to_owned(),
        "self.due <= 0 && self.queue in ['a', 'c']".to_owned(),
        own,
    ];
    let condition = rng.pick(&conditions);
    let options: &[&str] =
        rng.pick(&[&["ORDER", "due"][..], &[], &["LIMIT", "3"], &["ORDER", "due", "LIMIT", "2"]]);
    let lease = format!("{NOW_MS} + {LEASE_MS}");
    let head = ["MODEL.FINDOP", "0", "job", "WHERE", &condition];
    let tail = ["WAIT", "1", "DO", "EVAL", "$.due", &lease, "INCR", "$.tries", "1"];
    [&head[..], options, &tail].concat().iter().map(|word| (*word).to_owned()).collect()
}

/// One run of so many steps.
fn run(seed: u64, steps: usize) -> World {
    let (mut world, mut rng) = (World::new(), Rng::new(seed));
    let mut requests = 0;
    for step in 0..steps {
        match rng.below(20) {
            0..=6 => {
                requests += 1;
                let words = request(&mut rng, requests);
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let fitted = if rng.one_in(4) { world.fitted() } else { BTreeMap::new() };
                if let reply @ Reply::Array(_) = world.call(&words) {
                    world.take_at_once(&reply, &fitted);
                }
            }
            7..=11 => {
                // Some changes at a time, as a transaction makes them.
                for _ in 0..1 + rng.below(4) {
                    let key = format!("j:{}", rng.below(30));
                    let now_ms = world.host.now_us / 1000;
                    let later = now_ms + rng.below(800) as u64;
                    let due = rng.pick(&[0, 0, later]);
                    let queue =
                        ["a", "b", "c", &format!("q{}", rng.below(40))][rng.below(4)].to_owned();
                    let json = format!(
                        "{{\"queue\":\"{queue}\",\"due\":{due},\"tries\":{}}}",
                        rng.below(7)
                    );
                    world.leases.remove(&key);
                    world.call(&["MODEL.SET", &key, "job", &json]);
                }
            }
            12 => {
                let key = format!("j:{}", rng.below(30));
                world.leases.remove(&key);
                world.call(&[
                    "MODEL.FINDOP",
                    "0",
                    "job",
                    "WHERE",
                    &format!("key == '{key}'"),
                    "SCAN",
                    "DO",
                    "DELETE",
                ]);
            }
            // While a document is being offered, a condition on the clock may become true behind its back.
            13 | 14 => {
                world.run_to_rest();
                world.host.now_us += 1000 * rng.below(300) as u64;
            }
            15 => {
                let numbers: Vec<u64> = world.waiting.keys().copied().collect();
                if !numbers.is_empty() {
                    let number = rng.pick(&numbers);
                    world.waiting.remove(&number);
                    world.host.claims.remove(number);
                }
            }
            16 => world.host.claims.tick(),
            17 if rng.one_in(10) => world.host.claims.ask_all(),
            _ => {
                for _ in 0..rng.below(12) {
                    world.step();
                }
            }
        }
        if step % 50 == 49 {
            world.run_to_rest();
            world.check_rest();
        }
    }
    world
}

impl World {
    /// The requests that wait and are fulfilled by each document.
    fn fitted(&mut self) -> BTreeMap<Vec<u8>, Vec<u64>> {
        let keys: Vec<Vec<u8>> = self.host.documents.keys().cloned().collect();
        let numbers: Vec<u64> = self.waiting.keys().copied().collect();
        let mut fitted = BTreeMap::new();
        for key in keys {
            let fits = numbers.iter().copied().filter(|number| self.fits_now(*number, &key));
            let fits: Vec<u64> = fits.collect();
            fitted.insert(key, fits);
        }
        fitted
    }

    /// A request found documents by itself: no request that waits is fulfilled by them.
    fn take_at_once(&mut self, reply: &Reply, fitted: &BTreeMap<Vec<u8>, Vec<u64>>) {
        let Reply::Array(rows) = reply else { panic!("{reply:?}") };
        let now = self.host.now_us / 1000;
        for row in rows {
            let Reply::Array(row) = row else { panic!("{row:?}") };
            let earlier = fitted.get(row[0].notation().as_bytes());
            assert!(earlier.is_none_or(Vec::is_empty), "{row:?} was due to {earlier:?}");
            let ends = self.leases.insert(row[0].notation(), now + LEASE_MS);
            assert!(ends.is_none_or(|ends| ends <= now), "{row:?} was taken twice");
        }
    }
}

#[test]
fn workers_are_served_in_order_and_no_job_twice() {
    let seed = std::env::var("CLAIMS_SEED").map_or(1, |seed| seed.parse().unwrap());
    let (mut served, mut refused) = (0, 0);
    let rounds = std::env::var("CLAIMS_ROUNDS").map_or(40, |rounds| rounds.parse().unwrap());
    for round in 0..rounds {
        println!("CLAIMS_SEED={}", seed + round);
        let world = run(seed + round, 300);
        served += world.served;
        refused += world.refused;
    }
    assert!(served > 200 && refused > 0, "{served} {refused}");
}

/// A line whose requests want one key each, and a record of what was asked.
#[derive(Default)]
struct Record {
    wanted: BTreeMap<u64, Vec<u8>>,
    there: Vec<Vec<u8>>,
    asked: usize,
    served: Vec<u64>,
}

impl Claimants for Record {
    fn model_at(&mut self, _: i32, _: &[u8]) -> Option<Box<str>> {
        Some("m".into())
    }

    fn fits(&mut self, request: u64, key: &[u8]) -> bool {
        self.asked += 1;
        self.wanted[&request] == key
    }

    fn search(&mut self, request: u64) -> AskedSearch {
        self.asked += 1;
        let wanted = &self.wanted[&request];
        match self.there.contains(wanted) {
            true => AskedSearch::Found(wanted.clone()),
            false => AskedSearch::Nothing,
        }
    }

    fn serve(&mut self, request: u64, only: Option<&[u8]>) -> bool {
        self.asked += 1;
        if only.is_some_and(|only| self.wanted[&request] != only) {
            return false;
        }
        self.there.retain(|key| *key != self.wanted[&request]);
        self.served.push(request);
        true
    }
}

fn question(text: &str, reads_clock: bool) -> ClaimQuestion {
    ClaimQuestion { database: 0, model: "m".into(), text: text.as_bytes().into(), reads_clock }
}

#[test]
fn a_step_asks_about_one_question_and_equal_questions_are_one() {
    let (mut line, mut record) = (ClaimLine::default(), Record::default());
    for nth in 0..1000 {
        let wanted = if nth < 900 { "same".to_owned() } else { format!("k{nth}") };
        let number = line.add(question(&wanted, false), false);
        record.wanted.insert(number, wanted.into_bytes());
    }
    line.offer(0, b"none".to_vec());
    while line.step(&mut record) {
        assert!(record.asked <= 101, "nine hundred requests are one question");
    }
    assert_eq!(record.asked, 101);
    record.asked = 0;
    line.offer(0, b"k999".to_vec());
    let mut before = 0;
    while line.step(&mut record) {
        assert!(record.asked - before <= 2, "a step is small, and nothing is searched");
        before = record.asked;
    }
    assert_eq!(record.served, [1000]);
    assert_eq!(line.len(), 999);
}

#[test]
fn a_document_that_changed_alone_runs_the_first_request_without_a_question_before() {
    let (mut line, mut record) = (ClaimLine::default(), Record::default());
    for wanted in ["k", "k", "other"] {
        let number = line.add(question(wanted, false), false);
        record.wanted.insert(number, wanted.as_bytes().to_vec());
    }
    line.offer(0, b"k".to_vec());
    assert!(line.step(&mut record));
    assert_eq!((&record.served[..], record.asked), (&[1][..], 1));
    // The request has changed it: before it is offered again, the client of the first one can be told.
    line.offer(0, b"k".to_vec());
    assert!(line.is_left_with_one_begun());
    line.offer(0, b"more".to_vec());
    assert!(!line.is_left_with_one_begun());
    // The next requests are offered the document, as it is then.
    while line.step(&mut record) {}
    assert_eq!(record.served, [1, 2]);
    // Two at a time, and one whose condition reads the clock: each is asked, and searches.
    for (wanted, clock) in [("one", false), ("two", false), ("clock", true)] {
        let number = line.add(question(wanted, clock), false);
        record.wanted.insert(number, wanted.as_bytes().to_vec());
    }
    record.asked = 0;
    line.offer(0, b"one".to_vec());
    line.offer(0, b"two".to_vec());
    while line.step(&mut record) {}
    line.offer(0, b"clock".to_vec());
    while line.step(&mut record) {}
    assert_eq!(record.served, [1, 2, 4, 5, 6]);
    assert!(record.asked > 6, "{}", record.asked);
}

#[test]
fn one_tick_asks_a_bounded_number_and_ticks_reach_all() {
    let (mut line, mut record) = (ClaimLine::default(), Record::default());
    for nth in 0..2 * CLOCK_ASKS + 10 {
        let wanted = format!("k{nth}");
        let number = line.add(question(&wanted, true), false);
        record.wanted.insert(number, wanted.into_bytes());
    }
    for _ in 0..3 {
        line.tick();
        let before = record.asked;
        while line.step(&mut record) {}
        assert_eq!(record.asked - before, CLOCK_ASKS);
    }
    record.there = (0..2 * CLOCK_ASKS + 10).map(|nth| format!("k{nth}").into_bytes()).collect();
    for _ in 0..3 {
        line.tick();
        while line.step(&mut record) {}
    }
    assert!(line.is_empty(), "{}", line.len());
}

#[test]
fn more_changes_than_are_kept_have_every_request_asked() {
    let (mut line, mut record) = (ClaimLine::default(), Record::default());
    for wanted in ["k5", "k9999", "never"] {
        let number = line.add(question(wanted, false), false);
        record.wanted.insert(number, wanted.as_bytes().to_vec());
    }
    for nth in 0..=OFFERS_MAX {
        let key = format!("k{nth}").into_bytes();
        record.there.push(key.clone());
        line.offer(0, key);
    }
    let mut steps = 0;
    while line.step(&mut record) {
        steps += 1;
    }
    assert!(steps < 50, "{steps}");
    assert_eq!(record.served, [1, 2]);
    assert_eq!(line.len(), 1);
    // Without a request nothing is kept.
    line.remove(3);
    line.offer(0, b"k".to_vec());
    assert!(!line.is_pending());
}
