//! Locks in a cluster: requests are routed to the node of the document, grants migrate with the document, and
//! waiting requests for a migrated document fail with an error, so that the client repeats them on the new node.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::cluster::{Cluster, SlotMove, fail_over, node_id};
use crate::harness::{Flavor, Server, on_every_flavor};
use crate::locking::{LONG, Stops, answer, check_idle, fence, lock, make, number, owners, wait};
use crate::resp::{Conn, Reply};

const KEYS: [&str; 2] = ["{k}a", "{k}b"];

/// The slot of [`KEYS`], from where it was when the cluster was formed, or back.
fn migration(cluster: &Cluster, is_back: bool) -> SlotMove<'_> {
    let away = SlotMove::of_key(cluster, KEYS[0]);
    if is_back { SlotMove { slot: away.slot, from: away.to, to: away.from } } else { away }
}

fn by_keys(way: &SlotMove<'_>) {
    way.by_keys("1", || {});
}

/// Waits until both nodes agree on the owner of the slot: an earlier migration can otherwise be undone by an older one.
fn agree(way: &SlotMove<'_>) {
    let view = |node: &Server| {
        let text = node.must(&["CLUSTER", "NODES"]).text().to_owned();
        let line = |line: &str| {
            let fields: Vec<&str> = line.split(' ').collect();
            format!("{} {} {:?}", fields[0], fields[6], &fields[8..])
        };
        let mut lines: Vec<_> = text.lines().map(line).collect();
        lines.sort();
        lines
    };
    way.from.wait_until("the nodes agree", || view(way.from) == view(way.to));
}

#[test]
fn requests_for_locks_are_routed_by_their_keys() {
    on_every_flavor(|flavor| {
        let cluster = Cluster::start(flavor, 2, &[]);
        let way = migration(&cluster, false);
        let (home, other) = (&mut way.from.conn(), &mut way.to.conn());
        KEYS.iter().for_each(|key| make(home, key));
        for (command, keys) in [
            (&["MODEL.LOCK", KEYS[0], "n", "o"][..], &KEYS[..1]),
            (&["MODEL.MLOCK", "2", KEYS[0], KEYS[1], "n", "o"], &KEYS),
            (&["MODEL.RENEW", KEYS[0], "n", "o", "1"], &KEYS[..1]),
            (&["MODEL.UNLOCK", KEYS[0], "n", "FORCE"], &KEYS[..1]),
            (&["MODEL.UNLOCK", KEYS[1], "n", "FORCE"], &KEYS[1..]),
            (&["MODEL.LOCKS", KEYS[0]], &KEYS[..1]),
        ] {
            let named = other.must(&[&["COMMAND", "GETKEYS"], command].concat());
            let keys: Vec<_> = keys.iter().map(Reply::bulk).collect();
            assert_eq!(named, Reply::Array(keys), "{command:?}");
            assert_eq!(other.call(command).error_word(), "MOVED", "{command:?}");
            let here = home.call(command);
            assert!(!here.is_error() || here.error_word() == "LOCKLOST", "{command:?} {here:?}");
        }
        let across = ["MODEL.MLOCK", "2", KEYS[0], "elsewhere", "n", "o", "WAIT", LONG];
        for conn in [home, other] {
            assert_eq!(conn.call(&across).error_word(), "CROSSSLOT");
        }
        check_idle(way.from);
    });
}

#[test]
fn migrating_a_document_ends_its_waiting_requests_and_keeps_its_locks() {
    on_every_flavor(|flavor| {
        let cluster = Cluster::start(flavor, 2, &[]);
        check_move(&migration(&cluster, false), by_keys);
    });
}

#[test]
fn migrating_a_slot_in_one_stream_keeps_its_locks() {
    let cluster = Cluster::start(Flavor::Valkey91, 2, &[]);
    check_move(&migration(&cluster, false), SlotMove::by_stream);
}

