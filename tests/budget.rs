//! One budget of work for each command: the worst commands are refused or small, nothing happens by halves,
//! and honest large uses fit.

mod worst;

use redis_model::error::{Detail, ErrorCode};
use redis_model::testing::MemoryHost;
use redis_model::value::print;

/// Documents are so many times smaller than default limits allow, and so is the budget.
const SCALE: usize = 20;

/// All documents as JSON, by key.
fn documents(host: &MemoryHost) -> Vec<(Vec<u8>, u64, String)> {
    let mut all: Vec<_> = host
        .documents
        .iter()
        .map(|(key, document)| {
            (key.clone(), document.revision, print::to_string(document.root.view()))
        })
        .collect();
    all.sort();
    all
}

fn call(host: &mut MemoryHost, command: &[String]) -> Result<String, String> {
    let args: Vec<&str> = command.iter().map(String::as_str).collect();
    match host.call(&args) {
        Ok(outcome) => Ok(outcome.reply.notation()),
        Err(error) if error.code() == ErrorCode::Limit => match error.detail("limit") {
            Some(Detail::Text(name)) => Err(name.clone()),
            other => panic!("a limit has a name: {other:?}"),
        },
        Err(error) => Err(error.code().word().to_owned()),
    }
}

/// Processor time of this thread.
fn processor_ms() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or_default() / 1e6
}

#[test]
fn the_worst_commands_are_refused_whole_or_take_no_more_than_their_budget() {
    let scale = std::env::var("SCALE").map_or(SCALE, |scale| scale.parse().unwrap());
    let only = std::env::var("ONLY").unwrap_or_default();
    let mut refused = 0;
    let all = worst::all(scale);
    let count = all.len();
    for worst in all.into_iter().filter(|worst| worst.name.contains(&only)) {
        let mut host = MemoryHost::default();
        for command in &worst.setup {
            call(&mut host, command).unwrap_or_else(|error| panic!("{}: {error}", worst.name));
        }
        host.settings.work.command_steps /= scale as u64;
        let before = documents(&host);
        let start = processor_ms();
        let done = call(&mut host, &worst.command);
        let took = processor_ms() - start;
        let said = match &done {
            Ok(_) => "ok",
            Err(limit) => limit,
        };
        println!("{:>9.1} ms  {}: {said}", took, worst.name);
        if done.is_err() {
            refused += 1;
            assert!(documents(&host) == before, "{}: a refusal changes nothing", worst.name);
        }
    }
    assert!(refused * 2 > count, "most of them are refused: {refused} of {count}");
}
