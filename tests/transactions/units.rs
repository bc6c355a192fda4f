//! Units: the effects of one command on several keys, as replicas and the AOF receive them.

use redis_model::codec::effect::{Change, Effect, put_in_unit};
use redis_model::command::Sent;
use redis_model::command::run as command;
use redis_model::error::ErrorCode;
use redis_model::expiry::Expiry;
use redis_model::reply::Reply;
use redis_model::testing::MemoryHost;

/// Two documents, on a replica.
fn replica() -> MemoryHost {
    let mut host = MemoryHost::default();
    for key in ["a", "b"] {
        host.call(&["MODEL.SET", key, "any", r#"{"n":1,"s":"x"}"#]).unwrap();
    }
    host.replaying = true;
    host
}

/// The effects of a transaction that changes both documents.
fn unit_of(transaction: &[&str]) -> Vec<u8> {
    let mut master = replica();
    master.replaying = false;
    let outcome = master.call(transaction).unwrap();
    let mut unit = Vec::new();
    for effect in &outcome.effects {
        let Sent::Effect(effect, None) = &effect.sent else { panic!("no effect alone") };
        put_in_unit(effect, &mut unit);
    }
    unit
}

fn get(host: &mut MemoryHost, key: &str) -> String {
    match host.call(&["MODEL.GET", key]).unwrap().reply {
        Reply::Json(text) => String::from_utf8(text).unwrap(),
        other => panic!("no JSON: {other:?}"),
    }
}

fn show(host: &MemoryHost) -> String {
    ["a", "b"].map(|key| format!("{:?}", host.documents[key.as_bytes()])).concat()
}

#[test]
fn a_unit_happens_whole_or_not_at_all() {
    let unit = unit_of(&[
        "MODEL.TXN",
        "2",
        "a",
        "b",
        "ON",
        "a",
        "WHEN",
        "true",
        "INCR",
        "$.n",
        "1",
        "ON",
        "b",
        "DEL",
        "$.s",
        "SET",
        "$.n",
        "[1,2]",
    ]);
    let mut host = replica();
    // The edits of the second document do not fit it.
    host.replaying = false;
    host.call(&["MODEL.SET", "b", "any", "[]"]).unwrap();
    host.replaying = true;
    let before = show(&host);
    let run = |host: &mut MemoryHost, keys: [&[u8]; 2], unit: &[u8]| {
        command(host, &[b"MODEL.APPLYALL", b"2", keys[0], keys[1], unit])
    };
    assert_eq!(run(&mut host, [b"a", b"b"], &unit).unwrap_err().code(), ErrorCode::Err);
    assert_eq!(show(&host), before);
    assert_eq!(run(&mut host, [b"a", b"c"], &unit).unwrap_err().code(), ErrorCode::NoKey);
    assert_eq!(run(&mut host, [b"a", b"a"], &unit).unwrap_err().code(), ErrorCode::Err);
    assert_eq!(show(&host), before);

    let mut host = replica();
    let outcome = run(&mut host, [b"a", b"b"], &unit).unwrap();
    let keys: Vec<_> = outcome.effects.iter().map(|effect| effect.key_arg).collect();
    assert_eq!(keys, [2, 3]);
    assert_eq!(
        [get(&mut host, "a"), get(&mut host, "b")],
        [r#"{"n":2,"s":"x"}"#, r#"{"n":[1,2]}"#]
    );
}

#[test]
fn documents_of_a_unit_follow_it_in_order() {
    let put = |revision| {
        let change = Change::Put { model: "any", definition: 0, ahead: 0 };
        Effect { revision, expiry: Expiry::Keep, change }.encode()
    };
    let mut unit = Vec::new();
    [put(5), Effect { revision: 6, expiry: Expiry::Keep, change: Change::Touch }.encode(), put(7)]
        .iter()
        .for_each(|effect| put_in_unit(effect, &mut unit));
    let mut host = replica();
    let words: [&[u8]; 8] = [b"MODEL.APPLYALL", b"3", b"x", b"a", b"y", &unit, b"[1]", b"[2]"];
    assert_eq!(command(&mut host, &words[..7]).unwrap_err().code(), ErrorCode::Err);
    assert!(!host.documents.contains_key(&b"x"[..]));
    command(&mut host, &words).unwrap();
    let revisions = [&b"x"[..], b"a", b"y"].map(|key| host.documents[key].revision);
    assert_eq!(revisions, [5, 6, 7]);
    for (key, json) in [("x", "[1]"), ("y", "[2]")] {
        assert_eq!(get(&mut host, key), json);
    }
}
