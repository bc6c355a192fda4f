//! A revision never repeats for a key, however documents come to it, and replicas count along.

use crate::harness::{Flavor, Server, on_every_flavor, on_every_server};
use crate::resp::{Conn, Reply};

fn change(conn: &mut Conn, key: &str, by: &str) -> i64 {
    let reply = conn.must(&["MODEL.FIELDOP", key, "INCR", "$.n", by, "REVISION"]);
    reply.array()[1].int()
}

/// A client that read the document at `revision` must not be believed now.
fn check_stale(conn: &mut Conn, key: &str, revision: i64) {
    let stale =
        conn.call(&["MODEL.FIELDOP", key, "IFREV", &revision.to_string(), "INCR", "$.n", "1"]);
    assert_eq!(stale.error_word(), "REVISION", "{stale:?}");
}

#[test]
fn copied_and_renamed_documents_do_not_share_their_next_revisions() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.SET", "a", "any", r#"{"n":0}"#]);
        change(conn, "a", "1");
        conn.must(&["COPY", "a", "b"]);
        let read_by_client = change(conn, "a", "1");
        assert_ne!(change(conn, "b", "5"), read_by_client);
        conn.must(&["RENAME", "b", "a"]);
        check_stale(conn, "a", read_by_client);
    });
}

#[test]
fn a_restored_document_does_not_get_the_revisions_again_it_had() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.SET", "a", "any", r#"{"n":0}"#]);
        change(conn, "a", "1");
        let Reply::Bulk(dump) = conn.must(&["DUMP", "a"]) else { panic!("a payload") };
        let read_by_client = change(conn, "a", "1");
        let restored = conn.call_bytes(&[b"RESTORE", b"a", b"0", &dump, b"REPLACE"]);
        assert!(!restored.is_error(), "{restored:?}");
        assert_ne!(change(conn, "a", "5"), read_by_client);
        check_stale(conn, "a", read_by_client);
    });
}

#[test]
fn documents_never_meet_at_a_revision() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        let mut seen = std::collections::HashSet::new();
        for nth in 0..200 {
            let key = format!("doc:{}", nth % 7);
            let replaced = nth % 31 == 0;
            let revision = match conn.call(&["EXISTS", &key]).int() {
                1 if !replaced => change(conn, &key, "1"),
                _ => conn.must(&["MODEL.SET", &key, "any", r#"{"n":0}"#]).int(),
            };
            assert!(seen.insert(revision), "{revision} came twice");
        }
    });
}

/// A pair whose replica is quick to follow.
fn pair(flavor: Flavor) -> (Server, Server) {
    let config = ["repl-diskless-sync-delay 0", "repl-ping-replica-period 3600"];
    let (master, replica) = (Server::start(flavor, &config), Server::start(flavor, &config));
    replica.replica_of(&master);
    replica.wait_for_sync(&master);
    (master, replica)
}

fn check_equal(master: &Server, replica: &Server) {
    replica.wait_for_sync(master);
    assert_eq!(replica.debug_digest(), master.debug_digest());
}

#[test]
fn a_replica_counts_along_whatever_its_master_saw() {
    on_every_flavor(|flavor| {
        let (master, replica) = pair(flavor);
        let conn = &mut master.conn();
        conn.must(&["MODEL.SET", "a", "any", r#"{"n":0}"#]);
        conn.must(&["MODEL.SET", "gone", "any", r#"{"n":0}"#]);
        change(conn, "a", "1");
        change(conn, "gone", "1");
        let Reply::Bulk(dump) = conn.must(&["DUMP", "gone"]) else { panic!("a payload") };
        conn.must(&["DEL", "gone"]);
        change(conn, "a", "1");
        check_equal(&master, &replica);

        // Loaded here, and never sent: its time to live is over.
        conn.call_bytes(&[b"RESTORE", b"late", b"1000", &dump, b"ABSTTL"]);
        change(conn, "a", "1");
        check_equal(&master, &replica);
        conn.call_bytes(&[b"RESTORE", b"back", b"0", &dump]);
        change(conn, "back", "1");
        conn.must(&["COPY", "a", "b"]);
        change(conn, "b", "1");
        change(conn, "a", "1");
        check_equal(&master, &replica);
    });
}

#[test]
fn a_replica_that_starts_from_its_own_rdb_counts_along() {
    on_every_flavor(|flavor| {
        let (master, replica) = pair(flavor);
        let conn = &mut master.conn();
        conn.must(&["MODEL.SET", "a", "any", r#"{"n":0}"#]);
        conn.must(&["MODEL.SET", "gone", "any", r#"{"n":0}"#]);
        change(conn, "gone", "1");
        // The highest revision is no document's any more.
        conn.must(&["DEL", "gone"]);
        replica.wait_for_sync(&master);
        replica.must(&["SAVE"]);
        replica.must(&["DEBUG", "RELOAD"]);
        change(conn, "a", "1");
        check_equal(&master, &replica);
    });
}
