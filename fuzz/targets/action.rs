//! Definitions of actions: each line of the input is an argument of the blocks. What is defined is called beside the same
//! blocks by `MODEL.TXN`, with roles that are named as the keys: both give the same reply, or a refusal of one kind, and
//! leave the same documents and structures.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use redis_model::codec::{definition, rdb};
use redis_model::command;
use redis_model::error::ErrorCode;
use redis_model::testing::MemoryHost;
use redis_model::value::Limits;

const SCHEMA: &str = r#"{"properties":{"n":{"type":"integer","default":3}},"required":["n"]}"#;
const ARGS: &[u8] = br#"{"n":1,"s":"l","i":0,"list":["n",1]}"#;

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
    documents.chain(structures).collect()
}

fn host() -> MemoryHost {
    let mut host = MemoryHost::default();
    host.settings.document = Limits { depth: 16, bytes: 1 << 14 };
    host.settings.work.query_nodes = 10_000;
    host.settings.expressions.steps = 10_000;
    for command in [
        &["MODEL.DEFINE", "m", SCHEMA, "RULE", "low", "self.n >= 0"][..],
        &["MODEL.SET", "a", "any", r#"{"n":1,"l":[1,2],"s":"x"}"#],
        &["MODEL.SET", "m", "m", "{}"],
        &["MODEL.TXN", "1", "z", "AT", "z", "ZADD", "1", "\"m\""],
    ] {
        host.call(command).expect("what is prepared is sound");
    }
    host
}

fuzz_target!(|input: &[u8]| {
    let blocks: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
    // Options stand in front of the blocks, and are others.
    if ![&b"ON"[..], b"AT"].contains(&blocks[0]) {
        return;
    }
    let names = [&b"4"[..], b"a", b"b", b"m", b"z"];
    let (mut plain, mut called) = (host(), host());
    let before = bytes(&plain);
    let transaction = [&[&b"MODEL.TXN"[..]], &names[..], &[b"ARGS", ARGS], &blocks].concat();
    let action = [&[&b"MODEL.ACTION"[..], b"act"], &names[..], &blocks].concat();
    let call = [&[&b"MODEL.CALL"[..], b"act"], &names[..], &[b"ARGS", ARGS]].concat();
    let expected = command::run(&mut plain, &transaction);
    let defined = command::run(&mut called, &action);
    if let Ok(outcome) = &defined {
        let bytes = outcome.definition.as_ref().expect("it is new");
        definition::decode_action(bytes).expect("what was encoded is decoded");
    }
    // Blocks are parsed before args are there: of several faults another one may be found first.
    let is_undefined = defined.is_err();
    let found = defined.and_then(|_| command::run(&mut called, &call));
    match (expected, found) {
        (Ok(expected), Ok(found)) => {
            assert_eq!(expected.reply, found.reply);
            assert_eq!(bytes(&plain), bytes(&called));
        }
        (Err(expected), Err(found)) => {
            let limited = [expected.code(), found.code()].contains(&ErrorCode::Limit);
            let same = is_undefined || expected.code() == found.code();
            assert!(limited || same, "{expected} and {found}");
            assert_eq!(bytes(&called), before);
        }
        // Their budgets differ by what parsing costs.
        (Err(refused), Ok(_)) | (Ok(_), Err(refused)) => {
            assert_eq!(refused.code(), ErrorCode::Limit, "{refused}");
        }
    }
});
