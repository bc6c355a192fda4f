//! `MODEL.FINDOP` with `WAIT` on every server: order, whatever makes a match, the ways in which waiting ends, and many
//! workers at once.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::acl;
use crate::cluster::{Cluster, SlotMove};
use crate::findop::{define, keys, set};
use crate::harness::{Server, on_every_flavor, on_every_server, on_every_server_with};
use crate::locking::{Stops, answer};
use crate::replication::{check_equal, on_every_pair};
use crate::resp::{Conn, Reply};

pub const LONG: &str = "60000";

/// Takes a job of a state: it is `taken` afterwards.
pub fn take<'a>(condition: &'a str, wait: &'a str) -> Vec<&'a str> {
    let head = ["MODEL.FINDOP", "0", "job", "WHERE", condition, "WAIT", wait];
    [&head[..], &["DO", "SET", "$.state", "\"taken\""]].concat()
}

/// A client that waits.
pub fn wait(server: &Server, command: &[&str]) -> Conn {
    let mut conn = server.conn();
    wait_on(server, &mut conn, command);
    conn
}

pub fn wait_on(server: &Server, conn: &mut Conn, command: &[&str]) {
    let waiting: u64 = server.info("model_find_waiters").parse().unwrap();
    conn.send(command);
    until_waiting(server, waiting + 1);
}

#[track_caller]
pub fn until_waiting(server: &Server, count: u64) {
    let count = count.to_string();
    server.wait_until(&format!("{count} wait"), || server.info("model_find_waiters") == count);
}

#[track_caller]
pub fn check_idle(server: &Server) {
    until_waiting(server, 0);
    server.wait_until("no client is blocked", || server.info("blocked_clients") == "0");
}

#[track_caller]
fn check_still_waits(conn: &mut Conn) {
    assert_eq!(conn.recv_within(Duration::from_millis(150)), None);
}

/// The keys in the reply to a client that waited.
#[track_caller]
pub fn taken(conn: &mut Conn) -> Vec<String> {
    let reply = answer(conn);
    keys(&reply).into_iter().map(str::to_owned).collect()
}

#[test]
fn requests_are_served_in_the_order_in_which_they_came() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        define(conn);
        let open = take("self.state == 'open'", LONG);
        let big = take("self.state == 'open' && self.n > 10", LONG);
        let mut waiters: Vec<Conn> = [&open, &big, &open, &open].map(|it| wait(server, it)).into();
        set(conn, "a", "closed", 1);
        for waiter in &mut waiters {
            check_still_waits(waiter);
        }
        set(conn, "a", "open", 20);
        assert_eq!(taken(&mut waiters[0]), ["a"]);
        // The second one wants another.
        set(conn, "b", "open", 5);
        assert_eq!(taken(&mut waiters[2]), ["b"]);
        set(conn, "c", "open", 11);
        assert_eq!(taken(&mut waiters[1]), ["c"]);
        set(conn, "d", "open", 11);
        assert_eq!(taken(&mut waiters[3]), ["d"]);
        for key in ["a", "b", "c", "d"] {
            assert_eq!(conn.must(&["MODEL.GET", key, "$.state"]), Reply::bulk("\"taken\""));
        }
        check_idle(server);
        assert_eq!(server.info("model_find_claims"), "4");
        assert_eq!(server.info("model_find_wait_ms_count"), "4");
        // Whoever finds something does not wait.
        set(conn, "e", "open", 1);
        assert_eq!(keys(&conn.must(&open)), ["e"]);
    });
}

#[test]
fn the_first_of_the_line_takes_what_it_orders_and_others_one_document() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        define(conn);
        let ordered = |limit: &'static str| {
            let head = ["MODEL.FINDOP", "0", "job", "WHERE", "self.state == 'open'"];
            let options = ["ORDER", "state_n", "LIMIT", limit, "WAIT", LONG];
            [&head[..], &options, &["DO", "DELETE"]].concat()
        };
        let mut first = wait(server, &ordered("2"));
        let mut second = wait(server, &ordered("9"));
        conn.must(&["MULTI"]);
        for (key, n) in [("d", 40), ("c", 30), ("b", 20), ("a", 10)] {
            set(conn, key, "open", n);
        }
        conn.must(&["EXEC"]);
        assert_eq!(taken(&mut first), ["a", "b"]);
        assert_eq!(taken(&mut second), ["c", "d"]);
        let mut first = wait(server, &take("self.state == 'other'", LONG));
        let mut second = wait(server, &ordered("9"));
        conn.must(&["MULTI"]);
        set(conn, "d", "open", 40);
        set(conn, "c", "open", 30);
        conn.must(&["EXEC"]);
        assert_eq!(taken(&mut second), ["c"]);
        set(conn, "x", "other", 1);
        assert_eq!(taken(&mut first), ["x"]);
        check_idle(server);
    });
}

