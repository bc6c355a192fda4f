//! Clients that work under locks on a real server, disconnect at times, and record their calls and replies.
//!
//! A client does one task after another, each with an owner of its own: it takes locks, increments counters
//! under them, renews them, repeats requests, requests upgrades, oversleeps, and releases. It disconnects while it
//! waits, between a request and its reply, and while it holds locks. A client that has lost the reply to a change
//! forgets its grants; one that has lost the reply to a lock request may repeat it.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use super::model::{Answer, DOCUMENTS, Grant, LOCKS, NAMES, Op, Told, What, document, name};
use crate::linearizability::checker::{Call, Outcome};
use crate::resp::{Conn, Reply, encode};
use crate::workload::Rng;

/// The longest time that a call may take; a longer one counts as a hang.
const PATIENCE: Duration = Duration::from_secs(20);
/// Longer than all earlier requests can hold a lock together, and shorter than the lease of an ephemeral grant.
const LONG_WAIT: &str = "15000";
const EPHEMERAL_MS: u64 = 60_000;

/// The clock of one history, in microseconds, and the state that its clients share.
pub struct Recorder {
    round: usize,
    pub port: AtomicU16,
    /// Flag: a call counts as answered only once a replica has its effects.
    pub replicated: AtomicBool,
    begin: Instant,
    last: AtomicU64,
    pub answered: AtomicUsize,
    /// For each killed server three moments: it was alive, it was dead, another one was up.
    deaths: Mutex<Vec<(u64, u64, u64)>>,
}

impl Recorder {
    pub fn new(round: usize, port: u16, replicated: bool) -> Recorder {
        Recorder {
            round,
            port: port.into(),
            replicated: replicated.into(),
            begin: Instant::now(),
            last: AtomicU64::new(0),
            answered: AtomicUsize::new(0),
            deaths: Mutex::default(),
        }
    }

    /// Later than any before it.
    pub fn moment(&self) -> u64 {
        let now = self.begin.elapsed().as_micros() as u64;
        let later = |last: u64| now.max(last + 1);
        let last = self.last.fetch_update(SeqCst, SeqCst, |last| Some(later(last)));
        later(last.expect("there is always a later one"))
    }

    pub fn key(&self, document: usize) -> String {
        format!("{{held}}:{}:{document}", self.round)
    }

    /// Has the server killed, and another one take its place.
    pub fn record_death(&self, kill: impl FnOnce(), revive: impl FnOnce()) {
        let alive = self.moment();
        kill();
        let gone = self.moment();
        revive();
        self.deaths.lock().unwrap().push((alive, gone, self.moment()));
    }

    /// The history of these records.
    pub fn history(&self, records: Vec<Record>) -> Vec<Call<Op, Told>> {
        let deaths = self.deaths.lock().unwrap();
        let bound = |opened| deaths.iter().find(|death| death.1 > opened).map(|death| death.1);
        let call = |record: Record| {
            let outcome = match record.told {
                Some(told) => Outcome::Answered { at: told.at, reply: told },
                // It ends with the server that its connection led to.
                None => Outcome::Lost { until: bound(record.opened).unwrap_or(u64::MAX) },
            };
            Call { client: record.client, sent: record.op.sent, op: record.op, outcome }
        };
        let restart = |&(sent, gone, at): &(u64, u64, u64)| {
            let op = Op { sent, what: What::Restart { gone } };
            let reply = Told { at, answer: Answer::Done };
            Call { client: usize::MAX, op, sent, outcome: Outcome::Answered { at, reply } }
        };
        records.into_iter().map(call).chain(deaths.iter().map(restart)).collect()
    }
}

/// A client's record of one call.
pub struct Record {
    client: usize,
    op: Op,
    /// A moment after its connection was opened.
    opened: u64,
    told: Option<Told>,
}

/// The relation between a client's acts and its records.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Manner {
    Honest,
    /// Writes without HOLDING.
    Unguarded,
    /// Uses the fence of its first grant for every later grant.
    OldFence,
    /// Requests shared locks and records them as exclusive.
    Sharing,
    /// Records longer leases than it requests.
    LongerLease,
}

/// The work of one owner.
struct Task {
    owner: String,
    lease_ms: u64,
    ephemeral: bool,
    grants: Vec<Grant>,
}

pub struct Client<'a> {
    number: usize,
    recorder: &'a Recorder,
    manner: Manner,
    rng: Rng,
    line: Option<(Conn, u64)>,
    /// The first fence of each lock.
    first: [Option<u64>; LOCKS],
    pub records: Vec<Record>,
}

