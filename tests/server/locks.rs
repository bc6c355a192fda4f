//! Locks on real servers: every waiting request is granted, times out or fails with an error that names the
//! reason, and no lock or request is left at the end.

use std::time::{Duration, Instant};

use crate::harness::{Flavor, Server, on_every_flavor, on_every_server, on_every_server_with};
use crate::locking::{
    LONG, PATIENCE, answer, check_idle, fence, lock, make, number, owners, save, unlock,
    until_waiting, wait,
};
use crate::resp::{Conn, Reply};

#[test]
fn waiting_requests_are_granted_in_order_and_see_saved_changes() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        make(conn, "k");
        let mut held = lock(conn, "k", "first");
        let mut waiters: Vec<_> = (0..5).map(|nth| wait(server, "k", &format!("w{nth}"))).collect();
        for (nth, waiter) in waiters.iter_mut().enumerate() {
            let owner = if nth == 0 { "first".into() } else { format!("w{}", nth - 1) };
            // Saved and released in one step; the next one has the lock before this reply is read.
            save(conn, "k", &owner, &held, &["INCR", "$.n", "1"]);
            assert_eq!(owners(conn, "k"), [format!("w{nth}")]);
            let granted = answer(waiter);
            assert!(number(&fence(&granted)) > number(&held), "fences grow");
            assert_eq!(granted.array()[1].int(), 60_000);
            assert_eq!(granted.array()[3].json()["n"], nth as i64 + 2);
            held = fence(&granted);
        }
        unlock(conn, "k", "w4", &held);
        check_idle(server);
        assert_eq!(server.info("model_lock_grants"), "6");
    });
}

#[test]
fn every_removal_of_a_document_ends_its_waiting_requests() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        let mut holder = server.conn();
        let ends: [(&str, &[&[&str]], &str); 11] = [
            ("DEL", &[&["DEL", "k"]], "NOKEY"),
            ("UNLINK", &[&["UNLINK", "k"]], "NOKEY"),
            ("expiry", &[&["PEXPIRE", "k", "20"]], "NOKEY"),
            ("RENAME", &[&["RENAME", "k", "other"]], "NOKEY"),
            ("overwritten", &[&["SET", "k", "text"]], "NOKEY"),
            ("moved", &[&["MOVE", "k", "1"]], "NOKEY"),
            ("FLUSHALL", &[&["FLUSHALL"]], "NOKEY"),
            ("FLUSHDB", &[&["FLUSHDB", "ASYNC"]], "NOKEY"),
            ("SWAPDB", &[&["SWAPDB", "0", "2"]], "NOKEY"),
            ("deleted in a transaction", &[&["MODEL.TXN", "1", "k", "ON", "k", "DELETE"]], "NOKEY"),
            (
                "deleted and made again",
                &[&["MODEL.TXN", "1", "k", "ON", "k", "DELETE", "CREATE", "any", "{}"]],
                "NOKEY",
            ),
        ];
        for (what, commands, word) in ends {
            conn.must(&["FLUSHALL"]);
            make(conn, "k");
            lock(&mut holder, "k", "holder");
            let mut waiters = ["a", "b"].map(|owner| wait(server, "k", owner));
            for command in commands {
                conn.must(command);
            }
            for waiter in &mut waiters {
                assert_eq!(answer(waiter).error_word(), word, "{what}");
                // The connection can be used as before.
                waiter.must(&["PING"]);
            }
            until_waiting(server, 0);
        }
        conn.must(&["FLUSHALL"]);
        check_idle(server);
    });
}

