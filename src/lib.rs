//! redis-model: JSON documents in Redis, changed safely by native commands.
//!
//! A pure core that knows no Redis, and a thin shell that knows nothing else. The rooms, each
//! importing only from those above it (a test holds this):
//!
//! - [`error`]: the closed table of error codes, and the error line.
//! - [`lock`]: who holds and who waits: queues, leases, fences, deadlocks.
//! - [`value`]: document values: representation, numbers, limits, JSON text, edits with undo.
//! - [`path`]: JSONPath (RFC 9535) and JSON Pointer (RFC 6901) to places.
//! - [`reply`]: what a command answers, before any protocol.
//! - [`expr`]: expressions (CEL) over values in place.
//! - [`model`]: model definitions: schema, rules, incremental checking.
//! - [`op`]: the operators, one file each.
//! - [`document`]: a value with its model and revision.
//! - [`codec`]: versioned bytes for RDB and replication.
//! - [`txn`]: statements, run all or nothing.
//! - [`command`]: the commands, one file each, against a `Host`.
//! - [`docs`]: renders `commands.md` and help.
//! - `redis`: the server's shell, with the cargo feature `module`: the only room with `unsafe`.

pub mod codec;
pub mod command;
pub mod docs;
pub mod document;
pub mod error;
pub mod expr;
pub mod lock;
pub mod model;
pub mod op;
pub mod path;
pub mod reply;
pub mod txn;
pub mod value;

#[cfg(feature = "module")]
pub mod redis;