#[test]
fn whatever_makes_a_match_wakes_the_request() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        define(conn);
        conn.must(&["MODEL.ACTION", "open", "1", "doc", "ON", "doc", "SET", "$.state", "\"open\""]);
        set(conn, "kept", "open", 7);
        let Reply::Bulk(payload) = conn.must(&["DUMP", "kept"]) else { panic!("a payload") };
        conn.must(&["MODEL.FIELDOP", "kept", "SET", "$.state", "\"kept\""]);
        set(conn, "closed", "closed", 1);
        let request = take("self.state == 'open'", LONG);
        let script = "return redis.call('MODEL.FIELDOP', 'closed', 'SET', '$.state', '\"open\"')";
        let open = ["SET", "$.state", "\"open\""];
        let change = |words: &[&'static str]| [words, &open[..]].concat();
        for command in [
            &["MODEL.SET", "new", "job", r#"{"state":"open","n":1}"#][..],
            &change(&["MODEL.FIELDOP", "closed"]),
            &change(&["MODEL.TXN", "1", "closed", "ON", "closed"]),
            &["MODEL.CALL", "open", "1", "closed"],
            &["EVAL", script, "1", "closed"],
            &change(&["MODEL.FINDOP", "0", "job", "WHERE", "self.state == 'closed'", "DO"]),
        ] {
            let mut waiter = wait(server, &request);
            conn.must(command);
            assert_eq!(taken(&mut waiter).len(), 1, "{command:?}");
            conn.must(&["MODEL.FIELDOP", "closed", "SET", "$.state", "\"closed\""]);
        }
        // In MULTI the document is there when all of it is over.
        let mut waiter = wait(server, &request);
        conn.must(&["MULTI"]);
        conn.must(&change(&["MODEL.FIELDOP", "closed"]));
        conn.must(&["MODEL.GET", "closed", "$.state"]);
        assert_eq!(conn.must(&["EXEC"]).array()[1], Reply::bulk("\"open\""));
        assert_eq!(taken(&mut waiter), ["closed"]);
        // Ways of the server's own commands.
        let mut waiter = wait(server, &request);
        assert_eq!(conn.call_bytes(&[b"RESTORE", b"restored", b"0", &payload]), Reply::ok());
        assert_eq!(taken(&mut waiter), ["restored"]);
        let mut by_key = wait(server, &take("self.state == 'taken' && key == 'copied'", LONG));
        conn.must(&["COPY", "restored", "copied"]);
        assert_eq!(taken(&mut by_key), ["copied"]);
        let mut by_key = wait(server, &take("self.state == 'taken' && key == 'renamed'", LONG));
        conn.must(&["RENAME", "copied", "renamed"]);
        assert_eq!(taken(&mut by_key), ["renamed"]);
        let other = &mut server.conn();
        other.must(&["SELECT", "1"]);
        let mut waiter = wait(server, &request);
        set(other, "moved", "open", 1);
        other.must(&["MOVE", "moved", "0"]);
        assert_eq!(taken(&mut waiter), ["moved"]);
        // A database changes its place under a request, which waits in the one of its number.
        let mut waiter = wait(server, &request);
        set(other, "swapped", "open", 1);
        check_still_waits(&mut waiter);
        conn.must(&["SWAPDB", "0", "1"]);
        assert_eq!(taken(&mut waiter), ["swapped"]);
        conn.must(&["SWAPDB", "0", "1"]);
        check_idle(server);
    });
}

#[test]
fn flushes_reloads_and_definitions_under_a_request() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        define(conn);
        let request = take("self.state == 'open'", LONG);
        let mut waiter = wait(server, &request);
        set(conn, "a", "closed", 1);
        conn.must(&["FLUSHALL"]);
        conn.must(&["DEBUG", "RELOAD"]);
        check_still_waits(&mut waiter);
        set(conn, "a", "open", 1);
        assert_eq!(taken(&mut waiter), ["a"]);
        // Other indexes on documents that are there are built meanwhile.
        let mut waiter = wait(server, &request);
        let schema = r#"{"properties":{"n":{"maximum":50}}}"#;
        conn.must(&["MODEL.DEFINE", "job", schema, "INDEX", "state", "1", "$.state"]);
        set(conn, "b", "open", 1);
        assert_eq!(taken(&mut waiter), ["b"]);
        let (mut one, mut other) = (wait(server, &request), wait(server, &request));
        conn.must(&["MODEL.DEFINE", "job", schema]);
        assert_eq!(answer(&mut one).error_word(), "NOINDEX");
        assert_eq!(answer(&mut other).error_word(), "NOINDEX");
        conn.must(&["FLUSHALL"]);
        conn.must(&["MODEL.DEFINE", "job", schema, "INDEX", "state", "1", "$.state"]);
        // Some servers free in the background what they flushed.
        let ready = take("self.state == 'open'", "0");
        server.wait_until("the index is built", || !server.call(&ready).is_error());
        let mut waiter = wait(server, &request);
        conn.must(&["MODEL.UNDEFINE", "job"]);
        assert_eq!(answer(&mut waiter).error_word(), "NOMODEL");
        check_idle(server);
    });
}