#[test]
fn a_client_that_stops_waiting_leaves_nothing_behind() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        make(conn, "k");
        let held = lock(conn, "k", "holder");
        let timed = conn.call(&["MODEL.LOCK", "k", "n", "late", "WAIT", "30"]);
        assert_eq!(timed, Reply::Null, "the time is up");
        let id = |conn: &mut Conn| conn.must(&["CLIENT", "ID"]).int().to_string();
        let send = |conn: &mut Conn, owner: &str| {
            conn.send(&["MODEL.LOCK", "k", "n", owner, "WAIT", LONG]);
        };
        let mut clients = [(); 4].map(|()| server.conn());
        let ids = [0, 1, 2, 3].map(|nth| id(&mut clients[nth]));
        for (nth, client) in clients.iter_mut().enumerate() {
            send(client, &nth.to_string());
        }
        until_waiting(server, 4);
        conn.must(&["CLIENT", "UNBLOCK", &ids[0], "TIMEOUT"]);
        assert_eq!(answer(&mut clients[0]), Reply::Null);
        conn.must(&["CLIENT", "UNBLOCK", &ids[1], "ERROR"]);
        assert!(answer(&mut clients[1]).error().starts_with("UNBLOCKED"));
        conn.must(&["CLIENT", "KILL", "ID", &ids[2]]);
        let [first, _, _, last] = clients;
        drop(last);
        until_waiting(server, 0);
        // A client that waited once can wait again.
        let mut first = first;
        send(&mut first, "again");
        until_waiting(server, 1);
        unlock(conn, "k", "holder", &held);
        let granted = answer(&mut first);
        unlock(conn, "k", "again", &fence(&granted));
        check_idle(server);
    });
}

#[test]
fn a_grant_of_a_disconnected_client_goes_to_the_next_request() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        make(conn, "k");
        for round in 0..20 {
            let held = lock(conn, "k", "holder");
            let mut gone = server.conn();
            let id = gone.must(&["CLIENT", "ID"]).int().to_string();
            gone.send(&["MODEL.LOCK", "k", "n", "gone", "LEASE", LONG, "WAIT", LONG]);
            until_waiting(server, 1);
            let mut next = wait(server, "k", "next");
            let free = ["MODEL.UNLOCK", "k", "n", "holder", &held].map(str::as_bytes).to_vec();
            if round % 2 == 0 {
                // The client is granted the lock and killed before the server replies.
                let kill = ["CLIENT", "KILL", "ID", &id].map(str::as_bytes).to_vec();
                conn.pipeline(&[free, kill]);
            } else {
                // The client disconnects at the moment of its grant.
                conn.send_bytes(&free);
                drop(gone);
                assert_eq!(conn.recv(), Reply::Int(1));
            }
            // If the reply was sent before the disconnection, the lock is held until its lease ends.
            let granted = match round % 2 {
                0 => answer(&mut next),
                _ => next.recv_within(Duration::from_millis(300)).unwrap_or_else(|| {
                    // On a slow server it may be granted only now.
                    if owners(conn, "k") == ["gone"] {
                        conn.must(&["MODEL.UNLOCK", "k", "n", "FORCE"]);
                    }
                    answer(&mut next)
                }),
            };
            unlock(conn, "k", "next", &fence(&granted));
        }
        check_idle(server);
    });
}

#[test]
fn five_hundred_waiting_clients_disconnect() {
    on_every_server_with(&["maxclients 2000"], |server| {
        let conn = &mut server.conn();
        make(conn, "k");
        let held = lock(conn, "k", "holder");
        let sockets: Vec<Conn> = (0..500)
            .map(|nth| {
                let mut socket = server.conn();
                socket.send(&["MODEL.LOCK", "k", "n", &nth.to_string(), "WAIT", LONG]);
                socket
            })
            .collect();
        until_waiting(server, 500);
        let mut last = wait(server, "k", "last");
        drop(sockets);
        unlock(conn, "k", "holder", &held);
        // Some may have been granted while they disconnected; none keeps the lock until the end of its lease.
        let granted = loop {
            if let Some(granted) = last.recv_within(Duration::from_millis(200)) {
                break granted;
            }
            conn.must(&["MODEL.UNLOCK", "k", "n", "FORCE"]);
        };
        unlock(conn, "k", "last", &fence(&granted));
        check_idle(server);
    });
}

