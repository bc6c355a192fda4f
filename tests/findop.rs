//! `MODEL.FINDOP` over the host in memory: random commands do what a scan and then a `MODEL.TXN` with the same statements
//! on the keys found does, with equal replies, refusals, documents, structures and indexes; a replica that is fed the
//! effects alone holds the same; a refused command changes nothing.
//!
//! `FINDOP_SEED=n cargo test --test findop` repeats a run.

#[path = "locks/random.rs"]
mod random;

use std::collections::BTreeMap;

use redis_model::codec::rdb;
use redis_model::command::Outcome;
use redis_model::error::{Detail, Error};
use redis_model::reply::Reply;
use redis_model::testing::MemoryHost;

use random::Rng;

const DEFINE: &[&str] = &[
    "MODEL.DEFINE",
    "m",
    r#"{"properties":{"n":{"type":"integer","maximum":9},"seq":{"type":"integer","default":0}}}"#,
    "RULE",
    "low",
    "self.n >= 0",
    "INDEX",
    "status_n",
    "2",
    "$.status",
    "$.n",
    "INDEX",
    "by_n",
    "1",
    "$.n",
    "INDEX",
    "open_n",
    "1",
    "$.n",
    "ONLY",
    "self.status == 's0'",
    "INDEX",
    "by_code",
    "1",
    "$.code",
    "UNIQUE",
];

fn new_host() -> MemoryHost {
    let mut host = MemoryHost::default();
    host.call(DEFINE).unwrap();
    host
}

/// A command and the keys it found, as bytes.
fn written<'a>(host: &'a MemoryHost, args: &'a [&'a str]) -> Vec<&'a [u8]> {
    let named = host.named.iter().map(Vec::as_slice);
    args.iter().map(|arg| arg.as_bytes()).chain(named).collect()
}

/// Runs a command on a host and its replica.
fn call(host: &mut MemoryHost, replica: &mut MemoryHost, args: &[&str]) -> Result<Outcome, Error> {
    let outcome = host.call(args)?;
    replica.replicate(&written(host, args), &outcome).expect("what was accepted is repeated");
    Ok(outcome)
}

/// All that a host holds.
#[derive(Debug, PartialEq)]
struct Content {
    /// Documents as bytes, and when they end.
    documents: BTreeMap<String, (Vec<u8>, Option<u64>)>,
    structures: String,
    /// The keys in the order of each index.
    indexed: Vec<Vec<String>>,
}

fn content(host: &mut MemoryHost) -> Content {
    let documents = host.documents.iter().map(|(key, document)| {
        let mut bytes = Vec::new();
        rdb::encode(document, &mut bytes);
        let key_text = String::from_utf8(key.clone()).unwrap();
        (key_text, (bytes, host.expiries.get(key).copied()))
    });
    let documents = documents.collect();
    let structures: BTreeMap<_, _> = host
        .structures
        .keys
        .iter()
        .map(|(key, value)| (key.clone(), format!("{value:?}")))
        .collect();
    let structures = format!("{structures:?}");
    let indexed = ["status_n", "by_n", "by_code"].map(|index| {
        let args = ["MODEL.FIND", "m", "ORDER", index, "LIMIT", "1000", "GET", "$.n"];
        let replaying = std::mem::take(&mut host.replaying);
        let now_us = host.now_us;
        let reply = host.call(&args).unwrap().reply;
        (host.replaying, host.now_us) = (replaying, now_us);
        let Reply::Array(reply) = reply else { panic!("{reply:?}") };
        keys_of(&reply[1])
    });
    Content { documents, structures, indexed: indexed.to_vec() }
}

fn rows(reply: &Reply) -> Vec<&[Reply]> {
    let Reply::Array(rows) = reply else { panic!("{reply:?}") };
    let each = rows.iter().map(|row| match row {
        Reply::Array(row) => &row[..],
        other => panic!("{other:?}"),
    });
    each.collect()
}

fn keys_of(reply: &Reply) -> Vec<String> {
    rows(reply).iter().map(|row| row[0].notation()).collect()
}

