//! Commands that change nothing, on a document that was written under an older definition: they leave
//! every byte, and replicate nothing. Those that assign a default of the newer definition keep it.

use redis_model::testing::MemoryHost;
use redis_model::value::print;

/// The second definition fills in `level` and `log`, and refuses the document.
const SECOND: &str =
    r#"{"properties":{"level":{"default":3},"log":{"default":[]}},"required":["missing"]}"#;
/// The same without the refusal.
const LENIENT: &str = r#"{"properties":{"level":{"default":3},"log":{"default":[]}}}"#;

/// A document `k` of the first definition of the model `m`, which has the given one by now.
fn host(definition: &str) -> MemoryHost {
    let mut host = MemoryHost::default();
    for command in [
        &["MODEL.DEFINE", "m", "{}"][..],
        &["MODEL.SET", "k", "m", r#"{"a":1,"s":"x","l":[1],"o":{"x":1}}"#],
        &["MODEL.SET", "j", "any", "{}"],
        &["MODEL.DEFINE", "m", definition],
    ] {
        host.call(command).unwrap();
    }
    host
}

/// The document, its revision, the version of its definition, and the last revision issued.
fn state(host: &MemoryHost) -> (String, u64, u32, u64) {
    let document = &host.documents[&b"k"[..]];
    let (text, version) = (print::to_string(document.root.view()), document.definition_version());
    (text, document.revision, version, host.revisions.seen())
}

/// The forms of a command with these statements: with one block, with others around it, and alone.
fn forms<'a>(statement: &[&'a str]) -> Vec<Vec<&'a str>> {
    vec![
        [&["MODEL.FIELDOP", "k"], statement].concat(),
        [&["MODEL.FIELDOP", "k", "INIT", "m", "{}", "MKPATH"], statement].concat(),
        [&["MODEL.TXN", "1", "k", "ON", "k"], statement].concat(),
        [&["MODEL.TXN", "2", "j", "k", "ON", "j", "INCR", "$.n", "0", "ON", "k"], statement]
            .concat(),
        [&["MODEL.TXN", "1", "k", "ON", "k", "GET", "$", "ON", "k"], statement].concat(),
    ]
}

const NOTHING: &[&[&str]] = &[
    &["SET", "$.a", "1"],
    &["SET", "$.o", r#"{"x":1}"#],
    &["SETNX", "$.a", "2"],
    &["SETXX", "$.none", "2"],
    &["INCR", "$.a", "0"],
    &["MUL", "$.a", "1"],
    &["MAX", "$.a", "0"],
    &["MIN", "$.a", "9"],
    &["DEL", "$.none"],
    &["DEL", "$.*.none"],
    &["CLEAR", "$.none"],
    &["MERGE", "$", r#"{"a":1}"#],
    &["MERGE", "$.o", "{}"],
    &["STRAPPEND", "$.s", r#""""#],
    &["APPEND", "$.l", "[]"],
    &["POP", "$.none", "-1"],
    &["PULL", "$.l", "0", "7"],
    &["ADDUNIQ", "$.l", "[1]"],
    &["SORT", "$.l", "ASC", "@"],
    &["EVAL", "$.a", "value"],
    &["COPY", "$.a", "$.a"],
    &["SWAP", "$.a", "$.a"],
    &["WHEN", "self.a > 1", "SET", "$.a", "2"],
    &["WHEN", "self.level == 4", "SET", "$.level", "5"],
    &["IF", "self.level == 3", "SET", "$.a", "1"],
    &["SET", "$.a", "1", "INCR", "$.a", "0", "DEL", "$.none"],
    &["POP", "$.log", "-1"],
    &["CLEAR", "$.log"],
    &["GET", "$.a"],
    &["REVISION"],
];

#[test]
fn a_command_that_changes_nothing_leaves_an_older_document_as_it_is() {
    for definition in [SECOND, LENIENT] {
        for statement in NOTHING {
            for command in forms(statement) {
                let mut host = host(definition);
                // Nothing is incremented where the document `j` lacks the member.
                if command.contains(&"j") {
                    host.call(&["MODEL.SET", "j", "any", r#"{"n":1}"#]).unwrap();
                }
                let before = state(&host);
                let outcome =
                    host.call(&command).unwrap_or_else(|error| panic!("{command:?}: {error}"));
                assert_eq!(state(&host), before, "{command:?}");
                assert!(outcome.effects.is_empty(), "{command:?}: {:?}", outcome.effects);
            }
        }
        let mut host = host(definition);
        let before = state(&host);
        for command in [
            &["MODEL.SET", "k", "m", r#"{"missing":1}"#, "NX"][..],
            &["MODEL.SET", "none", "m", r#"{"missing":1}"#, "XX"],
        ] {
            assert!(host.call(command).unwrap().effects.is_empty());
            assert_eq!(state(&host), before, "{command:?}");
        }
        let refused = host.call(&["MODEL.SET", "k", "m", r#"{"missing":1}"#, "IFREV", "1"]);
        assert_eq!(refused.unwrap_err().code().word(), "REVISION");
        assert_eq!(state(&host), before);
    }
}

#[test]
fn a_default_that_a_statement_assigns_or_would_have_created_stays() {
    for statement in [
        &["SET", "$.level", "3"][..],
        &["SETNX", "$.level", "9"],
        &["INCR", "$.level", "0"],
        &["MERGE", "$", r#"{"level":3}"#],
        &["EVAL", "$.level", "value"],
        &["APPEND", "$.log", "[]"],
        &["SET", "$", r#"{"a":1,"s":"x","l":[1],"o":{"x":1},"level":3,"log":[]}"#],
    ] {
        for command in forms(statement) {
            let mut host = host(LENIENT);
            host.call(&["MODEL.SET", "j", "any", r#"{"n":1}"#]).unwrap();
            let (_, revision, ..) = state(&host);
            let outcome = host.call(&command).unwrap();
            let (text, new_revision, version, seen) = state(&host);
            assert_eq!(
                text, r#"{"a":1,"s":"x","l":[1],"o":{"x":1},"level":3,"log":[]}"#,
                "{command:?}"
            );
            assert!(new_revision > revision && new_revision == seen && version == 2, "{command:?}");
            assert_eq!(outcome.effects.len(), 1, "{command:?}");
        }
    }
}

#[test]
fn a_write_validates_an_older_document_whole() {
    for command in forms(&["SET", "$.a", "2"]) {
        let mut host = host(SECOND);
        host.call(&["MODEL.SET", "j", "any", r#"{"n":1}"#]).unwrap();
        let before = state(&host);
        assert_eq!(host.call(&command).unwrap_err().code().word(), "SCHEMA", "{command:?}");
        assert_eq!(state(&host), before, "{command:?}");
    }
}
