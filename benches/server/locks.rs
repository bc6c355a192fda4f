//! Locks: a pair of requests without contention, and how long it takes from one client's release to
//! the next one's grant, with few and many waiting.
//!
//! A hand-over is measured by the clock of the client, which is one thread: it sends the release of the
//! client that holds, and reads from the one whose turn it is. `BLPOP` of a token does the same.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use super::documents::Random;
use super::server::Server;
use super::wire::{Connection, Requests};
use super::{Line, line, median};

const WORK: &str = "`LOCK` + `UNLOCK`, nobody else wants it";
const DOCUMENTS: usize = 10_000;
const PAIRS: usize = 20_000;
const WINDOW: usize = 512;
/// Sent for the release of what is polled for, as an application does.
const DELETE_IF_MINE: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) else return 0 end";

pub const CLIENTS: [usize; 4] = [2, 10, 100, 1000];
const HAND_OVERS: usize = 1000;
const POLL: Duration = Duration::from_millis(100);
/// How long who polls keeps the lock.
const HOLD: Duration = Duration::from_millis(5);

/// Measurements of hand-overs: latencies in nanoseconds.
pub struct HandOvers {
    clients: usize,
    lock: Vec<f64>,
    blpop: Vec<f64>,
    polling: Vec<f64>,
    /// The share of clients that had it once when it was given as often as there are clients.
    served_by_polling: f64,
}

fn name(clients: usize) -> String {
    format!("hand-over of a `LOCK`, {clients} clients, p50")
}

/// The lines of the table, and what the latencies were.
pub fn measure(
    server: &Server,
    rounds: usize,
    wanted: impl Fn(&str) -> bool,
) -> (Vec<Line>, Vec<HandOvers>) {
    let mut lines = Vec::new();
    if !wanted(WORK) && !CLIENTS.into_iter().any(|clients| wanted(&name(clients))) {
        return (lines, Vec::new());
    }
    let mut connection = server.connect();
    let sha = connection.text(&["SCRIPT", "LOAD", DELETE_IF_MINE]);
    let set = |nth| words(&format!("MODEL.SET doc:{nth} any {{\"n\":1}}"));
    connection.run(&Requests::make(DOCUMENTS, set), WINDOW);
    if wanted(WORK) {
        let pairs = (0..=rounds).map(|round| uncontended(server, &sha, round % 2 == 0));
        let pairs: Vec<_> = pairs.skip(1).collect();
        lines.push(line((WORK, "`SET NX PX` + `EVALSHA`", 1.0), &pairs, "ns"));
    }
    let mut all = Vec::new();
    for clients in CLIENTS.into_iter().filter(|clients| wanted(&name(*clients))) {
        let mut hand_overs = HandOvers {
            clients,
            lock: Vec::new(),
            blpop: Vec::new(),
            polling: Vec::new(),
            served_by_polling: 0.0,
        };
        let mut pairs = Vec::new();
        for (ours, theirs) in take_turns(server, clients, rounds, &Lock, &Token) {
            pairs.push((median(ours.clone()), median(theirs.clone())));
            hand_overs.lock.extend(ours);
            hand_overs.blpop.extend(theirs);
        }
        (hand_overs.polling, hand_overs.served_by_polling) = poll(server, clients, &sha);
        lines.push(line((&name(clients), "of a token by `BLPOP`", 1.5), &pairs, "ns"));
        all.push(hand_overs);
    }
    (lines, all)
}

fn words(command: &str) -> Vec<String> {
    command.split(' ').map(String::from).collect()
}

/// Processor time of the server for a pair, ours and the other's.
fn uncontended(server: &Server, sha: &str, ours_first: bool) -> (f64, f64) {
    let mut connection = server.connect();
    let mut time = |ours: bool| {
        let before = server.cpu_ns();
        let mut random = Random::new(3);
        for start in (0..PAIRS).step_by(WINDOW) {
            // Apart from each other, so that each is free.
            let first = random.below(DOCUMENTS);
            let count = WINDOW.min(PAIRS - start);
            pairs(&mut connection, ours, sha, count, |nth| (first + nth * 17) % DOCUMENTS);
        }
        (server.cpu_ns() - before) as f64 / PAIRS as f64
    };
    if ours_first {
        let ours = time(true);
        (ours, time(false))
    } else {
        let theirs = time(false);
        (time(true), theirs)
    }
}