fn check_move<'a>(way: &SlotMove<'a>, go: impl Fn(&SlotMove<'a>)) {
    let conn = &mut way.from.conn();
    KEYS.iter().for_each(|key| make(conn, key));
    let held = lock(conn, KEYS[0], "holder");
    let shared = ["MODEL.LOCK", KEYS[1], "s", "sharer", "SHARED", "LEASE", LONG];
    let shared = fence(&conn.must(&shared));
    let mut waiters = Vec::from(["one", "two"].map(|owner| wait(way.from, KEYS[0], owner)));
    let mut many = way.from.conn();
    many.send(&["MODEL.MLOCK", "2", KEYS[1], KEYS[0], "n", "many", "WAIT", LONG]);
    waiters.push(many);
    way.from.wait_until("all wait", || way.from.info("model_lock_waiters") == "3");
    go(way);
    for waiter in &mut waiters {
        assert_eq!(answer(waiter).error_word(), "NOKEY");
        let again = waiter.call(&["MODEL.LOCK", KEYS[0], "n", "again", "WAIT", LONG]);
        assert_eq!(again.error_word(), "MOVED");
    }
    check_idle(way.from);
    check_arrived(way.to, &held, &shared);
}

/// Asserts that the grants are on the node of the documents: they are listed, valid, and followed by the next one.
fn check_arrived(server: &Server, held: &str, shared: &str) {
    let conn = &mut server.conn();
    for (key, name, owner, fence) in
        [(KEYS[0], "n", "holder", held), (KEYS[1], "s", "sharer", shared)]
    {
        let locks = conn.must(&["MODEL.LOCKS", key]);
        let [lock] = locks.array() else { panic!("{locks:?}") };
        let [holder] = lock.field("holders").array() else { panic!("{locks:?}") };
        assert_eq!(lock.field("name").text(), name);
        assert_eq!(holder.array()[..2], [Reply::bulk(owner), Reply::Int(number(fence) as i64)]);
    }
    let save = ["MODEL.FIELDOP", KEYS[0], "HOLDING", "n", "holder", held, "INCR", "$.n", "1"];
    conn.must(&save);
    conn.must(&["MODEL.RENEW", KEYS[0], "n", "holder", held]);
    let mut next = wait(server, KEYS[0], "next");
    conn.must(&[&save[..], &["RELEASE", "n", "holder", held]].concat());
    let granted = answer(&mut next);
    assert!(number(&fence(&granted)) > number(held), "fences grow");
    assert_eq!(granted.array()[3].json()["n"], 3);
    conn.must(&["MODEL.UNLOCK", KEYS[0], "n", "next", &fence(&granted)]);
    conn.must(&["MODEL.UNLOCK", KEYS[1], "s", "sharer", shared]);
    check_idle(server);
}

#[test]
fn requests_during_a_migration_are_redirected_to_the_document() {
    on_every_flavor(|flavor| {
        let cluster = Cluster::start(flavor, 2, &[]);
        let way = migration(&cluster, false);
        let conn = &mut way.from.conn();
        KEYS.iter().for_each(|key| make(conn, key));
        let held = lock(conn, KEYS[0], "holder");
        way.open();
        // Requests for a document that is not migrated yet wait on the source.
        let mut early = wait(way.from, KEYS[0], "early");
        way.carry(KEYS[0]);
        assert_eq!(answer(&mut early).error_word(), "NOKEY");
        let ask = ["MODEL.LOCK", KEYS[0], "n", "early", "LEASE", LONG, "WAIT", LONG];
        assert_eq!(early.call(&ask).error_word(), "ASK");
        let both = ["MODEL.MLOCK", "2", KEYS[0], KEYS[1], "n", "both"];
        assert_eq!(conn.call(&both).error_word(), "TRYAGAIN");
        let mut asking = way.to.conn();
        assert_eq!(asking.call(&ask).error_word(), "MOVED");
        asking.must(&["ASKING"]);
        asking.send(&ask);
        way.to.wait_until("it waits", || way.to.info("model_lock_waiters") == "1");
        way.carry(KEYS[1]);
        way.close();
        let there = &mut way.to.conn();
        there.must(&["MODEL.UNLOCK", KEYS[0], "n", "holder", &held]);
        let granted = fence(&answer(&mut asking));
        assert!(number(&granted) > number(&held));
        there.must(&["MODEL.UNLOCK", KEYS[0], "n", "early", &granted]);
        [way.from, way.to].into_iter().for_each(check_idle);
    });
}

