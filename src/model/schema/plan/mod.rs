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
    /// Flag: a default is to be found at the subschema or below it. Empty if there is none at all.
    pub leads_to_default: Box<[bool]>,
    /// Flag: members that are filled in cannot make a valid document invalid.
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
