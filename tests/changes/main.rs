//! DocumentChange streams over the host in memory: entries of every command that changes documents, and patches that lead from
//! each document to the next one.

mod follower;

use std::collections::BTreeMap;

use follower::{Entry, Follower, patched};
use redis_model::changes::{ChangeOp, DocumentChange, FieldValue};
use redis_model::error::{Detail, Error, ErrorCode};
use redis_model::native::{self, NativeExample};
use redis_model::op::words;
use redis_model::testing::MemoryHost;
use redis_model::value::print;

struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn pick<'t>(&mut self, items: &[&'t str]) -> &'t str {
        items[self.below(items.len())]
    }
}

fn host(with: &str) -> MemoryHost {
    let mut host = MemoryHost::default();
    host.call(&["MODEL.DEFINE", "m", "{}", "CHANGES", "100", "WITH", with]).unwrap();
    host
}

fn changes(host: &mut MemoryHost, args: &[&str]) -> Result<Vec<DocumentChange>, Error> {
    Ok(host.call(args)?.changes.map_or_else(Vec::new, |changes| changes.0.into_vec()))
}

#[track_caller]
fn must(host: &mut MemoryHost, args: &[&str]) -> Vec<DocumentChange> {
    changes(host, args).unwrap_or_else(|error| panic!("{args:?}: {error}"))
}

fn text(bytes: &Option<Vec<u8>>) -> Option<&str> {
    bytes.as_ref().map(|bytes| std::str::from_utf8(bytes).unwrap())
}

fn document(host: &MemoryHost, key: &str) -> serde_json::Value {
    let json = print::to_string(host.documents[key.as_bytes()].root.view());
    serde_json::from_str(&json).unwrap()
}

