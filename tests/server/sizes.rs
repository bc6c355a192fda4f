//! Memory that documents take, against the same data in the server's own encodings.

use std::fmt::Write;

use crate::harness::{Server, on_every_server};
use crate::memory::used;
use crate::resp::Conn;

/// A document and the command that stores the same data in the server's own type.
struct Pair {
    json: String,
    native: Vec<String>,
}

type Shape = (&'static str, fn(usize) -> Pair);

const SHAPES: [Shape; 6] = [
    ("an object of short strings", |bytes| {
        object(bytes, |n| (format!("f{n}"), format!("\"v{n}\""), format!("v{n}")))
    }),
    ("an object of integers", |bytes| {
        object(bytes, |n| (format!("f{n}"), (n * 7).to_string(), (n * 7).to_string()))
    }),
    ("an array of integers", |bytes| {
        array(bytes, |n| ((n * 37 % 60_000).to_string(), (n * 37 % 60_000).to_string()))
    }),
    ("an array of short strings", |bytes| {
        array(bytes, |n| (format!("\"item {n}\""), format!("item {n}")))
    }),
    ("an array of small objects", |bytes| {
        array(bytes, |n| {
            let item = format!("{{\"sku\":\"A-{n:05}\",\"qty\":{},\"price\":{}.5}}", n % 100, n);
            (item.clone(), item)
        })
    }),
    ("nested objects and arrays", |bytes| {
        object(bytes, |n| {
            let value =
                format!("{{\"name\":\"user {n}\",\"tags\":[\"a\",\"b{n}\"],\"score\":{}}}", n * 31);
            (format!("u{n}"), value.clone(), value)
        })
    }),
];

/// An object of at least so many bytes of JSON, and a hash.
fn object(bytes: usize, member: impl Fn(usize) -> (String, String, String)) -> Pair {
    let mut pair = Pair { json: "{".into(), native: vec!["HSET".into(), String::new()] };
    for n in 0.. {
        let (name, value, field) = member(n);
        write!(pair.json, "\"{name}\":{value},").expect("writing to a string succeeds");
        pair.native.extend([name, field]);
        if pair.json.len() >= bytes {
            break;
        }
    }
    pair.json.pop();
    pair.json.push('}');
    pair
}

/// An array of at least so many bytes of JSON, and a list.
fn array(bytes: usize, item: impl Fn(usize) -> (String, String)) -> Pair {
    let mut pair = Pair { json: "[".into(), native: vec!["RPUSH".into(), String::new()] };
    for n in 0.. {
        let (value, element) = item(n);
        write!(pair.json, "{value},").expect("writing to a string succeeds");
        pair.native.push(element);
        if pair.json.len() >= bytes {
            break;
        }
    }
    pair.json.pop();
    pair.json.push(']');
    pair
}

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
        for (shape, make) in SHAPES {
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
