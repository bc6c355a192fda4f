//! The engine of every command that changes documents: statements are parsed whole before anything is
//! looked up, then run all or nothing.
//!
//! A command is a [`Request`] of one or more blocks, each about one key. [`execute`] opens the keys, lets a
//! [`transaction`] go through its stages, and applies to the host what that decided. A command that changes
//! nothing changes nothing: no revision, no definition version, no defaults, and it replicates nothing.

mod block;
mod changes;
mod commit;
mod context;
mod docs;
mod execute;
mod natives;
mod refusal;
mod request;
mod slot;
mod statement;
mod transaction;
mod ttl;
mod unique;
mod validation;

pub use block::{check_condition, check_revision};
pub use execute::execute;
pub use refusal::{CURRENT_BYTES_MAX, OTHERS_MAX, told};
pub use request::{
    Block, Content, ContentDocument, DocNames, NativeBlock, ReplyForm, Request, Roles, TokenRecord,
};
pub use slot::no_key;
pub use statement::{
    ASSERTIONS, Assertion, AssertionOperand, AssertionSpec, BLOCK, GUARD, STATEMENTS_MAX, STRICT,
    Statement, StatementTraits, Statements, parse_block, parse_revision, parse_statements,
};
pub use ttl::{EndsAt, ExpiryArg, ExpiryOption, REFRESH_SLACK, Use};
