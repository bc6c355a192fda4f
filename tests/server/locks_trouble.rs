//! Locks during eviction, pauses, failovers and reloads, and with clients that disconnect or time out at the moment
//! of a grant. Every waiting request is answered, grants are kept, and replicas have the same ones.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::harness::{Server, on_every_flavor, on_every_server, on_every_server_with};
use crate::locking::{
    LONG, PATIENCE, Stops, answer, check_idle, fence, lock, make, number, owners, save, unlock,
    until_waiting, wait,
};
use crate::resp::{Conn, Reply};

const EMPTY: &str = r#"{"a":0}"#;
/// A master whose replication stream contains the writes of the tests alone.
const QUIET: &str = "repl-ping-replica-period 3600";

fn on_every_pair(body: impl Fn(&Server, &Server) + Sync) {
    on_every_flavor(|flavor| {
        let (master, replica) = (Server::start(flavor, &[QUIET]), Server::start(flavor, &[QUIET]));
        replica.replica_of(&master);
        body(&master, &replica);
    });
}

#[track_caller]
fn check_equal(master: &Server, replica: &Server) {
    replica.wait_for_sync(master);
    assert_eq!(replica.debug_digest(), master.debug_digest());
}

/// Pauses the server until the holder's lease has ended.
fn pause(conn: &mut Conn, held: &str, pause: &[&str]) {
    conn.must(&["MULTI"]);
    conn.must(&["MODEL.RENEW", "k", "n", "holder", held, "LEASE", "50"]);
    conn.must(&[&["CLIENT", "PAUSE"], pause].concat());
    assert!(conn.must(&["EXEC"]).array().iter().all(|reply| !reply.is_error()));
}

fn sleep_past_lease() {
    thread::sleep(Duration::from_millis(150));
}

#[track_caller]
fn check_still_waits(conn: &mut Conn) {
    assert_eq!(conn.recv_within(Duration::from_millis(100)), None);
}

#[track_caller]
fn release(conn: &mut Conn, key: &str, owner: &str, fence: &str) {
    save(conn, key, owner, fence, &[]);
}

#[test]
fn eviction_of_a_document_ends_its_waiting_requests() {
    on_every_server_with(&["maxmemory-policy allkeys-random"], |server| {
        let conn = &mut server.conn();
        ["a", "b"].iter().for_each(|key| make(conn, key));
        let held = ["a", "b"].map(|key| lock(conn, key, "holder"));
        let mut waiters = Vec::from(["a", "b", "a"].map(|key| wait(server, key, "w")));
        let mut both = server.conn();
        both.send(&["MODEL.MLOCK", "2", "a", "b", "n", "both", "WAIT", LONG]);
        waiters.push(both);
        until_waiting(server, 4);
        conn.must(&["CONFIG", "SET", "maxmemory", "1"]);
        // The server evicts all keys, because memory stays too small.
        assert_eq!(conn.call(&["MODEL.LOCK", "a", "n", "late", "WAIT", LONG]).error_word(), "OOM");
        for waiter in &mut waiters {
            assert_eq!(answer(waiter).error_word(), "NOKEY");
        }
        conn.must(&["CONFIG", "SET", "maxmemory", "0"]);
        assert_eq!(conn.must(&["DBSIZE"]), Reply::Int(0));
        check_idle(server);
        make(conn, "a");
        assert!(number(&lock(conn, "a", "new")) > number(&held[1]), "fences grow");
    });
}

