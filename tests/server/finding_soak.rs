//! Churn of indexed documents leaves memory flat: rounds of changes that end with the same documents end with as many bytes
//! of indexes, on a master and its replica, and with next to none when the documents are gone.
//!
//! `SOAK_SECONDS=900 cargo test --test server finding_soak` takes longer.

use std::time::{Duration, Instant};

use crate::finding::digest;
use crate::harness::Server;
use crate::replication::on_every_pair;
use crate::resp::Conn;
use crate::workload::{self, Rng};

const DOCUMENTS: usize = 500;
/// Changes of each document in a round, on the average.
const CHANGES: usize = 3;
const ROUNDS: u64 = 4;
/// Bytes that may vary with the history of insertions: this fraction of the first round's.
const SLACK: u64 = 5;
const MEMORY_SLACK: u64 = 1 << 20;

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn json(rng: &mut Rng) -> String {
    let tags: Vec<String> = (0..rng.below(12)).map(|_| rng.below(1000).to_string()).collect();
    let code = "c".repeat(rng.below(300));
    format!(
        r#"{{"status":"s{}","n":{},"tags":[{}],"code":"{code}{}"}}"#,
        rng.below(5),
        rng.below(1_000_000),
        tags.join(","),
        rng.below(1000)
    )
}

fn churn(conn: &mut Conn, rng: &mut Rng) {
    let changes: Vec<Vec<String>> = (0..CHANGES * DOCUMENTS)
        .map(|_| {
            let (key, other) =
                (format!("k{}", rng.below(DOCUMENTS)), format!("k{}", rng.below(2 * DOCUMENTS)));
            let (key, other, n) = (&key, &other, rng.below(10_000).to_string());
            match rng.below(12) {
                0..=3 => words(&["MODEL.SET", other, "m", &json(rng)]),
                4 | 5 => words(&["MODEL.FIELDOP", key, "INCR", "$.n", &n]),
                6 => words(&["MODEL.FIELDOP", key, "APPEND", "$.tags", &format!("[{n}]")]),
                7 => words(&["MODEL.FIELDOP", key, "DEL", "$.code"]),
                8 => words(&["RENAME", key, other]),
                9 => words(&["COPY", key, other, "REPLACE"]),
                10 => words(&["DEL", key]),
                _ => words(&["PEXPIRE", key, "1"]),
            }
        })
        .collect();
    conn.pipeline(&changes);
}

/// Makes the documents the same as after every other round.
fn settle(conn: &mut Conn) {
    let rng = &mut Rng::new(33);
    let set = |nth| words(&["MODEL.SET", &format!("k{nth}"), "m", &json(rng)]);
    let mut commands: Vec<_> = (0..DOCUMENTS).map(set).collect();
    commands.extend((DOCUMENTS..2 * DOCUMENTS).map(|nth| words(&["DEL", &format!("k{nth}")])));
    conn.pipeline(&commands).iter().for_each(|reply| assert!(!reply.is_error(), "{reply:?}"));
}

fn number(server: &Server, name: &str) -> u64 {
    server.info(name).parse().expect("a number")
}

#[test]
fn churn_leaves_the_memory_of_indexes_flat() {
    let seed = workload::seed("finding_soak");
    let seconds = std::env::var("SOAK_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let (began, least) = (Instant::now(), Duration::from_secs(seconds.unwrap_or(0)));
    on_every_pair(&[], |master, replica| {
        let conn = &mut master.conn();
        let indexes = "INDEX status_n 2 $.status $.n INDEX by_n 1 $.n INDEX by_tag 2 $.tags[*] $.n \
            INDEX by_code 1 $.code INDEX low 1 $.n ONLY self.n<1000";
        let define = format!("MODEL.DEFINE m {{}} {indexes}");
        conn.must(&define.split(' ').collect::<Vec<_>>());
        let mut first: Option<([[u64; 3]; 2], String)> = None;
        let mut rounds = 0;
        while rounds < ROUNDS || began.elapsed() < least {
            churn(conn, &mut Rng::new(seed + rounds));
            settle(conn);
            replica.wait_for_sync(master);
            let digests = [master, replica].map(|server| digest(&mut server.conn()));
            assert_eq!(digests[0], digests[1]);
            let now = [master, replica].map(|server| {
                assert_eq!(number(server, "model_index_documents"), DOCUMENTS as u64);
                ["model_index_entries", "model_index_bytes", "used_memory_dataset"]
                    .map(|name| number(server, name))
            });
            // The first round does not count: buffers grow.
            let known = match &first {
                Some((known, digest)) => {
                    assert_eq!(*digest, digests[0]);
                    known
                }
                None if rounds == 0 => &now,
                None => &first.insert((now, digests[0].clone())).0,
            };
            for ([entries, bytes, memory], before) in now.iter().zip(known) {
                assert_eq!(*entries, before[0]);
                assert!(*bytes <= before[1] + before[1] / SLACK, "round {rounds}: {now:?}");
                assert!(*memory <= before[2] + MEMORY_SLACK, "round {rounds}: {now:?}");
            }
            rounds += 1;
        }
        let keys: Vec<_> = (0..DOCUMENTS).map(|nth| words(&["DEL", &format!("k{nth}")])).collect();
        conn.pipeline(&keys);
        replica.wait_for_sync(master);
        for server in [master, replica] {
            assert_eq!(number(server, "model_index_entries"), 0);
            let left = number(server, "model_index_bytes");
            assert!(left < 10_000, "{left} bytes of no entries");
        }
    });
}
