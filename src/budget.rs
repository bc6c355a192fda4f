//! The budget of work of one command: what it may still do, counted over all its statements, blocks,
//! documents, rules and schemas together.
//!
//! A server runs one command at a time, so whatever one command does, all others wait for. A bound on
//! each expression, query or pattern alone lets a short command multiply it by its statements and keys;
//! this one budget is shared by reference and spent by all of them. When it is gone the command is
//! refused with `LIMIT` and everything it did is undone, which was paid for with the work itself.
//!
//! A step is about ten nanoseconds of an ordinary core, so that a command takes about a tenth of a second. Work is charged before it is done, or, where only
//! doing it tells how much it is, in pieces so small that the last one does no harm.
//!
//! Whole documents are an exception: one of 64 MiB takes longer to read or to write than any other command
//! may. They may take 25 ns for each of their bytes besides. So a command is given, beside its steps, one and a half for each byte of its longest argument and of
//! the documents it opens (*own* steps). They are spent on nothing but transfers: values put in, copied or replied, and whole
//! documents validated. Transfers draw on them first. Values put in or copied draw a quarter of a step for each byte of the
//! documents: enough for each of them to be copied once.

use std::cell::Cell;

use crate::error::{Error, Result};
use crate::limit;

/// Bounds on the work of one command that a configuration may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkLimits {
    /// The steps of one command. Configuration `model.command-steps`.
    pub command_steps: u64,
    /// How much the queries of one command may do: every node visited, name looked up and value compared
    /// counts one, long texts and scans more; what operators do with large arrays is counted, too.
    /// Configuration `model.query-nodes`.
    pub query_nodes: u64,
    /// The largest JSON text that reading one query may give: a query can name one large value many
    /// times. Configuration `model.query-bytes`.
    pub query_bytes: u64,
    /// The most that all replies of one command may take, see [`crate::reply::Reply::bytes`]. Configuration
    /// `model.reply-bytes`.
    pub reply_bytes: u64,
}

impl WorkLimits {
    /// For what a master has validated already.
    pub const NONE: WorkLimits = WorkLimits {
        command_steps: u64::MAX,
        query_nodes: u64::MAX,
        query_bytes: u64::MAX,
        reply_bytes: u64::MAX,
    };
    /// Ten million steps take about a tenth of a second. A document's text is at most six times as long as
    /// [`crate::value::View::size`] counts it: any that the default of `model.document-bytes` allows can be
    /// read whole.
    pub const DEFAULT: WorkLimits = WorkLimits {
        command_steps: limit::COMMAND_STEPS.default,
        query_nodes: limit::QUERY_NODES.default,
        query_bytes: limit::QUERY_BYTES.default,
        reply_bytes: limit::REPLY_BYTES.default,
    };
}

