//! Every way in which a native can be refused, for every native: nothing of the transaction happened, and nothing was
//! propagated, notified, signalled or published.

use std::panic::Location;

use redis_model::native;
use redis_model::op::words;

use crate::harness::{Server, on_every_flavor, on_every_server_with};
use crate::recording::{State, check_error_line, on_every_recording, state};
use crate::resp::{Conn, Reply};

/// A line as words.
pub fn split(line: &str) -> Vec<&'static str> {
    words(Box::leak(line.to_owned().into_boxed_str()), Location::caller())
}

/// The keys of all transactions here: a document, the structure that a refused native is about, another one, which
/// is missing, and a token.
const KEYS: [&str; 4] = ["doc", "k", "other", "t"];

/// Clients that would notice if anything of a refused transaction happened.
pub struct Witnesses {
    /// Subscribed to all channels and all events of the keyspace.
    listener: Conn,
    /// Watches all keys.
    watcher: Conn,
    /// Is told which keys are no longer valid.
    tracker: Conn,
    /// Waits for an element of a list and of a sorted set.
    readers: [Conn; 2],
}

impl Witnesses {
    pub fn of(server: &Server) -> Witnesses {
        server.must(&["CONFIG", "SET", "notify-keyspace-events", "KEA"]);
        let mut listener = server.conn();
        listener.must(&["PSUBSCRIBE", "*"]);
        for key in KEYS {
            listener.must(&["SSUBSCRIBE", key]);
        }
        let mut tracker = server.conn_resp3();
        tracker.must(&["CLIENT", "TRACKING", "ON", "BCAST"]);
        let mut readers = [server.conn(), server.conn()];
        readers[0].send(&["BLPOP", "other", "0"]);
        readers[1].send(&["BZPOPMIN", "other", "0"]);
        server.wait_until("readers are blocked", || server.info("blocked_clients") == "2");
        Witnesses { listener, watcher: server.conn(), tracker, readers }
    }

    /// Forgets everything that happened so far.
    pub fn reset(&mut self, admin: &mut Conn) {
        self.heard(admin);
        self.watcher.must(&["UNWATCH"]);
        self.watcher.must(&[&["WATCH"][..], &KEYS].concat());
        self.tracker.send(&["PING"]);
        while matches!(self.tracker.recv(), Reply::Push(_)) {}
    }

    /// The messages and events since the last call.
    fn heard(&mut self, admin: &mut Conn) -> Vec<String> {
        admin.must(&["PUBLISH", "the end of messages", ""]);
        let mut heard = Vec::new();
        loop {
            let message = format!("{:?}", self.listener.recv());
            if message.contains("the end of messages") {
                return heard;
            }
            heard.push(message);
        }
    }

    /// Asserts that none of them noticed anything.
    #[track_caller]
    pub fn noticed_nothing(&mut self, admin: &mut Conn, case: &str) {
        assert_eq!(self.heard(admin), [""; 0], "{case}");
        self.watcher.must(&["MULTI"]);
        self.watcher.must(&["PING"]);
        assert_ne!(self.watcher.must(&["EXEC"]), Reply::Null, "a watched key was touched: {case}");
        let told = self.tracker.call(&["PING"]);
        assert_eq!(told, Reply::Simple("PONG".into()), "a key was invalidated: {case}");
        let info = admin.must(&["INFO", "clients"]);
        let blocked = format!("blocked_clients:{}\r\n", self.readers.len());
        assert!(info.text().contains(&blocked), "a blocked reader was woken: {case}");
    }
}

/// Everything a transaction could have changed, also in the AOF and for replicas.
pub fn world(conn: &mut Conn) -> (State, Vec<Reply>) {
    let mut all = vec![conn.must(&["DEBUG", "DIGEST"]), conn.must(&["DBSIZE"])];
    for key in KEYS {
        all.push(conn.must(&["DUMP", key]));
        all.push(conn.must(&["PEXPIRETIME", key]));
    }
    (state(conn, "doc"), all)
}

