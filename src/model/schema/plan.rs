//! The plan: for each place of the schema, what it asks and how far up a change can alter the answer.
//!
//! The keywords of one place are split in three. *Shallow* ones look at the value itself: they are asked
//! when the value is new. Those about the *members* of one container are asked when it is new or its
//! members changed. *Deep* ones, such as `anyOf` or `uniqueItems`, are asked whenever anything at or
//! below the value changed. `properties`, `items` and their like ask nothing; they lead to the places
//! that judge the children. `allOf` and `$ref` lead to places that judge the same value too.
//!
//! What depends on its neighbours (`unevaluatedProperties`), on the way that led to it (`$dynamicRef`)
//! or on a schema outside (`$ref` to the metaschema) makes its place *opaque*: the crate judges it whole,
//! as one deep keyword. Where a document mixes dynamic references and several resources, the root is
//! opaque.

use std::collections::HashMap;

use hashbrown::HashTable;
use serde_json::{Map, Value as Serde, json};

use super::assertion::{self, Test};
use super::keywords::Key;
use super::outline::{Id, Outline, Target};
use super::parts::Collected;
use super::refusal::refuse;
use crate::error::Result;
use crate::value::Measured;

/// No place: what leads there asks nothing.
pub(super) const NONE: Id = Id::MAX;
/// The part that judges a whole document.
pub(super) const WHOLE: u32 = 0;

/// The plan of a schema. The place numbered 0 is the schema itself.
pub(super) struct Plan {
    pub nodes: Box<[Node]>,
    /// The default of a member, by the place its schema has under `properties`.
    pub defaults: HashMap<Id, Measured>,
    /// Whether a default is to be found at the place or below it. Empty if there is none at all.
    pub leads_to_default: Box<[bool]>,
}

/// One place of the schema.
#[derive(Default)]
pub(super) struct Node {
    pub pointer: Box<str>,
    pub shallow: Box<[Ask]>,
    pub members: Box<[Ask]>,
    pub deep: Box<[Ask]>,
    /// Places that judge the same value too.
    pub also: Box<[Id]>,
    pub children: Option<Box<Children>>,
    /// What leads on from here serves defaults alone; the crate judges it.
    pub opaque: bool,
}

/// One keyword with its question.
pub(super) struct Ask {
    pub keyword: &'static str,
    pub test: Test,
}

/// Which places judge the children of a value.
#[derive(Default)]
pub(super) struct Children {
    pub properties: Names,
    /// The part that says whether a name matches, and the place.
    pub patterns: Box<[(u32, Id)]>,
    pub additional: Option<Id>,
    /// Judges names.
    pub names: Option<Ask>,
    pub prefix: Box<[Id]>,
    pub items: Option<Id>,
}

/// Places by name, in the schema's order.
#[derive(Default)]
pub(super) struct Names {
    entries: Box<[(Box<str>, Id)]>,
    index: HashTable<u32>,
    state: foldhash::fast::RandomState,
}

impl Names {
    /// Up to this many names a scan is faster than a hash.
    const SCANNED_MAX: usize = 6;

    fn new(entries: Box<[(Box<str>, Id)]>) -> Names {
        use std::hash::BuildHasher;
        let state = foldhash::fast::RandomState::default();
        let mut index = HashTable::new();
        if entries.len() > Names::SCANNED_MAX {
            let hash = |nth: &u32| state.hash_one(entries[*nth as usize].0.as_bytes());
            for nth in 0..entries.len() as u32 {
                index.insert_unique(hash(&nth), nth, hash);
            }
        }
        Names { entries, index, state }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn entries(&self) -> &[(Box<str>, Id)] {
        &self.entries
    }

    #[inline]
    pub fn get(&self, name: &[u8]) -> Option<Id> {
        use std::hash::BuildHasher;
        let is = |entry: &(Box<str>, Id)| entry.0.as_bytes() == name;
        if self.index.is_empty() {
            return self.entries.iter().find(|entry| is(entry)).map(|(_, id)| *id);
        }
        let hash = self.state.hash_one(name);
        let nth = self.index.find(hash, |nth| is(&self.entries[*nth as usize]))?;
        Some(self.entries[*nth as usize].1)
    }
}

/// Keywords that a value of their own answers, natively or by the crate.
const SIMPLE: [&str; 19] = [
    "type",
    "const",
    "enum",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "required",
    "minProperties",
    "maxProperties",
    "dependentRequired",
    "minItems",
    "maxItems",
    "uniqueItems",
];

/// Keywords that apply schemas to the value and depend on what they say.
const BRANCHING: [&str; 6] = ["anyOf", "oneOf", "not", "if", "dependentSchemas", "contains"];

/// Compiles the plan, and collects the parts it needs.
pub(super) struct Planner<'o, 's> {
    outline: &'o Outline<'s>,
    pub parts: Collected,
    patterns: HashMap<&'s str, u32>,
}

impl<'o, 's> Planner<'o, 's> {
    pub fn new(outline: &'o Outline<'s>) -> Planner<'o, 's> {
        let mut parts = Collected::default();
        let whole = parts.add(json!({ "$ref": outline.uri(0) }));
        assert_eq!(whole, WHOLE, "the whole schema is the first part");
        Planner { outline, parts, patterns: HashMap::new() }
    }