/// Costs of kinds of work, in steps. Measured on one core of a server at 2.6 GHz, and rounded up.
pub mod weight {
    /// A place changed, with its entries in the undo log and among the effects, and the way back.
    pub const CHANGE: u64 = 28;
    /// An array that elements are put into, beside the change.
    pub const INSERTION: u64 = 45;
    /// A packed value of a kilobyte unpacked, because a change does not fit in.
    pub const UNPACK: u64 = 400;
    /// An operation of a JSON Patch, with looking for its place.
    pub const OPERATION: u64 = 30;
    /// A member of an operand that is looked up in a document, whether or not it changes anything.
    pub const MEMBER: u64 = 32;
    /// A place that an operator runs at, with its reply.
    pub const PLACE: u64 = 12;
    /// A step of the way to it, beside the first one.
    pub const PLACE_STEP: u64 = 6;
    /// A member of an object on the way to it: its name is among the effects.
    pub const PLACE_MEMBER: u64 = 14;
    /// An array or object put in the place of a value: it may be in the middle of packed values.
    pub const CONTAINER: u64 = 64;
    /// A node that a query visits.
    pub const NODE: u64 = 3;
    /// A value that is compared with another one for being identical.
    pub const IDENTICAL: u64 = 3;
    /// An element put into an array or taken out.
    pub const ELEMENT: u64 = 3;
    /// A member taken out of an object, with its entry in the index and its way back.
    pub const REMOVED_MEMBER: u64 = 64;
    /// A member of a large object, beside what is in it.
    pub const MEMBER_OF_TREE: u64 = 8;
    /// Bytes of a command's arguments that are read for one step.
    pub const ARGUMENT_BYTES: u64 = 2;
    /// Elements or values passed over, or moved within their array there and back, for one step.
    pub const ELEMENTS: u64 = 4;
    /// Bytes of text that are read, compared or copied for one step.
    pub const TEXT_BYTES: u64 = 16;
    /// Bytes of a packed value that are read, compared or copied for one step.
    pub const PACKED_BYTES: u64 = 2;
    /// Bytes of JSON text replied for one step.
    pub const REPLY_BYTES: u64 = 4;
    /// Steps of a schema's check for one step of a command.
    pub const SCHEMA_STEPS: u64 = 2;
    /// A step of an expression's evaluation.
    pub const EXPRESSION_STEP: u64 = 2;
    /// A byte of an expression that is compiled because it is not in the cache.
    pub const EXPRESSION_BYTE: u64 = 150;
}

/// The rest of a command's limits, shared by everything that runs for it.
#[derive(Debug)]
pub struct Allowance<'l> {
    limits: &'l WorkLimits,
    steps_left: Cell<u64>,
    /// Steps for transfers alone.
    own_left: Cell<u64>,
    /// Those of them that values put in, copied or compared may take.
    own_values_left: Cell<u64>,
    nodes_left: Cell<u64>,
    reply_left: Cell<u64>,
}

impl Allowance<'static> {
    /// For work that no command asks for.
    pub const fn unlimited() -> Allowance<'static> {
        Allowance::new(&WorkLimits::NONE)
    }
}

impl<'l> Allowance<'l> {
    pub const fn new(limits: &'l WorkLimits) -> Allowance<'l> {
        Allowance {
            limits,
            steps_left: Cell::new(limits.command_steps),
            own_left: Cell::new(0),
            own_values_left: Cell::new(0),
            nodes_left: Cell::new(limits.query_nodes),
            reply_left: Cell::new(limits.reply_bytes),
        }
    }

    /// For a command with these arguments: `LIMIT` where reading them takes more than the command may do.
    /// The longest one, up to the size of the largest document, `document_bytes`, is the command's own.
    pub fn for_request(
        limits: &'l WorkLimits,
        args: &[&[u8]],
        document_bytes: u64,
    ) -> Result<Allowance<'l>> {
        let allowance = Allowance::new(limits);
        let (mut bytes, mut longest) = (0, 0);
        for arg in args {
            bytes += arg.len() as u64;
            longest = longest.max(arg.len() as u64);
        }
        let longest = longest.min(document_bytes);
        allowance.spend((bytes - longest) / weight::ARGUMENT_BYTES)?;
        allowance.own(longest);
        allowance.own_values_left.set(allowance.own_left.get());
        Ok(allowance)
    }

