//! Nodes that define, end and exchange definitions in any order converge.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::model::{MODELS_MAX, Model, ModelEntry, Models};

const NODES: usize = 4;
/// The node that is disconnected until the end.
const LATE: usize = 3;
/// Few ends are stored, so that many are forgotten.
const ENDED_MAX: usize = 4;
const SCHEMAS: [&str; 3] = ["{}", "true", r#"{"type":"object"}"#];

#[derive(Clone, Debug)]
enum ClusterStep {
    Define(usize, u8, usize),
    End(usize, u8),
    /// A document of the model is created on the node, or all of them are deleted.
    Document(usize, u8, bool),
    Tick(usize),
    /// A message in transit arrives, or is lost.
    Deliver(prop::sample::Index, bool),
}

fn step() -> impl Strategy<Value = ClusterStep> {
    let (node, name) = (0..NODES, 0..12_u8);
    prop_oneof![
        4 => (node.clone(), name.clone(), 0..SCHEMAS.len()).prop_map(|(n, m, s)| ClusterStep::Define(n, m, s)),
        4 => (node.clone(), name.clone()).prop_map(|(n, m)| ClusterStep::End(n, m)),
        1 => (node.clone(), name, any::<bool>()).prop_map(|(n, m, is)| ClusterStep::Document(n, m, is)),
        1 => node.prop_map(ClusterStep::Tick),
        6 => (any::<prop::sample::Index>(), prop::bool::weighted(0.8))
            .prop_map(|(which, arrives)| ClusterStep::Deliver(which, arrives)),
    ]
}

struct ClusterNode {
    models: Models,
    exchange: Exchange,
    documents: BTreeMap<String, Arc<Model>>,
    /// The highest version of each name that was in force here.
    seen: BTreeMap<Box<str>, u32>,
    /// The definition of each version here: documents store only the version that they were validated against.
    meaning: BTreeMap<(Box<str>, u32), DefinitionSource>,
}

struct Cluster {
    nodes: Vec<ClusterNode>,
    /// Messages in transit, with their receiver.
    in_transit: Vec<(usize, Message)>,
    /// Names whose definition was ended on some node.
    ended: BTreeSet<String>,
    defined: BTreeSet<String>,
    late_is_away: bool,
}

fn source(schema: &str) -> DefinitionSource {
    DefinitionSource { schema: schema.as_bytes().into(), ..DefinitionSource::default() }
}

impl Cluster {
    fn new() -> Cluster {
        let node = |_| ClusterNode {
            models: Models::with_ended_max(ENDED_MAX),
            exchange: Exchange::new(),
            documents: BTreeMap::new(),
            seen: BTreeMap::new(),
            meaning: BTreeMap::new(),
        };
        Cluster {
            nodes: (0..NODES).map(node).collect(),
            in_transit: Vec::new(),
            ended: BTreeSet::new(),
            defined: BTreeSet::new(),
            late_is_away: true,
        }
    }

    fn send(&mut self, from: usize, message: &Message) {
        let away = |node: usize| self.late_is_away && node == LATE;
        for to in (0..NODES).filter(|to| *to != from && !away(*to) && !away(from)) {
            self.in_transit.push((to, message.clone()));
        }
    }

    /// Records and sends the entry that a command made on a node.
    fn made(&mut self, node: usize, entry: ModelEntry) {
        let highest = self.nodes[node].seen.get(&entry.name).copied().unwrap_or(0);
        assert!(entry.version > highest, "{entry:?} after {highest}");
        self.note(node, &entry);
        self.send(node, &Message::Definition(entry));
    }

    fn note(&mut self, node: usize, entry: &ModelEntry) {
        let seen = self.nodes[node].seen.entry(entry.name.clone()).or_default();
        *seen = entry.version.max(*seen);
        if let Some(source) = &entry.source {
            let version = (entry.name.clone(), entry.version);
            let meaning = self.nodes[node].meaning.entry(version).or_insert(source.clone());
            assert_eq!(meaning, source, "two definitions of one version: {entry:?}");
        }
    }

    fn step(&mut self, step: ClusterStep) {
        match step {
            ClusterStep::Define(node, name, schema) => {
                let (models, name) = (&self.nodes[node].models, name.to_string());
                if let Some(entry) =
                    models.next(&name, source(SCHEMAS[schema]), MODELS_MAX as u64).unwrap()
                {
                    let allowance = crate::budget::Allowance::unlimited();
                    models.define(&entry, &DefinitionSource::UNLIMITED, &allowance).unwrap();
                    self.defined.insert(name);
                    self.made(node, entry);
                }
            }
            ClusterStep::End(node, name) => {
                if let Ok(entry) = self.nodes[node].models.end(name.to_string().as_bytes()) {
                    self.nodes[node].models.install(&entry).unwrap();
                    self.ended.insert(name.to_string());
                    self.made(node, entry);
                }
            }
            ClusterStep::Document(node, name, comes) => {
                let ClusterNode { models, documents, .. } = &mut self.nodes[node];
                let name = name.to_string();
                match models.defined(name.as_bytes()) {
                    Ok(model) if comes => drop(documents.insert(name, model)),
                    _ => drop(documents.remove(&name)),
                }
            }
            ClusterStep::Tick(node) => self.tick(node),
            ClusterStep::Deliver(which, arrives) => {
                if !self.in_transit.is_empty() {
                    let (to, message) =
                        self.in_transit.swap_remove(which.index(self.in_transit.len()));
                    if arrives {
                        self.deliver(to, message);
                    }
                }
            }
        }
    }

    fn tick(&mut self, node: usize) {
        let ClusterNode { models, exchange, .. } = &mut self.nodes[node];
        let (messages, _) = exchange.tick(models);
        messages.iter().for_each(|message| self.send(node, message));
    }

    fn deliver(&mut self, to: usize, message: Message) {
        let ClusterNode { models, exchange, .. } = &mut self.nodes[to];
        match message {
            Message::Summary(summary) => exchange.receive_summary(models, summary),
            Message::Outline(outline) => exchange.receive_outline(models, &outline),
            Message::Definition(entry) => {
                if !exchange.receive_definition(models, &entry) {
                    return;
                }
                let Some(learned) = learn(models, entry) else { return };
                assert!(learned.unusable.is_none());
                self.note(to, &learned.entry);
                if learned.resolved {
                    self.send(to, &Message::Definition(learned.entry));
                }
            }
        }
    }

    /// Connects all nodes; messages arrive in an order that depends on `seed`. Returns the number of rounds until all
    /// entries are equal.
    fn heal(&mut self, mut seed: usize) -> usize {
        self.late_is_away = false;
        for round in 0..200 {
            for node in 0..NODES {
                self.tick(node);
            }
            while !self.in_transit.is_empty() {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let (to, message) =
                    self.in_transit.swap_remove((seed >> 33) % self.in_transit.len());
                self.deliver(to, message);
            }
            let first = self.nodes[0].models.entries();
            if self.nodes.iter().all(|node| node.models.entries() == first) {
                return round;
            }
        }
        let all: Vec<_> = self.nodes.iter().map(|node| node.models.entries()).collect();
        panic!("the nodes do not converge: {all:#?}");
    }

    fn check(&self) {
        for node in &self.nodes {
            let entries = node.models.entries();
            let sum = entries.iter().fold(0_u64, |sum, entry| sum.wrapping_add(entry.hash()));
            assert_eq!(node.models.summary(), sum);
            let names = node.models.names();
            assert_eq!(node.models.defined_count(), names.len());
            let ends = entries.iter().filter(|entry| entry.source.is_none()).count();
            assert!(ends <= ENDED_MAX + 1, "{entries:?}");
            for name in self.nodes.iter().flat_map(|node| node.documents.keys()) {
                assert!(names.iter().any(|known| **known == **name), "{name} has documents");
            }
            for name in self.defined.difference(&self.ended) {
                assert!(names.iter().any(|known| **known == **name), "{name} was never ended");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn nodes_converge_in_any_order(
        steps in prop::collection::vec(step(), 0..120),
        seed in any::<usize>(),
    ) {
        let mut cluster = Cluster::new();
        steps.into_iter().for_each(|step| cluster.step(step));
        cluster.heal(seed);
        cluster.check();
    }
}

/// A node with these definitions, `m0`, `m1` and so on.
fn node_with(count: usize, schema: &str) -> ClusterNode {
    let mut cluster = Cluster::new();
    let node = cluster.nodes.remove(0);
    for nth in 0..count {
        let entry = node
            .models
            .next(&format!("m{nth}"), source(schema), MODELS_MAX as u64)
            .unwrap()
            .unwrap();
        node.models.install(&entry).unwrap();
    }
    node
}

#[test]
fn a_late_node_receives_ends_that_are_stored() {
    let mut cluster = Cluster::new();
    cluster.late_is_away = false;
    cluster.step(ClusterStep::Define(0, 1, 0));
    cluster.heal(1);
    cluster.late_is_away = true;
    cluster.step(ClusterStep::End(0, 1));
    for other in 2..2 + ENDED_MAX as u8 / 2 - 1 {
        cluster.step(ClusterStep::Define(1, other, 0));
        cluster.heal_without_late();
        cluster.step(ClusterStep::End(1, other));
    }
    assert_eq!(cluster.nodes[LATE].models.names(), [Box::<str>::from("1")]);
    cluster.heal(1);
    assert!(cluster.nodes.iter().all(|node| node.models.names().is_empty()));
}

impl Cluster {
    /// Delivers all messages in transit.
    fn heal_without_late(&mut self) {
        while let Some((to, message)) = self.in_transit.pop() {
            self.deliver(to, message);
        }
    }
}

#[test]
fn only_what_another_node_lacks_is_sent_in_pieces_of_bounded_size() {
    let schema = format!(r#"{{"title":"{}"}}"#, "x".repeat(50_000));
    let (mut ours, mut theirs) = (node_with(100, &schema), node_with(100, &schema));
    for name in ["m7", "m8", "new"] {
        let entry = ours.models.next(name, source("true"), MODELS_MAX as u64).unwrap().unwrap();
        ours.models.install(&entry).unwrap();
    }
    theirs.exchange.receive_summary(&theirs.models, ours.models.summary());
    let (messages, _) = theirs.exchange.tick(&theirs.models);
    let [Message::Summary(_), Message::Outline(outline)] = &messages[..] else {
        panic!("{messages:?}");
    };
    ours.exchange.receive_outline(&ours.models, outline);
    let sent = |exchange: &mut Exchange, models: &Models| {
        let definition = |message| match message {
            Message::Definition(entry) => Some(entry.name),
            _ => None,
        };
        exchange.tick(models).0.into_iter().filter_map(definition).collect::<Vec<_>>()
    };
    assert_eq!(sent(&mut ours.exchange, &ours.models), ["m7", "m8", "new"].map(Box::<str>::from));

    // A node without entries is sent all of them, a few definitions at a time.
    let nothing = Outline { after: "".into(), last: None, items: Vec::new() };
    ours.exchange.receive_outline(&ours.models, &nothing);
    let mut pieces = Vec::new();
    while pieces.iter().map(Vec::len).sum::<usize>() < 101 {
        pieces.push(sent(&mut ours.exchange, &ours.models));
        assert!(pieces.last().is_some_and(|piece| (1..=9).contains(&piece.len())), "{pieces:?}");
    }
    assert!(sent(&mut ours.exchange, &ours.models).is_empty());
}

#[test]
fn an_outline_is_bounded_and_goes_on_where_it_ended() {
    let mut node = node_with(2 * OUTLINE_ITEMS + 1, "true");
    node.exchange.receive_summary(&node.models, 0);
    let mut names = Vec::new();
    for (nth, count) in [OUTLINE_ITEMS, OUTLINE_ITEMS, 1].into_iter().enumerate() {
        let (messages, wait) = node.exchange.tick(&node.models);
        let Some(Message::Outline(outline)) = messages.into_iter().last() else { panic!("{nth}") };
        assert_eq!((outline.items.len(), outline.last.is_none()), (count, nth == 2));
        assert_eq!(wait == PIECE_EVERY_MS, nth < 2);
        names.extend(outline.items.into_iter().map(|item| item.name));
    }
    assert_eq!(names, node.models.names());
}

#[test]
fn nothing_is_hashed_to_compare_what_nodes_hold() {
    let mut node = node_with(4000, "true");
    let hashed = crate::model::entry::hashed();
    let summary = node.models.summary();
    let mut summaries = 0;
    while summaries < 100 {
        node.exchange.receive_summary(&node.models, summary);
        let (messages, _) = node.exchange.tick(&node.models);
        summaries +=
            messages.iter().filter(|message| **message == Message::Summary(summary)).count();
        assert_eq!(messages.len(), 1);
    }
    assert_eq!(crate::model::entry::hashed(), hashed);
    // One change hashes one entry.
    let entry = node.models.next("m1", source("{}"), MODELS_MAX as u64).unwrap().unwrap();
    node.models.install(&entry).unwrap();
    assert_eq!(crate::model::entry::hashed(), hashed + 1);
    assert_ne!(node.models.summary(), summary);
}
