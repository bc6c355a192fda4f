//! The changes that statements of a transaction see of each other, and the keys afterwards.

use crate::harness::{Server, on_every_server};
use crate::recording::{check_error_line, on_every_recording, state};
use crate::resp::{Conn, Reply};

/// Runs `MODEL.TXN` with these words, which hold no spaces.
fn txn(conn: &mut Conn, words: &str) -> Reply {
    let words: Vec<&str> = words.split(' ').collect();
    conn.call(&[&["MODEL.TXN"], &words[..]].concat())
}

/// The reply in brackets, JSON as it is.
fn notation(reply: &Reply) -> String {
    match reply {
        Reply::Null => "nil".into(),
        Reply::Int(value) if *value > 1_000_000_000_000 => "revision".into(),
        Reply::Int(value) => value.to_string(),
        Reply::Bulk(_) => reply.text().into(),
        Reply::Array(items) => {
            format!("[{}]", items.iter().map(notation).collect::<Vec<_>>().join(" "))
        }
        Reply::Error(_) => reply.error_word().into(),
        other => panic!("{other:?}"),
    }
}

/// Each transaction on the documents `a` `{"n":1}` and `b` `{"n":2}`, its reply, and the documents afterwards.
const CASES: [(&str, &str, &str); 24] = [
    ("2 a b ON a INCR $.n 1 ON b INCR $.n 1 ON a INCR $.n 1", "[[2] [3] [3]]", "3 3 nil"),
    ("2 a a ON a INCR $.n 1 ON a INCR $.n 1", "[[2] [3]]", "3 2 nil"),
    ("1 a ON a INCR $.n 1 IF self.n==2 INCR $.n 1 IF self.n==3", "[[2 3]]", "3 2 nil"),
    // Another document as it stands at this point, not as it was.
    ("2 a b ON a SET $.n 7 ON b EVAL $.n docs['a'].n+value", "[[1] [9]]", "7 9 nil"),
    ("2 a b ON b EVAL $.n docs['a'].n+value ON a SET $.n 7", "[[3] [1]]", "7 3 nil"),
    ("2 a b ON a EVAL $.n docs['a'].n+1 EVAL $.n docs['a'].n+1", "[[2 3]]", "3 2 nil"),
    ("2 a b ON b DELETE ON a EVAL $.n size(docs)", "[[1] [1]]", "1 nil nil"),
    ("3 c a b ON b CREATE any {}", "BUSYKEY", "1 2 nil"),
    (
        "3 c a b ON c CREATE any {\"n\":9} ON a EVAL $.n docs.map(k,docs[k].n)",
        "[[revision] [[9,1,2]]]",
        "[9,1,2] 2 9",
    ),
    ("3 a c b ON c WHEN docs['a'].n==1 CREATE any {\"n\":0} INCR $.n 5", "[[revision 5]]", "1 2 5"),
    ("3 a c b ON c WHEN docs['a'].n==2 CREATE any {\"n\":0} MISSING", "[[nil]]", "1 2 nil"),
    (
        "2 a b ON a DELETE CREATE any {\"n\":5} DELETE CREATE any {\"n\":6}",
        "[[1 revision 1 revision]]",
        "6 2 nil",
    ),
    ("2 a b ON a DELETE CREATE any {} REVISION DELETE", "[[1 nil nil 1]]", "nil 2 nil"),
    (
        "2 a b ON a PUT any {\"n\":3} INCR $.n 1 PUT any {\"n\":8}",
        "[[revision 4 revision]]",
        "8 2 nil",
    ),
    ("3 a b c ON c PUT any {\"n\":3} ON b DELETE ON b MISSING", "[[revision] [1] []]", "1 nil 3"),
    ("3 a b c ON c INIT any {\"n\":3} ON c EXISTS INIT any {} INCR $.n 1", "ERR", "1 2 nil"),
    ("3 a b c ON c INIT any {\"n\":3} ON c INIT any {} INCR $.n 1", "[[] [4]]", "1 2 4"),
    ("3 a b c ON a ON b ON a", "[[] [] []]", "1 2 nil"),
    ("1 a ON a IF has(docs.a)&&key=='a' GET $.n", "[[1]]", "1 2 nil"),
    ("2 a b ON a WHEN self.n>1 DELETE WHEN self.n==1 SET $.n 4", "[[nil 1]]", "4 2 nil"),
    ("1 a ON b GET $", "ERR", "1 2 nil"),
    ("1 a ON a EVAL $.n docs['b'].n", "EXPR", "1 2 nil"),
    ("2 a c ON c IF true", "NOKEY", "1 2 nil"),
    ("2 a c ON a INCR $.n 1 ON c GET $", "NOKEY", "1 2 nil"),
];