    pub fn limits(&self) -> &'l WorkLimits {
        self.limits
    }

    /// The command opens a document of this size.
    #[inline]
    pub fn own(&self, bytes: u64) {
        // The text of a document is at most six times as long as it is counted.
        let steps = bytes + bytes / 2;
        self.own_left.set(self.own_left.get().saturating_add(steps));
        self.own_values_left.set(self.own_values_left.get().saturating_add(bytes / 4));
    }

    /// Pays for so many steps.
    #[inline]
    pub fn spend(&self, steps: u64) -> Result<()> {
        match self.steps_left.get().checked_sub(steps) {
            Some(left) => {
                self.steps_left.set(left);
                Ok(())
            }
            None => Err(self.exhaust()),
        }
    }

    /// Nothing is affordable any more: whoever goes on after a refusal is refused again.
    #[cold]
    fn exhaust(&self) -> Error {
        self.steps_left.set(0);
        self.own_left.set(0);
        self.own_values_left.set(0);
        Error::limit(limit::COMMAND_STEPS, self.limits.command_steps)
    }

    /// Pays for values that are put in, taken out, copied or compared as a whole.
    #[inline]
    pub fn transfer_values(&self, steps: u64) -> Result<()> {
        let own = steps.min(self.own_values_left.get()).min(self.own_left.get());
        self.own_values_left.set(self.own_values_left.get() - own);
        self.own_left.set(self.own_left.get() - own);
        self.spend(steps - own)
    }

    /// Pays for values that are replied or validated as a whole.
    #[inline]
    pub fn transfer(&self, steps: u64) -> Result<()> {
        let own = self.own_left.get();
        self.own_left.set(own.saturating_sub(steps));
        self.spend(steps.saturating_sub(own))
    }

    /// The steps that are left, for work that counts down by itself, see [`Allowance::spend_counted`].
    #[inline]
    pub fn steps_left(&self) -> u64 {
        self.steps_left.get()
    }

    /// As [`Allowance::steps_left`], for transfers.
    pub fn transfers_left(&self) -> u64 {
        self.steps_left.get().saturating_add(self.own_left.get())
    }

    /// Pays for steps that were counted by the work itself, which saw to it that they are left.
    #[inline]
    pub fn spend_counted(&self, steps: u64) {
        self.steps_left.set(self.steps_left.get().saturating_sub(steps));
    }

    /// As [`Allowance::spend_counted`], for transfers.
    pub fn transfer_counted(&self, steps: u64) {
        let own = self.own_left.get();
        self.own_left.set(own.saturating_sub(steps));
        self.spend_counted(steps.saturating_sub(own));
    }

    /// The refusal of work that counted down by itself and came to nothing.
    #[cold]
    pub fn exhausted(&self) -> Error {
        self.exhaust()
    }

    /// Pays for reading a text of so many bytes.
    #[inline]
    pub fn text(&self, bytes: usize) -> Result<()> {
        self.spend(bytes as u64 / weight::TEXT_BYTES)
    }

    /// For an operator that goes over the elements of an array. Eight of them count as one node.
    #[inline]
    pub fn scan(&self, elements: usize) -> Result<()> {
        const ELEMENTS_OF_A_NODE: u64 = 8;
        self.spend(elements as u64 / weight::ELEMENTS)?;
        match self.nodes_left.get().checked_sub(elements as u64 / ELEMENTS_OF_A_NODE) {
            Some(left) => {
                self.nodes_left.set(left);
                Ok(())
            }
            None => Err(Error::limit(limit::QUERY_NODES, self.limits.query_nodes)),
        }
    }

    /// For a change at `index` of an array: the elements of the shorter side move.
    #[inline]
    pub fn shift(&self, index: usize, len: usize) -> Result<()> {
        self.scan(index.min(len - index))
    }

    /// For a reply of so many bytes.
    #[inline]
    pub fn reply(&self, bytes: u64) -> Result<()> {
        self.check_reply(bytes)?;
        self.reply_left.set(self.reply_left.get() - bytes);
        self.transfer(bytes / weight::REPLY_BYTES)
    }

    /// `LIMIT` unless a reply that is being made may have so many bytes.
    #[inline]
    pub fn check_reply(&self, bytes: u64) -> Result<()> {
        if bytes > self.reply_left.get() {
            return Err(Error::limit(limit::REPLY_BYTES, self.limits.reply_bytes));
        }
        if bytes / weight::REPLY_BYTES > self.transfers_left() {
            return Err(self.exhaust());
        }
        Ok(())
    }

    /// The nodes that are left, for a query that counts down by itself.
    pub fn nodes_left(&self) -> u64 {
        self.nodes_left.get()
    }

    /// Pays for the nodes such a query visited.
    pub fn visit_counted(&self, nodes: u64) {
        self.nodes_left.set(self.nodes_left.get().saturating_sub(nodes));
        self.spend_counted(nodes.saturating_mul(weight::NODE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Detail;

    fn limit(result: Result<()>) -> String {
        match result.unwrap_err().detail("limit") {
            Some(Detail::Text(name)) => name.clone(),
            other => panic!("no limit: {other:?}"),
        }
    }

    #[test]
    fn nodes_and_bytes_are_counted_up_to_the_limit() {
        let limits = WorkLimits { query_nodes: 4, reply_bytes: 10, ..WorkLimits::DEFAULT };
        let allowance = Allowance::new(&limits);
        assert!(allowance.scan(16).is_ok() && allowance.scan(7).is_ok());
        assert!(allowance.scan(24).is_err(), "two nodes are left");
        assert!(allowance.shift(1_000_000, 1_000_010).is_ok(), "the shorter side");
        assert!(allowance.shift(8, 16).is_ok() && allowance.shift(8, 16).is_err());
        assert!(allowance.reply(10).is_ok() && allowance.reply(0).is_ok());
        assert!(allowance.reply(1).is_err() && allowance.check_reply(1).is_err());
    }

    #[test]
    fn steps_are_counted_up_to_the_limit_and_not_one_past_it() {
        let limits = WorkLimits { command_steps: 100, ..WorkLimits::DEFAULT };
        let allowance = Allowance::new(&limits);
        allowance.spend(60).unwrap();
        allowance.text(16 * 40 + 15).unwrap();
        assert_eq!(limit(allowance.spend(1)), "model.command-steps");
        let allowance = Allowance::new(&limits);
        assert_eq!(limit(allowance.spend(101)), "model.command-steps");
        assert!(allowance.spend(1).is_err(), "what was refused once is over");
    }

    #[test]
    fn own_steps_pay_for_transfers_alone() {
        let limits = WorkLimits { command_steps: 10, ..WorkLimits::DEFAULT };
        let allowance = Allowance::for_request(&limits, &[b"1234", b"12345678"], 6).unwrap();
        assert_eq!(allowance.steps_left(), 7, "reading all but the longest argument is paid for");
        assert_eq!(allowance.transfers_left(), 7 + 9);
        allowance.own(100);
        allowance.transfer(160).unwrap();
        assert_eq!((allowance.steps_left(), allowance.transfers_left()), (6, 6));
        allowance.own(100);
        assert!(allowance.reply(600).is_ok());
        assert_eq!(limit(allowance.spend(7)), "model.command-steps");
        assert!(Allowance::for_request(&limits, &[&[0; 30]], 8).is_err());
    }

    #[test]
    fn own_steps_pay_for_one_copy_of_a_document_and_not_for_many() {
        let limits = WorkLimits { command_steps: 10, ..WorkLimits::DEFAULT };
        let allowance = Allowance::new(&limits);
        allowance.own(400);
        allowance.transfer_values(100).unwrap();
        assert_eq!(allowance.steps_left(), 10);
        allowance.transfer_values(4).unwrap();
        assert_eq!((allowance.steps_left(), allowance.transfers_left()), (6, 506));
        assert_eq!(limit(allowance.transfer_values(7)), "model.command-steps");
        // A value that came with the command may be put in, and validated once more.
        let allowance = Allowance::for_request(&limits, &[&[0; 100]], 1000).unwrap();
        allowance.transfer_values(150).unwrap();
        assert_eq!((allowance.steps_left(), allowance.transfers_left()), (10, 10));
    }

    #[test]
    fn what_was_validated_elsewhere_is_not_counted() {
        let allowance = Allowance::unlimited();
        assert!(allowance.scan(usize::MAX).is_ok() && allowance.reply(1 << 60).is_ok());
        assert!(allowance.spend(1 << 60).is_ok() && allowance.transfer(1 << 60).is_ok());
    }
}
