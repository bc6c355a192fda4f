//! Bounds on one schema, and on what checking by it may cost.

use crate::limit;

/// The bounds. Each that is exceeded is a `LIMIT` with its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaLimits {
    /// Length of the text. Configuration `model.schema-bytes`.
    pub bytes: usize,
    /// Nesting of the text's arrays and objects. At most 127, which is what the parser can do.
    pub depth: u32,
    /// Subschemas of the text.
    pub nodes: usize,
    /// Bytes of the JSON Pointers of all subschemas together.
    pub pointer_bytes: usize,
    /// The most subschemas that may apply to one value, every alternative counted, however often it is
    /// referred to.
    pub weight: u64,
    /// The most subschemas in a row between a value and one that applies to it.
    pub chain: u32,
    /// Memory of the compiled patterns of one schema together. Configuration
    /// `model.schema-pattern-bytes`.
    pub pattern_bytes: usize,
    /// Bytes that the defaults of one schema may fill in inside each other, together.
    pub default_bytes: usize,
    /// Steps that finding out how alternatives differ may take.
    pub branch_steps: u64,
    /// Cost of one check: steps into values, weighed by [`SchemaLimits::weight`].
    pub steps: u64,
    /// The stack one check may use.
    pub stack_bytes: usize,
}

impl SchemaLimits {
    pub const DEFAULT: SchemaLimits = SchemaLimits {
        bytes: limit::SCHEMA_BYTES.default as usize,
        depth: limit::SCHEMA_DEPTH.default as u32,
        nodes: limit::SCHEMA_NODES.default as usize,
        pointer_bytes: limit::SCHEMA_POINTER_BYTES.default as usize,
        weight: limit::SCHEMA_WEIGHT.default,
        chain: limit::SCHEMA_CHAIN.default as u32,
        pattern_bytes: limit::SCHEMA_PATTERN_BYTES.default as usize,
        default_bytes: 64 << 10,
        branch_steps: limit::SCHEMA_BRANCH_STEPS.default,
        steps: limit::SCHEMA_STEPS.default,
        stack_bytes: 2 << 20,
    };

    /// For schemas that another server accepted: only the bounds that are configured are lifted, and all
    /// others keep this server safe too.
    pub const NONE: SchemaLimits = SchemaLimits {
        bytes: limit::SCHEMA_BYTES.max as usize,
        pattern_bytes: limit::SCHEMA_PATTERN_BYTES.max as usize,
        ..SchemaLimits::DEFAULT
    };
}
