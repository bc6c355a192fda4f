//! A server that records changes in every way there is, and what it recorded: what a refusal must leave as
//! it was.

use redis_model::error::ErrorCode;

use crate::harness::{Server, on_every_server_with};
use crate::resp::{Conn, Reply};

/// Returns true if a line is an error of ours: a word of the table, a space, one JSON object, which it gives.
#[track_caller]
pub fn check_error_line(reply: &Reply) -> serde_json::Value {
    let line = reply.error();
    let (word, object) = line.split_once(' ').unwrap_or_else(|| panic!("no object: {line:?}"));
    assert!(ErrorCode::ALL.iter().any(|code| code.word() == word), "{line:?}");
    let object: serde_json::Value =
        serde_json::from_str(object).unwrap_or_else(|e| panic!("{e}: {line:?}"));
    assert!(object["message"].is_string(), "{line:?}");
    assert!(!line.chars().any(char::is_control), "{line:?}");
    object
}

/// The document with its revision, the time to live, the commands written to the AOF and to replicas,
/// the count of changes since the last save, and how many documents there are.
#[derive(Debug, PartialEq)]
pub struct State {
    document: Reply,
    expires: Reply,
    aof_bytes: String,
    replicated: String,
    dirty: String,
    documents: String,
}

pub fn state(conn: &mut Conn, key: &str) -> State {
    let (document, expires) = (conn.must(&["DUMP", key]), conn.must(&["PEXPIRETIME", key]));
    let info = conn.must(&["INFO", "everything"]);
    let field = |name: &str| {
        let found = info.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        found.unwrap_or_else(|| panic!("INFO tells {name}")).to_owned()
    };
    State {
        document,
        expires,
        aof_bytes: field("aof_current_size"),
        replicated: field("master_repl_offset"),
        dirty: field("rdb_changes_since_last_save"),
        documents: field("model_documents"),
    }
}

/// Runs `body` on a fresh server of every flavour that has such a state.
pub fn on_every_recording(body: impl Fn(&Server) + Sync) {
    on_every_server_with(&["appendonly yes", "appendfsync no"], |server| {
        // Bytes for replicas are counted from the first replica on, also when it is gone. Then nothing
        // but commands is counted: a replica that is there is sent pings now and then.
        let mut replica = server.conn();
        replica.send(&["PSYNC", "?", "-1"]);
        server.wait_until("there is a backlog", || server.info("repl_backlog_active") == "1");
        drop(replica);
        server.wait_until("the replica is gone", || {
            server.info("connected_slaves") == "0" && server.info("rdb_bgsave_in_progress") == "0"
        });
        body(server);
    });
}

#[test]
fn the_state_differs_after_any_change() {
    on_every_recording(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.SET", "doc", "any", r#"{"n":1}"#]);
        let before = state(conn, "doc");
        conn.must(&["MODEL.FIELDOP", "doc", "EX", "1000", "INCR", "$.n", "1"]);
        conn.must(&["MODEL.SET", "other", "any", "{}"]);
        let after = state(conn, "doc");
        assert!(before.document != after.document && before.expires != after.expires);
        assert!(before.aof_bytes != after.aof_bytes && before.dirty != after.dirty);
        assert!(before.replicated != after.replicated && before.documents != after.documents);
    });
}