#[test]
fn each_change_of_a_document_is_one_entry() {
    let host = &mut host("BOTH");
    let [made] = &must(host, &["MODEL.SET", "k", "m", r#"{"n":1}"#])[..] else { panic!() };
    assert_eq!((made.op, &*made.key, made.prev), (ChangeOp::Create, &b"k"[..], None));
    assert_eq!((text(&made.content.after), text(&made.content.before)), (Some(r#"{"n":1}"#), None));
    let steps = ["INCR", "$.n", "1", "SET", "$.a", "[]"];
    let [edited] = &must(host, &[&["MODEL.FIELDOP", "k"], &steps[..]].concat())[..] else {
        panic!()
    };
    assert_eq!((edited.op, edited.prev), (ChangeOp::Update, made.rev));
    assert!(edited.rev > made.rev && edited.content.patch.is_none());
    assert_eq!(text(&edited.content.before), Some(r#"{"n":1}"#));
    assert_eq!(text(&edited.content.after), Some(r#"{"n":2,"a":[]}"#));
    let [set] = &must(host, &["MODEL.SET", "k", "m", "{}"])[..] else { panic!() };
    assert_eq!((set.op, set.prev), (ChangeOp::Update, edited.rev));
    let deleted = must(host, &["MODEL.TXN", "2", "k", "t", "TOKEN", "t", "ON", "k", "DELETE"]);
    let [deleted] = &deleted[..] else { panic!() };
    assert_eq!((deleted.op, deleted.rev, deleted.prev), (ChangeOp::Delete, None, set.rev));
    assert_eq!(deleted.token.as_deref(), Some(&b"t"[..]));
    assert_eq!(text(&deleted.content.before), Some("{}"));
    let mut names = Vec::new();
    deleted.each_field(7, |name, _| names.push(name));
    assert_eq!(names, ["seq", "op", "key", "prev", "token", "before"]);
}

#[test]
fn what_changes_no_document_is_no_entry() {
    let host = &mut host("PATCH");
    must(host, &["MODEL.SET", "k", "m", r#"{"n":1}"#]);
    must(host, &["MODEL.SET", "other", "any", "{}"]);
    for args in [
        &["MODEL.FIELDOP", "k", "GET", "$.n"][..],
        &["MODEL.FIELDOP", "k", "SET", "$.n", "1"],
        &["MODEL.FIELDOP", "k", "EX", "100", "GET", "$.n"],
        &["MODEL.FIELDOP", "other", "SET", "$.n", "1"],
        &["MODEL.LOCK", "k", "l", "me"],
        &["MODEL.SET", "k", "m", "{}", "NX"],
        &["MODEL.TXN", "1", "none", "ON", "none", "MISSING"],
    ] {
        assert_eq!(must(host, args), [], "{args:?}");
    }
    assert!(changes(host, &["MODEL.FIELDOP", "k", "INCR", "$.n", "1", "IF", "false"]).is_err());
    // One transaction, two entries; a document that only passes by is none.
    let both = must(
        host,
        &[
            "MODEL.TXN",
            "3",
            "k",
            "new",
            "brief",
            "ON",
            "k",
            "INCR",
            "$.n",
            "1",
            "ON",
            "brief",
            "CREATE",
            "m",
            "{}",
            "DELETE",
            "ON",
            "new",
            "CREATE",
            "m",
            "{}",
        ],
    );
    let ops: Vec<_> = both.iter().map(|change| (change.op, &*change.key)).collect();
    assert_eq!(ops, [(ChangeOp::Update, &b"k"[..]), (ChangeOp::Create, b"new")]);
}

#[test]
fn a_document_that_changes_its_model_leaves_one_stream_and_enters_another() {
    let host = &mut host("KEYS");
    must(host, &["MODEL.DEFINE", "o", "{}", "CHANGES", "5", "WITH", "AFTER"]);
    must(host, &["MODEL.SET", "k", "m", "{}"]);
    let moved = must(host, &["MODEL.SET", "k", "o", "[]"]);
    let seen: Vec<_> =
        moved.iter().map(|change| (&*change.model, change.entries, change.op)).collect();
    assert_eq!(seen, [("m", 100, ChangeOp::Delete), ("o", 5, ChangeOp::Create)]);
    assert!(moved[0].prev.is_some() && moved[1].prev.is_none());
    assert_eq!((text(&moved[0].content.before), text(&moved[1].content.after)), (None, Some("[]")));
    let left = must(host, &["MODEL.TXN", "1", "k", "ON", "k", "PUT", "any", "{}"]);
    assert_eq!(left.iter().map(|change| change.op).collect::<Vec<_>>(), [ChangeOp::Delete]);
    let gone = must(host, &["MODEL.TXN", "1", "k", "ON", "k", "PUT", "m", "{}"]);
    assert_eq!(gone.iter().map(|change| change.op).collect::<Vec<_>>(), [ChangeOp::Create]);
    // Gone and back in one transaction is an update.
    let back = ["MODEL.TXN", "1", "k", "ON", "k", "DELETE", "CREATE", "m", r#"{"a":1}"#];
    assert_eq!(must(host, &back)[0].op, ChangeOp::Update);
}

#[test]
fn a_stream_that_is_something_else_refuses_a_change_before_it_is_made() {
    let host = &mut MemoryHost::default();
    let natives = ["MODEL.TXN", "1", "m!changes", "AT", "m!changes", "SADD", r#""x""#];
    must(host, &natives);
    must(host, &["MODEL.DEFINE", "m", "{}"]);
    must(host, &["MODEL.SET", "k", "m", r#"{"n":1}"#]);
    must(host, &["MODEL.DEFINE", "m", "{}", "CHANGES", "100"]);
    for args in [
        &["MODEL.FIELDOP", "k", "INCR", "$.n", "1"][..],
        &["MODEL.SET", "new", "m", "{}"],
        &["MODEL.TXN", "1", "k", "ON", "k", "DELETE"],
        &["MODEL.FIELDOP", "new", "INIT", "m", "{}"],
        &["MODEL.TXN", "1", "new", "ON", "new", "CREATE", "m", "{}"],
    ] {
        let refused = changes(host, args).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::WrongType, "{args:?}: {refused}");
    }
    assert_eq!(document(host, "k"), serde_json::json!({"n": 1}));
    assert_eq!(must(host, &["MODEL.FIELDOP", "k", "GET", "$.n"]), []);
}

#[test]
fn the_key_of_a_stream_is_refused_to_every_command_that_writes() {
    let host = &mut host("PATCH");
    must(host, &["MODEL.DEFINE", "plain", "{}"]);
    must(host, &["MODEL.SET", "k", "m", r#"{"n":1}"#]);
    must(host, &["MODEL.ACTION", "put", "1", "role", "ON", "role", "CREATE", "plain", "{}"]);
    let key = "m!changes";
    let mut refused = vec![
        vec!["MODEL.SET", key, "m", "{}"],
        vec!["MODEL.SET", key, "any", "{}"],
        vec!["MODEL.FIELDOP", key, "INIT", "any", "{}", "GET", "$"],
        vec!["MODEL.FIELDOP", key, "INCR", "$.n", "1"],
        vec!["MODEL.TXN", "2", "k", key, "ON", "k", "INCR", "$.n", "1", "ON", key, "DELETE"],
        vec!["MODEL.TXN", "2", "k", key, "TOKEN", key, "ON", "k", "INCR", "$.n", "1"],
        vec!["MODEL.CALL", "put", "1", key],
        vec!["MODEL.LOCK", key, "n", "ann", "INIT", "any", "{}"],
        vec!["MODEL.FINDOP", "1", key, "m", "SCAN", "DO", "DELETE", "AT", key, "UNLINK"],
    ];
    for spec in native::all().iter().filter(|spec| !spec.channel) {
        let sound = |example: &&NativeExample| !example.reply.chars().all(char::is_uppercase);
        let example = spec.examples.iter().find(sound).or(spec.examples.first()).unwrap();
        let head = ["MODEL.TXN", "2", "k", key, "ON", "k", "INCR", "$.n", "1", "AT", key];
        refused.push([&head[..], &words(example.statement, example.at)].concat());
    }
    for args in &refused {
        let error = changes(host, args).unwrap_err();
        assert!(error.message().contains("change stream"), "{args:?}: {error}");
        assert_eq!(error.code(), ErrorCode::WrongType, "{args:?}");
        assert_eq!(error.detail("key"), Some(&Detail::Text(key.into())), "{args:?}");
    }
    assert_eq!(document(host, "k"), serde_json::json!({"n": 1}));
    assert!(host.structures.keys.is_empty());
    // It may be read, and its name is that of a channel as any.
    must(host, &["MODEL.GET", key]);
    let read = ["ON", "k", "IF", "native['m!changes'].size() == 0", "GET", "$"];
    must(host, &[&["MODEL.TXN", "2", "k", key], &read[..]].concat());
    must(host, &["MODEL.TXN", "2", "k", key, "ON", "k", "GET", "$", "AT", key, "PUBLISH", "1"]);
    // A model without CHANGES has no stream.
    must(host, &["MODEL.SET", "plain!changes", "m", "{}"]);
    must(host, &["MODEL.SET", "none!changes", "m", "{}"]);
}

/// The patch of one command on a document.
#[track_caller]
fn check_patch(before: &str, statements: &[&str], expected: &str) {
    let host = &mut host("PATCH");
    must(host, &["MODEL.SET", "k", "m", before]);
    let made = must(host, &[&["MODEL.FIELDOP", "k"], statements].concat());
    let [change] = &made[..] else { panic!("{made:?}") };
    assert_eq!(text(&change.content.patch), Some(expected), "{statements:?}");
    let before = serde_json::from_str(before).unwrap();
    assert_eq!(patched(before, expected), document(host, "k"));
}

#[test]
fn a_patch_is_no_larger_than_it_must_be() {
    let long = "x".repeat(300);
    let before = format!(r#"{{"n":1,"a":[1,2,3],"o":{{"p":1,"q":2}},"long":"{long}"}}"#);
    for (statements, expected) in [
        (&["INCR", "$.n", "1"][..], r#"[{"op":"replace","path":"/n","value":2}]"#),
        // Each place once, with what it is in the end.
        (&["INCR", "$.n", "1", "INCR", "$.n", "5"], r#"[{"op":"replace","path":"/n","value":7}]"#),
        (
            &["SET", "$.new", "{}", "SET", "$.new.a", "1", "DEL", "$.o"],
            r#"[{"op":"add","path":"/new","value":{"a":1}},{"op":"remove","path":"/o"}]"#,
        ),
        (&["SET", "$.o", r#"{"p":1,"q":3}"#], r#"[{"op":"replace","path":"/o/q","value":3}]"#),
        (&["APPEND", "$.a", "[4]"], r#"[{"op":"add","path":"/a/3","value":4}]"#),
        (&["POP", "$.a", "0"], r#"[{"op":"remove","path":"/a/0"}]"#),
        (
            &["POP", "$.a", "0", "PREPEND", "$.a", "[9]"],
            r#"[{"op":"replace","path":"/a/0","value":9}]"#,
        ),
        (
            &["POP", "$.a", "0", "APPEND", "$.a", "[4]", "POP", "$.a", "-1"],
            r#"[{"op":"remove","path":"/a/0"}]"#,
        ),
        (
            &["MERGE", "$", r#"{"n":null,"o":{"q":5}}"#],
            r#"[{"op":"remove","path":"/n"},{"op":"replace","path":"/o/q","value":5}]"#,
        ),
        (&["INCR", "$.o.*", "1"], r#"[{"op":"replace","path":"/o","value":{"p":2,"q":3}}]"#),
    ] {
        check_patch(&before, statements, expected);
    }
    // A change back is one of the revision alone.
    check_patch(&before, &["INCR", "$.n", "1", "INCR", "$.n", "-1"], "[]");
}

#[test]
fn a_document_that_is_set_anew_is_compared() {
    let host = &mut host("PATCH");
    let long = "x".repeat(100);
    must(host, &["MODEL.SET", "k", "m", &format!(r#"{{"long":"{long}","a":[1],"n":1}}"#)]);
    let set =
        must(host, &["MODEL.SET", "k", "m", &format!(r#"{{"a":[1],"n":2,"long":"{long}"}}"#)]);
    assert_eq!(text(&set[0].content.patch), Some(r#"[{"op":"replace","path":"/n","value":2}]"#));
    // The document itself is shorter than a patch.
    let set = must(host, &["MODEL.SET", "k", "m", "{}"]);
    assert_eq!((text(&set[0].content.patch), text(&set[0].content.after)), (None, Some("{}")));
}

#[test]
fn content_is_limited() {
    let host = &mut host("BOTH");
    must(host, &["MODEL.SET", "k", "m", r#"{"n":1}"#]);
    host.settings.transactions.change_bytes = 14;
    must(host, &["MODEL.FIELDOP", "k", "SET", "$.n", "2"]);
    let refused = changes(host, &["MODEL.FIELDOP", "k", "SET", "$.n", "33"]).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Limit);
    assert!(refused.line().contains("model.change-bytes"), "{refused}");
    assert_eq!(document(host, "k"), serde_json::json!({"n": 2}));
}

const NAMES: [&str; 7] = ["a", "b", "c", "~x", "y/z", "é", ""];

fn json(rng: &mut Rng, depth: usize) -> String {
    match rng.below(if depth == 0 { 5 } else { 9 }) {
        0 => "null".to_owned(),
        1 => (rng.below(2000) as i64 - 1000).to_string(),
        2 => format!("{}.5", rng.below(100)),
        3 => rng.pick(&["true", "false", r#""""#, r#""q\"\\""#]).to_owned(),
        4 => format!(r#""{}""#, "s".repeat(rng.below(40))),
        5 | 6 => {
            let items: Vec<_> = (0..rng.below(6)).map(|_| json(rng, depth - 1)).collect();
            format!("[{}]", items.join(","))
        }
        _ => {
            let members: Vec<_> = (0..rng.below(6))
                .map(|_| format!(r#""{}":{}"#, rng.pick(&NAMES), json(rng, depth - 1)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
    }
}

/// A pointer that may lead somewhere.
fn pointer(rng: &mut Rng) -> String {
    let mut path = rng.pick(&["", "/a", "/b", "/c", "/c"]).to_owned();
    for _ in 0..rng.below(3) {
        path += "/";
        path += &match rng.below(2) {
            0 => rng.below(4).to_string(),
            _ => rng.pick(&NAMES).replace('~', "~0").replace('/', "~1"),
        };
    }
    path
}

/// One statement.
fn statement(rng: &mut Rng) -> Vec<String> {
    let path = match rng.below(8) {
        0 => rng.pick(&["$.*", "$..a", "$.a[*]", "$..[1]", "$[?@ > 3]"]).to_owned(),
        _ => pointer(rng),
    };
    let array = |rng: &mut Rng| {
        let items: Vec<_> = (0..rng.below(4)).map(|_| json(rng, 1)).collect();
        format!("[{}]", items.join(","))
    };
    let number = |rng: &mut Rng| (rng.below(7) as i64 - 3).to_string();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    match rng.below(22) {
        0..=3 => vec!["SET".into(), path, json(rng, 2)],
        4 => vec!["DEL".into(), path],
        5 => vec!["INCR".into(), path, number(rng)],
        6 => vec!["APPEND".into(), path, array(rng)],
        7 => vec!["PREPEND".into(), path, array(rng)],
        8 => vec!["INSERT".into(), path, number(rng), array(rng)],
        9 => vec!["POP".into(), path, number(rng)],
        10 => vec!["PULL".into(), path, "0".into(), json(rng, 0)],
        11 => vec!["DELRANGE".into(), path, number(rng), number(rng)],
        12 => vec!["TRIM".into(), path, number(rng), number(rng)],
        13 => vec!["SWAP".into(), pointer(rng), pointer(rng)],
        14 => vec!["MOVE".into(), pointer(rng), pointer(rng)],
        15 => vec!["COPY".into(), pointer(rng), pointer(rng)],
        16 => vec!["SORT".into(), path, "DESC".into(), "@".into()],
        17 => vec!["MERGE".into(), path, json(rng, 2)],
        18 => vec!["POPKEY".into(), path, rng.pick(&NAMES).into()],
        19 => vec!["CLEAR".into(), path],
        20 => vec!["ADDUNIQ".into(), path, array(rng)],
        _ => {
            let operation = words(&["PATCH", "$"]);
            let value = json(rng, 1);
            let (from, to) = (pointer(rng), pointer(rng));
            let patch = format!(
                r#"[{{"op":"move","from":"{from}","path":"{to}"}},{{"op":"add","path":"{from}","value":{value}}}]"#
            );
            [operation, vec![patch]].concat()
        }
    }
}

#[test]
fn a_patch_leads_from_the_document_before_to_the_document_after() {
    let mut patches = 0;
    for seed in 0..400 {
        let rng = &mut Rng(seed);
        let host = &mut host("PATCH");
        let mut before = "null".to_owned();
        for _ in 0..40 {
            if rng.below(6) == 0 || before == "null" {
                // A patch is shorter than this one.
                let (pad, a, b) = ("x".repeat(600), json(rng, 4), json(rng, 4));
                before = format!(r#"{{"pad":"{pad}","a":{a},"b":{b},"c":[1,[2,3],4]}}"#);
                must(host, &["MODEL.SET", "k", "m", &before]);
            }
            let mut args = vec!["MODEL.FIELDOP".to_owned(), "k".to_owned()];
            // One that fails refuses all: most are alone.
            for _ in 0..1 + rng.below(2) * rng.below(6) {
                args.extend(statement(rng));
            }
            let args: Vec<_> = args.iter().map(String::as_str).collect();
            let old = document(host, "k");
            let Ok(made) = changes(host, &args) else { continue };
            let new = document(host, "k");
            let Some(change) = made.first() else {
                assert_eq!(old, new, "seed {seed}: {args:?}");
                continue;
            };
            let whole = print::to_string(host.documents[&b"k"[..]].root.view());
            match (text(&change.content.patch), text(&change.content.after)) {
                (Some(patch), None) => {
                    patches += 1;
                    assert!(patch.len() <= whole.len(), "seed {seed}: {patch} {whole}");
                    assert_eq!(patched(old, patch), new, "seed {seed}: {args:?} {patch}");
                }
                (None, Some(after)) => assert_eq!(after, whole, "seed {seed}: {args:?}"),
                other => panic!("seed {seed}: {args:?} {other:?}"),
            }
        }
    }
    assert!(patches > 2000, "{patches} patches were seen");
}

#[test]
fn the_entries_alone_tell_the_documents() {
    for (with, seed) in [("PATCH", 1), ("AFTER", 2), ("BOTH", 3)] {
        let rng = &mut Rng(seed);
        let host = &mut host(with);
        must(host, &["MODEL.DEFINE", "o", "{}"]);
        let (mut follower, mut seq) = (Follower::default(), 0);
        for _ in 0..3000 {
            let key = format!("k{}", rng.below(5));
            let other = format!("k{}", rng.below(5));
            let content = json(rng, 3);
            let mut args: Vec<String> = match rng.below(10) {
                0 => {
                    vec!["MODEL.SET".into(), key, rng.pick(&["m", "m", "o", "any"]).into(), content]
                }
                1 => vec!["MODEL.FIELDOP".into(), key, "INIT".into(), "m".into(), content],
                2 => ["MODEL.TXN", "1", &key, "ON", &key, "DELETE"].map(String::from).into(),
                3 if key != other => {
                    let put = ["ON", &key, "PUT", "m", &content, "ON", &other, "DELETE"];
                    [&["MODEL.TXN", "2", &key, &other][..], &put]
                        .concat()
                        .iter()
                        .map(|word| (*word).into())
                        .collect()
                }
                _ => vec!["MODEL.FIELDOP".into(), key],
            };
            if args[0] == "MODEL.FIELDOP" {
                args.extend(statement(rng));
            }
            let args: Vec<_> = args.iter().map(String::as_str).collect();
            for change in changes(host, &args).unwrap_or_default() {
                seq += 1;
                let mut entry = Entry::new();
                change.each_field(seq, |name, value| {
                    let value = match value {
                        FieldValue::Number(number) => number.to_string(),
                        FieldValue::Word(word) => word.into(),
                        FieldValue::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
                    };
                    entry.insert(name.into(), value);
                });
                follower.read(&entry);
            }
        }
        let of_model = |host: &MemoryHost| {
            let ours = host.documents.iter().filter(|(_, document)| document.model_name() == "m");
            let seen = |key: &Vec<u8>| String::from_utf8(key.clone()).unwrap();
            let content = |key: &Vec<u8>| document(host, &seen(key));
            ours.map(|(key, document)| (seen(key), (document.revision, content(key)))).collect()
        };
        let documents: BTreeMap<String, (u64, serde_json::Value)> = of_model(host);
        assert_eq!(follower.documents, documents, "WITH {with}");
        assert!(seq > 300, "{seq} entries");
    }
}
