//! Thousands of locks that end with one event: all of them end, also on replicas, and meanwhile other clients
//! are served and find expired grants released.

use crate::harness::{Server, on_every_flavor};
use crate::locking::{LONG, PATIENCE, check_idle, fence, lock, make};
use crate::resp::Conn;
use crate::valgrind::patience;

const COUNT: usize = 12_000;

fn pipeline(conn: &mut Conn, commands: impl Iterator<Item = Vec<String>>) {
    let commands: Vec<Vec<String>> = commands.collect();
    let commands: Vec<Vec<&[u8]>> = commands
        .iter()
        .map(|command| command.iter().map(|word| word.as_bytes()).collect())
        .collect();
    for part in commands.chunks(500) {
        let replies = conn.pipeline(part);
        assert!(replies.iter().all(|reply| !reply.is_error()));
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn on_every_pair(body: impl Fn(&Server, &Server) + Sync) {
    on_every_flavor(|flavor| {
        let (master, replica) = (Server::start(flavor, &[]), Server::start(flavor, &[]));
        replica.replica_of(&master);
        body(&master, &replica);
    });
}

#[track_caller]
fn check_ended(master: &Server, replica: &Server) {
    check_idle(master);
    replica.wait_for_sync(master);
    assert_eq!(replica.info("model_locks_held"), "0");
    assert_eq!(replica.debug_digest(), master.debug_digest());
}

#[test]
fn a_connection_with_thousands_of_ephemeral_locks_closes() {
    on_every_pair(|master, replica| {
        let conn = &mut master.conn();
        pipeline(conn, (0..COUNT).map(|nth| words(&format!("MODEL.SET k{nth} any {{}}"))));
        let mut holder = master.conn();
        let take = |nth| words(&format!("MODEL.LOCK k{nth} n gone EPHEMERAL LEASE {LONG}"));
        pipeline(&mut holder, (0..COUNT).map(take));
        assert_eq!(master.info("model_locks_held"), COUNT.to_string());
        drop(holder);
        master
            .wait_until("the first ends", || master.info("model_locks_held") != COUNT.to_string());
        for key in [0, COUNT / 2, COUNT - 1].map(|nth| format!("k{nth}")) {
            let granted = lock(conn, &key, "new");
            conn.must(&["MODEL.UNLOCK", &key, "n", "new", &granted]);
        }
        check_ended(master, replica);
    });
}

#[test]
fn thousands_of_leases_end_together() {
    on_every_pair(|master, replica| {
        let conn = &mut master.conn();
        pipeline(conn, (0..COUNT).map(|nth| words(&format!("MODEL.SET k{nth} any {{}}"))));
        let take = |nth| words(&format!("MODEL.LOCK k{nth} n late LEASE 3000"));
        pipeline(conn, (0..COUNT).map(take));
        check_ended(master, replica);
        assert_eq!(master.info("model_lock_leases_expired"), COUNT.to_string());
    });
}

#[test]
fn a_document_that_hundreds_want_with_many_others_is_deleted() {
    on_every_pair(|master, replica| {
        let conn = &mut master.conn();
        let keys: Vec<String> = (0..200).map(|nth| format!("k{nth}")).collect();
        keys.iter().for_each(|key| make(conn, key));
        lock(conn, "k0", "holder");
        let mut waiters: Vec<Conn> = (0..100).map(|_| master.conn()).collect();
        for (nth, waiter) in waiters.iter_mut().enumerate() {
            let owner = nth.to_string();
            let all = keys.iter().map(String::as_str);
            let command: Vec<&str> = ["MODEL.MLOCK", "200"].into_iter().chain(all).collect();
            waiter.send(&[&command[..], &["n", &owner, "WAIT", LONG]].concat());
        }
        master.wait_until("all wait", || master.info("model_lock_waiters") == "100");
        let mut behind = master.conn();
        behind.send(&["MODEL.LOCK", "k7", "n", "behind", "WAIT", LONG]);
        master.wait_until("it waits", || master.info("model_lock_waiters") == "101");
        conn.must(&["DEL", "k0"]);
        for waiter in &mut waiters {
            let told = waiter.recv_within(patience(PATIENCE)).expect("it is answered");
            assert_eq!(told.error_word(), "NOKEY");
        }
        let granted = fence(&behind.recv_within(patience(PATIENCE)).expect("it is granted"));
        conn.must(&["MODEL.UNLOCK", "k7", "n", "behind", &granted]);
        check_ended(master, replica);
    });
}
