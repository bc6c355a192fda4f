//! Natives in a cluster: keys of one slot, slots that move, and messages to a channel of the slot.

use crate::cluster::{Cluster, SlotMove};
use crate::harness::{Flavor, on_every_flavor};
use crate::recording::check_error_line;
use crate::resp::{Conn, Reply};

/// The natives on the set `{k}s`, after a change of the document.
fn with<'a>(natives: &[&'a str]) -> Vec<&'a str> {
    let head =
        ["MODEL.TXN", "2", "{k}doc", "{k}s", "ON", "{k}doc", "INCR", "$.n", "1", "AT", "{k}s"];
    [&head[..], natives].concat()
}

fn number(conn: &mut Conn) -> String {
    conn.must(&["MODEL.GET", "{k}doc", "$.n"]).text().to_owned()
}

#[test]
fn a_cluster_routes_natives_by_all_keys_and_never_loses_half() {
    on_every_flavor(|flavor| {
        let cluster = Cluster::start(flavor, 2, &[]);
        let conn = &mut cluster.conn_of("{k}doc");
        conn.must(&["MODEL.SET", "{k}doc", "any", r#"{"n":0}"#]);
        let across = ["MODEL.TXN", "2", "{k}doc", "x", "ON", "{k}doc", "INCR", "$.n", "1"];
        let across = [&across[..], &["AT", "x", "SADD", "1"]].concat();
        assert_eq!(conn.call(&across).error_word(), "CROSSSLOT");
        let migration = SlotMove::of_key(&cluster, "{k}doc");
        let (home, other) = (migration.from, migration.to);
        assert_eq!(other.call(&with(&["SADD", "1"])).error_word(), "MOVED");
        conn.must(&with(&["SADD", "1", "PUBLISH", "1", "SPUBLISH", "1"]));

        // The slot moves: both keys are here.
        migration.open();
        conn.must(&with(&["SADD", "2"]));
        assert_eq!(number(conn), "2");
        // A native behind one that may take the last member would be sent to the other node by the server, when the
        // document is committed.
        for natives in [
            &["UNLINK", "SADD", "3"][..],
            &["SREM", "1", "SREM", "2", "SADD", "3"],
            &["UNLINK", "PEXPIRE", "1000"],
        ] {
            let digest = home.debug_digest();
            let reply = conn.call(&with(natives));
            assert_eq!(reply.error_word(), "TRYAGAIN", "{natives:?}: {reply:?}");
            assert_eq!(check_error_line(&reply)["key"], "{k}s");
            assert_eq!(home.debug_digest(), digest, "{natives:?}");
        }
        // One key is there, one here: to be tried again.
        migration.carry("{k}s");
        assert_eq!(conn.call(&with(&["SADD", "3"])).error_word(), "TRYAGAIN");
        assert_eq!(number(conn), "2");
        // Both are there.
        migration.carry("{k}doc");
        assert_eq!(conn.call(&with(&["SADD", "3"])).error_word(), "ASK");
        let asking = &mut other.conn();
        let ask = |conn: &mut Conn, natives: &[&str]| {
            conn.must(&["ASKING"]);
            conn.call(&with(natives))
        };
        let reply = ask(asking, &["SADD", "3", "SREM", "1", "SPUBLISH", "1"]);
        let numbers = [1, 1, 0].map(Reply::Int).to_vec();
        assert_eq!(
            reply,
            Reply::Array(vec![Reply::Array(vec![Reply::bulk("3")]), Reply::Array(numbers)])
        );
        // A node that imports takes keys that are missing: they are made there.
        let reply = ask(asking, &["UNLINK", "SADD", "4"]);
        assert!(!reply.is_error(), "{reply:?}");
        migration.close();
        assert_eq!(number(asking), "4");
        assert_eq!(asking.must(&["SMEMBERS", "{k}s"]).array(), [Reply::bulk("4")]);
    });
}

/// Valkey streams the keys of a slot, and the commands on them, to its next node.
#[test]
fn natives_and_documents_stay_one_unit_while_a_slot_is_streamed_to_another_node() {
    on_every_flavor(|flavor| {
        if flavor != Flavor::Valkey91 {
            return;
        }
        let cluster = Cluster::start(flavor, 2, &[]);
        let migration = SlotMove::of_key(&cluster, "{k}doc");
        let (from, to) = (migration.from, migration.to);
        let conn = &mut from.conn();
        conn.must(&["MODEL.SET", "{k}doc", "any", r#"{"n":0}"#]);
        let command = with(&["SADD", "=docs['{k}doc'].n", "PUBLISH", "1", "SPUBLISH", "1"]);
        let mut done = 0;
        let mut change = |conn: &mut Conn| {
            let reply = conn.call(&command);
            done += i64::from(!reply.is_error());
            match reply.is_error() {
                true => reply.error_word().to_owned(),
                false => String::new(),
            }
        };
        (0..100).for_each(|_| assert_eq!(change(conn), ""));
        migration.begin_stream();
        from.wait_until("the slot has gone", || change(conn) == "MOVED");
        let conn = &mut to.conn();
        to.wait_until("the slot is there", || change(conn).is_empty());
        assert_eq!(number(conn), done.to_string());
        assert_eq!(conn.must(&["SCARD", "{k}s"]), Reply::Int(done));
        for node in [from, to] {
            assert_eq!(node.info("model_natives_refused"), "0");
        }
    });
}
