//! Coverage of random tests.
//!
//! A test that draws its cases may miss a rare one by chance. So no random test counts what a run of a fixed length met:
//! it runs batch after batch until everything has occurred, and fails after a number of batches that chance does not
//! explain.

use std::fmt::Display;

/// Runs batches, numbered from zero, until one returns that nothing is missing.
#[track_caller]
pub fn until_covered(batches_max: u64, mut batch: impl FnMut(u64) -> Missing) {
    let mut missing = Missing::default();
    for nth in 0..batches_max {
        missing = batch(nth);
        if missing.0.is_empty() {
            return;
        }
        println!("missing after batch {nth}: {}", missing.0.join(", "));
    }
    panic!("missing after {batches_max} batches: {}", missing.0.join(", "));
}

/// The events that did not occur, or not often enough.
#[derive(Default)]
pub struct Missing(Vec<String>);

impl Missing {
    /// Notes each that never occurred.
    pub fn of(counts: &[(&str, usize)]) -> Missing {
        let mut missing = Missing::default();
        counts.iter().for_each(|(what, times)| missing.expect(what, *times, 1));
        missing
    }

    /// Notes `what` unless it occurred at least so many times.
    pub fn expect<N: PartialOrd + Display>(&mut self, what: impl Display, times: N, least: N) {
        if times < least {
            self.0.push(format!("{what} ({times} of {least})"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(times: u64) -> Missing {
        let mut missing = Missing::default();
        missing.expect("a copy", times, 3);
        missing
    }

    #[test]
    fn batches_run_until_nothing_is_missing() {
        let mut ran = Vec::new();
        until_covered(10, |nth| {
            ran.push(nth);
            missing(nth + 1)
        });
        assert_eq!(ran, [0, 1, 2]);
    }

    #[test]
    #[should_panic(expected = "missing after 2 batches: a copy (2 of 3)")]
    fn what_never_occurs_fails_after_the_last_batch() {
        until_covered(2, |nth| missing(nth + 1));
    }
}
