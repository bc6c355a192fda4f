//! Expressions: the Common Expression Language (CEL) over documents in place.
//!
//! A [`Program`] is compiled once and evaluated against a [`Scope`]: the document as it stands, the
//! arguments of the command, the clock. Documents are lent, never converted or copied; a typical
//! condition allocates nothing. Parsing is the `cel` crate's, and so are most functions; compiling
//! and evaluating are ours, because the crate's evaluator knows no budget, does not mix integers with
//! doubles, and copies what it iterates over.
//!
//! Guarantees: an expression that compiles names nothing unknown; an evaluation ends within its
//! budget of steps, which bounds its memory too; a broken condition is an error, never true or
//! false; the same program over the same scope gives the same. Must never: change a value, read a
//! clock, recurse by the depth of a document.
//!
//! Where it differs from CEL: arithmetic mixes integers with doubles, comparing an integer with a
//! double is exact, and there are no messages and no type checking ahead.

mod arithmetic;
mod budget;
pub mod cache;
mod code;
mod compile;
mod datum;
mod eval;
mod explain;
mod fault;
mod functions;
mod known_terms;
mod limits;
mod native;
mod operator;
mod pattern;
mod produce;
mod program;
mod refusal;
mod scan;
mod scope;
mod syntax;
mod terms;
mod written;

pub use functions::{Listed, listed};
pub use known_terms::{QueryTerms, Term, TermTest};
pub use limits::{AllowedNames, BYTES_MAX, DEPTH_MAX, ExprLimits};
pub use native::{NATIVE_METHODS, NativeAnswer, NativeQuestion};
pub use program::Program;
pub use scope::{DocumentSource, OldSelf, Scope};
pub use terms::{SELF, SelfStep, spell_index, spell_name};
