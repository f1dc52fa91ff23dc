//! Numbers of variable length (LEB128), as tables that the index keeps have them: seven bits a byte, the lowest first.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

/// Writes a number.
pub(super) fn put(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number = number.wrapping_shr(7);
        if number == 0 {
            return out.push(low & 0x7F);
        }
        out.push(low | 0x80);
    }
}

/// Takes a number off the front; `None` if it is cut off or beyond 64 bits.
pub(super) fn take(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        let bits = u64::from(byte & 0x7F);
        let placed = bits.wrapping_shl(shift);
        if placed.wrapping_shr(shift) != bits {
            return None;
        }
        number |= placed;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