#[test]
fn nothing_is_granted_while_writes_are_paused() {
    on_every_pair(|master, replica| {
        let conn = &mut master.conn();
        make(conn, "k");
        let held = lock(conn, "k", "holder");
        let [mut first, gone, mut last] = ["first", "gone", "last"].map(|w| wait(master, "k", w));
        let mut ephemeral = master.conn();
        ephemeral.must(&["MODEL.LOCK", "k", "e", "e", "EPHEMERAL", "LEASE", LONG]);
        let mut late = master.conn();
        late.send(&["MODEL.LOCK", "k", "n", "late", "WAIT", "3000"]);
        until_waiting(master, 4);
        pause(conn, &held, &[LONG, "WRITE"]);
        let sent = master.info("master_repl_offset");
        drop((gone, ephemeral));
        sleep_past_lease();
        // Reads are served, and show no change.
        assert_eq!(owners(conn, "k"), ["holder"]);
        assert_eq!(conn.must(&["MODEL.META", "k"]).field("locks"), &Reply::Int(2));
        check_still_waits(&mut first);
        check_still_waits(&mut last);
        assert_eq!(answer(&mut late), Reply::Null, "its time is up all the same");
        assert_eq!(master.info("master_repl_offset"), sent);
        conn.must(&["CLIENT", "UNPAUSE"]);
        let granted = fence(&answer(&mut first));
        assert!(number(&granted) > number(&held));
        release(conn, "k", "first", &granted);
        let granted = fence(&answer(&mut last));
        check_equal(master, replica);
        release(conn, "k", "last", &granted);
        check_idle(master);
        check_equal(master, replica);
    });
}

#[test]
fn nothing_is_granted_while_everything_is_paused() {
    on_every_pair(|master, replica| {
        let conn = &mut master.conn();
        make(conn, "k");
        let held = lock(conn, "k", "holder");
        let mut waiter = wait(master, "k", "w");
        let there = &mut replica.conn();
        replica.wait_for_sync(master);
        pause(conn, &held, &["3000", "ALL"]);
        sleep_past_lease();
        check_still_waits(&mut waiter);
        assert_eq!(owners(there, "k"), ["holder"]);
        let granted = fence(&answer(&mut waiter));
        check_equal(master, replica);
        assert_eq!(owners(there, "k"), ["w"]);
        release(conn, "k", "w", &granted);
        check_idle(master);
    });
}

/// The first command after the pause is a request, which ends the lease itself.
#[test]
fn a_client_that_disconnects_during_a_pause_is_not_granted_after_it() {
    on_every_pair(|master, replica| {
        let conn = &mut master.conn();
        make(conn, "k");
        let held = lock(conn, "k", "holder");
        let gone = wait(master, "k", "gone");
        pause(conn, &held, &[LONG, "WRITE"]);
        drop(gone);
        let mut next = master.conn();
        next.send(&["MODEL.LOCK", "k", "n", "next", "LEASE", LONG, "WAIT", LONG]);
        sleep_past_lease();
        conn.must(&["CLIENT", "UNPAUSE"]);
        let granted = fence(&answer(&mut next));
        release(conn, "k", "next", &granted);
        check_idle(master);
        check_equal(master, replica);
    });
}

/// A transaction that pauses writes may still write.
#[test]
fn a_lock_of_the_transaction_that_pauses_is_replicated_with_it() {
    on_every_pair(|master, replica| {
        let conn = &mut master.conn();
        make(conn, "k");
        let held = lock(conn, "k", "holder");
        let mut waiter = wait(master, "k", "w");
        conn.must(&["MULTI"]);
        conn.must(&["CLIENT", "PAUSE", LONG, "WRITE"]);
        conn.must(&["MODEL.LOCK", "k", "other", "o", "LEASE", LONG]);
        unlock(conn, "k", "holder", &held);
        assert!(conn.must(&["EXEC"]).array().iter().all(|reply| !reply.is_error()));
        let granted = fence(&answer(&mut waiter));
        check_equal(master, replica);
        conn.must(&["CLIENT", "UNPAUSE"]);
        release(conn, "k", "w", &granted);
        conn.must(&["MODEL.UNLOCK", "k", "other", "FORCE"]);
        check_idle(master);
        check_equal(master, replica);
    });
}

/// Begins a failover, which a master refuses until its replica has acknowledged all writes.
fn hand_over(from: &Server, to: &Server) {
    from.wait_until("the replica is online", || from.info("slave0").contains("state=online"));
    from.must(&["FAILOVER", "TO", "127.0.0.1", &to.port.to_string()]);
}

