//! Statements over documents: parsed whole before anything is looked up, then run all or nothing.

mod judge;
mod keys;
mod run;
mod slot;
mod statement;
mod transaction;
mod ttl;

pub use judge::Standing;
pub use keys::KeyIndex;
pub use run::{Block, HeldLocks, Ran, Released, check_revision, no_key, run_block};
pub use slot::{Became, Changing, Committed, Slot};
pub use statement::{
    ASSERTIONS, Assertion, AssertionOperand, AssertionSpec, BLOCK, GUARD, STATEMENTS_MAX,
    Statement, Statements, parse_block, parse_revision, parse_statements,
};
pub use transaction::{BlockPlan, Plan, Transaction};
pub use ttl::{EndsAt, ExpiryArg, ExpiryOption, REFRESH_SLACK, Use};
