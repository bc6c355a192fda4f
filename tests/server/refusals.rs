//! Bad input: refused with one line before anything is looked up, and nothing changed by it.

use redis_model::command::{self, CommandSpec, KeyPositions};
use redis_model::error::ErrorCode;
use redis_model::op::{self, OpSpec};

use crate::harness::{on_every_server, on_every_shared};
use crate::recording::{check_error_line, on_every_recording, state};
use crate::resp::{Conn, Reply};

const SOUND: &str = r#"{"n":1,"s":"x","list":[3,1,2],"o":{"k":true}}"#;

/// The effects of a unit: a document is put, and the time to live of another one changes.
const PUT_AND_TOUCH: &str = "\u{9}\u{1}\u{2}\u{5}\0\u{3}any\0\u{4}\u{1}\u{3}\u{5}\0";

/// Commands with wrong syntax, the key put in place of `KEY`.
const MALFORMED: &[&[&str]] = &[
    &["MODEL.SET", "KEY", "any", "{"],
    &["MODEL.SET", "KEY", "any", "{}x"],
    &["MODEL.SET", "KEY", "any", ""],
    &["MODEL.SET", "KEY", "any", "nan"],
    &["MODEL.SET", "KEY", "any", "{}", "NX", "XX"],
    &["MODEL.SET", "KEY", "any", "{}", "NX", "NX"],
    &["MODEL.SET", "KEY", "any", "{}", "IFREV"],
    &["MODEL.SET", "KEY", "any", "{}", "IFREV", "x"],
    &["MODEL.SET", "KEY", "any", "{}", "IFREV", "-1"],
    &["MODEL.SET", "KEY", "any", "{}", "EX"],
    &["MODEL.SET", "KEY", "any", "{}", "EX", "0"],
    &["MODEL.SET", "KEY", "any", "{}", "EX", "-1"],
    &["MODEL.SET", "KEY", "any", "{}", "EX", "1.5"],
    &["MODEL.SET", "KEY", "any", "{}", "EX", "9223372036854775807"],
    &["MODEL.SET", "KEY", "any", "{}", "EXAT", "9223372036854775807"],
    &["MODEL.SET", "KEY", "any", "{}", "PX", "9223372036854775807"],
    &["MODEL.SET", "KEY", "any", "{}", "EX", "1", "KEEPTTL"],
    &["MODEL.SET", "KEY", "any", "{}", "PERSIST"],
    &["MODEL.GET", "KEY", "x"],
    &["MODEL.GET", "KEY", "$.a", "$["],
    &["MODEL.GET", "KEY", "/a~2"],
    &["MODEL.GET", "KEY", "$[01]"],
    &["MODEL.GET", "KEY", "$[?@.a==]"],
    &["MODEL.MGET", "0", "KEY"],
    &["MODEL.MGET", "-1", "KEY"],
    &["MODEL.MGET", "2", "KEY"],
    &["MODEL.MGET", "x", "KEY"],
    &["MODEL.MGET", "9223372036854775807", "KEY"],
    &["MODEL.MGET", "1", "KEY", "no path"],
    &["MODEL.FIELDOP", "KEY", "NOSUCH"],
    &["MODEL.FIELDOP", "KEY", "MKPATH"],
    &["MODEL.FIELDOP", "KEY", "INIT", "any"],
    &["MODEL.FIELDOP", "KEY", "INIT", "any", "{", "REVISION"],
    &["MODEL.FIELDOP", "KEY", "EX", "0", "REVISION"],
    &["MODEL.FIELDOP", "KEY", "KEEPTTL", "REVISION"],
    &["MODEL.FIELDOP", "KEY", "IFREV", "x"],
    &["MODEL.FIELDOP", "KEY", "REVISION", "EX", "9"],
    &["MODEL.FIELDOP", "KEY", "SET", "$.n", "1", "SET", "$.n"],
    &["MODEL.FIELDOP", "KEY", "SET", "$.n", "1", "SET", "$.n", "{"],
    &["MODEL.FIELDOP", "KEY", "PUT", "any", "{}"],
    &["MODEL.FIELDOP", "KEY", "SET", "$.n", "1", "CREATE", "any", "{}"],
    &["MODEL.TXN", "0", "KEY", "ON", "KEY"],
    &["MODEL.TXN", "x", "KEY", "ON", "KEY"],
    &["MODEL.TXN", "9", "KEY", "ON", "KEY"],
    &["MODEL.TXN", "1", "KEY", "ARGS", "{}"],
    &["MODEL.TXN", "1", "KEY", "GET", "$"],
    &["MODEL.TXN", "1", "KEY", "ON", "other"],
    &["MODEL.TXN", "1", "KEY", "ARGS", "[]", "ON", "KEY", "GET", "$"],
    &["MODEL.TXN", "1", "KEY", "ON", "KEY", "ON"],
    &["MODEL.TXN", "1", "KEY", "ON", "KEY", "SET", "$.n", "1", "ON", "other", "GET", "$"],
    &["MODEL.TXN", "1", "KEY", "ON", "KEY", "SET", "$.n", "1", "NOSUCH"],
    &["MODEL.TXN", "1", "KEY", "ON", "KEY", "CREATE", "any"],
    &["MODEL.TXN", "1", "KEY", "ON", "KEY", "PUT", "any", "{"],
    &["MODEL.TXN", "1", "KEY", "ON", "KEY", "INIT", "any", "{", "GET", "$"],
    &["MODEL.TXN", "1", "KEY", "ON", "KEY", "EX", "0"],
    &["MODEL.TXN", "1", "KEY", "TOKEN", "none", "ON", "KEY"],
    &["MODEL.TXN", "1", "KEY", "TOKEN", "KEY", "WINDOW", "0", "ON", "KEY"],
    &["MODEL.TXN", "2", "KEY", "other", "TOKEN", "other", "AT", "-1", "ON", "KEY"],
    &["MODEL.TXN", "2", "KEY", "other", "TOKEN", "other", "WINDOW", "x", "ON", "KEY"],
];

