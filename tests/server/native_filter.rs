//! A command filter of another module that refuses a native after everything was checked: the one way that nothing
//! foretells. The rest of the transaction stands, and it is counted, logged and shown at its place.

use std::process::Command;

use crate::harness::{Server, on_every_flavor, on_every_server_with};
use crate::resp::{Conn, Reply};

/// Loads the module with the filter.
fn load_filter(server: &Server) {
    let library = server.dir().join("librefuse.so");
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition", "2024", "--crate-type", "cdylib", "-C", "panic=abort", "-O", "-o"]);
    rustc.arg(&library).arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/server/filter/refuse.rs"));
    assert!(rustc.status().expect("rustc is there").success(), "the filter is compiled");
    server.must(&["MODULE", "LOAD", library.to_str().expect("a path is text")]);
}

const KEYS: [&str; 4] = ["doc", "l", "s", "t"];

/// A transaction with a native in the middle that the filter refuses.
fn refused(conn: &mut Conn) -> Reply {
    let head = [&["MODEL.TXN", "4"][..], &KEYS, &["TOKEN", "t"]].concat();
    let blocks =
        ["ON", "doc", "INCR", "$.n", "1", "AT", "l", "RPUSH", "1", "RPUSH", "\"refuse-me\""];
    conn.must(&[&head[..], &blocks, &["RPUSH", "2", "AT", "s", "SADD", "1"]].concat())
}

#[test]
fn what_a_filter_refuses_is_counted_and_logged_and_shown_at_its_place() {
    on_every_flavor(|flavor| {
        let config = ["appendonly yes", "appendfsync always"];
        let (server, replica) = (Server::start(flavor, &config), Server::start(flavor, &[]));
        load_filter(&server);
        replica.replica_of(&server);
        let conn = &mut server.conn();
        assert_eq!(conn.call(&["RPUSH", "l", "refuse-me"]).error_word(), "ERR", "the filter works");
        conn.must(&["MODEL.SET", "doc", "any", r#"{"n":1}"#]);
        let reply = refused(conn);
        let replies = reply.array();
        assert_eq!(replies[0].array(), [Reply::bulk("2")]);
        let of_list = replies[1].array();
        assert_eq!((&of_list[0], &of_list[2]), (&Reply::Int(1), &Reply::Int(2)));
        assert!(of_list[1].error().contains("refused.by.a.filter"), "{reply:?}");
        assert_eq!(replies[2].array(), [Reply::Int(1)]);
        assert_eq!(server.info("model_natives"), "4");
        assert_eq!(server.info("model_natives_refused"), "1");
        let text = "RPUSH was refused after its transaction was committed, in block 1 at 1";
        assert!(server.log().contains(text), "{}", server.log());
        // The reply under the token is the same, and nothing is tried again.
        assert_eq!(refused(conn), reply);
        assert_eq!(server.info("model_natives"), "4");
        assert_eq!(
            conn.must(&["LRANGE", "l", "0", "-1"]).array(),
            [Reply::bulk("1"), Reply::bulk("2")]
        );
        // Replicas and the AOF are sent what happened.
        replica.wait_for_sync(&server);
        assert_eq!(replica.debug_digest(), server.debug_digest());
        let before = server.debug_digest();
        server.kill9();
        server.restart();
        assert_eq!(server.debug_digest(), before);
    });
}

#[test]
fn a_filter_on_the_transaction_itself_sees_natives_as_arguments() {
    on_every_server_with(&[], |server| {
        load_filter(server);
        let conn = &mut server.conn();
        let reply = conn.call(&["MODEL.TXN", "1", "l", "AT", "l", "RPUSH", "refuse-me"]);
        assert!(reply.error().contains("refused.by.a.filter"), "{reply:?}");
        assert_eq!(conn.call(&["EXISTS", "l"]), Reply::Int(0));
    });
}
