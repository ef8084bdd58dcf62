//! Numbers where there is little room.

use super::format::{count, scaled};

/// `1,234`, `12k`, `1.2M`: at most five characters below 10¹⁵.
pub(super) fn short_count(number: u64) -> String {
    const UNITS: [(u64, char); 4] = [
        (1_000_000_000_000, 'T'),
        (1_000_000_000, 'G'),
        (1_000_000, 'M'),
        (1_000, 'k'),
    ];
    if number < 10_000 {
        return count(number);
    }
    for (unit, letter) in UNITS {
        // Rounded down, so that nothing is done before it is.
        match number / unit {
            0 => {}
            whole @ 1..10 => return format!("{whole}.{}{letter}", number % unit / (unit / 10)),
            whole => return format!("{whole}{letter}"),
        }
    }
    count(number)
}

/// `12k/s`
pub(super) fn short_rate(per_second: f64) -> String {
    scaled(per_second, short_count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_counts_are_short() {
        let counts = [9_999, 10_000, 999_999, 1_000_000, 1_290_000, 34_000_000_000];
        let expected = ["9,999", "10k", "999k", "1.0M", "1.2M", "34G"];
        assert_eq!(counts.map(short_count), expected);
        assert_eq!(short_count(999_999_999_999_999), "999T");
        assert_eq!(short_rate(12_345.6), "12k/s");
    }
}
