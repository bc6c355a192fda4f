//! One budget of work for each command: the worst commands are refused or small, nothing happens by halves,
//! and honest large uses fit.

mod charges;
mod usual;
#[path = "../worst/mod.rs"]
mod worst;

use redis_model::codec::effect::{Change, Effect};
use redis_model::command;
use redis_model::error::{Detail, ErrorCode};
use redis_model::expiry::Expiry;
use redis_model::testing::MemoryHost;
use redis_model::value::{Limits, View, parse, print, wire};

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
    let (mut refused, mut count) = (0, 0);
    worst::each(scale, &only, &mut |worst| {
        if !worst.command[0].starts_with("MODEL.") {
            return;
        }
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
        count += 1;
    });
    assert!(refused * 2 > count, "most of them are refused: {refused} of {count}");
}

/// The effect of putting so many elements into the middle of an array at the root, one by one.
fn inserts(count: usize, len: u64) -> Vec<u8> {
    let mut edits = Vec::new();
    for _ in 0..count {
        // The primitive, and the path of the root.
        edits.extend([4, 0]);
        wire::put_varint(len / 2, &mut edits);
        wire::put_varint(1, &mut edits);
        wire::put_value(View::Null, &mut edits);
    }
    let change = Change::Edit { edits: &edits, definition: 0 };
    Effect { revision: 1 << 40, expiry: Expiry::Keep, change }.encode()
}

#[test]
fn a_clients_own_effects_are_paid_for_and_a_masters_are_not() {
    let mut host = MemoryHost::default();
    let numbers = format!("[{}]", vec!["1"; 50_000].join(","));
    host.call(&["MODEL.SET", "k", "any", &numbers]).unwrap();
    host.settings.work.command_steps = 1_000_000;
    let before = documents(&host);
    let apply = |host: &mut MemoryHost, count| {
        let effect = inserts(count, 50_000);
        let done = command::run(host, &[b"MODEL.APPLY", b"k", &effect]);
        done.map(drop).map_err(|error| error.code())
    };
    // 25,000 elements move for each.
    assert_eq!(apply(&mut host, 1000), Err(ErrorCode::Limit));
    assert!(documents(&host) == before, "a refusal changes nothing");
    assert_eq!(apply(&mut host, 100), Ok(()));
    host.replaying = true;
    assert_eq!(apply(&mut host, 1000), Ok(()));
}

#[test]
fn a_clients_own_effects_pay_for_the_entries_of_indexes() {
    let mut host = MemoryHost::default();
    host.call(&["MODEL.DEFINE", "m", "{}", "INDEX", "t", "1", "$.t[*]"]).unwrap();
    host.call(&["MODEL.SET", "k", "m", r#"{"t":[1]}"#]).unwrap();
    host.settings.work.command_steps = 500_000;
    let before = documents(&host);
    let json = |count| format!(r#"{{"t":{}}}"#, list("1", count));
    let change = Change::Put { model: "m", definition: 0, ahead: 0 };
    let put = Effect { revision: 1 << 40, expiry: Expiry::Keep, change }.encode();
    let set = |host: &mut MemoryHost, count| {
        let json = json(count);
        let done = command::run(host, &[b"MODEL.APPLY", b"k", &put, json.as_bytes()]);
        done.map(drop).map_err(|error| error.code())
    };
    assert_eq!(set(&mut host, 4001), Err(ErrorCode::Limit));
    let edit = |host: &mut MemoryHost, count| {
        let value = parse::json(json(count).as_bytes(), &Limits::NONE).unwrap().value;
        // The primitive that replaces, and the path of the root.
        let mut edits = vec![1, 0];
        wire::put_value(value.view(), &mut edits);
        let change = Change::Edit { edits: &edits, definition: 0 };
        let effect = Effect { revision: 1 << 41, expiry: Expiry::Keep, change }.encode();
        let done = command::run(host, &[b"MODEL.APPLY", b"k", &effect]);
        done.map(drop).map_err(|error| error.code())
    };
    assert_eq!(edit(&mut host, 4001), Err(ErrorCode::Limit));
    assert!(documents(&host) == before, "a refusal changes nothing");
    assert_eq!(set(&mut host, 3000), Ok(()));
    assert_eq!(edit(&mut host, 2900), Ok(()));
    host.replaying = true;
    assert_eq!((set(&mut host, 5000), edit(&mut host, 5000)), (Ok(()), Ok(())));
}

fn words(parts: &[&str]) -> Vec<String> {
    parts.iter().map(|part| (*part).to_owned()).collect()
}

fn list(item: &str, count: usize) -> String {
    format!("[{}]", vec![item; count].join(","))
}

fn stored(json: &str) -> Vec<Vec<String>> {
    vec![words(&["MODEL.SET", "k", "any", json])]
}