#[test]
fn a_failover_answers_all_waiting_requests_and_keeps_the_locks() {
    on_every_pair(|one, other| {
        let conn = &mut one.conn();
        make(conn, "k");
        let held = lock(conn, "k", "holder");
        let mut ephemeral = one.conn();
        ephemeral.must(&["MODEL.LOCK", "k", "e", "e", "EPHEMERAL", "LEASE", LONG]);
        let mut waiters = ["a", "b"].map(|owner| wait(one, "k", owner));
        other.wait_for_sync(one);
        hand_over(one, other);
        for waiter in &mut waiters {
            // The server replies an error, or disconnects the client.
            let told = waiter.try_recv(PATIENCE);
            assert!(told.map_or(true, |reply| reply.is_some_and(|reply| reply.is_error())));
        }
        other.wait_until("it is the master", || other.info("role") == "master");
        one.wait_until("it is a replica", || one.info("master_link_status") == "up");
        assert_eq!(one.info("model_lock_waiters"), "0");
        // The new master does not know the connection.
        let there = &mut other.conn();
        let mut next = wait(other, "k", "next");
        other.wait_until("it has ended", || other.info("model_locks_held") == "1");
        drop(ephemeral);
        check_equal(other, one);
        release(there, "k", "holder", &held);
        let granted = fence(&answer(&mut next));
        assert!(number(&granted) > number(&held));
        check_equal(other, one);
        release(there, "k", "next", &granted);
        check_idle(other);
        check_equal(other, one);
    });
}

/// Sends the command to the one of two servers that is the master.
fn call_master(servers: [&Server; 2], at: &mut (usize, Conn), command: &[&str]) -> Reply {
    loop {
        let reply = at.1.call(command);
        if !reply.is_error() || !["READONLY", "UNBLOCKED"].contains(&reply.error_word()) {
            return reply;
        }
        // A client whose waiting ends here is disconnected as well.
        at.0 = 1 - at.0;
        at.1 = servers[at.0].conn();
    }
}