/// Takes locks and releases them, all at once. A release names the grant.
fn pairs(
    connection: &mut Connection,
    ours: bool,
    sha: &str,
    count: usize,
    document: impl Fn(usize) -> usize,
) {
    let take = Requests::make(count, |nth| {
        let nth = document(nth);
        words(&match ours {
            true => format!("MODEL.LOCK doc:{nth} n task:{nth}"),
            false => format!("SET lock:{nth} task:{nth} NX PX 30000"),
        })
    });
    let mut fences = Vec::new();
    connection.run_checked(&take, WINDOW, |reply| match ours {
        true => fences.push(fence(reply)),
        false => assert_eq!(reply, b"+OK\r\n", "it was free"),
    });
    let release = Requests::make(count, |nth| {
        let at = document(nth);
        words(&match ours {
            true => format!("MODEL.UNLOCK doc:{at} n task:{at} {}", fences[nth]),
            false => format!("EVALSHA {sha} 1 lock:{at} task:{at}"),
        })
    });
    connection.run_checked(&release, WINDOW, |reply| assert_eq!(reply, b":1\r\n", "it was held"));
}

/// The first number of a grant.
fn fence(reply: &[u8]) -> String {
    let text = std::str::from_utf8(reply).expect("a grant is text");
    let line = text.split("\r\n").nth(1).and_then(|line| line.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("a grant, not {text:?}")).to_owned()
}

/// Hand-overs of both sides, in nanoseconds, for each round after the first.
pub fn take_turns(
    server: &Server,
    clients: usize,
    rounds: usize,
    ours: &dyn Baton,
    theirs: &dyn Baton,
) -> Vec<(Vec<f64>, Vec<f64>)> {
    let turn = |round: usize| {
        if round.is_multiple_of(2) {
            let ours = hand_over(server, clients, ours);
            return (ours, hand_over(server, clients, theirs));
        }
        let theirs = hand_over(server, clients, theirs);
        (hand_over(server, clients, ours), theirs)
    };
    (0..=rounds).map(turn).skip(1).collect()
}

/// The lock, job or queue entry that is handed over.
pub trait Baton {
    fn prepare(&self, connection: &mut Connection);
    /// Asks for it, and waits as long as it takes.
    fn ask(&self, connection: &mut Connection, client: usize);
    /// The part of its reply that the release needs.
    fn granted(&self, reply: &[u8]) -> String;
    fn release(&self, connection: &mut Connection, client: usize, grant: &str);

    /// The reply to a release.
    fn released(&self) -> &'static [u8] {
        b":1\r\n"
    }
}

struct Lock;

impl Baton for Lock {
    fn prepare(&self, _: &mut Connection) {}

    fn ask(&self, connection: &mut Connection, client: usize) {
        connection.send(&["MODEL.LOCK", "doc:0", "n", &client.to_string(), "WAIT", "60000"]);
    }

    fn granted(&self, reply: &[u8]) -> String {
        fence(reply)
    }

    fn release(&self, connection: &mut Connection, client: usize, grant: &str) {
        connection.send(&["MODEL.UNLOCK", "doc:0", "n", &client.to_string(), grant]);
    }
}

pub struct Token;

impl Baton for Token {
    fn prepare(&self, connection: &mut Connection) {
        connection.command(&["DEL", "token"]);
        connection.command(&["RPUSH", "token", "t"]);
    }

    fn ask(&self, connection: &mut Connection, _: usize) {
        connection.send(&["BLPOP", "token", "60"]);
    }

    fn granted(&self, reply: &[u8]) -> String {
        assert_eq!(reply, b"*2\r\n$5\r\ntoken\r\n$1\r\nt\r\n");
        "t".into()
    }

    fn release(&self, connection: &mut Connection, _: usize, grant: &str) {
        connection.send(&["RPUSH", "token", grant]);
    }
}