#[test]
fn an_expired_lease_releases_the_lock_and_refuses_its_holder() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        make(conn, "k");
        let held = fence(&conn.must(&["MODEL.LOCK", "k", "n", "slow", "LEASE", "60"]));
        // The lease may have expired before the request could be seen to wait.
        let mut next = server.conn();
        next.send(&["MODEL.LOCK", "k", "n", "next", "LEASE", LONG, "WAIT", LONG, "GET"]);
        let granted = answer(&mut next);
        for refused in [
            &["MODEL.FIELDOP", "k", "HOLDING", "n", "slow", &held, "SET", "$.n", "7"][..],
            &["MODEL.TXN", "1", "k", "ON", "k", "SET", "$.n", "7", "RELEASE", "n", "slow", &held],
            &["MODEL.RENEW", "k", "n", "slow", &held],
            &["MODEL.UNLOCK", "k", "n", "slow", &held],
        ] {
            assert_eq!(conn.call(refused).error_word(), "LOCKLOST", "{refused:?}");
        }
        assert_eq!(conn.must(&["MODEL.GET", "k", "$.n"]), Reply::bulk("1"));
        assert_eq!(server.info("model_lock_leases_expired"), "1");
        unlock(conn, "k", "next", &fence(&granted));
        // A lease that is renewed in time does not expire.
        server.wait_until("every renewal came in time", || are_renewed_in_time(conn));
        check_idle(server);
    });
}

/// Renews a lease until it would have ended without that. Returns false if a renewal was late, as on a busy machine.
fn are_renewed_in_time(conn: &mut Conn) -> bool {
    let mut begin = Instant::now();
    let held = fence(&conn.must(&["MODEL.LOCK", "k", "n", "busy", "LEASE", "400"]));
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(50));
        let sent = Instant::now();
        let renewed = conn.call(&["MODEL.RENEW", "k", "n", "busy", &held]);
        if renewed.is_error() {
            assert!(begin.elapsed() >= Duration::from_millis(400), "it was in time: {renewed:?}");
            return false;
        }
        assert_eq!(renewed, Reply::Int(400));
        begin = sent;
    }
    !conn.call(&["MODEL.UNLOCK", "k", "n", "busy", &held]).is_error()
}

#[test]
fn a_lease_expires_while_the_server_is_stopped() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        make(conn, "k");
        let held = fence(&conn.must(&["MODEL.LOCK", "k", "n", "slow", "LEASE", "500"]));
        server.pause();
        conn.send(&["MODEL.FIELDOP", "k", "HOLDING", "n", "slow", &held, "SET", "$.n", "7"]);
        std::thread::sleep(Duration::from_millis(700));
        server.resume();
        assert_eq!(conn.recv().error_word(), "LOCKLOST");
        server.wait_until("it is over", || server.info("model_locks_held") == "0");
    });
}

#[test]
fn a_lease_ends_though_the_clock_goes_back() {
    on_every_flavor(|flavor| {
        let server = &Server::start_with_clock(flavor);
        let conn = &mut server.conn();
        make(conn, "k");
        let wall = |conn: &mut Conn| conn.must(&["TIME"]).array()[0].text().parse::<u64>().unwrap();
        let before = wall(conn);
        let held = lock(conn, "k", "first");
        // Long enough that both wait when the clock goes back, on a busy machine too.
        conn.must(&["MODEL.RENEW", "k", "n", "first", &held, "LEASE", "5000"]);
        let mut next = wait(server, "k", "next");
        let mut late = server.conn();
        late.send(&["MODEL.LOCK", "k", "n", "late", "WAIT", "4000"]);
        until_waiting(server, 2);
        server.step_clock_back();
        server.wait_until("the clock goes back", || wall(conn) < before - 3000);
        assert_eq!(answer(&mut late), Reply::Null);
        let granted = answer(&mut next);
        assert!(number(&fence(&granted)) > number(&held), "fences grow all the same");
        // Leases and requests that begin from now on end as well.
        assert_eq!(conn.call(&["MODEL.LOCK", "k", "n", "late", "WAIT", "100"]), Reply::Null);
        conn.must(&["MODEL.LOCK", "k", "other", "x", "LEASE", "100"]);
        server.wait_until("it is over", || server.info("model_locks_held") == "1");
        unlock(conn, "k", "next", &fence(&granted));
        check_idle(server);
    });
}

