//! Durations as people write them.

/// Reads a duration such as `1.5s`, in whole numbers: floating point would round.
pub(crate) fn nanos(text: &str) -> Result<u64, String> {
    const FORMS: &str =
        "write a number and a unit (ns, us, ms, s, m, h), such as \"500ms\", \"1.5s\" or \"2m\"";
    let invalid = || format!("{text:?} is not a duration: {FORMS}");
    let unit_at = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .ok_or_else(invalid)?;
    let (number, unit) = text.split_at(unit_at);
    let unit: u128 = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60 * 1_000_000_000,
        "h" => 3_600 * 1_000_000_000,
        _ => return Err(invalid()),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
        return Err(invalid());
    }
    let nanos = u32::try_from(fraction.len())
        .ok()
        .and_then(|digits| 10_u128.checked_pow(digits))
        .zip(format!("{whole}{fraction}").parse::<u128>().ok())
        .and_then(|(scale, digits)| Some(digits.checked_mul(unit)? / scale))
        .and_then(|nanos| u64::try_from(nanos).ok());
    match nanos {
        Some(0) => Err(format!(
            "a timeout of zero would stop the task before it starts: {FORMS}, or leave it out"
        )),
        Some(nanos) => Ok(nanos),
        None => Err(format!("{text:?} is too long: {FORMS}")),
    }
}

#[cfg(test)]
mod tests {
    use super::nanos;

    #[test]
    fn durations() {
        assert_eq!(nanos("5s"), Ok(5_000_000_000));
        assert_eq!(nanos("1.5s"), Ok(1_500_000_000));
        assert_eq!(nanos("250ms"), Ok(250_000_000));
        assert_eq!(nanos("0.5us"), Ok(500));
        assert_eq!(nanos("7ns"), Ok(7));
        assert_eq!(nanos("2m"), Ok(120_000_000_000));
        assert_eq!(nanos("0.25h"), Ok(900_000_000_000));
    }

    #[test]
    fn no_durations() {
        for text in [
            "", "5", "s", ".5s", "5.s", "1.2.3s", "-1s", "5 s", "5S", "5sec", "1m30s",
        ] {
            let error = nanos(text).expect_err(text);
            assert!(error.contains("not a duration"), "{error}");
        }
        for text in ["0s", "0.0h", "0.4ns"] {
            let error = nanos(text).expect_err(text);
            assert!(error.contains("zero"), "{error}");
        }
        for text in ["6000000h", "99999999999999999999999999999999999999999s"] {
            let error = nanos(text).expect_err(text);
            assert!(error.contains("too long"), "{error}");
        }
    }
}
