//! The count of a model's documents, which decides whether its definition can be ended: it is that of the documents that
//! keys have, whatever the server still has to free.

use crate::harness::{Server, on_every_server_with};
use crate::replication::on_every_pair;
use crate::resp::{Conn, Reply};

/// The server frees in the background whatever may be freed there.
const LAZY: [&str; 5] = [
    "lazyfree-lazy-user-del yes",
    "lazyfree-lazy-user-flush yes",
    "lazyfree-lazy-server-del yes",
    "lazyfree-lazy-expire yes",
    "enable-debug-command yes",
];

const SCHEMA: &str = r#"{"type":"array"}"#;

fn documents(conn: &mut Conn) -> i64 {
    conn.must(&["MODEL.DESCRIBE", "large"]).field("documents").int()
}

/// A document that takes the background thread a while.
fn large() -> String {
    format!("[{}]", vec![r#"{"a":[1,2,3],"b":["x"]}"#; 5000].join(","))
}

#[test]
fn a_definition_ends_at_once_after_its_last_document_has_gone() {
    on_every_server_with(&LAZY, |server| {
        let (conn, document) = (&mut server.conn(), large());
        let ways: [&[&[&str]]; 10] = [
            &[&["DEL", "k"]],
            &[&["UNLINK", "k"]],
            &[&["SET", "k", "a string"]],
            &[&["RENAME", "k", "l"], &["DEL", "l"]],
            &[&["MOVE", "k", "1"], &["FLUSHALL"]],
            &[&["COPY", "k", "l"], &["RENAME", "k", "l"], &["UNLINK", "l"]],
            &[&["PEXPIREAT", "k", "1"]],
            &[&["FLUSHDB", "ASYNC"]],
            &[&["FLUSHALL", "ASYNC"]],
            &[&["FLUSHALL", "SYNC"]],
        ];
        for way in ways.iter().cycle().take(3 * ways.len()) {
            conn.must(&["FLUSHALL"]);
            conn.must(&["MODEL.DEFINE", "large", SCHEMA]);
            conn.must(&["MODEL.SET", "k", "large", &document]);
            conn.must(&["MULTI"]);
            way.iter().for_each(|command| {
                conn.must(command);
            });
            conn.must(&["MODEL.UNDEFINE", "large"]);
            let replies = conn.must(&["EXEC"]);
            assert_eq!(replies.array().last(), Some(&Reply::Simple("OK".into())), "{way:?}");
        }
    });
}

/// A document that a server takes from one key and puts at another is counted once, and stays under its model.
#[test]
fn a_document_that_moves_is_counted_where_it_arrives() {
    on_every_server_with(&LAZY, |server| {
        let (conn, document) = (&mut server.conn(), large());
        for small in [false, true] {
            conn.must(&["FLUSHALL"]);
            conn.must(&["MODEL.DEFINE", "large", SCHEMA]);
            conn.must(&["MODEL.SET", "k", "large", if small { "[]" } else { &document }]);
            for way in [&["RENAME", "k", "l"][..], &["RENAMENX", "l", "k"], &["MOVE", "k", "1"]] {
                conn.must(way);
                check_one(conn, way);
            }
            conn.must(&["SELECT", "1"]);
            // Over another document, and together with a copy.
            for way in [&["COPY", "k", "l"][..], &["RENAME", "k", "l"]] {
                conn.must(way);
            }
            check_one(conn, &["RENAME", "k", "l"]);
            conn.must(&["SWAPDB", "0", "1"]);
            check_one(conn, &["SWAPDB", "0", "1"]);
            conn.must(&["SELECT", "0"]);
            let refused = conn.call(&["MODEL.FIELDOP", "l", "SET", "$", "1"]);
            assert_eq!(refused.error_word(), "SCHEMA", "{refused:?}");
            conn.must(&["DEBUG", "RELOAD"]);
            check_one(conn, &["DEBUG", "RELOAD"]);
        }
    });
}

#[track_caller]
fn check_one(conn: &mut Conn, way: &[&str]) {
    assert_eq!(documents(conn), 1, "{way:?}");
    assert_eq!(conn.call(&["MODEL.UNDEFINE", "large"]).error_word(), "INUSE", "{way:?}");
}

#[test]
fn replicas_and_files_count_as_the_master_does() {
    on_every_pair(
        &[&LAZY[..], &["appendonly yes", "appendfsync always"]].concat(),
        |master, replica| {
            let conn = &mut master.conn();
            conn.must(&["MODEL.DEFINE", "large", SCHEMA]);
            for key in ["a", "b", "c", "d"] {
                conn.must(&["MODEL.SET", key, "large", &large()]);
            }
            conn.must(&["RENAME", "a", "e"]);
            conn.must(&["MOVE", "b", "1"]);
            conn.must(&["DEL", "c"]);
            replica.wait_for_sync(master);
            assert_eq!(documents(&mut replica.conn()), 3);
            let refuses = |server: &Server| {
                let refused = server.conn().call(&["MODEL.FIELDOP", "e", "SET", "$", "1"]);
                assert_eq!(refused.error_word(), "SCHEMA", "{refused:?}");
            };
            refuses(master);
            master.kill9();
            master.restart();
            assert_eq!(documents(&mut master.conn()), 3);
            refuses(master);
        },
    );
}

/// While another database has keys, the documents of one that was emptied count until they are freed.
#[test]
fn emptying_one_database_leaves_the_documents_of_others_counted() {
    on_every_server_with(&LAZY, |server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.DEFINE", "large", SCHEMA]);
        conn.must(&["MODEL.SET", "k", "large", "[]"]);
        conn.must(&["SELECT", "1"]);
        conn.must(&["MODEL.SET", "k", "large", &large()]);
        conn.must(&["FLUSHDB", "ASYNC"]);
        server.wait_until("the flushed document is freed", || documents(&mut server.conn()) == 1);
        assert_eq!(conn.call(&["MODEL.UNDEFINE", "large"]).error_word(), "INUSE");
        conn.must(&["SELECT", "0"]);
        conn.must(&["DEL", "k"]);
        conn.must(&["MODEL.UNDEFINE", "large"]);
    });
}