fn with_key<'a>(command: &[&'a str], key: &'a str) -> Vec<&'a str> {
    command.iter().map(|word| if *word == "KEY" { key } else { word }).collect()
}

#[test]
fn wrong_syntax_is_found_before_the_key_is_looked_up() {
    on_every_recording(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.SET", "doc", "any", SOUND, "PXAT", "4000000000000"]);
        conn.must(&["SET", "string", "x"]);
        let before = state(conn, "doc");
        let hits = (server.info("keyspace_hits"), server.info("keyspace_misses"));
        for &command in MALFORMED {
            for key in ["doc", "missing", "string"] {
                let refused = conn.call(&with_key(command, key));
                assert_eq!(refused.error_word(), "ERR", "{command:?} on {key}: {refused:?}");
                check_error_line(&refused);
            }
        }
        assert_eq!((server.info("keyspace_hits"), server.info("keyspace_misses")), hits);
        assert_eq!(state(conn, "doc"), before);
        assert_eq!(conn.call(&["EXISTS", "missing"]), Reply::Int(0));
    });
}

#[test]
fn every_refusal_leaves_everything_as_it_was() {
    on_every_recording(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.SET", "doc", "any", SOUND, "PXAT", "4000000000000"]);
        conn.must(&["SET", "string", "x"]);
        let before = state(conn, "doc");
        for (word, command) in [
            ("WRONGTYPE", &["MODEL.SET", "string", "any", "{}"][..]),
            ("WRONGTYPE", &["MODEL.GET", "string"]),
            ("WRONGTYPE", &["MODEL.META", "string"]),
            ("WRONGTYPE", &["MODEL.FIELDOP", "string", "INIT", "any", "{}", "REVISION"]),
            ("NOKEY", &["MODEL.SET", "missing", "any", "{}", "IFREV", "1"]),
            ("NOKEY", &["MODEL.FIELDOP", "missing", "SET", "$", "1"]),
            ("NOKEY", &["MODEL.FIELDOP", "missing", "MISSING", "GET", "$"]),
            ("NOKEY", &["MODEL.FIELDOP", "missing", "EX", "9", "MISSING"]),
            ("NOMODEL", &["MODEL.SET", "doc", "none", "{}"]),
            ("NOMODEL", &["MODEL.FIELDOP", "missing", "INIT", "none", "{}", "REVISION"]),
            ("REVISION", &["MODEL.SET", "doc", "any", "{}", "EX", "9", "IFREV", "1"]),
            ("REVISION", &["MODEL.FIELDOP", "doc", "EX", "9", "SET", "$.n", "2", "IFREV", "1"]),
            ("CONDITION", &["MODEL.FIELDOP", "doc", "PERSIST", "SET", "$", "2", "MISSING"]),
            ("CONDITION", &["MODEL.FIELDOP", "missing", "EXISTS"]),
            ("TYPE", &["MODEL.FIELDOP", "doc", "EX", "9", "DEL", "$.n", "INCR", "$.s", "1"]),
            ("NOPATH", &["MODEL.FIELDOP", "doc", "SET", "$.n", "[]", "SET", "$.x.y", "1"]),
            ("RANGE", &["MODEL.FIELDOP", "doc", "DEL", "$.list[0]", "SET", "$.list[9]", "1"]),
            (
                "OVERFLOW",
                &["MODEL.FIELDOP", "doc", "DEL", "$.s", "INCR", "$.n", "9223372036854775807"],
            ),
            (
                "TYPE",
                &["MODEL.FIELDOP", "missing", "INIT", "any", r#"{"a":"x"}"#, "INCR", "$.a", "1"],
            ),
        ] {
            let refused = conn.call(command);
            assert_eq!(refused.error_word(), word, "{command:?}: {refused:?}");
            check_error_line(&refused);
            assert_eq!(state(conn, "doc"), before, "{command:?}");
            assert_eq!(conn.call(&["EXISTS", "missing"]), Reply::Int(0), "{command:?}");
        }
    });
}

