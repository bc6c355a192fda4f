//! Bounds on one schema, and on what checking by it may cost.

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
        bytes: 1 << 20,
        depth: 100,
        nodes: 20_000,
        pointer_bytes: 4 << 20,
        weight: 10_000,
        chain: 200,
        pattern_bytes: 16 << 20,
        default_bytes: 64 << 10,
        branch_steps: 1 << 22,
        steps: 1 << 27,
        stack_bytes: 2 << 20,
    };

    /// For schemas that another server accepted: only the bounds that are configured are lifted, and all
    /// others keep this server safe too.
    pub const NONE: SchemaLimits =
        SchemaLimits { bytes: 16 << 20, pattern_bytes: 1 << 30, ..SchemaLimits::DEFAULT };
}
