//! `RESTORE` is held to the limits of documents, whatever the payload says; what a server or its master accepted
//! before is read whatever the limits are now.

use redis_model::value::{Limits, parse};

use crate::cluster::{Cluster, node_id, stream_state};
use crate::harness::{Flavor, Server, on_every_flavor, on_every_server_with};
use crate::resp::{Conn, Reply};

fn dump(conn: &mut Conn, key: &str) -> Vec<u8> {
    match conn.must(&["DUMP", key]) {
        Reply::Bulk(payload) => payload,
        other => panic!("no payload: {other:?}"),
    }
}

fn restore(conn: &mut Conn, payload: &[u8]) -> Reply {
    conn.must(&["DEL", "restored"]);
    conn.call_bytes(&[b"RESTORE", b"restored", b"0", payload])
}

/// Sets the limit to its least value with which the payload is restored, and to one below.
#[track_caller]
fn check(server: &Server, payload: &[u8], limit: &str, least: u64) {
    let conn = &mut server.conn();
    let default = conn.must(&["CONFIG", "GET", limit]).array()[1].text().to_owned();
    conn.must(&["CONFIG", "SET", limit, &least.to_string()]);
    assert_eq!(restore(conn, payload), Reply::ok(), "{limit}");
    conn.must(&["CONFIG", "SET", limit, &(least - 1).to_string()]);
    let refused = restore(conn, payload);
    assert_eq!(refused, Reply::Error("ERR Bad data format".into()), "{limit}");
    let said = server
        .log()
        .lines()
        .any(|line| line.contains("a document cannot be loaded: LIMIT") && line.contains(limit));
    assert!(said, "{limit}: {}", server.log());
    assert_eq!(conn.must(&["EXISTS", "restored"]), Reply::Int(0));
    conn.must(&["CONFIG", "SET", limit, &default]);
}

#[test]
fn a_restored_document_is_held_to_the_limits() {
    on_every_server_with(&[], |server| {
        server.tolerate("a document cannot be loaded");
        let conn = &mut server.conn();
        let json = r#"{"a":[[1,2,"three"],{"b":null}]}"#;
        let size = parse::json(json.as_bytes(), &Limits::DEFAULT).unwrap().size;
        conn.must(&["MODEL.SET", "doc", "any", json]);
        for (owner, name) in [("ann", "one"), ("bob", "one"), ("ann", "two")] {
            conn.must(&["MODEL.LOCK", "doc", name, owner, "SHARED", "LEASE", "600000"]);
        }
        let payload = dump(conn, "doc");
        check(server, &payload, "model.document-bytes", size);
        check(server, &payload, "model.depth", 3);
        check(server, &payload, "model.lock-names", 2);
        check(server, &payload, "model.lock-holders", 2);
    });
}

