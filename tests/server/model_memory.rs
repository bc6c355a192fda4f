//! Models in the server's memory: nothing leaks, documents are counted rightly wherever they go, and what
//! needs memory is refused where there is none.

use crate::harness::{Server, on_every_flavor, on_every_server, on_every_server_with};
use crate::memory::{assert_settles, used};
use crate::recording::{on_every_recording, state};
use crate::resp::{Conn, Reply};
use crate::workload::definitions;

const CYCLES: usize = 4_000;

/// All that a definition and a document of it go through, different in each cycle.
fn cycle(nth: usize) -> Vec<Vec<String>> {
    // Patterns take longer to compile than all the rest.
    let seldom =
        if nth.is_multiple_of(20) { format!(r#""pattern":"^{nth}$""#) } else { String::new() };
    let schema = format!(
        r#"{{"properties":{{"n":{{"type":"integer","maximum":{nth}}},"p{nth}":{{"default":[{nth}]}}}},
            "required":["n"],"anyOf":[{{"minProperties":2}},{{{seldom}}}]}}"#
    );
    let (rule, not_yet) = (format!("self.n != -{nth} - 1"), format!("self.n > {nth}"));
    let (sound, unsound) = (format!(r#"{{"n":{nth}}}"#), format!(r#"{{"n":{}}}"#, nth + 1));
    let broken = format!(r#"{{"n":-{}}}"#, nth + 1);
    [
        &["MODEL.DEFINE", "m", &schema, "RULE", "r", &rule, "RULE", "s", "self.n <= oldSelf.n"][..],
        &["MODEL.SET", "doc", "m", &sound],
        &["MODEL.SET", "doc", "m", &unsound],
        &["MODEL.SET", "doc", "m", &broken],
        &["MODEL.FIELDOP", "doc", "INCR", "$.n", "-1", "IF", &not_yet],
        &["MODEL.FIELDOP", "doc", "WHEN", "self.n > 0", "EVAL", "$.n", "self.n - 1"],
        &["MODEL.FIELDOP", "doc", "INCR", "$.n", "1"],
        &["MODEL.DEFINE", "m", "{", "RULE", "r", &rule],
        &["DEL", "doc"],
        &["MODEL.UNDEFINE", "m"],
    ]
    .map(|command| command.iter().map(|word| (*word).to_owned()).collect())
    .into()
}

/// The reply of each command of a cycle: an error's word, or empty.
const WORDS: [&str; 10] = ["", "", "SCHEMA", "RULE", "CONDITION", "", "RULE", "ERR", "", ""];

#[test]
fn thousands_of_models_leave_nothing_behind() {
    // The log of slow commands keeps their arguments, and how many are slow depends on the machine.
    on_every_server_with(&["slowlog-log-slower-than -1"], |server| {
        let conn = &mut server.conn();
        // Expressions are kept on purpose; here they are none of the matter.
        conn.must(&["CONFIG", "SET", "model.expression-cache-entries", "10"]);
        let commands: Vec<_> = (0..CYCLES).flat_map(cycle).collect();
        // Member names that keep coming back are kept for ever, within bounds.
        assert_settles(server, 2, || {
            let replies = conn.pipeline(&commands);
            // Of the first cycles something is different: their numbers are small.
            for (nth, cycle) in replies.chunks_exact(WORDS.len()).enumerate().skip(10) {
                let words = cycle.iter().map(|reply| match reply {
                    Reply::Error(_) => reply.error_word(),
                    _ => "",
                });
                assert!(words.eq(WORDS), "{nth}: {cycle:?}");
            }
            assert_eq!(server.info("model_documents"), "0");
            assert_eq!(server.info("model_models"), "0");
        });
    });
}

fn documents(conn: &mut Conn, model: &str) -> i64 {
    conn.must(&["MODEL.DESCRIBE", model]).field("documents").int()
}

/// Waits for an expiry, or until documents of a database that was emptied beside others are freed.
#[track_caller]
fn wait_for(server: &Server, model: &str, count: i64) {
    let conn = &mut server.conn();
    server.wait_until("the documents are counted", || documents(conn, model) == count);
}

#[test]
fn documents_of_a_model_are_counted_wherever_they_go() {
    on_every_server_with(&["lazyfree-lazy-expire yes"], |server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.DEFINE", "m", "{}"]);
        conn.must(&["MODEL.DEFINE", "other", "{}"]);
        let large = format!("[{}1]", "[],".repeat(1000));
        for nth in 0..10 {
            conn.must(&["MODEL.SET", &format!("a{nth}"), "m", &large]);
        }
        assert_eq!(documents(conn, "m"), 10);
        conn.must(&["MODEL.SET", "a0", "m", "{}"]);
        assert!(conn.call(&["MODEL.SET", "b", "m", "{}", "IFREV", "1"]).is_error());
        assert!(conn.call(&["MODEL.FIELDOP", "b", "INIT", "m", "{}", "INCR", "$", "1"]).is_error());
        assert_eq!(documents(conn, "m"), 10);
        conn.must(&["COPY", "a1", "b"]);
        conn.must(&["COPY", "a1", "b", "DB", "5"]);
        assert_eq!(documents(conn, "m"), 12);
        conn.must(&["RENAME", "b", "c"]);
        conn.must(&["SWAPDB", "0", "7"]);
        conn.must(&["SWAPDB", "0", "7"]);
        assert_eq!(documents(conn, "m"), 12);
        conn.must(&["RENAME", "c", "a2"]);
        assert_eq!(documents(conn, "m"), 11);
        conn.must(&["MODEL.SET", "a3", "other", "{}"]);
        conn.must(&["SET", "a4", "x"]);
        assert_eq!(documents(conn, "m"), 9);
        assert_eq!(documents(conn, "other"), 1);
        let Reply::Bulk(dump) = conn.must(&["DUMP", "a5"]) else { panic!("a payload") };
        conn.call_bytes(&[b"RESTORE", b"d", b"0", &dump]);
        assert_eq!(documents(conn, "m"), 10);
        conn.must(&["DEBUG", "RELOAD"]);
        assert_eq!(documents(conn, "m"), 10);
        conn.must(&["UNLINK", "d", "a5"]);
        assert_eq!(documents(conn, "m"), 8);
        for key in ["a0", "a1"] {
            conn.must(&["PEXPIRE", key, "1"]);
        }
        wait_for(server, "m", 6);
        assert_eq!(conn.call(&["MODEL.UNDEFINE", "m"]).error_word(), "INUSE");
        conn.must(&["FLUSHDB", "ASYNC"]);
        wait_for(server, "m", 1);
        conn.must(&["FLUSHALL", "ASYNC"]);
        assert_eq!(documents(conn, "m"), 0);
        // Definitions are no data: they outlive all of it.
        assert_eq!(definitions(conn).len(), 2);
        conn.must(&["MODEL.UNDEFINE", "m"]);
        server.wait_until("all are freed", || server.info("model_documents") == "0");
    });
}

#[test]
fn evicted_documents_are_counted_out() {
    on_every_server_with(&["maxmemory-policy allkeys-lru"], |server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.DEFINE", "m", r#"{"required":["text"]}"#]);
        conn.must(&["CONFIG", "SET", "maxmemory", &(used(server) + (2 << 20)).to_string()]);
        let json = format!(r#"{{"text":"{}"}}"#, "x".repeat(2000));
        let set =
            |nth: usize| vec!["MODEL.SET".into(), format!("a{nth}"), "m".into(), json.clone()];
        conn.pipeline(&(0..3000).map(set).collect::<Vec<_>>());
        // From here on nothing more is evicted.
        conn.must(&["CONFIG", "SET", "maxmemory", "0"]);
        let left = conn.must(&["DBSIZE"]).int();
        assert!((50..3000).contains(&left), "{left}");
        assert_eq!(documents(conn, "m"), left);
        assert_eq!(conn.must(&["MODEL.MODELS"]).array(), [Reply::bulk("m")]);
        conn.must(&["FLUSHALL", "SYNC"]);
        conn.must(&["MODEL.UNDEFINE", "m"]);
    });
}

#[test]
fn without_memory_definitions_and_changes_are_refused_and_change_nothing() {
    on_every_recording(|server| {
        let conn = &mut server.conn();
        let rule = ["RULE", "r", "self.n > 0"];
        conn.must(&[&["MODEL.DEFINE", "m", "{}"][..], &rule].concat());
        conn.must(&["MODEL.DEFINE", "unused", "{}"]);
        conn.must(&["MODEL.SET", "doc", "m", r#"{"n":1}"#, "PXAT", "4000000000000"]);
        let (before, models) = (state(conn, "doc"), definitions(conn));
        conn.must(&["CONFIG", "SET", "maxmemory", "1"]);
        for refused in [
            &["MODEL.DEFINE", "m", "{}"][..],
            &["MODEL.DEFINE", "new", "{}"],
            &["MODEL.FIELDOP", "doc", "INCR", "$.n", "1"],
            &["MODEL.FIELDOP", "doc", "EVAL", "$.n", "self.n + 1"],
            &["MODEL.FIELDOP", "doc", "EX", "9", "IF", "true", "GET", "$.n"],
            &["MODEL.FIELDOP", "none", "INIT", "m", r#"{"n":1}"#, "REVISION"],
            &["MODEL.SET", "doc", "m", r#"{"n":2}"#],
            &["EVAL", "return redis.call('MODEL.DEFINE', 'm', '{}')", "0"],
        ] {
            let reply = conn.call(refused);
            assert!(reply.error().contains("OOM"), "{refused:?}: {reply:?}");
            assert_eq!(state(conn, "doc"), before, "{refused:?}");
            assert_eq!(definitions(conn), models, "{refused:?}");
        }
        assert_eq!(conn.must(&["EXISTS", "none"]), Reply::Int(0));
        // Commands that free memory are accepted.
        conn.must(&["DEL", "doc"]);
        conn.must(&["MODEL.UNDEFINE", "m"]);
        conn.must(&["MODEL.UNDEFINE", "unused"]);
        assert_eq!(conn.must(&["MODEL.MODELS"]), Reply::Array(vec![]));
        conn.must(&["CONFIG", "SET", "maxmemory", "0"]);
        // The first definition and its end: what was refused took no version.
        assert_eq!(conn.must(&["MODEL.DEFINE", "m", "{}"]), Reply::Int(3));
    });
}

#[test]
fn a_replica_without_memory_applies_the_writes_of_its_master() {
    on_every_flavor(|flavor| {
        let (master, replica) = (Server::start(flavor, &[]), Server::start(flavor, &[]));
        replica.replica_of(&master);
        replica.must(&["CONFIG", "SET", "maxmemory", "1"]);
        let conn = &mut master.conn();
        conn.must(&["MODEL.DEFINE", "m", r#"{"properties":{"a":{"default":1}}}"#]);
        conn.must(&["MODEL.SET", "doc", "m", r#"{"n":1}"#]);
        conn.must(&["MODEL.FIELDOP", "doc", "EVAL", "$.n", "self.n + self.a"]);
        replica.wait_for_sync(&master);
        assert_eq!(replica.debug_digest(), master.debug_digest());
        assert_eq!(definitions(&mut replica.conn()), definitions(conn));
        assert_eq!(documents(&mut replica.conn(), "m"), 1);
    });
}

/// Definitions that fail late must give back what they took early.
#[test]
fn refused_definitions_leave_nothing_behind() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["CONFIG", "SET", "slowlog-log-slower-than", "-1"]);
        let wide: Vec<_> =
            (0..2_000).map(|nth| format!(r#""p{nth}":{{"minimum":{nth}}}"#)).collect();
        let wide = format!(r#"{{"properties":{{{}}}}}"#, wide.join(","));
        let cut = &wide[..wide.len() - 1];
        assert_settles(server, 2, || {
            for _ in 0..10 {
                let late = ["MODEL.DEFINE", "m", &wide, "RULE", "a", "true", "RULE", "b", "1 +"];
                assert_eq!(conn.call(&late).error_word(), "EXPR");
                assert_eq!(conn.call(&["MODEL.DEFINE", "m", cut]).error_word(), "ERR");
            }
        });
    });
}