#[test]
fn an_ephemeral_lock_ends_with_its_connection() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        make(conn, "k");
        let mut holder = server.conn();
        holder.must(&["MODEL.LOCK", "k", "n", "a", "EPHEMERAL", "LEASE", LONG]);
        let mut next = wait(server, "k", "next");
        conn.must(&["RENAME", "k", "k2"]);
        assert_eq!(answer(&mut next).error_word(), "NOKEY");
        assert_eq!(owners(conn, "k2"), ["a"], "a lock goes where its document goes");
        drop(holder);
        server.wait_until("it is free", || owners(conn, "k2").is_empty());
        check_idle(server);
    });
}

#[test]
fn deadlock_cycles_are_refused_and_several_documents_are_locked_at_once() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        for key in ["a", "b", "c"] {
            make(conn, key);
        }
        let (a, b) = (lock(conn, "a", "u"), lock(conn, "b", "v"));
        let mut u = wait(server, "b", "u");
        let cycle = conn.call(&["MODEL.LOCK", "a", "n", "v", "WAIT", LONG]);
        assert_eq!(cycle.error_word(), "DEADLOCK");
        // A request that may not wait closes no cycle.
        assert_eq!(conn.call(&["MODEL.LOCK", "a", "n", "v"]), Reply::Null);
        let mut many = server.conn();
        many.send(&["MODEL.MLOCK", "3", "c", "a", "c", "n", "w", "WAIT", LONG]);
        until_waiting(server, 2);
        assert_eq!(owners(conn, "c"), Vec::<String>::new(), "while it waits it holds nothing");
        unlock(conn, "b", "v", &b);
        let b = fence(&answer(&mut u));
        unlock(conn, "a", "u", &a);
        let granted = answer(&mut many);
        let granted = granted.array();
        assert!(granted.len() == 3 && granted[0] == granted[2], "a key that is listed twice");
        unlock(conn, "b", "u", &b);
        unlock(conn, "c", "w", &fence(&granted[0]));
        unlock(conn, "a", "w", &fence(&granted[1]));
        assert_eq!(server.info("model_lock_deadlocks"), "1");
        check_idle(server);
    });
}

#[test]
fn requests_in_transactions_and_scripts_do_not_wait() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        make(conn, "k");
        let held = lock(conn, "k", "holder");
        let ask = ["MODEL.LOCK", "k", "n", "other", "WAIT", LONG];
        conn.must(&["MULTI"]);
        conn.must(&ask);
        unlock(conn, "k", "holder", &held);
        conn.must(&ask);
        let replies = conn.must(&["EXEC"]);
        let [Reply::Null, Reply::Int(1), granted] = replies.array() else { panic!("{replies:?}") };
        let script = "return redis.call('MODEL.LOCK', KEYS[1], 'n', 'third', 'WAIT', '60000')";
        assert_eq!(conn.must(&["EVAL", script, "1", "k"]), Reply::Null);
        let script = "return redis.call('MODEL.UNLOCK', KEYS[1], 'n', 'other', ARGV[1])";
        assert_eq!(conn.must(&["EVAL", script, "1", "k", &fence(granted)]), Reply::Int(1));
        check_idle(server);
    });
}

