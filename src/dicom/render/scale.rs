//! A picture brought to the size that is asked for: cut out, fitted, turned over, pixels made square (G04, G12).
//!
//! Resampled by a triangle as wide as a pixel of the result or of the source, whichever is larger: between pixels when it
//! grows, the mean of all that fall into one when it shrinks.

use super::picture::Picture;
use super::real::{byte, index, real, size, whole};
use super::wish::Viewport;

/// The longest side of a picture (dicomweb.md section 17).
pub const MAX_SIDE: u32 = 8192;

/// What of a picture is shown, how large, and which way round.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Plan {
    /// Left, top, width and height of the part that is shown, in pixels of the source.
    part: [f64; 4],
    width: u32,
    height: u32,
    flips: (bool, bool),
}

/// The picture as the viewport wants it; `aspect` is the height of a pixel by its width.
pub(super) fn show(picture: Picture, aspect: f64, viewport: Option<&Viewport>) -> Picture {
    let Some(plan) = plan(&picture, aspect, viewport) else {
        return picture;
    };
    let mut shown = resample(&picture, &plan);
    flip(&mut shown, plan.flips);
    shown
}

/// The part of a picture from left and top, so wide and so high; the whole one where nothing of it is left.
pub(super) fn cut(picture: Picture, [left, top, width, height]: [f64; 4]) -> Picture {
    let channels = picture.channels();
    let (columns, rows) = (size(picture.width), size(picture.height));
    let span = |from: f64, len: f64, most: usize| {
        let first = index(from).min(most);
        first..index(from + len).clamp(first, most)
    };
    let (across, down) = (span(left, width, columns), span(top, height, rows));
    if across.is_empty() || down.is_empty() || across.len() == columns && down.len() == rows {
        return picture;
    }
    let row = |y: usize| {
        let start = (y * columns + across.start) * channels;
        &picture.samples[start..start + across.len() * channels]
    };
    Picture {
        width: whole(real(across.len())),
        height: whole(real(down.len())),
        is_color: picture.is_color,
        samples: down.clone().flat_map(row).copied().collect(),
    }
}

/// `None` where the picture stays as it is.
fn plan(picture: &Picture, aspect: f64, viewport: Option<&Viewport>) -> Option<Plan> {
    let (width, height) = (f64::from(picture.width), f64::from(picture.height));
    let part = viewport.map_or([0.0, 0.0, width, height], |it| it.part(width, height));
    let [_, _, part_width, part_height] = part;
    // The size with square pixels, enlarged on one side, so that none is lost.
    let (square_width, square_height) = if aspect >= 1.0 {
        (part_width, part_height * aspect)
    } else {
        (part_width / aspect, part_height)
    };
    let most = f64::from(MAX_SIDE);
    let scale = match viewport.and_then(|it| it.size) {
        Some((wide, high)) => (f64::from(wide) / square_width).min(f64::from(high) / square_height),
        None => (most / square_width).min(most / square_height).min(1.0),
    };
    let side = |length: f64| whole((length * scale).round().clamp(1.0, most));
    let plan = Plan {
        part,
        width: side(square_width),
        height: side(square_height),
        flips: viewport.map_or((false, false), |it| it.flips),
    };
    let is_whole = part_width >= width && part_height >= height;
    let stays = is_whole
        && (plan.width, plan.height) == (picture.width, picture.height)
        && plan.flips == (false, false);
    (!stays).then_some(plan)
}

/// The source pixels that make one pixel of the result: the first one, and their weights.
struct Share {
    first: usize,
    weights: Vec<f64>,
}

/// The shares of `count` pixels that cover `span` source pixels from `start` on, of `len` there are.
fn shares(start: f64, span: f64, count: u32, len: u32) -> Vec<Share> {
    let step = span / f64::from(count);
    let reach = step.max(1.0);
    let share = |at: u32| {
        let middle = start + (f64::from(at) + 0.5) * step;
        let first = index((middle - reach + 0.5).max(0.0)).min(size(len) - 1);
        let end = index(middle + reach + 0.5).clamp(first + 1, size(len));
        let weight = |source: usize| {
            let away = (real(source) + 0.5 - middle) / reach;
            (1.0 - away.abs()).max(0.0)
        };
        let mut weights: Vec<f64> = (first..end).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        if sum > 0.0 {
            for weight in &mut weights {
                *weight /= sum;
            }
        } else {
            // Beyond the edge there is nothing but the edge.
            weights = vec![1.0];
        }
        Share { first, weights }
    };
    (0..count).map(share).collect()
}

