//! Latency: how long one client waits for one reply, with nothing else in flight and beside a client of large documents.
//!
//! Measured by the client's clock, which includes the network and two wake-ups; commands of both sides take turns, so that
//! whatever else the machine does falls on both alike.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use super::documents;
use super::rows::transfers;
use super::server::Server;
use super::wire::{Connection, Requests};

/// Waits for replies to one kind of command, in microseconds: the median, and that of the slowest of a hundred.
pub struct Latency {
    work: &'static str,
    ours: (f64, f64),
    against: &'static str,
    theirs: (f64, f64),
}

/// Commands of each side in a round.
const COMMANDS: usize = 1000;
/// The documents and hashes that are changed.
const KEYS: usize = 1000;

/// The server has the data of the rows.
pub fn measure(server: &Server, rounds: usize) -> Vec<Latency> {
    let each = |key: &str, rest: &str| {
        Requests::make(COMMANDS, |nth| {
            let words = format!("{key}:{} {rest}", nth * 7 % KEYS);
            words.split(' ').map(String::from).collect()
        })
    };
    let incr = || each("MODEL.FIELDOP doc", "INCR $.score 1");
    let hincrby = || each("HINCRBY hash", "score 1");
    let (txn, script) = transfers(COMMANDS);
    let alone = waits(server, rounds, &incr(), &hincrby());
    let of_two = waits(server, rounds, &txn.requests, &script.requests);
    let json = documents::catalogue(0);
    let large = |read: [&str; 2], write: Vec<&str>| (owned(&read), owned(&write));
    let ours = large(["MODEL.GET", "large:0"], vec!["MODEL.SET", "large:0", "any", &json]);
    let theirs = large(["GET", "large-text"], vec!["SET", "large-text", &json]);
    let beside = |requests: &Requests, other| {
        let mut waits = busy(server, other, |connection| wait_each(connection, requests, rounds));
        percentiles(&mut waits)
    };
    let pair = |work, against, (ours, theirs)| Latency { work, ours, against, theirs };
    vec![
        pair("`FIELDOP INCR`", "`HINCRBY`", alone),
        pair("transfer, `TXN`", "`EVALSHA`", of_two),
        pair(
            "`FIELDOP INCR` beside reads and writes of a 1 MB document",
            "`HINCRBY` beside those of a 1 MB string",
            (beside(&incr(), ours), beside(&hincrby(), theirs)),
        ),
    ]
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_string()).collect()
}

fn waits(
    server: &Server,
    rounds: usize,
    ours: &Requests,
    theirs: &Requests,
) -> ((f64, f64), (f64, f64)) {
    let mut connection = server.connect();
    let (mut of_ours, mut of_theirs) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        of_ours.extend(wait_each(&mut connection, ours, 1));
        of_theirs.extend(wait_each(&mut connection, theirs, 1));
    }
    (percentiles(&mut of_ours), percentiles(&mut of_theirs))
}

/// The wait for each reply, in microseconds, one command after the other.
fn wait_each(connection: &mut Connection, requests: &Requests, rounds: usize) -> Vec<f64> {
    let mut waits = Vec::with_capacity(requests.len() * rounds);
    for _ in 0..rounds {
        let mut last = Instant::now();
        connection.run_one_by_one(requests, |_| {
            let now = Instant::now();
            waits.push((now - last).as_secs_f64() * 1e6);
            last = now;
        });
    }
    waits
}

/// Runs `work` while another client reads and writes in turn, one command after the other.
fn busy<T>(
    server: &Server,
    (read, write): (Vec<String>, Vec<String>),
    work: impl FnOnce(&mut Connection) -> T,
) -> T {
    let done = AtomicBool::new(false);
    let mut connection = server.connect();
    let mut other = server.connect();
    thread::scope(|scope| {
        scope.spawn(|| {
            let both = [write, read];
            let requests = Requests::make(2, |nth| both[nth].clone());
            while !done.load(Ordering::Relaxed) {
                other.run_one_by_one(&requests, |_| {});
            }
        });
        let result = work(&mut connection);
        done.store(true, Ordering::Relaxed);
        result
    })
}

fn percentiles(waits: &mut [f64]) -> (f64, f64) {
    waits.sort_by(f64::total_cmp);
    (waits[waits.len() / 2], waits[waits.len() * 99 / 100])
}

pub fn print(latencies: &[Latency]) {
    if latencies.is_empty() {
        return;
    }
    println!("\nLatency, one command in flight, p50 / p99 in microseconds:\n");
    println!("| work | p50 | p99 | measured against | p50 | p99 |");
    println!("|---|---|---|---|---|---|");
    for Latency { work, ours, against, theirs } in latencies {
        println!(
            "| {work} | {:.0} | {:.0} | {against} | {:.0} | {:.0} |",
            ours.0, ours.1, theirs.0, theirs.1
        );
    }
}
