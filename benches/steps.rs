//! Calibration of the budget of work: processor time of the worst commands, in the core alone, and how long
//! one of their steps takes.
//!
//!   cargo bench --bench steps [TEXT]    those with TEXT in their names; without it, all
//!   cargo bench --bench steps cycles    searches for deadlock cycles instead
//!
//! A command refused by `model.command-steps` used all its steps, so that its time divided by them is the time
//! of a step. It should be the same for all, and about the ten nanoseconds that the budget assumes. The benchmark
//! of the server measures the same commands with replies, replication and the server's allocator.

use std::collections::HashMap;

use redis_model::error::Detail;
use redis_model::lock::{Ask, At, Engine, LockLimits, Locks, Mode, Moment, Store};
use redis_model::testing::MemoryHost;

#[path = "../tests/worst/mod.rs"]
mod worst;

/// Processor time of this thread.
fn processor_ns() -> u64 {
    // The kernel accounts for a thread's time at the tick, and when it gives way.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("a Linux kernel");
    text.split(' ').next().and_then(|ns| ns.parse().ok()).expect("the first number is the time")
}

fn call(host: &mut MemoryHost, command: &[String]) -> Result<(), String> {
    let args: Vec<&str> = command.iter().map(String::as_str).collect();
    match host.call(&args) {
        // Dropping the reply and the effects belongs to the command.
        Ok(_) => Ok(()),
        Err(error) => match error.detail("limit") {
            Some(Detail::Text(name)) => Err(name.clone()),
            _ => Err(error.line()),
        },
    }
}

/// Runs one command on documents of its own and prints its row. Ends the process where it cannot be set up: its
/// time would be that of another command.
fn measure(worst: &worst::Worst) {
    if !worst.command[0].starts_with("MODEL.") {
        return;
    }
    let mut host = MemoryHost::default();
    let steps = host.settings.work.command_steps;
    for command in &worst.setup {
        if let Err(error) = call(&mut host, command) {
            let command = command.join(" ");
            eprintln!("{}: the setup is refused: {error}: {command:.200}", worst.name);
            std::process::exit(1);
        }
    }
    let start = processor_ns();
    let done = call(&mut host, &worst.command);
    let ns = (processor_ns() - start) as f64;
    let refused = done.err().unwrap_or_default();
    let step = match refused == "model.command-steps" {
        true => format!("{:.1} ns", ns / steps as f64),
        false => String::new(),
    };
    println!("| {} | {:.1} ms | {step} | {refused:.100} |", worst.name, ns / 1e6);
}

/// The locks of documents by their keys.
#[derive(Default)]
struct Shelf(HashMap<Vec<u8>, Locks>);

impl Store for Shelf {
    fn locks(&mut self, at: At<'_>) -> Option<&mut Locks> {
        self.0.get_mut(at.key)
    }
}

/// Searches for deadlock cycles among so many requests for so many documents each: one that follows from a request of a
/// holder, and one over all requests.
fn measure_cycles(waiters: usize, each: usize) {
    let (mut engine, mut shelf) = (Engine::default(), Shelf::default());
    let moment = Moment { steady_ms: 1, unix_ms: 1_700_000_000_000, since_ms: 0 };
    let count = if each == 1 { waiters } else { each };
    let keys: Vec<Vec<u8>> = (0..count as u64).map(|nth| nth.to_be_bytes().to_vec()).collect();
    for key in keys.iter().chain([&b"last".to_vec()]) {
        shelf.0.insert(key.clone(), Locks::default());
    }
    let ask = |engine: &mut Engine, shelf: &mut Shelf, keys: &[&[u8]], owner: &str| {
        let documents: Vec<At<'_>> = keys.iter().map(|key| At { db: 0, key }).collect();
        let ask = Ask {
            documents: &documents,
            name: b"n",
            owner: owner.as_bytes(),
            mode: Mode::Exclusive,
            lease_ms: 1000,
            ephemeral: None,
            waits: true,
        };
        let start = processor_ns();
        engine.ask(shelf, moment, &LockLimits::NONE, ask).expect("the request is in order");
        (processor_ns() - start) as f64 / 1e6
    };
    // The first request waits for another holder; each of a chain waits for the one before it.
    let holder = |nth: usize| if each == 1 { format!("o{}", nth + 1) } else { "holder".to_owned() };
    for (nth, key) in keys.iter().enumerate() {
        ask(&mut engine, &mut shelf, &[key], &holder(nth));
    }
    for nth in 0..waiters {
        let own: Vec<&[u8]> = match each {
            1 => vec![&keys[nth]],
            _ => keys.iter().map(Vec::as_slice).collect(),
        };
        ask(&mut engine, &mut shelf, &own, &format!("o{nth}"));
    }
    // An owner that holds a lock that is waited for comes last.
    ask(&mut engine, &mut shelf, &[b"last"], "x");
    ask(&mut engine, &mut shelf, &[b"last"], "y");
    let before = engine.counters().steps;
    let ms = ask(&mut engine, &mut shelf, &[&keys[0]], "x");
    let asked = engine.counters().steps - before;
    engine.swap(0, 0);
    let (mut all, mut slices): (f64, usize) = (0.0, 0);
    while engine.has_pending() {
        let start = processor_ns();
        engine.run_slice(&mut shelf, moment);
        all = all.max((processor_ns() - start) as f64 / 1e6);
        slices += 1;
    }
    let steps = engine.counters().steps - before - asked;
    println!("| {waiters} x {each} | {ms:.1} ms | {asked} | {slices} of {all:.1} ms | {steps} |");
}

fn main() {
    if std::env::args().any(|arg| arg == "cycles") {
        println!(
            "| requests x documents | one request | steps | slices for all, the longest | steps |"
        );
        println!("|---|---|---|---|---|");
        [(10_000, 1), (500, 500), (2000, 500)]
            .iter()
            .for_each(|(waiters, each)| measure_cycles(*waiters, *each));
        return;
    }
    let filter: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    println!("| command | processor time | a step | refused by |");
    println!("|---|---|---|---|");
    worst::each(1, &filter.join(" "), &mut |worst| measure(&worst));
}
