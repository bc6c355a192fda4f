//! `MODEL.FINDOP` with `WAIT` while permissions change, memory is short, and slots move as a whole.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::acl;
use crate::cluster::{Cluster, SlotMove};
use crate::findop::{define, keys, set};
use crate::findop_wait::{LONG, check_idle, take, taken, until_waiting, wait, wait_on};
use crate::harness::{Flavor, Server, on_every_flavor, on_every_server};
use crate::locking::{Stops, answer};
use crate::resp::{Conn, Reply};

/// Changes the rules of the user of [`acl::user`].
fn allow(server: &Server, rules: &[&str]) {
    server.must(&[&["ACL", "SETUSER", "someone"], rules].concat());
}

#[test]
fn a_permission_that_is_granted_serves_a_request_without_a_change() {
    on_every_server(|server| {
        let admin = &mut server.conn();
        define(admin);
        set(admin, "out:1", "open", 1);
        let request = take("self.state == 'open'", LONG);
        let [mut first, mut second] = [(); 2].map(|()| acl::user(server, &["+@all", "~in:*"]));
        wait_on(server, &mut first, &request);
        wait_on(server, &mut second, &request);
        // Another permission serves nothing.
        allow(server, &["~other:*"]);
        assert_eq!(first.recv_within(Duration::from_millis(300)), None);
        allow(server, &["~out:*"]);
        assert_eq!(taken(&mut first), ["out:1"]);
        set(admin, "out:2", "open", 1);
        assert_eq!(taken(&mut second), ["out:2"]);
        check_idle(server);
    });
}

#[test]
fn a_permission_that_is_withdrawn_ends_or_limits_a_request() {
    on_every_server(|server| {
        let admin = &mut server.conn();
        define(admin);
        let request = take("self.state == 'open'", LONG);
        let [mut first, mut second] = [(); 2].map(|()| acl::user(server, &["+@all", "~*"]));
        wait_on(server, &mut first, &request);
        // A key that may not be changed any more is not found.
        allow(server, &["resetkeys", "~in:*"]);
        set(admin, "out:1", "open", 1);
        assert_eq!(first.recv_within(Duration::from_millis(300)), None);
        let other = take("self.state == 'none'", LONG);
        wait_on(server, &mut second, &other);
        let mut default = wait(server, &other);
        // Without the command the requests of the user end, and no other one.
        allow(server, &["-model.findop"]);
        for waiter in [&mut first, &mut second] {
            assert_eq!(answer(waiter).error_word(), "NOPERM");
            waiter.must(&["PING"]);
        }
        until_waiting(server, 1);
        set(admin, "a", "none", 1);
        assert_eq!(taken(&mut default), ["a"]);
        // The key of a structure is asked for with the command.
        let mut third = acl::user(server, &["+@all", "~*"]);
        let head = ["MODEL.FINDOP", "1", "log", "job", "WHERE", "self.state == 'none'", "WAIT"];
        wait_on(
            server,
            &mut third,
            &[&head[..], &[LONG, "DO", "DELETE", "AT", "log", "RPUSH", "=key"]].concat(),
        );
        allow(server, &["resetkeys", "~j:*"]);
        assert_eq!(answer(&mut third).error_word(), "NOPERM");
        // A user that is deleted is disconnected by the server.
        let mut fourth = acl::user(server, &["+@all", "~*"]);
        wait_on(server, &mut fourth, &other);
        admin.must(&["ACL", "DELUSER", "someone"]);
        check_idle(server);
    });
}

/// The server refuses commands that may take memory as such: it knows nothing of their statements.
#[test]
fn short_memory_refuses_a_deletion_and_serves_requests_that_wait() {
    on_every_flavor(|flavor| {
        let server = &Server::start(flavor, &["maxmemory-policy noeviction"]);
        let conn = &mut server.conn();
        define(conn);
        for key in ["a", "b"] {
            set(conn, key, "open", 1);
        }
        let deletes = |state: &'static str| {
            let head = ["MODEL.FINDOP", "0", "job", "WHERE", state];
            [&head[..], &["WAIT", LONG, "DO", "DELETE"]].concat()
        };
        let mut waiter = wait(server, &deletes("self.state == 'open' && key == 'c'"));
        conn.must(&["CONFIG", "SET", "maxmemory", "1"]);
        for command in [
            &["MODEL.FINDOP", "0", "job", "DO", "DELETE"][..],
            &["MODEL.TXN", "1", "a", "ON", "a", "DELETE"],
            &["MODEL.FIELDOP", "a", "DELETE"],
        ] {
            assert_eq!(conn.call(command).error_word(), "OOM", "{command:?}");
        }
        assert_eq!(conn.must(&["DEL", "a"]).int(), 1);
        conn.must(&["RENAME", "b", "c"]);
        assert_eq!(taken(&mut waiter), ["c"]);
        check_idle(server);
    });
}

/// A client of a cluster that follows redirections.
struct Follows<'c> {
    cluster: &'c Cluster,
    conn: Conn,
}

