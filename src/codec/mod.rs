//! Versioned bytes: the encodings of documents, models, locks and tokens in RDB, DUMP and replication.
//!
//! Every decoder treats its input as corrupt or hostile.

pub mod definition;
pub mod effect;
pub mod locks;
pub mod origin;
pub mod outline;
pub mod rdb;
pub mod token;
