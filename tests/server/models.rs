//! Models on real servers: every way a document can come to be or change, and every way a definition has
//! to get from one server to another.

use crate::cluster::{Cluster, node_id};
use crate::harness::{Server, on_every_flavor, on_every_server, on_every_server_with};
use crate::resp::{Conn, Reply};
use crate::workload::definitions;

const ITEM: &str =
    r#"{"properties":{"stock":{"type":"integer"},"reserved":{"default":0}},"required":["stock"]}"#;
const RULE: [&str; 3] = ["RULE", "covered", "self.reserved <= self.stock"];

fn define(conn: &mut Conn) {
    conn.must(&[&["MODEL.DEFINE", "item", ITEM][..], &RULE].concat());
}

fn word(conn: &mut Conn, command: &[&str]) -> String {
    let reply = conn.call(command);
    assert!(reply.is_error(), "{command:?} gave {reply:?}");
    reply.error_word().to_owned()
}

/// The model's rules are in force for a document with `{"stock":1,"reserved":0}`.
#[track_caller]
fn check_in_force(conn: &mut Conn, key: &str) {
    assert_eq!(word(conn, &["MODEL.FIELDOP", key, "INCR", "$.reserved", "2"]), "RULE");
    assert_eq!(word(conn, &["MODEL.FIELDOP", key, "SET", "$.stock", "null"]), "SCHEMA");
    conn.must(&["MODEL.FIELDOP", key, "INCR", "$.reserved", "1", "INCR", "$.reserved", "-1"]);
}

#[test]
fn rules_hold_whatever_a_key_went_through() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        define(conn);
        conn.must(&["MODEL.SET", "a", "item", r#"{"stock":1}"#]);
        check_in_force(conn, "a");
        conn.must(&["COPY", "a", "copied"]);
        check_in_force(conn, "copied");
        conn.must(&["RENAME", "copied", "renamed"]);
        check_in_force(conn, "renamed");
        let Reply::Bulk(dump) = conn.must(&["DUMP", "a"]) else { panic!("a payload") };
        assert_eq!(conn.call_bytes(&[b"RESTORE", b"restored", b"0", &dump]), Reply::ok());
        check_in_force(conn, "restored");
        conn.must(&["COPY", "a", "moved", "DB", "3"]);
        conn.must(&["SELECT", "3"]);
        check_in_force(conn, "moved");
        conn.must(&["SELECT", "0"]);
        // Inside a transaction of the server and in scripts, too.
        conn.must(&["MULTI"]);
        conn.must(&["MODEL.FIELDOP", "a", "INCR", "$.reserved", "2"]);
        assert_eq!(conn.must(&["EXEC"]).array()[0].error_word(), "RULE");
        let script = "return redis.pcall('MODEL.FIELDOP', KEYS[1], 'INCR', '$.reserved', '2')";
        assert_eq!(word(conn, &["EVAL", script, "1", "a"]), "RULE");
        assert_eq!(conn.must(&["MODEL.GET", "a"]), Reply::bulk(r#"{"stock":1,"reserved":0}"#));
    });
}

/// A payload can claim a validation that never happened: the next write validates the whole document.
#[test]
fn a_restored_document_is_validated_whole_when_it_is_written() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.DEFINE", "item", "{}"]);
        conn.must(&["MODEL.SET", "bad", "item", r#"{"stock":"none"}"#]);
        let Reply::Bulk(dump) = conn.must(&["DUMP", "bad"]) else { panic!("a payload") };
        conn.must(&["DEL", "bad"]);
        server.wait_until("it is freed", || server.info("model_documents") == "0");
        conn.must(&["MODEL.UNDEFINE", "item"]);
        server.shutdown();
        std::fs::remove_file(server.dir().join("dump.rdb")).ok();
        server.restart();
        // Here version 1 of the definition is another one.
        let conn = &mut server.conn();
        define(conn);
        assert_eq!(conn.call_bytes(&[b"RESTORE", b"bad", b"0", &dump]), Reply::ok());
        assert_eq!(conn.must(&["MODEL.GET", "bad", "$.stock"]), Reply::bulk("\"none\""));
        assert_eq!(word(conn, &["MODEL.FIELDOP", "bad", "SET", "$.other", "1"]), "SCHEMA");
        conn.must(&["MODEL.FIELDOP", "bad", "SET", "$.stock", "1", "SET", "$.reserved", "0"]);
        check_in_force(conn, "bad");
    });
}