#[test]
fn locks_are_saved_and_leases_begin_anew() {
    on_every_flavor(|flavor| {
        for config in [
            &["appendonly yes", "appendfsync always", "aof-use-rdb-preamble no"][..],
            &["appendonly yes", "appendfsync always"],
            &["save 3600 1000000"],
        ] {
            check_restart(flavor, config);
        }
    });
}

fn check_restart(flavor: Flavor, config: &[&str]) {
    let server = Server::start(flavor, config);
    let conn = &mut server.conn();
    make(conn, "k");
    make(conn, "gone");
    let held = lock(conn, "k", "a");
    conn.must(&["MODEL.LOCK", "k", "shared", "b", "SHARED", "LEASE", LONG]);
    conn.must(&["MODEL.LOCK", "gone", "n", "c", "EPHEMERAL", "LEASE", LONG]);
    let released = lock(conn, "gone", "c");
    unlock(conn, "gone", "c", &released);
    conn.must(&["MODEL.LOCK", "gone", "m", "c", "EPHEMERAL", "LEASE", LONG]);
    make(conn, "free");
    let ended = lock(conn, "free", "d");
    unlock(conn, "free", "d", &ended);
    if config[0].starts_with("appendonly") {
        server.rewrite_aof();
    }
    let with_fence = conn.must(&["DEBUG", "DIGEST-VALUE", "free"]);
    let digest = server.debug_digest();
    server.restart();
    let conn = &mut server.conn();
    let again = conn.must(&["DEBUG", "DIGEST-VALUE", "free"]);
    assert_eq!(again, with_fence, "the highest fence of a document is kept");
    server.wait_until("the connections are closed", || server.info("model_locks_held") == "2");
    assert_eq!(owners(conn, "k"), ["a"]);
    let after = server.debug_digest();
    assert_ne!(after, digest, "the lock of a closed connection has ended");
    // The grant is still valid, and later fences are greater.
    let mut next = wait(&server, "k", "next");
    save(conn, "k", "a", &held, &[]);
    assert!(number(&fence(&answer(&mut next))) > number(&held));
}

#[test]
fn replicas_have_the_locks_and_a_promoted_one_grants_further_ones() {
    on_every_flavor(|flavor| {
        let (master, replica) = (Server::start(flavor, &[]), Server::start(flavor, &[]));
        let conn = &mut master.conn();
        make(conn, "before");
        lock(conn, "before", "x");
        replica.replica_of(&master);
        make(conn, "k");
        let held = lock(conn, "k", "a");
        let mut waiter = wait(&master, "k", "b");
        save(conn, "k", "a", &held, &["INCR", "$.n", "1"]);
        let second = fence(&answer(&mut waiter));
        let short = conn.must(&["MODEL.LOCK", "k", "short", "c", "LEASE", "50"]);
        master.wait_until("it is over", || master.info("model_lock_leases_expired") == "1");
        let long = fence(&conn.must(&["MODEL.LOCK", "k", "long", "d", "LEASE", "300"]));
        conn.must(&["MODEL.RENEW", "k", "long", "d", &long, "LEASE", LONG]);
        conn.must(&["COPY", "k", "copy"]);
        conn.must(&["RENAME", "before", "after"]);
        replica.wait_for_sync(&master);
        assert_eq!(replica.debug_digest(), master.debug_digest());
        let there = &mut replica.conn();
        assert_eq!(
            (owners(there, "k"), owners(there, "after")),
            (vec!["b".into()], vec!["x".into()])
        );
        assert_eq!(owners(there, "copy"), Vec::<String>::new());
        assert!(there.call(&["MODEL.LOCK", "k", "n", "z"]).error().starts_with("READONLY"));
        // The master is killed while a request waits; its replica is promoted.
        let mut stranded = wait(&master, "k", "stranded");
        master.kill9();
        assert!(stranded.try_recv(PATIENCE).map_or(true, |reply| reply.is_none()));
        there.must(&["REPLICAOF", "NO", "ONE"]);
        let mut next = wait(&replica, "k", "next");
        unlock(there, "k", "b", &second);
        let third = fence(&answer(&mut next));
        assert!(number(&third) > number(&second) && number(&third) > number(&fence(&short)));
    });
}

