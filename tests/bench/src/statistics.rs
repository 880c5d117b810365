//! What is said about repeated measurements: the middle, the tail, and how far they lie apart.

/// Measurements of one thing, at least one, in order of size.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample(Vec<f64>);

impl Sample {
    /// The measurements `values`.
    ///
    /// # Panics
    /// When there is none, or one is not a number: nothing can be said of it.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        assert!(!values.is_empty(), "a sample has at least one measurement");
        assert!(values.iter().all(|value| value.is_finite()), "measurements are numbers");
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The middle one; the mean of the two in the middle if their number is even.
    pub(crate) fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        if self.0.len().is_multiple_of(2) { f64::midpoint(self.0[middle - 1], self.0[middle]) } else { self.0[middle] }
    }

    /// The smallest that at least `percent` (0 to 100) of all do not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent.min(100)).div_ceil(100);
        self.0[rank.saturating_sub(1)]
    }

    pub(crate) fn p99(&self) -> f64 {
        self.percentile(99)
    }

    pub(crate) fn min(&self) -> f64 {
        self.0[0]
    }

    pub(crate) fn max(&self) -> f64 {
        self.0[self.0.len() - 1]
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// All of them, from the smallest to the largest.
    pub(crate) fn sorted(&self) -> &[f64] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((Sample::of([3.0, 1.0, 2.0]).median() - 2.0).abs() < f64::EPSILON);
        assert!((Sample::of([4.0, 1.0, 2.0, 3.0]).median() - 2.5).abs() < f64::EPSILON);
    }

    #[test]
    fn a_percentile_is_one_of_the_measurements() {
        let hundred = Sample::of((1..=100).map(f64::from));
        assert!((hundred.p99() - 99.0).abs() < f64::EPSILON);
        assert!((hundred.percentile(50) - 50.0).abs() < f64::EPSILON);
        let few = Sample::of([5.0, 7.0]);
        assert!((few.p99() - 7.0).abs() < f64::EPSILON);
        assert!((few.percentile(0) - 5.0).abs() < f64::EPSILON);
    }
}
