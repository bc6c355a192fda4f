//! redis-model: JSON documents in Redis, changed safely by native commands.
//!
//! A pure core that knows no Redis, and a thin shell that knows nothing else: `redis`, with the cargo feature
//! `module`. ARCHITECTURE.md has the map of the rooms, each of which imports only from those above it.

pub mod argument;
pub mod budget;
pub mod changes;
pub mod claim;
pub mod codec;
pub mod command;
pub mod docs;
pub mod document;
pub mod error;
pub mod expiry;
pub mod expr;
pub mod host;
pub mod index;
pub mod keys;
pub mod limit;
pub mod lock;
pub mod model;
pub mod native;
pub mod op;
pub mod path;
pub mod reply;
pub mod testing;
pub mod time;
pub mod token;
pub mod txn;
pub mod value;
pub mod version;

#[cfg(feature = "module")]
pub mod redis;