#[test]
fn each_operators_refusals_leave_everything_as_it_was() {
    on_every_recording(|server| {
        let conn = &mut server.conn();
        let is_word = |reply: &str| ErrorCode::ALL.iter().any(|code| code.word() == reply);
        let refusals = op::of(op::Target::Value)
            .iter()
            .flat_map(|spec| spec.examples)
            .filter(|example| is_word(example.reply));
        for example in refusals {
            conn.must(&["MODEL.SET", "doc", "any", example.before, "PXAT", "4000000000000"]);
            let before = state(conn, "doc");
            let statements =
                [&["MODEL.FIELDOP", "doc", "PERSIST", "SET", "/", "0"][..], &example.words()];
            // The statement in front makes a change that has to be undone, where it can.
            for command in
                [statements.concat(), [&["MODEL.FIELDOP", "doc"], &*example.words()].concat()]
            {
                let refused = conn.call(&command);
                check_error_line(&refused);
                assert_eq!(state(conn, "doc"), before, "{command:?}");
            }
        }
    });
}

/// A number of arguments the server itself refuses is refused in its own words.
fn is_servers_own(reply: &Reply) -> bool {
    reply.error().starts_with("ERR wrong number of arguments for ")
}

/// Bytes that broke one parser or printer or another.
fn hostile() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = [
        &b""[..],
        b"\0",
        b"a\0b",
        b"%s%n%n%s%99999d",
        b"\r\n+OK\r\n",
        b"\n",
        b"\xff",
        b"\xff\xfe\0\x80",
        b"\"",
        b"\"\\",
        b"{",
        b"[[[[",
        b"-",
        b"1e",
        b"$",
        b"$[",
        b"$[?",
        b"/~",
        b"\x1b[2J",
        "\u{2028}\u{202e}\u{85}".as_bytes(),
        b"-9223372036854775808",
        b"18446744073709551616",
        b"1e308",
    ]
    .map(<[u8]>::to_vec)
    .into();
    all.push(vec![b'x'; 100 << 10]);
    all.push(
        (0..100 << 10).map(|nth: u32| (nth.wrapping_mul(2_654_435_761) >> 13) as u8).collect(),
    );
    all.push(b"[".repeat(100 << 10));
    all.push(b"$..*".iter().copied().chain(b"[*]".repeat(1 << 10)).collect());
    all
}

