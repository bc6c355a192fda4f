//! The form in which a command asks the engine to change documents.

use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

use super::statement::Statement;
use super::ttl::ExpiryOption;
use crate::budget::Allowance;
use crate::expiry::Expiry;
use crate::host::{Key, Settings};
use crate::keys::KeyIndex;
use crate::model::Model;
use crate::path::Path;
use crate::token::Digest;
use crate::value::Measured;

/// A parsed command.
pub struct Request<'r, 'a> {
    /// Keys with different names. The position of a key is the number of its slot.
    pub keys: &'r [Key<'a>],
    pub blocks: &'r [Block<'a>],
    pub statements: &'r [Statement<'a>],
    /// Models that operators on keys name, by the number of the statement among all.
    pub models: &'r [(usize, Option<Arc<Model>>)],
    pub args: Option<&'r Measured>,
    /// The keys whose documents expressions may read as `docs`; none where there is no such name.
    pub docs: Option<&'r KeyIndex<'a>>,
    pub settings: &'r Settings,
    /// One for the whole command, whatever it does.
    pub allowance: &'r Allowance<'r>,
    /// The command comes from a master or an AOF, which validated it.
    pub replaying: bool,
    pub reply: ReplyForm,
    pub token: Option<TokenRecord<'a>>,
}

/// The statements on one key.
#[derive(Default)]
pub struct Block<'a> {
    /// The slot of the key.
    pub slot: usize,
    /// A document to store before the statements run.
    pub content: Option<Content>,
    pub make_path: bool,
    pub expiry: Option<ExpiryOption>,
    /// The path whose stored value a refusal tells.
    pub current: Option<Box<Path<'a>>>,
    /// Its statements among all of the request's.
    pub statements: Range<usize>,
}

/// A document that a block stores.
pub struct Content {
    pub model: Option<Arc<Model>>,
    /// The document is taken out when it is stored, because it may be large. A block runs once.
    pub document: Cell<Option<Measured>>,
    /// Also store it where a document exists.
    pub replaces: bool,
    /// The argument of the command that is its JSON text, if replicas may be sent that.
    pub json_arg: Option<usize>,
}

impl Content {
    /// A document to store where none exists.
    pub fn initial(model: Option<Arc<Model>>, document: Measured) -> Content {
        Content { model, document: Cell::new(Some(document)), replaces: false, json_arg: None }
    }
}

/// The form of a command's reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyForm {
    /// One array for each block, and errors name the block.
    Blocks,
    /// The replies of the only block.
    Block,
    /// The revision of the only key.
    Revision,
}

/// The key under which the reply is recorded.
pub struct TokenRecord<'a> {
    pub key: Key<'a>,
    pub digest: Digest,
    pub expiry: Expiry,
}

impl<'a> Request<'_, 'a> {
    /// Returns true if the command says itself what it changes: no option asks for the time or depends on
    /// what exists, and each operator leads to one place. Its assertions held. Then replicas may be sent the
    /// command as it is, which costs the least.
    pub fn repeats_exactly(&self) -> bool {
        let plain = |block: &Block<'_>| block.content.is_none() && block.expiry.is_none();
        self.token.is_none()
            && self.blocks.iter().all(plain)
            && self.statements.iter().all(Statement::repeats_exactly)
    }

    /// Returns true if a condition asks for the time. Of other statements those do that do not repeat exactly.
    pub fn condition_reads_clock(&self) -> bool {
        self.statements.iter().any(Statement::is_condition_of_clock)
    }

    /// Returns true if a statement asks for the holders of locks.
    pub fn concerns_locks(&self) -> bool {
        self.statements.iter().any(Statement::concerns_locks)
    }

    pub fn statements_of(&self, block: &Block<'_>) -> &[Statement<'a>] {
        &self.statements[block.statements.clone()]
    }

    /// Returns true if the block's first statement is an assertion.
    pub fn leads_with_assertion(&self, block: &Block<'_>) -> bool {
        matches!(self.statements_of(block).first(), Some(Statement::Assert(_)))
    }
}
