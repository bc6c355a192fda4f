//! redis-model: JSON documents in Redis, changed safely by native commands.

pub mod error;
pub mod path;
pub mod value;
