//! Entries of change streams are what `XADD` makes of them: for clients that read, wait, watch, cache or listen, and for
//! replicas, whether the stream is new or has entries.

use std::time::Duration;

use crate::harness::on_every_server_with;
use crate::replication::{check_equal, on_every_pair};
use crate::resp::{Conn, Reply};

const STREAM: &str = "m!changes";

#[test]
fn clients_are_told_of_an_entry_as_of_one_by_xadd() {
    let config = ["stream-node-max-entries 2", "notify-keyspace-events KA"];
    on_every_server_with(&config, |server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.DEFINE", "m", "{}", "CHANGES", "2", "WITH", "KEYS"]);
        let set = |n: usize| server.must(&["MODEL.SET", "k", "m", &n.to_string()]);
        let listener = &mut server.conn();
        listener.must(&["SUBSCRIBE", "__keyspace@0__:m!changes"]);
        for nth in 0..5 {
            // The first entry makes the stream; the third and the fifth end a node, and what is behind is trimmed.
            let (reader, watcher, tracker) =
                (&mut server.conn(), &mut server.conn(), &mut server.conn());
            let redirected = &mut server.conn();
            let to = redirected.must(&["CLIENT", "ID"]).int().to_string();
            redirected.must(&["SUBSCRIBE", "__redis__:invalidate"]);
            tracker.must(&["CLIENT", "TRACKING", "ON", "REDIRECT", &to]);
            tracker.must(&["XLEN", STREAM]);
            reader.send(&["XREAD", "BLOCK", "60000", "STREAMS", STREAM, "$"]);
            server.wait_until("the reader waits", || server.info("blocked_clients") == "1");
            watcher.must(&["WATCH", STREAM]);
            set(nth);
            let read = reader.recv();
            assert_eq!(read.array()[0].array()[0].text(), STREAM, "{read:?}");
            watcher.must(&["MULTI"]);
            watcher.must(&["PING"]);
            assert_eq!(watcher.call(&["EXEC"]), Reply::Null);
            let told = redirected.recv();
            assert_eq!(told.array()[2].array()[0].text(), STREAM, "{told:?}");
        }
        let mut events = Vec::new();
        while let Some(message) = listener.recv_within(Duration::from_millis(100)) {
            events.push(message.array()[2].text().to_owned());
        }
        // The same by hand, in a stream of its own.
        let other = &mut server.conn();
        other.must(&["SUBSCRIBE", "__keyspace@0__:by-hand"]);
        for nth in 1..6 {
            let id = format!("{nth}-0");
            conn.must(&["XADD", "by-hand", "MAXLEN", "~", "2", &id, "seq", "1"]);
        }
        let mut expected = Vec::new();
        while let Some(message) = other.recv_within(Duration::from_millis(100)) {
            expected.push(message.array()[2].text().to_owned());
        }
        assert_eq!(events, expected);
        assert!(events.contains(&"xtrim".to_owned()), "{events:?}");
        assert_eq!(conn.must(&["XLEN", STREAM]), conn.must(&["XLEN", "by-hand"]));
    });
}

#[test]
fn replicas_and_the_aof_have_the_stream_to_the_entry() {
    on_every_pair(&["stream-node-max-entries 3", "appendonly yes"], |master, replica| {
        let conn = &mut master.conn();
        conn.must(&["MODEL.DEFINE", "m", "{}", "CHANGES", "4"]);
        for nth in 0..40 {
            // By commands, and in a transaction of two documents.
            conn.must(&["MODEL.SET", "a", "m", &format!("{{\"n\":{nth}}}")]);
            conn.must(&["MODEL.SET", "b", "m", &format!("{{\"n\":{nth}}}")]);
            let both = ["ON", "a", "INCR", "$.n", "1", "ON", "b", "INCR", "$.n", "1"];
            conn.must(&[&["MODEL.TXN", "2", "a", "b"][..], &both].concat());
            if nth % 10 == 5 {
                // Something else was appended, or the last entry deleted, behind the back of the module.
                let last = conn.must(&["XREVRANGE", STREAM, "+", "-", "COUNT", "1"]);
                let last = last.array()[0].array()[0].text().to_owned();
                match nth {
                    5 => conn.must(&["XADD", STREAM, "*", "by", "hand"]),
                    15 => conn.must(&["XDEL", STREAM, &last]),
                    25 => conn.must(&["XTRIM", STREAM, "MAXLEN", "0"]),
                    _ => conn.must(&["DEL", STREAM]),
                };
            }
        }
        let all = |conn: &mut Conn| conn.must(&["XRANGE", STREAM, "-", "+"]);
        check_equal(master, replica);
        assert_eq!(all(conn), all(&mut replica.conn()));
        let (entries, digest) = (all(conn), master.debug_digest());
        master.restart();
        assert_eq!(master.debug_digest(), digest);
        assert_eq!(all(&mut master.conn()), entries);
    });
}
