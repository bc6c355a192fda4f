//! Clients that call a real server at once, crash now and then, and record what they saw.
//!
//! A client that crashes drops its connection right after sending, or with half of a command sent.
//! Its command is bounded nevertheless: the server is done with it when it has closed that
//! connection, or when it was killed.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::accounts::{ACCOUNTS, Account, Action, Answer, Form, Op, Revision, State, json, key};
use super::checker::{Call, Outcome};
use crate::resp::{Conn, Reply, encode};
use crate::workload::Rng;

/// How long a server may be away.
const PATIENCE: Duration = Duration::from_secs(60);

/// The moments of a history, and what all its clients share.
pub struct Recorder {
    port: u16,
    clock: AtomicU64,
    /// When servers were killed: a moment at which one was still alive, and one at which it was gone.
    deaths: Mutex<Vec<(u64, u64)>>,
    /// Names of connections that crashed clients have left.
    left: Mutex<Vec<String>>,
    pub answered: AtomicUsize,
    /// Attempts that broke off by themselves: when the connection had been opened, and when it began.
    broken: Mutex<Vec<(u64, u64)>>,
    /// Attempts after which a call was made again under its token.
    pub retried: AtomicUsize,
}

impl Recorder {
    pub fn new(port: u16) -> Recorder {
        Recorder {
            port,
            clock: AtomicU64::new(1),
            deaths: Mutex::default(),
            left: Mutex::default(),
            answered: AtomicUsize::new(0),
            broken: Mutex::default(),
            retried: AtomicUsize::new(0),
        }
    }

    fn moment(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// Has the server killed; when `kill` is done, its process is gone.
    pub fn record_death(&self, kill: impl FnOnce()) {
        let alive = self.moment();
        kill();
        let gone = self.moment();
        self.deaths.lock().unwrap().push((alive, gone));
    }

    /// The first death after a connection was opened: that of the server it led to.
    fn death(&self, opened: u64) -> Option<(u64, u64)> {
        self.deaths.lock().unwrap().iter().copied().find(|&(_, gone)| gone > opened)
    }

    /// How many attempts were under way when their server was killed.
    pub fn cut_off(&self) -> usize {
        let broken = self.broken.lock().unwrap();
        let is_cut_off = |&&(opened, began): &&(u64, u64)| {
            self.death(opened).is_some_and(|(alive, _)| began < alive)
        };
        broken.iter().filter(is_cut_off).count()
    }

    /// Returns true if the server still has connections that clients have left; `list` is CLIENT LIST's.
    pub fn is_left_open(&self, list: &str) -> bool {
        let left = self.left.lock().unwrap();
        list.split_whitespace()
            .filter_map(|word| word.strip_prefix("name="))
            .any(|open| left.iter().any(|name| name == open))
    }

    /// The history of these records, when all connections that were left are closed.
    pub fn history(&self, records: Vec<Record>) -> Vec<Call<Op, Answer>> {
        let end = self.moment();
        let bound = |opened| self.death(opened).map_or(end, |(_, gone)| gone);
        let call = |record: Record| {
            let outcome = match record.answer {
                Some((at, reply)) => Outcome::Answered { at, reply },
                // It dies with the server that the connection led to.
                None => Outcome::Lost { until: bound(record.opened) },
            };
            Call { client: record.client, op: record.op, sent: record.sent, outcome }
        };
        records.into_iter().map(call).collect()
    }
}

/// A client's record of one call.
pub struct Record {
    client: usize,
    op: Op,
    sent: u64,
    /// A moment after its connection was opened.
    opened: u64,
    answer: Option<(u64, Answer)>,
}

/// How a client does what it records as one call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Manner {
    /// As one command.
    Honest,
    /// A transfer as a command an account.
    TornWrites,
    /// A snapshot as a command an account.
    TornReads,
    /// A change by reading, computing and writing back.
    ReadModifyWrite,
    /// A transaction is asked again as one call, but the server is not told of the token.
    WithoutTokens,
}

struct Line {
    name: String,
    opened: u64,
    conn: Conn,
}

pub struct Client<'a> {
    number: usize,
    recorder: &'a Recorder,
    rng: Rng,
    manner: Manner,
    line: Option<Line>,
    /// The last reply about each account, which its conditions use.
    seen: Vec<(i64, i64)>,
    pub records: Vec<Record>,
}

