//! Operations of the tests of locks on servers: take a lock, wait for one, read the holders.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::harness::Server;
use crate::resp::{Conn, Reply};
use crate::valgrind::patience;

pub const PATIENCE: Duration = Duration::from_secs(20);
pub const LONG: &str = "60000";

pub fn make(conn: &mut Conn, key: &str) {
    conn.must(&["MODEL.SET", key, "any", r#"{"n":1}"#]);
}

pub fn fence(reply: &Reply) -> String {
    reply.array()[0].int().to_string()
}

pub fn number(fence: &str) -> u64 {
    fence.parse().expect("a fence is a number")
}

/// Takes a lock that is free.
pub fn lock(conn: &mut Conn, key: &str, owner: &str) -> String {
    fence(&conn.must(&["MODEL.LOCK", key, "n", owner, "LEASE", LONG]))
}

/// Releases a lock.
#[track_caller]
pub fn unlock(conn: &mut Conn, key: &str, owner: &str, fence: &str) {
    conn.must(&["MODEL.UNLOCK", key, "n", owner, fence]);
}

/// Saves under a lock and releases it in the same step.
#[track_caller]
pub fn save(conn: &mut Conn, key: &str, owner: &str, fence: &str, statements: &[&str]) {
    let grant = ["n", owner, fence];
    let held = [&["MODEL.FIELDOP", key, "HOLDING"], &grant[..], statements].concat();
    conn.must(&[&held[..], &["RELEASE"], &grant].concat());
}

/// A client that waits for a lock.
pub fn wait(server: &Server, key: &str, owner: &str) -> Conn {
    let waiting: u64 = server.info("model_lock_waiters").parse().unwrap();
    let mut conn = server.conn();
    conn.send(&["MODEL.LOCK", key, "n", owner, "LEASE", LONG, "WAIT", LONG, "GET"]);
    until_waiting(server, waiting + 1);
    conn
}

/// Waits until so many requests wait.
#[track_caller]
pub fn until_waiting(server: &Server, count: u64) {
    let count = count.to_string();
    server.wait_until(&format!("{count} wait"), || server.info("model_lock_waiters") == count);
}

#[track_caller]
pub fn answer(conn: &mut Conn) -> Reply {
    conn.recv_within(patience(PATIENCE)).expect("a client that waits is answered")
}

pub fn owners(conn: &mut Conn, key: &str) -> Vec<String> {
    let locks = conn.must(&["MODEL.LOCKS", key, "n"]);
    let holders = locks.array().first().map(|lock| lock.field("holders").array().to_vec());
    let owner = |holder: &Reply| holder.array()[0].text().to_owned();
    holders.unwrap_or_default().iter().map(owner).collect()
}

/// Asserts that no lock is held and no request waits.
pub fn check_idle(server: &Server) {
    server.wait_until("nothing is left", || {
        server.info("model_lock_waiters") == "0" && server.info("model_locks_held") == "0"
    });
    server.wait_until("no client is blocked", || server.info("blocked_clients") == "0");
}

/// Tells other threads to stop when it is dropped: a test that fails does not leave them at work.
pub struct Stops<'a>(pub &'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
