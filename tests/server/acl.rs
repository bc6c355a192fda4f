//! Access control: key patterns guard our keys, and categories where the server has them.

use redis_model::command::{self, Flag, KeyPositions};

use crate::harness::{Flavor, Server, on_every_server};
use crate::resp::Conn;

/// A connection of a new user with these rules.
pub fn user(server: &Server, rules: &[&str]) -> Conn {
    server.must(&[&["ACL", "SETUSER", "someone", "reset", "on", "nopass"], rules].concat());
    let mut conn = server.conn();
    conn.must(&["AUTH", "someone", ""]);
    conn
}

/// Each command of this list is refused by the access rules, and the others are not.
#[track_caller]
pub fn check(conn: &mut Conn, allowed: &[&[&str]], forbidden: &[&[&str]]) {
    for command in allowed {
        let reply = conn.call(command);
        assert!(!reply.is_error() || reply.error_word() != "NOPERM", "{command:?}: {reply:?}");
    }
    for command in forbidden {
        assert_eq!(conn.call(command).error_word(), "NOPERM", "{command:?}");
    }
}

const SET: &[&str] = &["MODEL.SET", "in:1", "any", "{}"];
const FIELDOP: &[&str] = &["MODEL.FIELDOP", "in:1", "SET", "$.a", "1"];
const GET: &[&str] = &["MODEL.GET", "in:1", "$.a"];
const META: &[&str] = &["MODEL.META", "in:1"];
const EVAL: &[&str] = &["MODEL.EVAL", "in:1", "self"];
const MGET: &[&str] = &["MODEL.MGET", "2", "in:1", "in:2", "$.a"];

#[test]
fn key_patterns_guard_every_key() {
    on_every_server(|server| {
        server.must(&["MODEL.SET", "out:1", "any", "{}"]);
        let mut conn = user(server, &["+@all", "~in:*"]);
        check(
            &mut conn,
            &[SET, FIELDOP, GET, META, EVAL, MGET, &["MODEL.HELP"]],
            &[
                &["MODEL.SET", "out:1", "any", "{}"],
                &["MODEL.FIELDOP", "out:1", "SET", "$.a", "1"],
                &["MODEL.GET", "out:1"],
                &["MODEL.META", "out:1"],
                &["MODEL.EVAL", "out:1", "self"],
                &["MODEL.MGET", "1", "out:1"],
                &["MODEL.MGET", "2", "in:1", "out:1"],
                &["MODEL.MGET", "2", "out:1", "in:1", "$.a"],
                &["MODEL.APPLY", "out:1", "x"],
                &["MODEL.APPLYALL", "2", "in:1", "out:1", "x"],
            ],
        );
        // An argument behind the keys is no key.
        check(&mut conn, &[&["MODEL.MGET", "1", "in:1", "/out:1"]], &[]);
        assert_eq!(server.must(&["MODEL.GET", "out:1"]).text(), "{}");
    });
}