/// A node that learns that another node owns the slot deletes the keys of the slot.
#[test]
fn losing_a_slot_ends_its_waiting_requests() {
    on_every_flavor(|flavor| {
        let cluster = Cluster::start(flavor, 2, &[]);
        let way = migration(&cluster, false);
        let conn = &mut way.from.conn();
        KEYS.iter().for_each(|key| make(conn, key));
        lock(conn, KEYS[0], "holder");
        let mut waiters = ["one", "two"].map(|owner| wait(way.from, KEYS[0], owner));
        way.open();
        way.to.must(&["CLUSTER", "SETSLOT", &way.slot, "NODE", &node_id(way.to)]);
        for waiter in &mut waiters {
            assert_eq!(answer(waiter).error_word(), "NOKEY");
        }
        check_idle(way.from);
    });
}

/// Valkey keeps the clients of a master of a cluster that becomes a replica blocked. What the new master sends must not have
/// this server grant or claim anything.
#[test]
fn a_master_of_a_cluster_that_becomes_a_replica_sends_its_clients_away() {
    on_every_flavor(|flavor| {
        let cluster = Cluster::start_with_replicas(flavor, 1, &[]);
        let [former, heir] = &cluster.nodes[..] else { panic!("a pair") };
        let conn = &mut former.conn();
        KEYS.iter().for_each(|key| make(conn, key));
        conn.must(&["MODEL.DEFINE", "m", "{}"]);
        conn.must(&["MODEL.SET", "{k}m", "m", r#"{"n":1}"#]);
        let held = lock(conn, KEYS[0], "holder");
        let mut waiters = Vec::from(["one", "two"].map(|owner| wait(former, KEYS[0], owner)));
        let find = ["MODEL.FINDOP", "1", "{k}", "m", "WHERE", "self.n == 2", "WAIT", LONG];
        let both = ["MODEL.MLOCK", "2", KEYS[1], KEYS[0], "n", "both", "WAIT", LONG];
        for request in [&both[..], &[&find[..], &["SCAN", "DO", "DELETE"]].concat()] {
            let mut waiter = former.conn();
            waiter.send(request);
            waiters.push(waiter);
        }
        former.wait_until("all wait", || {
            former.info("model_lock_waiters") == "3" && former.info("model_find_waiters") == "1"
        });
        fail_over(former, heir);
        let there = &mut heir.conn();
        there.must(&["MODEL.UNLOCK", KEYS[0], "n", "holder", &held]);
        there.must(&["MODEL.FIELDOP", "{k}m", "SET", "$.n", "2"]);
        let place = format!("MOVED {} 127.0.0.1:{}", cluster.slot(KEYS[0]), heir.port);
        for waiter in &mut waiters {
            let reply = answer(waiter);
            let is_sent = reply.error() == place || reply.error_word() == "UNBLOCKED";
            assert!(is_sent, "{reply:?}");
        }
        former.wait_for_sync(heir);
        for key in [KEYS[0], KEYS[1], "{k}m"] {
            let digest = |node: &Server| node.must(&["DEBUG", "DIGEST-VALUE", key]);
            assert_eq!(digest(former), digest(heir), "{key}");
        }
        cluster.nodes.iter().for_each(check_idle);
    });
}

/// A node that is cut off from the others must not serve clients while another one takes over its slots.
#[test]
fn requests_do_not_wait_while_the_cluster_is_down() {
    on_every_flavor(|flavor| {
        let cluster = Cluster::start(flavor, 2, &[]);
        let home = cluster.node_of(KEYS[0]);
        let conn = &mut home.conn();
        make(conn, KEYS[0]);
        conn.must(&["MODEL.DEFINE", "m", "{}", "INDEX", "n", "1", "$.n"]);
        conn.must(&["MODEL.LOCK", KEYS[0], "n", "holder", "LEASE", "5000"]);
        let mut waiters = Vec::from([wait(home, KEYS[0], "waiter"), home.conn()]);
        let find = ["MODEL.FINDOP", "1", KEYS[0], "m", "WHERE", "self.n < int(now)", "WAIT", LONG];
        waiters[1].send(&[&find[..], &["DO", "DELETE"]].concat());
        home.wait_until("it waits", || home.info("model_find_waiters") == "1");
        let other_slot = cluster.slot(KEYS[0]) ^ 1;
        conn.must(&["CLUSTER", "DELSLOTS", &other_slot.to_string()]);
        for waiter in &mut waiters {
            assert_eq!(answer(waiter).error_word(), "CLUSTERDOWN");
        }
        assert_eq!(conn.call(&["MODEL.LOCKS", KEYS[0]]).error_word(), "CLUSTERDOWN");
        check_idle(home);
    });
}

/// Valkey sends the commands of a slot that it imports to its replicas as they came, and nothing that a module adds: a grant of
/// a connection of the other node ends in a unit of its own.
#[test]
fn replicas_follow_the_locks_of_a_slot_that_is_streamed() {
    let cluster = Cluster::start_with_replicas(Flavor::Valkey91, 2, &[]);
    let way = migration(&cluster, false);
    let nth = cluster.nodes.iter().position(|node| node.port == way.to.port).expect("a node");
    let replica = &cluster.nodes[nth + 2];
    let conn = &mut way.from.conn();
    KEYS.iter().for_each(|key| make(conn, key));
    let ephemeral = |key| ["MODEL.LOCK", key, "n", "owner", "EPHEMERAL", "LEASE", "3600000"];
    conn.must(&ephemeral(KEYS[0]));
    let hold = |flag| way.from.must(&["DEBUG", "SLOTMIGRATION", "PREVENT-PAUSE", flag]);
    hold("1");
    way.begin_stream();
    replica.wait_until("it has the documents", || replica.info("model_documents") == "2");
    conn.must(&ephemeral(KEYS[1]));
    let digests = |node: &Server| KEYS.map(|key| node.must(&["DEBUG", "DIGEST-VALUE", key]));
    way.to.wait_until("the grants have come and ended", || {
        way.to.info("model_locks_held") == "0" && digests(way.to) != digests(way.from)
    });
    replica.wait_until("they have ended on the replica", || {
        replica.info("model_locks_held") == "0" && digests(replica) == digests(way.to)
    });
    hold("0");
    way.wait_for_stream();
    replica.wait_until("nothing differs", || digests(replica) == digests(way.to));
    assert_eq!(way.to.must(&["MODEL.LOCKS", KEYS[1]]), Reply::Array(vec![]));
}

/// A client that follows redirections.
struct Wanderer<'a> {
    nodes: &'a [Server],
    conns: Vec<Conn>,
    at: usize,
}

impl Wanderer<'_> {
    fn new(cluster: &Cluster) -> Wanderer<'_> {
        let conns = cluster.nodes.iter().map(Server::conn).collect();
        Wanderer { nodes: &cluster.nodes, conns, at: 0 }
    }

    fn call(&mut self, command: &[&str]) -> Reply {
        let mut reply = self.conns[self.at].call(command);
        loop {
            let Reply::Error(text) = &reply else { return reply };
            let (word, rest) = text.split_once(' ').expect("an error has a text");
            let port = rest.rsplit(':').next().and_then(|port| port.parse().ok());
            let there = self.nodes.iter().position(|node| Some(node.port) == port);
            match word {
                "MOVED" => self.at = there.expect("a node of the cluster"),
                "ASK" => {
                    let conn = &mut self.conns[there.expect("a node of the cluster")];
                    conn.must(&["ASKING"]);
                    reply = conn.call(command);
                    continue;
                }
                "TRYAGAIN" | "CLUSTERDOWN" => thread::sleep(Duration::from_millis(2)),
                _ => return reply,
            }
            reply = self.conns[self.at].call(command);
        }
    }

    /// Takes a lock; repeats the request if the document migrated while it waited.
    fn lock(&mut self, command: &[&str]) -> Reply {
        loop {
            let reply = self.call(command);
            if !reply.is_error() || reply.error_word() != "NOKEY" {
                return reply;
            }
        }
    }

    /// Locks one document or both, increments their counters and releases; returns the number of increments.
    fn count(&mut self, owner: &str, both: bool) -> u64 {
        let count = |fence| ["HOLDING", "n", owner, fence, "INCR", "$.n", "1"];
        if both {
            let request = ["MODEL.MLOCK", "2", KEYS[0], KEYS[1], "n", owner, "WAIT", LONG];
            let granted = self.lock(&request);
            let fences = [0, 1].map(|nth| fence(&granted.array()[nth]));
            let mut command = vec!["MODEL.TXN", "2", KEYS[0], KEYS[1]];
            for (key, fence) in KEYS.iter().zip(&fences) {
                command.extend(["ON", key]);
                command.extend(count(fence));
                command.extend(["RELEASE", "n", owner, fence]);
            }
            let counted = self.call(&command);
            assert!(!counted.is_error(), "{counted:?}");
            return 2;
        }
        let held = fence(&self.lock(&["MODEL.LOCK", KEYS[0], "n", owner, "WAIT", LONG]));
        let counted = self.call(&[&["MODEL.FIELDOP", KEYS[0]], &count(&held)[..]].concat());
        assert!(!counted.is_error(), "{counted:?}");
        let unlocked = self.call(&["MODEL.UNLOCK", KEYS[0], "n", owner, &held]);
        assert_eq!(unlocked, Reply::Int(1));
        1
    }
}

