//! A revision never repeats for a key, however documents come to it, and replicas count along.

use redis_model::codec::effect::{Change, Effect};
use redis_model::expiry::Expiry;
use redis_model::value::wire;

use crate::harness::{Flavor, Server, on_every_flavor, on_every_server};
use crate::resp::{Conn, Reply};

fn change(conn: &mut Conn, key: &str, by: &str) -> i64 {
    let reply = conn.must(&["MODEL.FIELDOP", key, "INCR", "$.n", by, "REVISION"]);
    reply.array()[1].int()
}

/// A client that read the document at `revision` must not be believed now.
fn check_stale(conn: &mut Conn, key: &str, revision: i64) {
    let stale =
        conn.call(&["MODEL.FIELDOP", key, "IFREV", &revision.to_string(), "INCR", "$.n", "1"]);
    assert_eq!(stale.error_word(), "REVISION", "{stale:?}");
}

#[test]
fn copied_and_renamed_documents_do_not_share_their_next_revisions() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.SET", "a", "any", r#"{"n":0}"#]);
        change(conn, "a", "1");
        conn.must(&["COPY", "a", "b"]);
        let read_by_client = change(conn, "a", "1");
        assert_ne!(change(conn, "b", "5"), read_by_client);
        conn.must(&["RENAME", "b", "a"]);
        check_stale(conn, "a", read_by_client);
    });
}

#[test]
fn a_restored_document_does_not_get_the_revisions_again_it_had() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.SET", "a", "any", r#"{"n":0}"#]);
        change(conn, "a", "1");
        let Reply::Bulk(dump) = conn.must(&["DUMP", "a"]) else { panic!("a payload") };
        let read_by_client = change(conn, "a", "1");
        let restored = conn.call_bytes(&[b"RESTORE", b"a", b"0", &dump, b"REPLACE"]);
        assert!(!restored.is_error(), "{restored:?}");
        assert_ne!(change(conn, "a", "5"), read_by_client);
        check_stale(conn, "a", read_by_client);
    });
}

#[test]
fn documents_never_meet_at_a_revision() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        let mut seen = std::collections::HashSet::new();
        for nth in 0..200 {
            let key = format!("doc:{}", nth % 7);
            let replaced = nth % 31 == 0;
            let revision = match conn.call(&["EXISTS", &key]).int() {
                1 if !replaced => change(conn, &key, "1"),
                _ => conn.must(&["MODEL.SET", &key, "any", r#"{"n":0}"#]).int(),
            };
            assert!(seen.insert(revision), "{revision} came twice");
        }
    });
}

/// A pair whose replica is quick to follow.
fn pair(flavor: Flavor) -> (Server, Server) {
    let config = ["repl-diskless-sync-delay 0", "repl-ping-replica-period 3600"];
    let (master, replica) = (Server::start(flavor, &config), Server::start(flavor, &config));
    replica.replica_of(&master);
    replica.wait_for_sync(&master);
    (master, replica)
}

fn check_equal(master: &Server, replica: &Server) {
    replica.wait_for_sync(master);
    assert_eq!(replica.debug_digest(), master.debug_digest());
}

