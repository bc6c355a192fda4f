//! Queries of one hash slot: routed by its key, confined to it, refused while its documents are on two nodes; and
//! indexes when slots are emptied.

use crate::acl;
use crate::cluster::{Cluster, SlotMove, node_id};
use crate::harness::{Flavor, on_every_flavor, on_every_server};
use crate::resp::{Conn, Reply};

const DEFINE: [&str; 12] =
    ["MODEL.DEFINE", "m", "{}", "INDEX", "by_n", "1", "$.n", "INDEX", "slot", "1", "$.x", "UNIQUE"];

/// The keys that one call finds.
fn find(conn: &mut Conn, query: &[&str]) -> Vec<String> {
    let reply = conn.must(&[&["MODEL.FIND", "m"], query, &["GET", "$.none"]].concat());
    let [Reply::Null, rows] = reply.array() else { panic!("{reply:?}") };
    rows.array().iter().map(|row| row.array()[0].text().to_owned()).collect()
}

/// Nothing of the indexes disagrees with the documents.
#[track_caller]
fn check(conn: &mut Conn) {
    let mut cursor = "0".to_owned();
    loop {
        let reply = conn.must(&["MODEL.CHECK", "m", "CURSOR", &cursor]);
        assert_eq!((reply.field("missing").int(), reply.field("stray").int()), (0, 0));
        cursor = reply.field("cursor").text().to_owned();
        if cursor == "0" {
            return;
        }
    }
}

#[test]
fn the_key_of_a_slot_is_a_key_of_the_command() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&DEFINE);
        for key in ["{a}1", "{a}2", "{b}1"] {
            conn.must(&["MODEL.SET", key, "m", r#"{"n":1}"#]);
        }
        assert_eq!(find(conn, &["WHERE", "self.n == 1", "SLOT", "{a}"]), ["{a}1", "{a}2"]);
        assert_eq!(find(conn, &["SLOT", "{b}other"]), ["{b}1"]);
        assert_eq!(conn.must(&["MODEL.COUNT", "m", "SLOT", "{a}"]).int(), 2);
        assert_eq!(conn.call(&["MODEL.FIND", "m", "SLOT"]).error_word(), "ERR");
        assert_eq!(conn.call(&["MODEL.FIND", "m", "SLOT", "a", "SLOT", "a"]).error_word(), "ERR");
        let mut keys = |command: &[&str]| -> Vec<String> {
            let reply = conn.call(&[&["COMMAND", "GETKEYS"], command].concat());
            if reply.is_error() {
                return Vec::new();
            }
            reply.array().iter().map(|key| key.text().to_owned()).collect()
        };
        assert_eq!(keys(&["MODEL.FIND", "m", "WHERE", "x", "SLOT", "{a}"]), ["{a}"]);
        assert_eq!(keys(&["MODEL.COUNT", "m", "slot", "{a}", "SCAN"]), ["{a}"]);
        // The name of an index is no keyword.
        assert_eq!(keys(&["MODEL.FIND", "m", "ORDER", "slot", "LIMIT", "1"]).len(), 0);
        assert_eq!(keys(&["MODEL.FIND", "m", "ORDER", "slot", "DESC", "SLOT", "k"]), ["k"]);
        let user = &mut acl::user(server, &["+@all", "%R~{a}*"]);
        assert_eq!(find(user, &["ORDER", "slot"]), ["{a}1", "{a}2"]);
        assert_eq!(find(user, &["ORDER", "slot", "SLOT", "{a}"]), ["{a}1", "{a}2"]);
        let refused = user.call(&["MODEL.FIND", "m", "ORDER", "slot", "SLOT", "{b}"]);
        assert_eq!(refused.error_word(), "NOPERM");
    });
}