/// A random query, with the members of its order.
struct Query {
    words: Vec<String>,
    condition: Option<String>,
    order: Vec<&'static str>,
}

fn query(rng: &mut Rng) -> Query {
    let (status, n) = (rng.below(4), rng.below(10));
    let (condition, order) = match rng.below(7) {
        0 => (None, vec![]),
        1 => (Some(format!("self.status == 's{status}'")), vec!["status", "n"]),
        2 => (Some(format!("self.n <= {n}")), vec!["n"]),
        3 => (Some(format!("self.status == 's{status}' && self.n > args.n")), vec!["status", "n"]),
        4 => (Some(format!("self.n < {n} && self.code > 2")), vec!["n"]),
        5 => (Some(format!("self.status in ['s0', 's{status}']")), vec!["status", "n"]),
        _ => (Some("self.none > 1".to_owned()), vec![]),
    };
    let mut words = Vec::new();
    if let Some(condition) = &condition {
        words.extend(["WHERE".to_owned(), condition.clone()]);
    }
    let name = match &order[..] {
        ["status", "n"] => Some("status_n"),
        ["n"] => Some("by_n"),
        _ => None,
    };
    words.extend(name.iter().flat_map(|name| ["ORDER".to_owned(), (*name).to_owned()]));
    words.extend(["ARGS".to_owned(), r#"{"n":3,"by":2}"#.to_owned()]);
    if name.is_none() {
        words.push("SCAN".to_owned());
    }
    Query { words, condition, order }
}

/// The keys of documents that fulfil a condition, in its order, found by asking all of them.
fn scan(host: &mut MemoryHost, query: &Query, limit: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut names: Vec<_> = host.documents.keys().cloned().collect();
    names.sort();
    for name in names {
        let name = String::from_utf8(name).unwrap();
        let holds = |host: &mut MemoryHost, condition: &str| {
            let args = ["MODEL.EVAL", &name, condition, "ARGS", r#"{"n":3,"by":2}"#];
            let value = host.call(&args);
            value.is_ok_and(|outcome| outcome.reply == Reply::Json(b"true".to_vec()))
        };
        if host.documents[name.as_bytes()].model_name() == "m"
            && query.condition.as_ref().is_none_or(|condition| holds(host, condition))
        {
            let member = |member: &str| -> String {
                let text = redis_model::value::print::to_string(
                    host.documents[name.as_bytes()].root.view(),
                );
                let json: serde_json::Value = serde_json::from_str(&text).unwrap();
                json.get(member).map_or(String::new(), |value| value.to_string())
            };
            let order: Vec<_> = query.order.iter().map(|name| member(name)).collect();
            found.push((order, name));
        }
    }
    found.sort();
    found.truncate(limit);
    found.into_iter().map(|(_, name)| name).collect()
}

/// Statements as FINDOP has them; one that does not repeat exactly is always there, so that a transaction with the same
/// ones is numbered by the clock as well.
fn statements(rng: &mut Rng) -> Vec<&'static str> {
    let choices: [&[&str]; 15] = [
        &["INCR", "$.n", "1"],
        &["INCR", "$.n", "-1"],
        &["INCR", "$.n", "=args.by"],
        &["SET", "$.status", "\"s1\""],
        &["WHEN", "self.n > 4", "SET", "$.status", "\"s0\""],
        &["SET", "$.code", "5"],
        &["WHEN", "self.n == 3", "SET", "$.code", "7"],
        &["DELETE"],
        &["WHEN", "self.n > 6", "DELETE"],
        &["IF", "self.n < 9"],
        &["EXISTS"],
        &["TOGGLE", "$.flag"],
        &["GET", "$.n"],
        &["PUT", "m", "={'n': self.n, 'status': 's2', 'of': key}"],
        &["REVISION"],
    ];
    let mut words = vec!["WHEN", "true", "SET", "$.seen", "1"];
    for _ in 0..rng.below(4) {
        words.extend(rng.pick(&choices));
    }
    words
}

const OPTIONS: [&[&str]; 4] = [&[], &[], &["EX", "60"], &["MKPATH", "PERSIST"]];

/// Natives for the document at a key, as a transaction has them.
const NATIVES: [&[&str]; 3] = [
    &["AT", "log", "RPUSH", "=SELF.n"],
    &["AT", "log", "WHEN", "SELF.n > 2", "RPUSH", "1", "AT", "names", "SADD", "=KEY"],
    &["AT", "log", "SADD", "1"],
];

/// The words for FINDOP, whose expressions have the document as `self`.
fn of_found(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| word.replace("SELF", "self").replace("KEY", "key")).collect()
}

/// The words for a transaction.
fn of_key(words: &[&str], key: &str) -> Vec<String> {
    let document = format!("docs['{key}']");
    words.iter().map(|w| w.replace("SELF", &document).replace("KEY", &format!("'{key}'"))).collect()
}

fn seed(host: &mut MemoryHost, replica: &mut MemoryHost, rng: &mut Rng) {
    for nth in 0..20 {
        let code = if nth < 5 { format!(",\"code\":{nth}") } else { String::new() };
        let json = format!("{{\"status\":\"s{}\",\"n\":{}{code}}}", rng.below(4), rng.below(10));
        call(host, replica, &["MODEL.SET", &format!("d:{nth}"), "m", &json]).unwrap();
    }
    call(host, replica, &["MODEL.SET", "other", "any", r#"{"status":"s0","n":1}"#]).unwrap();
}

#[test]
fn commands_do_what_a_scan_and_a_transaction_do() {
    let seed_number = std::env::var("FINDOP_SEED").map_or(1, |seed| seed.parse().unwrap());
    let (mut refused, mut changed, mut natives_ran) = (0, 0, 0);
    for round in 0..25 {
        println!("FINDOP_SEED={} fails in round {round}", seed_number + round);
        let mut rng = Rng::new(seed_number + round);
        let (mut host, mut replica) = (new_host(), new_host());
        seed(&mut host, &mut replica, &mut rng);
        // The same commands on a host of its own, where transactions take the place of FINDOP.
        let (mut naive, mut naive_replica) = (new_host(), new_host());
        let mut rng = Rng::new(seed_number + round);
        seed(&mut naive, &mut naive_replica, &mut rng);
        for step in 0..40 {
            let (query, limit) = (query(&mut rng), 1 + rng.below(6));
            let (statements, options) = (statements(&mut rng), rng.pick(&OPTIONS));
            // A document that is gone is `self` of its natives still, and no document of a transaction any more.
            let without = rng.one_in(2) || statements.contains(&"DELETE");
            let natives = if without { &[][..] } else { rng.pick(&NATIVES) };
            let shown =
                format!("{:?} LIMIT {limit} {statements:?} {natives:?} at {step}", query.words);
            let listed = ["log", "names", "d:3"];
            let listed: &[&str] = if natives.is_empty() { &listed[2..] } else { &listed };
            let count = listed.len().to_string();
            let limit_text = limit.to_string();
            let mut words = vec!["MODEL.FINDOP".to_owned(), count];
            words.extend(listed.iter().map(|key| (*key).to_owned()));
            words.push("m".to_owned());
            words.extend(query.words.clone());
            words.extend(["LIMIT".to_owned(), limit_text, "DO".to_owned()]);
            words.extend(options.iter().chain(&statements).map(|word| (*word).to_owned()));
            words.extend(of_found(natives));
            let args: Vec<&str> = words.iter().map(String::as_str).collect();

            let keys = scan(&mut naive, &query, limit);
            naive.now_us = host.now_us;
            let before = content(&mut host);
            let found = call(&mut host, &mut replica, &args);
            let transaction = (!keys.is_empty()).then(|| {
                let mut all: Vec<&str> = listed.to_vec();
                all.extend(keys.iter().map(String::as_str).filter(|key| !listed.contains(key)));
                let mut words = vec!["MODEL.TXN".to_owned(), all.len().to_string()];
                words.extend(all.iter().map(|key| (*key).to_owned()));
                words.extend(["ARGS".to_owned(), r#"{"n":3,"by":2}"#.to_owned()]);
                for key in &keys {
                    words.extend(["ON".to_owned(), key.clone()]);
                    words.extend(options.iter().chain(&statements).map(|word| (*word).to_owned()));
                    words.extend(of_key(natives, key));
                }
                let args: Vec<&str> = words.iter().map(String::as_str).collect();
                call(&mut naive, &mut naive_replica, &args)
            });
            match (found, transaction) {
                (Ok(found), None) => {
                    assert_eq!(found.reply, Reply::Array(vec![]), "{shown}");
                    assert!(found.effects.is_empty(), "{shown}");
                }
                (Ok(found), Some(Ok(transaction))) => {
                    assert_eq!(keys_of(&found.reply), keys, "{shown}");
                    let blocks = 1 + natives.iter().filter(|word| **word == "AT").count();
                    let Reply::Array(replies) = &transaction.reply else { panic!("{shown}") };
                    for (row, replies) in rows(&found.reply).iter().zip(replies.chunks(blocks)) {
                        let joined = replies.iter().flat_map(|replies| match replies {
                            Reply::Array(replies) => replies.clone(),
                            other => panic!("{other:?}"),
                        });
                        assert_eq!(row[2], Reply::Array(joined.collect()), "{shown}");
                        let key = row[0].notation();
                        let document = host.documents.get(key.as_bytes());
                        let revision = document
                            .map_or(Reply::Null, |document| Reply::Int(document.revision as i64));
                        assert_eq!(row[1], revision, "{shown}");
                    }
                    let effects = |outcome: &Outcome| {
                        let shown = outcome.effects.iter().map(|effect| {
                            format!(
                                "{:?} {:?} {:?}",
                                effect.event, effect.generic_event, effect.sent
                            )
                        });
                        shown.collect::<Vec<_>>()
                    };
                    assert_eq!(effects(&found), effects(&transaction), "{shown}");
                    changed += usize::from(!found.effects.is_empty());
                    natives_ran += usize::from(found.natives.is_some());
                }
                (Err(error), Some(Err(expected))) => {
                    assert_eq!(error.code(), expected.code(), "{error} {expected} {shown}");
                    assert_eq!(error.detail("statement"), expected.detail("statement"), "{shown}");
                    assert_eq!(error.detail("operator"), expected.detail("operator"), "{shown}");
                    assert_eq!(error.detail("key"), expected.detail("key"), "{shown}");
                    assert_eq!(error.detail("block"), None, "{shown}");
                    assert_eq!(before, content(&mut host), "{shown}");
                    refused += 1;
                }
                (found, transaction) => panic!("{found:?} {transaction:?} {shown}"),
            }
            let now = content(&mut host);
            assert_eq!(now, content(&mut naive), "{shown}");
            assert_eq!(now, content(&mut replica), "{shown}");
        }
    }
    assert!(refused > 40 && changed > 120 && natives_ran > 20, "{refused} {changed} {natives_ran}");
}

/// A host with some jobs.
fn jobs(count: usize) -> MemoryHost {
    let mut host = new_host();
    for nth in 0..count {
        let json = format!("{{\"status\":\"s0\",\"n\":{}}}", nth % 10);
        host.call(&["MODEL.SET", &format!("j:{nth:04}"), "m", &json]).unwrap();
    }
    host
}

#[track_caller]
fn refused(host: &mut MemoryHost, word: &str, args: &[&str]) -> Error {
    let before = content(host);
    let error = host.call(args).expect_err("the command is refused");
    assert_eq!(error.code().word(), word, "{error}");
    assert_eq!(before, content(host), "{args:?}");
    error
}

#[test]
fn the_limit_is_from_one_to_a_thousand_and_one_by_default() {
    let mut host = jobs(1001);
    let all = ["MODEL.FINDOP", "0", "m", "LIMIT", "1000", "DO", "INCR", "$.seq", "1"];
    assert_eq!(rows(&host.call(&all).unwrap().reply).len(), 1000);
    let one = ["MODEL.FINDOP", "0", "m", "DO", "INCR", "$.seq", "1"];
    assert_eq!(rows(&host.call(&one).unwrap().reply).len(), 1);
    let error =
        refused(&mut host, "LIMIT", &["MODEL.FINDOP", "0", "m", "LIMIT", "1001", "DO", "DELETE"]);
    assert_eq!(error.detail("limit"), Some(&Detail::Text("findop-limit".into())));
    refused(&mut host, "ERR", &["MODEL.FINDOP", "0", "m", "LIMIT", "0", "DO", "DELETE"]);
    refused(&mut host, "ERR", &["MODEL.FINDOP", "0", "m", "LIMIT", "x", "DO", "DELETE"]);
    // Many are deleted in bounded pieces, until none is left.
    let piece = ["MODEL.FINDOP", "0", "m", "LIMIT", "400", "DO", "DELETE"];
    let pieces = [400, 400, 201, 0];
    assert_eq!(pieces.map(|_| rows(&host.call(&piece).unwrap().reply).len()), pieces);
    assert!(host.documents.is_empty());
}

#[test]
fn a_refusal_names_the_document_and_the_statement_and_changes_nothing() {
    let mut host = jobs(10);
    let many = ["MODEL.FINDOP", "2", "log", "j:0000", "m", "LIMIT", "10", "DO"];
    let with = |words: &[&'static str]| [&many[..], words].concat();
    let text = |text: &str| Some(Detail::Text(text.into()));
    for (word, statements, key, number) in [
        ("SCHEMA", &["INCR", "$.seq", "1", "INCR", "$.n", "1"][..], "j:0009", None),
        ("RULE", &["INCR", "$.n", "-1"], "j:0000", None),
        ("CONDITION", &["INCR", "$.seq", "1", "IF", "self.n < 5"], "j:0005", Some(1)),
        ("TYPE", &["GET", "$.n", "APPEND", "$.n", "[1]"], "j:0000", Some(1)),
        ("NOPATH", &["SET", "$.a.b", "1"], "j:0000", Some(0)),
        ("UNIQUE", &["SET", "$.code", "1"], "j:0001", None),
        ("NOKEY", &["DELETE", "INCR", "$.n", "1"], "j:0000", Some(1)),
        ("BUSYKEY", &["CREATE", "m", "{}"], "j:0000", Some(0)),
    ] {
        let error = refused(&mut host, word, &with(statements));
        assert_eq!(error.detail("key").cloned(), text(key), "{error}");
        assert_eq!(error.detail("block"), None, "{error}");
        let number = number.map(Detail::Integer);
        assert_eq!(error.detail("statement").cloned(), number, "{error}");
    }
    let error =
        refused(&mut host, "TYPE", &with(&["DELETE", "AT", "log", "ZADD", "=key", "\"a\""]));
    assert_eq!(error.detail("key").cloned(), text("log"), "{error}");
    assert_eq!(error.detail("document").cloned(), text("j:0000"), "{error}");
    host.structures.forbidden.insert("RPUSH");
    let error = refused(&mut host, "NOPERM", &with(&["DELETE", "AT", "log", "RPUSH", "1"]));
    assert_eq!(error.detail("document").cloned(), text("j:0000"), "{error}");
    refused(&mut host, "WRONGTYPE", &with(&["DELETE", "AT", "j:0000", "RPUSH", "1"]));
    refused(&mut host, "NOMODEL", &with(&["DELETE", "CREATE", "none", "{}"]));
}

#[test]
fn arguments_are_refused_before_anything_is_looked_up() {
    let mut host = jobs(1);
    for words in [
        "0 m",
        "0 m DO",
        "0 m DELETE",
        "0 m DO INIT any {} DELETE",
        "0 m DO ON j:0000 DELETE",
        "0 m DO AT log RPUSH 1",
        "1 log m DO AT log",
        "1 log m DO AT log RPUSH 1 ON log DELETE",
        "1 log m DO DELETE AT log RPUSH 1 DELETE",
        "-1 m DO DELETE",
        "9 m DO DELETE",
        "x m DO DELETE",
        "0 m WHERE true WHERE true DO DELETE",
        "0 m ORDER none DO DELETE",
        "0 m AFTER x DO DELETE",
        "0 m SLOT j:0000 DO DELETE",
        "0 m DO NONE",
        "0 m DO EX 1 EX 1",
    ] {
        let args: Vec<&str> = ["MODEL.FINDOP"].into_iter().chain(words.split(' ')).collect();
        refused(&mut host, "ERR", &args);
    }
    let mut many = vec!["MODEL.FINDOP".to_owned(), "1025".to_owned()];
    many.extend((0..1025).map(|nth| format!("k:{nth}")));
    many.extend(["m", "DO", "DELETE"].map(str::to_owned));
    refused(&mut host, "LIMIT", &many.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn a_query_without_an_index_is_refused_and_scan_allows_it() {
    let mut host = jobs(3);
    let query = ["MODEL.FINDOP", "0", "m", "WHERE", "self.none == 1", "DO", "DELETE"];
    refused(&mut host, "NOINDEX", &query);
    let scan = ["MODEL.FINDOP", "0", "m", "WHERE", "self.seq == 0", "SCAN", "DO", "DELETE"];
    assert_eq!(keys_of(&host.call(&scan).unwrap().reply), ["j:0000"]);
    refused(&mut host, "NOMODEL", &["MODEL.FINDOP", "0", "none", "DO", "DELETE"]);
    refused(&mut host, "EXPR", &["MODEL.FINDOP", "0", "m", "WHERE", "self.n ==", "DO", "DELETE"]);
    refused(&mut host, "EXPR", &["MODEL.FINDOP", "0", "m", "WHERE", "docs.a == 1", "DO", "DELETE"]);
    let define = [DEFINE, &["INDEX", "more", "1", "$.more"]].concat();
    host.call(&define).unwrap();
    let of_new = ["MODEL.FINDOP", "0", "m", "WHERE", "self.more == 1", "DO", "DELETE"];
    assert_eq!(host.call(&of_new).unwrap_err().code().word(), "INDEXING");
    // Queries that need no new index go on.
    let any = ["MODEL.FINDOP", "0", "m", "DO", "DELETE"];
    assert_eq!(keys_of(&host.call(&any).unwrap().reply), ["j:0001"]);
}

#[test]
fn documents_that_the_caller_may_not_change_are_skipped() {
    let mut host = jobs(6);
    host.forbidden.insert(b"j:0000".to_vec());
    host.protected.insert(b"j:0002".to_vec());
    let args = ["MODEL.FINDOP", "0", "m", "LIMIT", "3", "DO", "INCR", "$.seq", "1"];
    assert_eq!(keys_of(&host.call(&args).unwrap().reply), ["j:0001", "j:0003", "j:0004"]);
}

#[test]
fn entries_looked_at_are_bounded_and_nothing_found_is_never_a_guess() {
    let mut host = jobs(30);
    host.settings.finding.entries = 10;
    let never = ["MODEL.FINDOP", "0", "m", "WHERE", "self.n >= 0 && self.seq == 1", "DO", "DELETE"];
    let error = refused(&mut host, "LIMIT", &never);
    assert_eq!(error.detail("limit"), Some(&Detail::Text("model.find-entries".into())));
    // The documents found within the bound are changed: a client that goes on until nothing is found ends.
    let some = ["MODEL.FINDOP", "0", "m", "WHERE", "self.n <= 9", "LIMIT", "25", "DO", "DELETE"];
    assert_eq!([0; 4].map(|_| rows(&host.call(&some).unwrap().reply).len()), [10, 10, 10, 0]);
}

#[test]
fn the_budget_of_steps_is_one_for_the_search_and_all_documents() {
    let mut host = jobs(200);
    host.settings.work.command_steps = 60_000;
    let copy = ["MODEL.FINDOP", "0", "m", "LIMIT", "200", "DO", "EVAL", "$.l", "[1,2,3,4,5,6,7,8]"];
    let error = refused(&mut host, "LIMIT", &copy);
    assert_eq!(error.detail("limit"), Some(&Detail::Text("model.command-steps".into())));
    let few = ["MODEL.FINDOP", "0", "m", "LIMIT", "5", "DO", "EVAL", "$.l", "[1,2,3,4,5,6,7,8]"];
    host.call(&few).unwrap();
    // The search stops early enough that its documents can be changed.
    let all = ["MODEL.FINDOP", "0", "m", "LIMIT", "1000", "DO", "INCR", "$.seq", "1"];
    host.settings.work.command_steps = 20_000;
    let found = rows(&host.call(&all).unwrap().reply).len();
    assert!((10..200).contains(&found), "{found}");
}

#[test]
fn documents_are_found_as_they_are_stored_and_changed_with_their_defaults() {
    let mut host = jobs(2);
    let schema = r#"{"properties":{"n":{"type":"integer"},"kind":{"default":"new"}}}"#;
    let define = ["MODEL.DEFINE", "m", schema, "INDEX", "kind_n", "2", "$.kind", "$.n"];
    host.call(&define).unwrap();
    host.models.defined(b"m").unwrap().indexes().end_build(2);
    for name in [&b"j:0000"[..], b"j:0001"] {
        let document = host.documents[name].root.view();
        host.models.defined(b"m").unwrap().indexes().follow(0, name, Some(document));
    }
    // The migration to a new definition: any statement fills the defaults in.
    let missing =
        ["MODEL.FINDOP", "0", "m", "WHERE", "!has(self.kind)", "SCAN", "LIMIT", "10", "DO"];
    let reply = host.call(&[&missing[..], &["INCR", "$.n", "1", "GET", "$.kind"]].concat());
    let reply = reply.unwrap().reply;
    assert_eq!(keys_of(&reply), ["j:0000", "j:0001"]);
    assert_eq!(rows(&reply)[0][2].notation(), r#"[1 "new"]"#);
    let new =
        ["MODEL.FINDOP", "0", "m", "WHERE", "self.kind == 'new'", "LIMIT", "9", "DO", "DELETE"];
    assert_eq!(rows(&host.call(&new).unwrap().reply).len(), 2);
}

#[test]
fn expressions_read_listed_documents_and_the_one_found() {
    let mut host = jobs(2);
    host.call(&["MODEL.SET", "config", "any", r#"{"step":4}"#]).unwrap();
    let args = ["MODEL.FINDOP", "1", "config", "m", "DO", "INCR", "$.n", "=docs.config.step"];
    assert_eq!(host.call(&args).unwrap().reply.notation().split('[').next_back(), Some("4]]]"));
    let args = ["MODEL.FINDOP", "0", "m", "ORDER", "by_n", "DO", "GET", "$.n", "EVAL", "$.seq"];
    let with = [&args[..], &["docs['j:0001'].n + 10"]].concat();
    assert_eq!(host.call(&with).unwrap().reply.notation().split('[').next_back(), Some("1 11]]]"));
}

#[test]
fn a_document_that_ends_at_once_has_no_revision_in_the_reply() {
    let mut host = jobs(2);
    let now_ms = host.now_us / 1000;
    let (past, later) = ((now_ms - 1).to_string(), (now_ms + 60_000).to_string());
    for (expiry, ended) in [
        (["PXAT", &past], true),
        (["PXAT", "1"], true),
        (["EXAT", "1"], true),
        (["PXAT", &later], false),
        (["PX", "1"], false),
    ] {
        let statements = [&["DO"], &expiry[..], &["INCR", "$.seq", "1"]].concat();
        let args = [&["MODEL.FINDOP", "0", "m"], &statements[..]].concat();
        let now_us = host.now_us;
        let reply = host.call(&args).unwrap().reply;
        host.now_us = now_us;
        let revision = &rows(&reply)[0][1];
        assert_eq!(*revision == Reply::Null, ended, "{expiry:?}: {revision:?}");
    }
}
