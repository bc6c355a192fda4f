//! Natives on the host in memory: every declaration is complete and its examples run, what the server would refuse
//! is refused before anything changed, and malformed transactions are told what would have been right.

use std::collections::BTreeSet;

use redis_model::command::{self, Outcome};
use redis_model::error::{Error, ErrorCode};
use redis_model::native::{self, NativeExample};
use redis_model::op::words;
use redis_model::reply::Reply;
use redis_model::testing::{MemoryHost, Structure};

/// The natives of the contract.
const CONTRACT: [&str; 17] = [
    "HDEL", "HINCRBY", "HSET", "INCRBY", "LPUSH", "PEXPIRE", "PUBLISH", "RPUSH", "SADD", "SET",
    "SPUBLISH", "SREM", "UNLINK", "XADD", "ZADD", "ZINCRBY", "ZREM",
];

fn txn(host: &mut MemoryHost, line: &str) -> Result<Outcome, Error> {
    let line: &'static str = Box::leak(line.to_owned().into_boxed_str());
    let words = words(line, std::panic::Location::caller());
    host.call(&[&["MODEL.TXN"][..], &words].concat())
}

#[track_caller]
fn reply(host: &mut MemoryHost, line: &str) -> String {
    match txn(host, line) {
        Ok(outcome) => outcome.reply.notation(),
        Err(error) => panic!("{line}: {error}"),
    }
}

/// The refusal, which left documents, structures and messages as they were.
#[track_caller]
fn refused(host: &mut MemoryHost, line: &str) -> Error {
    let before = (host.structures.clone(), documents(host), host.expiries.clone());
    let error = txn(host, line).err().unwrap_or_else(|| panic!("{line} was not refused"));
    let after = (host.structures.clone(), documents(host), host.expiries.clone());
    assert_eq!(before, after, "{line}");
    error
}

fn documents(host: &MemoryHost) -> Vec<(Vec<u8>, String, u64)> {
    let mut all = Vec::new();
    for (key, document) in &host.documents {
        all.push((key.clone(), format!("{:?}", &document.root), document.revision));
    }
    all.sort();
    all
}

#[test]
fn every_native_of_the_contract_is_declared_completely() {
    let names: Vec<_> = native::all().iter().map(|spec| spec.name).collect();
    assert_eq!(names, CONTRACT);
    for spec in native::all() {
        let texts = [spec.summary, spec.works_on, spec.reply, spec.complexity, spec.since];
        assert!(texts.iter().all(|text| !text.is_empty() && !text.ends_with('.')), "{spec:?}");
        assert!(spec.examples.len() >= 2, "{spec:?} has examples");
        let shown: BTreeSet<_> = spec.examples.iter().map(|example| example.reply).collect();
        let told = spec.errors.iter().filter(|code| shown.contains(code.word())).count();
        assert_eq!(told, spec.errors.len(), "{spec:?} shows each of its errors: {shown:?}");
        assert_eq!(spec.name, spec.name.to_uppercase());
        assert!(native::find(spec.name.to_lowercase().as_bytes()).is_some());
    }
}

#[test]
fn every_example_does_what_it_says() {
    for example in native::all().iter().flat_map(|spec| spec.examples) {
        let NativeExample { before, statement, reply: expected, at } = example;
        let mut host = MemoryHost::default();
        if !before.is_empty() {
            reply(&mut host, &format!("1 k AT k {before}"));
        }
        let found = match txn(&mut host, &format!("1 k AT k {statement}")) {
            Ok(outcome) => outcome.reply.notation(),
            Err(error) => error.code().word().to_owned(),
        };
        let one = found.strip_prefix("[[").and_then(|rest| rest.strip_suffix("]]"));
        assert_eq!(one.unwrap_or(&found), *expected, "{at}: {statement}");
    }
}

