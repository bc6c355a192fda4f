//! Writes are paused, and the module has something to propagate that is no client's command: the server goes
//! on, and nothing is lost.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::cluster::{Cluster, SlotMove, fail_over};
use crate::harness::{Flavor, Server, on_every_flavor, on_every_server_with};
use crate::resp::{Conn, Reply};

const LONG: &str = "100000";
const AOF: [&str; 2] = ["appendonly yes", "appendfsync always"];

fn pause(server: &Server) {
    server.must(&["CLIENT", "PAUSE", LONG, "WRITE"]);
}

fn define(conn: &mut Conn, nth: usize) -> String {
    let name = format!("item{nth}");
    conn.must(&["MODEL.DEFINE", &name, r#"{"type":"object"}"#, "RULE", "r", "self.n < 3"]);
    name
}

fn names(server: &Server) -> Vec<String> {
    let names = server.must(&["MODEL.MODELS"]);
    names.array().iter().map(|name| name.text().to_owned()).collect()
}

fn wait_for_rewrites(server: &Server, before: u64) {
    let count = || server.info("aof_rewrites").parse::<u64>().unwrap();
    server.wait_until("a rewrite of the AOF ends", || count() > before);
    server.wait_for_aof();
}

/// The content of a server besides definitions.
#[derive(Clone, Copy)]
enum Holds {
    Nothing,
    Documents,
    Foreign,
}

impl Holds {
    fn fill(self, conn: &mut Conn) {
        match self {
            Holds::Nothing => {}
            Holds::Documents => drop(conn.must(&["MODEL.SET", "d", "item0", r#"{"n":1}"#])),
            // A key of the name that carries definitions, too.
            Holds::Foreign => {
                conn.must(&["SET", "model-definitions:0", "x"]);
                conn.must(&["SELECT", "3"]);
                conn.must(&["SET", "b", "y"]);
                conn.must(&["SELECT", "0"]);
            }
        }
    }
}

#[test]
fn an_aof_rewritten_in_a_pause_holds_all_definitions_even_of_a_killed_server() {
    for preamble in ["aof-use-rdb-preamble no", "aof-use-rdb-preamble yes"] {
        for holds in [Holds::Nothing, Holds::Documents, Holds::Foreign] {
            on_every_server_with(&[AOF[0], AOF[1], preamble], |server| {
                let conn = &mut server.conn();
                for nth in 0..3 {
                    define(conn, nth);
                }
                conn.must(&["MODEL.UNDEFINE", "item1"]);
                holds.fill(conn);
                let digest = server.debug_digest();
                pause(server);
                server.rewrite_aof();
                assert_eq!(server.debug_digest(), digest);
                server.kill9();
                server.restart();
                assert_eq!(names(server), ["item0", "item2"]);
                assert_eq!(server.debug_digest(), digest);
                let conn = &mut server.conn();
                let described = conn.must(&["MODEL.DESCRIBE", "item2"]);
                assert_eq!(described.field("version"), &Reply::Int(1));
                // An ended definition is known, too: the next one of the name is a later version.
                define(conn, 1);
                let described = conn.must(&["MODEL.DESCRIBE", "item1"]);
                assert_eq!(described.field("version"), &Reply::Int(3));
                pause(server);
                server.rewrite_aof();
                server.shutdown();
                server.restart();
                assert_eq!(names(server), ["item0", "item1", "item2"]);
                assert_eq!(server.debug_digest(), digest);
            });
        }
    }
}

#[test]
fn an_automatic_rewrite_in_a_pause_keeps_the_definitions() {
    let config = [AOF[0], AOF[1], "aof-use-rdb-preamble no", "auto-aof-rewrite-percentage 0"];
    on_every_server_with(&config, |server| {
        define(&mut server.conn(), 0);
        pause(server);
        let before = server.info("aof_rewrites").parse().unwrap();
        let small = ["CONFIG", "SET", "auto-aof-rewrite-min-size", "1"];
        server.must(&[&small[..], &["auto-aof-rewrite-percentage", "1"]].concat());
        wait_for_rewrites(server, before);
        server.must(&["CONFIG", "SET", "auto-aof-rewrite-percentage", "0"]);
        server.kill9();
        server.restart();
        assert_eq!(names(server), ["item0"]);
    });
}

#[test]
fn an_aof_switched_on_in_a_pause_holds_the_definitions() {
    on_every_server_with(&["appendfsync always", "aof-use-rdb-preamble no"], |server| {
        define(&mut server.conn(), 0);
        pause(server);
        server.must(&["CONFIG", "SET", "appendonly", "yes"]);
        wait_for_rewrites(server, 0);
        server.must(&["CLIENT", "UNPAUSE"]);
        define(&mut server.conn(), 1);
        server.kill9();
        let config = server.dir().join("server.conf");
        let lines = std::fs::read_to_string(&config).unwrap() + "appendonly yes\n";
        std::fs::write(&config, lines).unwrap();
        server.restart();
        assert_eq!(names(server), ["item0", "item1"]);
    });
}

/// A master and its replica, both with an AOF.
fn on_every_pair(config: &[&str], body: impl Fn(&Server, &Server) + Sync) {
    on_every_flavor(|flavor| {
        let config = [&AOF, &["aof-use-rdb-preamble no"][..], config].concat();
        let (master, replica) = (Server::start(flavor, &config), Server::start(flavor, &config));
        replica.replica_of(&master);
        define(&mut master.conn(), 0);
        replica.wait_for_sync(&master);
        body(&master, &replica);
    });
}

#[test]
fn a_rewrite_during_a_failover_keeps_the_definitions() {
    on_every_pair(&[], |master, replica| {
        // The replica lags, so that the failover waits for it.
        replica.pause();
        define(&mut master.conn(), 1);
        master.must(&["FAILOVER"]);
        assert_eq!(master.info("master_failover_state"), "waiting-for-sync");
        master.rewrite_aof();
        replica.resume();
        master.wait_until("it is a replica", || master.info("role") == "slave");
        replica.wait_until("it is the master", || replica.info("role") == "master");
        master.wait_for_sync(replica);
        define(&mut replica.conn(), 2);
        master.wait_for_sync(replica);
        for server in [master, replica] {
            assert_eq!(names(server), ["item0", "item1", "item2"]);
            server.kill9();
        }
        // Its file alone must be enough for each.
        let config = master.dir().join("server.conf");
        let lines = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, lines.replace("replicaof", "#")).unwrap();
        for server in [master, replica] {
            server.restart();
            assert_eq!(names(server), ["item0", "item1", "item2"]);
        }
    });
}

#[test]
fn a_rewrite_while_a_shutdown_waits_for_replicas_keeps_the_definitions() {
    on_every_pair(&["shutdown-timeout 60"], |master, replica| {
        replica.pause();
        define(&mut master.conn(), 1);
        let conn = &mut master.conn();
        conn.send(&["SHUTDOWN"]);
        // Commands that only read go on; writes have to wait.
        thread::sleep(Duration::from_millis(50));
        master.rewrite_aof();
        assert!(master.is_running(), "it still waits");
        replica.resume();
        master.wait_until("the process ends", || !master.is_running());
        master.restart();
        assert_eq!(names(master), ["item0", "item1"]);
        replica.wait_for_sync(master);
        assert_eq!(names(replica), ["item0", "item1"]);
    });
}

#[test]
fn definitions_of_other_shards_in_a_pause_are_in_force_after_it() {
    on_every_flavor(|flavor| {
        let config = [&AOF[..], &["aof-use-rdb-preamble no"]].concat();
        let cluster = Cluster::start_with_replicas(flavor, 2, &config);
        let [one, other, _, replica] = &cluster.nodes[..] else { panic!("two pairs") };
        let wait_for = |server: &Server, wanted: &[&str]| {
            server.wait_until("it knows the definitions", || names(server) == wanted);
        };
        define(&mut one.conn(), 0);
        wait_for(replica, &["item0"]);
        pause(other);
        for nth in 1..4 {
            define(&mut one.conn(), nth);
        }
        one.must(&["MODEL.UNDEFINE", "item2"]);
        other.rewrite_aof();
        // Longer than nodes wait before they tell each other everything again.
        thread::sleep(Duration::from_secs(5));
        assert_eq!(names(other), ["item0"], "data is fixed in a pause");
        other.must(&["CLIENT", "UNPAUSE"]);
        let all = ["item0", "item1", "item3"];
        wait_for(other, &all);
        wait_for(replica, &all);
        other.kill9();
        other.restart();
        assert_eq!(names(other), all);
    });
}

/// Definitions on the first node, and rewrites on the nodes that follow it, until `trouble` is over.
fn while_defining(cluster: &Cluster, trouble: impl FnOnce()) {
    let (done, defined) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            let conn = &mut cluster.nodes[0].conn();
            while !done.load(Ordering::Relaxed) {
                define(conn, defined.fetch_add(1, Ordering::Relaxed) % 40);
                if defined.load(Ordering::Relaxed) % 40 == 0 {
                    (0..40).for_each(|n| drop(conn.must(&["MODEL.UNDEFINE", &format!("item{n}")])));
                }
            }
        });
        for node in &cluster.nodes[1..] {
            scope.spawn(|| {
                let conn = &mut node.conn();
                while !done.load(Ordering::Relaxed) {
                    conn.call(&["BGREWRITEAOF"]);
                    while node.info("aof_rewrite_in_progress") != "0" {
                        thread::sleep(Duration::from_millis(20));
                    }
                    // A full sync needs a child of its own, which the server looks for once a second.
                    thread::sleep(Duration::from_millis(700));
                }
            });
        }
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let under_way = || defined.load(Ordering::Relaxed) > 5;
            cluster.nodes[0].wait_until("definitions are made", under_way);
            trouble();
        }));
        done.store(true, Ordering::Relaxed);
        ran.unwrap_or_else(|panic| resume_unwind(panic));
    });
    let first = &cluster.nodes[0];
    for node in &cluster.nodes {
        node.wait_until("all nodes know the same", || names(node) == names(first));
    }
}

#[test]
fn definitions_come_in_while_slots_fail_over() {
    on_every_flavor(|flavor| {
        let config = [&AOF[..], &["aof-use-rdb-preamble no"]].concat();
        let cluster = Cluster::start_with_replicas(flavor, 2, &config);
        let (one, other) = (&cluster.nodes[1], &cluster.nodes[3]);
        while_defining(&cluster, || {
            for replica in [other, one, other] {
                let former = if replica.port == one.port { other } else { one };
                fail_over(former, replica);
            }
        });
    });
}

#[test]
fn definitions_come_in_while_slots_move_in_one_stream() {
    let config = [&AOF[..], &["aof-use-rdb-preamble no"]].concat();
    let cluster = Cluster::start(Flavor::Valkey91, 3, &config);
    let [_, from, to] = &cluster.nodes[..] else { panic!("three nodes") };
    let first = cluster.first_slot(1);
    while_defining(&cluster, || {
        for nth in 0..6 {
            SlotMove::new(first + nth, from, to).by_stream();
        }
    });
}
