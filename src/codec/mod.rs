//! Versioned bytes: what a document looks like in RDB, DUMP and replication, and its digest.
//!
//! Everything read here may be corrupt or hostile.

pub mod definition;
pub mod effect;
pub mod locks;
pub mod origin;
pub mod outline;
pub mod rdb;
pub mod token;