    pub fn plan(&mut self) -> Result<Plan> {
        let count = self.outline.places.len();
        let mut nodes: Vec<Node> = Vec::with_capacity(count);
        nodes.resize_with(count, Node::default);
        let judged = self.reach(|planner, id| !planner.is_opaque(id));
        let led_to = self.reach(|_, _| true);
        let has_defaults = self
            .outline
            .places
            .iter()
            .zip(&led_to)
            .any(|(place, led_to)| *led_to && place.schema.get("default").is_some());
        for id in 0..count as Id {
            if judged[id as usize] || (has_defaults && led_to[id as usize]) {
                nodes[id as usize] = self.node(id, judged[id as usize]);
            }
        }
        let defaults = if has_defaults { self.defaults(&nodes)? } else { HashMap::new() };
        let leads_to_default = leads_to_default(&nodes, &defaults);
        prune(&mut nodes, &defaults, &leads_to_default);
        Ok(Plan { nodes: nodes.into(), defaults, leads_to_default })
    }

    /// Which places are led to from the root, going on from where `through` says so.
    fn reach(&self, through: impl Fn(&Self, Id) -> bool) -> Vec<bool> {
        let mut reached = vec![false; self.outline.places.len()];
        let mut stack = vec![0];
        while let Some(id) = stack.pop() {
            if std::mem::replace(&mut reached[id as usize], true) || !through(self, id) {
                continue;
            }
            let place = self.outline.place(id);
            if let Some(Target::Inside(target)) = place.reference {
                stack.push(target);
            }
            let leads = place.inner.iter().filter(|(keyword, ..)| leads(keyword));
            stack.extend(leads.map(|(.., id)| *id));
        }
        reached
    }

    fn is_opaque(&self, id: Id) -> bool {
        self.opaque_by(id).is_some()
    }

    /// The keyword that makes a place opaque.
    fn opaque_by(&self, id: Id) -> Option<&'static str> {
        let place = self.outline.place(id);
        if matches!(place.reference, Some(Target::Outside(_))) {
            return Some("$ref");
        }
        if id == 0 && self.outline.needs_context {
            return Some("$dynamicRef");
        }
        let keywords = ["$dynamicRef", "unevaluatedProperties", "unevaluatedItems"];
        keywords.into_iter().find(|keyword| place.schema.get(keyword).is_some())
    }

    fn node(&mut self, id: Id, judged: bool) -> Node {
        let outline = self.outline;
        let place = outline.place(id);
        let opaque = self.opaque_by(id);
        let mut node =
            Node { pointer: (*place.pointer).into(), opaque: opaque.is_some(), ..Node::default() };
        let map = match place.schema {
            Serde::Object(map) => map,
            Serde::Bool(false) if judged => {
                node.shallow = Box::new([Ask { keyword: "false", test: Test::Never }]);
                return node;
            }
            _ => return node,
        };
        if let Some(keyword) = opaque
            && judged
        {
            let part = self.parts.add(json!({ "$ref": outline.uri(id) }));
            node.deep = Box::new([Ask { keyword, test: Test::Part(part) }]);
        } else if judged {
            self.ask(id, map, &mut node);
        }
        let mut also = Vec::new();
        if let Some(Target::Inside(target)) = place.reference {
            also.push(target);
        }
        also.extend(self.inner(id, "allOf").into_iter().map(|(_, id)| id));
        node.also = also.into();
        node.children = self.children(id, judged && opaque.is_none());
        node
    }

    /// What stands under one keyword.
    fn inner(&self, id: Id, keyword: &str) -> Vec<(Key<'s>, Id)> {
        let inner = self.outline.place(id).inner.iter();
        inner.filter(|(name, ..)| *name == keyword).map(|(_, key, id)| (*key, *id)).collect()
    }