#[test]
fn failovers_under_clients_that_hold_and_wait_lose_nothing() {
    on_every_pair(|one, other| {
        make(&mut one.conn(), "k");
        let (stop, counted) = (AtomicBool::new(false), AtomicU64::new(0));
        thread::scope(|scope| {
            let _stops = Stops(&stop);
            for nth in 0..4 {
                let (stop, counted) = (&stop, &counted);
                scope.spawn(move || {
                    let (servers, mut at) = ([one, other], (0, one.conn()));
                    let owner = nth.to_string();
                    while !stop.load(Ordering::Relaxed) {
                        let request = ["MODEL.LOCK", "k", "n", &owner, "WAIT", LONG];
                        let held = fence(&call_master(servers, &mut at, &request));
                        let grant = ["n", &owner, &held];
                        let save = [&["MODEL.FIELDOP", "k", "HOLDING"], &grant[..]].concat();
                        let save = [&save[..], &["INCR", "$.n", "1", "RELEASE"], &grant].concat();
                        let saved = call_master(servers, &mut at, &save);
                        assert!(!saved.is_error(), "{saved:?}");
                        counted.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            for round in 0..4 {
                let (from, to) = if round % 2 == 0 { (one, other) } else { (other, one) };
                let before = counted.load(Ordering::Relaxed);
                to.wait_until("they work", || counted.load(Ordering::Relaxed) > before + 10);
                hand_over(from, to);
                from.wait_until("it is a replica", || {
                    to.info("role") == "master" && from.info("master_link_status") == "up"
                });
            }
        });
        let found = one.must(&["MODEL.GET", "k", "$.n"]);
        assert_eq!(found.text(), (counted.into_inner() + 1).to_string());
        check_idle(one);
        check_equal(one, other);
    });
}

/// A granted client disconnects, and its server becomes a replica before it can release the lock.
#[test]
fn a_replica_ends_no_lock_by_itself() {
    on_every_pair(|one, other| {
        let conn = &mut one.conn();
        make(conn, "k");
        let held = lock(conn, "k", "holder");
        let mut gone = one.conn();
        let id = gone.must(&["CLIENT", "ID"]).int().to_string();
        gone.send(&["MODEL.LOCK", "k", "n", "gone", "LEASE", LONG, "WAIT", LONG]);
        until_waiting(one, 1);
        let port = other.port.to_string();
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let replies = conn.pipeline::<String>(&[
            words(&["MODEL.UNLOCK", "k", "n", "holder", &held]),
            words(&["CLIENT", "KILL", "ID", &id]),
            words(&["REPLICAOF", "127.0.0.1", &port]),
        ]);
        assert!(replies.iter().all(|reply| !reply.is_error()), "{replies:?}");
        one.must(&["MODEL.LOCKS", "k"]);
        other.must(&["REPLICAOF", "NO", "ONE"]);
        check_equal(other, one);
        other.must(&["MODEL.UNLOCK", "k", "n", "FORCE"]);
        check_idle(other);
        check_equal(other, one);
    });
}

#[test]
fn reloading_the_data_ends_waiting_requests_and_keeps_the_locks() {
    on_every_server_with(&["appendonly yes", "appendfsync always"], |server| {
        let conn = &mut server.conn();
        make(conn, "k");
        let mut held = lock(conn, "k", "holder");
        for reload in [&["DEBUG", "RELOAD"][..], &["DEBUG", "LOADAOF"]] {
            let mut waiters = ["a", "b"].map(|owner| wait(server, "k", owner));
            conn.must(reload);
            for waiter in &mut waiters {
                assert_eq!(answer(waiter).error_word(), "NOKEY", "{reload:?}");
            }
            assert_eq!(owners(conn, "k"), ["holder"], "{reload:?}");
            let mut next = wait(server, "k", "holder's next");
            release(conn, "k", "holder", &held);
            let granted = fence(&answer(&mut next));
            assert!(number(&granted) > number(&held));
            release(conn, "k", "holder's next", &granted);
            check_idle(server);
            held = lock(conn, "k", "holder");
        }
    });
}

#[test]
fn requests_keep_waiting_while_the_aof_is_rewritten() {
    for preamble in ["aof-use-rdb-preamble yes", "aof-use-rdb-preamble no"] {
        let config = ["appendonly yes", "appendfsync always", preamble];
        on_every_server_with(&config, |server| {
            let conn = &mut server.conn();
            make(conn, "k");
            let held = lock(conn, "k", "holder");
            let mut waiters = ["a", "b"].map(|owner| wait(server, "k", owner));
            server.begin_aof_rewrite();
            release(conn, "k", "holder", &held);
            let granted = fence(&answer(&mut waiters[0]));
            server.wait_for_aof();
            check_still_waits(&mut waiters[1]);
            let digest = server.debug_digest();
            server.kill9();
            server.restart();
            assert_eq!(server.debug_digest(), digest);
            let conn = &mut server.conn();
            assert_eq!(owners(conn, "k"), ["a"]);
            release(conn, "k", "a", &granted);
            check_idle(server);
        });
    }
}

#[test]
fn a_full_sync_replaces_the_locks_of_a_replica() {
    for load in ["repl-diskless-load disabled", "repl-diskless-load swapdb"] {
        on_every_flavor(|flavor| {
            let config = [QUIET, "repl-diskless-sync yes", load];
            let (master, replica) =
                (Server::start(flavor, &config), Server::start(flavor, &config));
            let (conn, there) = (&mut master.conn(), &mut replica.conn());
            ["k", "short"].iter().for_each(|key| make(conn, key));
            let held = lock(conn, "k", "master's");
            conn.must(&["MODEL.LOCK", "short", "n", "s", "LEASE", "3000"]);
            // Of another database: it ends by its lease.
            conn.must(&["SELECT", "2"]);
            make(conn, "other");
            conn.must(&["MODEL.LOCK", "other", "n", "s", "LEASE", "3000"]);
            conn.must(&["SELECT", "0"]);
            ["k", "mine"].iter().for_each(|key| make(there, key));
            lock(there, "k", "mine");
            lock(there, "mine", "mine");
            there.must(&["MODEL.LOCK", "k", "e", "e", "EPHEMERAL", "LEASE", LONG]);
            let mut waiters = ["k", "mine"].map(|key| wait(&replica, key, "w"));
            replica.replica_of(&master);
            for waiter in &mut waiters {
                let told = waiter.try_recv(PATIENCE);
                assert!(told.map_or(true, |reply| reply.is_some_and(|reply| reply.is_error())));
            }
            check_equal(&master, &replica);
            replica.wait_until("only the master's are held", || {
                replica.must(&["MODEL.LOCKS", "k"]);
                replica.info("model_locks_held") == "3" && replica.info("model_lock_waiters") == "0"
            });
            // The replica is promoted: leases start anew, and its former locks are forgotten.
            master.kill9();
            there.must(&["REPLICAOF", "NO", "ONE"]);
            let mut next = ["k", "short"].map(|key| wait(&replica, key, "next"));
            release(there, "k", "master's", &held);
            let fences = [0, 1].map(|nth| fence(&answer(&mut next[nth])));
            for (key, granted) in ["k", "short"].iter().zip(&fences) {
                release(there, key, "next", granted);
            }
            check_idle(&replica);
        });
    }
}

/// The same owner on another connection gets the same grant: releasing it when the first connection turns out to
/// be closed would take it from a client that was told of it.
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
            until_waiting(server, 1);
            // The server reads all commands at once; while the first one runs, the client disconnects.
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

/// `WAIT` ends at the moment of the grant.
#[test]
fn a_client_that_times_out_during_its_grant_is_answered() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.SET", "k", "any", EMPTY]);
        let mut timeouts = 0;
        for lease in [LONG, "5000"] {
            let granted = conn.must(&["MODEL.LOCK", "k", "a", "holder", "LEASE", LONG]);
            let held = granted.array()[0].int().to_string();
            let mut waiter = server.conn();
            waiter.send(&["MODEL.LOCK", "k", "a", "late", "LEASE", lease, "WAIT", "900"]);
            // On a busy machine its time may be up before it is seen to wait.
            let times_out = || server.info("model_lock_timeouts") != timeouts.to_string();
            let waits = || server.info("model_lock_waiters") == "1" || times_out();
            server.wait_until("it waits", waits);
            conn.pipeline(&[
                vec!["DEBUG", "SLEEP", "1"],
                vec!["MODEL.UNLOCK", "k", "a", "holder", &held],
            ]);
            let answer = answer(&mut waiter);
            if answer == Reply::Null {
                timeouts += 1;
            } else {
                let fence = answer.array()[0].int().to_string();
                conn.must(&["MODEL.UNLOCK", "k", "a", "late", &fence]);
            }
            check_idle(server);
        }
    });
}

/// A command that arrives before the server has processed the disconnection grants nothing to that client.
#[test]
fn a_disconnected_client_is_granted_nothing() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.SET", "k", "any", EMPTY]);
        conn.must(&["MODEL.SET", "other", "any", EMPTY]);
        let granted = conn.must(&["MODEL.LOCK", "k", "a", "holder", "LEASE", LONG]);
        let held = granted.array()[0].int().to_string();
        let mut gone = server.conn();
        let id = gone.must(&["CLIENT", "ID"]).int().to_string();
        gone.send(&["MODEL.LOCK", "k", "a", "gone", "LEASE", "600000", "WAIT", LONG]);
        until_waiting(server, 1);
        // The lease has expired and the waiting client is disconnected when the next command arrives.
        conn.pipeline(&[
            vec!["MODEL.RENEW", "k", "a", "holder", &held, "LEASE", "150"],
            vec!["DEBUG", "SLEEP", "0.2"],
            vec!["CLIENT", "KILL", "ID", &id],
            vec!["MODEL.LOCK", "other", "a", "next", "LEASE", "1"],
        ]);
        assert_eq!(conn.must(&["MODEL.LOCKS", "k"]), Reply::Array(Vec::new()));
        check_idle(server);
    });
}
