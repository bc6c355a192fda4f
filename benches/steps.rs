//! Calibration of the budget of work: processor time of the worst commands, in the core alone, and how long
//! one of their steps takes.
//!
//!   cargo bench --bench steps [TEXT]    those with TEXT in their names; without it, all
//!
//! A command refused by `model.command-steps` used all its steps, so that its time divided by them is the time
//! of a step. It should be the same for all, and about the ten nanoseconds that the budget assumes. The benchmark
//! of the server measures the same commands with replies, replication and the server's allocator.

use redis_model::error::Detail;
use redis_model::testing::MemoryHost;

#[path = "../tests/worst/mod.rs"]
mod worst;

/// Processor time of this thread.
fn processor_ns() -> u64 {
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
            _ => Err(error.code().word().to_owned()),
        },
    }
}

fn main() {
    let filter: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let filter = filter.join(" ");
    let steps = MemoryHost::default().settings.work.command_steps;
    println!("| command | processor time | a step | refused by |");
    println!("|---|---|---|---|");
    for worst in worst::all(1).into_iter().filter(|worst| worst.name.contains(&filter)) {
        let mut host = MemoryHost::default();
        let set_up = worst.setup.iter().try_for_each(|command| call(&mut host, command));
        if let Err(limit) = set_up {
            println!("| {} | not set up: {limit} | | |", worst.name);
            continue;
        }
        let start = processor_ns();
        let done = call(&mut host, &worst.command);
        let ns = (processor_ns() - start) as f64;
        let refused = done.err().unwrap_or_default();
        let step = match refused == "model.command-steps" {
            true => format!("{:.1} ns", ns / steps as f64),
            false => String::new(),
        };
        println!("| {} | {:.1} ms | {step} | {refused} |", worst.name, ns / 1e6);
    }
}
