//! Whole transactions: each line of the input is an argument behind `MODEL.TXN 4 a b m t`, or, where the first line is
//! one of [`OTHERS`], of that command; where one of them is `AT`, structures are listed too. A refused one changes
//! nothing; the effects of an accepted one give a replica the same documents, structures, locks and tokens. A native that
//! the server would refuse and the check lets pass is a panic of the host.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use redis_model::codec::rdb;
use redis_model::testing::MemoryHost;
use redis_model::command::{self, lock_effect};
use redis_model::value::Limits;

const SCHEMA: &str = r#"{"properties":{"n":{"type":"integer","default":3}},"required":["n"]}"#;

/// The commands that are tried besides.
const OTHERS: [&[u8]; 4] = [b"MODEL.SET", b"MODEL.LOCK", b"MODEL.FIELDOP", b"MODEL.EVAL"];

/// The keys of transactions with natives.
const WITH_NATIVES: [&[u8]; 12] =
    [b"MODEL.TXN", b"10", b"a", b"b", b"m", b"t", b"h", b"l", b"n", b"s", b"x", b"z"];

/// Natives that make the structures.
const STRUCTURES: [&str; 6] = [
    r#"h HSET "n" 9223372036854775806 HSET "f" "x""#,
    r#"l RPUSH 1"#,
    r#"n SET 7"#,
    r#"s SADD "m""#,
    r#"x XADD 2 {"a":1}"#,
    r#"z ZADD 1.7e308 "m""#,
];

/// Everything a host holds, as bytes.
fn bytes(host: &MemoryHost) -> BTreeMap<Vec<u8>, (Vec<u8>, Option<u64>)> {
    let expiry = |key: &Vec<u8>| host.expiries.get(key).copied();
    let documents = host.documents.iter().map(|(key, document)| {
        let mut out = Vec::new();
        rdb::encode(document, &mut out);
        (key.clone(), (out, expiry(key)))
    });
    let tokens = host.tokens.iter().map(|(key, token)| (key.clone(), (token.encode(), expiry(key))));
    let structures = host.structures.keys.iter().map(|(key, structure)| {
        (key.clone(), (format!("{structure:?}").into_bytes(), expiry(key)))
    });
    let published = format!("{:?}", host.structures.published).into_bytes();
    let messages = std::iter::once((b"the messages".to_vec(), (published, None)));
    documents.chain(tokens).chain(structures).chain(messages).collect()
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
        // The clock stands at the same moment in each run, and so does the fence.
        &["MODEL.LOCK", "a", "n", "o"],
    ] {
        host.call(command).expect("what is prepared is sound");
    }
    for structure in STRUCTURES {
        let words: Vec<&str> = structure.split(' ').collect();
        let command = [&["MODEL.TXN", "1", words[0], "AT"][..], &words].concat();
        host.call(&command).expect("what is prepared is sound");
    }
    host.settle();
    host
}

fuzz_target!(|input: &[u8]| {
    let (mut host, mut replica) = (host(), host());
    let before = bytes(&host);
    assert_eq!(before, bytes(&replica));
    let mut args: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
    if args.iter().any(|arg| arg.eq_ignore_ascii_case(b"AT")) {
        args.splice(0..0, WITH_NATIVES);
    } else if !OTHERS.contains(&args[0]) {
        args.splice(0..0, [&b"MODEL.TXN"[..], b"4", b"a", b"b", b"m", b"t"]);
    }
    let ran = command::run(&mut host, &args);
    let settled = host.settle();
    match ran {
        Err(_) => assert_eq!(bytes(&host), before),
        Ok(outcome) => {
            replica.replicate(&args, &outcome).expect("effects fit the replica");
            for (place, edit) in &settled.changes {
                let effect = lock_effect([edit].into_iter());
                let apply = [&b"MODEL.APPLY"[..], &place.key, &effect];
                command::run(&mut replica, &apply).expect("a change of locks fits the replica");
            }
            assert_eq!(bytes(&host), bytes(&replica));
        }
    }
});
