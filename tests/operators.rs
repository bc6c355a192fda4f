//! Every operator does what its declaration says: each example runs through the commands on the host
//! in memory, and each declaration says enough.

use std::collections::BTreeSet;
use std::panic::Location;

use redis_model::error::ErrorCode;
use redis_model::op::{self, Absent, Action, Example, OpSpec, OperandKind, Target};
use redis_model::path::{Path, PathLimits};
use redis_model::reply::Reply;
use redis_model::testing::MemoryHost;

/// The operators of the contract, but for `EVAL`, which needs expressions.
const CONTRACT: [&str; 40] = [
    "ADDUNIQ",
    "APPEND",
    "BYTESAPPEND",
    "CLEAR",
    "COPY",
    "DEL",
    "DELRANGE",
    "DIV",
    "FLOORDIV",
    "GET",
    "INCR",
    "INSERT",
    "LEN",
    "MAX",
    "MERGE",
    "MIN",
    "MOD",
    "MOVE",
    "MUL",
    "NOW",
    "PATCH",
    "POP",
    "POPITEM",
    "POPKEY",
    "POW",
    "PREPEND",
    "PULL",
    "PULLALL",
    "REVISION",
    "SET",
    "SETNX",
    "SETXX",
    "SORT",
    "STRAPPEND",
    "STRREPEAT",
    "SWAP",
    "TIMEADD",
    "TOGGLE",
    "TRIM",
    "UPDATE",
];

/// Just before 2023-11-14T22:13:20.123Z: [`MemoryHost::call`] moves the clock on by a millisecond,
/// and an example is the second call.
const START_US: u64 = 1_700_000_000_121_000;

struct Ran {
    /// The reply in its notation, or the error's word.
    reply: String,
    /// The whole error line, for people.
    error: String,
    text: String,
    revised: bool,
    effects: usize,
}

/// Runs a statement on a document, with the words that stand before the statement.
fn run(before: &str, options: &[&str], statement: &[&str]) -> Ran {
    let mut host = MemoryHost { now_us: START_US, ..MemoryHost::default() };
    host.call(&["MODEL.SET", "doc", "any", before]).expect("the document before is sound");
    let revision = host.documents[&b"doc"[..]].revision;
    let command = [&["MODEL.FIELDOP", "doc"], options, statement].concat();
    let (reply, error, effects) = match host.call(&command) {
        Ok(outcome) => {
            let notation = outcome.reply.notation();
            let reply = notation.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            (reply.expect("one reply in an array").to_owned(), String::new(), outcome.effects.len())
        }
        Err(error) => (error.code().word().to_owned(), error.line(), 0),
    };
    let document = &host.documents[&b"doc"[..]];
    let text = format!("{:?}", &document.root);
    Ran { reply, error, text, revised: document.revision != revision, effects }
}

#[track_caller]
fn check(before: &str, options: &[&str], statement: &[&str], reply: &str, after: &str) {
    check_at(Location::caller(), (before, options, statement), reply, after);
}

/// `at` is where the case is written down.
fn check_at(at: &Location<'_>, case: (&str, &[&str], &[&str]), reply: &str, after: &str) {
    let (before, options, statement) = case;
    let ran = run(before, options, statement);
    let shown = format!("{at}: {before} {options:?} {statement:?} {}", ran.error);
    // `REVISION` replies a number that only this run knows.
    if reply != "(revision)" {
        assert_eq!(ran.reply, reply, "{shown}");
    }
    assert_eq!(ran.text, after, "{shown}");
    let changed = before != after;
    assert_eq!(ran.revised, changed, "the revision: {shown}");
    assert_eq!(ran.effects, usize::from(changed), "the effects: {shown}");
}

fn is_error(reply: &str) -> bool {
    ErrorCode::ALL.iter().any(|code| code.word() == reply)
}

/// Returns true if the example's first operand is a path to any number of places.
fn is_query(example: &Example) -> bool {
    let path = example.words().get(1).map(|path| path.as_bytes());
    path.and_then(|path| Path::parse(path, &PathLimits::DEFAULT).ok())
        .is_some_and(|path| !path.is_singular())
}

