//! The context in which the statements of one command run, and what they add up to besides documents.

use std::cell::Cell;

use smallvec::SmallVec;

use super::request::Request;
use super::slot::Recording;
use crate::error::Result;
use crate::host::IndexScope;
use crate::lock::Moment;
use crate::op::Clock;
use crate::value::edit::{check_put_in, check_written};

/// The context in which the statements of one command run.
pub struct TransactionContext<'t, 'a> {
    pub request: &'t Request<'t, 'a>,
    pub clock: Clock,
    /// The moment on the clock of leases, where a statement asks for the holders of locks.
    pub moment: Moment,
    /// The part that the command was refused for, if one is known.
    pub refused: Cell<Option<Refused>>,
    /// The documents among which UNIQUE is validated; none where no model has indexes.
    pub unique_among: Option<IndexScope>,
    /// Flag: changes of models with `CHANGES` are recorded.
    pub records_changes: bool,
    /// The document that has the values of another one, for which the command was refused.
    pub conflict: Cell<Option<Vec<u8>>>,
}

impl<'t> TransactionContext<'t, '_> {
    /// The terms on which changes are recorded.
    pub fn recording(&self) -> Recording<'t> {
        let request = self.request;
        Recording {
            token: request.token.as_ref().map(|token| token.key.name),
            allowance: request.allowance,
            most_bytes: request.settings.transactions.change_bytes,
        }
    }
}

/// The part of a request that was refused.
#[derive(Clone, Copy)]
pub struct Refused {
    pub slot: usize,
    /// None where a model refused what all blocks together made.
    pub block: Option<usize>,
}

/// The grants that end when the command is over: the slot of the document, the name of the lock, the fence.
pub type Released = SmallVec<[(usize, Box<str>, u64); 1]>;

/// The bytes that all statements of a command put into documents that were found, and those of their effects:
/// all together are bounded as those of one document are.
#[derive(Default)]
pub struct JournalBytes {
    put_in: u64,
    effects: u64,
}

impl JournalBytes {
    /// Counts what natives send to replicas.
    pub fn add_written(&mut self, context: &TransactionContext<'_, '_>, bytes: u64) -> Result<()> {
        self.effects += bytes;
        check_written(&context.request.settings.document, self.effects)
    }

    /// Counts what one statement added to its document; `LIMIT` where all together is too much. `made` is put
    /// into new documents.
    #[inline(always)]
    pub fn add(
        &mut self,
        context: &TransactionContext<'_, '_>,
        before: (u64, u64),
        after: (u64, u64),
        made: u64,
    ) -> Result<()> {
        self.put_in += after.0 - before.0;
        self.effects += after.1 - before.1;
        let limits = &context.request.settings.document;
        check_put_in(limits, self.put_in + made)?;
        check_written(limits, self.effects)
    }
}
