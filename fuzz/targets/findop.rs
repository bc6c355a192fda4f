//! Searches that change documents: each line of the input is an argument behind `MODEL.FINDOP`. A refused one changes
//! nothing. The effects of an accepted one give a replica the same documents and structures, the keys in its reply are
//! those of different documents that were there, and the indexes are sound. A request that waits has changed nothing, and
//! no document fits its question.

#![no_main]

use std::collections::{BTreeMap, BTreeSet};

use libfuzzer_sys::fuzz_target;
use redis_model::codec::rdb;
use redis_model::command::{self, Outcome, ask_for_one, fits_question};
use redis_model::reply::Reply;
use redis_model::testing::MemoryHost;
use redis_model::value::Limits;

const SCHEMA: &str = r#"{"properties":{"n":{"type":"integer","default":3,"maximum":99}}}"#;
const DEFINE: [&str; 22] = [
    "MODEL.DEFINE", "m", SCHEMA, "RULE", "low", "self.n >= 0", "INDEX", "by_n", "1", "$.n", "INDEX", "by_s", "2", "$.s",
    "$.n", "INDEX", "by_code", "1", "$.code", "UNIQUE", "CHANGES", "9",
];
/// Structures, by the natives that make them.
const STRUCTURES: [[&str; 2]; 3] = [["l", "RPUSH"], ["s", "SADD"], ["i", "SET"]];

/// Everything a host holds, as bytes.
fn bytes(host: &MemoryHost) -> BTreeMap<Vec<u8>, (Vec<u8>, Option<u64>)> {
    let expiry = |key: &Vec<u8>| host.expiries.get(key).copied();
    let documents = host.documents.iter().map(|(key, document)| {
        let mut out = Vec::new();
        rdb::encode(document, &mut out);
        (key.clone(), (out, expiry(key)))
    });
    let structures = host.structures.keys.iter().map(|(key, structure)| {
        (key.clone(), (format!("{structure:?}").into_bytes(), expiry(key)))
    });
    let published = format!("{:?}", host.structures.published).into_bytes();
    let messages = std::iter::once((b"the messages".to_vec(), (published, None)));
    documents.chain(structures).chain(messages).collect()
}

/// Recorded changes are not sent as the command itself: every other input runs on a model without `CHANGES`.
fn host(records: bool) -> MemoryHost {
    let mut host = MemoryHost::default();
    host.settings.document = Limits { depth: 16, bytes: 1 << 12 };
    host.settings.expressions.steps = 10_000;
    host.settings.work.command_steps = 1_000_000;
    let define = if records { &DEFINE[..] } else { &DEFINE[..20] };
    host.call(define).expect("what is prepared is sound");
    for nth in 0..6 {
        let json = format!(r#"{{"n":{nth},"s":"{}","code":{nth}}}"#, ["a", "b"][nth % 2]);
        host.call(&["MODEL.SET", &format!("k{nth}"), "m", &json]).expect("what is prepared is sound");
    }
    host.call(&["MODEL.SET", "other", "any", r#"{"n":1}"#]).expect("what is prepared is sound");
    for [key, native] in STRUCTURES {
        host.call(&["MODEL.TXN", "1", key, "AT", key, native, "1"]).expect("what is prepared is sound");
    }
    host
}

fn array(reply: &Reply) -> &[Reply] {
    let Reply::Array(items) = reply else { panic!("an array: {reply:?}") };
    items
}

/// The keys in the reply, which are different ones.
fn keys(reply: &Reply) -> BTreeSet<Vec<u8>> {
    let rows = array(reply);
    let key = |row: &Reply| match array(row) {
        [Reply::Text(key), Reply::Int(_) | Reply::Null, Reply::Array(_)] => key.clone(),
        row => panic!("{row:?}"),
    };
    let keys: BTreeSet<Vec<u8>> = rows.iter().map(key).collect();
    assert_eq!(keys.len(), rows.len(), "each once");
    keys
}

/// Entries of indexes are those of documents.
fn check_indexes(host: &mut MemoryHost) {
    let reply = host.call(&["MODEL.CHECK", "m"]).expect("few documents are one page").reply;
    let Reply::Map(counts) = reply else { panic!("a map: {reply:?}") };
    for (name, count) in &counts {
        if ["missing", "stray", "duplicates"].contains(name) {
            assert_eq!(*count, Reply::Int(0), "{name}");
        }
    }
}

/// No document fits the question of a request that waits, unless time makes one fit.
fn check_waiting(host: &mut MemoryHost, args: &[&[u8]], outcome: &Outcome) {
    let wait = outcome.lines_up.as_ref().expect("it waits");
    if wait.question.reads_clock {
        return;
    }
    let all: Vec<Vec<u8>> = host.documents.keys().cloned().collect();
    for key in all {
        assert!(!fits_question(host, args, &key), "{}", key.escape_ascii());
    }
    assert_eq!(ask_for_one(host, args).expect("it was asked before"), None);
}

fuzz_target!(|input: &[u8]| {
    let records = input.len().is_multiple_of(2);
    let (mut host, mut replica) = (host(records), host(records));
    let before = bytes(&host);
    assert_eq!(before, bytes(&replica));
    let mut args: Vec<&[u8]> = vec![b"MODEL.FINDOP"];
    args.extend(input.split(|byte| *byte == b'\n'));
    match command::run(&mut host, &args) {
        Err(_) => assert_eq!(bytes(&host), before),
        Ok(outcome) if outcome.lines_up.is_some() => {
            assert_eq!(bytes(&host), before);
            check_waiting(&mut host, &args, &outcome);
        }
        Ok(outcome) => {
            let keys = keys(&outcome.reply);
            assert!(keys.iter().all(|key| before.contains_key(key)), "{keys:?}");
            let named = host.named.clone();
            let written: Vec<&[u8]> = args.iter().copied().chain(named.iter().map(Vec::as_slice)).collect();
            replica.replicate(&written, &outcome).expect("effects fit the replica");
            assert_eq!(bytes(&host), bytes(&replica));
        }
    }
    check_indexes(&mut host);
});