#[test]
fn a_bad_count_shows_no_key() {
    on_every_server(|server| {
        server.must(&["MODEL.SET", "out:1", "any", r#""secret""#]);
        let mut conn = user(server, &["+@all", "~in:*"]);
        for count in ["0", "-1", "2", "1000000000000", "x", "", "01", "+1", " 1", "1.0", "0x1"] {
            let reply = conn.call(&["MODEL.MGET", count, "out:1"]);
            assert!(["ERR", "NOPERM"].contains(&reply.error_word()), "{count:?}: {reply:?}");
        }
    });
}

#[test]
fn permissions_to_read_and_to_write_are_distinguished() {
    on_every_server(|server| {
        server.must(SET);
        let mut reader = user(server, &["+@all", "%R~in:*"]);
        check(&mut reader, &[GET, META, EVAL, MGET], &[SET, FIELDOP]);
        // To change places of a document is to read it too: conditions and replies tell what is in it.
        let mut writer = user(server, &["+@all", "%W~in:*"]);
        check(&mut writer, &[], &[GET, META, EVAL, MGET, FIELDOP]);
        let mut both = user(server, &["+@all", "%RW~in:*"]);
        check(&mut both, &[SET, FIELDOP, GET, META, MGET], &[]);
        let mut split = user(server, &["+@all", "%R~in:2", "~in:1"]);
        check(&mut split, &[SET, MGET], &[&["MODEL.SET", "in:2", "any", "{}"]]);
    });
}

#[test]
fn single_commands_are_allowed_and_forbidden() {
    on_every_server(|server| {
        let mut conn = user(server, &["+model.get", "+model.set", "allkeys"]);
        check(&mut conn, &[SET, GET], &[FIELDOP, META, MGET, &["MODEL.HELP"]]);
        let mut conn = user(server, &["+@all", "-model.set", "allkeys"]);
        check(&mut conn, &[GET, FIELDOP], &[SET]);
        let dry = server.must(&["ACL", "DRYRUN", "someone", "MODEL.SET", "in:1", "any", "{}"]);
        assert!(dry.text().contains("no permissions"), "{dry:?}");
        // Selectors are whole: a key of one does not go with a command of the other.
        let mut conn = user(server, &["+model.get", "~in:*", "(+model.fieldop ~out:*)"]);
        check(&mut conn, &[GET, &["MODEL.FIELDOP", "out:1", "EXISTS"]], &[FIELDOP, SET]);
    });
}

#[test]
fn scripts_are_held_to_the_same_rules() {
    on_every_server(|server| {
        let mut conn = user(server, &["+@all", "~in:*"]);
        let script = "return redis.call('MODEL.SET', 'out:1', 'any', '{}')";
        let refused = conn.call(&["EVAL", script, "0"]);
        assert!(refused.is_error(), "{refused:?}");
        assert!(server.must(&["EXISTS", "out:1"]).int() == 0);
    });
}

fn members(server: &Server, category: &str) -> Vec<String> {
    let reply = server.call(&["ACL", "CAT", category]);
    if reply.is_error() {
        return Vec::new();
    }
    let names = reply.array().iter().map(|name| name.text().to_uppercase());
    let mut ours: Vec<_> = names.filter(|name| name.starts_with("MODEL.")).collect();
    ours.sort();
    ours
}

fn with_flag(is_in: impl Fn(&[Flag]) -> bool) -> Vec<String> {
    let specs = command::all().iter().filter(|spec| is_in(spec.flags));
    specs.map(|spec| spec.name.to_owned()).collect()
}

#[test]
fn categories_hold_our_commands_where_the_server_can() {
    on_every_server(|server| {
        let all = with_flag(|_| true);
        if server.flavor == Flavor::Redis70 {
            // It cannot: our commands belong to none, and +@all alone covers them.
            assert!(members(server, "model").is_empty() && members(server, "read").is_empty());
            return;
        }
        assert_eq!(members(server, "model"), all);
        assert_eq!(members(server, "write"), with_flag(|flags| flags.contains(&Flag::Write)));
        assert_eq!(members(server, "read"), with_flag(|flags| flags.contains(&Flag::ReadOnly)));
        assert_eq!(members(server, "fast"), with_flag(|flags| flags.contains(&Flag::Fast)));
        assert_eq!(members(server, "slow"), with_flag(|flags| !flags.contains(&Flag::Fast)));
        let dangerous = with_flag(|flags| flags.contains(&Flag::Dangerous));
        assert_eq!(members(server, "dangerous"), dangerous);
        assert_eq!(members(server, "admin"), dangerous);

        let mut conn = user(server, &["+@model", "-@dangerous", "allkeys"]);
        check(
            &mut conn,
            &[SET, FIELDOP, GET, META, MGET, &["MODEL.HELP"]],
            &[&["MODEL.APPLY", "in:1", "x"], &["SET", "in:1", "x"]],
        );
        let mut conn = user(server, &["+@read", "allkeys"]);
        check(&mut conn, &[GET, META, MGET], &[SET, FIELDOP, &["MODEL.APPLY", "in:1", "x"]]);
    });
}

/// A command that names keys names them to the rules.
#[test]
fn every_command_with_keys_is_guarded() {
    on_every_server(|server| {
        let mut conn = user(server, &["+@all", "~in:*"]);
        for spec in command::all() {
            let count = spec.arity.unsigned_abs() as usize;
            let mut args = vec![spec.name];
            match spec.keys {
                KeyPositions::None => continue,
                KeyPositions::First => args.push("out:1"),
                KeyPositions::Counted(at) => {
                    args.resize(at, "x");
                    args.extend(["1", "out:1"]);
                }
                KeyPositions::Behind(word) => {
                    args.resize(count, "x");
                    args.extend([word, "out:1"]);
                }
            }
            args.resize(count.max(args.len()), "x");
            assert_eq!(conn.call(&args).error_word(), "NOPERM", "{args:?}");
        }
    });
}

const DEFINE: &[&str] = &["MODEL.DEFINE", "item", "{}", "RULE", "r", "true"];
const UNDEFINE: &[&str] = &["MODEL.UNDEFINE", "item"];
const INSTALL: &[&str] = &["MODEL.INSTALL", "x"];
const MODELS: &[&str] = &["MODEL.MODELS"];
const DESCRIBE: &[&str] = &["MODEL.DESCRIBE", "item"];
const DOCUMENTS: &[&str] = &["MODEL.DOCUMENTS", "item"];

/// Definitions are no keys: commands alone are what rules can speak of.
#[test]
fn definitions_are_guarded_by_their_commands() {
    on_every_server(|server| {
        let mut conn = user(server, &["+@all", "-model.install", "resetkeys"]);
        check(&mut conn, &[DEFINE, MODELS, DESCRIBE, DOCUMENTS, UNDEFINE], &[INSTALL, GET, SET]);
        let mut conn = user(server, &["+@all", "-model.define", "-model.undefine", "allkeys"]);
        check(&mut conn, &[MODELS, DESCRIBE, INSTALL, SET], &[DEFINE, UNDEFINE]);
        let mut conn = user(server, &["+model.models", "+model.describe"]);
        check(&mut conn, &[MODELS, DESCRIBE], &[DEFINE, UNDEFINE, INSTALL, GET, DOCUMENTS]);
        let script = "return redis.pcall('MODEL.DEFINE', 'scripted', '{}')";
        let mut conn = user(server, &["+@all", "-model.define", "allkeys"]);
        assert!(conn.call(&["EVAL", script, "0"]).is_error());
        assert_eq!(server.call(&["MODEL.DESCRIBE", "scripted"]).error_word(), "NOMODEL");
        if server.flavor == Flavor::Redis70 {
            return;
        }
        for (category, commands) in [
            ("write", &["MODEL.DEFINE", "MODEL.UNDEFINE", "MODEL.INSTALL"][..]),
            ("read", &["MODEL.MODELS", "MODEL.DESCRIBE", "MODEL.DOCUMENTS"]),
            ("dangerous", &["MODEL.INSTALL"]),
            ("admin", &["MODEL.INSTALL"]),
        ] {
            let members = members(server, category);
            for command in commands {
                assert!(members.iter().any(|name| name == command), "{command} in {category}");
            }
        }
        let mut conn = user(server, &["+@model", "-@dangerous"]);
        check(&mut conn, &[DEFINE, MODELS, DESCRIBE, UNDEFINE], &[INSTALL]);
        let mut conn = user(server, &["+@read"]);
        check(&mut conn, &[MODELS, DESCRIBE], &[DEFINE, UNDEFINE, INSTALL]);
        let mut conn = user(server, &["+@write"]);
        check(&mut conn, &[DEFINE, UNDEFINE, INSTALL], &[MODELS, DESCRIBE]);
    });
}

/// A condition tells what is in a document, and to read it may renew its time to live: the one takes more
/// than the permission to read, the other does not.
#[test]
fn reading_documents_of_a_model_requires_the_permission_to_read() {
    on_every_server(|server| {
        server.must(&["MODEL.DEFINE", "seen", "{}", "TTL", "1000", "REFRESH", "READ"]);
        server.must(&["MODEL.SET", "in:1", "seen", r#"{"n":1}"#]);
        server.must(&["PEXPIRE", "in:1", "5000"]);
        let mut reader = user(server, &["+@all", "%R~in:*"]);
        check(
            &mut reader,
            &[GET, META, MGET],
            &[
                &["MODEL.FIELDOP", "in:1", "IF", "self.n == 1", "GET", "$"],
                &["MODEL.FIELDOP", "in:1", "WHEN", "false", "DEL", "$.n"],
                &["MODEL.FIELDOP", "in:1", "EVAL", "$.n", "2"],
                &["MODEL.FIELDOP", "in:2", "INIT", "seen", "{}", "REVISION"],
                &["MODEL.SET", "in:1", "seen", "{}"],
            ],
        );
        assert!(server.must(&["PTTL", "in:1"]).int() > 900_000, "the reader renewed it");
        assert_eq!(server.must(&["MODEL.GET", "in:1"]).text(), r#"{"n":1}"#);
    });
}
