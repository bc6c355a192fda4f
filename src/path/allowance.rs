//! What one command may still do, counted over all its paths, statements and keys: a budget for each of
//! them would let a short command multiply it.

use std::cell::Cell;

use super::PathLimits;
use crate::error::{Error, Result};

/// So many elements that an operator goes over or moves count as one node: that is what they take.
const ELEMENTS_OF_A_NODE: u64 = 8;
/// So many bytes of a value that is copied count as one element.
const BYTES_OF_AN_ELEMENT: u64 = 16;

/// What is left of a command's limits. Shared by whatever is run for it.
#[derive(Debug)]
pub struct Allowance<'l> {
    limits: &'l PathLimits,
    nodes_left: Cell<u64>,
    reply_left: Cell<u64>,
}

impl<'l> Allowance<'l> {
    pub fn new(limits: &'l PathLimits) -> Allowance<'l> {
        Allowance {
            limits,
            nodes_left: Cell::new(limits.query_nodes),
            reply_left: Cell::new(limits.reply_bytes),
        }
    }

    pub fn limits(&self) -> &'l PathLimits {
        self.limits
    }

    /// For an operator that goes over the elements of an array.
    #[inline]
    pub fn scan(&self, elements: usize) -> Result<()> {
        match self.nodes_left.get().checked_sub(elements as u64 / ELEMENTS_OF_A_NODE) {
            Some(left) => {
                self.nodes_left.set(left);
                Ok(())
            }
            None => Err(Error::limit("model.query-nodes", self.limits.query_nodes)),
        }
    }

    /// For a change at `index` of an array: the elements of the shorter side move.
    #[inline]
    pub fn shift(&self, index: usize, len: usize) -> Result<()> {
        self.scan(index.min(len - index))
    }

    /// For an operator that copies a value of this size.
    #[inline]
    pub fn copy(&self, bytes: u64) -> Result<()> {
        self.scan((bytes / BYTES_OF_AN_ELEMENT) as usize)
    }

    /// For a reply of so many bytes.
    #[inline]
    pub fn reply(&self, bytes: u64) -> Result<()> {
        self.check_reply(bytes)?;
        self.reply_left.set(self.reply_left.get() - bytes);
        Ok(())
    }

    /// Whether a reply that is being made may have so many bytes.
    #[inline]
    pub fn check_reply(&self, bytes: u64) -> Result<()> {
        if bytes > self.reply_left.get() {
            return Err(Error::limit("model.reply-bytes", self.limits.reply_bytes));
        }
        Ok(())
    }

    /// The nodes that are left, for a query that counts down by itself.
    pub(super) fn nodes_left(&self) -> u64 {
        self.nodes_left.get()
    }

    /// What such a query left of them.
    pub(super) fn set_nodes_left(&self, nodes: u64) {
        self.nodes_left.set(nodes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_and_bytes_are_counted_up_to_the_limit() {
        let limits = PathLimits { query_nodes: 4, reply_bytes: 10, ..PathLimits::DEFAULT };
        let allowance = Allowance::new(&limits);
        assert!(allowance.scan(16).is_ok() && allowance.scan(7).is_ok());
        assert!(allowance.scan(24).is_err(), "two nodes are left");
        assert!(allowance.shift(1_000_000, 1_000_010).is_ok(), "the shorter side");
        assert!(allowance.shift(8, 16).is_ok() && allowance.shift(8, 16).is_err());
        assert!(allowance.reply(10).is_ok() && allowance.reply(0).is_ok());
        assert!(allowance.reply(1).is_err() && allowance.check_reply(1).is_err());
    }

    #[test]
    fn what_was_judged_elsewhere_is_not_counted() {
        let allowance = Allowance::new(&PathLimits::NONE);
        assert!(allowance.scan(usize::MAX).is_ok() && allowance.reply(1 << 60).is_ok());
    }
}
