//! The source of an action: its roles, the schema of its arguments and its blocks, as they were given.
//!
//! The room `command` compiles it, because it has the parser of blocks.

use super::source::is_same_json;

/// The source of an action, which is stored and sent, and compiled by each server.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActionSource {
    /// The names that stand for keys, in the order in which a call gives the keys.
    pub roles: Vec<Box<str>>,
    /// JSON Schema of the object behind `ARGS`, as JSON text.
    pub params: Option<Box<[u8]>>,
    /// The blocks, as the arguments of the command that defined them.
    pub blocks: Vec<Box<[u8]>>,
}

impl ActionSource {
    /// Returns true if two definitions are the same. Their schemas are compared as JSON values.
    pub fn is_same_action(&self, other: &ActionSource) -> bool {
        let params = match (&self.params, &other.params) {
            (Some(own), Some(others)) => is_same_json(own, others),
            (own, others) => own == others,
        };
        params && self.roles == other.roles && self.blocks == other.blocks
    }

    /// The approximate number of bytes when stored or sent.
    pub fn text_bytes(&self) -> usize {
        let roles = self.roles.iter().map(|role| role.len() + 1);
        let blocks = self.blocks.iter().map(|argument| argument.len() + 1);
        let params = self.params.as_ref().map_or(0, |params| params.len());
        roles.chain(blocks).sum::<usize>() + params
    }
}
