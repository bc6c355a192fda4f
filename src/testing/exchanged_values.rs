//! Documents of one transaction exchange the values of indexes with `UNIQUE`: many values, and many documents.

use super::MemoryHost;
use crate::error::{ErrorCode, Result};
use crate::host::Outcome;
use crate::index::PASSED;

fn call(host: &mut MemoryHost, words: &[String]) -> Result<Outcome> {
    host.call(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// So many values, from this one on.
fn tags(first: usize, count: usize) -> String {
    let tags: Vec<String> = (first..first + count).map(|nth| format!("\"t{nth}\"")).collect();
    format!("[{}]", tags.join(","))
}

fn host(indexes: usize) -> MemoryHost {
    let mut host = MemoryHost::default();
    let mut define = words("MODEL.DEFINE m {}");
    (0..indexes).for_each(|nth| define.extend(words(&format!("INDEX i{nth} 1 $.t[*] UNIQUE"))));
    call(&mut host, &define).unwrap();
    host
}

fn put(host: &mut MemoryHost, key: usize, tags: &str) {
    let json = format!(r#"{{"t":{tags}}}"#);
    call(host, &words(&format!("MODEL.SET k{key} m {json}"))).unwrap();
}

/// A transaction that gives each document these values.
fn give(all: &[String]) -> Vec<String> {
    let mut command = words(&format!("MODEL.TXN {}", all.len()));
    command.extend((0..all.len()).map(|nth| format!("k{nth}")));
    for (nth, tags) in all.iter().enumerate() {
        command.extend(words(&format!("ON k{nth} SET $.t {tags}")));
    }
    command
}

#[test]
fn many_values_are_exchanged_without_going_through_all_for_each() {
    const COUNT: usize = 500;
    let mut host = host(4);
    put(&mut host, 0, &tags(0, COUNT));
    put(&mut host, 1, &tags(COUNT, COUNT));
    // The second document keeps its last value.
    let partly =
        [tags(COUNT, COUNT), tags(1, COUNT - 1).replace(']', &format!(",\"t{}\"]", 2 * COUNT - 1))];
    let error = call(&mut host, &give(&partly)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unique);
    PASSED.set(0);
    call(&mut host, &give(&[tags(COUNT, COUNT), tags(0, COUNT)])).unwrap();
    assert!(PASSED.get() < COUNT, "{}", PASSED.get());
}

#[test]
fn many_documents_pass_their_values_on() {
    const DOCUMENTS: usize = 50;
    let mut host = host(1);
    (0..DOCUMENTS).for_each(|nth| put(&mut host, nth, &tags(nth, 1)));
    let next = |nth: usize| tags((nth + 1) % DOCUMENTS, 1);
    let all: Vec<String> = (0..DOCUMENTS).map(next).collect();
    // All but one of them: the first one keeps what the last one is given.
    let mut partly = all.clone();
    partly[0] = tags(0, 1);
    let error = call(&mut host, &give(&partly)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unique);
    call(&mut host, &give(&all)).unwrap();
    for nth in 0..DOCUMENTS {
        let read = call(&mut host, &words(&format!("MODEL.GET k{nth} $.t"))).unwrap();
        assert_eq!(read.reply.notation(), next(nth));
    }
}
