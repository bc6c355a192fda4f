//! Documents of several shapes and any size, and the same data in the server's own types. The test of sizes
//! and the benchmark share them.

use std::fmt::Write;

/// A document and the command that stores the same data in the server's own type.
pub struct Pair {
    pub json: String,
    pub native: Vec<String>,
}

/// The name of a shape, the type of the server that it is measured against, and what makes one of at least so many
/// bytes of JSON.
type Shape = (&'static str, &'static str, fn(usize) -> Pair);

pub const SHAPES: [Shape; 6] = [
    ("an object of short strings", "a hash", |bytes| {
        object(bytes, |n| (format!("f{n}"), format!("\"v{n}\""), format!("v{n}")))
    }),
    ("an object of integers", "a hash", |bytes| {
        object(bytes, |n| (format!("f{n}"), (n * 7).to_string(), (n * 7).to_string()))
    }),
    ("an array of integers", "a list", |bytes| {
        array(bytes, |n| ((n * 37 % 60_000).to_string(), (n * 37 % 60_000).to_string()))
    }),
    ("an array of short strings", "a list", |bytes| {
        array(bytes, |n| (format!("\"item {n}\""), format!("item {n}")))
    }),
    ("an array of small objects", "a list of their text", |bytes| {
        array(bytes, |n| {
            let item = format!("{{\"sku\":\"A-{n:05}\",\"qty\":{},\"price\":{}.5}}", n % 100, n);
            (item.clone(), item)
        })
    }),
    ("nested objects and arrays", "a hash of their text", |bytes| {
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
