//! Shares, rates and times for people.

use std::time::Duration;

pub(super) use crate::task::numbers::count;

/// How many of a hundred, rounded down; all of nothing is 100.
pub(super) fn percent(done: u64, total: u64) -> u8 {
    let hundredths = u128::from(done) * 100;
    let percent = hundredths.checked_div(u128::from(total)).unwrap_or(100);
    u8::try_from(percent.min(100)).unwrap_or(100)
}

/// `1,234/s`, `3.2/s`; what is slower goes by the minute or the hour.
pub(super) fn rate(per_second: f64) -> String {
    scaled(per_second, count)
}

/// The same, with the whole numbers written like this.
pub(super) fn scaled(per_second: f64, whole: fn(u64) -> String) -> String {
    let units = [("s", 1.0), ("min", 60.0), ("h", 3_600.0)];
    let (unit, value) = units
        .map(|(unit, seconds)| (unit, per_second * seconds))
        .into_iter()
        .find(|(_, value)| *value >= 1.0)
        .unwrap_or(("h", per_second * 3_600.0));
    if value < 9.95 {
        format!("{value:.1}/{unit}")
    } else {
        // Saturates.
        format!("{}/{unit}", whole(value.round() as u64))
    }
}

/// `00:07`, `1:02:03`, `3d 04h`: rounded to seconds.
pub(super) fn time(time: Duration) -> String {
    let seconds = time
        .as_secs()
        .saturating_add(u64::from(time.subsec_millis() >= 500));
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    if days > 0 {
        format!("{}d {:02}h", count(days), hours % 24)
    } else if hours > 0 {
        format!("{hours}:{:02}:{:02}", minutes % 60, seconds % 60)
    } else {
        format!("{minutes:02}:{:02}", seconds % 60)
    }
}

/// How long something took: what is short, in tenths of a second.
pub(super) fn taken(duration: Duration) -> String {
    match duration.as_secs() {
        ..10 => format!("{:.1} s", duration.as_secs_f64()),
        _ => time(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_are_rounded_down() {
        assert_eq!(percent(0, 3), 0);
        assert_eq!(percent(2, 3), 66);
        assert_eq!(percent(999, 1_000), 99);
        assert_eq!(percent(u64::MAX - 1, u64::MAX), 99);
        assert_eq!(percent(0, 0), 100);
        // An input that was longer than it said.
        assert_eq!(percent(u64::MAX, 1), 100);
    }

    #[test]
    fn rates_have_a_unit_that_fits() {
        let rates = [12_345.6, 10.4, 9.96, 9.94, 1.0, 0.5, 0.01, 0.0001, 0.0];
        let expected = [
            "12,346/s", "10/s", "10/s", "9.9/s", "1.0/s", "30/min", "36/h", "0.4/h", "0.0/h",
        ];
        assert_eq!(rates.map(rate), expected);
        assert!(rate(f64::INFINITY).ends_with("/s"));
        assert_eq!(rate(f64::NAN), "0/h");
    }

    #[test]
    fn times_have_hours_and_days_when_they_must() {
        let times = [
            0,
            499,
            500,
            59_500,
            3_599_499,
            3_723_000,
            86_400_000,
            98_000_000_000,
        ];
        let expected = [
            "00:00",
            "00:00",
            "00:01",
            "01:00",
            "59:59",
            "1:02:03",
            "1d 00h",
            "1,134d 06h",
        ];
        assert_eq!(times.map(|ms| time(Duration::from_millis(ms))), expected);
    }

    #[test]
    fn what_was_short_has_tenths() {
        let times = [0, 40, 60, 9_940, 10_000, 61_000];
        let expected = ["0.0 s", "0.0 s", "0.1 s", "9.9 s", "00:10", "01:01"];
        assert_eq!(times.map(|ms| taken(Duration::from_millis(ms))), expected);
    }
}