impl<'a> Client<'a> {
    pub fn new(recorder: &'a Recorder, number: usize, seed: u64, manner: Manner) -> Client<'a> {
        let seed = seed.wrapping_add((recorder.round * 100 + number) as u64);
        let (rng, first, records) = (Rng::new(seed), [None; LOCKS], Vec::new());
        Client { number, recorder, manner, rng, line: None, first, records }
    }

    pub fn run(&mut self, tasks: usize) {
        for nth in 0..tasks {
            // A client with a wrong fence cannot release.
            let ephemeral = self.manner != Manner::OldFence && self.rng.one_in(3);
            let mut task = Task {
                owner: format!("{}:{}:{nth}", self.recorder.round, self.number),
                lease_ms: if ephemeral { EPHEMERAL_MS } else { 30 + self.rng.below(90) as u64 },
                ephemeral,
                grants: Vec::new(),
            };
            self.take(&mut task);
            while !task.grants.is_empty() {
                self.step(&mut task);
            }
        }
    }

    fn step(&mut self, task: &mut Task) {
        let grant = task.grants[self.rng.below(task.grants.len())];
        match self.rng.below(14) {
            0..=2 => self.write(task, false),
            3..=6 => self.write(task, true),
            7 => self.let_go(task),
            8 => self.renew(task, grant),
            9 | 10 if task.grants.len() < 3 => self.take(task),
            11 if self.line.is_some() && self.rng.one_in(2) => self.hang_up(task),
            12 if !task.ephemeral && self.rng.one_in(2) => {
                thread::sleep(Duration::from_millis(task.lease_ms * 5 / 4));
                self.write(task, false);
            }
            _ => thread::sleep(Duration::from_millis(1 + self.rng.below(5) as u64)),
        }
    }

    /// Asks for one name of one document or more.
    fn take(&mut self, task: &mut Task) {
        let (nth, first) = (self.rng.below(NAMES.len()), self.rng.below(DOCUMENTS));
        let many = if self.rng.one_in(3) { DOCUMENTS } else { 1 };
        let documents = (0..many).map(|offset| (first + offset) % DOCUMENTS);
        let locks: Vec<usize> = documents.map(|document| document * NAMES.len() + nth).collect();
        let shared = self.rng.one_in(3);
        let is_first = task.grants.is_empty();
        let waits = ["0", "20", LONG_WAIT, LONG_WAIT];
        let wait = if is_first { self.rng.pick(&waits) } else { LONG_WAIT };
        loop {
            let vanishes = self.rng.one_in(12).then(|| self.rng.below(10) as u64);
            let answer = self.ask(task, &locks, shared, wait, vanishes);
            let Some(answer) = answer else {
                self.hang_up(task);
                // Were it shared, others could have a greater fence before this one is heard of.
                if is_first && !shared && self.rng.one_in(2) {
                    continue;
                }
                task.grants.clear();
                return;
            };
            if let Answer::Granted(granted) = answer {
                task.grants.retain(|known| !locks.contains(&known.lock));
                let new = locks.iter().zip(granted);
                task.grants.extend(new.map(|(lock, (fence, _))| Grant { lock: *lock, fence }));
                task.grants.sort_by_key(|grant| grant.lock);
            }
            return;
        }
    }

    fn ask(
        &mut self,
        task: &Task,
        locks: &[usize],
        shared: bool,
        wait: &str,
        vanishes: Option<u64>,
    ) -> Option<Answer> {
        let keys: Vec<String> =
            locks.iter().map(|lock| self.recorder.key(document(*lock))).collect();
        let mut words = match keys.len() {
            1 => vec!["MODEL.LOCK".into()],
            count => vec!["MODEL.MLOCK".into(), count.to_string()],
        };
        words.extend(keys);
        words.extend([name(locks[0]).into(), task.owner.clone()]);
        let shares = shared || self.manner == Manner::Sharing;
        words.extend(shares.then(|| "SHARED".into()));
        words.extend(task.ephemeral.then(|| "EPHEMERAL".into()));
        words.extend(["LEASE", &task.lease_ms.to_string(), "WAIT", wait, "GET"].map(String::from));
        let (locks, owner, ephemeral) = (locks.to_vec(), task.owner.clone(), task.ephemeral);
        let lease = self.lease(task);
        let what = What::Lock { locks, owner, shared, ephemeral, lease };
        let answer = self.perform(what, &words, vanishes)?;
        let in_vain = answer == Answer::NotGranted && wait == LONG_WAIT;
        assert!(!in_vain, "it waited in vain: {words:?}");
        Some(answer)
    }

    /// The lease of its grants as it is recorded, in microseconds.
    fn lease(&self, task: &Task) -> u64 {
        task.lease_ms * if self.manner == Manner::LongerLease { 20_000 } else { 1000 }
    }

    fn write(&mut self, task: &mut Task, release: bool) {
        let guarded = matches!(self.manner, Manner::Honest | Manner::LongerLease);
        let release = release && guarded;
        let blocks: Vec<Vec<Grant>> = task
            .grants
            .chunk_by(|one, next| document(one.lock) == document(next.lock))
            .map(<[Grant]>::to_vec)
            .collect();
        let keys = blocks.iter().map(|block| self.recorder.key(document(block[0].lock)));
        let keys: Vec<String> = keys.collect();
        let as_transaction = blocks.len() > 1 || self.rng.one_in(3);
        let mut words: Vec<String> = match as_transaction {
            true => [&["MODEL.TXN".into(), keys.len().to_string()][..], &keys].concat(),
            false => vec!["MODEL.FIELDOP".into(), keys[0].clone()],
        };
        for (key, block) in keys.iter().zip(&blocks) {
            words.extend(as_transaction.then(|| ["ON".into(), key.clone()]).into_iter().flatten());
            for grant in block {
                let (name, fence) = (name(grant.lock), grant.fence.to_string());
                let (of_name, held) = (format!("$.{name}"), [name, &task.owner, &fence]);
                let held = |word: &'static str| [&[word][..], &held].concat();
                let mut statements = if guarded { held("HOLDING") } else { Vec::new() };
                statements.extend(["INCR", &of_name, "1"]);
                statements.extend(release.then(|| held("RELEASE")).into_iter().flatten());
                words.extend(statements.into_iter().map(String::from));
            }
        }
        let vanishes = self.rng.one_in(15).then_some(0);
        let what = What::Write { grants: task.grants.clone(), release };
        match self.perform(what, &words, vanishes) {
            Some(Answer::Lost(_)) => self.let_go(task),
            Some(_) if release => task.grants.clear(),
            Some(_) => {}
            None => self.hang_up(task),
        }
    }

    fn renew(&mut self, task: &mut Task, grant: Grant) {
        let words = self.held_words("MODEL.RENEW", task, grant);
        match self.perform(What::Renew { grant, lease: self.lease(task) }, &words, None) {
            Some(Answer::Lost(_)) => self.let_go(task),
            Some(_) => {}
            None => self.hang_up(task),
        }
    }

    /// Unlocks what it holds, or has lost.
    fn let_go(&mut self, task: &mut Task) {
        while let Some(grant) = task.grants.pop() {
            let words = self.held_words("MODEL.UNLOCK", task, grant);
            if self.perform(What::Unlock(grant), &words, None).is_none() {
                self.hang_up(task);
            }
        }
    }

    fn held_words(&self, command: &str, task: &Task, grant: Grant) -> Vec<String> {
        let (key, fence) = (self.recorder.key(document(grant.lock)), grant.fence.to_string());
        [command, &key, name(grant.lock), &task.owner, &fence].map(String::from).into()
    }

    /// Closes the connection. What does not end with it is forgotten, or used on the next one.
    fn hang_up(&mut self, task: &mut Task) {
        let op_sent = self.recorder.moment();
        let (_conn, opened) = self.line.take().expect("the connection was kept");
        if task.ephemeral {
            let what = What::HangUp(std::mem::take(&mut task.grants));
            let op = Op { sent: op_sent, what };
            self.records.push(Record { client: self.number, op, opened, told: None });
        } else if self.rng.one_in(4) {
            task.grants.clear();
        }
    }

    /// Reads all counts, when all else is over.
    pub fn look(&mut self) -> Vec<i64> {
        // The connection may lead to a server that was killed.
        self.line = None;
        let mut words = vec!["MODEL.MGET".into(), DOCUMENTS.to_string()];
        words.extend((0..DOCUMENTS).map(|document| self.recorder.key(document)));
        words.push("$".into());
        match self.perform(What::Look, &words, None) {
            Some(Answer::Counts(counts)) => counts,
            other => panic!("the last look gave {other:?}"),
        }
    }

    /// Calls and records it; one that vanishes reads no reply, for so many milliseconds after sending.
    /// Without a reply its connection has to be closed.
    fn perform(&mut self, what: What, words: &[String], vanishes: Option<u64>) -> Option<Answer> {
        let (mut conn, opened) = self.line.take().unwrap_or_else(|| self.open());
        let op = Op { sent: self.recorder.moment(), what };
        let told = match vanishes {
            Some(ms) => {
                // A server that is gone meanwhile makes no difference.
                let _ = send(&mut conn, words);
                thread::sleep(Duration::from_millis(ms));
                None
            }
            None => self.exchange(&mut conn, words).ok().flatten(),
        };
        let told = told.map(|reply| {
            let answer = self.understand(&op.what, &reply);
            self.recorder.answered.fetch_add(1, SeqCst);
            Told { at: self.recorder.moment(), answer }
        });
        self.line = Some((conn, opened));
        let answer = told.as_ref().map(|told| told.answer.clone());
        self.records.push(Record { client: self.number, op, opened, told });
        answer
    }

    /// The reply, where a replica has to have it, if it has.
    fn exchange(&self, conn: &mut Conn, words: &[String]) -> io::Result<Option<Reply>> {
        let ask = |conn: &mut Conn, words: &[String]| -> io::Result<Reply> {
            send(conn, words)?;
            let reply = conn.try_recv(PATIENCE)?;
            Ok(reply.unwrap_or_else(|| panic!("it hangs: {words:?}")))
        };
        let replicated = self.recorder.replicated.load(SeqCst);
        let reply = ask(conn, words)?;
        if replicated {
            // WAIT is about what the connection wrote itself, and a lock that was waited for was
            // written by the one who released it.
            let mark = format!("mark:{}", self.number);
            ask(conn, &["SET", &mark, "1"].map(String::from))?;
            let replicas = ask(conn, &["WAIT", "1", "1000"].map(String::from))?;
            return Ok((replicas == Reply::Int(1)).then_some(reply));
        }
        Ok(Some(reply))
    }

    fn understand(&mut self, what: &What, reply: &Reply) -> Answer {
        match (what, reply) {
            (What::Lock { .. }, Reply::Null) => Answer::NotGranted,
            (What::Lock { .. }, Reply::Error(_)) if reply.error_word() == "DEADLOCK" => {
                Answer::Deadlock
            }
            (_, Reply::Error(text)) if reply.error_word() == "LOCKLOST" => {
                let detail = text.split_once(' ').expect("it says more").1;
                let detail: serde_json::Value = serde_json::from_str(detail).expect("JSON");
                Answer::Lost(detail["fence"].as_u64().expect("it names the fence"))
            }
            (What::Lock { locks, .. }, _) => {
                let grants =
                    if locks.len() == 1 { std::slice::from_ref(reply) } else { reply.array() };
                let granted = locks.iter().zip(grants);
                Answer::Granted(granted.map(|(lock, grant)| self.granted(*lock, grant)).collect())
            }
            (What::Write { grants, release }, Reply::Array(replies)) => {
                let in_blocks = matches!(replies[0], Reply::Array(_));
                let flat = replies.iter().flat_map(|reply| match in_blocks {
                    true => reply.array(),
                    false => std::slice::from_ref(reply),
                });
                let counts = flat.step_by(if *release { 2 } else { 1 });
                let counts: Vec<i64> = counts.map(|reply| reply.text().parse().unwrap()).collect();
                assert_eq!(counts.len(), grants.len(), "{reply:?}");
                Answer::Counts(counts)
            }
            (What::Renew { .. } | What::Unlock(_), Reply::Int(_)) => Answer::Done,
            (What::Look, Reply::Array(documents)) => {
                let counts = |document: &Reply| NAMES.map(|name| count(document, name));
                Answer::Counts(documents.iter().flat_map(counts).collect())
            }
            _ => panic!("{what:?} gave {reply:?}"),
        }
    }

    fn granted(&mut self, lock: usize, grant: &Reply) -> (u64, i64) {
        let [fence, _lease, _revision, document] = grant.array() else { panic!("{grant:?}") };
        let fence = fence.int() as u64;
        let first = *self.first[lock].get_or_insert(fence);
        (if self.manner == Manner::OldFence { first } else { fence }, count(document, name(lock)))
    }

    /// A new connection, when there is a server.
    fn open(&self) -> (Conn, u64) {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Ok(mut conn) = Conn::open(self.recorder.port.load(SeqCst))
                && send(&mut conn, &["PING".into()]).is_ok()
                // One that still loads its data gives an error.
                && let Ok(Some(Reply::Simple(_))) = conn.try_recv(PATIENCE)
            {
                return (conn, self.recorder.moment());
            }
            thread::sleep(Duration::from_millis(2));
        }
        panic!("no server came back");
    }
}

fn count(document: &Reply, name: &str) -> i64 {
    document.json()[name].as_i64().expect("a document of counts")
}

fn send(conn: &mut Conn, words: &[String]) -> io::Result<()> {
    let words: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
    conn.try_send(&encode(&words))
}