#[test]
fn time_makes_a_match() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.DEFINE", "job", "{}", "INDEX", "due", "1", "$.due"]);
        let request = |wait: &'static str| {
            let head = ["MODEL.FINDOP", "0", "job", "WHERE", "self.due <= string(now)", "ORDER"];
            let tail = ["due", "WAIT", wait, "DO", "EVAL", "$.due", "string(now + duration('1h'))"];
            [&head[..], &tail].concat()
        };
        for key in ["a", "b"] {
            conn.must(&["MODEL.SET", key, "job", "{}"]);
            conn.must(&["MODEL.FIELDOP", key, "EVAL", "$.due", "string(now + duration('300ms'))"]);
        }
        let mut waiters = [(); 3].map(|()| wait(server, &request(LONG)));
        assert_eq!(taken(&mut waiters[0]).len(), 1);
        assert_eq!(taken(&mut waiters[1]).len(), 1);
        check_still_waits(&mut waiters[2]);
        conn.must(&["MODEL.FIELDOP", "b", "EVAL", "$.due", "string(now)"]);
        assert_eq!(taken(&mut waiters[2]), ["b"]);
        // A late request does not overtake one whose moment has come.
        assert_eq!(conn.must(&request("1")), Reply::Array(vec![]));
        check_idle(server);
    });
}

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
fn transactions_and_scripts_never_wait() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        define(conn);
        let request = take("self.state == 'open'", LONG);
        conn.must(&["MULTI"]);
        conn.must(&request);
        assert_eq!(conn.must(&["EXEC"]).array(), [Reply::Array(vec![])]);
        let call = "return redis.call(unpack(ARGV))";
        let found = conn.must(&[&["EVAL", call, "0"], &request[..]].concat());
        assert_eq!(found, Reply::Array(vec![]));
        // A request in a script takes what it finds: it stands in no line.
        let mut waiter = wait(server, &request);
        let script = "redis.call('MODEL.SET', KEYS[1], 'job', '{\"state\":\"open\",\"n\":1}')
            return redis.call(unpack(ARGV))";
        let found = conn.must(&[&["EVAL", script, "1", "a"], &request[..]].concat());
        assert_eq!(keys(&found), ["a"]);
        check_still_waits(&mut waiter);
        set(conn, "b", "open", 1);
        assert_eq!(taken(&mut waiter), ["b"]);
        check_idle(server);
    });
}

#[test]
fn a_refusal_is_the_reply_and_the_next_request_is_served() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        define(conn);
        let head =
            ["MODEL.FINDOP", "0", "job", "WHERE", "self.state == 'open'", "WAIT", LONG, "DO"];
        let request = |statements: &[&'static str]| [&head[..], statements].concat();
        let mut first = wait(server, &request(&["INCR", "$.n", "100"]));
        let mut second = wait(server, &request(&["IF", "self.n > 5", "DELETE"]));
        let mut third = wait(server, &request(&["DELETE"]));
        set(conn, "a", "open", 1);
        assert_eq!(answer(&mut first).error_word(), "SCHEMA");
        assert_eq!(answer(&mut second).error_word(), "CONDITION");
        assert_eq!(taken(&mut third), ["a"]);
        check_idle(server);
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
        let mut late = wait(master, &take("self.state == 'open'", "400"));
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
        let mut worker = wait(server, &request);
        let reply = answer(&mut worker);
        assert_eq!(keys(&reply), ["a"]);
        assert_eq!(reply.array()[0].array()[2].array()[1].text(), "2");
        check_idle(server);
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

#[test]
fn requests_that_wait_are_bounded() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        define(conn);
        conn.must(&["CONFIG", "SET", "model.find-waiters", "2"]);
        let request = take("self.state == 'open'", LONG);
        let waiters = [(); 2].map(|()| wait(server, &request));
        let reply = conn.call(&request);
        assert_eq!(reply.error_word(), "LIMIT");
        assert!(reply.error().contains("model.find-waiters"));
        drop(waiters);
        check_idle(server);
        conn.must(&["CONFIG", "SET", "model.find-waiters", "10000"]);
        let long = format!("{{\"s\":\"{}\"}}", "x".repeat(1 << 20));
        let args = ["ARGS", &long];
        let request = [&request[..5], &args, &request[5..]].concat();
        let reply = conn.call(&request);
        assert_eq!(reply.error_word(), "LIMIT");
        assert!(reply.error().contains("findop-wait-bytes"));
    });
}