/// From each release to the next grant. Clients ask again as soon as they have released, so that all but
/// one wait; a client that is passed over would never be answered.
fn hand_over(server: &Server, clients: usize, baton: &dyn Baton) -> Vec<f64> {
    let mut control = server.connect();
    // Requests of closed connections are gone.
    while blocked(&mut control) > 0 {}
    baton.prepare(&mut control);
    let open = || Connection::open_small(server.port).expect("the server listens");
    let mut connections: Vec<_> = (0..clients).map(|_| open()).collect();
    baton.ask(&mut connections[0], 0);
    let mut grant = baton.granted(connections[0].receive());
    for (client, connection) in connections.iter_mut().enumerate().skip(1) {
        baton.ask(connection, client);
        // One after the other, so that this is their order.
        while blocked(&mut control) < client {}
    }
    let mut latencies = Vec::with_capacity(HAND_OVERS);
    for nth in 0..HAND_OVERS {
        let (holder, next) = (nth % clients, (nth + 1) % clients);
        let before = Instant::now();
        baton.release(&mut connections[holder], holder, &grant);
        let granted = baton.granted(connections[next].receive());
        latencies.push(before.elapsed().as_nanos() as f64);
        assert_eq!(connections[holder].receive(), baton.released(), "it was released");
        baton.ask(&mut connections[holder], holder);
        grant = granted;
    }
    latencies
}

fn blocked(control: &mut Connection) -> usize {
    let info = control.text(&["INFO", "clients"]);
    let line = info.lines().find_map(|line| line.strip_prefix("blocked_clients:"));
    line.and_then(|count| count.parse().ok()).expect("INFO has blocked_clients")
}

/// Polling, for clients that cannot wait in the server: a request every 100 ms. From each release to the next grant,
/// and the share of clients served when there have been as many grants as clients.
fn poll(server: &Server, clients: usize, sha: &str) -> (Vec<f64>, f64) {
    const ASK: u8 = 0;
    const RELEASE: u8 = 1;
    let open = || Connection::open_small(server.port).expect("the server listens");
    let mut connections: Vec<_> = (0..clients).map(|_| open()).collect();
    let mut random = Random::new(11);
    let mut phase = || POLL.mul_f64(random.below(1_000_000) as f64 / 1e6);
    let start = Instant::now();
    let mut turns: BinaryHeap<_> = (0..clients).map(|nth| Reverse((phase(), nth, ASK))).collect();
    let mut released = None;
    let mut latencies = Vec::new();
    let (mut grants, mut served) = (0, vec![0; clients]);
    // At least so many, and as often as each could have had it once.
    let wanted = clients.max(60);
    while grants < wanted {
        let Reverse((at, client, what)) = turns.pop().expect("every client has a turn");
        std::thread::sleep(at.saturating_sub(start.elapsed()));
        let (connection, task) = (&mut connections[client], client.to_string());
        if what == RELEASE {
            connection.send(&["EVALSHA", sha, "1", "polled", &task]);
            released = Some(Instant::now());
            assert_eq!(connection.receive(), b":1\r\n", "it was held");
            turns.push(Reverse((start.elapsed() + POLL, client, ASK)));
            continue;
        }
        connection.send(&["SET", "polled", &task, "NX", "PX", "30000"]);
        if connection.receive() == b"+OK\r\n" {
            latencies.extend(
                released.take().map(|released: Instant| released.elapsed().as_nanos() as f64),
            );
            grants += 1;
            served[client] += 1;
            turns.push(Reverse((start.elapsed() + HOLD, client, RELEASE)));
        } else {
            turns.push(Reverse((start.elapsed() + POLL, client, ASK)));
        }
    }
    server.connect().command(&["DEL", "polled"]);
    let share = served.iter().filter(|times| **times > 0).count() as f64 / clients as f64;
    (latencies, share)
}

/// Prints the time of single hand-overs, on this machine.
pub fn print(all: &[HandOvers]) {
    let row = |values: &[f64]| {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize] / 1e3;
        format!("{:.0}, {:.0}, {:.0}", at(0.5), at(0.99), at(1.0))
    };
    println!(
        "\nFrom a release to the next grant, p50, p99 and maximum in microseconds on this machine; who"
    );
    println!("waits in the server is served in the order of asking, each once a turn:\n");
    println!(
        "| clients | `LOCK` | `BLPOP` | polling every 100 ms | served by polling, in one turn each |"
    );
    println!("|---|---|---|---|---|");
    for HandOvers { clients, lock, blpop, polling, served_by_polling } in all {
        let (lock, blpop, polling) = (row(lock), row(blpop), row(polling));
        println!(
            "| {clients} | {lock} | {blpop} | {polling} | {:.0} % |",
            served_by_polling * 100.0
        );
    }
}
