//! All deadlock cycles, found in one pass over the queues.
//!
//! The wait-for graph has a node for each owner of a waiting request, and group nodes: the first holders of a lock, its
//! last holders, and its holders that wait for an upgrade. So the number of edges is linear in requests and holders
//! instead of quadratic. A request has no edge to a group that contains its own owner, so that every cycle has
//! several owners.

use std::collections::{HashMap, HashSet};

use hashbrown::HashMap as FastMap;
use smallvec::SmallVec;

use super::engine::Engine;
use super::queue::{Queue, WaiterId};
use super::state::Mode;

type Node = u32;
/// The owner and the mode of each waiting request.
type Requests = FastMap<WaiterId, (Node, Mode), foldhash::fast::RandomState>;

/// Returns the requests of each deadlock cycle in the order of arrival. Cycles with a common owner are one. `steps`
/// counts queues, requests in queues, nodes and edges.
pub fn find(engine: &Engine, steps: &mut u64) -> Vec<Vec<WaiterId>> {
    let mut owners: HashMap<&[u8], Node> = HashMap::new();
    let mut requests = Requests::default();
    for (id, waiter) in &engine.waiters {
        let new = owners.len() as Node;
        let owner = *owners.entry(&waiter.owner).or_insert(new);
        requests.insert(*id, (owner, waiter.mode));
    }
    let mut graph = Graph { nodes: owners.len() as Node, edges: Vec::new() };
    for queue in engine.queues.values().flat_map(HashMap::values).flat_map(|queues| queues.all()) {
        *steps += 1 + queue.all.len() as u64;
        let mut passed = Passed::new(queue, &owners);
        // Those that have ended are not among the requests.
        for (owner, mode) in queue.all.iter().filter_map(|id| requests.get(id)) {
            passed.pass(&mut graph, *owner, *mode);
        }
    }
    *steps += u64::from(graph.nodes) + graph.edges.len() as u64;
    let components = graph.components();
    let mut sizes: HashMap<u32, usize> = HashMap::new();
    for component in &components[..owners.len()] {
        *sizes.entry(*component).or_default() += 1;
    }
    let mut cycles: Vec<Vec<WaiterId>> = Vec::new();
    let mut numbers: HashMap<u32, usize> = HashMap::new();
    for id in engine.waiters.keys() {
        let component = components[requests[id].0 as usize];
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
    /// The holders that wait as well; others are in no cycle.
    held: SmallVec<[(Node, Mode); 1]>,
    /// With several of them: the position of each, and their groups.
    several: Option<Several>,
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

/// Several holders of a lock.
struct Several {
    positions: HashMap<Node, usize>,
    /// For each number n, the group of the first n holders and the group of all others.
    first: Vec<Node>,
    rest: Vec<Node>,
}

impl Several {
    fn new(held: &[(Node, Mode)], graph: &mut Graph) -> Several {
        let mut first = vec![graph.group(None, None)];
        let mut rest = first.clone();
        for (node, _) in held {
            first.push(graph.group(Some(*node), first.last().copied()));
        }
        for (node, _) in held.iter().rev() {
            rest.push(graph.group(Some(*node), rest.last().copied()));
        }
        rest.reverse();
        let positions = held.iter().enumerate().map(|(nth, (node, _))| (*node, nth)).collect();
        Several { positions, first, rest }
    }
}

impl Passed {
    fn new(queue: &Queue, owners: &HashMap<&[u8], Node>) -> Passed {
        let known = queue.holders.iter();
        let held: SmallVec<[(Node, Mode); 1]> = known
            .filter_map(|(owner, mode)| owners.get(&**owner).map(|node| (*node, *mode)))
            .collect();
        Passed {
            is_exclusive: held.iter().any(|(_, mode)| *mode == Mode::Exclusive),
            held,
            several: None,
            last: None,
            other: None,
            sharers: Vec::new(),
            upgraders: None,
            upgrading: HashSet::new(),
        }
    }

    fn several(&mut self, graph: &mut Graph) -> Option<&Several> {
        if self.held.len() > 1 && self.several.is_none() {
            self.several = Some(Several::new(&self.held, graph));
        }
        self.several.as_ref()
    }

    /// The mode in which an owner holds the lock.
    fn own(&mut self, graph: &mut Graph, owner: Node) -> Option<Mode> {
        let nth = match self.several(graph) {
            Some(several) => *several.positions.get(&owner)?,
            None => 0,
        };
        self.held.get(nth).filter(|(node, _)| *node == owner).map(|(_, mode)| *mode)
    }

    /// Adds the edges from an owner to the holders, without the owner itself.
    fn wait_for_holders(&mut self, graph: &mut Graph, owner: Node) {
        if let Some(several) = self.several(graph) {
            match several.positions.get(&owner) {
                Some(nth) => {
                    graph.add(owner, several.first[*nth]);
                    graph.add(owner, several.rest[nth + 1]);
                }
                None => graph.add(owner, several.rest[0]),
            }
        } else if let Some((holder, _)) = self.held.first().filter(|(holder, _)| *holder != owner) {
            graph.add(owner, *holder);
        }
    }

    /// Adds the edges of the next request of the queue, as in [`super::graph`].
    fn pass(&mut self, graph: &mut Graph, owner: Node, mode: Mode) {
        let alone = mode == Mode::Exclusive;
        if let Some(own) = self.own(graph, owner) {
            if !own.covers(mode) {
                self.wait_for_holders(graph, owner);
                if self.upgrading.insert(owner) {
                    self.upgraders = Some(graph.group(Some(owner), self.upgraders));
                }
            }
            return;
        }
        if alone || self.is_exclusive {
            self.wait_for_holders(graph, owner);
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
    nodes: Node,
    edges: Vec<(Node, Node)>,
}

impl Graph {
    fn add(&mut self, from: Node, to: Node) {
        self.edges.push((from, to));
    }

    /// Adds a group: one node, and those of another group.
    fn group(&mut self, one: Option<Node>, others: Option<Node>) -> Node {
        let group = self.nodes;
        self.nodes += 1;
        one.into_iter().chain(others).for_each(|member| self.add(group, member));
        group
    }

    /// The targets of each node's edges: those of node n are from the n-th start to the next one.
    fn adjacent(&self) -> (Vec<usize>, Vec<Node>) {
        let mut starts = vec![0; self.nodes as usize + 2];
        for (from, _) in &self.edges {
            starts[*from as usize + 2] += 1;
        }
        for nth in 2..starts.len() {
            starts[nth] += starts[nth - 1];
        }
        let mut targets = vec![0; self.edges.len()];
        for (from, to) in &self.edges {
            let next = &mut starts[*from as usize + 1];
            targets[*next] = *to;
            *next += 1;
        }
        (starts, targets)
    }

    /// The strongly connected component of each node, by Tarjan's algorithm with an explicit stack: paths are as long
    /// as queues.
    fn components(&self) -> Vec<u32> {
        const UNSEEN: u32 = u32::MAX;
        let nodes = self.nodes as usize;
        let (starts, targets) = self.adjacent();
        let (mut order, mut low) = (vec![UNSEEN; nodes], vec![0; nodes]);
        let mut component = vec![UNSEEN; nodes];
        let (mut seen, mut found) = (0, 0);
        let mut open: Vec<usize> = Vec::new();
        // Each with the position of its next edge.
        let mut path: Vec<(usize, usize)> = Vec::new();
        for start in 0..nodes {
            if order[start] != UNSEEN {
                continue;
            }
            path.push((start, starts[start]));
            while let Some((node, mut next)) = path.pop() {
                if next == starts[node] {
                    (order[node], low[node]) = (seen, seen);
                    seen += 1;
                    open.push(node);
                } else {
                    let child = targets[next - 1] as usize;
                    low[node] = low[node].min(low[child]);
                }
                let child = targets[next..starts[node + 1]].iter().find(|child| {
                    next += 1;
                    let child = **child as usize;
                    if order[child] != UNSEEN && component[child] == UNSEEN {
                        low[node] = low[node].min(order[child]);
                    }
                    order[child] == UNSEEN
                });
                if let Some(child) = child {
                    path.push((node, next));
                    path.push((*child as usize, starts[*child as usize]));
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
