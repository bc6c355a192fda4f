//! The ways in which waiting of `MODEL.FINDOP` ends: times, clients that leave, permissions, pauses, failover, slots that
//! move, claims whose reply was not read.

use std::time::Duration;

use crate::acl;
use crate::cluster::{Cluster, SlotMove};
use crate::findop::{define, keys, set};
use crate::findop_wait::{
    LONG, check_idle, check_still_waits, take, taken, until_waiting, wait, wait_on,
};
use crate::harness::{on_every_flavor, on_every_server};
use crate::locking::answer;
use crate::replication::{check_equal, on_every_pair};
use crate::resp::Reply;

#[test]
fn waiting_ends_by_time_and_by_the_client() {
    on_every_server(|server| {
        let (conn, admin) = (&mut server.conn(), &mut server.conn());
        define(conn);
        let nothing = Reply::Array(vec![]);
        assert_eq!(conn.must(&take("self.state == 'open'", "0")), nothing);
        assert_eq!(conn.must(&take("self.state == 'open'", "20")), nothing);
        assert_eq!(server.info("model_find_timeouts"), "1");
        let request = take("self.state == 'open'", LONG);
        let unblocked = |how: &str| {
            let mut waiter = server.conn();
            let id = waiter.must(&["CLIENT", "ID"]).int().to_string();
            wait_on(server, &mut waiter, &request);
            server.must(&["CLIENT", "UNBLOCK", &id, how]);
            answer(&mut waiter)
        };
        assert_eq!(unblocked("TIMEOUT"), nothing);
        assert_eq!(unblocked("ERROR").error_word(), "UNBLOCKED");
        let mut killed = server.conn();
        let id = killed.must(&["CLIENT", "ID"]).int().to_string();
        wait_on(server, &mut killed, &request);
        let gone = wait(server, &request);
        let mut last = wait(server, &request);
        admin.must(&["CLIENT", "KILL", "ID", &id]);
        drop(gone);
        until_waiting(server, 1);
        set(admin, "a", "open", 1);
        assert_eq!(taken(&mut last), ["a"]);
        assert_eq!(admin.must(&["MODEL.META", "a"]).field("model").text(), "job");
        check_idle(server);
        for time in ["-1", "x", "1.5", ""] {
            assert_eq!(conn.call(&take("self.state == 'open'", time)).error_word(), "ERR");
        }
        assert_eq!(conn.call(&take("true", "315360000001")).error_word(), "LIMIT");
    });
}

#[test]
fn permissions_are_those_of_the_moment_at_which_a_request_is_served() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        define(conn);
        let request = take("self.state == 'open'", LONG);
        for rules in [&["-model.findop"][..], &["nocommands"], &["off"]] {
            let mut denied = acl::user(server, &["+@all", "allkeys"]);
            wait_on(server, &mut denied, &request);
            let mut next = wait(server, &request);
            conn.must(&[&["ACL", "SETUSER", "someone"], rules].concat());
            set(conn, "a", "open", 1);
            if rules == ["off"] {
                assert_eq!(taken(&mut denied), ["a"]);
                set(conn, "a", "open", 1);
            } else {
                assert_eq!(answer(&mut denied).error_word(), "NOPERM");
            }
            assert_eq!(taken(&mut next), ["a"]);
        }
        // A document that the user may not change is not for it.
        let mut limited = acl::user(server, &["+@all", "~in:*"]);
        wait_on(server, &mut limited, &request);
        let mut next = wait(server, &request);
        set(conn, "out:1", "open", 1);
        assert_eq!(taken(&mut next), ["out:1"]);
        conn.must(&["ACL", "SETUSER", "someone", "resetkeys", "~out:*"]);
        set(conn, "in:1", "open", 1);
        check_still_waits(&mut limited);
        set(conn, "out:2", "open", 1);
        assert_eq!(taken(&mut limited), ["out:2"]);
        let mut gone = acl::user(server, &["+@all", "allkeys"]);
        wait_on(server, &mut gone, &take("self.state == 'none'", LONG));
        conn.must(&["ACL", "DELUSER", "someone"]);
        assert!(gone.try_recv(Duration::from_secs(20)).is_err(), "it is hung up on");
        check_idle(server);
    });
}

#[test]
fn nothing_is_served_while_writes_are_paused() {
    on_every_pair(&[], |master, replica| {
        let conn = &mut master.conn();
        define(conn);
        set(conn, "a", "closed", 1);
        replica.wait_for_sync(master);
        let mut waiter = wait(master, &take("self.state == 'open'", LONG));
        let mut late = wait(master, &take("self.state == 'open'", "3000"));
        conn.must(&["MULTI"]);
        conn.must(&["MODEL.FIELDOP", "a", "SET", "$.state", "\"open\""]);
        conn.must(&["CLIENT", "PAUSE", LONG, "WRITE"]);
        conn.must(&["EXEC"]);
        check_still_waits(&mut waiter);
        assert_eq!(answer(&mut late), Reply::Array(vec![]), "its time is up all the same");
        assert_eq!(conn.must(&["MODEL.GET", "a", "$.state"]), Reply::bulk("\"open\""));
        conn.must(&["CLIENT", "UNPAUSE"]);
        assert_eq!(taken(&mut waiter), ["a"]);
        check_equal(master, replica);
        check_idle(master);
    });
}

