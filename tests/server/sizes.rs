//! Memory that documents take, against the same data in the server's own encodings.

use crate::harness::{Server, on_every_server};
use crate::memory::used;
use crate::resp::Conn;
use crate::shapes::{Pair, SHAPES};

/// The bytes that a key takes: of so many, that what the server does besides does not count.
fn bytes_of_a_key(
    server: &Server,
    conn: &mut Conn,
    bytes: usize,
    command: impl Fn(&str) -> Vec<String>,
) -> f64 {
    let keys = (1 << 20) / bytes;
    conn.must(&["FLUSHALL", "SYNC"]);
    let before = used(server);
    for nth in 0..keys {
        let words = command(&format!("key:{nth}"));
        conn.must(&words.iter().map(String::as_str).collect::<Vec<_>>());
    }
    (used(server) - before) as f64 / keys as f64
}

#[test]
fn a_document_takes_at_most_half_as_much_again_as_native_types() {
    on_every_server(|server| {
        let (conn, mut above) = (&mut server.conn(), Vec::new());
        // The first commands warm the server's buffers.
        bytes_of_a_key(server, conn, 1000, |key| {
            ["MODEL.SET", key, "any", "{}"].map(String::from).to_vec()
        });
        for (shape, _, make) in SHAPES {
            for bytes in [1000, 1500, 4000, 10_000, 64_000] {
                let Pair { json, native } = make(bytes);
                let set = |key: &str| ["MODEL.SET", key, "any", &json].map(String::from).to_vec();
                let store = |key: &str| {
                    let mut command = native.clone();
                    command[1] = key.into();
                    command
                };
                // Names that keep coming back have been seen before.
                (0..8).for_each(|_| {
                    conn.must(&["MODEL.SET", "seen", "any", &json]);
                });
                let ours = bytes_of_a_key(server, conn, bytes, set);
                let theirs = bytes_of_a_key(server, conn, bytes, store);
                let ratio = ours / theirs;
                println!("{shape}, {bytes}: {ours:.0} {theirs:.0} {ratio:.2}");
                if ratio > 1.5 {
                    above.push(format!("{shape}, {bytes} bytes: {ours:.0} against {theirs:.0}"));
                }
            }
        }
        assert!(above.is_empty(), "{above:#?}");
    });
}

fn usage(conn: &mut Conn, key: &str) -> i64 {
    conn.must(&["MEMORY", "USAGE", key]).int()
}

#[test]
fn memory_is_given_back_as_a_document_shrinks() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        let numbers: Vec<_> = (0..1_000_000).map(|n| (n % 30_000).to_string()).collect();
        conn.must(&["MODEL.SET", "array", "any", &format!("[{}]", numbers.join(","))]);
        assert!((2_000_000..4_000_000).contains(&usage(conn, "array")), "{}", usage(conn, "array"));
        conn.must(&["MODEL.FIELDOP", "array", "TRIM", "$", "0", "9"]);
        assert!(usage(conn, "array") < 1000, "{}", usage(conn, "array"));

        conn.must(&["MODEL.SET", "queue", "any", r#"{"waiting":[]}"#]);
        let job =
            format!("[{}]", [r#"{"id":12345,"kind":"mail","to":"user@example.com"}"#; 5].join(","));
        for _ in 0..50 {
            conn.must(&["MODEL.FIELDOP", "queue", "APPEND", "$.waiting", &job]);
        }
        let full = usage(conn, "queue");
        for _ in 0..500 {
            let pop = ["POP", "$.waiting", "0"];
            let round =
                [&["MODEL.FIELDOP", "queue", "APPEND", "$.waiting", &job][..], &pop, &pop, &pop];
            let rest = ["DELRANGE", "$.waiting", "0", "2"];
            conn.must(&[round.concat(), rest.to_vec()].concat());
        }
        assert!(usage(conn, "queue") < full * 3 / 2, "{} after {full}", usage(conn, "queue"));
        conn.must(&["MODEL.FIELDOP", "queue", "DELRANGE", "$.waiting", "0", "249"]);
        assert!(usage(conn, "queue") < 1000, "{}", usage(conn, "queue"));

        let members: Vec<_> = (0..1000).map(|n| format!("\"m{n}\":\"value {n}\"")).collect();
        conn.must(&["MODEL.SET", "object", "any", &format!("{{{}}}", members.join(","))]);
        let paths: Vec<_> = (0..990).map(|n| format!("$.m{n}")).collect();
        let deletions = paths.iter().flat_map(|path| ["DEL", path.as_str()]);
        let delete: Vec<_> = ["MODEL.FIELDOP", "object"].into_iter().chain(deletions).collect();
        conn.must(&delete);
        assert!(usage(conn, "object") < 1500, "{}", usage(conn, "object"));
    });
}

#[test]
fn a_flat_document_of_a_million_values_is_freed_in_the_background() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        let freed = || server.info("lazyfreed_objects").parse::<u64>().expect("a number");
        for (key, value) in [("integers", "7"), ("nulls", "null"), ("texts", "\"x\"")] {
            let json = format!("[{}]", vec![value; 1_000_000].join(","));
            conn.must(&["MODEL.SET", key, "any", &json]);
            let before = freed();
            conn.must(&["UNLINK", key]);
            server.wait_until("the document is freed", || freed() > before);
        }
        let before = freed();
        conn.must(&["MODEL.SET", "small", "any", "[1,2,3]"]);
        conn.must(&["UNLINK", "small"]);
        assert_eq!(freed(), before);
    });
}
