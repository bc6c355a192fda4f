//! redis-model: JSON documents in Redis, changed safely by native commands.
