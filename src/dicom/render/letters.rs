//! Letters on pictures, of GNU Unifont: sixteen dots high, eight or sixteen wide, of every script that a report may hold, kanji
//! included; larger on large pictures.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use super::picture::Picture;

/// The height of a letter in dots.
const HEIGHT: i64 = 16;
/// On a picture of at most so many pixels, down or across, a dot is a pixel; on one twice as large, two.
const PIXELS_PER_DOT: u32 = 800;
/// The most letters of a text that are drawn.
const MAX_LETTERS: usize = 2000;
/// Stands for a letter that there is no shape for.
const REPLACEMENT: char = '\u{FFFD}';

/// The shape of a letter: sixteen rows, the first dot in the highest of its bits, and how many of them there are.
fn shape(letter: char) -> ([u16; 16], i64) {
    let glyph = unifont::get_glyph(letter).or_else(|| unifont::get_glyph(REPLACEMENT));
    match glyph {
        Some(unifont::Glyph::Halfwidth(rows)) => (rows.map(|row| u16::from(row) << 8), 8),
        Some(unifont::Glyph::Fullwidth(rows)) => (*rows, 16),
        None => ([0; 16], 8),
    }
}

/// How a line stands in its box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Justification {
    /// From the left edge on.
    Left,
    /// In the middle.
    Center,
    /// Up to the right edge.
    Right,
}

/// A text and where it stands: its lines down from `top`, each between `left` and `right`.
#[derive(Clone, Debug)]
pub(super) struct Text<'a> {
    pub(super) lines: &'a str,
    pub(super) left: i64,
    pub(super) right: i64,
    pub(super) top: i64,
    pub(super) justification: Justification,
}

impl Text<'_> {
    /// Writes it.
    pub(super) fn write(&self, picture: &mut Picture, color: [u8; 3]) {
        let shorter = picture.width.min(picture.height);
        let dot = i64::from(shorter.div_ceil(PIXELS_PER_DOT).max(1));
        let mut left_over = MAX_LETTERS;
        for (number, line) in (0_i64..).zip(self.lines.lines()) {
            let letters = line.chars().filter(|letter| !letter.is_control());
            let shapes: Vec<_> = letters.take(left_over).map(shape).collect();
            left_over = left_over.saturating_sub(shapes.len().max(1));
            let width = shapes.iter().map(|(_, width)| width.saturating_mul(dot));
            let width = width.fold(0, i64::saturating_add);
            let room = self.right.saturating_sub(self.left).saturating_sub(width);
            let indent = match self.justification {
                Justification::Left => 0,
                Justification::Center => room.max(0).checked_div(2).unwrap_or(0),
                Justification::Right => room.max(0),
            };
            let down = number.saturating_mul(HEIGHT).saturating_mul(dot);
            let y = self.top.saturating_add(down);
            let mut x = self.left.saturating_add(indent);
            for (rows, width) in shapes {
                put(picture, rows, (x, y), dot, color);
                x = x.saturating_add(width.saturating_mul(dot));
            }
        }
    }
}

fn put(picture: &mut Picture, rows: [u16; 16], (x, y): (i64, i64), dot: i64, color: [u8; 3]) {
    for (row, bits) in (0_i64..).zip(rows) {
        for column in (0_i64..16).filter(|column| bits << column & 0x8000 != 0) {
            let (left, top) = (column.saturating_mul(dot), row.saturating_mul(dot));
            let (left, top) = (x.saturating_add(left), y.saturating_add(top));
            for (across, down) in (0..dot).flat_map(|down| (0..dot).map(move |it| (it, down))) {
                picture.paint(left.saturating_add(across), top.saturating_add(down), color);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(lines: &str, justification: Justification) -> Vec<String> {
        let mut picture = Picture::filled(20, 16, [0; 3]);
        let text = Text {
            lines,
            left: 0,
            right: 20,
            top: 0,
            justification,
        };
        text.write(&mut picture, [255; 3]);
        let dots = |row: &[u8]| {
            let dots = row.chunks(3).map(|it| if it[0] == 0 { ' ' } else { '#' });
            dots.collect()
        };
        picture.samples.chunks(60).map(dots).collect()
    }

    #[test]
    fn letters_have_shapes_and_places() {
        let foot = rows("L", Justification::Left);
        let at = foot.iter().rposition(|row| !row.trim().is_empty()).unwrap();
        assert_eq!(foot[at].trim_end(), " ######");
        assert!(foot.iter().all(|row| row[8..].trim().is_empty()));
        assert_eq!(&rows("L", Justification::Right)[at][12..], &foot[at][..8]);
        assert_eq!(&rows("L", Justification::Center)[at][6..14], &foot[at][..8]);
        // Kanji are wide; what has no shape has that of all such; what is no letter has none.
        let wide = rows("山", Justification::Left);
        assert!(wide.iter().any(|row| !row[8..16].trim().is_empty()));
        assert_eq!(
            rows("\u{10FFFD}", Justification::Left),
            rows("\u{FFFD}", Justification::Left)
        );
        let nothing = rows("\u{7}", Justification::Left);
        assert!(nothing.iter().all(|row| row.trim().is_empty()));
    }
}