impl<'c> Follows<'c> {
    fn new(cluster: &'c Cluster) -> Follows<'c> {
        Follows { cluster, conn: cluster.nodes[0].conn() }
    }

    fn call(&mut self, command: &[&str]) -> Reply {
        loop {
            self.conn.send(command);
            let reply = answer(&mut self.conn);
            match if reply.is_error() { reply.error_word() } else { "" } {
                "MOVED" => {
                    let (_, port) = reply.error().rsplit_once(':').expect("an address");
                    self.conn = self.cluster.at(port.parse().expect("a port")).conn();
                }
                "TRYAGAIN" | "CLUSTERDOWN" => thread::sleep(Duration::from_millis(5)),
                _ => return reply,
            }
        }
    }
}

/// A cluster of two, both of which know the model, and the owner of `{k}` first.
fn cluster() -> Cluster {
    let cluster = Cluster::start(Flavor::Valkey91, 2, &[]);
    define(&mut cluster.nodes[0].conn());
    for node in &cluster.nodes {
        node.wait_until("it has the model", || !node.call(&["MODEL.COUNT", "job"]).is_error());
    }
    cluster.wait_until_agreed();
    cluster
}

#[test]
fn requests_are_redirected_when_their_slot_has_moved_as_a_whole() {
    let cluster = cluster();
    let home = cluster.node_of("{k}");
    let other = cluster.nodes.iter().find(|node| node.port != home.port).expect("two nodes");
    let head = ["MODEL.FINDOP", "1", "{k}", "job", "WHERE", "self.state == 'open'", "WAIT"];
    let request = [&head[..], &[LONG, "DO", "SET", "$.state", "\"taken\""]].concat();
    set(&mut home.conn(), "{k}a", "closed", 1);
    let mut waiters = [(); 2].map(|()| wait(home, &request));
    let slot = cluster.slot("{k}");
    SlotMove::new(slot, home, other).by_stream();
    for waiter in &mut waiters {
        let reply = answer(waiter);
        assert_eq!(reply.error_word(), "MOVED", "{reply:?}");
        let place = format!("{slot} 127.0.0.1:{}", other.port);
        assert!(reply.error().ends_with(&place), "{place}: {reply:?}");
    }
    check_idle(home);
    let mut waiter = wait(other, &request);
    other.must(&["MODEL.FIELDOP", "{k}a", "SET", "$.state", "\"open\""]);
    assert_eq!(taken(&mut waiter), ["{k}a"]);
    check_idle(other);
}

#[test]
fn no_job_is_claimed_twice_while_its_slot_moves_as_a_whole() {
    const JOBS: usize = 240;
    const WORKERS: usize = 4;
    let cluster = cluster();
    let claimed = Mutex::new(BTreeMap::<String, usize>::new());
    let (added, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        let _stops = Stops(&stop);
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let mut client = Follows::new(&cluster);
                let head = ["MODEL.FINDOP", "1", "{k}", "job", "WHERE", "self.state == 'open'"];
                let change = ["SET", "$.state", "\"taken\"", "INCR", "$.n", "1"];
                let request = [&head[..], &["WAIT", "300", "DO"], &change].concat();
                while !stop.load(Ordering::Relaxed) {
                    let reply = client.call(&request);
                    assert!(!reply.is_error(), "{reply:?}");
                    for key in keys(&reply) {
                        *claimed.lock().unwrap().entry(key.to_owned()).or_default() += 1;
                    }
                }
            });
        }
        scope.spawn(|| {
            let mut client = Follows::new(&cluster);
            for nth in 0..JOBS {
                let json = r#"{"state":"open","n":0}"#;
                let reply = client.call(&["MODEL.SET", &format!("{{k}}:{nth}"), "job", json]);
                assert!(!reply.is_error(), "{reply:?}");
                thread::sleep(Duration::from_millis(2));
            }
            added.store(true, Ordering::Relaxed);
        });
        let slot = cluster.slot("{k}");
        let mut moves = 0;
        while moves < 2 || !added.load(Ordering::Relaxed) {
            let from = cluster.master_of(slot);
            let to = cluster.nodes.iter().find(|node| node.port != from.port).expect("two nodes");
            SlotMove::new(slot, from, to).by_stream();
            cluster.wait_until_agreed();
            moves += 1;
        }
        let home = cluster.master_of(slot);
        home.wait_until("all are claimed", || claimed.lock().unwrap().len() == JOBS);
    });
    let claimed = claimed.into_inner().unwrap();
    assert!(claimed.values().all(|count| *count == 1), "{claimed:?}");
    // The documents say the same as the replies to the workers.
    let mut client = Follows::new(&cluster);
    for nth in 0..JOBS {
        let reply = client.call(&["MODEL.GET", &format!("{{k}}:{nth}")]);
        assert_eq!(reply.text(), r#"{"state":"taken","n":1}"#);
    }
    cluster.nodes.iter().for_each(check_idle);
}
