//! Whoever leaves, or whose time is up, just when somebody else acts: what was decided for a client
//! that is gone does not bind others, and a client that is there is answered.

use std::thread;
use std::time::Duration;

use crate::harness::{Server, on_every_server};
use crate::resp::Reply;

const EMPTY: &str = r#"{"a":0}"#;
const LONG: &str = "60000";

fn check_idle(server: &Server) {
    for field in ["model_lock_waiters", "model_locks_held", "blocked_clients"] {
        server.wait_until(&format!("{field} is 0"), || server.info(field) == "0");
    }
}

/// The same owner on another connection is given the same grant: that it ends when the first
/// connection turns out to be gone would take it from one who was told of it.
#[test]
fn a_grant_that_was_asked_for_again_outlives_the_client_that_hung_up() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.SET", "k", "any", EMPTY]);
        for is_killed in [true, false] {
            let granted = conn.must(&["MODEL.LOCK", "k", "a", "holder", "LEASE", LONG]);
            let held = granted.array()[0].int().to_string();
            let mut gone = server.conn();
            let id = gone.must(&["CLIENT", "ID"]).int().to_string();
            gone.send(&["MODEL.LOCK", "k", "a", "again", "LEASE", LONG, "WAIT", LONG]);
            server.wait_until("it waits", || server.info("model_lock_waiters") == "1");
            // All are read at once, and while the first one takes its time the client hangs up.
            let mut commands = vec![
                vec!["DEBUG", "SLEEP", "0.1"],
                vec!["MODEL.UNLOCK", "k", "a", "holder", &held],
                vec!["MODEL.LOCK", "k", "a", "again", "LEASE", LONG],
            ];
            if is_killed {
                commands.insert(2, vec!["CLIENT", "KILL", "ID", &id]);
            }
            let replies = thread::scope(|scope| {
                let replies = scope.spawn(|| conn.pipeline(&commands));
                thread::sleep(Duration::from_millis(50));
                if !is_killed {
                    drop(gone);
                }
                replies.join().expect("they are answered")
            });
            let again = replies.last().expect("a reply").array()[0].int().to_string();
            thread::sleep(Duration::from_millis(20));
            let write = ["MODEL.FIELDOP", "k", "HOLDING", "a", "again", &again, "INCR", "$.a", "1"];
            let release = ["RELEASE", "a", "again", &again];
            conn.must(&[&write[..], &release].concat());
            check_idle(server);
        }
    });
}

/// Its time is up just when it is granted.
#[test]
fn a_client_whose_time_is_up_when_it_is_granted_is_answered() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.SET", "k", "any", EMPTY]);
        for lease in [LONG, "5000"] {
            let granted = conn.must(&["MODEL.LOCK", "k", "a", "holder", "LEASE", LONG]);
            let held = granted.array()[0].int().to_string();
            let mut waiter = server.conn();
            waiter.send(&["MODEL.LOCK", "k", "a", "late", "LEASE", lease, "WAIT", "100"]);
            server.wait_until("it waits", || server.info("model_lock_waiters") == "1");
            conn.pipeline(&[
                vec!["DEBUG", "SLEEP", "0.2"],
                vec!["MODEL.UNLOCK", "k", "a", "holder", &held],
            ]);
            let answer = waiter.recv_within(Duration::from_secs(5));
            let answer = answer.expect("who waits is answered");
            if answer != Reply::Null {
                let fence = answer.array()[0].int().to_string();
                conn.must(&["MODEL.UNLOCK", "k", "a", "late", &fence]);
            }
            check_idle(server);
        }
    });
}

/// Who left is granted nothing by a command that comes before the server has put that in order.
#[test]
fn who_left_is_granted_nothing() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.SET", "k", "any", EMPTY]);
        conn.must(&["MODEL.SET", "other", "any", EMPTY]);
        conn.must(&["MODEL.LOCK", "k", "a", "holder", "LEASE", "150"]);
        let mut gone = server.conn();
        let id = gone.must(&["CLIENT", "ID"]).int().to_string();
        gone.send(&["MODEL.LOCK", "k", "a", "gone", "LEASE", "600000", "WAIT", LONG]);
        server.wait_until("it waits", || server.info("model_lock_waiters") == "1");
        // The holder's lease is over when the waiter is gone and the next command comes.
        conn.pipeline(&[
            vec!["DEBUG", "SLEEP", "0.2"],
            vec!["CLIENT", "KILL", "ID", &id],
            vec!["MODEL.LOCK", "other", "a", "next", "LEASE", "1"],
        ]);
        assert_eq!(conn.must(&["MODEL.LOCKS", "k"]), Reply::Array(Vec::new()));
        check_idle(server);
    });
}
