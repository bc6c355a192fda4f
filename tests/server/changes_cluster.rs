//! Change streams in a cluster: one in each hash slot, which moves with the documents of the slot and goes on there.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::changes::{documents, entries, settle};
use crate::cluster::{Cluster, SlotMove, fail_over};
use crate::follower::Follower;
use crate::harness::{Flavor, Server, on_every_flavor};
use crate::recording::check_error_line;
use crate::resp::{Conn, Reply};
use crate::workload::Rng;

/// Keys in several slots, some of which share one.
fn keys() -> Vec<String> {
    (0..8).flat_map(|tag| (0..4).map(move |nth| format!("k{nth}:{{t{tag}}}"))).collect()
}

/// The masters of a cluster, with the documents that their streams tell.
struct Followers<'c> {
    cluster: &'c Cluster,
    followers: BTreeMap<String, Follower>,
}

impl<'c> Followers<'c> {
    fn new(cluster: &'c Cluster) -> Followers<'c> {
        let define = ["MODEL.DEFINE", "m", "{}", "CHANGES", "100000"];
        cluster.nodes[0].must(&define);
        for node in &cluster.nodes {
            node.wait_until("the model is known", || {
                !node.call(&["MODEL.DESCRIBE", "m"]).is_error()
            });
        }
        Followers { cluster, followers: BTreeMap::new() }
    }

    fn masters(&self) -> Vec<&'c Server> {
        let is_master = |node: &&Server| {
            node.is_running() && node.must(&["ROLE"]).array()[0].text() == "master"
        };
        self.cluster.nodes.iter().filter(is_master).collect()
    }

    /// One change by each of some clients, which do not follow redirections: it happens where the key is.
    fn change(&self, rng: &mut Rng, deletes: bool) {
        let all = keys();
        let key = &all[rng.below(all.len())];
        let other = key.replacen('k', "o", 1);
        let n = rng.below(100).to_string();
        let json = format!(r#"{{"n":{n},"pad":"{}"}}"#, "x".repeat(100));
        let kind = rng.below(if deletes { 8 } else { 4 });
        for node in self.masters() {
            let conn = &mut node.conn();
            let _: Reply = match kind {
                0 => conn.call(&["MODEL.SET", key, "m", &json]),
                1 => conn.call(&["MODEL.FIELDOP", key, "INIT", "m", &json, "INCR", "$.n", "1"]),
                2 => conn.call(&["MODEL.FIELDOP", key, "SET", "$.x", &n]),
                3 => conn.call(&["MODEL.TXN", "1", key, "ON", key, "DELETE"]),
                4 => conn.call(&["DEL", key]),
                5 => conn.call(&["RENAME", key, &other]),
                6 => conn.call(&["PEXPIRE", key, "1"]),
                _ => conn.call(&["COPY", key, &other, "REPLACE"]),
            };
        }
    }

    /// Reads on from all streams, until they tell the documents of all masters: some expire in between.
    #[track_caller]
    fn check(&mut self) {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            self.read();
            let found: BTreeMap<_, _> =
                self.masters().into_iter().flat_map(|node| documents(&mut node.conn())).collect();
            let told = self.told();
            if told == found {
                return;
            }
            assert!(Instant::now() < end, "{told:?}\n{found:?}");
        }
    }

    fn read(&mut self) {
        let known: Vec<String> = self.told().into_keys().collect();
        for node in self.masters() {
            let conn = &mut node.conn();
            // A look at what has expired ends it.
            for key in &known {
                conn.call(&["EXISTS", key]);
            }
            settle(node);
            for stream in conn.must(&["KEYS", "m!changes:*"]).array() {
                let follower = self.followers.entry(stream.text().to_owned()).or_default();
                for entry in entries(conn, stream.text(), follower.seq) {
                    follower.read(&entry);
                }
            }
        }
    }

    fn told(&self) -> BTreeMap<String, (u64, serde_json::Value)> {
        self.followers.values().flat_map(|follower| follower.documents.clone()).collect()
    }

    fn entries(&self) -> usize {
        let of_node = |node: &Server| -> usize {
            let conn = &mut node.conn();
            let streams = conn.must(&["KEYS", "m!changes:*"]);
            streams
                .array()
                .iter()
                .map(|stream| conn.must(&["XLEN", stream.text()]).int() as usize)
                .sum()
        };
        self.masters().into_iter().map(of_node).sum()
    }
}

