//! The work of one check, counted.
//!
//! Every step into a container is charged, and so is every comparison with a value of the schema. Once a meter is spent,
//! containers and texts look empty and nothing equals anything, so that a check ends soon however much work the schema asks for. The
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
    /// The charge for visiting a container, beside those for its children: see [`entry_steps`].
    entry: u64,
    /// The charges for a member and for an element that one subschema visits, beside `charge`: see [`member_steps`].
    member: u64,
    element: u64,
    matching: Matching,
    /// The patterns that a name is matched with in one pass.
    name_patterns: u64,
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
const MATCHED_BYTES: usize = 2;
/// Digits of a number in the schema that are read for one step; they are read at every comparison.
pub(super) const NUMBER_DIGITS: usize = 8;

/// Bytes of a compiled pattern for which matching costs as much again. Most patterns take a nanosecond for a byte
/// of the text whatever their size; those that defeat the matcher's cache take more the larger they are.
const PATTERN_BYTES: usize = 4 << 10;

/// The steps for each look-ahead of a pattern, however short the text is: each is a search of its own.
const LOOK_AHEAD_STEPS: u64 = 4;
/// Bytes of a name that the charges for its member include.
const NAME_BYTES: usize = 64;

/// The charges for matching a text with a pattern or a format, those of the largest pattern of the schema.
#[derive(Clone, Copy)]
pub(super) struct Matching {
    /// For [`MATCHED_BYTES`] of a text.
    bytes: u64,
    /// For a text.
    text: u64,
}

impl Matching {
    pub const PLAIN: Matching = Matching { bytes: 1, text: 0 };

    /// The charges where the largest pattern takes so many bytes, and a pattern begins with so many look-aheads.
    pub fn new(largest_pattern: usize, look_aheads: usize) -> Matching {
        Matching {
            bytes: 1 + (largest_pattern / PATTERN_BYTES + look_aheads) as u64,
            text: LOOK_AHEAD_STEPS * look_aheads as u64,
        }
    }
}

/// The steps for visiting a container, for each subschema that may apply to it, up to a number.
const ENTRY_STEPS: u64 = 16;
const ENTRY_WEIGHT_MAX: u64 = 16;

/// The charge for visiting a container under a schema of this weight. A document of many small containers takes more
/// time than one of as many scalars in one container.
pub(super) fn entry_steps(weight: u64) -> u64 {
    ENTRY_STEPS * weight.min(ENTRY_WEIGHT_MAX)
}

/// The steps for visiting a member with its name.
const MEMBER_STEPS: u64 = 8;
/// The steps for validating a name by `propertyNames`.
const NAME_STEPS: u64 = 40;
/// The steps for matching a name with one pattern of `patternProperties`.
const NAME_PATTERN_STEPS: u64 = 20;
/// The steps for looking whether a member or element was evaluated, for each subschema that may have done so.
const UNEVALUATED_STEPS: u64 = 16;

/// The charge for a member that one subschema visits, where names are validated or not, a subschema has so many patterns for
/// names, and up to `unevaluated` subschemas decide which members were evaluated.
pub(super) fn member_steps(
    names: bool,
    name_patterns: usize,
    unevaluated: u64,
    matching: Matching,
) -> u64 {
    MEMBER_STEPS
        + if names { NAME_STEPS + matching.text } else { 0 }
        + (NAME_PATTERN_STEPS + matching.text) * name_patterns as u64
        + element_steps(unevaluated)
}

/// As [`member_steps`], for an element of an array.
pub(super) fn element_steps(unevaluated: u64) -> u64 {
    UNEVALUATED_STEPS * unevaluated
}

impl Meter {
    pub fn new(steps: u64, charge: u64, stack_bytes: usize) -> Meter {
        let here = 0_u8;
        let stack = std::ptr::from_ref(&here) as usize;
        let limit = (limit::SCHEMA_STEPS, steps);
        Meter {
            left: Cell::new(steps),
            charge,
            entry: 0,
            member: MEMBER_STEPS,
            element: 0,
            matching: Matching::PLAIN,
            name_patterns: 0,
            start: steps,
            limit,
            stack,
            stack_bytes,
        }
    }

    /// The same meter, with the charges for matching a text, and for names that are matched with so many patterns.
    pub fn matching(mut self, matching: Matching, name_patterns: u64) -> Meter {
        (self.matching, self.name_patterns) = (matching, name_patterns);
        self
    }

    /// The same meter, with charges for each container, for each member and for each element that is visited.
    pub fn visits(mut self, entry: u64, member: u64, element: u64) -> Meter {
        (self.entry, self.member, self.element) = (entry, member, element);
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
        self.charge((bytes / MATCHED_BYTES) as u64 * self.matching.bytes + self.matching.text);
    }

    /// Charges for matching a name of so many bytes, where it is longer than most.
    #[inline]
    pub fn charge_name(&self, bytes: usize) {
        if bytes > NAME_BYTES {
            let matched = ((bytes - NAME_BYTES) / MATCHED_BYTES) as u64;
            self.charge(matched * self.matching.bytes * self.name_patterns);
        }
    }

    /// Charges a step into a container of `len` children. Returns false if the container has to look empty.
    #[inline]
    pub fn enter(&self, len: usize) -> bool {
        self.enter_for(self.charge * (1 + len as u64))
    }

    /// As [`Meter::enter`], where each of `len` elements is visited by a subschema.
    #[inline]
    pub fn enter_elements(&self, len: usize) -> bool {
        self.enter_for(self.charge + (self.charge + self.element) * len as u64)
    }

    /// As [`Meter::enter`], where each of `len` members is visited with its name.
    #[inline]
    pub fn enter_members(&self, len: usize) -> bool {
        self.enter_for(self.charge + (self.charge + self.member) * len as u64)
    }

    #[inline]
    fn enter_for(&self, cost: u64) -> bool {
        let cost = self.entry + cost;
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
