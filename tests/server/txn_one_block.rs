//! `MODEL.FIELDOP` and a `MODEL.TXN` of one block on servers: they do the same, and what changes nothing changes
//! nothing, whatever definition a document was written under.

use crate::harness::on_every_server;
use crate::resp::{Conn, Reply};
use crate::workload::{self, Rng};

/// Statements that change nothing in the document `{"a":1,"l":[1]}`.
const NOTHING: [&str; 10] = [
    "SET $.a 1",
    "SETNX $.a 2",
    "INCR $.a 0",
    "MAX $.a 0",
    "DEL $.none",
    "MERGE $ {\"a\":1}",
    "ADDUNIQ $.l [1]",
    "WHEN self.level==4 SET $.a 2",
    "IF self.level==3 SET $.a 1",
    "SET $.a 1 INCR $.a 0 DEL $.none",
];

fn words(text: &str) -> Vec<&str> {
    text.split(' ').collect()
}

/// The document, what is known of it (its revision and definition version among that), and its time to live.
fn state(conn: &mut Conn, key: &str) -> [Reply; 3] {
    ["MODEL.GET", "MODEL.META", "PEXPIRETIME"].map(|command| conn.call(&[command, key]))
}

#[test]
fn commands_that_change_nothing_leave_older_documents_as_they_are() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.DEFINE", "m", "{}"]);
        conn.must(&["MODEL.SET", "k", "m", r#"{"a":1,"l":[1]}"#]);
        let second = r#"{"properties":{"level":{"default":3}},"required":["missing"]}"#;
        conn.must(&["MODEL.DEFINE", "m", second]);
        let before = state(conn, "k");
        for statement in NOTHING {
            for head in
                ["MODEL.FIELDOP k", "MODEL.TXN 1 k ON k", "MODEL.TXN 2 j k ON j MISSING ON k"]
            {
                conn.must(&[words(head), words(statement)].concat());
                assert_eq!(state(conn, "k"), before, "{head} {statement}");
            }
        }
        assert_eq!(conn.must(&["MODEL.SET", "k", "m", r#"{"missing":1}"#, "NX"]), Reply::Null);
        assert_eq!(state(conn, "k"), before);
        // Any change validates the document whole.
        for head in ["MODEL.FIELDOP k", "MODEL.TXN 1 k ON k"] {
            let refused = conn.call(&[words(head), words("SET $.a 2")].concat());
            assert_eq!(refused.error_word(), "SCHEMA");
        }
        // A default that is assigned stays.
        conn.must(&["MODEL.DEFINE", "m", r#"{"properties":{"level":{"default":3}}}"#]);
        conn.must(&words("MODEL.TXN 1 k ON k SETNX $.level 9"));
        assert_eq!(conn.must(&["MODEL.GET", "k"]).text(), r#"{"a":1,"l":[1],"level":3}"#);
    });
}

/// A reply without what differs between two documents: revisions, the moment, the key and the block.
fn comparable(reply: &Reply) -> String {
    match reply {
        Reply::Error(line) => {
            // A transaction names the key of a block that it cannot parse, a FIELDOP has but one.
            let line = line.replace(",\"block\":0", "").replace("twin:", "docs:");
            match line.split_once(",\"key\":\"docs:") {
                Some((before, behind)) => {
                    let (_, behind) = behind.split_once('"').expect("the name ends");
                    format!("{before}{behind}")
                }
                None => line,
            }
        }
        Reply::Int(value) if *value > 1_000_000_000_000 => "revision".into(),
        Reply::Array(items) => format!("{:?}", items.iter().map(comparable).collect::<Vec<_>>()),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_fieldop_and_a_transaction_of_one_block_do_the_same() {
    let seed = workload::seed("a_fieldop_and_a_transaction_of_one_block");
    on_every_server(|server| {
        let (conn, rng) = (&mut server.conn(), &mut Rng::new(seed));
        for _ in 0..600 {
            if rng.one_in(8) {
                let define = workload::define(rng);
                conn.call(&define.iter().map(String::as_str).collect::<Vec<_>>());
                continue;
            }
            let nth = rng.below(4);
            let (key, twin) = (format!("docs:{nth}"), format!("twin:{nth}"));
            if rng.one_in(6) {
                let set = workload::set(rng, &key);
                conn.call(&set.iter().map(String::as_str).collect::<Vec<_>>());
            }
            conn.must(&["DEL", &twin]);
            conn.must(&["COPY", &key, &twin]);
            let fieldop = workload::fieldop(rng, &key);
            // Replies that depend on the moment or on the revision differ.
            let varies = ["NOW", "REVISION", "now", "revision", "EX", "PX"];
            let lives = fieldop.iter().any(|word| word == "PERSIST" || word == "PXAT");
            let exists = conn.must(&["EXISTS", &key]) == Reply::Int(1);
            if fieldop.iter().any(|word| varies.iter().any(|v| word.contains(v)))
                || (lives && !exists)
            {
                continue;
            }
            let mut words: Vec<&str> = fieldop[2..].iter().map(String::as_str).collect();
            let mut txn = vec!["MODEL.TXN", "1", &twin];
            // ARGS is an option of the whole transaction.
            if let Some(at) = words.iter().position(|word| *word == "ARGS") {
                txn.extend(words.drain(at..at + 2));
            }
            txn.extend(["ON", &twin]);
            txn.extend(words);
            let one = conn.call(&fieldop.iter().map(String::as_str).collect::<Vec<_>>());
            let other = conn.call(&txn);
            let inner = match &other {
                Reply::Array(blocks) => &blocks[0],
                other => other,
            };
            assert_eq!(comparable(&one), comparable(inner), "{fieldop:?}");
            let same = |conn: &mut Conn, command: &str| {
                let both = [&key, &twin].map(|key| comparable(&conn.call(&[command, key])));
                assert_eq!(both[0], both[1], "{command} after {fieldop:?}");
            };
            same(conn, "MODEL.GET");
            same(conn, "MODEL.META");
        }
    });
}
