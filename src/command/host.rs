//! The world as a command sees it: that of the engine, and the actions, which only commands know.

pub use crate::host::*;
use crate::model::Actions;

pub use self::CommandHost as Host;

/// The keyspace, the clock, the models and the actions.
pub trait CommandHost: crate::host::Host {
    /// The actions of this server.
    fn actions(&self) -> &Actions;

    /// Flag: a client may define actions here. A replica has those of its master, which sends it calls.
    fn defines_actions(&mut self) -> bool;
}
