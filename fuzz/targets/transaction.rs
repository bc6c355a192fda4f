//! Whole transactions: each line of the input is an argument behind `MODEL.TXN 4 a b m t`. A refused one
//! changes nothing; the effects of an accepted one give a replica the same documents, locks and tokens.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use redis_model::codec::rdb;
use redis_model::testing::MemoryHost;
use redis_model::command::{self, lock_effect};
use redis_model::value::Limits;

const SCHEMA: &str = r#"{"properties":{"n":{"type":"integer","default":3}},"required":["n"]}"#;

/// Everything a host holds, as bytes.
fn bytes(host: &MemoryHost) -> BTreeMap<Vec<u8>, (Vec<u8>, Option<u64>)> {
    let expiry = |key: &Vec<u8>| host.expiries.get(key).copied();
    let documents = host.documents.iter().map(|(key, document)| {
        let mut out = Vec::new();
        rdb::encode(document, &mut out);
        (key.clone(), (out, expiry(key)))
    });
    let tokens = host.tokens.iter().map(|(key, token)| (key.clone(), (token.encode(), expiry(key))));
    documents.chain(tokens).collect()
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
    host.settle();
    host
}

fuzz_target!(|input: &[u8]| {
    let (mut host, mut replica) = (host(), host());
    let before = bytes(&host);
    assert_eq!(before, bytes(&replica));
    let mut args: Vec<&[u8]> = vec![b"MODEL.TXN", b"4", b"a", b"b", b"m", b"t"];
    args.extend(input.split(|byte| *byte == b'\n'));
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