#[test]
fn statements_see_what_those_before_them_did() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        for (words, expected, left) in CASES {
            conn.must(&["FLUSHALL"]);
            conn.must(&["MODEL.SET", "a", "any", r#"{"n":1}"#]);
            conn.must(&["MODEL.SET", "b", "any", r#"{"n":2}"#]);
            assert_eq!(notation(&txn(conn, words)), expected, "{words}");
            let found = conn.must(&["MODEL.MGET", "3", "a", "b", "c", "$.n"]);
            assert_eq!(notation(&found), format!("[{left}]"), "{words}");
        }
    });
}

#[test]
fn each_changed_document_has_a_revision_of_its_own() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        let revision =
            |conn: &mut Conn, key: &str| conn.must(&["MODEL.META", key]).field("revision").int();
        let a = conn.must(&["MODEL.SET", "a", "any", r#"{"n":1}"#]).int();
        let b = conn.must(&["MODEL.SET", "b", "any", r#"{"n":1}"#]).int();
        // The revision before the transaction is what IFREV and `revision` speak of, throughout.
        let words = format!(
            "3 a b c ON a INCR $.n 1 REVISION ON b GET $.n REVISION ON a IFREV {a} IF revision=={a} \
             INCR $.n 1 ON c CREATE any {{}} REVISION"
        );
        let reply = txn(conn, &words);
        let told = |block: usize, nth: usize| reply.array()[block].array()[nth].int();
        assert_eq!(told(0, 1), revision(conn, "a"));
        assert_eq!((told(1, 1), revision(conn, "b")), (b, b), "it was only read");
        assert_eq!((told(3, 0), told(3, 1)), (revision(conn, "c"), revision(conn, "c")));
        assert!(b < told(0, 1) && told(0, 1) < told(3, 0), "{reply:?}");
        let stale = txn(conn, &format!("1 a ON a IFREV {a} INCR $.n 1"));
        assert_eq!(stale.error_word(), "REVISION");
        let created = txn(conn, "1 d ON d CREATE any {} IFREV 1");
        assert_eq!(created.error_word(), "REVISION", "what it made itself had none");
    });
}

#[test]
fn reading_changes_nothing_and_replicates_nothing() {
    on_every_recording(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.SET", "a", "any", r#"{"n":1}"#, "PXAT", "4000000000000"]);
        conn.must(&["MODEL.SET", "b", "any", r#"{"n":2}"#]);
        let before = state(conn, "a");
        for words in [
            "2 a b ON a GET $.n ON b GET $.n LEN $ REVISION",
            "2 a b ON a IF docs['b'].n==2 EXISTS ON b SETNX $.n 5 DEL $.none",
            "3 a b c ON c MISSING",
            "2 a b ON a PERSIST WHEN false SET $.n 5",
        ] {
            let reply = txn(conn, words);
            assert!(!reply.is_error(), "{words}: {reply:?}");
            if !words.contains("PERSIST") {
                assert_eq!(state(conn, "a"), before, "{words}");
            }
        }
        assert_ne!(state(conn, "a"), before, "PERSIST changed something");
    });
}

fn expires(conn: &mut Conn, key: &str) -> i64 {
    conn.must(&["PEXPIRETIME", key]).int()
}

#[test]
fn blocks_and_models_decide_when_keys_expire() {
    const AT: i64 = 4_000_000_000_000;
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.DEFINE", "session", "{}", "TTL", "1000", "REFRESH", "WRITE"]);
        conn.must(&["MODEL.DEFINE", "read", "{}", "TTL", "1000", "REFRESH", "READ"]);
        let of_model = |at: i64| at > 0 && at < AT;
        for (words, is_right) in [
            ("1 a ON a SET $.n 2", (|at| at == AT) as fn(i64) -> bool),
            ("1 a ON a PXAT 4000000000001", |at| at == AT + 1),
            ("1 a ON a PXAT 4000000000001 ON a EXAT 4000000001", |at| at == 4_000_000_001_000),
            ("1 a ON a PXAT 4000000000001 ON a GET $", |at| at == AT + 1),
            ("1 a ON a PERSIST SET $.n 3", |at| at == -1),
            ("1 a ON a PUT any {}", |at| at == -1),
            ("1 a ON a PXAT 4000000000001 PUT any {}", |at| at == AT + 1),
            ("1 a ON a PXAT 4000000000001 ON a PUT any {}", |at| at == -1),
            ("1 a ON a DELETE CREATE any {}", |at| at == -1),
            ("1 a ON a DELETE", |at| at == -2),
            ("1 a ON a PXAT 4000000000001 DELETE CREATE any {}", |at| at == AT + 1),
        ] {
            conn.must(&["MODEL.SET", "a", "any", r#"{"n":1}"#, "PXAT", "4000000000000"]);
            let reply = txn(conn, words);
            assert!(!reply.is_error(), "{words}: {reply:?}");
            assert!(is_right(expires(conn, "a")), "{words}: {}", expires(conn, "a"));
        }
        for words in [
            "1 a ON a PUT session {}",
            "2 a b ON a DELETE CREATE session {}",
            "1 a ON a PXAT 4000000000001 ON a PUT read {}",
        ] {
            conn.must(&["MODEL.SET", "a", "any", "{}", "PXAT", "4000000000000"]);
            assert!(!txn(conn, words).is_error());
            assert!(of_model(expires(conn, "a")), "{words}: {}", expires(conn, "a"));
        }
        // Writing begins the time anew, or reading does, and what is only listed is not read.
        for (model, words, is_renewed) in [
            ("session", "2 a b ON a SET $.n 2", true),
            ("session", "2 a b ON a GET $", false),
            ("read", "2 a b ON a GET $", true),
            ("read", "2 a b ON b IF docs['a'].n==1", false),
        ] {
            conn.must(&["MODEL.SET", "a", model, r#"{"n":1}"#, "PXAT", "4000000000000"]);
            conn.must(&["MODEL.SET", "b", "any", "{}"]);
            assert!(!txn(conn, words).is_error());
            assert_eq!(of_model(expires(conn, "a")), is_renewed, "{model} {words}");
        }
        let refused = txn(conn, "1 none ON none EX 9");
        assert_eq!(refused.error_word(), "NOKEY");
    });
}

#[test]
fn models_validate_documents_at_the_end_of_a_transaction() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        let schema =
            r#"{"properties":{"level":{"default":1},"n":{"type":"integer"}},"required":["n"]}"#;
        let rules = ["RULE", "grows", "self.n>=oldSelf.n", "RULE", "small", "self.n<100"];
        conn.must(&[&["MODEL.DEFINE", "m", schema], &rules[..]].concat());
        for (words, expected) in [
            // A state in between that would be refused is not validated.
            ("1 a ON a SET $.n 500 SET $.n 6", "[[1 1]]"),
            ("1 a ON a SET $.n 4 ON a SET $.n 6", "[[1] [1]]"),
            ("1 a ON a DEL $.n SET $.n 6", "[[1 1]]"),
            ("1 a ON a SET $.n 4", "RULE"),
            ("1 a ON a DEL $.n", "SCHEMA"),
            // In its place it is compared with what was there, and made anew it is not.
            ("1 a ON a PUT m {\"n\":4}", "RULE"),
            ("1 a ON a PUT m {\"n\":6}", "[[revision]]"),
            ("1 a ON a PUT any {\"n\":\"x\"} PUT m {\"n\":4}", "RULE"),
            ("1 a ON a DELETE CREATE m {\"n\":4}", "[[1 revision]]"),
            ("1 a ON a PUT any {}", "[[revision]]"),
            ("2 a b ON b CREATE m {\"n\":1} GET $.level ON a INCR $.n 1", "[[revision 1] [6]]"),
            ("2 a b ON a INCR $.n 1 ON b CREATE m {\"n\":1} DEL $.n DELETE", "[[6] [nil 1 1]]"),
            ("2 a b ON a INCR $.n 1 ON b INIT m {\"n\":100}", "RULE"),
        ] {
            conn.must(&["FLUSHALL"]);
            conn.must(&["MODEL.SET", "a", "m", r#"{"n":5}"#]);
            let reply = txn(conn, words);
            assert_eq!(notation(&reply), expected, "{words}: {reply:?}");
            if reply.is_error() {
                let object = check_error_line(&reply);
                assert!(object["key"] == "a" || object["key"] == "b", "{reply:?}");
                assert_eq!(conn.must(&["MODEL.GET", "a", "$.n"]), Reply::bulk("5"), "{words}");
            }
        }
    });
}

#[test]
fn a_document_of_an_older_definition_is_renewed_when_it_is_written() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.DEFINE", "m", "{}"]);
        conn.must(&["MODEL.SET", "a", "m", r#"{"n":5}"#]);
        let newer = r#"{"properties":{"level":{"default":1},"n":{"maximum":9}}}"#;
        conn.must(&["MODEL.DEFINE", "m", newer]);
        for (words, expected, left) in [
            ("1 a ON a GET $", r#"[[{"n":5}]]"#, r#"{"n":5}"#),
            ("1 a ON a WHEN false INCR $.n 1", "[[nil]]", r#"{"n":5}"#),
            ("1 a ON a INCR $.n 7", "SCHEMA", r#"{"n":5}"#),
            ("1 a ON a INCR $.n 1 INCR $.level 1", "[[6 2]]", r#"{"n":6,"level":2}"#),
        ] {
            assert_eq!(notation(&txn(conn, words)), expected, "{words}");
            assert_eq!(conn.must(&["MODEL.GET", "a"]), Reply::bulk(left), "{words}");
        }
        let version = conn.must(&["MODEL.META", "a"]).field("definition-version").int();
        assert_eq!(version, 2);
    });
}

/// The order that docs/transactions.md gives: each is the one before it without what was wrong first.
#[test]
fn the_first_of_several_refusals_is_reported() {
    const WRONG: [(&str, &str, &str, &str); 12] = [
        ("5 a b plain t u TOKEN plain AT x ON a IF zork INCR $.n", "ERR", "argument", "x"),
        ("5 a b plain t u TOKEN plain AT 1 ON a IF zork INCR $.n", "EXPR", "expr", "zork"),
        ("5 a b plain t u TOKEN plain AT 1 ON a INIT i {} INCR $.n x", "ERR", "argument", "x"),
        ("5 a b plain t u TOKEN plain AT 1 ON a INIT i {}", "WRONGTYPE", "key", "plain"),
        (
            "5 a b plain t u TOKEN u AT 1 ON a CREATE c {} ON a INIT i {}",
            "TOKENMISMATCH",
            "key",
            "u",
        ),
        (
            "5 a b plain t u TOKEN t AT 1 ON a CREATE c {} ON a INIT i {}",
            "TOKENEXPIRED",
            "key",
            "t",
        ),
        ("5 a b plain t u TOKEN t ON a CREATE c {} ON a INIT i {}", "NOMODEL", "model", "i"),
        ("5 a b plain t u TOKEN t ON a IF self.n==2 CREATE c {}", "NOMODEL", "model", "c"),
        ("4 a b plain t TOKEN t ON a IF self.n==2 CREATE any {}", "WRONGTYPE", "key", "plain"),
        ("3 a b t TOKEN t ON b SET $.n 9 ON a CREATE any {}", "BUSYKEY", "key", "a"),
        ("3 a b t TOKEN t ON b SET $.n 9 ON a SET $.n 9 GET $", "RULE", "key", "a"),
        ("3 a b t TOKEN t ON b SET $.n 8 ON a SET $.n 8 GET $", "LIMIT", "limit", LIMIT),
    ];
    const LIMIT: &str = "model.token-reply-bytes";
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.DEFINE", "m", "{}", "RULE", "small", "self.n<9"]);
        for key in ["a", "b"] {
            conn.must(&["MODEL.SET", key, "m", r#"{"n":1}"#]);
        }
        conn.must(&["SET", "plain", "x"]);
        assert!(!txn(conn, "2 a u TOKEN u ON a").is_error());
        conn.must(&["CONFIG", "SET", LIMIT, "3"]);
        for (words, word, member, value) in WRONG {
            let reply = txn(conn, words);
            assert_eq!(reply.error_word(), word, "{words}: {reply:?}");
            let error = check_error_line(&reply);
            assert_eq!(error[member], value, "{words}");
            let names_key = ["EXPR", "ERR", "LIMIT"].contains(&word) || error["key"].is_string();
            assert!(names_key, "{words}: {reply:?}");
        }
        conn.must(&["CONFIG", "SET", LIMIT, "65536"]);
        assert_eq!(notation(&txn(conn, WRONG[11].0)), r#"[[1] [1 {"n":8}]]"#);
    });
}

/// A transaction with so many keys, blocks and statements.
fn large(keys: usize, blocks: usize, statements: usize) -> Vec<String> {
    let mut words = vec!["MODEL.TXN".to_owned(), keys.to_string()];
    words.extend((0..keys).map(|nth| format!("k{nth}")));
    for nth in 0..blocks {
        words.extend(["ON".into(), format!("k{}", nth % keys), "INIT".into(), "any".into()]);
        words.push(r#"{"n":0}"#.into());
        let share = statements / blocks + usize::from(nth < statements % blocks);
        for _ in 0..share {
            words.extend(["INCR".into(), "$.n".into(), "1".into()]);
        }
    }
    words
}

#[test]
fn limits_hold_at_their_maximum_and_not_one_past_it() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        let mut call =
            |words: Vec<String>| conn.call(&words.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(call(large(1024, 1024, 1024)).array().len(), 1024);
        assert_eq!(call(large(2, 1, 1024)).array()[0].array()[1023], Reply::bulk("1025"));
        for (limit, words) in [
            ("transaction-keys", large(1025, 1, 1)),
            ("blocks", large(3, 1025, 0)),
            ("statements", large(3, 2, 1025)),
        ] {
            let reply = call(words);
            assert_eq!(reply.error_word(), "LIMIT");
            assert_eq!(check_error_line(&reply)["limit"], limit);
        }
        let sum: i64 = (0..1024)
            .map(|nth| {
                let key = format!("k{nth}");
                server.must(&["MODEL.GET", &key, "$.n"]).text().parse::<i64>().expect("a number")
            })
            .sum();
        assert_eq!(sum, 2048, "what was refused did nothing");
    });
}

/// All that a transaction puts into documents is bounded, however many they are.
#[test]
fn a_transaction_cannot_bloat_the_server() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["CONFIG", "SET", "model.document-bytes", "100000"]);
        let mut words = "MODEL.TXN 16".to_owned();
        (0..16).for_each(|nth| words.push_str(&format!(" k{nth}")));
        for nth in 0..16 {
            words.push_str(&format!(" ON k{nth} INIT any \"12345678\" STRREPEAT $ 10000"));
        }
        let reply = conn.call(&words.split(' ').collect::<Vec<_>>());
        assert_eq!(reply.error_word(), "LIMIT", "{reply:?}");
        assert_eq!(check_error_line(&reply)["limit"], "journal-bytes");
        assert_eq!(conn.must(&["DBSIZE"]), Reply::Int(0));
    });
}

/// Reads events until the marker's.
fn events(server: &Server, listening: &mut Conn) -> Vec<String> {
    server.must(&["SET", "marker", "x"]);
    let mut all = Vec::new();
    loop {
        let message = listening.recv();
        let (channel, key) = (message.array()[2].text(), message.array()[3].text());
        if key == "marker" {
            server.must(&["DEL", "marker"]);
            listening.recv();
            return all;
        }
        let event = channel.rsplit(':').next().expect("a name").to_owned();
        // The name may hold a colon of its own nowhere: events have none.
        all.push(format!("{event} {key}"));
    }
}

#[test]
fn events_and_watchers_hear_of_each_change_once() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        let listening = &mut server.conn();
        conn.must(&["CONFIG", "SET", "notify-keyspace-events", "EAd"]);
        conn.must(&["MODEL.SET", "a", "any", r#"{"n":1}"#, "EX", "1000"]);
        conn.must(&["MODEL.SET", "b", "any", r#"{"n":1}"#]);
        listening.must(&["PSUBSCRIBE", "__keyevent@*"]);
        for (words, expected) in [
            ("2 a b ON a INCR $.n 1 INCR $.n 1 ON b GET $ ON a INCR $.n 1", "model.update a"),
            ("2 a b ON b EX 500 INCR $.n 1", "model.update b,expire b"),
            ("2 a b ON a PERSIST", "persist a"),
            ("3 b a c ON c CREATE any {} ON a PUT any {}", "model.set a,model.set c"),
            ("3 a b c ON c DELETE CREATE any {} DELETE ON b DELETE", "del b,del c"),
            ("3 a b t TOKEN t ON a GET $", "model.token t,expire t"),
            ("3 a b t TOKEN t ON a GET $", ""),
            ("2 a c ON a GET $ ON c MISSING", ""),
        ] {
            let watching = &mut server.conn();
            watching.must(&["WATCH", "a", "b", "c", "t"]);
            let reply = txn(conn, words);
            assert!(!reply.is_error(), "{words}: {reply:?}");
            assert_eq!(events(server, listening).join(","), expected, "{words}");
            watching.must(&["MULTI"]);
            watching.must(&["PING"]);
            let told = watching.must(&["EXEC"]) == Reply::Null;
            assert_eq!(told, !expected.is_empty(), "{words}");
        }
    });
}
