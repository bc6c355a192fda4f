//! Actions in memory: what a definition may be, what a call makes of roles, arguments and bound paths, and what becomes of
//! corrupt payloads. That a call does what the same transaction does is shown in tests/transactions.

use redis_model::codec::definition;
use redis_model::command::{KeyEffect, Sent};
use redis_model::error::{Detail, Error, ErrorCode};
use redis_model::model::Actions;
use redis_model::testing::MemoryHost;

fn host() -> MemoryHost {
    let mut host = MemoryHost::default();
    host.call(&["MODEL.SET", "a", "any", r#"{"n":1,"stats":{"x":5},"l":[1,2,3]}"#]).unwrap();
    host.call(&["MODEL.SET", "b", "any", r#"{"n":10}"#]).unwrap();
    host
}

fn define(host: &mut MemoryHost, words: &str) -> Result<i64, Error> {
    let words: Vec<&str> = ["MODEL.ACTION", "x"].into_iter().chain(words.split(' ')).collect();
    host.call(&words).map(|outcome| match outcome.reply {
        redis_model::reply::Reply::Int(version) => version,
        other => panic!("{other:?}"),
    })
}

fn call(host: &mut MemoryHost, words: &str) -> String {
    let words: Vec<&str> = ["MODEL.CALL", "x"].into_iter().chain(words.split(' ')).collect();
    match host.call(&words) {
        Ok(outcome) => outcome.reply.notation(),
        Err(error) => error.code().word().to_owned(),
    }
}

fn text(error: &Error, name: &str) -> String {
    match error.detail(name) {
        Some(Detail::Text(text)) => text.clone(),
        Some(Detail::Integer(integer)) => integer.to_string(),
        other => format!("{other:?}"),
    }
}

/// One definition after the other, each with calls and their replies.
#[test]
fn roles_stand_for_keys_wherever_a_transaction_names_them() {
    for (definition, calls) in [
        (
            "2 from to ON from INCR $.n -1 ON to INCR $.n =docs.from.n",
            &[("2 a b", "[[0] [10]]")][..],
        ),
        ("2 from to ON to EVAL $.n docs['from'].n", &[("2 a b", "[[1]]"), ("2 b a", "[[1]]")]),
        ("2 x y ON x GET $.n ON y GET $.n ON x INCR $.n 1", &[("2 a a", "[[1] [1] [2]]")]),
        // A role that no block uses is read by expressions, and needs a key.
        (
            "2 a b ON a INCR $.n =size(docs)",
            &[("2 a b", "[[3]]"), ("2 a none", "[[4]]"), ("1 a", "ERR")],
        ),
        ("1 d ON d EVAL $.k key", &[("1 a", "[[\"a\"]]")]),
        ("1 d ON d WHEN 'd'indocs GET $.n", &[]),
        (
            "2 p s ON p INCR $.n 1 AT s SADD =string(docs.p.n) ZADD 1 \"m\"",
            &[("2 a s", "WRONGTYPE")],
        ),
        (
            "2 p s ON p INCR $.n 1 AT s SADD =string(docs.p.n)",
            &[("2 a s", "[[2] [(integer) 1]]"), ("2 a a", "ERR")],
        ),
        (
            "2 p s ON p INCR $.n =native.s.size() AT s SADD 1",
            &[("2 a s", "[[1] [(integer) 1]]"), ("2 a s", "[[2] [(integer) 0]]")],
        ),
    ] {
        let mut host = host();
        if define(&mut host, definition).is_err() {
            assert!(calls.is_empty(), "{definition}");
            continue;
        }
        for (words, expected) in calls {
            assert_eq!(call(&mut host, words), *expected, "{definition}: {words}");
        }
    }
}

/// A role that does not exist is refused by the definition, wherever an expression writes it out, and named with its place.
#[test]
fn expressions_name_roles_of_the_action_alone() {
    let mut host = host();
    for (definition, name, column) in [
        ("2 a s ON a IF docs.b.n>1 GET $", "b", "column 6"),
        ("2 a s ON a WHEN docs['b'].n>1 GET $", "b", ""),
        ("2 a s ON a IF has(docs.b.n) GET $", "b", "column 10"),
        ("2 a s ON a IF docs.?b.?n.hasValue() GET $", "b", ""),
        ("2 a s ON a SET $.n =native.t.size()", "t", "column 8"),
        ("2 a s ON a GET $ AT s SADD =native['t'].size()", "t", ""),
        ("2 a s ON a EVAL $.n docs.a.n+docs.other.n", "other", "column 15"),
    ] {
        let error = define(&mut host, definition).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Expr, "{definition}");
        let message = error.message();
        assert!(message.contains(&format!("unknown role: {name}, at")), "{definition}: {message}");
        assert!(message.contains(column), "{definition}: {message}");
    }
    // A name that is computed, or of a variable, is known when the action is called.
    for definition in [
        "2 a s ON a IF docs[args.name].n>0 GET $",
        "2 a s ON a IF ['b'].exists(docs,docs=='b') GET $",
        "2 a s ON a IF docs.a.b==null GET $",
    ] {
        define(&mut host, definition).unwrap();
    }
}

#[test]
fn paths_and_options_read_the_arguments_of_each_call() {
    let mut host = host();
    define(&mut host, "1 d ON d CURRENT $.stats[args.k] IF self.n<args.most INCR $.stats[args.k] 1 GET $.l[?@>args.n] SORT $.l ASC @").unwrap();
    assert_eq!(call(&mut host, r#"1 a ARGS {"k":"x","n":2,"most":9}"#), "[[6 [3] (integer) 3]]");
    assert_eq!(
        call(&mut host, r#"1 a ARGS {"k":"y","n":0,"most":9}"#),
        "[[1 [1,2,3] (integer) 3]]"
    );
    assert_eq!(call(&mut host, r#"1 a ARGS {"n":0,"most":9}"#), "ERR");
    assert_eq!(call(&mut host, r#"1 a ARGS {"k":1.5,"n":0,"most":9}"#), "TYPE");
    assert_eq!(call(&mut host, "1 a"), "ERR");
    let words = ["MODEL.CALL", "x", "1", "a", "ARGS", r#"{"k":"x","n":0,"most":0}"#];
    let refused = host.call(&words).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Condition);
    assert_eq!(refused.detail("current"), Some(&Detail::Json("6".into())));
    let words = ["MODEL.CALL", "x", "1", "a", "ARGS", r#"{"n":0,"most":9}"#];
    let refused = host.call(&words).unwrap_err();
    assert_eq!(text(&refused, "role"), "d");
    assert_eq!(text(&refused, "path"), "$.stats[args.k]");
}

#[test]
fn arguments_are_validated_and_given_their_defaults() {
    let mut host = host();
    let params = r#"{"properties":{"by":{"type":"integer","minimum":1,"default":2},"o":{"default":{},"properties":{"m":{"default":3}}}},"additionalProperties":false}"#;
    define(&mut host, &format!("1 d PARAMS {params} ON d INCR $.n =args.by*args.o.m")).unwrap();
    assert_eq!(call(&mut host, "1 a"), "[[7]]");
    assert_eq!(call(&mut host, "1 a ARGS {}"), "[[13]]");
    assert_eq!(call(&mut host, r#"1 a ARGS {"by":1,"o":{"m":1}}"#), "[[14]]");
    for wrong in [r#"{"by":0}"#, r#"{"by":"1"}"#, r#"{"other":1}"#] {
        assert_eq!(call(&mut host, &format!("1 a ARGS {wrong}")), "SCHEMA", "{wrong}");
    }
    for malformed in ["[]", "{", "1", "null"] {
        assert_eq!(call(&mut host, &format!("1 a ARGS {malformed}")), "ERR", "{malformed}");
    }
    // Arguments are validated before anything is looked up.
    assert_eq!(call(&mut host, r#"1 none ARGS {"by":0}"#), "SCHEMA");
    assert_eq!(call(&mut host, "1 none"), "NOKEY");
}

#[test]
fn a_role_of_documents_has_no_natives() {
    let mut host = host();
    for blocks in ["ON x INCR $.n 1 AT x SADD 1", "AT x SADD 1 AT y SADD 1 ON y GET $"] {
        let refused = define(&mut host, &format!("2 x y {blocks}")).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::Err, "{blocks}");
    }
    define(&mut host, "2 x y ON x INCR $.n 1 AT y SADD 1").unwrap();
    // Errors are told in the order of precedence: the version before the blocks, the action before ARGS.
    assert_eq!(
        define(&mut host, "1 x IFVERSION 9 ON x NOPE").unwrap_err().code(),
        ErrorCode::Revision
    );
    let unknown = host.call(&["MODEL.CALL", "nope", "1", "k", "ARGS", "{"]).unwrap_err();
    assert_eq!(unknown.code(), ErrorCode::NoAction);
}

/// The fence of a lock is known to the caller alone.
#[test]
fn a_call_is_made_under_the_lock_that_its_arguments_name() {
    let mut host = host();
    let grant = "edit =args.owner =args.fence";
    define(&mut host, &format!("1 d ON d HOLDING {grant} INCR $.n 1 RELEASE {grant}")).unwrap();
    let locked = host.call(&["MODEL.LOCK", "a", "edit", "ann"]).unwrap().reply;
    let redis_model::reply::Reply::Array(locked) = locked else { panic!("the lock is free") };
    let fence = locked[0].notation().replace("(integer) ", "");
    let words =
        |owner: &str, fence: &str| format!(r#"1 a ARGS {{"owner":"{owner}","fence":{fence}}}"#);
    assert_eq!(call(&mut host, &words("bob", &fence)), "LOCKLOST");
    assert_eq!(call(&mut host, &words("ann", "7")), "LOCKLOST");
    for fence in ["-1", "1.5", "\"7\""] {
        assert_eq!(call(&mut host, &words("ann", fence)), "TYPE");
    }
    assert_eq!(call(&mut host, &words("", &fence)), "ERR");
    assert_eq!(call(&mut host, "1 a ARGS {}"), "EXPR");
    assert_eq!(call(&mut host, &words("ann", &fence)), "[[2 (integer) 1]]");
    assert_eq!(call(&mut host, &words("ann", &fence)), "LOCKLOST");
    // In a transaction these operands are plain text.
    let txn = "MODEL.TXN 1 a ON a HOLDING =a =b 7";
    assert_eq!(
        host.call(&txn.split(' ').collect::<Vec<_>>()).unwrap_err().code(),
        ErrorCode::LockLost
    );
}

#[test]
fn models_are_looked_up_by_each_call() {
    let mut host = host();
    define(&mut host, r#"2 p q ON p INIT later {"n":1} INCR $.n 1 ON q PUT later {}"#).unwrap();
    let refused = host.call(&["MODEL.CALL", "x", "2", "new", "b"]).unwrap_err();
    assert_eq!((refused.code(), text(&refused, "role")), (ErrorCode::NoModel, "p".to_owned()));
    host.call(&["MODEL.DEFINE", "later", "{}", "RULE", "low", "!has(self.n) || self.n < 4"])
        .unwrap();
    assert!(call(&mut host, "2 new b").starts_with("[[2] [(integer) "));
    assert!(call(&mut host, "2 new b").starts_with("[[3] [(integer) "));
    let refused = host.call(&["MODEL.CALL", "x", "2", "new", "b"]).unwrap_err();
    assert_eq!((refused.code(), text(&refused, "role")), (ErrorCode::Rule, "p".to_owned()));
}

/// As many as a transaction may have, and not one more.
#[test]
fn roles_blocks_and_statements_are_limited() {
    let many = |count: usize, block: &dyn Fn(usize) -> String| {
        (0..count).map(block).collect::<Vec<_>>().join(" ")
    };
    let roles =
        |count: usize| format!("{count} {} ON r0 GET $", many(count, &|nth| format!("r{nth}")));
    let blocks = |count: usize| format!("1 r {}", many(count, &|_| "ON r".into()));
    let statements = |count: usize| format!("1 r ON r {}", many(count, &|_| "EXISTS".into()));
    let natives = |count: usize| format!("1 r AT r {}", many(count, &|_| "SADD 1".into()));
    for (limit, definition) in [
        ("transaction-keys", &roles as &dyn Fn(usize) -> String),
        ("blocks", &blocks),
        ("statements", &statements),
        ("statements", &natives),
    ] {
        let mut host = host();
        assert_eq!(define(&mut host, &definition(1024)).unwrap(), 1, "{limit}");
        let refused = define(&mut host, &definition(1025)).unwrap_err();
        assert_eq!((refused.code(), text(&refused, "limit")), (ErrorCode::Limit, limit.to_owned()));
    }
    let mut host = host();
    define(&mut host, &blocks(1024)).unwrap();
    assert_eq!(call(&mut host, "1 a"), format!("[{}]", ["[]"; 1024].join(" ")));
    define(&mut host, &roles(1024)).unwrap();
    let keys = many(1024, &|nth| format!("k{}", nth % 700));
    host.call(&["MODEL.SET", "k0", "any", "7"]).unwrap();
    assert_eq!(call(&mut host, &format!("1024 {keys}")), "[[7]]");
    for (name, refused) in [("r".repeat(255), false), ("r".repeat(256), true)] {
        assert_eq!(define(&mut host, &format!("1 {name} ON {name} GET $")).is_err(), refused);
        let words = ["MODEL.ACTION", &name, "1", "r", "ON", "r", "GET", "$"];
        assert_eq!(host.call(&words).is_err(), refused);
    }
}

#[test]
fn nesting_is_limited_as_in_a_transaction() {
    let mut host = host();
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let depth = host.settings.document.depth as usize;
    assert!(define(&mut host, &format!("1 r ON r SET $.v {}", nested(depth - 1))).is_ok());
    assert_eq!(call(&mut host, "1 a"), "[[(integer) 1]]");
    let refused = define(&mut host, &format!("1 r ON r SET $.v {}", nested(depth + 1)));
    assert_eq!(refused.unwrap_err().code(), ErrorCode::Limit);
    // A value that is too deep for its place is refused when it is put there.
    define(&mut host, &format!("1 r ON r SET $.v {}", nested(depth))).unwrap();
    assert_eq!(call(&mut host, "1 a"), "LIMIT");
    for deep in [format!("$.v{}", "[0]".repeat(5000)), format!("$[{}0", "?@[".repeat(5000))] {
        assert!(define(&mut host, &format!("1 r ON r SET {deep} 1")).is_err());
    }
    for deep in ["(".repeat(5000), "-".repeat(5000) + "1", "[".repeat(5000)] {
        assert!(define(&mut host, &format!("1 r ON r IF {deep} GET $")).is_err());
        assert!(define(&mut host, &format!("1 r ON r INCR $.n ={deep}")).is_err());
    }
    let schema = r#"{"items":"#.repeat(5000) + "{}" + &"}".repeat(5000);
    assert!(define(&mut host, &format!("1 r PARAMS {schema} ON r GET $")).is_err());
}

/// A definition of another server is kept, whether it compiles here or not; one of a client is refused.
#[test]
fn corrupt_payloads_are_refused_or_kept_and_never_a_panic() {
    let mut host = host();
    let words = "2 from to PARAMS {\"properties\":{\"n\":{\"default\":1}}} ON from IF self.n>args.n INCR $[args.k] =-args.n AT to ZADD 1 \"m\"";
    let words: Vec<&str> = ["MODEL.ACTION", "x"].into_iter().chain(words.split(' ')).collect();
    let args: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    let outcome = redis_model::command::run(&mut host, &args).unwrap();
    let bytes = outcome.definition.expect("it is new").into_vec();
    let mut state = 1_u32;
    let mut random = |bound: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % bound
    };
    let (mut kept, mut unusable) = (0, 0);
    for _ in 0..20_000 {
        let mut mutant = bytes.clone();
        for _ in 0..1 + random(3) {
            let at = random(mutant.len());
            match random(4) {
                0 => mutant[at] = random(256) as u8,
                1 => mutant.truncate(at.max(1)),
                2 => mutant.insert(at, random(256) as u8),
                _ => drop(mutant.remove(at)),
            }
            if mutant.is_empty() {
                break;
            }
        }
        let Ok(entry) = definition::decode_action(&mutant) else { continue };
        let actions = Actions::new();
        unusable += u32::from(actions.install(&entry).is_err());
        assert_eq!(actions.entries(), [entry]);
        let _ = redis_model::command::run(&mut host, &[b"MODEL.INSTALL", &mutant]);
        kept += 1;
    }
    assert!(kept > 100 && unusable > 50 && kept > unusable, "{kept} {unusable}");
}

#[test]
fn a_definition_that_does_not_compile_here_is_kept_and_not_called() {
    let mut host = host();
    define(&mut host, "1 r ON r GET $").unwrap();
    let entry = host.actions.entries().remove(0);
    let mut broken = entry.clone();
    broken.version += 1;
    broken.source.as_mut().unwrap().blocks[2] = b"NEWER"[..].into();
    let payload = definition::encode_action(&broken);
    // A client is refused.
    let install = [b"MODEL.INSTALL".as_slice(), &payload];
    assert!(redis_model::command::run(&mut host, &install).is_err());
    assert_eq!(host.actions.entries(), [entry]);
    host.replaying = true;
    redis_model::command::run(&mut host, &install).unwrap();
    host.replaying = false;
    assert_eq!(host.actions.entries(), [broken]);
    assert_eq!(call(&mut host, "1 a"), "NOACTION");
}

/// The kinds of what replicas are sent, one for each key.
fn sent(host: &mut MemoryHost, words: &str) -> Vec<&'static str> {
    let words: Vec<&str> = ["MODEL.CALL", "x"].into_iter().chain(words.split(' ')).collect();
    let outcome = host.call(&words).unwrap();
    let kind = |effect: &KeyEffect| match effect.sent {
        Sent::Command => "call",
        Sent::Effect(..) => "effect",
        Sent::Unlink => "unlink",
    };
    outcome.effects.iter().map(kind).collect()
}

#[test]
fn replicas_are_sent_a_call_where_it_has_the_same_effect_anywhere() {
    let args = r#"ARGS {"n":1,"o":{"n":2}}"#;
    for (definition, expected) in [
        ("1 d ON d IF self.n>=args.n INCR $.n 1", "call"),
        ("1 d ON d INCR $.n =args.n", "call"),
        ("1 d ON d INCR $.n =-args.o.n", "call"),
        ("1 d ON d SET $.stats =args.o APPEND $.l =[args.n]", "effect"),
        ("1 d ON d SET $.stats =args.o", "call"),
        ("1 d ON d INCR $.n =args.n+1", "effect"),
        ("1 d ON d INCR $.n =self.n", "effect"),
        ("1 d ON d INCR $.n =args['n']", "call"),
        ("1 d ON d WHEN args.n>0 INCR $.n 1", "effect"),
        ("1 d ON d EX 60 INCR $.n 1", "effect"),
        ("1 d ON d NOW $.at ISO", "effect"),
        ("1 d ON d DELETE", "unlink"),
        ("1 d ON d INCR $..n 1", "effect"),
    ] {
        let mut host = host();
        define(&mut host, definition).expect(definition);
        assert_eq!(sent(&mut host, &format!("1 a {args}")), [expected], "{definition}");
    }
    let mut host = host();
    define(&mut host, "2 a b ON a INCR $.n =-args.n ON b INCR $.n =args.n").unwrap();
    assert_eq!(sent(&mut host, &format!("2 a b {args}")), ["call"; 2]);
    // The slot may be moved to a master with another action.
    host.clustered = true;
    assert_eq!(sent(&mut host, &format!("2 a b {args}")), ["effect"; 2]);
}
