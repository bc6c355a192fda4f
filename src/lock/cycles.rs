//! All deadlock cycles, found in one pass over the waiting requests.
//!
//! The wait-for graph has a node for each owner of a waiting request, and group nodes: the first holders of a lock, its
//! last holders, and its holders that wait for an upgrade. So the number of edges is linear in requests and holders
//! instead of quadratic. A request has no edge to a group that contains its own owner, so that every cycle has
//! several owners.

use std::collections::{HashMap, HashSet};

use super::engine::{Engine, Waiter};
use super::queue::{Queue, WaiterId};
use super::state::Mode;

type Node = u32;

/// Returns the requests of each deadlock cycle among these, which come in the order of arrival; each cycle's requests keep
/// that order. Cycles with a common owner are one. `steps` counts nodes and edges.
pub fn find(engine: &Engine, requests: &[WaiterId], steps: &mut u64) -> Vec<Vec<WaiterId>> {
    let mut owners: HashMap<&[u8], Node> = HashMap::new();
    for id in requests {
        let new = owners.len() as Node;
        owners.entry(&engine.waiters[id].owner).or_insert(new);
    }
    let mut graph = Graph { edges: vec![Vec::new(); owners.len()] };
    let mut passed: HashMap<*const Queue, Passed> = HashMap::new();
    for id in requests {
        let waiter = &engine.waiters[id];
        let owner = owners[&*waiter.owner];
        for document in &waiter.documents {
            let queues = engine.queues_of(document.at());
            let queue = queues.and_then(|queues| queues.find(&waiter.name));
            let queue = queue.expect("a waiting request is in its queues");
            let passed =
                passed.entry(queue).or_insert_with(|| Passed::new(queue, &owners, &mut graph));
            passed.pass(&mut graph, owner, waiter);
        }
    }
    *steps += graph.edges.iter().map(|edges| 1 + edges.len() as u64).sum::<u64>();
    let components = graph.components();
    let mut sizes: HashMap<u32, usize> = HashMap::new();
    for component in &components[..owners.len()] {
        *sizes.entry(*component).or_default() += 1;
    }
    let mut cycles: Vec<Vec<WaiterId>> = Vec::new();
    let mut numbers: HashMap<u32, usize> = HashMap::new();
    for id in requests {
        let component = components[owners[&*engine.waiters[id].owner] as usize];
        if sizes[&component] > 1 {
            let nth = *numbers.entry(component).or_insert_with(|| {
                cycles.push(Vec::new());
                cycles.len() - 1
            });
            cycles[nth].push(*id);
        }
    }
    cycles
}

/// The state of one queue while its requests are passed in order.
struct Passed {
    /// The position among the holders and the mode of each holder that waits as well.
    held: HashMap<Node, (usize, Mode)>,
    /// For each number n, the group of the first n holders and the group of all others.
    first: Vec<Node>,
    rest: Vec<Node>,
    /// Flag: the holder is exclusive.
    is_exclusive: bool,
    /// The last owner with an exclusive request that does not hold the lock: it waits for all requests before.
    last: Option<Node>,
    /// The last such owner other than `last`.
    other: Option<Node>,
    /// The owners of shared requests after `last`.
    sharers: Vec<Node>,
    /// The group of holders that wait for an upgrade.
    upgraders: Option<Node>,
    upgrading: HashSet<Node>,
}

impl Passed {
    fn new(queue: &Queue, owners: &HashMap<&[u8], Node>, graph: &mut Graph) -> Passed {
        // Holders without waiting requests are in no cycle.
        let known = queue.holders.iter();
        let held: Vec<(Node, Mode)> = known
            .filter_map(|(owner, mode)| owners.get(&**owner).map(|node| (*node, *mode)))
            .collect();
        let mut first = vec![graph.group(None, None)];
        let mut rest = vec![graph.group(None, None)];
        for (node, _) in &held {
            first.push(graph.group(Some(*node), first.last().copied()));
        }
        for (node, _) in held.iter().rev() {
            rest.push(graph.group(Some(*node), rest.last().copied()));
        }
        rest.reverse();
        let place = |(nth, (node, mode)): (usize, (Node, Mode))| (node, (nth, mode));
        Passed {
            is_exclusive: held.iter().any(|(_, mode)| *mode == Mode::Exclusive),
            held: held.into_iter().enumerate().map(place).collect(),
            first,
            rest,
            last: None,
            other: None,
            sharers: Vec::new(),
            upgraders: None,
            upgrading: HashSet::new(),
        }
    }

