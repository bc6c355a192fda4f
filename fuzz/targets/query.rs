//! Queries: lines up to an empty one are the indexes of a definition, the next one is a condition, and the others are
//! documents. What is found by indexes, page by page and in both directions of each index, is what a search over all keys
//! finds in a model of the same documents without indexes; and MODEL.CHECK finds nothing. A suggested index can be defined
//! and serves the condition.

#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use redis_model::error::{Detail, Error, ErrorCode};
use redis_model::reply::Reply;
use redis_model::testing::MemoryHost;
use redis_model::value::Limits;

const ARGS: &str = r#"{"n":1,"s":"open","list":["a",1,null]}"#;

fn host() -> MemoryHost {
    let mut host = MemoryHost::default();
    host.settings.document = Limits { depth: 16, bytes: 1 << 12 };
    host.settings.expressions.steps = 10_000;
    host
}

fn call(host: &mut MemoryHost, args: &[&str]) -> Result<Reply, Error> {
    host.call(args).map(|outcome| outcome.reply)
}

fn array(reply: &Reply) -> &[Reply] {
    let Reply::Array(items) = reply else { panic!("an array: {reply:?}") };
    items
}

fn text(reply: &Reply) -> String {
    let Reply::Text(text) = reply else { panic!("a text: {reply:?}") };
    String::from_utf8(text.clone()).expect("keys are texts here")
}

/// The keys of all pages of a query at one moment.
fn find(host: &mut MemoryHost, query: &[&str], limit: &str) -> Result<Vec<String>, Error> {
    let (now_us, mut cursor, mut keys) = (host.now_us, None::<String>, Vec::new());
    loop {
        host.now_us = now_us;
        let mut args = [&["MODEL.FIND", "m"], query, &["ARGS", ARGS, "LIMIT", limit]].concat();
        args.extend(cursor.iter().flat_map(|cursor| ["AFTER", cursor]));
        args.extend(["GET", "$.none"]);
        let reply = call(host, &args)?;
        let [next, rows] = array(&reply) else { panic!("{reply:?}") };
        keys.extend(array(rows).iter().map(|row| text(&array(row)[0])));
        if *next == Reply::Null {
            host.now_us = now_us;
            return Ok(keys);
        }
        cursor = Some(text(next));
    }
}

fn check(host: &mut MemoryHost) {
    let mut cursor = "0".to_owned();
    loop {
        let reply = call(host, &["MODEL.CHECK", "m", "CURSOR", &cursor]).expect("it is sound");
        let Reply::Map(counts) = reply else { panic!("a map: {reply:?}") };
        for (name, count) in &counts {
            match *name {
                "cursor" => cursor = text(count),
                "missing" | "stray" | "duplicates" => assert_eq!(*count, Reply::Int(0), "{name}"),
                _ => {}
            }
        }
        if cursor == "0" {
            return;
        }
    }
}

/// The words as a shell reads them.
fn words(line: &str) -> Vec<&str> {
    let (mut words, mut rest) = (Vec::new(), line);
    while let Some(first) = rest.chars().next() {
        let (word, behind) = match first {
            '\'' | '"' => rest[1..].split_once(first).expect("a quote is closed"),
            _ => rest.split_at(rest.find(' ').unwrap_or(rest.len())),
        };
        words.push(word);
        rest = behind.trim_start();
    }
    words
}

fn check_suggestion(host: &mut MemoryHost, condition: &str, error: &Error) {
    let Some(Detail::Text(index)) = error.detail("add") else { return };
    let words = words(index);
    let define = [&["MODEL.DEFINE", "suggested", "{}"], &words[..]].concat();
    call(host, &define).unwrap_or_else(|error| panic!("{index}: {error}"));
    let query = ["MODEL.FIND", "suggested", "WHERE", condition, "ARGS", ARGS];
    call(host, &query).unwrap_or_else(|error| panic!("{index}: {error}"));
}

fuzz_target!(|input: &[u8]| {
    let Ok(input) = std::str::from_utf8(input) else { return };
    let mut lines = input.split('\n');
    let indexes: Vec<&str> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    let Some(condition) = lines.next() else { return };
    // A document and its search have different moments.
    if condition.contains("now") || condition.contains("revision") {
        return;
    }
    let (mut host, mut naive) = (host(), host());
    if call(&mut host, &[&["MODEL.DEFINE", "m", "{}"], &indexes[..]].concat()).is_err() {
        return;
    }
    call(&mut naive, &["MODEL.DEFINE", "m", "{}"]).expect("it is sound");
    for (nth, json) in lines.take(24).enumerate() {
        let set = ["MODEL.SET", &format!("k{}", nth % 20), "m", json];
        if call(&mut host, &set).is_ok() {
            call(&mut naive, &set).expect("a model without indexes takes more");
        }
    }
    check(&mut host);
    let searched = find(&mut naive, &["WHERE", condition, "SCAN"], "7");
    let Ok(searched) = searched else { return };
    let expected: BTreeSet<String> = searched.iter().cloned().collect();
    assert_eq!(expected.len(), searched.len());
    let check_found = |found: Vec<String>| {
        assert_eq!(BTreeSet::from_iter(found.iter().cloned()), expected);
        assert_eq!(found.len(), expected.len(), "each once");
    };
    if let Err(error) = find(&mut host, &["WHERE", condition], "2") {
        assert_eq!(error.code(), ErrorCode::NoIndex, "{error}");
        check_suggestion(&mut host, condition, &error);
    } else {
        check_found(find(&mut host, &["WHERE", condition], "2").expect("it was served"));
    }
    check_found(find(&mut host, &["WHERE", condition, "SCAN"], "3").expect("SCAN is said"));
    let count = ["MODEL.COUNT", "m", "WHERE", condition, "ARGS", ARGS, "SCAN"];
    assert_eq!(call(&mut host, &count).expect("SCAN is said"), Reply::Int(expected.len() as i64));
    let model = host.models.of_document("m");
    let names: Vec<String> = match model.indexes().declared() {
        Some(set) => set.sources().map(|source| source.name.to_string()).collect(),
        None => Vec::new(),
    };
    for name in names {
        let query = ["WHERE", condition, "SCAN", "ORDER", &name];
        let Ok(found) = find(&mut host, &query, "2") else { continue };
        let descending = find(&mut host, &[&query[..], &["DESC"]].concat(), "3");
        let mut descending = descending.expect("both directions are served");
        descending.reverse();
        assert_eq!(found, descending, "{name}");
        check_found(found);
    }
});
