//! Histograms: counts of values up to bounds, as `INFO` shows them.

use super::tally::Tally;

/// Counts of values. What is reported is cumulated: each bound with all values up to it.
pub struct Histogram<const N: usize> {
    name: &'static str,
    /// Ascending; greater values count with all alone.
    bounds: [u64; N],
    counts: [Tally; N],
    all: Tally,
    sum: Tally,
}

impl<const N: usize> Histogram<N> {
    pub const fn new(name: &'static str, bounds: [u64; N]) -> Histogram<N> {
        let counts = [const { Tally::new() }; N];
        Histogram { name, bounds, counts, all: Tally::new(), sum: Tally::new() }
    }

    pub fn record(&self, value: u64) {
        if let Some(nth) = self.bounds.iter().position(|bound| value <= *bound) {
            self.counts[nth].add(1);
        }
        self.all.add(1);
        self.sum.add(value);
    }

    /// Gives the fields: one for each bound, how many values there were, and their sum.
    pub fn report(&self, mut field: impl FnMut(&str, u64)) {
        let mut count = 0;
        for (bound, counted) in self.bounds.iter().zip(&self.counts) {
            count += counted.get();
            field(&format!("{}_le_{bound}", self.name), count);
        }
        field(&format!("{}_count", self.name), self.all.get());
        field(&format!("{}_sum", self.name), self.sum.get());
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
