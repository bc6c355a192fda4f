//! The cost of an evaluation.
//!
//! Every step of an evaluation is paid for before it is made: one for a node, and more where the
//! work, or the memory it leaves behind, grows with the data. So a budget bounds time and memory
//! alike.

use super::fault::Fault;
use crate::budget::Allowance;
use crate::budget::weight::EXPRESSION_STEP;

/// Bytes that are compared, searched or counted for one step.
const BYTES_SCANNED: usize = 32;
/// Bytes that are produced for one step.
const BYTES_MADE: usize = 8;

/// The steps left to spend: a view on the budget of the command, with a bound of its own. It counts in a
/// register and settles with the command's when the evaluation is over.
#[derive(Debug)]
pub(super) struct StepBudget {
    left: u64,
    start: u64,
}

/// The cost of an evaluation beside its steps.
const EVALUATION: u64 = 50;

impl StepBudget {
    #[cfg(test)]
    pub fn new(steps: u64) -> StepBudget {
        StepBudget { left: steps, start: steps }
    }

    /// At most so many steps, and no more than the command may still make.
    pub fn within(steps: u64, allowance: Option<&Allowance<'_>>) -> StepBudget {
        let start = allowance
            .map_or(steps, |allowance| steps.min(allowance.steps_left() / EXPRESSION_STEP));
        StepBudget { left: start, start }
    }

    /// Pays for what the evaluation took. The command has no step left where they were too few.
    pub fn settle(&self, allowance: Option<&Allowance<'_>>) {
        if let Some(allowance) = allowance {
            allowance.spend_counted((self.start - self.left) * EXPRESSION_STEP + EVALUATION);
        }
    }

    #[inline]
    pub fn charge(&mut self, steps: u64) -> Result<(), Fault> {
        match self.left.checked_sub(steps) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(self.exhaust()),
        }
    }

    /// Nothing is affordable any more, whatever it costs.
    #[cold]
    fn exhaust(&mut self) -> Fault {
        self.left = 0;
        Fault::Exhausted
    }

    /// Pays for looking at so many bytes.
    #[inline]
    pub fn scan(&mut self, bytes: usize) -> Result<(), Fault> {
        self.charge((bytes / BYTES_SCANNED) as u64)
    }

    /// Pays for making so many bytes.
    #[inline]
    pub fn make(&mut self, bytes: usize) -> Result<(), Fault> {
        self.charge((bytes / BYTES_MADE) as u64)
    }

    /// Pays for making a list of so many elements, or as many entries of a map.
    #[inline]
    pub fn make_list(&mut self, len: usize) -> Result<(), Fault> {
        self.charge((len as u64).saturating_mul(4))
    }
}