#[test]
fn streams_move_with_their_slots_and_go_on() {
    on_every_flavor(|flavor| {
        let cluster = Cluster::start_with_replicas(flavor, 2, &[]);
        let mut followers = Followers::new(&cluster);
        let rng = &mut Rng::new(4);
        for _ in 0..80 {
            followers.change(rng, true);
        }
        followers.check();
        // Moves record nothing.
        let [one, other, heir, _] = &cluster.nodes[..] else { panic!("two pairs") };
        let before = followers.entries();
        for slot in slots(&cluster) {
            if cluster.master_of(slot).port == one.port {
                SlotMove::new(slot, one, other).by_keys("2", || {});
            }
        }
        cluster.wait_until_agreed();
        followers.check();
        assert_eq!(followers.entries(), before);
        for _ in 0..60 {
            followers.change(rng, true);
        }
        followers.check();
        // While they move, documents change by this module's commands, or are refused.
        for slot in slots(&cluster) {
            SlotMove::new(slot, other, one).by_keys("2", || {
                for _ in 0..6 {
                    followers.change(rng, false);
                }
            });
        }
        cluster.wait_until_agreed();
        followers.check();
        // Masters change.
        let home = cluster.master_of(slots(&cluster)[0]);
        assert_eq!(home.port, one.port);
        heir.wait_for_sync(one);
        fail_over(one, heir);
        for _ in 0..60 {
            followers.change(rng, true);
        }
        followers.check();
    });
}

/// The server's cron, which runs once a second here, is not what makes a node tell moves from deletions.
#[test]
fn keys_that_move_at_once_after_the_definition_are_not_told_as_deleted() {
    on_every_flavor(|flavor| {
        let cluster = Cluster::start(flavor, 2, &["hz 1", "dynamic-hz no"]);
        let mut followers = Followers::new(&cluster);
        let [one, other] = &cluster.nodes[..] else { panic!("two nodes") };
        for key in keys() {
            for node in &cluster.nodes {
                node.call(&["MODEL.SET", &key, "m", r#"{"n":1}"#]);
            }
        }
        let before = followers.entries();
        for slot in slots(&cluster) {
            let is_first = cluster.master_of(slot).port == one.port;
            let (from, to) = if is_first { (one, other) } else { (other, one) };
            SlotMove::new(slot, from, to).by_keys("2", || {});
        }
        assert_eq!(followers.entries(), before);
        followers.check();
    });
}

#[test]
fn streams_move_as_a_whole() {
    let cluster = Cluster::start(Flavor::Valkey91, 2, &[]);
    let mut followers = Followers::new(&cluster);
    let [one, other] = &cluster.nodes[..] else { panic!("two nodes") };
    let rng = &mut Rng::new(5);
    for _ in 0..80 {
        followers.change(rng, true);
    }
    followers.check();
    for (from, to) in [(one, other), (other, one)] {
        for slot in slots(&cluster) {
            if cluster.master_of(slot).port != from.port {
                continue;
            }
            let migration = SlotMove::new(slot, from, to);
            migration.begin_stream();
            // All kinds of changes go on meanwhile.
            for _ in 0..6 {
                followers.change(rng, true);
            }
            migration.wait_for_stream();
        }
        cluster.wait_until_agreed();
        followers.check();
    }
    assert_eq!(one.info("model_changes_lost"), "0");
    assert_eq!(other.info("model_changes_lost"), "0");
}

/// The slots of the keys, each once.
fn slots(cluster: &Cluster) -> Vec<usize> {
    let mut slots: Vec<usize> = keys().iter().map(|key| cluster.slot(key)).collect();
    slots.sort();
    slots.dedup();
    slots
}

#[test]
fn a_document_whose_stream_is_on_another_node_is_refused() {
    on_every_flavor(|flavor| {
        let cluster = Cluster::start(flavor, 2, &[]);
        Followers::new(&cluster);
        let (key, new) = ("{k}doc", "{k}new");
        let migration = SlotMove::of_key(&cluster, key);
        let conn = &mut migration.from.conn();
        conn.must(&["MODEL.SET", key, "m", r#"{"n":1}"#]);
        let streams = conn.must(&["KEYS", "m!changes:*"]);
        let stream = streams.array()[0].text();
        assert_eq!(cluster.slot(stream), cluster.slot(key));
        let seq = |conn: &mut Conn| entries(conn, stream, None).len();
        migration.open();
        // Both are here.
        conn.must(&["MODEL.FIELDOP", key, "INCR", "$.n", "1"]);
        assert_eq!(seq(conn), 2);
        migration.carry(stream);
        let refused = conn.call(&["MODEL.FIELDOP", key, "INCR", "$.n", "1"]);
        assert_eq!(refused.error_word(), "TRYAGAIN");
        assert_eq!(check_error_line(&refused)["stream"], stream);
        assert_eq!(conn.must(&["MODEL.GET", key, "$.n"]).text(), "2");
        // A new document is made on the other node, where the stream is.
        let asking = &mut migration.to.conn();
        asking.must(&["ASKING"]);
        asking.must(&["MODEL.SET", new, "m", "{}"]);
        migration.carry(key);
        asking.must(&["ASKING"]);
        asking.must(&["MODEL.FIELDOP", key, "INCR", "$.n", "1"]);
        migration.close();
        let ops: Vec<String> =
            entries(asking, stream, None).into_iter().map(|entry| entry["op"].clone()).collect();
        assert_eq!(ops, ["create", "update", "create", "update"]);
    });
}
