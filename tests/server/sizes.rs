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
