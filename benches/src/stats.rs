//! Medians and quartiles.

use std::time::Duration;

/// The `q`-quantile of sorted values, between neighbours by straight line; NaN of none.
pub(crate) fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = q * last as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * place.fract()
}

/// The same values in order.
pub(crate) fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

pub(crate) fn median(values: Vec<f64>) -> f64 {
    quantile(&sorted(values), 0.5)
}

/// Repeats until `enough` has passed, and says how many seconds one went on average.
pub(crate) fn mean_seconds<E>(
    enough: Duration,
    mut once: impl FnMut() -> Result<(), E>,
) -> Result<f64, E> {
    let begin = std::time::Instant::now();
    let mut times = 0.0;
    loop {
        once()?;
        times += 1.0;
        let passed = begin.elapsed();
        if passed >= enough {
            return Ok(passed.as_secs_f64() / times);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_their_neighbours() {
        let values = sorted(vec![4.0, 1.0, 3.0, 2.0]);
        assert_eq!(quantile(&values, 0.0), 1.0);
        assert_eq!(quantile(&values, 0.5), 2.5);
        assert_eq!(quantile(&values, 0.25), 1.75);
        assert_eq!(quantile(&values, 1.0), 4.0);
        assert_eq!(median(vec![7.0]), 7.0);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