#[test]
fn a_cluster_routes_a_query_of_a_slot_and_never_answers_with_half_of_it() {
    on_every_flavor(|flavor| {
        let cluster = Cluster::start(flavor, 2, &[]);
        cluster.nodes[0].must(&DEFINE);
        let home = cluster.node_of("{k}");
        let other = cluster.nodes.iter().find(|node| node.port != home.port).expect("two nodes");
        other.wait_until("it knows the model", || !other.call(&["MODEL.COUNT", "m"]).is_error());
        home.wait_until("it knows the model", || !home.call(&["MODEL.COUNT", "m"]).is_error());
        let (conn, there) = (&mut home.conn(), &mut other.conn());
        // A key with a brace in it names its slot as it is.
        for key in ["{k}1", "{k}2", "{k}3"] {
            conn.must(&["MODEL.SET", key, "m", r#"{"n":1}"#]);
        }
        for nth in 0..20 {
            let key = format!("{{k{nth}}}");
            cluster.conn_of(&key).must(&["MODEL.SET", &key, "m", r#"{"n":1}"#]);
        }
        let query = ["WHERE", "self.n == 1", "SLOT", "{k}9"];
        let all = ["{k}1", "{k}2", "{k}3"];
        assert_eq!(find(conn, &query), all);
        assert!(find(conn, &query[..2]).len() > 3, "a node finds all that it has");
        let sum = |conns: &mut [&mut Conn]| -> i64 {
            conns.iter_mut().map(|conn| conn.must(&["MODEL.COUNT", "m"]).int()).sum()
        };
        assert_eq!(sum(&mut [conn, there]), 23);
        let slotted = [&["MODEL.FIND", "m"], &query[..], &["GET", "$.none"]].concat();
        let slot = cluster.slot("{k}").to_string();
        let moved = there.call(&slotted);
        assert_eq!(moved.error(), format!("MOVED {slot} 127.0.0.1:{}", home.port));

        // The slot moves key by key.
        let migration = SlotMove::new(cluster.slot("{k}"), home, other);
        migration.open();
        let ask = |conn: &mut Conn| {
            conn.must(&["ASKING"]);
            conn.call(&slotted).error_word().to_owned()
        };
        migration.carry("{k}1");
        assert_eq!(conn.call(&slotted).error_word(), "ASK", "a key that is missing here");
        let known = ["MODEL.FIND", "m", "WHERE", "self.n == 1", "SLOT", "{k}2"];
        assert_eq!(conn.call(&known).error_word(), "TRYAGAIN");
        assert_eq!(conn.call(&["MODEL.COUNT", "m", "SLOT", "{k}2"]).error_word(), "TRYAGAIN");
        assert_eq!(ask(there), "TRYAGAIN");
        // All nodes together find every document once.
        assert_eq!(sum(&mut [conn, there]), 23);
        migration.carry("{k}2");
        migration.carry("{k}3");
        migration.close();
        assert_eq!(find(there, &query), all);
        assert_eq!(conn.call(&slotted).error_word(), "MOVED");
        check(conn);
        check(there);
    });
}

/// No hash tag stands for the slot of a key that is hashed whole and has a brace.
#[test]
fn a_slot_is_named_by_any_key() {
    on_every_flavor(|flavor| {
        let cluster = Cluster::start(flavor, 2, &[]);
        cluster.nodes[0].must(&DEFINE);
        for node in &cluster.nodes {
            node.wait_until("it knows the model", || !node.call(&["MODEL.COUNT", "m"]).is_error());
        }
        for key in ["a}b", "{}c", "plain"] {
            let home = cluster.node_of(key);
            let other = cluster.nodes.iter().find(|node| node.port != home.port);
            let (conn, other) = (&mut home.conn(), other.expect("there are two nodes"));
            conn.must(&["MODEL.SET", key, "m", r#"{"n":1}"#]);
            assert_eq!(find(conn, &["SLOT", key]), [key]);
            let slot = cluster.slot(key).to_string();
            conn.must(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &node_id(other)]);
            assert_eq!(conn.call(&["MODEL.FIND", "m", "SLOT", key]).error_word(), "TRYAGAIN");
            conn.must(&["CLUSTER", "SETSLOT", &slot, "STABLE"]);
            assert_eq!(find(conn, &["SLOT", key]), [key]);
        }
        assert_eq!(find(&mut cluster.conn_of(""), &["SLOT", ""]), Vec::<String>::new());
    });
}

#[test]
fn indexes_follow_when_a_slot_is_emptied() {
    on_every_flavor(|flavor| {
        let cluster = Cluster::start(flavor, 1, &[]);
        let conn = &mut cluster.nodes[0].conn();
        conn.must(&DEFINE);
        let fill = |conn: &mut Conn| {
            for nth in 0..40 {
                let json = format!(r#"{{"n":1,"x":{nth}}}"#);
                conn.must(&["MODEL.SET", &format!("{{{}}}{nth}", nth % 2), "m", &json]);
            }
        };
        let slot = cluster.slot("{0}").to_string();
        for mode in ["SYNC", "ASYNC"] {
            fill(conn);
            let flushed = conn.call(&["CLUSTER", "FLUSHSLOT", &slot, mode]);
            if !flavor.is_valkey() {
                // Others empty all slots of a node at once, if any.
                assert!(flushed.is_error(), "{flushed:?}");
                let flushed = conn.call(&["SFLUSH", "0", "16383", mode]);
                let left = if flushed.is_error() { 40 } else { 0 };
                assert_eq!(conn.must(&["MODEL.COUNT", "m"]).int(), left, "{flushed:?}");
                check(conn);
                continue;
            }
            assert_eq!(conn.must(&["MODEL.COUNT", "m", "SLOT", "{0}"]).int(), 0);
            assert_eq!(conn.must(&["MODEL.COUNT", "m", "WHERE", "self.n == 1"]).int(), 20);
            check(conn);
            // The values of an index with UNIQUE are free again.
            conn.must(&["MODEL.SET", "{0}again", "m", r#"{"x":0}"#]);
            conn.must(&["DEL", "{0}again"]);
        }
    });
}

/// Valkey streams the documents of a slot to another node and its replica before the slot is theirs.
#[test]
fn documents_of_a_slot_that_is_streamed_are_not_found_on_a_replica_before_it_has_come() {
    let cluster = Cluster::start_with_replicas(Flavor::Valkey91, 2, &[]);
    let migration = SlotMove::of_key(&cluster, "{k}a");
    let (home, other) = (migration.from, migration.to);
    home.must(&DEFINE);
    let nth = cluster.nodes.iter().position(|node| node.port == other.port).expect("a node");
    let replica = &cluster.nodes[nth + 2];
    replica.wait_until("it has the model", || !replica.call(&["MODEL.COUNT", "m"]).is_error());
    for key in ["{k}a", "{k}b"] {
        home.must(&["MODEL.SET", key, "m", r#"{"n":1}"#]);
    }
    let hold = |flag| home.must(&["DEBUG", "SLOTMIGRATION", "PREVENT-PAUSE", flag]);
    hold("1");
    migration.begin_stream();
    let has_both = || replica.info("model_documents") == "2";
    replica.wait_until("it has the documents", has_both);
    for node in [other, replica] {
        let conn = &mut node.conn();
        conn.must(&["READONLY"]);
        for query in [&[][..], &["WHERE", "self.n == 1"], &["SCAN"]] {
            assert_eq!(find(conn, query), Vec::<String>::new(), "{query:?}");
            let count = [&["MODEL.COUNT", "m"], query].concat();
            assert_eq!(conn.must(&count).int(), 0, "{query:?}");
        }
        assert_eq!(conn.must(&["MODEL.DOCUMENTS", "m"]).array()[1], Reply::Array(vec![]));
    }
    hold("0");
    migration.wait_for_stream();
    for node in [other, replica] {
        node.wait_until("they are found", || find(&mut node.conn(), &[]) == ["{k}a", "{k}b"]);
    }
}