#[test]
fn documents_of_an_unknown_model_are_kept() {
    on_every_flavor(|flavor| {
        let (from, to) = (Server::start(flavor, &[]), Server::start(flavor, &[]));
        let conn = &mut from.conn();
        define(conn);
        conn.must(&["MODEL.SET", "a", "item", r#"{"stock":1}"#]);
        conn.must(&["MIGRATE", "127.0.0.1", &to.port.to_string(), "a", "0", "5000"]);
        let conn = &mut to.conn();
        assert_eq!(conn.must(&["MODEL.META", "a"]).field("model"), &Reply::bulk("item"));
        assert_eq!(conn.must(&["MODEL.GET", "a", "$.stock"]), Reply::bulk("1"));
        assert_eq!(word(conn, &["MODEL.FIELDOP", "a", "INCR", "$.stock", "1"]), "NOMODEL");
        assert_eq!(conn.must(&["MODEL.MODELS"]), Reply::Array(vec![]));
        to.must(&["SAVE"]);
        to.kill9();
        to.restart();
        let conn = &mut to.conn();
        assert_eq!(conn.must(&["MODEL.GET", "a", "$.stock"]), Reply::bulk("1"));
        // As soon as the model is defined, its documents belong to the definition.
        define(conn);
        assert_eq!(conn.must(&["MODEL.DESCRIBE", "item"]).field("documents"), &Reply::Int(1));
        check_in_force(conn, "a");
        conn.must(&["MODEL.FIELDOP", "a", "DEL", "$.reserved", "SET", "$.reserved", "1"]);
        conn.must(&["DEL", "a"]);
    });
}

#[test]
fn definitions_survive_in_the_rdb_and_in_both_kinds_of_aof() {
    let rdb = ["save 3600 1", "appendonly no"];
    let mixed = ["appendonly yes", "appendfsync always", "aof-use-rdb-preamble yes"];
    let plain = ["appendonly yes", "appendfsync always", "aof-use-rdb-preamble no"];
    for config in [&rdb[..], &mixed, &plain] {
        on_every_server_with(config, |server| {
            let conn = &mut server.conn();
            define(conn);
            conn.must(&["MODEL.DEFINE", "ended", "{}"]);
            conn.must(&["MODEL.UNDEFINE", "ended"]);
            conn.must(&["MODEL.DEFINE", "lone", "{}", "TTL", "60", "REFRESH", "READ"]);
            conn.must(&["MODEL.SET", "a", "item", r#"{"stock":1}"#]);
            let before = definitions(conn);
            let again = |how: &str| {
                let conn = &mut server.conn();
                assert_eq!(definitions(conn), before, "{how}");
                check_in_force(conn, "a");
                conn.must(&["MODEL.FIELDOP", "lone", "INIT", "lone", "{}", "INCR", "$.n", "1"]);
                assert!(conn.must(&["TTL", "lone"]).int() > 0);
            };
            let stop = || {
                if config[0].starts_with("save") {
                    server.must(&["SAVE"]);
                }
                server.kill9();
                server.restart();
            };
            stop();
            again("a restart");
            server.wait_for_aof();
            stop();
            again("a rewrite and a restart");
            // The end of a definition is known, too: its name goes on counting.
            assert_eq!(server.must(&["MODEL.DEFINE", "ended", "{}"]), Reply::Int(3));
            server.must(&["DEBUG", "RELOAD"]);
            assert_eq!(server.must(&["MODEL.DEFINE", "ended", "{}"]), Reply::Int(3));
        });
    }
}

#[test]
fn replicas_have_the_definitions_however_they_come() {
    for load in ["disabled", "swapdb", "on-empty-db"] {
        on_every_flavor(|flavor| {
            let load = format!("repl-diskless-load {load}");
            let config = ["repl-diskless-sync yes", "repl-diskless-sync-delay 0", &load];
            let (master, replica) =
                (Server::start(flavor, &config), Server::start(flavor, &config));
            let conn = &mut master.conn();
            define(conn);
            conn.must(&["MODEL.SET", "a", "item", r#"{"stock":1}"#]);
            // The replica's earlier definitions go with its data.
            replica.must(&["MODEL.DEFINE", "mine", "{}"]);
            replica.must(&["MODEL.DEFINE", "item", r#"{"required":["other"]}"#]);
            replica.replica_of(&master);
            replica.wait_for_sync(&master);
            assert_eq!(definitions(&mut replica.conn()), definitions(conn));
            // In the stream.
            conn.must(&["MODEL.DEFINE", "later", "{}"]);
            conn.must(&["MULTI"]);
            conn.must(&["MODEL.DEFINE", "item", ITEM]);
            conn.must(&["MODEL.FIELDOP", "a", "INCR", "$.reserved", "5"]);
            conn.must(&["EXEC"]);
            conn.must(&["MODEL.UNDEFINE", "later"]);
            replica.wait_for_sync(&master);
            assert_eq!(definitions(&mut replica.conn()), definitions(conn));
            assert_eq!(replica.debug_digest(), master.debug_digest());
            // And in force when the replica is promoted.
            conn.must(&[&["MODEL.DEFINE", "item", ITEM][..], &RULE].concat());
            conn.must(&["MODEL.FIELDOP", "a", "SET", "$.reserved", "0"]);
            replica.wait_for_sync(&master);
            replica.must(&["REPLICAOF", "NO", "ONE"]);
            check_in_force(&mut replica.conn(), "a");
            assert_eq!(replica.must(&["MODEL.DEFINE", "later", "{}"]), Reply::Int(3));
        });
    }
}

/// Reading renews a document's time only where it may be written.
#[test]
fn reading_renews_on_a_master_alone() {
    on_every_flavor(|flavor| {
        let (master, replica) = (Server::start(flavor, &[]), Server::start(flavor, &[]));
        replica.replica_of(&master);
        let conn = &mut master.conn();
        conn.must(&["MODEL.DEFINE", "seen", "{}", "TTL", "1000", "REFRESH", "READ"]);
        conn.must(&["MODEL.SET", "a", "seen", "{}"]);
        conn.must(&["PEXPIRE", "a", "500000"]);
        replica.wait_for_sync(&master);
        let expires = |server: &Server| server.must(&["PEXPIRETIME", "a"]).int();
        let short = expires(&master);
        replica.must(&["MODEL.GET", "a"]);
        assert_eq!(expires(&replica), short);
        conn.must(&["CLIENT", "PAUSE", "100000", "WRITE"]);
        conn.must(&["MODEL.GET", "a"]);
        assert_eq!(expires(&master), short);
        conn.must(&["CLIENT", "UNPAUSE"]);
        conn.must(&["MODEL.MGET", "2", "a", "none"]);
        assert!(expires(&master) > short + 400_000);
        replica.wait_for_sync(&master);
        assert_eq!(expires(&replica), expires(&master));
        assert_eq!(replica.debug_digest(), master.debug_digest());
    });
}

/// Waits until `MODELS` and `DESCRIBE` reply the same on all nodes.
fn wait_until_all_agree(cluster: &[&Server], names: &[&str]) {
    for node in cluster {
        node.wait_until("all nodes hold the same definitions", || {
            let conn = &mut node.conn();
            let found = definitions(conn);
            let same = found == definitions(&mut cluster[0].conn());
            same && found.iter().map(|(name, _)| name.as_str()).eq(names.iter().copied())
        });
    }
}

#[test]
fn definitions_reach_every_shard_and_nodes_that_come_later() {
    on_every_flavor(|flavor| {
        let cluster = Cluster::start(flavor, 2, &[]);
        let nodes = [&cluster.nodes[0], &cluster.nodes[1]];
        nodes[0].must(&["MODEL.DEFINE", "item", ITEM]);
        nodes[1].must(&["MODEL.DEFINE", "user", "{}"]);
        wait_until_all_agree(&nodes, &["item", "user"]);
        // A document that moves finds its model where it comes to.
        let (a, b) = (cluster.conn_of("a"), cluster.conn_of("b"));
        drop((a, b));
        // On a slow machine a node can be taken for gone meanwhile.
        cluster.wait_until_whole();
        for node in nodes {
            assert_eq!(word(&mut node.conn(), &["MODEL.SET", "none", "other", "{}"]), {
                let own = std::ptr::eq(cluster.node_of("none"), node);
                if own { "NOMODEL".to_owned() } else { "MOVED".to_owned() }
            });
        }
        nodes[1].must(&["MODEL.DEFINE", "item", "{}"]);
        wait_until_all_agree(&nodes, &["item", "user"]);
        nodes[0].must(&["MODEL.UNDEFINE", "user"]);
        wait_until_all_agree(&nodes, &["item"]);
        // A node that joins brings what it has, and learns the rest.
        let late = Server::start(flavor, &["cluster-enabled yes", "cluster-node-timeout 5000"]);
        late.must(&["MODEL.DEFINE", "late", "{}"]);
        late.must(&["CLUSTER", "MEET", "127.0.0.1", &nodes[0].port.to_string()]);
        wait_until_all_agree(&[nodes[0], nodes[1], &late], &["item", "late"]);
        assert_ne!(node_id(&late), node_id(nodes[0]));
    });
}

/// One shard ends a definition while another has documents of it: it stays, everywhere.
#[test]
fn a_definition_in_use_elsewhere_comes_back() {
    on_every_flavor(|flavor| {
        let cluster = Cluster::start(flavor, 2, &[]);
        let nodes = [&cluster.nodes[0], &cluster.nodes[1]];
        let index = ["INDEX", "by_stock", "1", "$.stock"];
        nodes[0].must(&[&["MODEL.DEFINE", "item", ITEM], &index[..]].concat());
        wait_until_all_agree(&nodes, &["item"]);
        let owner = cluster.node_of("a");
        owner.must(&["MODEL.SET", "a", "item", r#"{"stock":1}"#]);
        let other = nodes.into_iter().find(|node| !std::ptr::eq(*node, owner)).expect("two nodes");
        other.must(&["MODEL.UNDEFINE", "item"]);
        wait_until_all_agree(&nodes, &["item"]);
        assert_eq!(owner.must(&["MODEL.DESCRIBE", "item"]).field("version"), &Reply::Int(3));
        // Its index has the document again.
        let count = ["MODEL.COUNT", "item", "WHERE", "self.stock == 1"];
        owner.wait_until("the index is built", || owner.call(&count) == Reply::Int(1));
        assert_eq!(other.must(&count), Reply::Int(0));
        owner.must(&["MODEL.TXN", "1", "a", "ON", "a", "DELETE"]);
        assert_eq!(owner.must(&count), Reply::Int(0));
        owner.must(&["MODEL.UNDEFINE", "item"]);
        wait_until_all_agree(&nodes, &[]);
        assert_eq!(owner.call(&count).error_word(), "NOMODEL");
        assert_eq!(owner.info("model_index_documents"), "0");
    });
}

/// Two shards define a model differently at the same time: one of the two definitions remains, under a version
/// that no document was validated against.
#[test]
fn of_two_definitions_made_at_once_one_counts() {
    on_every_flavor(|flavor| {
        let cluster = Cluster::start(flavor, 2, &[]);
        let nodes = [&cluster.nodes[0], &cluster.nodes[1]];
        let (mut first, mut second) = (nodes[0].conn(), nodes[1].conn());
        first.send(&["MODEL.DEFINE", "item", ITEM]);
        second.send(&["MODEL.DEFINE", "item", "{}"]);
        let versions = [first.recv(), second.recv()];
        wait_until_all_agree(&nodes, &["item"]);
        if versions == [Reply::Int(1), Reply::Int(1)] {
            let described = first.must(&["MODEL.DESCRIBE", "item"]);
            assert_eq!(described.field("version"), &Reply::Int(2));
        }
    });
}

/// All keys of a model, by as many calls as it takes.
fn documents(conn: &mut Conn, model: &str, count: &str) -> Vec<String> {
    let (mut cursor, mut keys) = ("0".to_owned(), Vec::new());
    loop {
        let args = ["MODEL.DOCUMENTS", model, "CURSOR", &cursor, "COUNT", count];
        let [next, part] = conn.must(&args).array().to_vec().try_into().expect("cursor and keys");
        keys.extend(part.array().iter().map(|key| key.text().to_owned()));
        cursor = next.text().to_owned();
        if cursor == "0" {
            keys.sort();
            keys.dedup();
            return keys;
        }
    }
}

#[test]
fn the_documents_of_a_model_are_listed_whatever_else_is_there() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        define(conn);
        let mut expected = Vec::new();
        for nth in 0..300 {
            conn.must(&["MODEL.SET", &format!("item:{nth}"), "item", r#"{"stock":1}"#]);
            conn.must(&["MODEL.SET", &format!("any:{nth}"), "any", "{}"]);
            conn.must(&["SET", &format!("text:{nth}"), "x"]);
            expected.push(format!("item:{nth}"));
        }
        expected.sort();
        assert_eq!(documents(conn, "item", "10"), expected);
        assert_eq!(documents(conn, "item", "10000"), expected);
        assert_eq!(documents(conn, "any", "1000").len(), 300);
        // One database is listed, as by SCAN.
        conn.must(&["SELECT", "3"]);
        assert_eq!(documents(conn, "item", "100"), Vec::<String>::new());
        conn.must(&["SELECT", "0"]);
        assert_eq!(word(conn, &["MODEL.DOCUMENTS", "none"]), "NOMODEL");
        conn.must(&["DEL", "item:1"]);
        assert_eq!(documents(conn, "item", "100").len(), 299);
    });
}

#[test]
fn formats_and_defaults_of_a_definition_are_kept_everywhere() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        let schema = r#"{"properties":{"at":{"format":"date"},"n":{"default":1}}}"#;
        conn.must(&["MODEL.DEFINE", "m", schema, "NODEFAULTS", "FORMATS", "ANNOTATE"]);
        let check = |conn: &mut Conn| {
            conn.must(&["MODEL.SET", "k", "m", r#"{"at":"noon"}"#]);
            assert_eq!(conn.must(&["MODEL.GET", "k"]), Reply::bulk(r#"{"at":"noon"}"#));
            let described = conn.must(&["MODEL.DESCRIBE", "m"]);
            assert_eq!(described.field("formats"), &Reply::bulk("ANNOTATE"));
            assert_eq!(described.field("defaults"), &Reply::bulk("IGNORED"));
        };
        check(conn);
        conn.must(&["DEBUG", "RELOAD"]);
        check(conn);
        conn.must(&["MODEL.DEFINE", "m", schema]);
        assert_eq!(word(conn, &["MODEL.SET", "k", "m", r#"{"at":"noon"}"#]), "SCHEMA");
    });
}
