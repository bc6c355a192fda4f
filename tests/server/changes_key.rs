//! The key of a change stream is the module's: no native and no document is written to it.

use crate::cluster::Cluster;
use crate::harness::{on_every_flavor, on_every_server};
use crate::native_refusals::{SOUND, split};
use crate::recording::check_error_line;
use crate::resp::{Conn, Reply};

/// Every native and every way to a document is refused at this key. `doc` is a document of the model.
fn check_refused(conn: &mut Conn, doc: &str, stream: &str) {
    let mut refused = vec![
        vec!["MODEL.SET", stream, "any", "{}"],
        vec!["MODEL.FIELDOP", stream, "INIT", "m", "{}", "GET", "$"],
        vec!["MODEL.TXN", "1", stream, "ON", stream, "CREATE", "any", "{}"],
        vec!["MODEL.TXN", "2", doc, stream, "TOKEN", stream, "ON", doc, "INCR", "$.n", "1"],
        vec!["MODEL.LOCK", stream, "n", "ann", "INIT", "any", "{}"],
    ];
    for native in SOUND {
        let head = ["MODEL.TXN", "2", doc, stream, "ON", doc, "INCR", "$.n", "1", "AT", stream];
        let txn = [&head[..], &split(native)].concat();
        let head = ["MODEL.FINDOP", "2", doc, stream, "m", "DO", "INCR", "$.n", "1", "AT", stream];
        let findop = [&head[..], &split(native)].concat();
        if native.contains("PUBLISH") {
            conn.must(&txn);
            conn.must(&findop);
        } else {
            refused.extend([txn, findop]);
        }
    }
    let content = |conn: &mut Conn| [doc, stream].map(|key| conn.must(&["DUMP", key]));
    let before = content(conn);
    for command in refused {
        let reply = conn.call(&command);
        assert_eq!(reply.error_word(), "WRONGTYPE", "{command:?}: {reply:?}");
        assert_eq!(check_error_line(&reply)["key"], stream, "{command:?}");
        assert_eq!(content(conn), before, "{command:?}");
    }
    // It may be read.
    let read = format!("native['{stream}'].size() >= 0");
    conn.must(&["MODEL.TXN", "2", doc, stream, "ON", doc, "IF", &read, "GET", "$.n"]);
}

#[test]
fn nothing_is_written_to_the_key_of_a_change_stream() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        let define = ["MODEL.DEFINE", "m", "{}", "INDEX", "n", "1", "$.n", "CHANGES", "100"];
        conn.must(&define);
        conn.must(&["MODEL.SET", "d", "m", r#"{"n":1}"#]);
        check_refused(conn, "d", "m!changes");
        conn.must(&["DEL", "m!changes"]);
        check_refused(conn, "d", "m!changes");
        // The stream takes what the next change appends.
        conn.must(&["MODEL.FIELDOP", "d", "INCR", "$.n", "1"]);
        assert_eq!(server.info("model_changes_lost"), "0");
        // The name means nothing without CHANGES.
        conn.must(&["MODEL.SET", "none!changes", "any", "{}"]);
        conn.must(&["MODEL.SET", "m!changes:{7}", "any", "{}"]);
        // The owner of the server may do with it what it likes.
        assert_eq!(conn.must(&["XTRIM", "m!changes", "MAXLEN", "0"]), Reply::Int(5));
    });
}

#[test]
fn a_cluster_has_a_key_for_each_slot() {
    on_every_flavor(|flavor| {
        let cluster = Cluster::start(flavor, 1, &[]);
        let conn = &mut cluster.nodes[0].conn();
        let define = ["MODEL.DEFINE", "m", "{}", "INDEX", "n", "1", "$.n", "CHANGES", "100"];
        conn.must(&define);
        conn.must(&["MODEL.SET", "{7}d", "m", r#"{"n":1}"#]);
        check_refused(conn, "{7}d", "m!changes:{7}");
        // Outside of a cluster this is the name.
        conn.must(&["MODEL.SET", "m!changes", "any", "{}"]);
        conn.must(&["MODEL.SET", "m!changes:{x}", "any", "{}"]);
    });
}