#[test]
fn a_master_that_becomes_a_replica_answers_all_waiting_requests() {
    on_every_flavor(|flavor| {
        let (one, other) = (Server::start(flavor, &[]), Server::start(flavor, &[]));
        let conn = &mut one.conn();
        make(conn, "k");
        lock(conn, "k", "a");
        let mut waiter = wait(&one, "k", "b");
        one.replica_of(&other);
        // The server replies an error, or disconnects the client.
        let told = waiter.try_recv(PATIENCE);
        assert!(told.map_or(true, |reply| reply.is_none_or(|reply| reply.is_error())));
        until_waiting(&one, 0);
    });
}

#[test]
fn locks_travel_with_their_document_and_not_with_a_copy() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        make(conn, "k");
        let held = lock(conn, "k", "a");
        let Reply::Bulk(payload) = conn.must(&["DUMP", "k"]) else { panic!() };
        conn.must(&["COPY", "k", "copy"]);
        assert_eq!(owners(conn, "copy"), Vec::<String>::new());
        conn.must(&["DEL", "k"]);
        let restore: [&[u8]; 4] = [b"RESTORE", b"k", b"0", &payload];
        assert_eq!(conn.call_bytes(&restore), Reply::ok());
        assert_eq!(owners(conn, "k"), ["a"]);
        // Replacing the content keeps the locks.
        let before = conn.must(&["MODEL.META", "k"]).field("revision").int();
        assert_eq!(conn.must(&["MODEL.META", "k"]).field("locks").int(), 1);
        for replace in [
            &["MODEL.SET", "k", "any", "{}"][..],
            &["MODEL.TXN", "1", "k", "ON", "k", "PUT", "any", "[]"],
        ] {
            conn.must(replace);
            assert_eq!(owners(conn, "k"), ["a"], "{replace:?}");
        }
        let after = conn.must(&["MODEL.META", "k"]).field("revision").int();
        assert!(after > before);
        unlock(conn, "k", "a", &held);
        let free = conn.must(&["MODEL.META", "k"]).field("revision").int();
        assert_eq!(free, after, "locks do not change the revision");
        let new = lock(conn, "k", "b");
        conn.must(&["DEL", "k"]);
        make(conn, "k");
        assert!(number(&lock(conn, "k", "c")) > number(&new), "fences grow over deletions");
        conn.must(&["FLUSHALL"]);
        check_idle(server);
    });
}

#[test]
fn locks_do_not_disturb_watch_and_publish_keyspace_events() {
    on_every_server_with(&["notify-keyspace-events KEA"], |server| {
        let conn = &mut server.conn();
        make(conn, "k");
        let mut listener = server.conn();
        listener.must(&["PSUBSCRIBE", "__keyevent@0__:model.*"]);
        let mut watcher = server.conn();
        watcher.must(&["WATCH", "k"]);
        let held = lock(conn, "k", "a");
        unlock(conn, "k", "a", &held);
        watcher.must(&["MULTI"]);
        watcher.must(&["PING"]);
        assert_ne!(watcher.must(&["EXEC"]), Reply::Null);
        for event in ["model.lock", "model.unlock"] {
            let message = answer(&mut listener);
            assert_eq!(message.array()[2].text(), format!("__keyevent@0__:{event}"));
            assert_eq!(message.array()[3].text(), "k");
        }
    });
}