/// Sound arguments of every command and of every operator: what is spoiled one by one.
fn sound_commands() -> Vec<Vec<String>> {
    let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let mut commands = vec![
        own(&["MODEL.SET", "doc", "any", SOUND, "XX", "IFREV", "1", "EX", "1000"]),
        own(&["MODEL.SET", "doc", "any", SOUND, "KEEPTTL", "IF", "true", "ARGS", "{}"]),
        own(&["MODEL.GET", "doc", "$.n", "/list"]),
        own(&["MODEL.MGET", "2", "doc", "doc2", "$.n"]),
        own(&["MODEL.META", "doc"]),
        own(&["MODEL.EVAL", "doc", "self.n + args.n", "ARGS", r#"{"n":1}"#]),
        own(&["MODEL.FIELDOP", "doc", "ARGS", r#"{"n":"n"}"#, "STRICT", "INCR", "$[args.n]", "=1"]),
        own(&["MODEL.HELP", "INCR"]),
        own(&["MODEL.APPLY", "doc", "\u{1}\u{2}\u{5}\0\u{3}any", SOUND]),
        own(&["MODEL.APPLY", "doc", "\u{1}\u{1}\u{5}\u{2}\u{5}abc"]),
        own(&["MODEL.APPLYALL", "2", "doc", "doc2", PUT_AND_TOUCH, SOUND]),
        own(&["MODEL.FIELDOP", "doc", "INIT", "any", "{}", "MKPATH", "EX", "1000", "IFREV", "1"]),
        own(&["MODEL.FIELDOP", "doc", "PERSIST", "EXISTS", "REVISION"]),
        own(&[
            "MODEL.FIELDOP",
            "doc",
            "ARGS",
            "{}",
            "IF",
            "true",
            "WHEN",
            "self.n > 1",
            "LEN",
            "$",
        ]),
        own(&[
            "MODEL.TXN",
            "4",
            "doc",
            "doc2",
            "doc3",
            "token",
            "TOKEN",
            "token",
            "WINDOW",
            "1000",
            "AT",
            "4000000000000",
            "ARGS",
            "{}",
            "ON",
            "doc",
            "IF",
            "docs['doc'].n == 1",
            "INCR",
            "$.n",
            "1",
            "ON",
            "doc2",
            "INIT",
            "any",
            "{}",
            "MKPATH",
            "EX",
            "1000",
            "ON",
            "doc3",
            "PUT",
            "any",
            "[]",
            "DELETE",
            "CREATE",
            "any",
            "{}",
        ]),
        own(&["MODEL.APPLY", "token", "\u{1}\u{4}\0\u{2}\u{5}abc"]),
        own(&["MODEL.APPLY", "doc", "\u{2}\u{5}\0\0\u{1}\u{1}\u{1}n\u{1}o\u{5}\u{5}\0"]),
        own(&["MODEL.LOCK", "doc", "n", "o", "SHARED", "LEASE", "600000", "WAIT", "0", "GET"]),
        own(&["MODEL.LOCK", "doc", "n", "o", "EPHEMERAL", "WAIT", "1"]),
        own(&["MODEL.MLOCK", "2", "doc", "doc2", "n", "o", "LEASE", "600000", "GET"]),
        own(&["MODEL.RENEW", "doc", "n", "o", "5", "LEASE", "600000"]),
        own(&["MODEL.UNLOCK", "doc", "n", "o", "5"]),
        own(&["MODEL.UNLOCK", "doc", "n", "FORCE"]),
        own(&["MODEL.LOCKS", "doc", "n"]),
        own(&["MODEL.FIELDOP", "doc", "HOLDING", "n", "o", "5", "RELEASE", "n", "o", "5"]),
        own(&["MODEL.DEFINE", "m", "{}", "RULE", "r", "true", "TTL", "60", "REFRESH", "READ"]),
        own(&["MODEL.UNDEFINE", "m"]),
        own(&["MODEL.MODELS"]),
        own(&["MODEL.DESCRIBE", "m"]),
        own(&["MODEL.DOCUMENTS", "m", "CURSOR", "0", "COUNT", "10"]),
        own(&[
            "MODEL.ACTION",
            "a",
            "2",
            "x",
            "y",
            "PARAMS",
            "{}",
            "IFVERSION",
            "0",
            "ON",
            "x",
            "IF",
            "true",
            "INCR",
            "$.n",
            "=1",
            "AT",
            "y",
            "SADD",
            "1",
        ]),
        own(&["MODEL.CALL", "a", "3", "doc", "doc2", "t", "TOKEN", "t", "ARGS", "{}"]),
        own(&["MODEL.ACTIONS", "a"]),
        own(&["MODEL.UNACTION", "a"]),
        own(&[
            "MODEL.DEFINE",
            "m",
            "{}",
            "INDEX",
            "by_n",
            "2",
            "$.n",
            "$.list[*]",
            "UNIQUE",
            "ONLY",
            "self.n > 0",
        ]),
        own(&[
            "MODEL.FIND",
            "m",
            "WHERE",
            "self.n > args.n",
            "ORDER",
            "by_n",
            "DESC",
            "ARGS",
            r#"{"n":1}"#,
            "LIMIT",
            "5",
            "GET",
            "$.n",
        ]),
        own(&["MODEL.COUNT", "m", "WHERE", "self.n == 1", "SLOT", "doc", "SCAN"]),
        own(&[
            "MODEL.FINDOP",
            "2",
            "log",
            "d",
            "m",
            "WHERE",
            "self.n > args.n",
            "ORDER",
            "by_n",
            "DESC",
            "ARGS",
            r#"{"n":1}"#,
            "LIMIT",
            "5",
            "DO",
            "MKPATH",
            "EX",
            "60",
            "INCR",
            "$.n",
            "1",
            "AT",
            "log",
            "RPUSH",
            "=self.n",
        ]),
        own(&["MODEL.CHECK", "m", "CURSOR", "0"]),
        own(&["MODEL.INSTALL", "\u{1}\u{1}m\u{1}\u{1}\u{2}{}\0\0\0"]),
    ];
    for OpSpec { examples, .. } in op::of(op::Target::Value) {
        commands.push([own(&["MODEL.FIELDOP", "doc"]), own(&examples[0].words())].concat());
    }
    commands
}

#[test]
fn every_command_is_among_those_spoiled() {
    let commands = sound_commands();
    for CommandSpec { name, .. } in command::all() {
        let is_there = commands.iter().any(|command| command[0] == *name);
        assert!(is_there, "{}: add a sound call of {name} to sound_commands", file!());
    }
}

/// The reply is an error of ours or a sound reply, whatever the bytes; the server goes on.
#[test]
fn hostile_bytes_in_every_argument_do_no_harm() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        let hostile = hostile();
        for command in sound_commands() {
            let mut was = sound_document(conn);
            for position in 1..=command.len() {
                for bytes in &hostile {
                    let mut args: Vec<&[u8]> = command.iter().map(|arg| arg.as_bytes()).collect();
                    // Past the end, it is one argument too many.
                    if position == args.len() {
                        args.push(bytes)
                    } else {
                        args[position] = bytes
                    }
                    let reply = conn.call_bytes(&args);
                    if reply.is_error() {
                        if !is_servers_own(&reply) {
                            check_error_line(&reply);
                        }
                        assert_eq!(conn.must(&["DUMP", "doc"]), was, "{command:?} {position}");
                    } else {
                        was = sound_document(conn);
                    }
                }
            }
            assert_eq!(conn.call(&["PING"]), Reply::Simple("PONG".into()));
        }
        assert!(!server.log().contains("panic"), "{}", server.log());
    });
}

/// Puts the sound document in its place again; gives its bytes.
fn sound_document(conn: &mut Conn) -> Reply {
    conn.must(&["MODEL.SET", "doc", "any", SOUND]);
    conn.must(&["DUMP", "doc"])
}

/// A key may have any name, and its name stands in errors whole and harmless.
#[test]
fn keys_may_be_any_bytes() {
    on_every_shared(|server| {
        let conn = &mut server.conn();
        for bytes in hostile() {
            let key = [b"refusals:".as_slice(), &bytes].concat();
            let set: [&[u8]; 4] = [b"MODEL.SET", &key, b"any", b"{\"n\":1}"];
            assert!(!conn.call_bytes(&set).is_error());
            let incr: [&[u8]; 5] = [b"MODEL.FIELDOP", &key, b"INCR", b"$.n", b"1"];
            assert_eq!(conn.call_bytes(&incr), Reply::Array(vec![Reply::bulk("2")]));
            let refused = conn.call_bytes(&[b"MODEL.FIELDOP", &key, b"INCR", b"$.n.m", b"1"]);
            check_error_line(&refused);
            let mget: [&[u8]; 5] = [b"MODEL.MGET", b"2", &key, &key, b"$.n"];
            assert_eq!(
                conn.call_bytes(&mget),
                Reply::Array(vec![Reply::bulk("2"), Reply::bulk("2")])
            );
        }
    });
}

fn nested(depth: usize) -> String {
    "[".repeat(depth) + &"]".repeat(depth)
}

#[test]
fn depth_is_limited_for_every_kind_of_write() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["CONFIG", "SET", "model.depth", "10"]);
        conn.must(&["MODEL.SET", "doc", "any", &nested(10)]);
        for refused in [
            &["MODEL.SET", "doc", "any", &nested(11)][..],
            &["MODEL.FIELDOP", "doc", "SET", "$[0]", &nested(10)],
            &["MODEL.FIELDOP", "doc", "COPY", "$", "$[0]"],
            &["MODEL.FIELDOP", "doc", "APPEND", "$[0][0]", &nested(9)],
            &[
                "MODEL.FIELDOP",
                "doc",
                "SET",
                "$",
                "{}",
                "MERGE",
                "$.a",
                r#"{"a":[[[[[[[[[1]]]]]]]]]}"#,
            ],
            &["MODEL.FIELDOP", "missing", "INIT", "any", &nested(11), "REVISION"],
            &["MODEL.SET", "doc", "any", &"[".repeat(1 << 20)],
        ] {
            let before = conn.must(&["DUMP", "doc"]);
            let reply = conn.call(refused);
            assert!(
                reply.error_word() == "LIMIT" && reply.error().contains("model.depth"),
                "{refused:?}: {reply:?}"
            );
            check_error_line(&reply);
            assert_eq!(conn.must(&["DUMP", "doc"]), before);
        }
        conn.must(&["MODEL.FIELDOP", "doc", "SET", "$[0]", &nested(9)]);
        // MKPATH is not among the cases above: it has to reach the limit, and stop there.
        conn.must(&["MODEL.SET", "doc", "any", "{}"]);
        let path = |depth| format!("${}", ".a".repeat(depth));
        let too_deep = conn.call(&["MODEL.FIELDOP", "doc", "MKPATH", "SET", &path(11), "1"]);
        assert_eq!(too_deep.error_word(), "LIMIT");
        conn.must(&["MODEL.FIELDOP", "doc", "MKPATH", "SET", &path(10), "1"]);

        conn.must(&["CONFIG", "SET", "model.depth", "512"]);
        conn.must(&["MODEL.SET", "deep", "any", &nested(512)]);
        assert_eq!(conn.call(&["MODEL.GET", "deep"]), Reply::bulk(nested(512)));
        assert_eq!(conn.call(&["MODEL.SET", "deep", "any", &nested(513)]).error_word(), "LIMIT");
        assert!(conn.call(&["CONFIG", "SET", "model.depth", "513"]).is_error());
        assert!(conn.call(&["CONFIG", "SET", "model.depth", "0"]).is_error());
        // A document deeper than a limit set later can still be read and made smaller.
        conn.must(&["CONFIG", "SET", "model.depth", "10"]);
        assert_eq!(conn.call(&["MODEL.GET", "deep"]), Reply::bulk(nested(512)));
        conn.must(&["MODEL.FIELDOP", "deep", "CLEAR", "$"]);
    });
}

