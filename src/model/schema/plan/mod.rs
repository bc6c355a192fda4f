//! The plan: for each subschema its keywords, by the changes that can alter their verdict.
//!
//! The keywords of one subschema are of three kinds. *Shallow* ones read the value itself, and are validated when the
//! value is new. Those about the *members* of a container are validated when it is new or its members changed. *Deep*
//! ones, such as `not` or `uniqueItems`, are validated whenever anything at or below the value changed. `properties`,
//! `items` and similar keywords assert nothing; they lead to the subschemas of the children. `allOf` and `$ref` lead to
//! subschemas of the same value, and so do the branches of `anyOf`, `oneOf`, `if` and `dependentSchemas`, if the branch
//! for a value can be decided.
//!
//! If the verdict depends on other keywords (`unevaluatedProperties`), on the references that led to a subschema
//! (`$dynamicRef`) or on a schema outside (`$ref` to the metaschema), the crate validates the subschema whole, as one
//! deep keyword. If a document has both dynamic references and several resources, that subschema is the root. The
//! subschemas below are then used for messages and defaults only.

mod children;
mod condition;
mod node;

use std::collections::HashMap;

pub(super) use self::children::Children;
pub(super) use self::condition::is_condition;
use self::condition::is_met;
pub(super) use self::node::PlanNode;
use super::subschema::SubschemaId;
use crate::value::{Measured, View};

/// The part that validates a whole document.
pub(super) const WHOLE: u32 = 0;

/// The plan of a schema. The subschema numbered 0 is the schema itself.
pub(super) struct Plan {
    pub nodes: Box<[PlanNode]>,
    /// The default of a member, by its subschema under `properties`.
    pub defaults: HashMap<SubschemaId, Measured>,
    /// Flags: there is a default at the subschema or below it. Empty if there is none at all.
    pub leads_to_default: Box<[bool]>,
    /// Flag: filling in members cannot make a valid document invalid.
    pub fills_safely: bool,
}

impl Plan {
    /// Validates a value by the subschema of an `if` for which [`is_condition`] is true.
    pub fn is_met(&self, test: SubschemaId, view: View<'_>) -> bool {
        is_met(&self.nodes, test, view)
    }

    pub fn heap_bytes(&self) -> usize {
        let defaults = self.defaults.values();
        let default = |default: &Measured| size_of::<Measured>() + default.value.heap_bytes();
        let nodes = self.nodes.iter().map(PlanNode::heap_bytes).sum::<usize>();
        nodes + defaults.map(default).sum::<usize>()
    }
}
