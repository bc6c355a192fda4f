//! All circles at once: which requests keep each other waiting for ever, in one pass over them.
//!
//! The graph has a node for each owner who waits, and nodes that stand for crowds: the first holders of a
//! lock and the last ones, and those of them who want it alone. So it has edges in the number of requests
//! and of holders, not of their pairs. No crowd of which an owner is one is led to by that owner's request,
//! so that a circle is always one of several owners.

use std::collections::{HashMap, HashSet};

use super::engine::{Engine, Waiter};
use super::held::Mode;
use super::queue::{Queue, WaiterId};

type Node = u32;

/// The requests of owners who wait for each other, as far as these requests are concerned, which are given
/// in the order of their arrival; each circle's in that order. Circles that share an owner are one. `steps`
/// counts nodes and edges.
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
        for place in &waiter.places {
            let queues = engine.queues_of(place.at());
            let queue = queues.and_then(|queues| queues.find(&waiter.name));
            let queue = queue.expect("a waiter stands in its queues");
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
    let mut circles: Vec<Vec<WaiterId>> = Vec::new();
    let mut numbers: HashMap<u32, usize> = HashMap::new();
    for id in requests {
        let component = components[owners[&*engine.waiters[id].owner] as usize];
        if sizes[&component] > 1 {
            let nth = *numbers.entry(component).or_insert_with(|| {
                circles.push(Vec::new());
                circles.len() - 1
            });
            circles[nth].push(*id);
        }
    }
    circles
}

/// What has been seen of a queue, up to some request.
struct Passed {
    /// Where those who wait stand among the holders, and how they hold.
    held: HashMap<Node, (usize, Mode)>,
    /// For each number of holders, the crowd of so many first ones and the crowd of all but so many.
    first: Vec<Node>,
    rest: Vec<Node>,
    /// A holder has it alone.
    is_exclusive: bool,
    /// The last owner who wants it alone and does not hold it: it waits for all before.
    last: Option<Node>,
    /// The last such owner but that one.
    other: Option<Node>,
    /// Who wants to share it, and came after that.
    sharers: Vec<Node>,
    /// The crowd of those who hold it and want it alone.
    upgraders: Option<Node>,
    upgrading: HashSet<Node>,
}

impl Passed {
    fn new(queue: &Queue, owners: &HashMap<&[u8], Node>, graph: &mut Graph) -> Passed {
        // Holders who wait for nothing are in no circle.
        let known = queue.holders.iter();
        let held: Vec<(Node, Mode)> = known
            .filter_map(|(owner, mode)| owners.get(&**owner).map(|node| (*node, *mode)))
            .collect();
        let mut first = vec![graph.crowd(None, None)];
        let mut rest = vec![graph.crowd(None, None)];
        for (node, _) in &held {
            first.push(graph.crowd(Some(*node), first.last().copied()));
        }
        for (node, _) in held.iter().rev() {
            rest.push(graph.crowd(Some(*node), rest.last().copied()));
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

    /// Adds whom the next request of the queue waits for, as in [`super::graph`].
    fn pass(&mut self, graph: &mut Graph, owner: Node, waiter: &Waiter) {
        let alone = waiter.mode == Mode::Exclusive;
        if let Some((nth, mode)) = self.held.get(&owner) {
            if !mode.covers(waiter.mode) {
                graph.add(owner, self.first[*nth]);
                graph.add(owner, self.rest[nth + 1]);
                if self.upgrading.insert(owner) {
                    self.upgraders = Some(graph.crowd(Some(owner), self.upgraders));
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
            // Whoever wants it alone waits for these as holders.
            if let Some(upgraders) = self.upgraders {
                graph.add(owner, upgraders);
            }
            self.sharers.push(owner);
            return;
        }
        // An earlier request of this owner has been led to those who came before that one.
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

    /// One, and those of another crowd.
    fn crowd(&mut self, one: Option<Node>, others: Option<Node>) -> Node {
        self.edges.push(one.into_iter().chain(others).collect());
        self.edges.len() as Node - 1
    }

    /// A number for each node: the same for those that lead to each other. This is Tarjan's algorithm, with
    /// a stack of its own, because paths are as long as queues.
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
