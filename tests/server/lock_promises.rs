//! The lease and the `EPHEMERAL` flag that an owner was told hold on a promoted replica, after a restart and in a
//! restored payload: no other owner is granted the lock before the promised end.

use std::thread;
use std::time::Duration;

use crate::harness::{Server, on_every_flavor, on_every_server};
use crate::locking::{answer, check_idle, fence, make, owners, unlock, wait};
use crate::resp::{Conn, Reply};

const LEASE: &str = "600000";
const SHORT: &str = "300";

/// Documents whose lock `n` was taken by `me` for ten minutes, and then requested again with other options.
const KEYS: [&str; 8] = ["short", "default", "renewed", "many1", "many2", "plain", "back", "held"];

fn ask(conn: &mut Conn, key: &str, options: &[&str]) -> Reply {
    conn.must(&[&["MODEL.LOCK", key, "n", "me"], options].concat())
}

/// Takes the locks; all connections but `conn` are closed when it returns.
fn take_all(server: &Server, conn: &mut Conn) {
    let mut other = server.conn();
    for key in KEYS {
        make(conn, key);
    }
    for key in ["short", "default", "renewed", "plain", "held"] {
        ask(conn, key, &["LEASE", LEASE]);
    }
    let many = ["MODEL.MLOCK", "2", "many1", "many2", "n", "me", "LEASE"];
    conn.must(&[&many[..], &[LEASE]].concat());
    let again = conn.must(&[&many[..], &[SHORT]].concat());
    let told = ask(conn, "short", &["LEASE", SHORT]);
    for told in [&told, &again.array()[0], &again.array()[1], &ask(conn, "default", &[])] {
        assert!(told.array()[1].int() > 500_000, "{told:?}");
    }
    let held = fence(&ask(conn, "renewed", &["LEASE", SHORT]));
    assert_eq!(conn.must(&["MODEL.RENEW", "renewed", "n", "me", &held]).int(), 600_000);
    ask(&mut other, "plain", &["LEASE", SHORT, "EPHEMERAL"]);
    ask(&mut other, "back", &["LEASE", LEASE, "EPHEMERAL"]);
    ask(conn, "back", &["LEASE", SHORT]);
    drop(other);
}

/// Another owner gets none of the locks, although the short leases are over by now.
fn check_all(server: &Server, keys: &[&str]) {
    thread::sleep(Duration::from_millis(400));
    let conn = &mut server.conn();
    for key in keys {
        assert_eq!(conn.must(&["MODEL.LOCK", key, "n", "thief"]), Reply::Null, "{key}");
        let locks = conn.must(&["MODEL.LOCKS", key, "n"]);
        let holder = locks.array()[0].field("holders").array()[0].array().to_vec();
        assert_eq!(holder[0].text(), "me", "{key}");
        assert!(holder[2].int() > 500_000, "{key}: {holder:?}");
    }
}

#[test]
fn a_promised_lease_holds_on_a_replica_that_is_promoted() {
    on_every_flavor(|flavor| {
        let (master, replica) = (Server::start(flavor, &[]), Server::start(flavor, &[]));
        replica.replica_of(&master);
        take_all(&master, &mut master.conn());
        check_all(&master, &KEYS);
        replica.wait_for_sync(&master);
        assert_eq!(replica.debug_digest(), master.debug_digest());
        master.kill9();
        replica.must(&["REPLICAOF", "NO", "ONE"]);
        check_all(&replica, &KEYS);
    });
}

#[test]
fn a_promised_lease_holds_after_a_restart_from_any_file() {
    on_every_flavor(|flavor| {
        for (config, rewrites) in [
            (&["appendonly yes", "appendfsync always", "aof-use-rdb-preamble no"][..], false),
            (&["appendonly yes", "appendfsync always", "aof-use-rdb-preamble no"], true),
            (&["appendonly yes", "appendfsync always"], true),
            (&["save 3600 1000000"], false),
        ] {
            let server = Server::start(flavor, config);
            take_all(&server, &mut server.conn());
            if rewrites {
                server.rewrite_aof();
            }
            server.restart();
            check_all(&server, &KEYS);
        }
    });
}

#[test]
fn a_promised_lease_holds_in_a_restored_payload() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        take_all(server, conn);
        let payloads = KEYS.map(|key| match conn.must(&["DUMP", key]) {
            Reply::Bulk(payload) => payload,
            other => panic!("{other:?}"),
        });
        conn.must(&["FLUSHALL"]);
        for (key, payload) in KEYS.iter().zip(&payloads) {
            let restore: [&[u8]; 4] = [b"RESTORE", key.as_bytes(), b"0", payload];
            assert_eq!(conn.call_bytes(&restore), Reply::ok());
        }
        check_all(server, &KEYS);
    });
}

#[test]
fn an_ephemeral_grant_ends_with_the_last_connection_that_asked_for_it() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        make(conn, "k");
        let [mut first, mut second] = [server.conn(), server.conn()];
        for conn in [&mut first, &mut second] {
            ask(conn, "k", &["EPHEMERAL", "LEASE", LEASE]);
        }
        let before = server.info("connected_clients");
        drop(second);
        server.wait_until("it is closed", || server.info("connected_clients") != before);
        assert_eq!(owners(conn, "k"), ["me"]);
        conn.must(&["RENAME", "k", "k2"]);
        let mut next = wait(server, "k2", "next");
        drop(first);
        let granted = fence(&answer(&mut next));
        unlock(conn, "k2", "next", &granted);
        check_idle(server);
    });
}
