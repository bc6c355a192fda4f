//! Statements over documents: parsed whole before anything is looked up, then run all or nothing.

mod run;
mod statement;

pub use run::{Block, Ran, check_revision, no_key, run_block};
pub use statement::{
    ASSERTIONS, Assertion, AssertionOperand, AssertionSpec, GUARD, STATEMENTS_MAX, Statement,
    Statements, parse_revision, parse_statements,
};
