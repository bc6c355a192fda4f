//! Bounds on an expression and its evaluation, and the names each kind of expression may use.

use crate::limit;

/// Bounds on one expression and one evaluation of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExprLimits {
    /// Bytes of source. Configuration `model.expression-bytes`.
    pub bytes: usize,
    /// Nesting: brackets, calls, `!`, `-`, `?:`. Chains of operators and of names are no nesting.
    /// Configuration `model.expression-depth`.
    pub depth: u32,
    /// Steps of one evaluation; about ten million take a second. Configuration
    /// `model.expression-steps`.
    pub steps: u64,
}

/// The deepest nesting any configuration allows. Bounds every recursion over an expression.
pub const DEPTH_MAX: u32 = limit::EXPRESSION_DEPTH.max as u32;
/// The longest source any configuration allows: compiling a longer one takes seconds.
pub const BYTES_MAX: usize = limit::EXPRESSION_BYTES.max as usize;

impl ExprLimits {
    /// Nesting of 32 is several times the depth of conditions people write, and little stack. A million
    /// steps take some ten milliseconds, and let a condition look at each of a hundred thousand
    /// elements.
    pub const DEFAULT: ExprLimits = ExprLimits {
        bytes: limit::EXPRESSION_BYTES.default as usize,
        depth: limit::EXPRESSION_DEPTH.default as u32,
        steps: limit::EXPRESSION_STEPS.default,
    };
    /// For expressions that were accepted elsewhere: the most that any configuration allows.
    pub const NONE: ExprLimits =
        ExprLimits { bytes: BYTES_MAX, depth: DEPTH_MAX, steps: limit::EXPRESSION_STEPS.max };
}

/// The names an expression may use, beside `self`, `now`, `key` and `revision`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AllowedNames {
    pub args: bool,
    pub docs: bool,
    pub old_self: bool,
    pub value: bool,
}

impl AllowedNames {
    /// A condition: `IF`, `WHEN`.
    pub const CONDITION: AllowedNames =
        AllowedNames { args: true, docs: true, old_self: false, value: false };
    /// The condition of a query.
    pub const QUERY: AllowedNames = AllowedNames { docs: false, ..AllowedNames::CONDITION };
    /// The expression of `EVAL`.
    pub const COMPUTED: AllowedNames =
        AllowedNames { args: true, docs: true, old_self: false, value: true };
    /// A rule of a model.
    pub const RULE: AllowedNames =
        AllowedNames { args: false, docs: false, old_self: true, value: false };
}