/// A document from before an index may have more values than one that is written: those that a command can put into the
/// indexes are let in.
#[test]
fn a_restored_document_pays_for_its_entries() {
    const STEPS_OF_AN_ENTRY: u64 = 125;
    on_every_server_with(&[], |server| {
        server.tolerate("a document cannot be loaded");
        let conn = &mut server.conn();
        conn.must(&["MODEL.DEFINE", "m", "{}"]);
        let values: Vec<String> = (0..3000).map(|nth| nth.to_string()).collect();
        conn.must(&["MODEL.SET", "doc", "m", &format!(r#"{{"t":[{}]}}"#, values.join(","))]);
        let payload = dump(conn, "doc");
        let indexes = ["INDEX", "t", "1", "$.t[*]", "INDEX", "u", "2", "$.u", "$.t[*]"];
        conn.must(&[&["MODEL.DEFINE", "m", "{}"][..], &indexes].concat());
        check(server, &payload, "model.command-steps", 2 * 3000 * STEPS_OF_AN_ENTRY);
    });
}

#[test]
fn a_payload_beyond_the_limits_costs_no_memory() {
    on_every_flavor(|flavor| {
        let (from, to) = (Server::start(flavor, &[]), Server::start(flavor, &[]));
        to.tolerate("a document cannot be loaded");
        let nulls = format!("[{}null]", "null,".repeat(1_000_000));
        from.must(&["MODEL.SET", "doc", "any", &nulls]);
        let payload = dump(&mut from.conn(), "doc");
        let conn = &mut to.conn();
        conn.must(&["CONFIG", "SET", "model.document-bytes", "100000"]);
        let peak = || to.info("used_memory_peak").parse::<u64>().unwrap();
        // The payload itself, compressed and not, and the connection's buffers.
        let before = peak();
        assert!(restore(conn, &payload).is_error());
        assert!(peak() < before + 8_000_000, "{before} {}", peak());
        // Without the limit it takes many times that.
        conn.must(&["CONFIG", "SET", "model.document-bytes", "64mb"]);
        assert_eq!(restore(conn, &payload), Reply::ok());
    });
}

#[test]
fn accepted_documents_are_read_under_any_limits() {
    let plain = ["appendonly yes", "appendfsync no", "aof-use-rdb-preamble no"];
    let mixed = ["appendonly yes", "appendfsync no", "aof-use-rdb-preamble yes"];
    for config in [&["save 3600 1"][..], &plain, &mixed] {
        on_every_server_with(config, |server| {
            let replica =
                Server::start(server.flavor, &["model.document-bytes 1", "model.depth 1"]);
            let conn = &mut server.conn();
            conn.must(&["MODEL.SET", "doc", "any", r#"{"a":[[1]]}"#]);
            let payload = dump(conn, "doc");
            replica.replica_of(server);
            replica.wait_for_sync(server);
            assert_eq!(restore(conn, &payload), Reply::ok());
            let digest = conn.must(&["DEBUG", "DIGEST-VALUE", "doc", "restored"]);
            replica.wait_until("it has the same", || {
                replica.must(&["DEBUG", "DIGEST-VALUE", "doc", "restored"]) == digest
            });
            conn.must(&["CONFIG", "SET", "model.document-bytes", "1", "model.depth", "1"]);
            conn.must(&["CONFIG", "REWRITE"]);
            if config.len() == 1 {
                // The child that served the replica may still be there, and a server saves once at a time.
                server
                    .wait_until("no child saves", || server.info("rdb_bgsave_in_progress") == "0");
                conn.must(&["SAVE"]);
            }
            server.kill9();
            server.restart();
            assert_eq!(server.must(&["CONFIG", "GET", "model.depth"]).array()[1], Reply::bulk("1"));
            assert_eq!(server.must(&["DEBUG", "DIGEST-VALUE", "doc", "restored"]), digest);
        });
    }
}

#[test]
fn a_document_that_cannot_migrate_stays_where_it_is() {
    on_every_flavor(|flavor| {
        let (from, to) = (Server::start(flavor, &[]), Server::start(flavor, &[]));
        to.tolerate("a document cannot be loaded");
        let conn = &mut from.conn();
        conn.must(&["MODEL.SET", "doc", "any", "[[1]]"]);
        to.must(&["CONFIG", "SET", "model.depth", "1"]);
        let port = to.port.to_string();
        let migrate = ["MIGRATE", "127.0.0.1", &port, "doc", "0", "5000"];
        let refused = conn.call(&migrate);
        assert!(refused.error().contains("Bad data format"), "{refused:?}");
        assert_eq!(conn.must(&["MODEL.GET", "doc"]), Reply::bulk("[[1]]"));
        assert_eq!(to.must(&["DBSIZE"]), Reply::Int(0));
        to.must(&["CONFIG", "SET", "model.depth", "2"]);
        assert_eq!(conn.must(&migrate), Reply::ok());
        assert_eq!(to.must(&["MODEL.GET", "doc"]), Reply::bulk("[[1]]"));
    });
}

/// Valkey moves slots itself, and sends what its AOF would hold. The target refuses what is beyond its limits,
/// and the slots stay.
#[test]
fn a_slot_with_a_document_beyond_the_limits_stays_where_it_is() {
    let cluster = Cluster::start(Flavor::Valkey91, 2, &[]);
    let (from, to) = (&cluster.nodes[0], &cluster.nodes[1]);
    let key = (0..).map(|nth| format!("k{nth}")).find(|key| cluster.slot(key) < 100).unwrap();
    from.must(&["MODEL.SET", &key, "any", "[[1]]"]);
    let id = node_id(to);
    for (depth, expected) in [("1", "failed"), ("2", "success")] {
        to.must(&["CONFIG", "SET", "model.depth", depth]);
        cluster.wait_until_agreed();
        from.must(&["CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", "0", "99", "NODE", &id]);
        let state = || stream_state(from);
        from.wait_until("the migration is over", || ["success", "failed"].contains(&&*state()));
        assert_eq!(state(), expected);
        let holder = if expected == "success" { to } else { from };
        assert_eq!(holder.must(&["MODEL.GET", &key]), Reply::bulk("[[1]]"));
    }
    assert!(to.log().contains(r#""limit":"model.depth""#));
}