#[test]
fn operands_are_evaluated_at_their_place_and_written_as_text() {
    let mut host = MemoryHost::default();
    host.call(&["MODEL.SET", "d", "any", r#"{"n":1}"#]).unwrap();
    let found = reply(
        &mut host,
        r#"4 d h z x ARGS '{"who":"ann"}' AT h HSET '"before"' "=docs['d'].n" ON d INCR $.n 1 AT h HSET '=args.who' "=docs['d']" AT z ZADD "=docs['d'].n" '=args' WHEN "docs['d'].n > 5" ZADD 1 '"no"' AT x XADD 10 '={"n":docs["d"].n,"who":args.who,"none":null,"list":[1]}' PUBLISH '"two words"'"#,
    );
    let id = "1700000000002-0";
    assert_eq!(
        found,
        format!("[[(integer) 1] [2] [(integer) 1] [(integer) 1 (nil)] [{id} (integer) 0]]")
    );
    let Structure::Hash(hash) = &host.structures.keys[&b"h"[..]] else { panic!("a hash") };
    assert_eq!(hash[&b"before"[..]], b"1");
    assert_eq!(hash[&b"ann"[..]], br#"{"n":2}"#);
    let Structure::SortedSet(set) = &host.structures.keys[&b"z"[..]] else {
        panic!("a sorted set")
    };
    assert_eq!(set.get(&br#"{"who":"ann"}"#[..]), Some(&2.0));
    let Structure::Stream { entries, .. } = &host.structures.keys[&b"x"[..]] else { panic!() };
    let fields: Vec<_> = entries[0].1.iter().map(|word| String::from_utf8_lossy(word)).collect();
    assert_eq!(fields, ["n", "2", "who", "ann", "none", "null", "list", "[1]"]);
    assert_eq!(host.structures.published, [(b"x".to_vec(), b"two words".to_vec())]);
}

#[test]
fn any_bytes_that_json_can_say_are_members() {
    let mut host = MemoryHost::default();
    reply(&mut host, r#"1 s AT s SADD '"a\u0000b"' SADD '""' SADD 1.50 SADD true SADD '[1, "x"]'"#);
    let Structure::Set(set) = &host.structures.keys[&b"s"[..]] else { panic!("a set") };
    let members: Vec<_> = set.iter().map(Vec::as_slice).collect();
    assert_eq!(members, [&b""[..], b"1.5", br#"[1,"x"]"#, b"a\0b", b"true"]);
}

#[test]
fn natives_see_those_before_them() {
    let mut host = MemoryHost::default();
    reply(
        &mut host,
        r#"5 h z t s u AT h HSET '"n"' 9223372036854775806 AT z ZADD 1e308 '"m"' AT t SET 7 AT u SADD 1"#,
    );
    for (line, word) in [
        (r#"AT h HINCRBY '"n"' 1 HINCRBY '"n"' 1"#, "OVERFLOW"),
        (r#"AT h HSET '"n"' '"x"' HINCRBY '"n"' 1"#, "TYPE"),
        (r#"AT z ZINCRBY 5e307 '"m"' ZINCRBY 5e307 '"m"'"#, "RANGE"),
        (r#"AT t SET '"x"' INCRBY 1"#, "TYPE"),
        (r#"AT t INCRBY 9223372036854775800 INCRBY 1"#, "OVERFLOW"),
        (r#"AT s SADD 1 AT s ZADD 1 1"#, "WRONGTYPE"),
        (r#"AT u SREM 1 AT u ZADD 1 1"#, "WRONGTYPE"),
        (r#"AT u UNLINK SADD 1 HSET 1 1"#, "WRONGTYPE"),
        (r#"AT h SET 1 HSET 1 1"#, "WRONGTYPE"),
    ] {
        let error = refused(&mut host, &format!("5 h z t s u {line}"));
        assert_eq!(error.code().word(), word, "{line}: {error}");
    }
    let found = reply(
        &mut host,
        r#"5 h z t s u AT h HDEL '"n"' HINCRBY '"n"' 5 AT z UNLINK ZINCRBY 5 '"m"' AT t UNLINK INCRBY 3 AT u UNLINK ZADD 1 1 AT h SET 5 INCRBY 5"#,
    );
    assert_eq!(
        found,
        "[[(integer) 1 (integer) 5] [(integer) 1 5] [(integer) 1 (integer) 3] [(integer) 1 (integer) 1] [OK (integer) 10]]"
    );
}

#[test]
fn a_stream_without_an_id_left_is_refused() {
    let mut host = MemoryHost::default();
    let last = native::StreamId { ms: u64::MAX, seq: u64::MAX - 1 };
    let stream = Structure::Stream { entries: vec![(last, vec![b"a".to_vec(); 2])], last };
    host.structures.keys.insert(b"x".to_vec(), stream);
    let error = refused(&mut host, r#"1 x AT x XADD 9 '{"a":1}' XADD 9 '{"a":1}'"#);
    assert_eq!(error.code(), ErrorCode::Limit, "{error}");
    assert!(error.line().contains("\"stream-id\""), "{error}");
    assert!(
        error.line().contains("\"statement\":1,\"operator\":\"XADD\",\"block\":0,\"key\":\"x\"")
    );
    reply(&mut host, r#"1 x AT x XADD 9 '{"a":1}'"#);
}

#[test]
fn a_refusal_anywhere_undoes_documents_and_runs_no_native() {
    let mut host = MemoryHost::default();
    host.call(&["MODEL.DEFINE", "m", r#"{"properties":{"n":{"maximum":5}}}"#]).unwrap();
    host.call(&["MODEL.SET", "d", "m", r#"{"n":1}"#]).unwrap();
    reply(&mut host, "4 d s t z AT s SADD 1 AT z ZADD 1 1");
    host.structures.forbidden.insert("RPUSH");
    for (word, natives) in [
        ("CONDITION", r#"AT t SADD 1 ON d IF 'self.n == 3'"#),
        ("SCHEMA", "AT t SADD 1 PUBLISH 1 ON d SET $.n 9"),
        ("EXPR", "AT t SADD 1 SADD '=args.none'"),
        ("EXPR", "AT t SADD '=self.n'"),
        ("EXPR", "AT t WHEN 'docs.none.x' SADD 1"),
        ("EXPR", "AT t ZADD '=0.0/0.0' 1"),
        ("TYPE", r#"AT t ZADD '="x"' 1"#),
        ("TYPE", r#"AT t INCRBY '=1.5'"#),
        ("RANGE", r#"AT t PEXPIRE '=-1'"#),
        ("WRONGTYPE", "AT t SADD 1 PUBLISH 1 AT s ZADD 1 1"),
        ("NOPERM", "AT s SADD 2 AT t RPUSH 1"),
    ] {
        let line = format!("4 d s t z ON d INCR $.n 1 {natives}");
        let error = refused(&mut host, &line);
        assert_eq!(error.code().word(), word, "{line}: {error}");
    }
}

#[test]
fn what_is_malformed_is_refused_with_what_would_be_right() {
    let mut host = MemoryHost::default();
    host.call(&["MODEL.SET", "d", "any", "{}"]).unwrap();
    for (line, says) in [
        ("2 d s AT s", "AT needs a native command"),
        ("2 d s AT s SADD", "SADD needs the operand member"),
        ("2 d s AT s SADD x", ""),
        ("2 d s AT s SPOP", "AT takes HDEL, HINCRBY"),
        ("2 d s AT s GET $", "AT takes HDEL, HINCRBY"),
        ("2 d s AT s WHEN true", "WHEN needs a native command"),
        ("2 d s AT s WHEN", "WHEN needs an expression"),
        ("2 d s ON d SADD 1", "stands behind AT"),
        ("2 d s AT none SADD 1", "not among those listed"),
        ("2 d s ON d GET $ AT d UNLINK", "behind ON and behind AT"),
        ("2 d s AT d PUBLISH 1 ON d GET $", "behind ON and behind AT"),
        ("2 d s TOKEN s AT s SADD 1", "the token's"),
        ("2 d s AT s INCRBY 1.5", "not an integer"),
    ] {
        let error = refused(&mut host, line);
        assert_eq!(error.code(), ErrorCode::Err, "{line}: {error}");
        assert!(error.line().contains(says), "{line}: {error}");
    }
    let error = refused(&mut host, "2 d s AT s ZADD NaN 1");
    assert_eq!(error.code(), ErrorCode::Err, "{error}");
    let error = refused(&mut host, "2 d s AT d UNLINK");
    assert_eq!(error.code(), ErrorCode::WrongType, "{error}");
    let error = refused(&mut host, "2 d s AT d SET 1");
    assert_eq!(error.code(), ErrorCode::WrongType, "{error}");
}

#[test]
fn as_many_natives_as_statements_and_not_one_more() {
    let mut host = MemoryHost::default();
    let line = |count: usize| format!("1 s AT s {}", "SADD 1 ".repeat(count));
    reply(&mut host, &line(1024));
    for line in [
        line(1025),
        format!("2 s d AT s {} ON d MISSING", "SADD 1 ".repeat(1024)),
        format!("1 s {}", "AT s SADD 1 ".repeat(1025)),
    ] {
        let error = refused(&mut host, &line);
        assert_eq!(error.code(), ErrorCode::Limit, "{error}");
    }
}

#[test]
fn large_operands_meet_the_limit_of_documents() {
    let mut host = MemoryHost::default();
    host.settings.document.bytes = 1 << 20;
    let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes));
    let call = |host: &mut MemoryHost, operands: &[String]| {
        let mut words = vec!["MODEL.TXN", "1", "s", "AT", "s"];
        operands.iter().for_each(|operand| words.extend(["SADD", operand]));
        host.call(&words)
    };
    call(&mut host, &[text((1 << 20) - 100)]).unwrap();
    assert_eq!(call(&mut host, &[text(1 << 21)]).unwrap_err().code(), ErrorCode::Limit);
    let five = vec![text((1 << 20) - 100); 5];
    assert_eq!(call(&mut host, &five).unwrap_err().code(), ErrorCode::Limit, "all together");
    call(&mut host, &five[..3]).unwrap();
}

#[test]
fn expressions_read_structures_as_they_were() {
    let mut host = MemoryHost::default();
    host.call(&["MODEL.SET", "d", "any", r#"{"who":"ann","n":7}"#]).unwrap();
    reply(
        &mut host,
        r#"8 d s z h t x l e AT s SADD '"ann"' SADD 7 AT z ZADD 5 '"ann"' ZADD 1 '"bob"' AT h HSET '"f"' '"v"' AT t SET '"text"' AT l RPUSH 1 RPUSH 2 AT x XADD 9 '{"a":1}'"#,
    );
    for (expr, value) in [
        ("native['s'].has(self.who)", "true"),
        ("native['s'].has(self.n)", "true"),
        ("native['s'].has('bob')", "false"),
        ("native['e'].has('bob')", "false"),
        ("native['z'].has('ann')", "true"),
        ("native['h'].has('f')", "true"),
        ("native['z'].score('ann')", "5.0"),
        ("native['z'].score('none')", "null"),
        ("native['z'].rank('ann')", "1"),
        ("native['z'].rank('none')", "null"),
        ("native['h'].field('f')", "\"v\""),
        ("native['h'].field('none')", "null"),
        ("native['t'].text()", "\"text\""),
        ("native['e'].text()", "null"),
        ("native['x'].last()", "\"1700000000002-0\""),
        ("native['e'].last()", "null"),
        (
            "[native['s'].size(), native['z'].size(), native['h'].size(), native['t'].size(), native['x'].size(), native['l'].size(), native['e'].size()]",
            "[2,2,1,4,1,2,0]",
        ),
        ("native[key + ''].has('x')", "EXPR"),
        ("native['none'].size()", "EXPR"),
        ("native['t'].has('x')", "EXPR"),
        ("native['s'].score('x')", "EXPR"),
        ("native['s'].field('x')", "EXPR"),
        ("native['s'].has([1])", "EXPR"),
        ("native['s'].pop()", "EXPR"),
        ("native['s']", "EXPR"),
        ("native", "EXPR"),
    ] {
        let line =
            format!("8 d s z h t x l e AT s SADD '\"new\"' ON d EVAL $.r \"{expr}\" AT s UNLINK");
        let found = match txn(&mut host.clone_of(), &line) {
            Ok(outcome) => outcome.reply.notation(),
            Err(error) => error.code().word().to_owned(),
        };
        let expected = match value {
            "EXPR" => value.to_owned(),
            value => format!("[[(integer) 1] [{value}] [(integer) 1]]"),
        };
        assert_eq!(found, expected, "{expr}");
    }
    // A condition names what it read; a transaction may read structures without changing any.
    let error = refused(&mut host, r#"2 d z ON d IF "native['z'].score('ann') > 5.0""#);
    assert!(error.line().contains(r#""values":{"native[\"z\"].score(\"ann\")":5.0}"#), "{error}");
    let outcome =
        txn(&mut host, r#"2 d z ON d IF "native['z'].score('ann') == 5.0" GET $.n"#).unwrap();
    assert_eq!((outcome.reply.notation(), outcome.effects.len()), ("[[7]]".to_owned(), 0));
}

trait CloneOf {
    fn clone_of(&self) -> MemoryHost;
}

impl CloneOf for MemoryHost {
    /// A host with the same documents and structures.
    fn clone_of(&self) -> MemoryHost {
        let mut other = MemoryHost::default();
        for (key, document) in &self.documents {
            let text = redis_model::value::print::to_string(document.root.view());
            let args: [&[u8]; 4] = [b"MODEL.SET", key, b"any", text.as_bytes()];
            command::run(&mut other, &args).unwrap();
        }
        other.structures = self.structures.clone();
        other
    }
}

#[test]
fn a_token_repeats_the_replies_of_natives() {
    let mut host = MemoryHost::default();
    let line = r#"3 d x t TOKEN t ON d CREATE any {"n":1} GET $.n AT x XADD 9 '{"a":1}' SADDX"#;
    let line = line.replace(" SADDX", " PUBLISH 1");
    let first = reply(&mut host, &line);
    let keys = host.structures.clone();
    assert_eq!(reply(&mut host, &line), first);
    assert_eq!(host.structures, keys);
    assert!(first.contains("1700000000001-0"), "{first}");
    // The replies are foreseen to fit.
    host.settings.transactions.token_reply_bytes = 60;
    let error = refused(&mut host, "2 s u TOKEN u AT s SADD 1 SADD 2");
    assert_eq!(error.code(), ErrorCode::Limit, "{error}");
    reply(&mut host, "2 s u TOKEN u AT s SADD 1");
    // `AT` behind a token is the time of the client where an integer and no native follows.
    let error = refused(&mut host, "2 7 v TOKEN v AT 7");
    assert!(error.line().contains("expected ON or AT"), "{error}");
    reply(&mut host, "2 7 v TOKEN v AT 7 SADD 1");
    reply(&mut host, "2 7 w TOKEN w AT 1700000000000 AT 7 SADD 1");
}

#[test]
fn a_replica_is_sent_the_commands_of_natives() {
    let mut host = MemoryHost::default();
    let mut replica = MemoryHost { now_us: 1, ..MemoryHost::default() };
    let words = [
        "MODEL.TXN",
        "4",
        "d",
        "s",
        "z",
        "t",
        "TOKEN",
        "t",
        "ON",
        "d",
        "CREATE",
        "any",
        "{}",
        "AT",
        "s",
        "SADD",
        "=string(1+1)",
        "AT",
        "z",
        "ZADD",
        "1",
        "2",
    ];
    let outcome = host.call(&words).unwrap();
    let args: Vec<_> = words.iter().map(|word| word.as_bytes()).collect();
    replica.replicate(&args, &outcome).unwrap();
    assert_eq!(replica.structures.keys, host.structures.keys);
    assert_eq!(documents(&replica), documents(&host));
    assert_eq!(replica.tokens, host.tokens);
    let Reply::Array(_) = outcome.reply else { panic!("an array") };
}
