//! A cluster of masters with the slots spread evenly, for tests of routing and migration.

use crate::harness::{Flavor, Server};
use crate::resp::Conn;

const SLOTS: usize = 16384;

/// Masters in the order of their slots; all are gone when it is dropped.
pub struct Cluster {
    pub nodes: Vec<Server>,
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
        let cluster = Cluster { nodes: (0..masters).map(|_| start(&lines)).collect() };
        let first_port = cluster.nodes[0].port.to_string();
        for (index, node) in cluster.nodes.iter().enumerate() {
            let mut conn = node.conn();
            let (first, last) = (SLOTS * index / masters, SLOTS * (index + 1) / masters - 1);
            // Nodes that meet with the same epoch would have to settle first whose is older.
            conn.must(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()]);
            conn.must(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
            if index > 0 {
                conn.must(&["CLUSTER", "MEET", "127.0.0.1", &first_port]);
            }
        }
        for node in &cluster.nodes {
            node.wait_until("the cluster is whole", || {
                let info = node.must(&["CLUSTER", "INFO"]);
                let has = |line: &str| info.text().lines().any(|found| found == line);
                has("cluster_state:ok") && has(&format!("cluster_known_nodes:{masters}"))
            });
        }
        cluster
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
        &self.nodes[((slot + 1) * self.nodes.len() - 1) / SLOTS]
    }

    #[track_caller]
    pub fn conn_of(&self, key: &str) -> Conn {
        self.node_of(key).conn()
    }
}

/// A node's id, as CLUSTER SETSLOT and others want it.
#[track_caller]
pub fn node_id(node: &Server) -> String {
    node.must(&["CLUSTER", "MYID"]).text().to_owned()
}
