//! Documents of a cluster in a few hash slots: clients that change them and follow redirections, and the comparison of what
//! all masters find with the documents themselves.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::finding::{DEFINE, digest, find, json, let_keys_expire};
use crate::harness::Server;
use crate::resp::{Conn, Reply};
use crate::workload::Rng;

const PATIENCE: Duration = Duration::from_secs(60);
/// Keys of one slot.
const KEYS: usize = 25;
const CLIENTS: usize = 2;

pub struct Documents<'c> {
    cluster: &'c Cluster,
    /// Hash tags of different slots, all of which the first node had at first.
    tags: Vec<String>,
    written: AtomicUsize,
    stop: AtomicBool,
}

impl<'c> Documents<'c> {
    /// Defines the model, waits until every node knows it, and fills this many slots.
    #[track_caller]
    pub fn new(cluster: &'c Cluster, slots: usize) -> Documents<'c> {
        cluster.nodes[0].must(&DEFINE);
        wait_for_model(cluster);
        let end = cluster.first_slot(1);
        let names = (0..).map(|nth| format!("t{nth}"));
        let tags = names.filter(|name| cluster.slot(name) < end).take(slots).collect();
        let (written, stop) = Default::default();
        let documents = Documents { cluster, tags, written, stop };
        let (mut client, rng) = (Client::new(cluster), &mut Rng::new(1));
        for key in documents.keys() {
            client.must(&["MODEL.SET", &key, "m", &json(rng)]);
        }
        documents
    }

    pub fn slots(&self) -> Vec<usize> {
        self.tags.iter().map(|tag| self.cluster.slot(tag)).collect()
    }

    fn keys(&self) -> Vec<String> {
        let of = |tag: &String| {
            let key = |nth| format!("{{{tag}}}:{nth}");
            (0..KEYS).map(key).collect::<Vec<_>>()
        };
        self.tags.iter().flat_map(of).collect()
    }

    /// Runs clients that change documents while `trouble` goes on.
    pub fn change_while(&self, seed: u64, trouble: impl FnOnce()) {
        self.stop.store(false, Relaxed);
        thread::scope(|scope| {
            for nth in 0..CLIENTS {
                let mut rng = Rng::new(seed + nth as u64);
                scope.spawn(move || {
                    let mut client = Client::new(self.cluster);
                    while !self.stop.load(Relaxed) {
                        let command = self.change(&mut rng);
                        client.call(&command.iter().map(String::as_str).collect::<Vec<_>>());
                        self.written.fetch_add(1, Relaxed);
                    }
                });
            }
            let ran = catch_unwind(AssertUnwindSafe(trouble));
            self.stop.store(true, Relaxed);
            ran.unwrap_or_else(|panic| resume_unwind(panic));
        });
    }

    /// Waits until clients have changed more.
    #[track_caller]
    pub fn wait_for_load(&self) {
        let (now, end) = (|| self.written.load(Relaxed), Instant::now() + PATIENCE);
        let before = now();
        while now() < before + 40 {
            assert!(Instant::now() < end, "no load");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// A change of one or two keys of a slot.
    fn change(&self, rng: &mut Rng) -> Vec<String> {
        let tag = &self.tags[rng.below(self.tags.len())];
        let mut key = || format!("{{{tag}}}:{}", rng.below(KEYS));
        let (key, other) = (key(), key());
        let (json, n) = (json(rng), rng.below(6).to_string());
        let line = match rng.below(14) {
            0..=3 => format!("MODEL.SET {key} m {json}"),
            4 => format!("MODEL.FIELDOP {key} INCR $.n 1"),
            5 => format!("MODEL.FIELDOP {key} APPEND $.tags [{n}]"),
            6 => format!(
                "MODEL.TXN 2 {key} {other} ON {key} INCR $.n -1 ON {other} SET $.status \"s1\""
            ),
            7 => format!("MODEL.TXN 1 {key} ON {key} DELETE"),
            8 => format!("DEL {key}"),
            9 => format!("RENAME {key} {other}"),
            10 => format!("COPY {key} {other} REPLACE"),
            11 => format!("PEXPIRE {key} {n}"),
            12 => format!("SET {key} text"),
            _ => format!("MODEL.SET {key} m {json} PX 1"),
        };
        line.split(' ').map(str::to_owned).collect()
    }

    /// Asserts that what all masters find together is what a scan of the documents finds, each once. Nothing may be
    /// written meanwhile.
    #[track_caller]
    pub fn check(&self) {
        self.masters().for_each(|master| let_keys_expire(&mut master.conn()));
        let mut client = Client::new(self.cluster);
        let mut all = BTreeMap::new();
        for key in self.keys() {
            if let json @ Reply::Bulk(_) = client.call(&["MODEL.GET", &key]) {
                all.insert(key, json.json());
            }
        }
        let keys = |holds: &dyn Fn(&serde_json::Value) -> bool| -> Vec<String> {
            all.iter().filter(|(_, json)| holds(json)).map(|(key, _)| key.clone()).collect()
        };
        assert_eq!(self.find(&[]), keys(&|_| true));
        for n in 0..5_i64 {
            let (below, tag) = (format!("self.n < {n}"), format!("{n} in self.tags"));
            let is_below = |json: &serde_json::Value| json["n"].as_i64().is_some_and(|own| own < n);
            assert_eq!(self.find(&["WHERE", &below]), keys(&is_below), "{below}");
            let has = |json: &serde_json::Value| {
                json["tags"].as_array().is_some_and(|tags| tags.contains(&n.into()))
            };
            assert_eq!(self.find(&["WHERE", &tag]), keys(&has), "{tag}");
        }
        for master in self.masters() {
            digest(&mut master.conn());
        }
    }

    fn masters(&self) -> impl Iterator<Item = &Server> {
        self.cluster.nodes.iter().filter(|node| node.info("role") == "master")
    }

    /// The keys that the masters find.
    fn find(&self, query: &[&str]) -> Vec<String> {
        let found = self.masters().flat_map(|master| find(&mut master.conn(), query));
        let mut found: Vec<String> = found.collect();
        found.sort();
        found
    }

    /// Asserts that every replica has the trees of its master, which have no disagreement. Nothing may be written meanwhile.
    #[track_caller]
    pub fn check_replicas(&self) {
        let mut pairs = 0;
        for replica in self.cluster.nodes.iter().filter(|node| node.info("role") == "slave") {
            let port = replica.info("master_port").parse().expect("a port");
            let master = self.cluster.at(port);
            // Documents that have expired are deleted on the master first.
            master.must(&["KEYS", "*"]);
            replica.wait_for_sync(master);
            assert_eq!(digest(&mut replica.conn()), digest(&mut master.conn()));
            pairs += 1;
        }
        assert!(pairs > 0);
    }
}

/// Waits until every node knows the model.
#[track_caller]
pub fn wait_for_model(cluster: &Cluster) {
    for node in &cluster.nodes {
        let knows = || !node.call(&["MODEL.DESCRIBE", "m"]).is_error();
        node.wait_until("it knows the model", knows);
    }
}

/// A client that follows redirections.
struct Client {
    conns: HashMap<u16, Conn>,
    first: u16,
}

impl Client {
    fn new(cluster: &Cluster) -> Client {
        Client { conns: HashMap::new(), first: cluster.nodes[0].port }
    }

    #[track_caller]
    fn must(&mut self, command: &[&str]) {
        let reply = self.call(command);
        assert!(!reply.is_error(), "{command:?}: {reply:?}");
    }

    /// The reply, which is `TRYAGAIN` where one key of two has moved.
    #[track_caller]
    fn call(&mut self, command: &[&str]) -> Reply {
        let end = Instant::now() + PATIENCE;
        let (mut port, mut asks) = (self.first, false);
        loop {
            let open = || Conn::open(port).expect("every node runs");
            let conn = self.conns.entry(port).or_insert_with(open);
            if std::mem::take(&mut asks) {
                conn.must(&["ASKING"]);
            }
            let reply = conn.call(command);
            let word = if reply.is_error() { reply.error_word() } else { "" };
            match word {
                "MOVED" | "ASK" => {
                    let (_, target) = reply.error().rsplit_once(':').expect("an address");
                    port = target.parse().expect("a port");
                    asks = word == "ASK";
                }
                "CLUSTERDOWN" => thread::sleep(Duration::from_millis(5)),
                _ => return reply,
            }
            assert!(Instant::now() < end, "{command:?}: {reply:?}");
        }
    }
}
