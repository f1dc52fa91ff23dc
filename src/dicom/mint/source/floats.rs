//! Numbers with a fraction as the readers of MINT know them, spelled as Java does: `0.625`, `1.0E-10`, `NaN`, `Infinity`.

use std::fmt::{Display, LowerExp};

/// The shortest text that reads back to the same number of 32 bits.
pub(super) fn single(number: f32) -> String {
    spelled(number, f64::from(number))
}

/// The shortest text that reads back to the same number of 64 bits.
pub(super) fn double(number: f64) -> String {
    spelled(number, number)
}

fn spelled(number: impl Display + LowerExp, magnitude: f64) -> String {
    let magnitude = magnitude.abs();
    if magnitude.is_nan() {
        return "NaN".to_owned();
    }
    if magnitude.is_infinite() {
        let text = number.to_string();
        let sign = if text.starts_with('-') { "-" } else { "" };
        return format!("{sign}Infinity");
    }
    if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        return with_point(number.to_string());
    }
    let text = format!("{number:e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => format!("{}E{exponent}", with_point(mantissa.to_owned())),
        None => text,
    }
}

/// Digits on both sides of a point.
fn with_point(mut digits: String) -> String {
    if !digits.contains('.') {
        digits.push_str(".0");
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `Double.toString` and `Float.toString` are documented to give.
    #[test]
    fn numbers_are_spelled_as_in_java() {
        for (number, text) in [
            (0.625, "0.625"),
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (100.0, "100.0"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (1.25e-10, "1.25E-10"),
            (1e-10, "1.0E-10"),
            (0.001, "0.001"),
            (-12.5, "-12.5"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
            (f64::MIN_POSITIVE, "2.2250738585072014E-308"),
        ] {
            assert_eq!(double(number), text);
        }
        assert_eq!(single(0.1), "0.1");
        assert_eq!(single(f32::MAX), "3.4028235E38");
    }
}