/// A native that the server accepts on a missing key, if it may be run at all.
pub const SOUND: [&str; 17] = [
    r#"HDEL '"f"'"#,
    r#"HINCRBY '"n"' 3"#,
    r#"HSET '"f"' 1"#,
    "INCRBY 4",
    "LPUSH 1",
    "PEXPIRE 100000",
    "PUBLISH 1",
    "RPUSH 1",
    "SADD 1",
    "SET 1",
    "SPUBLISH 1",
    "SREM 1",
    "UNLINK",
    r#"XADD 5 '{"a":"b"}'"#,
    "ZADD 5.5 1",
    "ZINCRBY -2 1",
    "ZREM 1",
];

fn name_of(native: &str) -> &str {
    native.split(' ').next().expect("a native has a name")
}

/// A structure of each kind, by natives that make it.
const STRUCTURES: [&str; 6] = [
    r#"HSET '"f"' '"x"' HSET '"top"' 9223372036854775807"#,
    r#"SET '"x"'"#,
    "RPUSH 1",
    "SADD 1",
    r#"XADD 5 '{"a":1}'"#,
    "ZADD 1e308 1",
];

/// Operands that make a native fail, with the word and the structure it needs.
const OPERANDS: [(&str, &str, &str); 33] = [
    ("TYPE", "", "ZADD '=string(1)' 1"),
    ("TYPE", "", "ZINCRBY '=[1]' 1"),
    ("TYPE", "", "INCRBY '=1.5'"),
    ("TYPE", "", r#"HINCRBY 1 '="1"'"#),
    ("TYPE", "", "PEXPIRE '=true'"),
    ("TYPE", "", r#"XADD '="5"' '{"a":1}'"#),
    ("TYPE", "", "XADD 5 '=[1]'"),
    ("TYPE", "", "XADD 5 '={}'"),
    ("RANGE", "", r#"XADD '=0' '{"a":1}'"#),
    ("RANGE", "", "PEXPIRE '=0'"),
    ("RANGE", "", "PEXPIRE '=9223372036854775807'"),
    ("RANGE", "", "ZADD '=9007199254740993' 1"),
    ("RANGE", "", "ZINCRBY '=9007199254740993' 1"),
    ("EXPR", "", "ZADD '=0.0 / 0.0' 1"),
    ("EXPR", "", "ZINCRBY '=1.0 / 0.0' 1"),
    ("EXPR", "", "ZREM '=args.none'"),
    ("EXPR", "", "SADD '=args.none'"),
    ("EXPR", "", "SREM '=args.none'"),
    ("EXPR", "", "HSET '=args.none' 1"),
    ("EXPR", "", "HSET 1 '=args.none'"),
    ("EXPR", "", "HDEL '=args.none'"),
    ("EXPR", "", "LPUSH '=args.none'"),
    ("EXPR", "", "RPUSH '=args.none'"),
    ("EXPR", "", "SET '=args.none'"),
    ("EXPR", "", "PUBLISH '=args.none'"),
    ("EXPR", "", "SPUBLISH '=args.none'"),
    ("EXPR", "", "WHEN args.none UNLINK"),
    ("TYPE", STRUCTURES[1], "INCRBY 1"),
    ("TYPE", STRUCTURES[0], r#"HINCRBY '"f"' 1"#),
    ("OVERFLOW", STRUCTURES[0], r#"HINCRBY '"top"' 1"#),
    ("OVERFLOW", "SET 9223372036854775807", "INCRBY 1"),
    ("OVERFLOW", "SET -9223372036854775808", "INCRBY -1"),
    ("RANGE", STRUCTURES[5], "ZINCRBY 1e308 1"),
];

/// A server on which natives are refused, and a user whose permissions may be taken away.
struct Refusals<'s> {
    server: &'s Server,
    admin: Conn,
    user: Conn,
    witnesses: Witnesses,
}

impl<'s> Refusals<'s> {
    fn on(server: &'s Server) -> Refusals<'s> {
        let mut admin = server.conn();
        admin.must(&["MODEL.SET", "doc", "any", r#"{"n":1}"#]);
        admin.must(&["ACL", "SETUSER", "u", "on", "nopass", "~*", "&*", "+@all"]);
        let mut user = server.conn();
        user.must(&["AUTH", "u", "any"]);
        Refusals { server, admin, user, witnesses: Witnesses::of(server) }
    }

    /// `k` is made by these natives, if any.
    fn prepare(&mut self, before: &str) {
        self.admin.must(&["DEL", "k"]);
        if !before.is_empty() {
            let head = ["MODEL.TXN", "1", "k", "AT", "k"];
            self.admin.must(&[&head[..], &split(before)].concat());
        }
    }

    /// A document and another structure are changed, then `k`; there the transaction is refused.
    fn check(&mut self, word: &str, native: &str) {
        let head = ["MODEL.TXN", "4", "doc", "k", "other", "t", "TOKEN", "t", "ARGS", "{}"];
        let changes = split("ON doc INCR $.n 1 AT other RPUSH 1 PUBLISH 1 SPUBLISH 1 AT k");
        let rest = split("AT other RPUSH 2 ON doc INCR $.n 1");
        let command = [&head[..], &changes, &split(native), &rest].concat();
        let case = format!("{native}: {word}");
        self.witnesses.reset(&mut self.admin);
        let before = world(&mut self.admin);
        let ran = self.server.info("model_natives");
        let reply = self.user.call(&command);
        assert_eq!(reply.error_word(), word, "{case}: {reply:?}");
        let object = check_error_line(&reply);
        assert_eq!(object["key"], "k", "{case}: {reply:?}");
        // A document or a token at the key is found before any block is looked at.
        if let Some(shown) = object["operator"].as_str() {
            assert!(split(native).contains(&shown), "{case}: {reply:?}");
            assert_eq!(object["block"], 2, "{case}: {reply:?}");
        } else {
            assert!(reply.error().contains("document or a token"), "{case}: {reply:?}");
        }
        assert_eq!(world(&mut self.admin), before, "{case}");
        assert_eq!(self.server.info("model_natives"), ran, "{case}");
        self.witnesses.noticed_nothing(&mut self.admin, &case);
    }
}

#[test]
fn every_native_is_declared_here() {
    let names: Vec<_> = native::all().iter().map(|spec| spec.name).collect();
    assert_eq!(SOUND.map(name_of).to_vec(), names);
    for spec in native::all() {
        let shown = OPERANDS.iter().any(|(_, _, native)| split(native).contains(&spec.name));
        assert!(shown, "{spec:?} is refused for an operand");
    }
}

#[test]
fn a_value_of_another_kind_refuses_every_native() {
    on_every_recording(|server| {
        let mut refusals = Refusals::on(server);
        for structure in STRUCTURES {
            refusals.prepare(structure);
            for native in SOUND {
                let spec = native::find(name_of(native).as_bytes()).expect("it is a native");
                let any = spec.channel || ["PEXPIRE", "SET", "UNLINK"].contains(&spec.name);
                let made_of = native::find(name_of(structure).as_bytes()).expect("it is a native");
                if !any && spec.works_on != made_of.works_on && structure != STRUCTURES[1] {
                    refusals.check("WRONGTYPE", native);
                }
                if structure == STRUCTURES[1] && !any && spec.name != "INCRBY" {
                    refusals.check("WRONGTYPE", native);
                }
            }
        }
        // Documents and tokens are refused to all of them.
        for command in ["MODEL.SET k any {}", "MODEL.TXN 2 doc k TOKEN k ON doc GET $"] {
            refusals.prepare("");
            refusals.admin.must(&split(command));
            for native in SOUND {
                let spec = native::find(name_of(native).as_bytes()).expect("it is a native");
                if !spec.channel {
                    refusals.check("WRONGTYPE", native);
                }
            }
        }
    });
}

#[test]
fn operands_that_do_not_fit_refuse_every_native() {
    on_every_recording(|server| {
        let mut refusals = Refusals::on(server);
        for (word, before, native) in OPERANDS {
            refusals.prepare(before);
            refusals.check(word, native);
        }
        // A stream that has one id left takes one entry.
        let last = "18446744073709551615-18446744073709551614";
        refusals.prepare("");
        refusals.admin.must(&["XADD", "k", last, "a", "b"]);
        refusals.check("LIMIT", r#"XADD 5 '{"a":1}' XADD 5 '{"a":2}'"#);
        let one = split(r#"MODEL.TXN 1 k AT k XADD 5 '{"a":1}'"#);
        let id = refusals.admin.must(&one);
        assert_eq!(format!("{id:?}"), r#"[["18446744073709551615-18446744073709551615"]]"#);
        refusals.check("LIMIT", r#"XADD 5 '{"a":2}'"#);
        // So is one whose last entry was deleted, or all of them.
        refusals.prepare("");
        for id in ["1-1", last, "18446744073709551615-18446744073709551615"] {
            refusals.admin.must(&["XADD", "k", id, "a", "b"]);
        }
        for id in ["18446744073709551615-18446744073709551615", last, "1-1"] {
            refusals.admin.must(&["XDEL", "k", id]);
            refusals.check("LIMIT", r#"XADD 5 '{"a":2}'"#);
        }
    });
}

#[test]
fn missing_permissions_refuse_every_native() {
    on_every_recording(|server| {
        let mut refusals = Refusals::on(server);
        let rules = |admin: &mut Conn, rules: &[&str]| {
            admin.must(&[&["ACL", "SETUSER", "u", "reset", "on", "nopass"], rules].concat());
        };
        for native in SOUND {
            let forbidden = format!("-{}", name_of(native).to_lowercase());
            rules(&mut refusals.admin, &["~*", "&*", "+@all", &forbidden]);
            // The natives around it are those that are left.
            if ["RPUSH", "PUBLISH", "SPUBLISH"].contains(&name_of(native)) {
                let head = ["MODEL.TXN", "3", "doc", "k", "other"];
                let command = split(&format!("ON doc INCR $.n 1 AT other SADD 1 AT k {native}"));
                let before = world(&mut refusals.admin);
                let reply = refusals.user.call(&[&head[..], &command].concat());
                assert_eq!(reply.error_word(), "NOPERM", "{native}: {reply:?}");
                assert_eq!(world(&mut refusals.admin), before, "{native}");
            } else {
                refusals.check("NOPERM", native);
            }
        }
        rules(&mut refusals.admin, &["~*", "&doc", "&other", "&t", "+@all"]);
        for native in ["PUBLISH 1", "SPUBLISH 1"] {
            refusals.check("NOPERM", native);
        }
    });
}

/// A configuration under which each native but those of the test itself has another name, or none.
#[test]
fn commands_that_were_renamed_are_refused() {
    let lines: Vec<_> = SOUND
        .iter()
        .enumerate()
        .map(|(nth, native)| {
            let new = if nth % 2 == 0 { String::new() } else { format!("hidden-{nth}") };
            format!("rename-command {} \"{new}\"", name_of(native))
        })
        .chain(["rename-command GETSET LPUSH".into()])
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    on_every_server_with(&lines, |server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.SET", "doc", "any", r#"{"n":1}"#]);
        for native in SOUND {
            let head = ["MODEL.TXN", "2", "doc", "k", "ON", "doc", "INCR", "$.n", "1", "AT", "k"];
            let before = server.debug_digest();
            let reply = conn.call(&[&head[..], &split(native)].concat());
            assert_eq!(reply.error_word(), "ERR", "{native}: {reply:?}");
            assert_eq!(check_error_line(&reply)["operator"], name_of(native));
            assert_eq!(server.debug_digest(), before, "{native}");
        }
    });
}

#[test]
fn a_server_that_takes_no_writes_runs_no_native() {
    on_every_recording(|server| {
        let mut admin = server.conn();
        admin.must(&["MODEL.SET", "doc", "any", r#"{"n":1}"#]);
        let mut witnesses = Witnesses::of(server);
        for (word, cause, end) in [
            ("OOM", ["maxmemory", "1"], ["maxmemory", "0"]),
            ("NOREPLICAS", ["min-replicas-to-write", "1"], ["min-replicas-to-write", "0"]),
        ] {
            admin.must(&[&["CONFIG", "SET"][..], &cause].concat());
            witnesses.reset(&mut admin);
            let before = world(&mut admin);
            for native in SOUND {
                let head =
                    ["MODEL.TXN", "2", "doc", "k", "ON", "doc", "INCR", "$.n", "1", "AT", "k"];
                let reply = admin.call(&[&head[..], &split(native)].concat());
                assert_eq!(reply.error_word(), word, "{native}: {reply:?}");
                assert_eq!(world(&mut admin), before, "{native}");
            }
            admin.must(&[&["CONFIG", "SET"][..], &end].concat());
            witnesses.noticed_nothing(&mut admin, word);
        }
    });
}

/// The command by which natives are looked up.
#[test]
fn a_server_without_command_refuses_natives_and_says_so() {
    on_every_server_with(&["rename-command COMMAND \"\""], |server| {
        server.must(&["MODEL.SET", "doc", "any", r#"{"n":1}"#]);
        let before = server.debug_digest();
        for native in SOUND {
            let reply = server.call(&with_document(native));
            assert_eq!(reply.error_word(), "ERR", "{native}: {reply:?}");
            assert!(reply.error().contains("or COMMAND"), "{native}: {reply:?}");
        }
        assert_eq!(server.debug_digest(), before);
    });
}

/// Each native behind a change of the document is refused with this word.
fn refuse_all(server: &Server, word: &str) {
    for native in SOUND {
        let reply = server.call(&with_document(native));
        assert_eq!(reply.error_word(), word, "{native}: {reply:?}");
    }
}

fn with_document(native: &str) -> Vec<&'static str> {
    split(&format!("MODEL.TXN 2 doc k ON doc INCR $.n 1 AT k {native}"))
}

#[test]
fn replicas_and_servers_that_are_busy_or_paused_run_no_native() {
    on_every_flavor(|flavor| {
        let (master, server) = (Server::start(flavor, &[]), Server::start(flavor, &[]));
        master.must(&["MODEL.SET", "doc", "any", r#"{"n":0}"#]);
        server.replica_of(&master);
        server.wait_for_sync(&master);
        let before = server.debug_digest();
        refuse_all(&server, "READONLY");
        // A replica without its master, which is writable so that another word would come.
        server.must(&["CONFIG", "SET", "replica-read-only", "no"]);
        server.must(&["CONFIG", "SET", "replica-serve-stale-data", "no"]);
        master.kill9();
        server.wait_until("the master is gone", || server.info("master_link_status") == "down");
        refuse_all(&server, "MASTERDOWN");
        server.must(&["REPLICAOF", "NO", "ONE"]);
        assert_eq!(server.debug_digest(), before);

        server.must(&["CONFIG", "SET", "busy-reply-threshold", "1"]);
        let mut script = server.conn();
        script.send(&["EVAL", "while true do end", "0"]);
        server.wait_until("the script is slow", || server.call(&["PING"]).is_error());
        refuse_all(&server, "BUSY");
        server.must(&["SCRIPT", "KILL"]);
        assert!(script.recv().is_error());
        assert_eq!(server.debug_digest(), before);

        // While writes are paused, transactions wait.
        server.must(&["CLIENT", "PAUSE", "100000", "WRITE"]);
        let mut clients = SOUND.map(|native| {
            let mut client = server.conn();
            client.send(&with_document(native));
            client
        });
        let waiting = SOUND.len().to_string();
        server.wait_until("all clients wait", || server.info("blocked_clients") == waiting);
        assert_eq!(server.debug_digest(), before);
        server.must(&["CLIENT", "UNPAUSE"]);
        let replies: Vec<_> = clients.iter_mut().map(Conn::recv).collect();
        let done = replies.iter().filter(|reply| !reply.is_error()).count();
        assert!(done > 0, "{replies:?}");
        let number = server.must(&["MODEL.GET", "doc", "$.n"]);
        assert_eq!(number.text(), done.to_string(), "each of them whole, or not at all");
    });
}

#[test]
fn malformed_and_huge_natives_are_refused_before_anything_is_looked_up() {
    on_every_recording(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.SET", "doc", "any", r#"{"n":1}"#]);
        conn.must(&["SET", "k", "text"]);
        let mut witnesses = Witnesses::of(server);
        witnesses.reset(conn);
        let before = world(conn);
        let hits = server.info("keyspace_hits");
        for (natives, says) in [
            ("AT k", "AT needs a native command"),
            ("AT k LPOP", "AT takes HDEL, HINCRBY, HSET, INCRBY, LPUSH, PEXPIRE, PUBLISH"),
            ("AT k EVAL 1 2", "whose refusals are known before anything is changed"),
            ("AT k MODEL.GET", "AT takes"),
            ("AT k INCR $.n 1", "AT takes"),
            ("AT k ZADD NaN 1", ""),
            ("AT k ZADD inf 1", ""),
            ("AT k ZADD 1", "needs the operand member"),
            ("AT k SADD m", ""),
            ("AT k WHEN true", "WHEN needs a native command"),
            ("AT doc UNLINK", "behind ON and behind AT"),
            ("AT doc PUBLISH 1", "behind ON and behind AT"),
            ("AT none SADD 1", "not among those listed"),
            ("AT t SADD 1", "the token's"),
        ] {
            let head = split("MODEL.TXN 3 doc k t TOKEN t ON doc INCR $.n 1");
            let reply = conn.call(&[head, split(natives)].concat());
            assert_eq!(reply.error_word(), "ERR", "{natives}: {reply:?}");
            assert!(reply.error().contains(says), "{natives}: {reply:?}");
            check_error_line(&reply);
        }
        // As many natives as statements, and not one more.
        let many =
            |count: usize| split(&format!("MODEL.TXN 1 many AT many {}", "SADD 1 ".repeat(count)));
        let reply = conn.call(&many(1025));
        assert_eq!(reply.error_word(), "LIMIT", "{reply:?}");
        // Operands are bounded as documents are, each and all together.
        let long = format!("\"{}\"", "x".repeat((64 << 20) + 1));
        let short = format!("\"{}\"", "x".repeat(60 << 20));
        let with = |operands: &[&str]| {
            let mut command =
                vec!["MODEL.TXN", "2", "doc", "many", "ON", "doc", "INCR", "$.n", "1"];
            command.extend(["AT", "many"]);
            operands.iter().for_each(|operand| command.extend(["RPUSH", operand]));
            command.into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        for command in [with(&[&long]), with(&[short.as_str(); 5])] {
            let command: Vec<&str> = command.iter().map(String::as_str).collect();
            let reply = conn.call(&command);
            assert_eq!(reply.error_word(), "LIMIT", "{:.200}", format!("{reply:?}"));
        }
        assert_eq!(server.info("keyspace_hits"), hits);
        assert_eq!(world(conn), before);
        witnesses.noticed_nothing(conn, "malformed");
        assert_eq!(conn.must(&many(1024)).array()[0].array().len(), 1024);
    });
}