#[test]
fn a_master_that_becomes_a_replica_sends_its_clients_away() {
    on_every_pair(&[], |master, replica| {
        let conn = &mut master.conn();
        define(conn);
        let request = take("self.state == 'open'", LONG);
        let mut waiters = [(); 3].map(|()| wait(master, &request));
        check_equal(master, replica);
        replica.must(&["REPLICAOF", "NO", "ONE"]);
        master.replica_of(replica);
        for waiter in &mut waiters {
            assert_eq!(answer(waiter).error_word(), "UNBLOCKED");
        }
        check_idle(master);
        let mut waiter = wait(replica, &request);
        set(&mut replica.conn(), "a", "open", 1);
        assert_eq!(taken(&mut waiter), ["a"]);
        check_equal(replica, master);
        assert_eq!(master.call(&request).error_word(), "READONLY");
    });
}

/// A worker takes a job and never reads the reply: what the statement set stays, and the due time brings the job back.
#[test]
fn a_claim_that_nobody_read_comes_back_by_its_lease() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.DEFINE", "job", "{}", "INDEX", "due", "1", "$.due"]);
        let head = ["MODEL.FINDOP", "0", "job", "WHERE", "self.due <= string(now)", "WAIT", LONG];
        let lease = ["DO", "EVAL", "$.due", "string(now + duration('400ms'))", "INCR", "$.tries"];
        let request = [&head[..], &lease, &["1"]].concat();
        let deaf = wait(server, &request);
        conn.must(&["MODEL.SET", "a", "job", r#"{"due":"","tries":0}"#]);
        server.wait_until("it is served", || server.info("model_find_claims") == "1");
        drop(deaf);
        // The lease may be over before the request could be seen to wait.
        let mut worker = server.conn();
        worker.send(&request);
        let reply = answer(&mut worker);
        assert_eq!(keys(&reply), ["a"]);
        assert_eq!(reply.array()[0].array()[2].array()[1].text(), "2");
        check_idle(server);
    });
}

/// While a slot is moved key by key, some of its documents are elsewhere, and nothing is served.
#[test]
fn requests_are_served_when_the_move_of_their_slot_is_given_up() {
    on_every_flavor(|flavor| {
        let cluster = Cluster::start(flavor, 2, &[]);
        let migration = SlotMove::of_key(&cluster, "{k}a");
        let (home, other) = (migration.from, migration.to);
        let conn = &mut home.conn();
        define(conn);
        set(conn, "{k}a", "closed", 1);
        set(conn, "{k}b", "closed", 1);
        let head = ["MODEL.FINDOP", "1", "{k}", "job", "WHERE", "self.state == 'open'", "WAIT"];
        let request = [&head[..], &[LONG, "DO", "SET", "$.state", "\"taken\""]].concat();
        let mut waiters = [(); 2].map(|()| wait(home, &request));
        migration.open();
        migration.carry("{k}b");
        set(conn, "{k}a", "open", 1);
        check_still_waits(&mut waiters[0]);
        SlotMove { slot: migration.slot.clone(), from: other, to: home }.carry_back("{k}b");
        assert_eq!(taken(&mut waiters[0]), ["{k}a"]);
        set(conn, "{k}b", "open", 1);
        assert_eq!(taken(&mut waiters[1]), ["{k}b"]);
        check_idle(home);
    });
}

#[test]
fn requests_of_a_slot_that_moves_are_sent_to_its_node() {
    on_every_flavor(|flavor| {
        let cluster = Cluster::start(flavor, 2, &[]);
        let home = cluster.node_of("{k}a");
        let other = cluster.nodes.iter().find(|node| node.port != home.port).expect("two nodes");
        define(&mut home.conn());
        cluster.wait_until_agreed();
        // A definition spreads over the bus.
        other.wait_until("it has the model", || !other.call(&["MODEL.COUNT", "job"]).is_error());
        let request = |key: &'static str| {
            let head = ["MODEL.FINDOP", "1", key, "job", "WHERE", "self.state == 'open'", "WAIT"];
            [&head[..], &[LONG, "DO", "DELETE"]].concat()
        };
        let slot = cluster.slot("{k}a");
        let tag = (0..)
            .map(|nth| format!("{{t{nth}}}"))
            .find(|tag| cluster.node_of(tag).port == home.port && cluster.slot(tag) != slot);
        let tag: &'static str = tag.expect("a node has many slots").leak();
        let mut waiters = [(); 2].map(|()| wait(home, &request("{k}")));
        let mut stays = wait(home, &request(tag));
        set(&mut home.conn(), "{k}a", "closed", 1);
        let migration = SlotMove::new(slot, home, other);
        migration.open();
        migration.carry("{k}a");
        // Without a key the slot is still the node's.
        assert_eq!(waiters[0].recv_within(Duration::from_millis(500)), None);
        migration.close();
        for waiter in &mut waiters {
            let reply = answer(waiter);
            assert_eq!(reply.error_word(), "MOVED");
            let place = format!("{slot} 127.0.0.1:{}", other.port);
            assert!(reply.error().ends_with(&place), "{place}: {reply:?}");
        }
        let mut waiter = wait(other, &request("{k}"));
        other.must(&["MODEL.FIELDOP", "{k}a", "SET", "$.state", "\"open\""]);
        assert_eq!(taken(&mut waiter), ["{k}a"]);
        // A document of another slot of the node is not for a request.
        let job = format!("{tag}b");
        set(&mut home.conn(), &job, "open", 1);
        assert_eq!(taken(&mut stays), std::slice::from_ref(&job));
        check_idle(home);
        check_idle(other);
    });
}
