//! Indexes after loads: documents are gathered while they are read, and keys change before the load has ended.

use crate::finding::{DEFINE, change, check_all, digests, json};
use crate::harness::{Server, on_every_server_with};
use crate::resp::Conn;
use crate::workload::Rng;

const DOCUMENTS: usize = 1500;

fn fill(conn: &mut Conn, rng: &mut Rng) {
    let set = |nth, rng: &mut Rng| {
        ["MODEL.SET", &format!("d{nth}"), "m", &json(rng)].map(str::to_owned).to_vec()
    };
    let commands: Vec<_> = (0..DOCUMENTS).map(|nth| set(nth, rng)).collect();
    drop(conn.pipeline(&commands));
}

/// The ways in which the documents of a load are gathered, as the log tells them.
pub const AS_READ: &str = "gathered as they were read";
pub const BY_VISIT: &str = "gathered by a visit of all keys";

/// Restarts the server, which then has the entries that it had, of documents that were gathered in one of the ways.
#[track_caller]
fn check_restart(server: &Server, how: &str) {
    let log_from = server.log().len();
    let conn = &mut server.conn();
    conn.must(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"]);
    check_all(conn);
    let before = digests(server);
    server.kill9();
    server.restart();
    check_all(&mut server.conn());
    assert_eq!(digests(server), before);
    let log = &server.log()[log_from..];
    assert!(log.contains(how), "{how}: {log}");
}

#[test]
fn commands_behind_the_base_of_an_aof_change_documents_that_were_read() {
    on_every_server_with(&["appendonly yes", "appendfsync always"], |server| {
        let (conn, rng) = (&mut server.conn(), &mut Rng::new(31));
        conn.must(&DEFINE);
        fill(conn, rng);
        server.rewrite_aof();
        // Few keys are looked up at the end.
        (0..200).for_each(|_| change(conn, rng));
        for nth in 0..60 {
            let key = format!("d{nth}");
            match nth % 6 {
                0 => conn.must(&["DEL", &key]),
                1 => conn.must(&["RENAME", &key, &format!("r{nth}")]),
                2 => conn.must(&["MOVE", &key, "1"]),
                3 => conn.must(&["MODEL.FIELDOP", &key, "INCR", "$.n", "7"]),
                4 => conn.must(&["MODEL.SET", &key, "any", "{}"]),
                _ => conn.must(&["COPY", &key, &format!("d{}", 100 + nth), "REPLACE"]),
            };
        }
        check_restart(server, AS_READ);
        // Of many all keys are visited.
        let conn = &mut server.conn();
        for nth in 0..DOCUMENTS {
            conn.call(&["MODEL.FIELDOP", &format!("d{nth}"), "INCR", "$.n", "1"]);
        }
        check_restart(server, BY_VISIT);
    });
}

#[test]
fn databases_and_definitions_change_behind_the_base_of_an_aof() {
    on_every_server_with(&["appendonly yes", "appendfsync always"], |server| {
        let (conn, rng) = (&mut server.conn(), &mut Rng::new(32));
        conn.must(&DEFINE);
        fill(conn, rng);
        server.rewrite_aof();
        conn.must(&["SWAPDB", "0", "1"]);
        conn.must(&["MODEL.SET", "d1", "m", r#"{"n":3}"#]);
        check_restart(server, BY_VISIT);
        let conn = &mut server.conn();
        conn.must(&["SWAPDB", "0", "1"]);
        server.rewrite_aof();
        // Another definition has other indexes than those that entries were gathered for.
        let mut other = DEFINE.to_vec();
        *other.last_mut().unwrap() = "$.x";
        conn.must(&other);
        conn.must(&DEFINE);
        conn.must(&other);
        let is_ready = |conn: &mut Conn| !conn.call(&["MODEL.CHECK", "m"]).is_error();
        server.wait_until("indexes are built", || is_ready(conn));
        check_restart(server, BY_VISIT);
        let conn = &mut server.conn();
        server.rewrite_aof();
        conn.must(&["FLUSHDB"]);
        conn.must(&["MODEL.SET", "d1", "m", r#"{"n":3}"#]);
        check_restart(server, BY_VISIT);
        // A model that had no indexes when its documents were read.
        let conn = &mut server.conn();
        conn.must(&["MODEL.DEFINE", "m", "{}"]);
        fill(conn, rng);
        server.rewrite_aof();
        conn.must(&DEFINE);
        server.wait_until("indexes are built", || is_ready(conn));
        check_restart(server, BY_VISIT);
    });
}

#[test]
fn documents_that_have_expired_are_read_and_dropped() {
    on_every_server_with(&["save 3600 100000"], |server| {
        let (conn, rng) = (&mut server.conn(), &mut Rng::new(33));
        conn.must(&DEFINE);
        conn.must(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"]);
        fill(conn, rng);
        for nth in (0..DOCUMENTS).step_by(3) {
            conn.must(&["PEXPIRE", &format!("d{nth}"), "300"]);
        }
        conn.must(&["SAVE"]);
        server.kill9();
        std::thread::sleep(std::time::Duration::from_millis(300));
        server.restart();
        assert!(server.log().contains(AS_READ));
        let conn = &mut server.conn();
        check_all(conn);
        assert_eq!(conn.must(&["MODEL.COUNT", "m"]).int(), DOCUMENTS as i64 * 2 / 3);
    });
}