impl<'a> Client<'a> {
    pub fn new(recorder: &'a Recorder, number: usize, seed: u64, manner: Manner) -> Client<'a> {
        let rng = Rng::new(seed.wrapping_add(number as u64));
        let seen = vec![(0, 0); ACCOUNTS];
        Client { number, recorder, rng, manner, line: None, seen, records: Vec::new() }
    }

    /// Sets the state that every client knows at the start of a history.
    pub fn start_from(&mut self, state: &State) {
        let known = |account: &Account| match account.revision {
            Revision::Is(revision) => (account.balance, revision),
            Revision::Above(_) => unreachable!("the first revisions are told"),
        };
        self.seen = state.iter().map(known).collect();
    }

    /// So many random calls; one in `crashes` is left without its reply.
    pub fn run(&mut self, calls: usize, crashes: usize) {
        for _ in 0..calls {
            let op = self.random_op();
            let crash = self.rng.one_in(crashes).then(|| self.rng.one_in(3));
            self.perform(op, crash);
        }
    }

    /// Calls and records it; with a crash, after all was sent or (true) after half. With a token it
    /// is asked again until there is an answer, and remains one call.
    fn perform(&mut self, op: Op, mut crash: Option<bool>) {
        let sent = self.recorder.moment();
        loop {
            let line = self.line.take().unwrap_or_else(|| self.open());
            let opened = line.opened;
            let answer = self.attempt(line, &op, crash.take());
            if answer.is_none() && op.token.is_some() {
                self.recorder.retried.fetch_add(1, Ordering::SeqCst);
                continue;
            }
            self.records.push(Record { client: self.number, op, sent, opened, answer });
            return;
        }
    }

    fn attempt(&mut self, mut line: Line, op: &Op, crash: Option<bool>) -> Option<(u64, Answer)> {
        let is_token_sent = self.manner != Manner::WithoutTokens;
        let sent = Op { token: op.token.filter(|_| is_token_sent), ..op.clone() };
        let began = self.recorder.moment();
        let asked = match crash {
            Some(half) => leave(&mut line.conn, &sent, half).map(|()| None),
            None => self.ask(&mut line.conn, &sent).map(Some),
        };
        let Ok(Some(reply)) = asked else {
            if crash.is_none() {
                self.recorder.broken.lock().unwrap().push((line.opened, began));
            }
            self.recorder.left.lock().unwrap().push(line.name);
            return None;
        };
        let at = self.recorder.moment();
        let answer = Answer::read(&reply).unwrap_or_else(|| panic!("{op:?} gave {reply:?}"));
        self.note(op, &answer);
        self.recorder.answered.fetch_add(1, Ordering::SeqCst);
        self.line = Some(line);
        Some((at, answer))
    }

    /// Reads all, on a new connection: the old one may lead to a server that was killed.
    pub fn look(&mut self) {
        self.line = None;
        self.perform(snapshot(), None);
        assert!(self.line.is_some(), "the last look was answered");
    }

    /// A new connection, when there is a server, with a name that no other ever had.
    fn open(&self) -> Line {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let name = format!("lin:{}", self.recorder.moment());
            if let Ok(mut conn) = Conn::open(self.recorder.port)
                && let Ok(Reply::Simple(_)) = exchange(&mut conn, &["CLIENT", "SETNAME", &name])
                // One that still loads its data gives an error.
                && let Ok(Reply::Simple(_)) = exchange(&mut conn, &["PING"])
            {
                return Line { name, opened: self.recorder.moment(), conn };
            }
            thread::sleep(Duration::from_millis(2));
        }
        panic!("no server came back");
    }

    fn ask(&self, conn: &mut Conn, op: &Op) -> io::Result<Reply> {
        let changes = op.steps.iter().filter(|step| matches!(step.1, Action::Add(_))).count();
        match (self.manner, op.form, changes) {
            (Manner::TornWrites, Form::Txn, 2) | (Manner::TornReads, Form::Txn, 0) => {
                in_pieces(conn, op)
            }
            (Manner::ReadModifyWrite, Form::FieldOp, 1) => read_and_write_back(conn, op),
            _ => {
                let words = op.words();
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                exchange(conn, &words)
            }
        }
    }

    fn note(&mut self, op: &Op, answer: &Answer) {
        match answer {
            Answer::False { account, balance } => self.seen[*account].0 = *balance,
            Answer::OtherRevision { account, revision } => self.seen[*account].1 = *revision,
            Answer::Told(values) => {
                let telling = op.steps.iter().filter(|step| !step.1.is_assertion());
                for ((account, action), value) in telling.zip(values) {
                    match action {
                        Action::Read | Action::Add(_) => self.seen[*account].0 = *value,
                        Action::Revision | Action::Replace(_) => self.seen[*account].1 = *value,
                        _ => {}
                    }
                }
            }
        }
    }

