//! Histograms: counts of values up to bounds, as `INFO` shows them.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of values. What is reported is cumulated: each bound with all values up to it.
pub struct Histogram<const N: usize> {
    name: &'static str,
    /// Ascending; greater values count with all alone.
    bounds: [u64; N],
    counts: [AtomicU64; N],
    all: AtomicU64,
    sum: AtomicU64,
}

impl<const N: usize> Histogram<N> {
    pub const fn new(name: &'static str, bounds: [u64; N]) -> Histogram<N> {
        let counts = [const { AtomicU64::new(0) }; N];
        Histogram { name, bounds, counts, all: AtomicU64::new(0), sum: AtomicU64::new(0) }
    }

    pub fn record(&self, value: u64) {
        if let Some(nth) = self.bounds.iter().position(|bound| value <= *bound) {
            self.counts[nth].fetch_add(1, Ordering::Relaxed);
        }
        self.all.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Gives the fields: one for each bound, how many values there were, and their sum.
    pub fn report(&self, mut field: impl FnMut(&str, u64)) {
        let mut count = 0;
        for (bound, counted) in self.bounds.iter().zip(&self.counts) {
            count += counted.load(Ordering::Relaxed);
            field(&format!("{}_le_{bound}", self.name), count);
        }
        field(&format!("{}_count", self.name), self.all.load(Ordering::Relaxed));
        field(&format!("{}_sum", self.name), self.sum.load(Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_count_up_to_each_bound_that_is_not_below_them() {
        let histogram = Histogram::new("h", [1, 10]);
        for value in [0, 1, 2, 10, 11, 500] {
            histogram.record(value);
        }
        let mut fields = Vec::new();
        histogram.report(|name, value| fields.push((name.to_owned(), value)));
        let expected = [("h_le_1", 2), ("h_le_10", 4), ("h_count", 6), ("h_sum", 524)];
        assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value)));
    }
}
