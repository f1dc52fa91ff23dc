//! Code blocks: the bits of coefficients, plane by plane, become decisions for the MQ coder (ISO/IEC 15444-1 Annex D).

use super::context::{HIGH_HIGH, HIGH_LOW, LOW, SIGNS};
use super::mq::{Encoder, RUN_LENGTH, UNIFORM};

/// What a band holds: horizontally and vertically low or high.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Band {
    /// Low both ways.
    LowLow,
    /// High across, low down.
    HighLow,
    /// Low across, high down.
    LowHigh,
    /// High both ways.
    HighHigh,
}

/// A coded block.
#[derive(Debug)]
pub(super) struct Coded {
    /// Bit planes, from the first on that is not empty.
    pub(super) planes: u32,
    /// The code.
    pub(super) bytes: Vec<u8>,
}

impl Coded {
    /// Coding passes: one of the first plane, three of every other.
    pub(super) fn passes(&self) -> u32 {
        (3 * self.planes).saturating_sub(2)
    }
}

// What is known of a coefficient: which of its neighbours are significant, which of the nearest are negative, and itself.
pub(super) const NORTH: u16 = 1;
pub(super) const SOUTH: u16 = 1 << 1;
pub(super) const WEST: u16 = 1 << 2;
pub(super) const EAST: u16 = 1 << 3;
pub(super) const NORTH_WEST: u16 = 1 << 4;
pub(super) const NORTH_EAST: u16 = 1 << 5;
pub(super) const SOUTH_WEST: u16 = 1 << 6;
pub(super) const SOUTH_EAST: u16 = 1 << 7;
const NEIGHBORS: u16 = 0xFF;
/// The nearest, and their signs that many bits higher.
const NEAREST: u16 = NORTH | SOUTH | WEST | EAST;
const SIGN_SHIFT: u32 = 8;
const SIGNIFICANT: u16 = 1 << 12;
const REFINED: u16 = 1 << 13;
const VISITED: u16 = 1 << 14;

/// Rows of a stripe (D.1).
const STRIPE: usize = 4;

/// A block at work.
struct Block {
    width: usize,
    height: usize,
    values: Vec<i32>,
    /// One a coefficient, with a border of one around, so that every neighbour has a place.
    flags: Vec<u16>,
    significance: &'static [u8; 256],
    coder: Encoder,
}

/// Codes a block of `width` columns.
pub(super) fn encode(values: Vec<i32>, width: usize, band: Band) -> Coded {
    let most = values.iter().map(|it| it.unsigned_abs()).max().unwrap_or(0);
    let planes = u32::BITS - most.leading_zeros();
    if planes == 0 {
        return Coded {
            planes,
            bytes: Vec::new(),
        };
    }
    let height = values.len() / width;
    let mut block = Block {
        width,
        height,
        values,
        flags: vec![0; (width + 2) * (height + 2)],
        significance: match band {
            Band::LowLow | Band::LowHigh => &LOW,
            Band::HighLow => &HIGH_LOW,
            Band::HighHigh => &HIGH_HIGH,
        },
        coder: Encoder::new(),
    };
    for plane in (0..planes).rev() {
        if plane + 1 < planes {
            block.propagate(plane);
            block.refine(plane);
        }
        block.clean_up(plane);
    }
    let bytes = block.coder.finish();
    Coded { planes, bytes }
}

impl Block {
    /// The place of a coefficient's flags.
    fn place(&self, x: usize, y: usize) -> usize {
        (y + 1) * (self.width + 2) + x + 1
    }

    fn bit(&self, x: usize, y: usize, plane: u32) -> u32 {
        (self.values[y * self.width + x].unsigned_abs() >> plane) & 1
    }

    /// Every column of every stripe: its column, its first row and the row behind its last.
    fn columns(&self) -> impl Iterator<Item = (usize, usize, usize)> + use<> {
        let (width, height) = (self.width, self.height);
        (0..height).step_by(STRIPE).flat_map(move |top| {
            let bottom = (top + STRIPE).min(height);
            (0..width).map(move |x| (x, top, bottom))
        })
    }