fn each_operator(check: impl Fn(&'static OpSpec)) {
    op::of(Target::Value).iter().for_each(|spec| check(spec));
}

#[test]
fn examples_do_what_they_say() {
    for spec in op::of(Target::Value).iter().chain(op::of(Target::Lock)) {
        for example in spec.examples {
            let case = (example.before, &[][..], &example.words()[..]);
            check_at(example.at, case, example.reply, example.after);
        }
    }
}

/// Examples of operators on keys run as a block of a transaction.
#[test]
fn examples_of_operators_on_keys_do_what_they_say() {
    let specs = op::of(Target::Key).iter().chain(op::of(Target::Document));
    for example in specs.flat_map(|spec| spec.examples) {
        let mut host = MemoryHost::default();
        if !example.before.is_empty() {
            host.call(&["MODEL.SET", "doc", "any", example.before]).expect("a sound document");
        }
        let words = [&["MODEL.TXN", "1", "doc", "ON", "doc"], &example.words()[..]].concat();
        let reply = match host.call(&words).map(|outcome| outcome.reply) {
            Ok(Reply::Array(blocks)) => match &blocks[..] {
                [Reply::Array(replies)] if matches!(replies[..], [Reply::Revision]) => {
                    "(revision)".to_owned()
                }
                [Reply::Array(replies)] => replies[0].notation(),
                _ => panic!("{}: {blocks:?}", example.at),
            },
            Ok(other) => panic!("{}: {other:?}", example.at),
            Err(error) => error.code().word().to_owned(),
        };
        let is_revision = reply.starts_with("(integer) 17") && example.reply == "(revision)";
        assert!(reply == example.reply || is_revision, "{}: {reply}", example.at);
        let document = host.documents.get(&b"doc"[..]);
        let after = document.map(|document| format!("{:?}", &document.root));
        assert_eq!(after.as_deref().unwrap_or(""), example.after, "{}", example.at);
    }
}

#[test]
fn an_example_is_of_its_own_operator_and_shows_errors_that_are_declared() {
    for spec in op::all() {
        for example in spec.examples {
            assert_eq!(example.words()[0], spec.name, "{}", example.at);
            if is_error(example.reply) {
                assert_eq!(example.before, example.after, "{}: a refusal changes", example.at);
                let own = spec.errors.iter().any(|code| code.word() == example.reply);
                let declared = own || of_operands(spec).contains(&example.reply);
                assert!(declared, "{}: {} is not declared", example.at, example.reply);
            }
        }
        let shown = |word: &str| spec.examples.iter().any(|example| example.reply == word);
        for code in spec.errors {
            assert!(shown(code.word()), "{}: no example for {}", spec.name, code.word());
        }
    }
}

/// The errors an operator has because of its operands, before its own code runs. They are not declared.
fn of_operands(spec: &OpSpec) -> Vec<&'static str> {
    let mut words = Vec::new();
    if !spec.operands.is_empty() {
        words.push("ERR");
    }
    match spec.absent {
        Absent::NoPath => words.push("NOPATH"),
        Absent::Create => words.extend(["NOPATH", "TYPE", "RANGE"]),
        Absent::Null | Absent::Zero | Absent::Own => {}
    }
    words
}

