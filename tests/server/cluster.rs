//! A cluster of masters with the slots spread evenly, for tests of routing and migration.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Flavor, Server};
use crate::resp::{Conn, Reply};

const SLOTS: usize = 16384;
/// How long nodes may take to agree.
const PATIENCE: Duration = Duration::from_secs(60);

/// Masters in the order of their slots, then what joined; all are gone when it is dropped.
pub struct Cluster {
    pub nodes: Vec<Server>,
    /// How many had slots when it was formed.
    masters: usize,
}

impl Cluster {
    /// Starts this many masters with the module and waits until each serves the whole cluster.
    #[track_caller]
    pub fn start(flavor: Flavor, masters: usize, config: &[&str]) -> Cluster {
        Cluster::form(masters, |lines| Server::start(flavor, &[lines, config].concat()))
    }

    /// As `start`, without the module.
    #[track_caller]
    pub fn start_plain(flavor: Flavor, masters: usize, config: &[&str]) -> Cluster {
        Cluster::form(masters, |lines| Server::start_plain(flavor, &[lines, config].concat()))
    }

    #[track_caller]
    fn form(masters: usize, start: impl Fn(&[&str]) -> Server) -> Cluster {
        let lines = ["cluster-enabled yes", "cluster-node-timeout 5000"];
        let cluster = Cluster { nodes: (0..masters).map(|_| start(&lines)).collect(), masters };
        for (index, node) in cluster.nodes.iter().enumerate() {
            let mut conn = node.conn();
            let (first, last) = (SLOTS * index / masters, SLOTS * (index + 1) / masters - 1);
            // Nodes that meet with the same epoch would have to settle first whose is older.
            conn.must(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()]);
            conn.must(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
            if index > 0 {
                cluster.meet(node);
            }
        }
        cluster.wait_until_whole();
        cluster
    }

    /// As `start`, and gives each master a replica: those of the first half of the nodes are the second
    /// half, in the same order.
    #[track_caller]
    pub fn start_with_replicas(flavor: Flavor, masters: usize, config: &[&str]) -> Cluster {
        let mut cluster = Cluster::start(flavor, masters, config);
        for index in 0..masters {
            cluster.join(config);
            let (node, master) = (&cluster.nodes[masters + index], node_id(&cluster.nodes[index]));
            let known = || node.must(&["CLUSTER", "NODES"]).text().contains(&master);
            node.wait_until("it knows its master", known);
            node.must(&["CLUSTER", "REPLICATE", &master]);
        }
        for (master, replica) in cluster.nodes.iter().zip(&cluster.nodes[masters..]) {
            replica.wait_for_sync(master);
        }
        cluster
    }

    /// Adds a node without slots.
    #[track_caller]
    pub fn join(&mut self, config: &[&str]) {
        let lines = ["cluster-enabled yes", "cluster-node-timeout 5000"];
        let node = Server::start(self.nodes[0].flavor, &[&lines, config].concat());
        self.meet(&node);
        self.nodes.push(node);
        self.wait_until_whole();
    }

    fn meet(&self, node: &Server) {
        node.must(&["CLUSTER", "MEET", "127.0.0.1", &self.nodes[0].port.to_string()]);
    }

    /// Waits until every node knows all others and that all slots are served.
    #[track_caller]
    pub fn wait_until_whole(&self) {
        let nodes = self.nodes.len();
        for node in &self.nodes {
            node.wait_until("the cluster is whole", || {
                let info = node.must(&["CLUSTER", "INFO"]);
                let has = |line: &str| info.text().lines().any(|found| found == line);
                has("cluster_state:ok") && has(&format!("cluster_known_nodes:{nodes}"))
            });
        }
    }

    /// redis-cli's administration of the cluster; whether it could, and what it said.
    pub fn administer(&self, task: &[&str]) -> Result<String, String> {
        let cli = Flavor::Redis70.folder().join("redis-cli");
        let ran = Command::new(cli).arg("--cluster").args(task).output();
        let ran = ran.expect("redis-cli is there");
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        // `reshard` gives success, too, when it stops half way.
        match ran.status.success() && !said.contains("ERR") {
            true => Ok(said),
            false => Err(said + &String::from_utf8_lossy(&ran.stderr)),
        }
    }

