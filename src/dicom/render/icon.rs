//! Symbols for what has no picture of its own: fixed ones, a category each (G15).

use super::picture::Picture;
use super::real::size;

/// What a symbol stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icon {
    /// An image that no picture can be made of.
    Image,
    /// A video.
    Video,
    /// A structured report, or a key object selection.
    Report,
    /// An encapsulated document.
    Document,
    /// A waveform.
    Waveform,
    /// Radiotherapy: plans, records.
    Radiotherapy,
    /// A presentation state.
    Presentation,
    /// Anything else.
    Other,
}

const BACKGROUND: [u8; 3] = [32, 36, 44];
const SYMBOL: [u8; 3] = [200, 206, 216];

/// Cells of a side.
const CELLS: usize = 16;

/// The symbols, `#` for what is light.
#[rustfmt::skip]
static CELLS_OF: [(Icon, [&str; CELLS]); 8] = [
    (Icon::Image, [
        "................",
        "................",
        ".##############.",
        ".#............#.",
        ".#..##........#.",
        ".#..##...#....#.",
        ".#......###...#.",
        ".#.....#####..#.",
        ".#..#.#######.#.",
        ".#.##########.#.",
        ".#############..",
        ".##############.",
        ".##############.",
        "................",
        "................",
        "................",
    ]),
    (Icon::Video, [
        "................",
        "................",
        ".##############.",
        ".#............#.",
        ".#...##.......#.",
        ".#...####.....#.",
        ".#...######...#.",
        ".#...########.#.",
        ".#...########.#.",
        ".#...######...#.",
        ".#...####.....#.",
        ".#...##.......#.",
        ".#............#.",
        ".##############.",
        "................",
        "................",
    ]),
    (Icon::Report, [
        "................",
        "..############..",
        "..#..........#..",
        "..#.########.#..",
        "..#..........#..",
        "..#.######...#..",
        "..#..........#..",
        "..#.########.#..",
        "..#..........#..",
        "..#.#####....#..",
        "..#..........#..",
        "..#.########.#..",
        "..#..........#..",
        "..#..........#..",
        "..############..",
        "................",
    ]),
    (Icon::Document, [
        "................",
        "..#########.....",
        "..#.......##....",
        "..#.......###...",
        "..#.......####..",
        "..#..........#..",
        "..#..######..#..",
        "..#..######..#..",
        "..#..######..#..",
        "..#..........#..",
        "..#..######..#..",
        "..#..........#..",
        "..#..####....#..",
        "..#..........#..",
        "..############..",
        "................",
    ]),
    (Icon::Waveform, [
        "................",
        "................",
        "......#.........",
        "......#.........",
        "......##........",
        "......##........",
        ".....#.#........",
        ".....#.#....#...",
        "####.#.#...#.#..",
        "....##.#..#...##",
        "....#..#.#......",
        ".......#.#......",
        ".......##.......",
        "........#.......",
        "................",
        "................",
    ]),
    (Icon::Radiotherapy, [
        ".......##.......",
        ".......##.......",
        ".....######.....",
        "...##..##..##...",
        "..#....##....#..",
        "..#....##....#..",
        ".#............#.",
        "#####..##..#####",
        "#####..##..#####",
        ".#............#.",
        "..#....##....#..",
        "..#....##....#..",
        "...##..##..##...",
        ".....######.....",
        ".......##.......",
        ".......##.......",
    ]),
    (Icon::Presentation, [
        "................",
        "................",
        ".##############.",
        ".#......#######.",
        ".#......#######.",
        ".#....###..####.",
        ".#...##.....###.",
        ".#...#......###.",
        ".#...#......###.",
        ".#...##.....###.",
        ".#....###..####.",
        ".#......#######.",
        ".#......#######.",
        ".##############.",
        "................",
        "................",
    ]),
    (Icon::Other, [
        "................",
        "................",
        ".......##.......",
        ".....##..##.....",
        "...##......##...",
        "..#..........#..",
        "..###......###..",
        "..#..##..##..#..",
        "..#....##....#..",
        "..#....##....#..",
        "..#....##....#..",
        "..##...##...##..",
        "....##.##.##....",
        "......####......",
        "................",
        "................",
    ]),
];

impl Icon {
    /// The symbol in a square of this side.
    pub fn picture(self, side: u32) -> Picture {
        let mut picture = Picture::filled(side, side, BACKGROUND);
        let cells = self.cells();
        for y in 0..side {
            for x in 0..side {
                let cell = |at: u32| size(at) * CELLS / size(side);
                if cells[cell(y)].as_bytes()[cell(x)] == b'#' {
                    picture.paint(x.into(), y.into(), SYMBOL);
                }
            }
        }
        picture
    }

    fn cells(self) -> &'static [&'static str; CELLS] {
        let found = CELLS_OF.iter().find(|(icon, _)| *icon == self);
        found.map_or(&CELLS_OF[0].1, |(_, cells)| cells)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g15_every_symbol_is_a_square_with_something_in_it() {
        use Icon::{Document, Image, Other, Presentation, Radiotherapy, Report, Video, Waveform};
        for icon in [
            Document,
            Image,
            Other,
            Presentation,
            Radiotherapy,
            Report,
            Video,
            Waveform,
        ] {
            assert!(
                icon.cells().iter().all(|row| row.len() == CELLS),
                "{icon:?}"
            );
            for side in [1, 7, 16, 128] {
                let picture = icon.picture(side);
                assert_eq!((picture.width, picture.height), (side, side));
            }
            assert!(icon.picture(64).samples.contains(&SYMBOL[0]), "{icon:?}");
        }
    }
}