#[test]
fn a_refused_command_releases_nothing() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        make(conn, "k");
        make(conn, "k2");
        let held = lock(conn, "k", "a");
        let release = ["RELEASE", "n", "a", &held];
        for refused in [
            [&["MODEL.FIELDOP", "k"], &release[..], &["IF", "false"]].concat(),
            [&["MODEL.FIELDOP", "k"], &release[..], &release].concat(),
            [&["MODEL.FIELDOP", "k"], &release[..], &["HOLDING", "n", "a", &held]].concat(),
            [&["MODEL.TXN", "2", "k", "k2", "ON", "k"], &release[..], &["ON", "k2", "MISSING"]]
                .concat(),
            [&["MODEL.TXN", "1", "k", "ON", "k", "DELETE"], &release[..]].concat(),
        ] {
            let word = conn.call(&refused);
            assert!(["CONDITION", "LOCKLOST"].contains(&word.error_word()), "{refused:?} {word:?}");
            assert_eq!(owners(conn, "k"), ["a"], "{refused:?}");
        }
        // A RELEASE alone changes nothing else.
        let digest = conn.must(&["MODEL.META", "k"]).field("revision").int();
        conn.must(&[&["MODEL.FIELDOP", "k"], &release[..]].concat());
        assert_eq!(owners(conn, "k"), Vec::<String>::new());
        assert_eq!(conn.must(&["MODEL.META", "k"]).field("revision").int(), digest);
    });
}

#[test]
fn limits_of_locks_are_named() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        make(conn, "k");
        let check = |conn: &mut Conn, command: &[&str], limit: &str| {
            let refused = conn.call(command);
            assert_eq!(refused.error_word(), "LIMIT", "{command:?} {refused:?}");
            assert!(refused.error().contains(limit), "{limit}: {refused:?}");
        };
        let long = "x".repeat(257);
        check(conn, &["MODEL.LOCK", "k", &long, "a"], "lock-name-bytes");
        check(conn, &["MODEL.LOCK", "k", "n", &long], "lock-name-bytes");
        conn.must(&["MODEL.LOCK", "k", &long[1..], &long[1..], "LEASE", "1"]);
        check(conn, &["MODEL.LOCK", "k", "n", "a", "LEASE", "86400001"], "model.lock-lease-max");
        conn.must(&["CONFIG", "SET", "model.lock-lease-min", "50"]);
        check(conn, &["MODEL.LOCK", "k", "n", "a", "LEASE", "49"], "model.lock-lease-min");
        conn.must(&["MODEL.LOCK", "k", "n", "a", "LEASE", "86400000"]);
        check(conn, &["MODEL.LOCK", "k", "n", "b", "WAIT", "315360000001"], "lock-wait");
        conn.must(&["CONFIG", "SET", "model.lock-waiters", "1"]);
        let _first = wait(server, "k", "b");
        check(conn, &["MODEL.LOCK", "k", "n", "c", "WAIT", LONG], "model.lock-waiters");
        conn.must(&["CONFIG", "SET", "model.lock-names", "1"]);
        check(conn, &["MODEL.LOCK", "k", "other", "c"], "model.lock-names");
        conn.must(&["CONFIG", "SET", "model.lock-holders", "1"]);
        make(conn, "k2");
        conn.must(&["MODEL.LOCK", "k2", "n", "c", "SHARED"]);
        check(conn, &["MODEL.LOCK", "k2", "n", "d", "SHARED"], "model.lock-holders");
        for wrong in [
            &["MODEL.LOCK", "k", "", "a"][..],
            &["MODEL.LOCK", "k", "n", "a", "LEASE", "0"],
            &["MODEL.LOCK", "k", "n", "a", "WAIT", "-1"],
            &["MODEL.LOCK", "k", "n", "a", "SHARED", "SHARED"],
            &["MODEL.UNLOCK", "k", "n", "a"],
            &["MODEL.UNLOCK", "k", "n", "a", "-1"],
            &["MODEL.MLOCK", "1", "k", "n"],
        ] {
            assert_eq!(conn.call(wrong).error_word(), "ERR", "{wrong:?}");
        }
    });
}
