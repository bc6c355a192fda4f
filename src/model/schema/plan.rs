//! The plan: for each subschema, what it checks and how far up a change can alter the answer.
//!
//! The keywords of one subschema are split in three. *Shallow* ones look at the value itself: they are
//! checked when the value is new. Those about the *members* of one container are checked when it is new or
//! its members changed. *Deep* ones, such as `not` or `uniqueItems`, are checked whenever anything at or
//! below the value changed. `properties`, `items` and their like check nothing; they lead to the
//! subschemas of the children. `allOf` and `$ref` lead to subschemas of the same value, and so do the
//! branches of `anyOf`, `oneOf`, `if` and `dependentSchemas`, as far as a value can be told to be meant
//! for one of them.
//!
//! Where the verdict depends on neighbours (`unevaluatedProperties`), on the way that led to a subschema
//! (`$dynamicRef`) or on a schema outside (`$ref` to the metaschema), the crate validates the subschema
//! whole, as one deep keyword. Where a document mixes dynamic references and several resources, that is
//! the root. What such a subschema leads to serves messages and defaults.

use std::collections::HashMap;

use hashbrown::HashTable;

use super::assertion::SchemaAssertion;
use super::choice::Choice;
use super::outline::SubschemaId;
use crate::value::Measured;

/// No subschema: what leads there checks nothing.
pub(super) const NONE: SubschemaId = SubschemaId::MAX;
/// The part that validates a whole document.
pub(super) const WHOLE: u32 = 0;

/// The plan of a schema. The subschema numbered 0 is the schema itself.
pub(super) struct Plan {
    pub nodes: Box<[PlanNode]>,
    /// The default of a member, by its subschema under `properties`.
    pub defaults: HashMap<SubschemaId, Measured>,
    /// Flag: a default is to be found at the subschema or below it. Empty if there is none at all.
    pub leads_to_default: Box<[bool]>,
    /// Flag: members that are filled in cannot make a valid document invalid.
    pub fills_safely: bool,
}

/// One subschema.
#[derive(Default)]
pub(super) struct PlanNode {
    /// JSON Pointer in the schema as it was given.
    pub pointer: Box<str>,
    pub shallow: Box<[Check]>,
    pub members: Box<[Check]>,
    pub deep: Box<[Check]>,
    /// Subschemas of the same value.
    pub also: Box<[SubschemaId]>,
    /// Alternatives for the same value.
    pub choices: Box<[Choice]>,
    pub children: Option<Box<Children>>,
    /// The crate's verdict, where it validates the subschema whole.
    pub whole: Option<Box<Check>>,
}

/// One keyword with what it asserts.
pub(super) struct Check {
    pub keyword: &'static str,
    pub assertion: SchemaAssertion,
}

/// The subschemas of a value's children.
#[derive(Default)]
pub(super) struct Children {
    pub properties: NamedSubschemas,
    /// The part that matches a name, and the subschema.
    pub patterns: Box<[(u32, SubschemaId)]>,
    pub additional: Option<SubschemaId>,
    /// Validates names.
    pub names: Option<Check>,
    pub prefix: Box<[SubschemaId]>,
    pub items: Option<SubschemaId>,
}

impl Children {
    pub fn apply_to_members(&self) -> bool {
        self.properties.len() > 0
            || !self.patterns.is_empty()
            || self.additional.is_some()
            || self.names.is_some()
    }

    pub fn is_properties_alone(&self) -> bool {
        self.patterns.is_empty()
            && self.additional.is_none()
            && self.names.is_none()
            && self.prefix.is_empty()
            && self.items.is_none()
    }
}

/// Subschemas by name, in the schema's order.
#[derive(Default)]
pub(super) struct NamedSubschemas {
    pub entries: Box<[(Box<str>, SubschemaId)]>,
    index: HashTable<u32>,
    state: foldhash::fast::RandomState,
}

impl NamedSubschemas {
    /// Up to this many names a scan is faster than a hash.
    const SCANNED_MAX: usize = 6;

    pub fn new(entries: Box<[(Box<str>, SubschemaId)]>) -> NamedSubschemas {
        use std::hash::BuildHasher;
        let state = foldhash::fast::RandomState::default();
        let mut index = HashTable::new();
        if entries.len() > NamedSubschemas::SCANNED_MAX {
            let hash = |nth: &u32| state.hash_one(entries[*nth as usize].0.as_bytes());
            for nth in 0..entries.len() as u32 {
                index.insert_unique(hash(&nth), nth, hash);
            }
        }
        NamedSubschemas { entries, index, state }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn entries(&self) -> &[(Box<str>, SubschemaId)] {
        &self.entries
    }

    #[inline]
    pub fn get(&self, name: &[u8]) -> Option<SubschemaId> {
        use std::hash::BuildHasher;
        let is = |entry: &(Box<str>, SubschemaId)| entry.0.as_bytes() == name;
        if self.index.is_empty() {
            return self.entries.iter().find(|entry| is(entry)).map(|(_, id)| *id);
        }
        let hash = self.state.hash_one(name);
        let nth = self.index.find(hash, |nth| is(&self.entries[*nth as usize]))?;
        Some(self.entries[*nth as usize].1)
    }
}

impl Plan {
    pub fn heap_bytes(&self) -> usize {
        let checks = |checks: &[Check]| {
            checks
                .iter()
                .map(|check| size_of::<Check>() + check.assertion.heap_bytes())
                .sum::<usize>()
        };
        let children = |children: &Children| {
            let names: usize =
                children.properties.entries().iter().map(|(name, _)| name.len()).sum();
            size_of::<Children>()
                + names
                + children.properties.len() * size_of::<(Box<str>, SubschemaId)>()
                + children.properties.index.allocation_size()
                + children.patterns.len() * 8
                + children.prefix.len() * 4
        };
        let node = |node: &PlanNode| {
            size_of::<PlanNode>()
                + node.pointer.len()
                + checks(&node.shallow)
                + checks(&node.members)
                + checks(&node.deep)
                + node
                    .choices
                    .iter()
                    .map(|choice| size_of::<Choice>() + choice.heap_bytes())
                    .sum::<usize>()
                + node.also.len() * size_of::<SubschemaId>()
                + node.children.as_deref().map_or(0, children)
        };
        let defaults = self.defaults.values();
        let default = |default: &Measured| size_of::<Measured>() + default.value.heap_bytes();
        self.nodes.iter().map(node).sum::<usize>() + defaults.map(default).sum::<usize>()
    }
}
