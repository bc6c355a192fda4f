//! Clients of a service of several servers, of which any may be away: they follow redirections, go to
//! the next server when one does not answer, and know of each change whether it was promised to them.
//!
//! A change is promised when a replica has it, too. `WAIT` speaks of what its own connection wrote, and a
//! transaction that was done before under its token writes nothing: so each promise is of a mark that is
//! written after the change, on the same connection.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crate::resp::{Conn, Reply, encode};
use crate::transfers;
use crate::workload::Rng;

/// A reply after this time counts as a hang of the server.
const PATIENCE: Duration = Duration::from_secs(40);
/// When a client that must not wait for a paused server gives up on it.
const IMPATIENCE: Duration = Duration::from_millis(500);
/// Between two tasks: the servers are to have time for each other.
const REST: Duration = Duration::from_millis(2);
const LEASE: &str = "3000";
const WAIT: &str = "5000";

/// A client's knowledge of a change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Known {
    /// It is on the master and a replica.
    Promised,
    Refused,
    /// It may have been lost with the server, or the reply.
    Unknown,
}

/// The known outcome of a hash tag's changes, by their ids.
#[derive(Default)]
struct Book {
    transfers: HashMap<String, Known>,
    counts: HashMap<String, Known>,
}

pub struct Service {
    ports: Vec<u16>,
    pub tags: Vec<String>,
    books: Vec<Mutex<Book>>,
    /// How many transfers and counts of a hash tag were promised.
    promised: Vec<[AtomicUsize; 2]>,
    stop: AtomicBool,
    /// A part of the test panicked: what the others still do is of no use.
    failed: AtomicBool,
    seed: u64,
}

fn counter(tag: &str) -> String {
    format!("counter:{{{tag}}}")
}

fn command(words: &[&str]) -> Vec<u8> {
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    encode(&words)
}

impl Service {
    pub fn new(ports: Vec<u16>, tags: Vec<String>, seed: u64) -> Service {
        let books = tags.iter().map(|_| Mutex::default()).collect();
        let promised = tags.iter().map(|_| Default::default()).collect();
        let (stop, failed) = (AtomicBool::new(false), AtomicBool::new(false));
        Service { ports, tags, books, promised, stop, failed, seed }
    }

    /// The documents of a hash tag.
    pub fn fill(conn: &mut Conn, tag: &str) {
        transfers::fill(conn, tag);
        conn.must(&["MODEL.SET", &counter(tag), "any", r#"{"log":[]}"#]);
    }

    /// Runs this many clients of each kind while `trouble` goes on.
    pub fn run(&self, clients: usize, trouble: impl FnOnce()) {
        thread::scope(|scope| {
            for nth in 0..clients {
                scope.spawn(move || Client::new(self, nth).trade());
                scope.spawn(move || Client::new(self, clients + nth).count());
            }
            let _alarm = Alarm(self);
            trouble();
            self.stop.store(true, Relaxed);
        });
    }

    /// Waits until so many changes more of every kind were promised for every hash tag.
    #[track_caller]
    pub fn wait_for_load(&self, more: usize) {
        let now = || self.promised.iter().flatten().map(|count| count.load(Relaxed));
        let before: Vec<usize> = now().collect();
        let end = Instant::now() + 2 * PATIENCE;
        while now().zip(&before).any(|(now, before)| now < before + more) {
            assert!(!self.has_failed(), "a client failed: its own message says why");
            let counts = || now().collect::<Vec<_>>();
            assert!(Instant::now() < end, "no load: {before:?} {:?}", counts());
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn has_failed(&self) -> bool {
        self.failed.load(Relaxed)
    }

    fn is_over(&self) -> bool {
        self.stop.load(Relaxed) || self.has_failed()
    }

    /// Compares the documents of a hash tag with the replies that the clients read.
    #[track_caller]
    pub fn check(&self, conn: &mut Conn, tag: usize) {
        let name = &self.tags[tag];
        let book = self.books[tag].lock().unwrap();
        let sides = transfers::sides(conn, name);
        check_book(&book.transfers, sides.keys());

        let counter = conn.must(&["MODEL.GET", &counter(name)]).json();
        let log = counter["log"].as_array().expect("a log");
        let fences: Vec<i64> =
            log.iter().map(|entry| entry[0].as_i64().expect("a fence")).collect();
        assert!(fences.is_sorted_by(|one, next| one < next), "{name}: each had a fence of its own");
        let ids: Vec<String> =
            log.iter().map(|one| one[1].as_str().expect("an id").into()).collect();
        check_book(&book.counts, ids.iter());
    }
}

/// Asserts that acknowledged changes were applied once, and refused ones not at all.
#[track_caller]
fn check_book<'a>(book: &HashMap<String, Known>, happened: impl Iterator<Item = &'a String>) {
    let mut once = HashSet::new();
    for id in happened {
        assert!(once.insert(id), "{id} happened twice");
        assert!(book.contains_key(id), "{id} happened without a request");
    }
    for (id, known) in book {
        match known {
            Known::Promised => assert!(once.contains(id), "{id} was promised and is not there"),
            Known::Refused => assert!(!once.contains(id), "{id} was refused and happened"),
            Known::Unknown => {}
        }
    }
}

/// Tells the others when the part of the test that holds it panics.
struct Alarm<'s>(&'s Service);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.failed.store(true, Relaxed);
        }
    }
}

