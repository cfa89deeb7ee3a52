//! Medians, and ratios that a drift of the machine cancels out of.

/// Of several repetitions: the middle, the least and the most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Summary {
    /// The median.
    pub(crate) median: f64,
    /// The least.
    pub(crate) min: f64,
    /// The most.
    pub(crate) max: f64,
}

impl Summary {
    /// Of at least one value; zeros of none.
    pub(crate) fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
        let half = sorted.len() / 2;
        let median = match sorted.len() {
            0 => 0.0,
            n if n % 2 == 1 => at(half),
            _ => f64::midpoint(at(half - 1), at(half)),
        };
        Self { median, min: at(0), max: at(sorted.len().saturating_sub(1)) }
    }
}

/// The median of the ratios within each repetition: both sides ran within milliseconds.
pub(crate) fn ratio(ours: &[f64], baseline: &[f64]) -> f64 {
    let ratios: Vec<f64> = ours.iter().zip(baseline).map(|(ours, base)| ours / base).collect();
    Summary::of(&ratios).median
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_however_the_values_come() {
        let summary = Summary::of(&[9.0, 1.0, 4.0]);
        assert_eq!(summary, Summary { median: 4.0, min: 1.0, max: 9.0 });
        assert!((Summary::of(&[4.0, 1.0, 2.0, 9.0]).median - 3.0).abs() < 1e-9);
    }

    #[test]
    fn drift_that_both_sides_share_leaves_the_ratio_alone() {
        let baseline = [10.0, 20.0, 40.0, 80.0];
        let ours = baseline.map(|time| 1.5 * time);
        assert!((ratio(&ours, &baseline) - 1.5).abs() < 1e-9);
    }

    #[test]
    fn one_disturbed_repetition_does_not_move_the_ratio() {
        assert!((ratio(&[2.0, 900.0, 2.0], &[1.0, 1.0, 1.0]) - 2.0).abs() < 1e-9);
    }
}