    fn ask(&mut self, id: Id, map: &'s Map<String, Serde>, node: &mut Node) {
        let (mut shallow, mut members, mut deep) = (Vec::new(), Vec::new(), Vec::new());
        for keyword in SIMPLE {
            let Some(value) = map.get(keyword) else { continue };
            let Some(test) = self.simple(keyword, value) else { continue };
            let ask = Ask { keyword, test };
            if ask.test.looks_below() {
                deep.push(ask);
            } else if ask.test.counts_children() {
                members.push(ask);
            } else {
                shallow.push(ask);
            }
        }
        for keyword in BRANCHING {
            if map.contains_key(keyword) {
                let part = self.branching(id, keyword, map);
                deep.push(Ask { keyword, test: Test::Part(self.parts.add(part)) });
            }
        }
        (node.shallow, node.members, node.deep) = (shallow.into(), members.into(), deep.into());
    }

    fn simple(&mut self, keyword: &str, value: &'s Serde) -> Option<Test> {
        match (keyword, value) {
            ("uniqueItems", Serde::Bool(false)) => return None,
            ("pattern", Serde::String(pattern)) => return Some(Test::Part(self.pattern(pattern))),
            ("multipleOf", _) => {
                let part = self.parts.add(json!({ "multipleOf": value }));
                return Some(match assertion::number(value).and_then(assertion::small_divisor) {
                    Some(divisor) => Test::MultipleOf(divisor, part),
                    None => Test::Part(part),
                });
            }
            _ => {}
        }
        Some(Test::native(keyword, value).unwrap_or_else(|| {
            Test::Part(
                self.parts.add(Serde::Object(Map::from_iter([(keyword.into(), value.clone())]))),
            )
        }))
    }

    /// The part that asks whether a text matches a pattern; one for each pattern.
    fn pattern(&mut self, pattern: &'s str) -> u32 {
        if let Some(part) = self.patterns.get(pattern) {
            return *part;
        }
        let part = self.parts.add(json!({ "pattern": pattern }));
        self.patterns.insert(pattern, part);
        part
    }

    /// A keyword that branches, with references for its branches.
    fn branching(&self, id: Id, keyword: &str, map: &Map<String, Serde>) -> Serde {
        let reference = |id: Id| json!({ "$ref": self.outline.uri(id) });
        let mut part = Map::new();
        let together: &[&str] = match keyword {
            "if" => &["if", "then", "else"],
            "contains" => &["contains", "minContains", "maxContains"],
            _ => &[keyword],
        };
        for keyword in together {
            let Some(written) = map.get(*keyword) else { continue };
            let mut value = written.clone();
            for (key, id) in self.inner(id, keyword) {
                match key {
                    Key::Whole => value = reference(id),
                    Key::Index(nth) => value[nth] = reference(id),
                    Key::Name(name) => value[name] = reference(id),
                }
            }
            part.insert((*keyword).to_owned(), value);
        }
        Serde::Object(part)
    }

    fn children(&mut self, id: Id, judged: bool) -> Option<Box<Children>> {
        let named = |planner: &Self, keyword| -> Vec<(&'s str, Id)> {
            let name = |(key, id)| match key {
                Key::Name(name) => (name, id),
                _ => unreachable!("the keyword holds schemas by name"),
            };
            planner.inner(id, keyword).into_iter().map(name).collect()
        };
        let only = |planner: &Self, keyword| planner.inner(id, keyword).first().map(|(_, id)| *id);
        let properties = named(self, "properties");
        let patterns = named(self, "patternProperties");
        let patterns =
            patterns.into_iter().map(|(pattern, id)| (self.pattern(pattern), id)).collect();
        let names = only(self, "propertyNames").filter(|_| judged);
        let names = names.map(|id| {
            let part = self.parts.add(json!({ "$ref": self.outline.uri(id) }));
            Ask { keyword: "propertyNames", test: Test::Part(part) }
        });
        let children = Children {
            properties: Names::new(
                properties.into_iter().map(|(name, id)| (name.into(), id)).collect(),
            ),
            patterns,
            additional: only(self, "additionalProperties"),
            names,
            prefix: self.inner(id, "prefixItems").into_iter().map(|(_, id)| id).collect(),
            items: only(self, "items"),
        };
        let any =
            children.judge_members() || !children.prefix.is_empty() || children.items.is_some();
        any.then(|| Box::new(children))
    }