/// The outcome of a request.
enum Outcome {
    Told(Reply),
    /// It is unknown if the change was applied.
    Lost,
}

struct Client<'s> {
    service: &'s Service,
    nth: usize,
    rng: Rng,
    conns: HashMap<u16, Conn>,
    /// Where the documents of each hash tag were last.
    at: Vec<u16>,
}

impl Client<'_> {
    fn new(service: &Service, nth: usize) -> Client<'_> {
        let rng = Rng::new(service.seed.wrapping_add(nth as u64));
        let at = vec![service.ports[0]; service.tags.len()];
        Client { service, nth, rng, conns: HashMap::new(), at }
    }

    fn go_on_elsewhere(&mut self, tag: usize) {
        let nth = self.service.ports.iter().position(|port| *port == self.at[tag]);
        let next = nth.map_or(0, |nth| nth + 1) % self.service.ports.len();
        self.at[tag] = self.service.ports[next];
        thread::sleep(REST);
    }

    /// Sends the command to the node that serves the hash tag, along redirections; retries while no node does.
    fn ask(&mut self, tag: usize, request: &[u8], patience: Duration) -> Outcome {
        let end = Instant::now() + 2 * PATIENCE;
        let mut asking = None;
        while !self.service.has_failed() {
            assert!(Instant::now() < end, "no node serves {}", self.service.tags[tag]);
            let port = asking.unwrap_or(self.at[tag]);
            if !self.conns.contains_key(&port) {
                let Ok(conn) = Conn::open(port) else {
                    asking = None;
                    self.go_on_elsewhere(tag);
                    continue;
                };
                self.conns.insert(port, conn);
            }
            let conn = self.conns.get_mut(&port).expect("it was opened");
            let mut bytes = if asking.is_some() { command(&["ASKING"]) } else { Vec::new() };
            bytes.extend(request);
            let sent = conn.try_send(&bytes).is_ok();
            let asked =
                sent && (asking.is_none() || matches!(conn.try_recv(patience), Ok(Some(_))));
            let reply = if asked { conn.try_recv(patience) } else { Ok(None) };
            let Ok(Some(reply)) = reply else {
                let hangs = asked && reply.is_ok() && patience == PATIENCE;
                assert!(!hangs, "who waits is not answered: {}", request.escape_ascii());
                self.conns.remove(&port);
                self.go_on_elsewhere(tag);
                return Outcome::Lost;
            };
            asking = None;
            let Reply::Error(text) = &reply else { return Outcome::Told(reply) };
            let there = || text.rsplit(':').next().and_then(|port| port.parse().ok());
            match reply.error_word() {
                "MOVED" => self.at[tag] = there().expect("MOVED names a port"),
                "ASK" => asking = there(),
                "TRYAGAIN" => thread::sleep(REST),
                "CLUSTERDOWN" | "LOADING" | "READONLY" | "MASTERDOWN" => self.go_on_elsewhere(tag),
                _ => return Outcome::Told(reply),
            }
        }
        Outcome::Lost
    }

    /// Returns true if a replica has the last change of the hash tag.
    fn is_promised(&mut self, tag: usize) -> bool {
        let mark = format!("mark:{{{}}}:{}", self.service.tags[tag], self.nth);
        let Some(conn) = self.conns.get_mut(&self.at[tag]) else { return false };
        let wait = [command(&["SET", &mark, "1"]), command(&["WAIT", "1", "400"])].concat();
        let sent = conn.try_send(&wait).is_ok();
        let mut told = || conn.try_recv(2 * IMPATIENCE).ok().flatten();
        let promised = sent && told() == Some(Reply::ok()) && told() == Some(Reply::Int(1));
        if !promised {
            // A reply may still come that belongs to nothing.
            self.conns.remove(&self.at[tag]);
        }
        promised
    }

    /// The known outcome of a change with this reply.
    fn knowledge_of(&mut self, tag: usize, kind: usize) -> Known {
        if !self.is_promised(tag) {
            return Known::Unknown;
        }
        self.service.promised[tag][kind].fetch_add(1, Relaxed);
        Known::Promised
    }

    /// Transfers under tokens, each until it is promised or refused.
    fn trade(mut self) {
        let _alarm = Alarm(self.service);
        for number in 0.. {
            if self.service.is_over() {
                return;
            }
            thread::sleep(REST);
            let tag = self.rng.below(self.service.tags.len());
            let name = &self.service.tags[tag];
            if self.rng.one_in(5) {
                if let Outcome::Told(sum) = self.ask(tag, &transfers::look(name), IMPATIENCE) {
                    transfers::check_sum(&sum);
                }
                continue;
            }
            let id = format!("{}:{number}", self.nth);
            let request = transfers::request(&mut self.rng, name, &id, true);
            let known = self.transfer(tag, &request);
            self.service.books[tag].lock().unwrap().transfers.insert(id, known);
        }
    }

    fn transfer(&mut self, tag: usize, request: &[u8]) -> Known {
        for attempt in 0.. {
            if self.service.has_failed() {
                break;
            }
            match self.ask(tag, request, IMPATIENCE) {
                Outcome::Told(Reply::Array(_)) => {
                    if self.knowledge_of(tag, 0) == Known::Promised {
                        return Known::Promised;
                    }
                }
                Outcome::Told(reply) => {
                    assert!(["CONDITION", "RULE"].contains(&reply.error_word()), "{reply:?}");
                    // An attempt before may have been done elsewhere.
                    return if attempt == 0 { Known::Refused } else { Known::Unknown };
                }
                Outcome::Lost => {}
            }
        }
        Known::Unknown
    }

    /// Notes, one after another and under a lock, that it was there.
    fn count(mut self) {
        let _alarm = Alarm(self.service);
        for number in 0.. {
            if self.service.is_over() {
                return;
            }
            thread::sleep(REST);
            let tag = self.rng.below(self.service.tags.len());
            let id = format!("{}:{number}", self.nth);
            let known = self.note(tag, &id);
            self.service.books[tag].lock().unwrap().counts.insert(id, known);
        }
    }

    fn note(&mut self, tag: usize, id: &str) -> Known {
        let key = counter(&self.service.tags[tag]);
        let lock = command(&["MODEL.LOCK", &key, "log", id, "LEASE", LEASE, "WAIT", WAIT]);
        let fence = match self.ask(tag, &lock, PATIENCE) {
            Outcome::Told(Reply::Array(granted)) => granted[0].int().to_string(),
            Outcome::Told(Reply::Null) | Outcome::Lost => return Known::Refused,
            Outcome::Told(reply) => {
                // The document moved while it was waited for, or the server is a master no more.
                let words = ["NOKEY", "UNBLOCKED"];
                assert!(words.contains(&reply.error_word()), "{reply:?}");
                return Known::Refused;
            }
        };
        let held = ["log", id, &fence];
        let entry = format!(r#"[[{fence},"{id}"]]"#);
        let mut words = vec!["MODEL.FIELDOP", &key, "HOLDING"];
        words.extend(held);
        words.extend(["APPEND", "$.log", &entry, "RELEASE"]);
        words.extend(held);
        match self.ask(tag, &command(&words), PATIENCE) {
            Outcome::Told(Reply::Error(text)) => {
                assert!(text.starts_with("LOCKLOST "), "{text}");
                Known::Refused
            }
            Outcome::Told(_) => self.knowledge_of(tag, 1),
            Outcome::Lost => Known::Unknown,
        }
    }
}
