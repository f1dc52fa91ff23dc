//! Between whole numbers and real ones: the conversions of the pipeline, each once, none of which can fail.

/// A value of 0 to 1 as a grey level of 0 to 255, rounded; what lies outside is cut off, what is no number is black.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "cut to 0 to 255 first; a cast from float saturates"
)]
pub(super) fn level(value: f64) -> u8 {
    (value * 255.0).round().clamp(0.0, 255.0) as u8
}

/// A value as a level as it is, rounded and cut off.
pub(super) fn byte(value: f64) -> u8 {
    level(value / 255.0)
}

/// The whole number below a value, none below 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast from float saturates: below 0 and no number are 0"
)]
pub(super) fn index(value: f64) -> usize {
    value.floor().max(0.0) as usize
}

/// The same in 32 bits.
pub(super) fn whole(value: f64) -> u32 {
    u32::try_from(index(value)).unwrap_or(u32::MAX)
}

/// A count as a real number; counts here are far below 2^52.
#[expect(
    clippy::cast_precision_loss,
    reason = "lengths of pictures and tables are far below 2^52"
)]
pub(super) fn real(count: usize) -> f64 {
    count as f64
}

/// A sample as a real number; beyond 2^53 the nearest one.
#[expect(
    clippy::cast_precision_loss,
    reason = "the nearest one is as near as a picture needs"
)]
pub(super) fn sample(value: i64) -> f64 {
    value as f64
}

/// A whole number of 32 bits as an index.
pub(super) fn size(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_bounds() {
        assert_eq!(
            [level(-1.0), level(0.5), level(2.0), level(f64::NAN)],
            [0, 128, 255, 0]
        );
        assert_eq!([byte(254.6), byte(1e300), byte(-3.0)], [255, 255, 0]);
        assert_eq!([index(-0.5), index(2.9), index(f64::NAN)], [0, 2, 0]);
        assert_eq!(whole(1e300), u32::MAX);
    }
}