    /// Adds the edges of the next request of the queue, as in [`super::graph`].
    fn pass(&mut self, graph: &mut Graph, owner: Node, waiter: &Waiter) {
        let alone = waiter.mode == Mode::Exclusive;
        if let Some((nth, mode)) = self.held.get(&owner) {
            if !mode.covers(waiter.mode) {
                graph.add(owner, self.first[*nth]);
                graph.add(owner, self.rest[nth + 1]);
                if self.upgrading.insert(owner) {
                    self.upgraders = Some(graph.group(Some(owner), self.upgraders));
                }
            }
            return;
        }
        if alone || self.is_exclusive {
            graph.add(owner, self.rest[0]);
        }
        let before = if self.last == Some(owner) { self.other } else { self.last };
        if let Some(before) = before {
            graph.add(owner, before);
        }
        if !alone {
            // An exclusive request waits for these as holders.
            if let Some(upgraders) = self.upgraders {
                graph.add(owner, upgraders);
            }
            self.sharers.push(owner);
            return;
        }
        // An earlier request of this owner already has edges to the sharers before it.
        for sharer in self.sharers.drain(..).filter(|sharer| *sharer != owner) {
            graph.add(owner, sharer);
        }
        if self.last != Some(owner) {
            self.other = self.last.replace(owner);
        }
    }
}

struct Graph {
    edges: Vec<Vec<Node>>,
}

impl Graph {
    fn add(&mut self, from: Node, to: Node) {
        self.edges[from as usize].push(to);
    }

    /// Adds a group: one node, and those of another group.
    fn group(&mut self, one: Option<Node>, others: Option<Node>) -> Node {
        self.edges.push(one.into_iter().chain(others).collect());
        self.edges.len() as Node - 1
    }

    /// The strongly connected component of each node, by Tarjan's algorithm with an explicit stack: paths are as long
    /// as queues.
    fn components(&self) -> Vec<u32> {
        const UNSEEN: u32 = u32::MAX;
        let nodes = self.edges.len();
        let (mut order, mut low) = (vec![UNSEEN; nodes], vec![0; nodes]);
        let mut component = vec![UNSEEN; nodes];
        let (mut seen, mut found) = (0, 0);
        let mut open: Vec<usize> = Vec::new();
        let mut path: Vec<(usize, usize)> = Vec::new();
        for start in 0..nodes {
            if order[start] != UNSEEN {
                continue;
            }
            path.push((start, 0));
            while let Some((node, nth)) = path.pop() {
                if nth == 0 {
                    (order[node], low[node]) = (seen, seen);
                    seen += 1;
                    open.push(node);
                } else {
                    let child = self.edges[node][nth - 1] as usize;
                    low[node] = low[node].min(low[child]);
                }
                let mut next = nth;
                let child = self.edges[node][nth..].iter().find(|child| {
                    next += 1;
                    let child = **child as usize;
                    if order[child] != UNSEEN && component[child] == UNSEEN {
                        low[node] = low[node].min(order[child]);
                    }
                    order[child] == UNSEEN
                });
                if let Some(child) = child {
                    path.push((node, next));
                    path.push((*child as usize, 0));
                } else if low[node] == order[node] {
                    while let Some(member) = open.pop() {
                        component[member] = found;
                        if member == node {
                            break;
                        }
                    }
                    found += 1;
                }
            }
        }
        component
    }
}
