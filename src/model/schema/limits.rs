//! Bounds on one schema, and on the work of one check.

use crate::limit;

/// Bounds. Exceeding one is a `LIMIT` with its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaLimits {
    /// Length of the text. Configuration `model.schema-bytes`.
    pub bytes: usize,
    /// Nesting of the text's arrays and objects. At most 127, the bound of the parser.
    pub depth: u32,
    /// Subschemas of the text.
    pub nodes: usize,
    /// Bytes of the JSON Pointers of all subschemas together.
    pub pointer_bytes: usize,
    /// The most subschemas that may apply to one value, counting every alternative, and each as often as it is referred
    /// to.
    pub weight: u64,
    /// The longest chain of subschemas that apply to one value because of each other.
    pub chain: u32,
    /// Memory of the compiled patterns of one schema together. Configuration
    /// `model.schema-pattern-bytes`.
    pub pattern_bytes: usize,
    /// Bytes of all defaults that are filled into other defaults.
    pub default_bytes: usize,
    /// Steps for determining how alternatives differ.
    pub branch_steps: u64,
    /// Cost of one check: steps into values, multiplied with the weight of the schema.
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

    /// For schemas that another server accepted. Only the configurable bounds are lifted; the others protect this
    /// server too.
    pub const NONE: SchemaLimits = SchemaLimits {
        bytes: limit::SCHEMA_BYTES.max as usize,
        pattern_bytes: limit::SCHEMA_PATTERN_BYTES.max as usize,
        ..SchemaLimits::DEFAULT
    };
}
