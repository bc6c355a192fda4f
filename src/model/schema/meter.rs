//! The work of one check, counted.
//!
//! Every step into a container is charged, and so is every comparison with a value of the schema. Once a meter is spent,
//! containers look empty and nothing equals anything, so that a check ends soon however much work the schema asks for. The
//! verdict of such a check means nothing, and [`Meter::verdict`] turns it into `LIMIT`.

use std::cell::Cell;

use crate::budget::Allowance;
use crate::error::{Error, Result};
use crate::limit;
use crate::value::View;

/// The budget of one check.
pub(super) struct Meter {
    left: Cell<u64>,
    /// The charge for a step into a container, higher if the schema may apply many subschemas to a value.
    charge: u64,
    /// The charge for [`MATCHED_BYTES`] of a text, higher if the schema has a large pattern.
    matching: u64,
    start: u64,
    /// The limit that ends the check.
    limit: (limit::Limit, u64),
    /// An address on the stack at the start of the check.
    stack: usize,
    stack_bytes: usize,
}

/// The steps for comparing two values, not counting the values inside.
const COMPARISON_STEPS: u64 = 4;
/// Bytes of a text that are compared for one step.
pub(super) const TEXT_BYTES: usize = 32;
/// Bytes of a text that are matched with a pattern or a format for one step.
const MATCHED_BYTES: usize = 4;
/// Digits of a number in the schema that are read for one step; they are read at every comparison.
pub(super) const NUMBER_DIGITS: usize = 8;

/// Bytes of a compiled pattern for which matching costs as much again. Most patterns take a nanosecond for a byte
/// of the text whatever their size; those that defeat the matcher's cache take more the larger they are.
const PATTERN_BYTES: usize = 4 << 10;

/// The charge for matching [`MATCHED_BYTES`] of a text under a schema whose largest pattern takes so many bytes.
pub(super) fn matching(largest_pattern: usize) -> u64 {
    1 + (largest_pattern / PATTERN_BYTES) as u64
}

impl Meter {
    pub fn new(steps: u64, charge: u64, stack_bytes: usize) -> Meter {
        let here = 0_u8;
        let stack = std::ptr::from_ref(&here) as usize;
        let limit = (limit::SCHEMA_STEPS, steps);
        Meter {
            left: Cell::new(steps),
            charge,
            matching: 1,
            start: steps,
            limit,
            stack,
            stack_bytes,
        }
    }

    /// The same meter, with a charge of so many steps for [`MATCHED_BYTES`] of a text.
    pub fn matching(mut self, steps: u64) -> Meter {
        self.matching = steps;
        self
    }

    /// The same meter, limited to the steps that a command has left.
    pub fn within(mut self, steps: u64, allowance: &Allowance<'_>) -> Meter {
        if steps < self.start {
            self.limit = (limit::COMMAND_STEPS, allowance.limits().command_steps);
            self.start = steps;
            self.left.set(steps);
        }
        self
    }

    /// The steps charged so far.
    pub fn spent(&self) -> u64 {
        self.start - self.left.get()
    }

    /// Charges for work that is done in any case; afterwards the meter may be spent.
    #[inline]
    pub fn charge(&self, steps: u64) {
        self.left.set(self.left.get().saturating_sub(steps));
    }

    /// Charges for matching a text of so many bytes with a pattern or a format.
    #[inline]
    pub fn charge_matching(&self, bytes: usize) {
        self.charge((bytes / MATCHED_BYTES) as u64 * self.matching);
    }

    /// Charges a step into a container of `len` children. Returns false if the container has to look empty.
    #[inline]
    pub fn enter(&self, len: usize) -> bool {
        let cost = self.charge * (1 + len as u64);
        let here = 0_u8;
        let depth = self.stack.abs_diff(std::ptr::from_ref(&here) as usize);
        let left = self.left.get();
        if left < cost || depth > self.stack_bytes {
            self.left.set(0);
            return false;
        }
        self.left.set(left - cost);
        true
    }

    /// Charges the comparison of two values that takes so many steps more than most. Returns false if they have to look
    /// different.
    #[inline]
    pub fn compare(&self, more: usize) -> bool {
        let left = self.left.get().saturating_sub(COMPARISON_STEPS + more as u64);
        self.left.set(left);
        left > 0
    }

    /// Charges for reading everything in a value. Returns false if that is too much.
    pub fn look_through(&self, view: View<'_>) -> bool {
        let more = match view {
            View::Str(text) => text.as_bytes().len() / TEXT_BYTES,
            _ => 0,
        };
        let left = self.left.get().saturating_sub(1 + more as u64);
        self.left.set(left);
        left > 0
            && match view {
                View::Array(array) => array.iter().all(|item| self.look_through(item)),
                View::Object(object) => object.iter().all(|(_, member)| self.look_through(member)),
                _ => true,
            }
    }

    #[inline]
    pub fn is_spent(&self) -> bool {
        self.left.get() == 0
    }

    /// The verdict, or `LIMIT` if the meter is spent: then the verdict means nothing.
    #[inline]
    pub fn verdict(&self, valid: bool) -> Result<bool> {
        if self.is_spent() {
            return Err(Error::limit(self.limit.0, self.limit.1));
        }
        Ok(valid)
    }
}
