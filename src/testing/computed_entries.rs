//! Entries of a changed document are computed once, and in the indexes that the change can touch.

use super::MemoryHost;
use crate::index::COMPUTED;

const DEFINE: &str = "MODEL.DEFINE m {} INDEX by_n 1 $.n INDEX by_both 2 $.n $.text INDEX by_mail 1 $.mail UNIQUE \
    INDEX by_theme 1 $.meta.theme INDEX by_tag 1 $.tags[*] INDEX by_lower 1 self.text.lowerAscii() \
    INDEX only_open 1 $.at ONLY self.open";
const DOCUMENT: &str = r#"{"n":1,"text":"T","mail":"m","meta":{"theme":"dark","lang":"en"},"tags":["a"],"open":true,"at":5,
    "other":1}"#;
const INDEXES: usize = 7;

fn host() -> MemoryHost {
    let mut host = MemoryHost::default();
    host.call(&DEFINE.split_whitespace().collect::<Vec<_>>()).unwrap();
    host.call(&["MODEL.SET", "k", "m", DOCUMENT]).unwrap();
    host
}

/// The indexes in which entries are computed for a command.
fn computed(host: &mut MemoryHost, args: &[&str]) -> usize {
    let before = COMPUTED.get();
    host.call(args).unwrap();
    COMPUTED.get() - before
}

#[test]
fn a_change_computes_the_entries_that_it_can_touch_and_those_once() {
    let cases: &[(&str, &[&str], usize)] = &[
        ("a member that no index reads", &["INCR", "$.other", "1"], 0),
        ("a member beside one that an index reads", &["SET", "$.meta.lang", "\"de\""], 0),
        ("a member of two indexes", &["INCR", "$.n", "1"], 2),
        ("a member with UNIQUE", &["SET", "$.mail", "\"x\""], 1),
        ("a member below the root", &["SET", "$.meta.theme", "\"light\""], 1),
        ("the object around a member", &["SET", "$.meta", r#"{"theme":"new"}"#], 1),
        ("an element of an array", &["SET", "$.tags[0]", "\"b\""], 1),
        ("an element that is added", &["APPEND", "$.tags", "[\"c\"]"], 1),
        ("a member of a path and of an expression", &["SET", "$.text", "\"U\""], 2),
        ("a condition", &["SET", "$.open", "false"], 1),
        ("two members", &["INCR", "$.at", "1", "SET", "$.mail", "\"y\""], 2),
        ("nothing", &["SET", "$.other", "1"], 0),
        ("a member of the root that comes", &["SET", "$.new", "1"], INDEXES),
        ("a member of the root that goes", &["DEL", "$.other"], INDEXES),
    ];
    for (what, statements, expected) in cases {
        let mut host = host();
        let args = [&["MODEL.FIELDOP", "k"], *statements].concat();
        assert_eq!(computed(&mut host, &args), *expected, "{what}");
    }
}

#[test]
fn a_document_that_is_written_whole_has_its_entries_computed_once() {
    let mut host = host();
    assert_eq!(computed(&mut host, &["MODEL.SET", "k", "m", DOCUMENT]), INDEXES);
    assert_eq!(computed(&mut host, &["MODEL.SET", "other", "m", "{}"]), INDEXES);
    // After a new definition it is validated whole with its next change, and has a record no more.
    host.call(&["MODEL.DEFINE", "m", "{}", "INDEX", "by_n", "1", "$.n"]).unwrap();
    assert_eq!(computed(&mut host, &["MODEL.FIELDOP", "k", "INCR", "$.other", "1"]), 1);
    assert_eq!(computed(&mut host, &["MODEL.FIELDOP", "k", "INCR", "$.other", "1"]), 0);
    assert_eq!(computed(&mut host, &["MODEL.FIELDOP", "k", "INCR", "$.n", "1"]), 1);
}

#[test]
fn a_refused_change_leaves_the_entries() {
    let mut host = host();
    host.call(&["MODEL.SET", "other", "m", r#"{"mail":"taken"}"#]).unwrap();
    let refused = ["MODEL.FIELDOP", "k", "INCR", "$.n", "1", "SET", "$.mail", "\"taken\""];
    host.call(&refused).unwrap_err();
    let found = host.call(&["MODEL.COUNT", "m", "WHERE", "self.n == 1"]).unwrap().reply;
    assert_eq!(format!("{found:?}"), "Int(1)");
}