    /// The significance propagation pass (D.3.1): what has significant neighbours.
    fn propagate(&mut self, plane: u32) {
        for (x, top, bottom) in self.columns() {
            for y in top..bottom {
                let at = self.place(x, y);
                let flags = self.flags[at];
                if flags & SIGNIFICANT == 0 && flags & NEIGHBORS != 0 {
                    self.significance(x, y, plane);
                    self.flags[at] |= VISITED;
                }
            }
        }
    }

    /// The magnitude refinement pass (D.3.3): what was significant before this plane.
    fn refine(&mut self, plane: u32) {
        for (x, top, bottom) in self.columns() {
            for y in top..bottom {
                let at = self.place(x, y);
                let flags = self.flags[at];
                if flags & (SIGNIFICANT | VISITED) != SIGNIFICANT {
                    continue;
                }
                // Table D.4.
                let context = if flags & REFINED != 0 {
                    16
                } else if flags & NEIGHBORS != 0 {
                    15
                } else {
                    14
                };
                let bit = self.bit(x, y, plane);
                self.coder.encode(context, bit);
                self.flags[at] |= REFINED;
            }
        }
    }

    /// The cleanup pass (D.3.4): what is left, whole columns of a stripe at once where nothing is known of them.
    fn clean_up(&mut self, plane: u32) {
        for (x, top, bottom) in self.columns() {
            let is_untouched = |y| {
                let flags = self.flags[self.place(x, y)];
                flags & (SIGNIFICANT | VISITED | NEIGHBORS) == 0
            };
            let is_run = bottom - top == STRIPE && (top..bottom).all(is_untouched);
            let mut from = top;
            if is_run {
                let first = (top..bottom).find(|y| self.bit(x, *y, plane) == 1);
                self.coder.encode(RUN_LENGTH, u32::from(first.is_some()));
                let Some(first) = first else { continue };
                let skipped = first - top;
                self.coder.encode(UNIFORM, u32::from(skipped & 2 != 0));
                self.coder.encode(UNIFORM, u32::from(skipped & 1 != 0));
                self.become_significant(x, first);
                from = first + 1;
            }
            for y in from..bottom {
                if self.flags[self.place(x, y)] & (SIGNIFICANT | VISITED) == 0 {
                    self.significance(x, y, plane);
                }
            }
            for y in top..bottom {
                let at = self.place(x, y);
                self.flags[at] &= !VISITED;
            }
        }
    }

    /// Codes whether a coefficient becomes significant.
    fn significance(&mut self, x: usize, y: usize, plane: u32) {
        let flags = self.flags[self.place(x, y)];
        let context = self.significance[usize::from(flags & NEIGHBORS)];
        let bit = self.bit(x, y, plane);
        self.coder.encode(usize::from(context), bit);
        if bit == 1 {
            self.become_significant(x, y);
        }
    }

    /// Codes the sign (D.3.2), and tells the neighbours.
    fn become_significant(&mut self, x: usize, y: usize) {
        let at = self.place(x, y);
        let is_negative = self.values[y * self.width + x] < 0;
        let flags = self.flags[at];
        let nearest = (flags & NEAREST) | ((flags >> SIGN_SHIFT & NEAREST) << 4);
        let (context, is_flipped) = SIGNS[usize::from(nearest)];
        let bit = u32::from(is_negative != is_flipped);
        self.coder.encode(usize::from(context), bit);
        self.flags[at] |= SIGNIFICANT;
        let row = self.width + 2;
        let mut tell = |neighbor: usize, flag: u16| {
            self.flags[neighbor] |= flag;
            if is_negative {
                self.flags[neighbor] |= (flag & NEAREST) << SIGN_SHIFT;
            }
        };
        tell(at - row - 1, SOUTH_EAST);
        tell(at - row, SOUTH);
        tell(at - row + 1, SOUTH_WEST);
        tell(at - 1, EAST);
        tell(at + 1, WEST);
        tell(at + row - 1, NORTH_EAST);
        tell(at + row, NORTH);
        tell(at + row + 1, NORTH_WEST);
    }
}