#[test]
fn bytes_are_limited_however_they_come_about() {
    on_every_recording(|server| {
        let conn = &mut server.conn();
        let text = |length: usize| format!("\"{}\"", "x".repeat(length));
        conn.must(&["MODEL.SET", "doc", "any", &format!(r#"{{"s":{}}}"#, text(1000))]);
        let size = conn.must(&["MODEL.META", "doc"]).field("bytes").int();
        conn.must(&["CONFIG", "SET", "model.document-bytes", &size.to_string()]);
        conn.must(&["MODEL.SET", "same", "any", &format!(r#"{{"s":{}}}"#, text(1000))]);
        conn.must(&["MODEL.FIELDOP", "same", "SET", "$.s", &text(1000)]);
        for refused in [
            &["MODEL.SET", "doc", "any", &format!(r#"{{"s":{}}}"#, text(1001))][..],
            &["MODEL.FIELDOP", "doc", "SET", "$.s", &text(1001)],
            &["MODEL.FIELDOP", "doc", "SET", "$.t", "1"],
            &["MODEL.FIELDOP", "doc", "COPY", "$.s", "$.t"],
            &["MODEL.FIELDOP", "doc", "STRAPPEND", "$.s", r#""x""#],
            &["MODEL.FIELDOP", "doc", "STRREPEAT", "$.s", "9223372036854775807"],
            &["MODEL.FIELDOP", "missing", "INIT", "any", "{}", "SET", "$.s", &text(1001)],
        ] {
            let before = state(conn, "doc");
            let reply = conn.call(refused);
            assert!(
                reply.error_word() == "LIMIT" && reply.error().contains("model.document-bytes"),
                "{refused:?}: {reply:?}"
            );
            check_error_line(&reply);
            assert_eq!(state(conn, "doc"), before);
        }
        assert_eq!(conn.call(&["EXISTS", "missing"]), Reply::Int(0));
    });
}

#[test]
fn paths_and_statements_are_limited() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.SET", "doc", "any", &format!("[{}1]", "1,".repeat(99))]);
        conn.must(&["CONFIG", "SET", "model.path-bytes", "10"]);
        assert_eq!(conn.call(&["MODEL.GET", "doc", "$.abcdefgh"]), Reply::Null);
        let long = conn.call(&["MODEL.GET", "doc", "$.abcdefghi"]);
        assert!(long.error().starts_with("LIMIT ") && long.error().contains("model.path-bytes"));
        check_error_line(&long);
        let long = conn.call(&["MODEL.FIELDOP", "doc", "DEL", "/abcdefghij"]);
        assert_eq!(long.error_word(), "LIMIT");
        conn.must(&["CONFIG", "SET", "model.path-bytes", "4096"]);

        // How much a query costs is its own affair; that there is a least budget for it is not.
        let works = |conn: &mut Conn, budget: u64| {
            conn.must(&["CONFIG", "SET", "model.query-nodes", &budget.to_string()]);
            let reply = conn.call(&["MODEL.GET", "doc", "$[*]"]);
            if reply.is_error() {
                assert!(
                    reply.error().starts_with("LIMIT ") && reply.error().contains("model.query")
                );
                check_error_line(&reply);
            }
            !reply.is_error()
        };
        let least = (1..1000).find(|budget| works(conn, *budget)).expect("some budget is enough");
        assert!(least > 50, "every node counts: {least}");
        assert!(!works(conn, least - 1));
        conn.must(&["CONFIG", "SET", "model.query-nodes", "1000000"]);

        let statements =
            |count: usize| [vec!["MODEL.FIELDOP", "doc"], vec!["REVISION"; count]].concat();
        assert_eq!(conn.must(&statements(1024)).array().len(), 1024);
        let many = conn.call(&statements(1025));
        assert_eq!(many.error_word(), "LIMIT");
        check_error_line(&many);
    });
}

#[test]
fn every_limit_can_be_set_and_read_back() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        let configured = conn.must(&["CONFIG", "GET", "model.*"]);
        let names: Vec<_> =
            configured.pairs().iter().map(|(name, _)| name.text().to_owned()).collect();
        for name in ["model.depth", "model.document-bytes", "model.path-bytes", "model.query-nodes"]
        {
            assert!(names.iter().any(|found| found == name), "{name} in {names:?}");
        }
        for name in &names {
            conn.must(&["CONFIG", "SET", name, "50"]);
            assert_eq!(conn.must(&["CONFIG", "GET", name]).field(name), &Reply::bulk("50"));
            for wrong in ["0", "-1", "x", "", "9223372036854775807", "%s"] {
                let refused = conn.call(&["CONFIG", "SET", name, wrong]);
                assert!(refused.is_error(), "{name} {wrong:?}");
                assert_eq!(conn.must(&["CONFIG", "GET", name]).field(name), &Reply::bulk("50"));
            }
        }
    });
}

#[test]
fn a_counted_command_has_as_many_keys_as_it_says() {
    let words = |spec: &&command::CommandSpec| match spec.keys {
        KeyPositions::Counted(at) => {
            let mut words = vec![spec.name];
            words.resize(at, "x");
            Some(words)
        }
        _ => None,
    };
    let counted: Vec<_> = command::all().iter().filter_map(words).collect();
    on_every_shared(|server| {
        let conn = &mut server.conn();
        for words in &counted {
            for count in ["0", "-1", "3", "01", "1.0", " 1", "+1", "", "4294967297", "x"] {
                let args = [&words[..], &[count, "refusals:a", "refusals:b"]].concat();
                let refused = conn.call(&args);
                assert_eq!(refused.error_word(), "ERR", "{args:?} {refused:?}");
            }
        }
    });
}