#[test]
fn a_replica_counts_along_whatever_its_master_saw() {
    on_every_flavor(|flavor| {
        let (master, replica) = pair(flavor);
        let conn = &mut master.conn();
        conn.must(&["MODEL.SET", "a", "any", r#"{"n":0}"#]);
        conn.must(&["MODEL.SET", "gone", "any", r#"{"n":0}"#]);
        change(conn, "a", "1");
        change(conn, "gone", "1");
        let Reply::Bulk(dump) = conn.must(&["DUMP", "gone"]) else { panic!("a payload") };
        conn.must(&["DEL", "gone"]);
        change(conn, "a", "1");
        check_equal(&master, &replica);

        // Loaded here, and never sent: its time to live is over.
        conn.call_bytes(&[b"RESTORE", b"late", b"1000", &dump, b"ABSTTL"]);
        change(conn, "a", "1");
        check_equal(&master, &replica);
        conn.call_bytes(&[b"RESTORE", b"back", b"0", &dump]);
        change(conn, "back", "1");
        conn.must(&["COPY", "a", "b"]);
        change(conn, "b", "1");
        change(conn, "a", "1");
        check_equal(&master, &replica);
    });
}

#[test]
fn a_replica_that_starts_from_its_own_rdb_counts_along() {
    on_every_flavor(|flavor| {
        let (master, replica) = pair(flavor);
        let conn = &mut master.conn();
        conn.must(&["MODEL.SET", "a", "any", r#"{"n":0}"#]);
        conn.must(&["MODEL.SET", "gone", "any", r#"{"n":0}"#]);
        change(conn, "gone", "1");
        // The highest revision is no document's any more.
        conn.must(&["DEL", "gone"]);
        replica.wait_for_sync(&master);
        replica.must(&["SAVE"]);
        replica.must(&["DEBUG", "RELOAD"]);
        change(conn, "a", "1");
        check_equal(&master, &replica);
    });
}

/// A payload whose only number of this size is another one, with the sum that the server asks for.
fn forge(dump: &[u8], number: u64, forged: u64) -> Vec<u8> {
    let bytes = |number| {
        let mut bytes = Vec::new();
        wire::put_varint(number, &mut bytes);
        bytes
    };
    let (old, new) = (bytes(number), bytes(forged));
    assert_eq!(old.len(), new.len());
    let mut payload = dump[..dump.len() - 8].to_vec();
    let at = payload.windows(old.len()).position(|window| window == old).expect("it is there");
    payload[at..at + new.len()].copy_from_slice(&new);
    payload.extend(crc64(&payload).to_le_bytes());
    payload
}

/// CRC-64 of Jones, reflected, from 0: that of DUMP payloads.
fn crc64(bytes: &[u8]) -> u64 {
    let step = |crc: u64, _| if crc & 1 == 1 { crc >> 1 ^ 0x95ac_9329_ac4b_c9b5 } else { crc >> 1 };
    bytes.iter().fold(0, |crc: u64, byte| (0..8).fold(crc ^ u64::from(*byte), step))
}

fn now_us() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.expect("it is later than 1970").as_micros() as u64
}

const YEAR_US: u64 = 31_557_600_000_000;

/// The revision of an untrusted payload may be ahead of the clock, but never so far that this server could not
/// count on from it, or that its later files and payloads could not be read.
#[test]
fn a_forged_revision_or_fence_does_no_harm() {
    on_every_flavor(|flavor| {
        let [server, replica, other] = [(); 3].map(|()| Server::start(flavor, &["save 900 1"]));
        replica.replica_of(&server);
        let conn = &mut server.conn();
        let revision = conn.must(&["MODEL.SET", "a", "any", "1"]).int() as u64;
        let lock = conn.must(&["MODEL.LOCK", "a", "n", "o"]);
        let fence = lock.array()[0].int() as u64;
        let Reply::Bulk(dump) = conn.must(&["DUMP", "a"]) else { panic!("a payload") };
        let mut restore =
            |payload: &[u8]| conn.call_bytes(&[b"RESTORE", b"evil", b"0", payload, b"REPLACE"]);
        assert_eq!(restore(&forge(&dump, revision, revision)), Reply::ok());
        let fence_of_year = 4096 * YEAR_US / 1000;
        for payload in [
            forge(&dump, revision, (1 << 53) - 1),
            forge(&dump, revision, now_us() + 11 * YEAR_US),
            forge(&dump, fence, (1 << 53) - 1),
            forge(&dump, fence, fence + 11 * fence_of_year),
        ] {
            assert!(restore(&payload).is_error());
        }
        assert_eq!(restore(&forge(&dump, revision, now_us() + 9 * YEAR_US)), Reply::ok());
        assert_eq!(restore(&forge(&dump, fence, fence + 9 * fence_of_year)), Reply::ok());
        conn.must(&["DEL", "evil"]);
        let late = conn.must(&["MODEL.SET", "late", "any", r#"{"n":0}"#]).int() as u64;
        assert!(late > now_us() + 8 * YEAR_US);
        let lock = conn.must(&["MODEL.LOCK", "late", "n", "o"]);
        assert!(lock.array()[0].int() as u64 > fence + 8 * fence_of_year);
        check_goes_on(&server, &replica, &other);
    });
}

/// Everybody reads what the server writes.
fn check_goes_on(server: &Server, replica: &Server, other: &Server) {
    replica.wait_for_sync(server);
    assert_eq!(replica.debug_digest(), server.debug_digest());
    let conn = &mut server.conn();
    conn.must(&["DEBUG", "RELOAD"]);
    for preamble in ["yes", "no"] {
        conn.must(&["CONFIG", "SET", "aof-use-rdb-preamble", preamble, "appendonly", "yes"]);
        server.wait_for_aof();
        conn.must(&["DEBUG", "LOADAOF"]);
        conn.must(&["CONFIG", "SET", "appendonly", "no"]);
    }
    let before = conn.must(&["MODEL.META", "late"]).field("revision").int();
    replica.must(&["REPLICAOF", "NO", "ONE"]);
    replica.must(&["FLUSHALL"]);
    replica.replica_of(server);
    assert_eq!(replica.debug_digest(), server.debug_digest());
    let port = other.port.to_string();
    conn.must(&["MIGRATE", "127.0.0.1", &port, "late", "0", "20000", "COPY"]);
    assert!(change(&mut other.conn(), "late", "1") > before);
    server.restart();
    assert!(change(&mut server.conn(), "late", "1") > before);
}

/// A client has no business with it, and cannot do harm with it either.
#[test]
fn an_effect_that_a_client_forged_does_no_harm() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.SET", "a", "any", "1"]);
        for (revision, is_refused) in
            [((1 << 53) - 1, true), (now_us() + 11 * YEAR_US, true), (now_us() + YEAR_US, false)]
        {
            let (expiry, change) = (Expiry::Keep, Change::Touch);
            let effect = Effect { revision, expiry, change }.encode();
            let told = conn.call_bytes(&[b"MODEL.APPLY", b"a", &effect]);
            assert_eq!(told.is_error(), is_refused, "{told:?}");
        }
        conn.must(&["MODEL.SET", "b", "any", "1"]);
        conn.must(&["DEBUG", "RELOAD"]);
    });
}