/// A thousand different conditions: the one that a document fulfils is served, and the others go on waiting.
#[test]
fn a_thousand_conditions_wait_beside_each_other() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        define(conn);
        let mut waiters: Vec<Conn> = (0..1000).map(|_| server.conn()).collect();
        for (nth, waiter) in waiters.iter_mut().enumerate() {
            waiter.send(&take(&format!("self.state == 's{nth}'"), LONG));
        }
        until_waiting(server, 1000);
        for nth in [999, 0, 500] {
            let key = format!("j:{nth}");
            set(conn, &key, &format!("s{nth}"), 1);
            assert_eq!(taken(&mut waiters[nth]), [key]);
        }
        until_waiting(server, 997);
        let many: Vec<Vec<String>> = (0..1000)
            .step_by(25)
            .map(|nth| {
                let json = format!("{{\"state\":\"s{nth}\",\"n\":2}}");
                ["MODEL.SET", &format!("k:{nth}"), "job", &json].map(str::to_owned).to_vec()
            })
            .collect();
        conn.pipeline(&many);
        for nth in (0..1000).step_by(25).filter(|nth| ![0, 500].contains(nth)) {
            assert_eq!(taken(&mut waiters[nth]), [format!("k:{nth}")]);
        }
        drop(waiters);
        check_idle(server);
    });
}

/// Workers that take and finish jobs while they come, some of which die with a job: each job is finished once.
#[test]
fn many_workers_finish_each_job_once() {
    const JOBS: usize = 300;
    let config = ["appendonly yes", "appendfsync always", "repl-ping-replica-period 3600"];
    on_every_server_with(&config, |server| {
        let replica = Server::start(server.flavor, &[]);
        replica.replica_of(server);
        let conn = &mut server.conn();
        conn.must(&["MODEL.DEFINE", "job", "{}", "INDEX", "due", "1", "$.due"]);
        let finished = Mutex::new(BTreeMap::<String, usize>::new());
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let _stops = Stops(&stop);
            for worker in 0..6 {
                let (stop, finished) = (&stop, &finished);
                scope.spawn(move || {
                    let conn = &mut server.conn();
                    let head = ["MODEL.FINDOP", "1", "done", "job", "WHERE"];
                    let query = ["self.due <= string(now)", "ORDER", "due", "WAIT", "200", "DO"];
                    let lease =
                        ["EVAL", "$.due", "string(now + duration('2s'))", "INCR", "$.n", "1"];
                    let request = [&head[..], &query, &lease].concat();
                    let mut taken = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let reply = conn.must(&request);
                        let Some(row) = reply.array().first() else { continue };
                        let (key, revision) = (row.array()[0].text(), row.array()[1].int());
                        taken += 1;
                        if worker == 0 && taken % 10 == 0 {
                            // It dies here: another one gets the job when the lease is over.
                            continue;
                        }
                        let revision = revision.to_string();
                        let done = ["MODEL.TXN", "2", key, "done", "ON", key, "IFREV", &revision];
                        let done = [&done[..], &["DELETE", "AT", "done", "RPUSH"]].concat();
                        let native = format!("\"{key}\"");
                        let reply = conn.call(&[&done[..], &[&native]].concat());
                        if !reply.is_error() {
                            *finished.lock().unwrap().entry(key.to_owned()).or_default() += 1;
                        }
                    }
                });
            }
            for nth in 0..JOBS {
                let json = r#"{"due":"","n":0}"#;
                conn.must(&["MODEL.SET", &format!("j:{nth}"), "job", json]);
            }
            server.wait_until("all are finished", || finished.lock().unwrap().len() == JOBS);
        });
        let finished = finished.into_inner().unwrap();
        assert!(finished.values().all(|count| *count == 1), "{finished:?}");
        assert_eq!(conn.must(&["LLEN", "done"]).int(), JOBS as i64);
        assert_eq!(conn.must(&["MODEL.COUNT", "job"]).int(), 0);
        assert_ne!(server.info("model_find_claims"), "0");
        check_idle(server);
        check_equal(server, &replica);
        let digest = server.debug_digest();
        server.kill9();
        server.restart();
        assert_eq!(server.debug_digest(), digest);
    });
}

#[test]
fn the_stream_of_changes_has_what_a_served_request_did() {
    on_every_pair(&[], |master, replica| {
        let conn = &mut master.conn();
        let index = ["INDEX", "state", "1", "$.state", "CHANGES", "100"];
        conn.must(&[&["MODEL.DEFINE", "job", "{}"], &index[..]].concat());
        let mut waiter = wait(master, &take("self.state == 'open'", LONG));
        set(conn, "a", "open", 1);
        assert_eq!(taken(&mut waiter), ["a"]);
        assert_eq!(conn.must(&["XLEN", "job!changes"]).int(), 2);
        check_equal(master, replica);
        check_idle(master);
    });
}