    /// Waits until all nodes agree about the slots: a move that begins before can be lost to an older one.
    /// What was begun and not ended is ended.
    #[track_caller]
    pub fn wait_until_agreed(&self) {
        let first = &self.nodes[0];
        let at = format!("127.0.0.1:{}", first.port);
        let end = Instant::now() + PATIENCE;
        while let Err(said) = self.administer(&["check", &at]) {
            assert!(Instant::now() < end, "the nodes do not agree: {said}");
            if said.contains("slots are open") {
                let _ = self.administer(&["fix", &at, "--cluster-yes"]);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Moves that many slots, the lowest, from the shard of one node to that of another, by `redis-cli --cluster reshard`.
    /// It stops half way when a busy replica is late, which Valkey waits for, or has become the master, and is done again.
    #[track_caller]
    pub fn reshard(&self, from: &Server, to: &Server, slots: usize) {
        self.wait_until_agreed();
        let wanted = self.count_slots(self.master_of_shard(to)) + slots;
        let mut said = Ok(String::new());
        for _ in 0..10 {
            let [from, to] = [from, to].map(|node| self.master_of_shard(node));
            let missing = wanted - self.count_slots(to);
            if missing == 0 {
                return;
            }
            said = self.administer(&[
                "reshard",
                &format!("127.0.0.1:{}", from.port),
                "--cluster-from",
                &node_id(from),
                "--cluster-to",
                &node_id(to),
                "--cluster-slots",
                &missing.to_string(),
                "--cluster-yes",
            ]);
            self.wait_until_agreed();
        }
        panic!("the slots were not moved: {said:?}");
    }

    /// The master of the shard of a node now: servers that compete for a core may exchange their roles.
    #[track_caller]
    pub fn master_of_shard<'a>(&'a self, node: &'a Server) -> &'a Server {
        let is_replica = node.info("role") == "slave";
        if is_replica { self.at(node.info("master_port").parse().expect("a port")) } else { node }
    }

    /// How many slots a master has, as it sees it itself.
    #[track_caller]
    fn count_slots(&self, master: &Server) -> usize {
        let slots = master.must(&["CLUSTER", "SLOTS"]);
        let ranges = slots.array().iter().map(Reply::array);
        let own = ranges.filter(|range| range[2].array()[1].int() == i64::from(master.port));
        own.map(|range| (range[1].int() - range[0].int()) as usize + 1).sum()
    }

    /// The master a slot belongs to now, as the first node that runs sees it.
    #[track_caller]
    pub fn master_of(&self, slot: usize) -> &Server {
        let asked = self.nodes.iter().find(|node| node.is_running()).expect("a node runs");
        let slots = asked.must(&["CLUSTER", "SLOTS"]);
        let range = slots
            .array()
            .iter()
            .map(Reply::array)
            .find(|range| (range[0].int() as usize..=range[1].int() as usize).contains(&slot));
        let port = range.expect("all slots are served")[2].array()[1].int();
        self.at(port as u16)
    }

    #[track_caller]
    pub fn at(&self, port: u16) -> &Server {
        self.nodes.iter().find(|node| node.port == port).expect("a node of the cluster")
    }

    /// The first slot of a shard when the cluster was formed.
    pub fn first_slot(&self, shard: usize) -> usize {
        SLOTS * shard / self.masters
    }

    /// The slot of a key.
    #[track_caller]
    pub fn slot(&self, key: &str) -> usize {
        self.nodes[0].must(&["CLUSTER", "KEYSLOT", key]).int() as usize
    }

    /// The node the key belonged to when the cluster was formed.
    #[track_caller]
    pub fn node_of(&self, key: &str) -> &Server {
        let slot = self.slot(key);
        // The inverse of the ranges `form` gives out.
        &self.nodes[((slot + 1) * self.masters - 1) / SLOTS]
    }

    #[track_caller]
    pub fn conn_of(&self, key: &str) -> Conn {
        self.node_of(key).conn()
    }
}

/// The migration of a slot from one node to another: key by key, as every server can, or in one stream, as Valkey can.
pub struct SlotMove<'a> {
    pub slot: String,
    pub from: &'a Server,
    pub to: &'a Server,
}

impl<'a> SlotMove<'a> {
    pub fn new(slot: usize, from: &'a Server, to: &'a Server) -> SlotMove<'a> {
        SlotMove { slot: slot.to_string(), from, to }
    }

    /// The slot of a key, from the node that it belonged to when the cluster was formed to another master.
    #[track_caller]
    pub fn of_key(cluster: &'a Cluster, key: &str) -> SlotMove<'a> {
        let from = cluster.node_of(key);
        let mut masters = cluster.nodes[..cluster.masters].iter();
        let to = masters.find(|node| node.port != from.port).expect("there are two masters");
        SlotMove::new(cluster.slot(key), from, to)
    }

    #[track_caller]
    pub fn open(&self) {
        let setslot = ["CLUSTER", "SETSLOT", &self.slot];
        self.to.must(&[&setslot[..], &["IMPORTING", &node_id(self.from)]].concat());
        self.from.must(&[&setslot[..], &["MIGRATING", &node_id(self.to)]].concat());
    }

    #[track_caller]
    pub fn carry(&self, key: &str) {
        // A key that a client deletes meanwhile gives NOKEY.
        let port = self.to.port.to_string();
        self.from.must(&["MIGRATE", "127.0.0.1", &port, key, "0", "20000"]);
    }

    /// Carries at most so many of the keys that are left. Returns false if there were none.
    #[track_caller]
    pub fn carry_some(&self, most: &str) -> bool {
        let keys = self.from.must(&["CLUSTER", "GETKEYSINSLOT", &self.slot, most]);
        keys.array().iter().for_each(|key| self.carry(key.text()));
        !keys.array().is_empty()
    }

    #[track_caller]
    pub fn close(&self) {
        let id = node_id(self.to);
        // Redis remembers the owner when the destination knows first.
        for node in [self.to, self.from] {
            node.must(&["CLUSTER", "SETSLOT", &self.slot, "NODE", &id]);
        }
    }

    /// Gives up the move of a slot to this `from`: a key that has moved goes back to its owner.
    #[track_caller]
    pub fn carry_back(&self, key: &str) {
        self.to.must(&["CLUSTER", "SETSLOT", &self.slot, "STABLE"]);
        self.carry(key);
        self.from.must(&["CLUSTER", "SETSLOT", &self.slot, "STABLE"]);
    }

    /// Key by key. `halfway` is called when at most `first` of the keys have moved.
    #[track_caller]
    pub fn by_keys(&self, first: &str, halfway: impl FnOnce()) {
        self.open();
        self.carry_some(first);
        halfway();
        while self.carry_some("100") {}
        self.close();
    }

    #[track_caller]
    pub fn begin_stream(&self) {
        let range = ["SLOTSRANGE", &self.slot, &self.slot, "NODE", &node_id(self.to)];
        self.from.must(&[&["CLUSTER", "MIGRATESLOTS"], &range[..]].concat());
    }

    #[track_caller]
    pub fn wait_for_stream(&self) {
        self.from.wait_until("the slot has moved", || {
            let state = stream_state(self.from);
            assert_ne!(state, "failed");
            state == "success"
        });
    }

    #[track_caller]
    pub fn by_stream(&self) {
        self.begin_stream();
        self.wait_for_stream();
    }
}

/// The state of the migration in one stream that a node began last.
#[track_caller]
pub fn stream_state(from: &Server) -> String {
    let all = from.must(&["CLUSTER", "GETSLOTMIGRATIONS"]);
    all.array()[0].field("state").text().to_owned()
}

/// A node's id, as CLUSTER SETSLOT and others want it.
#[track_caller]
pub fn node_id(node: &Server) -> String {
    node.must(&["CLUSTER", "MYID"]).text().to_owned()
}

/// Makes a master and its replica exchange their roles.
#[track_caller]
pub fn fail_over(former: &Server, replica: &Server) {
    let mut asked = None;
    replica.wait_until("the two have exchanged their roles", || {
        // The servers give up a failover after five seconds, and may undo one when a node was slow to hear of it.
        let is_master = replica.info("role") == "master";
        if !is_master && asked.is_none_or(|at: Instant| at.elapsed().as_secs() > 5) {
            replica.call(&["CLUSTER", "FAILOVER"]);
            asked = Some(Instant::now());
        }
        let follows = || former.info("role") == "slave";
        is_master && follows() && former.info("master_link_status") == "up"
    });
}