fn resample(picture: &Picture, plan: &Plan) -> Picture {
    let [left, top, part_width, part_height] = plan.part;
    let channels = picture.channels();
    let across = shares(left, part_width, plan.width, picture.width);
    let down = shares(top, part_height, plan.height, picture.height);
    let row_len = size(picture.width) * channels;
    // Rows first, and only those that are needed; then columns.
    let first_row = down.first().map_or(0, |share| share.first);
    let last_row = down
        .last()
        .map_or(0, |share| share.first + share.weights.len());
    let mut narrow = Vec::with_capacity((last_row - first_row) * across.len() * channels);
    for row in picture
        .samples
        .chunks_exact(row_len)
        .take(last_row)
        .skip(first_row)
    {
        for share in &across {
            for channel in 0..channels {
                let source = row[share.first * channels + channel..].iter();
                let source = source.step_by(channels).zip(&share.weights);
                let sum: f64 = source.map(|(s, weight)| f64::from(*s) * weight).sum();
                narrow.push(byte(sum));
            }
        }
    }
    let narrow_len = across.len() * channels;
    let mut samples = Vec::with_capacity(down.len() * narrow_len);
    let mut sums = vec![0.0; narrow_len];
    for share in &down {
        sums.fill(0.0);
        for (row, weight) in (share.first..).zip(&share.weights) {
            let from = (row - first_row) * narrow_len;
            for (sum, sample) in sums.iter_mut().zip(&narrow[from..from + narrow_len]) {
                *sum += f64::from(*sample) * weight;
            }
        }
        samples.extend(sums.iter().map(|sum| byte(*sum)));
    }
    Picture {
        width: plan.width,
        height: plan.height,
        is_color: picture.is_color,
        samples,
    }
}

/// Turns a picture over, across and down.
pub(super) fn flip(picture: &mut Picture, (across, down): (bool, bool)) {
    let channels = picture.channels();
    let row_len = size(picture.width) * channels;
    if across {
        for row in picture.samples.chunks_exact_mut(row_len) {
            let turned: Vec<u8> = row
                .chunks_exact(channels)
                .rev()
                .flatten()
                .copied()
                .collect();
            row.copy_from_slice(&turned);
        }
    }
    if down {
        let rows = picture.samples.chunks_exact(row_len).rev();
        picture.samples = rows.flatten().copied().collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(width: u32, height: u32, samples: &[u8]) -> Picture {
        Picture {
            width,
            height,
            is_color: false,
            samples: samples.to_vec(),
        }
    }

    fn check(picture: &Picture, aspect: f64, viewport: Option<&str>, expected: &Picture) {
        let viewport = viewport.map(|text| Viewport::parse(text).unwrap());
        let shown = show(picture.clone(), aspect, viewport.as_ref());
        assert_eq!(&shown, expected, "{viewport:?}");
    }

    #[test]
    fn g04_a_picture_fits_inside_with_its_shape() {
        let flat = Picture::filled(40, 20, [9, 8, 7]);
        for (viewport, width, height) in [
            ("20,20", 20, 10),
            ("400,100", 200, 100),
            ("1,1", 1, 1),
            ("40,20", 40, 20),
            ("30,30,0,0,10,10", 30, 30),
            ("10,10,,,20,20", 10, 10),
            ("16,8,20,10,,", 16, 8),
        ] {
            let expected = Picture::filled(width, height, [9, 8, 7]);
            check(&flat, 1.0, Some(viewport), &expected);
        }
    }

    #[test]
    fn g04_a_part_is_cut_out_and_negative_sizes_turn_it_over() {
        let picture = grey(3, 2, &[1, 2, 3, 4, 5, 6]);
        check(&picture, 1.0, Some("2,1,1,1,2,1"), &grey(2, 1, &[5, 6]));
        check(
            &picture,
            1.0,
            Some("3,2,,,-3,2"),
            &grey(3, 2, &[3, 2, 1, 6, 5, 4]),
        );
        check(
            &picture,
            1.0,
            Some("3,2,,,3,-2"),
            &grey(3, 2, &[4, 5, 6, 1, 2, 3]),
        );
        check(
            &picture,
            1.0,
            Some("3,2,0,0,-3,-2"),
            &grey(3, 2, &[6, 5, 4, 3, 2, 1]),
        );
    }

    #[test]
    fn g04_shrinking_takes_the_mean_and_growing_goes_between() {
        let picture = grey(4, 1, &[0, 100, 100, 200]);
        check(&picture, 1.0, Some("1,1"), &grey(1, 1, &[100]));
        let two = grey(2, 1, &[0, 100]);
        check(
            &two,
            1.0,
            Some("4,2"),
            &grey(4, 2, &[0, 25, 75, 100, 0, 25, 75, 100]),
        );
    }

    #[test]
    fn g11_the_displayed_area_is_cut_out() {
        let picture = grey(3, 2, &[1, 2, 3, 4, 5, 6]);
        let area = |area: [f64; 4]| cut(picture.clone(), area);
        assert_eq!(area([1.0, 0.0, 2.0, 2.0]), grey(2, 2, &[2, 3, 5, 6]));
        assert_eq!(area([-5.0, 1.0, 99.0, 99.0]), grey(3, 1, &[4, 5, 6]));
        assert_eq!(area([9.0, 9.0, 1.0, 1.0]), picture);
    }

    #[test]
    fn g12_pixels_are_made_square() {
        let flat = Picture::filled(10, 10, [1; 3]);
        check(&flat, 2.0, None, &Picture::filled(10, 20, [1; 3]));
        check(&flat, 0.5, None, &Picture::filled(20, 10, [1; 3]));
        check(&flat, 2.0, Some("10,10"), &Picture::filled(5, 10, [1; 3]));
    }

    #[test]
    fn a_picture_beyond_the_limit_is_made_smaller() {
        let wide = Picture::filled(MAX_SIDE * 2, 4, [1; 3]);
        check(&wide, 1.0, None, &Picture::filled(MAX_SIDE, 2, [1; 3]));
    }
}