#[test]
fn examples_do_the_same_deep_inside_a_large_document() {
    // Around the document stands one that is too large to be packed; paths lead through it.
    let padding = "x".repeat(5000);
    each_operator(|spec| {
        for example in spec.examples.iter().filter(|example| example.reply != "ERR") {
            let wrap = |inner: &str| format!(r#"{{"pad":"{padding}","doc":{inner},"tail":[0]}}"#);
            let statement: Vec<String> = example
                .words()
                .iter()
                .enumerate()
                .map(|(nth, word)| {
                    let is_path = nth > 0 && is_path(spec.operands[nth - 1].kind);
                    let is_expression =
                        nth > 0 && spec.operands[nth - 1].kind == OperandKind::Expression;
                    match word.strip_prefix('$') {
                        Some(rest) if is_path => format!("$.doc{rest}"),
                        None if is_path => format!("/doc{word}"),
                        _ if is_expression => word.replace("self", "self.doc"),
                        _ => (*word).to_owned(),
                    }
                })
                .collect();
            let statement: Vec<&str> = statement.iter().map(String::as_str).collect();
            let before = wrap(example.before);
            let case = (&before[..], &[][..], &statement[..]);
            check_at(example.at, case, example.reply, &wrap(example.after));
        }
    });
}

fn is_path(kind: OperandKind) -> bool {
    use OperandKind::{Path, PathBelowRoot, Singular, SingularBelowRoot};
    matches!(kind, Path | PathBelowRoot | Singular | SingularBelowRoot)
}

#[test]
fn declarations_are_complete() {
    each_operator(|spec| {
        let OpSpec { name, examples, .. } = spec;
        assert!(name.len() <= 16 && name.bytes().all(|b| b.is_ascii_uppercase()), "{name}");
        assert!(examples.iter().any(|example| !is_error(example.reply)), "{name}: no success");
        let texts = [spec.summary, spec.accepts, spec.reply, spec.complexity, spec.since];
        assert!(texts.iter().all(|text| !text.is_empty() && !text.ends_with('.')), "{name}");
        if matches!(spec.run, Action::Each(_) | Action::Total(_)) {
            let first = spec.operands.first().map(|operand| operand.kind);
            let path = matches!(first, Some(OperandKind::Path | OperandKind::PathBelowRoot));
            assert!(path, "{name}: runs for each place of its first operand");
            let query = |example: &Example| is_query(example) && !is_error(example.reply);
            assert!(examples.iter().any(query), "{name}: no path to several places");
            assert!(spec.absent != Absent::Own, "{name}: runs for each place");
        }
        let shown = spec.absent == Absent::Own
            || examples.iter().any(|example| shows_absence(spec, example));
        assert!(shown, "{name}: no example where nothing is");
    });
}

/// Returns true if the example shows what happens where nothing is at a singular path.
fn shows_absence(spec: &OpSpec, example: &Example) -> bool {
    let before = redis_model::value::parse::json(
        example.before.as_bytes(),
        &redis_model::value::Limits::NONE,
    );
    let before = before.expect("the document before is sound").value;
    let path = Path::parse(example.words()[1].as_bytes(), &PathLimits::DEFAULT);
    let Ok(Path::Singular(path)) = path else { return false };
    let reply = match spec.absent {
        Absent::Null => example.reply == "(nil)",
        Absent::Zero => example.reply == "(integer) 0",
        Absent::NoPath => example.reply == "NOPATH",
        Absent::Create => !is_error(example.reply),
        Absent::Own => true,
    };
    reply && path.find(before.view()).is_none()
}

#[test]
fn names_are_sorted_and_unique() {
    for target in [Target::Value, Target::Lock, Target::Document, Target::Key] {
        let names: Vec<_> = op::of(target).iter().map(|spec| spec.name).collect();
        assert!(!names.is_empty() && names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
        for name in names {
            assert_eq!(op::find(name.to_lowercase().as_bytes()).map(|spec| spec.name), Some(name));
        }
    }
}

#[test]
fn every_operator_of_the_contract_is_there() {
    let registered: BTreeSet<_> = op::of(Target::Value).iter().map(|spec| spec.name).collect();
    let missing: Vec<_> = CONTRACT.iter().filter(|name| !registered.contains(*name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_operator_undoes_itself() {
    // Behind each example stands a statement that fails.
    each_operator(|spec| {
        for example in spec.examples.iter().filter(|example| !is_error(example.reply)) {
            let statement = [&example.words()[..], &["SET", "$.no.such['parent']", "1"]].concat();
            let ran = run(example.before, &[], &statement);
            assert!(["NOPATH", "TYPE"].contains(&&*ran.reply), "{statement:?} {}", ran.error);
            assert_eq!(ran.text, example.before, "{statement:?}");
            assert!(!ran.revised && ran.effects == 0, "{statement:?}");
        }
    });
}

#[test]
fn missing_parents_are_created_when_asked() {
    let with = |before, statement: &[&str], reply, after| {
        check(before, &["MKPATH"], statement, reply, after)
    };
    with("{}", &["SETNX", "$.a.b", "1"], "(integer) 1", r#"{"a":{"b":1}}"#);
    with("{}", &["SETXX", "$.a.b", "1"], "(integer) 0", "{}");
    with("{}", &["MAX", "$.a.b", "1"], "1", r#"{"a":{"b":1}}"#);
    with("{}", &["STRAPPEND", "$.a.b", r#""x""#], "(integer) 1", r#"{"a":{"b":"x"}}"#);
    with("{}", &["BYTESAPPEND", "$.a.b", "AQ=="], "(integer) 1", r#"{"a":{"b":"AQ=="}}"#);
    with("{}", &["MUL", "$.a.b", "2"], "NOPATH", "{}");
    with(r#"{"a":1}"#, &["MOVE", "$.a", "$.b.c"], "(integer) 1", r#"{"b":{"c":1}}"#);
    with(r#"{"a":{}}"#, &["MOVE", "$.a", "$.a.b.c"], "NOPATH", r#"{"a":{}}"#);
}

/// The reply and the text after, on a document that may have `bytes` bytes.
fn run_within(bytes: u64, before: &str, statement: &[&str]) -> (String, String) {
    let mut host = MemoryHost::default();
    host.call(&["MODEL.SET", "doc", "any", before]).expect("the document before is sound");
    host.settings.document.bytes = bytes;
    let reply = match host.call(&[&["MODEL.FIELDOP", "doc"], statement].concat()) {
        Ok(outcome) => outcome.reply.notation(),
        Err(error) => error.code().word().to_owned(),
    };
    (reply, format!("{:?}", &host.documents[&b"doc"[..]].root))
}

#[test]
fn a_repeated_string_is_measured_before_it_is_made() {
    // An array of 4 bytes with a string of 2 and its length.
    let statement = ["STRREPEAT", "$[0]", "50"];
    let repeated = format!(r#"["{}"]"#, "ab".repeat(50));
    assert_eq!(run_within(106, r#"["ab"]"#, &statement), ("[(integer) 100]".into(), repeated));
    let refused = ("LIMIT".into(), r#"["ab"]"#.into());
    assert_eq!(run_within(105, r#"["ab"]"#, &statement), refused);
    let most = ["STRREPEAT", "$[0]", "9223372036854775807"];
    assert_eq!(run_within(105, r#"["ab"]"#, &most), refused);
}

#[test]
fn moved_values_fit_in_documents_of_the_maximum_size() {
    // Documents as large as they may be: nothing larger exists on the way either.
    for (before, bytes, statement, after) in [
        (r#"["abcdefgh",1]"#, 23, ["SWAP", "$[0]", "$[1]"], r#"[1,"abcdefgh"]"#),
        (r#"[1,"abcdefgh"]"#, 23, ["SWAP", "$[0]", "$[1]"], r#"["abcdefgh",1]"#),
        (r#"{"a":"abcdefgh"}"#, 17, ["MOVE", "$.a", "$.b"], r#"{"b":"abcdefgh"}"#),
        (r#"["abcdefgh",1]"#, 23, ["MOVE", "$[0]", "/-"], r#"[1,"abcdefgh"]"#),
        (r#"{"a":{"b":"abcdefgh"}}"#, 24, ["MOVE", "$.a.b", "$.a"], r#"{"a":"abcdefgh"}"#),
    ] {
        let expected = ("[(integer) 1]".to_owned(), after.to_owned());
        assert_eq!(run_within(bytes, before, &statement), expected);
    }
}

#[test]
fn a_value_moves_to_a_name_that_fits_and_to_no_longer_one() {
    let (before, after) = (r#"{"a":"abcdefgh"}"#, r#"{"bbb":"abcdefgh"}"#);
    let statement = ["MOVE", "$.a", "$.bbb"];
    assert_eq!(run_within(19, before, &statement), ("[(integer) 1]".into(), after.into()));
    assert_eq!(run_within(18, before, &statement), ("LIMIT".into(), before.into()));
}

mod moving {
    //! `MOVE` against the sentence that defines it: the value is copied to its new place, then what is
    //! left of it at the old one is removed.

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::run;

    fn document() -> impl Strategy<Value = Value> {
        let leaf = (0..9u8).prop_map(|n| json!(n));
        leaf.prop_recursive(3, 16, 3, |inner| {
            let members = prop::collection::btree_map("[abc]", inner.clone(), 0..3);
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(Value::Array),
                members.prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// Every place there is, as JSON Pointers, and every gap where something could be.
    fn pointers(value: &Value, at: &str, out: &mut Vec<String>) {
        out.push(at.to_owned());
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    pointers(item, &format!("{at}/{index}"), out);
                }
                out.push(format!("{at}/-"));
            }
            Value::Object(members) => {
                for name in ["a", "b", "c"] {
                    match members.get(name) {
                        Some(member) => pointers(member, &format!("{at}/{name}"), out),
                        None => out.push(format!("{at}/{name}")),
                    }
                }
            }
            _ => {}
        }
    }

    fn put(root: &mut Value, at: &str, new: Value) {
        if at.is_empty() {
            *root = new;
            return;
        }
        let (parent, last) = at.rsplit_once('/').expect("a pointer begins with a slash");
        match root.pointer_mut(parent).expect("the parent is there") {
            Value::Array(items) if last == "-" => items.push(new),
            Value::Array(items) => items[last.parse::<usize>().unwrap()] = new,
            Value::Object(members) => drop(members.insert(last.to_owned(), new)),
            _ => unreachable!("only containers have places inside"),
        }
    }

    /// Takes every null out: the documents have none of their own.
    fn remove_nulls(value: &mut Value) {
        match value {
            Value::Array(items) => {
                items.retain(|item| !item.is_null());
                items.iter_mut().for_each(remove_nulls);
            }
            Value::Object(members) => {
                members.retain(|_, member| !member.is_null());
                members.values_mut().for_each(remove_nulls);
            }
            _ => {}
        }
    }

    fn naive(before: &Value, from: &str, to: &str) -> Result<Value, &'static str> {
        if from.is_empty() {
            return Err("ERR");
        }
        let moved = before.pointer(from).cloned().ok_or("NOPATH")?;
        let mut after = before.clone();
        if to == from {
            return Ok(after);
        }
        if to.starts_with(&format!("{from}/")) {
            return Err("NOPATH");
        }
        put(&mut after, from, Value::Null);
        put(&mut after, to, moved);
        remove_nulls(&mut after);
        Ok(after)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn agrees_with_copying_and_removing(
            before in document(), from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(),
        ) {
            let mut places = Vec::new();
            pointers(&before, "", &mut places);
            let (from, to) = (from.get(&places), to.get(&places));
            let text = before.to_string();
            let ran = run(&text, &[], &["MOVE", from, to]);
            let expected = naive(&before, from, to);
            let reply = expected.as_ref().map_or_else(|word| *word, |_| "(integer) 1");
            prop_assert_eq!(&ran.reply, reply, "{} {} {}", text, from, to);
            let after = expected.map_or(text.clone(), |after| after.to_string());
            prop_assert!(ran.revised || after == text);
            prop_assert_eq!(ran.text, after, "{} {} {}", text, from, to);
        }
    }
}

#[test]
fn operands_are_computed_where_their_statement_stands() {
    let document = r#"{"n":5,"a":[1,2],"s":"x","at":"2026-01-01T00:00:00Z","o":{"k":1}}"#;
    let changed = |from: &str, to: &str| document.replace(from, to);
    for (statement, reply, after) in [
        (["INCR", "$.n", "=self.n * 2"], "15", changed(r#""n":5"#, r#""n":15"#)),
        (["MUL", "$.n", "=1.5"], "7.5", changed(r#""n":5"#, r#""n":7.5"#)),
        (
            ["SET", "$.s", "=[self.s, size(self.a)]"],
            "(integer) 1",
            changed(r#""s":"x""#, r#""s":["x",2]"#),
        ),
        (["SET", "$.s", "=null"], "(integer) 1", changed(r#""s":"x""#, r#""s":null"#)),
        (
            ["APPEND", "$.a", "=self.a.map(x, x * 10)"],
            "(integer) 4",
            changed("[1,2]", "[1,2,10,20]"),
        ),
        (["STRAPPEND", "$.s", "=self.s + 'y'"], "(integer) 3", changed(r#""x""#, r#""xxy""#)),
        (["STRREPEAT", "$.s", "=size(self.a) + 1"], "(integer) 3", changed(r#""x""#, r#""xxx""#)),
        (
            ["UPDATE", "$.o", "={'k': self.o.k + 1, 'l': 0}"],
            "(integer) 2",
            changed(r#"{"k":1}"#, r#"{"k":2,"l":0}"#),
        ),
        (
            ["PATCH", "$.o", "=[{'op': 'add', 'path': '/l', 'value': self.n}]"],
            r#"{"k":1,"l":5}"#,
            changed(r#"{"k":1}"#, r#"{"k":1,"l":5}"#),
        ),
        (
            ["TIMEADD", "$.at", "=string(self.n) + 'h'"],
            r#""2026-01-01T05:00:00Z""#,
            changed("T00:00", "T05:00"),
        ),
        (
            ["TIMEADD", "$.at", "=duration('PT2H3S')"],
            r#""2026-01-01T02:00:03Z""#,
            changed("T00:00:00", "T02:00:03"),
        ),
        // Once for all places of a query.
        (["INCR", "$.a[*]", "=self.a[0]"], "[2 3]", changed("[1,2]", "[2,3]")),
        // A result of another kind, and an expression that fails.
        (["INCR", "$.n", "='1'"], "TYPE", document.into()),
        (["INCR", "$.n", "=null"], "TYPE", document.into()),
        (["APPEND", "$.a", "={}"], "TYPE", document.into()),
        (["UPDATE", "$.o", "=[]"], "TYPE", document.into()),
        (["STRAPPEND", "$.s", "=1"], "TYPE", document.into()),
        (["STRREPEAT", "$.s", "=1.0"], "TYPE", document.into()),
        (["PATCH", "$.o", "={}"], "TYPE", document.into()),
        (["PATCH", "$.o", "=[1]"], "ERR", document.into()),
        (["TIMEADD", "$.at", "=1"], "TYPE", document.into()),
        (["TIMEADD", "$.at", "='1 hour'"], "TYPE", document.into()),
        (["SET", "$.s", "=self.missing"], "EXPR", document.into()),
        (["SET", "$.s", "=self.?s"], "EXPR", document.into()),
        (["SET", "$.s", "=1.0 / 0.0"], "EXPR", document.into()),
        // Before anything is looked up.
        (["SET", "$.s", "="], "EXPR", document.into()),
        (["SET", "$.s", "=value"], "EXPR", document.into()),
        (["SET", "$.missing.s", "=nope(1)"], "EXPR", document.into()),
    ] {
        check(document, &[], &statement, reply, &after);
    }
    check(
        document,
        &["ARGS", r#"{"by":-2}"#],
        &["INCR", "$.n", "=args.by"],
        "3",
        &changed(r#""n":5"#, r#""n":3"#),
    );
}

#[test]
fn a_computed_operand_is_replicated_as_its_effect() {
    let mut host = MemoryHost::default();
    host.call(&["MODEL.SET", "k", "any", r#"{"n":5}"#]).unwrap();
    let command = ["MODEL.FIELDOP", "k", "INCR", "$.n", "=self.n", "INCR", "$.n", "=self.n"];
    let outcome = host.call(&command).unwrap();
    assert_eq!(format!("{:?}", &host.documents[&b"k"[..]].root), r#"{"n":20}"#);
    let sent = format!("{outcome:?}");
    assert!(!sent.contains("self.n"), "{sent}");
}

#[test]
fn documents_are_made_of_computed_operands() {
    let mut host = MemoryHost::default();
    let mut txn = |statements: &[&str]| {
        host.call(&[&["MODEL.TXN", "2", "a", "b", "ON", "a"], statements].concat())
            .map(|outcome| outcome.reply.notation())
            .map_err(|error| error.code())
    };
    let made = txn(&[
        "CREATE",
        "any",
        "={'n': 1 + 1}",
        "ON",
        "b",
        "PUT",
        "any",
        "={'from': docs['a'].n}",
        "GET",
        "$",
    ]);
    let made = made.unwrap();
    assert!(made.contains(r#"{"from":2}"#), "{made}");
    let copied = txn(&["INCR", "$.n", "=docs['b'].from", "PUT", "any", "=self", "GET", "$"]);
    assert!(copied.unwrap().contains(r#"{"n":4}"#));
    // A key that is missing has no document to read, and a document that is there is refused first.
    assert_eq!(txn(&["CREATE", "any", "=1 / 0"]), Err(ErrorCode::BusyKey));
    assert_eq!(txn(&["DELETE", "CREATE", "any", "=self"]), Err(ErrorCode::Expr));
}

#[test]
fn a_large_array_is_inserted_as_its_elements_are() {
    let list = |range: std::ops::Range<u32>| {
        let all: Vec<String> = range.map(|n| format!("{n},[\"x\",{n}]")).collect();
        all.join(",")
    };
    let meta = |host: &mut MemoryHost, key: &str| {
        let notation = host.call(&["MODEL.META", key]).unwrap().reply.notation();
        notation.split(" bytes ").nth(1).map(str::to_owned)
    };
    for (there, new) in [(0, 2000), (1, 2000), (30, 2000), (3000, 2000), (3000, 2), (2, 3)] {
        let (old, added) = (list(0..there), list(9000..9000 + new));
        let front = list(0..there / 2);
        let back = list(there / 2..there);
        let joined = |parts: &[&str]| {
            let parts: Vec<&str> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
            format!("[{}]", parts.join(","))
        };
        let middle = (there / 2 * 2).to_string();
        for (statement, expected) in [
            (vec!["APPEND", "$"], joined(&[&old, &added])),
            (vec!["PREPEND", "$"], joined(&[&added, &old])),
            (vec!["INSERT", "$", &middle], joined(&[&front, &added, &back])),
        ] {
            let mut host = MemoryHost::default();
            host.call(&["MODEL.SET", "k", "any", &format!("[{old}]")]).unwrap();
            let operand = format!("[{added}]");
            let with = |more: &[&'static str]| {
                let mut command = vec!["MODEL.FIELDOP", "k"];
                command.extend(&statement);
                command.push(&operand);
                command.extend(more);
                command.into_iter().map(str::to_owned).collect::<Vec<_>>()
            };
            let call = |host: &mut MemoryHost, command: &[String]| {
                host.call(&command.iter().map(String::as_str).collect::<Vec<_>>()).map(drop)
            };
            call(&mut host, &with(&["IF", "false"])).unwrap_err();
            let text = host.call(&["MODEL.GET", "k"]).unwrap().reply.notation();
            assert_eq!(text, format!("[{old}]"), "reverted: {statement:?}");
            call(&mut host, &with(&[])).unwrap();
            let text = host.call(&["MODEL.GET", "k"]).unwrap().reply.notation();
            assert_eq!(text, expected, "{statement:?} of {new} to {there}");
            host.call(&["MODEL.SET", "other", "any", &expected]).unwrap();
            assert_eq!(meta(&mut host, "k"), meta(&mut host, "other"), "{statement:?}");
        }
    }
}