#[test]
fn a_slot_migrates_repeatedly_under_clients_that_hold_and_wait() {
    on_every_flavor(|flavor| {
        let cluster = Cluster::start(flavor, 2, &[]);
        KEYS.iter().for_each(|key| make(&mut cluster.conn_of(key), key));
        let (stop, counted) = (AtomicBool::new(false), AtomicU64::new(0));
        thread::scope(|scope| {
            let _stops = Stops(&stop);
            for nth in 0..4 {
                let (cluster, stop, counted) = (&cluster, &stop, &counted);
                scope.spawn(move || {
                    let mut client = Wanderer::new(cluster);
                    while !stop.load(Ordering::Relaxed) {
                        let more = client.count(&format!("client:{nth}"), nth % 2 == 0);
                        counted.fetch_add(more, Ordering::Relaxed);
                    }
                });
            }
            for round in 0..6 {
                let way = migration(&cluster, round % 2 == 1);
                let before = counted.load(Ordering::Relaxed);
                way.to.wait_until("they work", || counted.load(Ordering::Relaxed) > before + 10);
                match flavor.is_valkey() && round >= 2 {
                    true => way.by_stream(),
                    false => by_keys(&way),
                }
                agree(&way);
            }
        });
        let mut client = Wanderer::new(&cluster);
        let found = client.call(&["MODEL.MGET", "2", KEYS[0], KEYS[1], "$.n"]);
        let number = |nth: usize| found.array()[nth].text().parse::<u64>().expect("n");
        assert_eq!(number(0) + number(1) - 2, counted.into_inner());
        for key in KEYS {
            assert_eq!(owners(&mut cluster.conn_of(key), key), Vec::<String>::new());
        }
        cluster.nodes.iter().for_each(check_idle);
    });
}