    /// The default of each member: what its own schema says, else the first of those it is judged by
    /// too.
    fn defaults(&self, nodes: &[Node]) -> Result<HashMap<Id, Measured>> {
        let mut defaults = HashMap::new();
        let members = nodes.iter().filter_map(|node| node.children.as_ref());
        for (_, id) in members.flat_map(|children| children.properties.entries()) {
            let mut seen = Vec::new();
            let mut stack = vec![*id];
            while let Some(next) = stack.pop() {
                if seen.contains(&next) {
                    continue;
                }
                seen.push(next);
                let place = self.outline.place(next);
                if let Some(default) = place.schema.get("default") {
                    let default = assertion::value(default).ok_or_else(|| {
                        refuse("no document can hold the default", &place.pointer)
                    })?;
                    defaults.insert(*id, default.into());
                    break;
                }
                stack.extend(nodes[next as usize].also.iter().rev());
            }
        }
        Ok(defaults)
    }
}

/// Whether a keyword leads to places that judge on their own.
fn leads(keyword: &str) -> bool {
    matches!(
        keyword,
        "allOf"
            | "properties"
            | "patternProperties"
            | "additionalProperties"
            | "prefixItems"
            | "items"
    )
}

/// All places a node leads to.
fn next_nodes(node: &Node) -> impl Iterator<Item = Id> + '_ {
    let children = node.children.iter().flat_map(|children| {
        let properties = children.properties.entries().iter().map(|(_, id)| *id);
        let patterns = children.patterns.iter().map(|(_, id)| *id);
        let prefix = children.prefix.iter().copied();
        let single = children.additional.iter().chain(&children.items).copied();
        properties.chain(patterns).chain(prefix).chain(single)
    });
    node.also.iter().copied().chain(children).filter(|id| *id != NONE)
}

fn leads_to_default(nodes: &[Node], defaults: &HashMap<Id, Measured>) -> Box<[bool]> {
    if defaults.is_empty() {
        return Box::new([]);
    }
    let mut from = vec![Vec::new(); nodes.len()];
    let mut stack = Vec::new();
    for (id, node) in nodes.iter().enumerate() {
        for next in next_nodes(node) {
            from[next as usize].push(id);
        }
        let mut properties = node.children.iter().flat_map(|all| all.properties.entries());
        if properties.any(|(_, id)| defaults.contains_key(id)) {
            stack.push(id);
        }
    }
    let mut leads = vec![false; nodes.len()];
    while let Some(id) = stack.pop() {
        if !std::mem::replace(&mut leads[id], true) {
            stack.extend(&from[id]);
        }
    }
    leads.into()
}

/// Leads nowhere what leads to places that ask nothing.
fn prune(nodes: &mut [Node], defaults: &HashMap<Id, Measured>, leads_to_default: &[bool]) {
    let idle: Vec<bool> = nodes
        .iter()
        .enumerate()
        .map(|(id, node)| {
            let asks = node.shallow.len() + node.members.len() + node.deep.len() > 0;
            let leads = !node.also.is_empty() || node.children.is_some();
            let default = defaults.contains_key(&(id as Id))
                || leads_to_default.get(id).copied().unwrap_or(false);
            !asks && !leads && !default
        })
        .collect();
    let lead = |id: &mut Id| {
        if idle[*id as usize] {
            *id = NONE;
        }
    };
    for node in nodes {
        let mut also = std::mem::take(&mut node.also).into_vec();
        also.retain(|id| !idle[*id as usize]);
        node.also = also.into();
        if let Some(children) = &mut node.children {
            children.properties.entries.iter_mut().for_each(|(_, id)| lead(id));
            children.patterns.iter_mut().for_each(|(_, id)| lead(id));
            children.prefix.iter_mut().for_each(lead);
            children.additional.iter_mut().for_each(lead);
            children.items.iter_mut().for_each(lead);
        }
    }
}

impl Plan {
    pub fn heap_bytes(&self) -> usize {
        let asks = |asks: &[Ask]| {
            asks.iter().map(|ask| size_of::<Ask>() + ask.test.heap_bytes()).sum::<usize>()
        };
        let children = |children: &Children| {
            let names: usize =
                children.properties.entries().iter().map(|(name, _)| name.len()).sum();
            size_of::<Children>()
                + names
                + children.properties.len() * size_of::<(Box<str>, Id)>()
                + children.properties.index.allocation_size()
                + children.patterns.len() * 8
                + children.prefix.len() * 4
        };
        let node = |node: &Node| {
            size_of::<Node>()
                + node.pointer.len()
                + asks(&node.shallow)
                + asks(&node.members)
                + asks(&node.deep)
                + node.also.len() * size_of::<Id>()
                + node.children.as_deref().map_or(0, children)
        };
        let defaults = self.defaults.values();
        let default = |default: &Measured| size_of::<Measured>() + default.value.heap_bytes();
        self.nodes.iter().map(node).sum::<usize>() + defaults.map(default).sum::<usize>()
    }
}
