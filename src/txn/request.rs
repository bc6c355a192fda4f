//! The form in which a command asks the engine to change documents.

use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

use smallvec::SmallVec;

use super::statement::{Statement, StatementTraits};
use super::ttl::ExpiryOption;
use crate::budget::Allowance;
use crate::error::Error;
use crate::expiry::Expiry;
use crate::host::{Key, KeyRole, Settings};
use crate::keys::KeyIndex;
use crate::model::Model;
use crate::native::NativeStatement;
use crate::path::Path;
use crate::token::Digest;
use crate::value::Measured;

/// A parsed command.
pub struct Request<'r, 'a> {
    /// Keys with different names. The position of a key is the number of its slot.
    pub keys: &'r [Key<'r>],
    pub blocks: &'r [Block<'a>],
    pub statements: &'r [Statement<'a>],
    /// Those of the statements.
    pub traits: StatementTraits,
    /// Models that operators on keys name, by the number of the statement among all.
    pub models: &'r [(usize, Option<Arc<Model>>)],
    pub args: Option<&'r Measured>,
    /// The names under which expressions may read documents as `docs`; none where there is no such name.
    pub docs: Option<DocNames<'r, 'a>>,
    pub settings: &'r Settings,
    /// One for the whole command, whatever it does.
    pub allowance: &'r Allowance<'r>,
    /// The command comes from a master or an AOF, which validated it.
    pub replaying: bool,
    pub reply: ReplyForm,
    pub token: Option<TokenRecord<'r>>,
    /// The use of each key, where a block has natives or an expression reads structures of the server.
    pub natives: Option<&'r [KeyRole]>,
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
    pub current: Option<Arc<Path<'a>>>,
    /// Its statements among all of the request's.
    pub statements: Range<usize>,
    /// The natives of a block that is about a structure of the server; it has no statements.
    pub natives: Option<Arc<NativeBlock<'a>>>,
    /// The slot of the document found that natives are run for: it is `self` in their expressions.
    pub found: Option<usize>,
}

/// The natives on one key, one at least.
pub struct NativeBlock<'a> {
    pub statements: SmallVec<[NativeStatement<'a>; 1]>,
}

impl NativeBlock<'_> {
    /// The natives with their texts in memory of their own.
    pub fn to_owned(&self) -> NativeBlock<'static> {
        NativeBlock { statements: self.statements.iter().map(NativeStatement::to_owned).collect() }
    }
}

/// A document that a block stores.
pub struct Content {
    pub model: Option<Arc<Model>>,
    pub document: ContentDocument,
    /// Also store it where a document exists.
    pub replaces: bool,
    /// The argument of the command that is its JSON text, if replicas may be sent that.
    pub json_arg: Option<usize>,
}

/// The document of a [`Content`].
pub enum ContentDocument {
    /// It came with the command, and is taken out when it is stored, because it may be large. A block runs once.
    Given(Cell<Option<Measured>>),
    /// It is part of an action, and copied for each call that stores it.
    Kept(Arc<Measured>),
}

impl ContentDocument {
    pub fn given(document: Measured) -> ContentDocument {
        ContentDocument::Given(Cell::new(Some(document)))
    }

    pub fn take(&self) -> Measured {
        match self {
            ContentDocument::Given(document) => document.take().expect("a block runs once"),
            ContentDocument::Kept(document) => (**document).clone(),
        }
    }
}

impl Content {
    /// A document to store where none exists.
    pub fn initial(model: Option<Arc<Model>>, document: ContentDocument) -> Content {
        Content { model, document, replaces: false, json_arg: None }
    }
}

/// The names under which expressions read the documents of a transaction.
#[derive(Clone, Copy)]
pub enum DocNames<'r, 'a> {
    /// Those of their keys.
    Keys(&'r KeyIndex<'a>),
    Roles(Roles<'r>),
}

/// The roles of a called action, which stand for its keys.
#[derive(Clone, Copy)]
pub struct Roles<'r> {
    pub names: &'r [Box<str>],
    /// The slot of each role. Two roles may have the same key.
    pub slots: &'r [usize],
    /// The role of each block.
    pub of_blocks: &'r [usize],
}

impl<'r> Roles<'r> {
    fn of_block(&self, block: usize) -> &'r str {
        &self.names[self.of_blocks[block]]
    }

    /// The first role of a slot.
    fn of_slot(&self, slot: usize) -> Option<&'r str> {
        let role = self.slots.iter().position(|known| *known == slot)?;
        Some(&self.names[role])
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
    /// One array for each document found: its key, its revision, and the replies of its block and of the natives behind
    /// it. Errors name the document.
    Found,
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
        // A replica looks for no documents.
        self.traits.repeat_exactly
            && self.reply != ReplyForm::Found
            && self.token.is_none()
            && self.natives.is_none()
            && self.blocks.iter().all(plain)
    }

    /// Returns true for the call of an action.
    pub fn is_call(&self) -> bool {
        self.roles().is_some()
    }

    fn roles(&self) -> Option<Roles<'_>> {
        match self.docs {
            Some(DocNames::Roles(roles)) => Some(roles),
            _ => None,
        }
    }

    /// An error of a block, with the part of the request that it is about. `number` is none where the request has one
    /// block and errors do not name it.
    #[cold]
    pub fn located(&self, error: Error, number: Option<usize>, slot: usize) -> Error {
        let error = match number {
            Some(block) if self.reply == ReplyForm::Found => self.for_found(error, block),
            Some(block) => error.integer("block", block as i64),
            None => error,
        };
        let error = match self.roles().zip(number) {
            Some((roles, block)) => error.text("role", roles.of_block(block).as_bytes()),
            None => error,
        };
        error.text("key", self.keys[slot].name)
    }

    /// The refusal of a native names the document that it was to be run for, besides its own key.
    #[cold]
    fn for_found(&self, error: Error, block: usize) -> Error {
        match self.blocks[block].found {
            Some(slot) => error.text("document", self.keys[slot].name),
            None => error,
        }
    }

    /// An error of a document, whichever blocks changed it.
    #[cold]
    pub fn located_at(&self, error: Error, slot: usize) -> Error {
        let role = self.roles().and_then(|roles| roles.of_slot(slot));
        let error = match role {
            Some(role) => error.text("role", role.as_bytes()),
            None => error,
        };
        error.text("key", self.keys[slot].name)
    }

    pub fn statements_of(&self, block: &Block<'_>) -> &[Statement<'a>] {
        &self.statements[block.statements.clone()]
    }

    /// Returns true if the block's first statement is an assertion.
    pub fn leads_with_assertion(&self, block: &Block<'_>) -> bool {
        matches!(self.statements_of(block).first(), Some(Statement::Assert(_)))
    }
}