    fn random_op(&mut self) -> Op {
        if !matches!(self.manner, Manner::Honest | Manner::WithoutTokens) {
            return self.plain_op();
        }
        let one = self.rng.below(ACCOUNTS);
        let other = (one + 1) % ACCOUNTS;
        let (balance, revision) = self.seen[one];
        let value = self.rng.below(150) as i64;
        let is_current = (one, Action::IfRevision(revision));
        let (assign, replace) = ((one, Action::Assign(value)), (one, Action::Replace(value)));
        let (read, ask_revision) = ((one, Action::Read), (one, Action::Revision));
        let read_other = (other, Action::Read);
        match self.rng.below(15) {
            0 | 1 => snapshot(),
            2 => Op::new(Form::MGet, &[read, read_other]),
            3 => Op::new(Form::Get, &[read]),
            4..=7 => self.transfer(one),
            8 => Op::new(Form::FieldOp, &[is_current, assign, ask_revision]),
            9 => Op::new(Form::Set, &[is_current, replace]),
            10 => Op::new(Form::Txn, &[is_current, replace, read_other]),
            11 => Op::new(Form::Set, &[replace]),
            12 => Op::new(Form::FieldOp, &[(one, Action::Equals(balance)), assign]),
            13 => Op::new(Form::FieldOp, &[read, ask_revision]),
            _ => Op::new(Form::FieldOp, &[(one, Action::Add(1 + value % 9))]),
        }
    }

    /// Operations of clients that need several commands for one: mostly those, so that the fault is found soon.
    fn plain_op(&mut self) -> Op {
        let (from, n) = (self.rng.below(2), 1 + self.rng.below(9) as i64);
        match self.rng.below(3) {
            0 => snapshot(),
            1 => Op::new(Form::Txn, &[(from, Action::Add(-n)), (1 - from, Action::Add(n))]),
            _ => Op::new(Form::FieldOp, &[(from, Action::Add(n))]),
        }
    }

    /// A transfer guarded by what the account has, and now and then by its revision, which may ask
    /// for the new revisions, and may have a token.
    fn transfer(&mut self, from: usize) -> Op {
        let to = (from + 1 + self.rng.below(ACCOUNTS - 1)) % ACCOUNTS;
        let n = 1 + self.rng.below(70) as i64;
        let mut steps = Vec::new();
        if self.rng.one_in(4) {
            steps.push((from, Action::IfRevision(self.seen[from].1)));
        }
        steps.extend([(from, Action::AtLeast(n)), (from, Action::Add(-n))]);
        let is_told = self.rng.one_in(2);
        steps.extend(is_told.then_some((from, Action::Revision)));
        steps.push((to, Action::Add(n)));
        steps.extend(is_told.then_some((to, Action::Revision)));
        let token = self.rng.one_in(2).then(|| self.recorder.moment());
        Op { form: Form::Txn, steps, token }
    }
}

/// All accounts at one moment, with their revisions.
fn snapshot() -> Op {
    let steps = (0..ACCOUNTS).flat_map(|nth| [(nth, Action::Read), (nth, Action::Revision)]);
    Op::new(Form::Txn, &steps.collect::<Vec<_>>())
}

fn exchange(conn: &mut Conn, words: &[&str]) -> io::Result<Reply> {
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    conn.try_send(&encode(&words))?;
    let reply = conn.try_recv(PATIENCE)?;
    Ok(reply.expect("a server that lives answers"))
}

/// Sends the command, or half of it; its reply is not read.
fn leave(conn: &mut Conn, op: &Op, half: bool) -> io::Result<()> {
    let words = op.words();
    let bytes = encode(&words.iter().map(|word| word.as_bytes()).collect::<Vec<_>>());
    let sent = if half { bytes.len() / 2 } else { bytes.len() };
    conn.try_send(&bytes[..sent])
}

/// One command an account.
fn in_pieces(conn: &mut Conn, op: &Op) -> io::Result<Reply> {
    let mut replies = Vec::new();
    for steps in op.steps.chunk_by(|one, next| one.0 == next.0) {
        let words = Op::new(Form::FieldOp, steps).words();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        replies.push(exchange(conn, &words)?);
    }
    Ok(Reply::Array(replies))
}

fn read_and_write_back(conn: &mut Conn, op: &Op) -> io::Result<Reply> {
    let (account, Action::Add(n)) = op.steps[0] else { panic!("{op:?} is no change alone") };
    let found = exchange(conn, &["MODEL.GET", &key(account), "$.balance"])?;
    let balance = found.text().parse::<i64>().expect("a balance") + n;
    exchange(conn, &["MODEL.SET", &key(account), "any", &json(balance)])?;
    Ok(Reply::bulk(balance.to_string()))
}
