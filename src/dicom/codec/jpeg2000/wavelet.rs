//! The reversible 5/3 wavelet, forwards (ISO/IEC 15444-1 Annex F), and the reversible transform of colours (G.2).

/// Red, green and blue become luminance and two differences (Equations G-1 to G-3).
pub(super) fn transform_colors(red: &mut [i32], green: &mut [i32], blue: &mut [i32]) {
    for ((red, green), blue) in red.iter_mut().zip(green).zip(blue) {
        let (r, g, b) = (*red, *green, *blue);
        *red = (r + 2 * g + b) >> 2;
        *green = b - g;
        *blue = r - g;
    }
}

/// Parts a plane `width` wide `levels` times into its four bands, in place: of each level the low ones are left and above
/// (Figure F.24, `2D_SD`).
pub(super) fn transform(plane: &mut [i32], width: usize, height: usize, levels: u8) {
    let (mut across, mut down) = (width, height);
    let mut row = vec![0; width];
    for _ in 0..levels {
        columns(plane, width, across, down);
        for line in plane.chunks_exact_mut(width).take(down) {
            part(&mut line[..across], &mut row);
        }
        (across, down) = (across.div_ceil(2), down.div_ceil(2));
    }
}

/// One row: lifted (Equations F-9 and F-10, the ends mirrored), then the even samples before the odd ones.
fn part(line: &mut [i32], row: &mut [i32]) {
    let len = line.len();
    if len < 2 {
        return;
    }
    let even = len.div_ceil(2);
    let (low, high) = row[..len].split_at_mut(even);
    for (at, high) in high.iter_mut().enumerate() {
        let left = line[2 * at];
        let right = line.get(2 * at + 2).copied().unwrap_or(left);
        *high = line[2 * at + 1] - ((left + right) >> 1);
    }
    for (at, low) in low.iter_mut().enumerate() {
        let right = high.get(at).or(high.last()).copied().unwrap_or(0);
        let left = if at == 0 { right } else { high[at - 1] };
        *low = line[2 * at] + ((left + right + 2) >> 2);
    }
    line.copy_from_slice(&row[..len]);
}

/// The same down the columns, all of them at once, row by row.
fn columns(plane: &mut [i32], width: usize, across: usize, down: usize) {
    if down < 2 {
        return;
    }
    let even = down.div_ceil(2);
    let row = |plane: &[i32], at: usize| plane[at * width..at * width + across].to_vec();
    let mut high: Vec<Vec<i32>> = (0..down / 2).map(|at| row(plane, 2 * at + 1)).collect();
    for (at, high) in high.iter_mut().enumerate() {
        let above = &plane[2 * at * width..][..across];
        let below = 2 * at + 2;
        let below = if below < down { below } else { 2 * at };
        let below = &plane[below * width..][..across];
        for ((high, above), below) in high.iter_mut().zip(above).zip(below) {
            *high -= (above + below) >> 1;
        }
    }
    for at in 0..even {
        // Row 2·at goes to where row at was, which is either itself or has been taken from already.
        let source = 2 * at * width;
        plane.copy_within(source..source + across, at * width);
        let below = &high[at.min(high.len() - 1)];
        let above = if at == 0 { below } else { &high[at - 1] };
        let low = plane[at * width..].iter_mut();
        for ((low, above), below) in low.zip(above).zip(below) {
            *low += (above + below + 2) >> 2;
        }
    }
    for (at, high) in high.iter().enumerate() {
        plane[(even + at) * width..][..across].copy_from_slice(high);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Even samples become means of what is about them, odd ones what differs; both by hand from F-9 and F-10.
    #[test]
    fn a_row_becomes_low_and_high() {
        let mut plane = [10, 12, 14, 20, 10];
        transform(&mut plane, 5, 1, 1);
        // High: 12 - (10 + 14) / 2 = 0, 20 - (14 + 10) / 2 = 8. Low: 10 + (0 + 0 + 2) / 4, 14 + (0 + 8 + 2) / 4, 10 + (8 + 8 + 2) / 4.
        assert_eq!(plane, [10, 16, 14, 0, 8]);
        let mut column = [10, 12, 14, 20, 10];
        transform(&mut column, 1, 5, 1);
        assert_eq!(column, plane);
    }

    #[test]
    fn grey_has_no_differences() {
        let (mut red, mut green, mut blue) = ([7, 1], [7, 2], [7, 4]);
        transform_colors(&mut red, &mut green, &mut blue);
        assert_eq!((red, green, blue), ([7, 2], [0, 2], [0, -1]));
    }
}
