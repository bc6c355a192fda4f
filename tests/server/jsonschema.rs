//! The JSON Schema test suite, every draft, through `MODEL.DEFINE` and `MODEL.SET` on real servers.

use crate::harness::on_every_shared;
use crate::resp::Reply;

#[path = "../schemas/suite.rs"]
mod suite;

const KEY: &str = "jsonschema:doc";
const MODEL: &str = "jsonschema";

fn own(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The commands of one group: the definition, and for each case what stores it, what tells whether it is
/// there, and what takes it away.
fn commands(group: &suite::Group) -> Vec<Vec<String>> {
    let mut commands = vec![own(&["MODEL.DEFINE", MODEL, &group.schema.to_string()])];
    for case in &group.cases {
        commands.push(own(&["MODEL.SET", KEY, MODEL, &case.document.to_string()]));
        commands.push(own(&["EXISTS", KEY]));
        commands.push(own(&["DEL", KEY]));
    }
    commands
}

/// The disagreements of the replies to one group.
fn wrong(group: &suite::Group, replies: &[Reply]) -> Vec<String> {
    let name = format!("{}: {}", group.file, group.description);
    if replies[0].is_error() {
        return vec![format!("{name}: {:?}", replies[0])];
    }
    let cases = group.cases.iter().zip(replies[1..].chunks_exact(3));
    let wrong = cases.filter(|(case, replies)| {
        let is_stored = replies[1] == Reply::Int(1);
        match &replies[0] {
            Reply::Int(_) => !(case.valid && is_stored),
            Reply::Error(line) => case.valid || is_stored || !line.starts_with("SCHEMA "),
            _ => true,
        }
    });
    wrong.map(|(case, replies)| format!("{name}: {}: {replies:?}", case.description)).collect()
}

#[test]
fn every_case_of_the_suite_is_valid_or_invalid_as_it_says() {
    let groups = suite::groups();
    let commands: Vec<_> = groups.iter().flat_map(commands).collect();
    let count: usize = groups.iter().map(|group| group.cases.len()).sum();
    assert!(count > 7000, "{count}");
    on_every_shared(|server| {
        let conn = &mut server.conn();
        conn.must(&["DEL", KEY]);
        let replies = conn.pipeline(&commands);
        let mut replies = replies.as_slice();
        let mut failures = Vec::new();
        for group in &groups {
            let (own, rest) = replies.split_at(1 + 3 * group.cases.len());
            failures.extend(wrong(group, own));
            replies = rest;
        }
        assert!(failures.is_empty(), "{} of {count}:\n{}", failures.len(), failures.join("\n"));
    });
}

/// Documents in the table of exclusions that no server can store.
#[test]
fn values_beyond_the_limits_are_refused_under_any_model() {
    let documents: Vec<_> = suite::beyond_64_bits()
        .iter()
        .flat_map(|group| &group.cases)
        .map(|case| ("RANGE", case.document.to_string()))
        .chain([
            ("ERR", r#""\ud800""#.to_owned()),
            ("ERR", r#"{"\udc00":1}"#.to_owned()),
            ("RANGE", "1e999".to_owned()),
        ])
        .collect();
    on_every_shared(|server| {
        let conn = &mut server.conn();
        let (model, key) = ("jsonschema:all", "jsonschema:none");
        conn.must(&["MODEL.DEFINE", model, "true"]);
        for (word, document) in &documents {
            let refused = conn.call(&["MODEL.SET", key, model, document]);
            assert_eq!(refused.error_word(), *word, "{document}");
            assert_eq!(conn.must(&["EXISTS", key]), Reply::Int(0), "{document}");
        }
    });
}

/// Nothing is ever fetched: a schema that would need it is none.
#[test]
fn schemas_that_refer_outside_are_refused() {
    let groups = suite::remote();
    on_every_shared(|server| {
        let conn = &mut server.conn();
        for group in &groups {
            let schema = group.schema.to_string();
            let refused = conn.call(&["MODEL.DEFINE", "jsonschema:remote", &schema]);
            assert_eq!(refused.error_word(), "ERR", "{}: {}", group.file, group.description);
        }
        let described = conn.call(&["MODEL.DESCRIBE", "jsonschema:remote"]);
        assert_eq!(described.error_word(), "NOMODEL");
    });
}
