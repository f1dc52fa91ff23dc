//! Packets: which code blocks of a resolution are there, and how long each is (ISO/IEC 15444-1 B.10).

use super::block::Coded;

/// Code blocks of one band, row by row.
#[derive(Debug)]
pub(super) struct Blocks {
    /// In a row.
    pub(super) across: usize,
    /// Rows.
    pub(super) down: usize,
    /// The blocks.
    pub(super) coded: Vec<Coded>,
    /// The bit planes that there may be (`M_b`, Equation E-2).
    pub(super) planes: u32,
}

/// The packet of one resolution of one component: all there is of its blocks.
pub(super) fn write(bands: &[Blocks], out: &mut Vec<u8>) {
    let mut bits = Bits::default();
    let is_empty = bands.iter().all(|band| band.coded.is_empty());
    bits.put(!is_empty);
    for band in bands {
        header(band, &mut bits);
    }
    out.extend(bits.finish());
    for block in bands.iter().flat_map(|band| &band.coded) {
        out.extend(&block.bytes);
    }
}

fn header(band: &Blocks, bits: &mut Bits) {
    if band.coded.is_empty() {
        return;
    }
    // The one layer is number 0: what is not in it has a later one.
    let layer = |block: &Coded| u32::from(block.planes == 0);
    let empty = |block: &Coded| band.planes.saturating_sub(block.planes);
    let tree = |value: &dyn Fn(&Coded) -> u32| {
        TagTree::new(
            band.across,
            band.down,
            band.coded.iter().map(value).collect(),
        )
    };
    let (mut layers, mut empties) = (tree(&layer), tree(&empty));
    for (at, block) in band.coded.iter().enumerate() {
        let (x, y) = (at % band.across, at / band.across);
        layers.write(x, y, 1, bits);
        if block.planes == 0 {
            continue;
        }
        empties.write(x, y, empty(block) + 1, bits);
        passes(block.passes(), bits);
        length(block, bits);
    }
}

/// Table B.4.
fn passes(count: u32, bits: &mut Bits) {
    match count {
        0 | 1 => bits.number(0, 1),
        2 => bits.number(0b10, 2),
        3..=5 => bits.number(0b1100 | (count - 3), 4),
        6..=36 => bits.number(0b1111 << 5 | (count - 6), 9),
        _ => bits.number(0b1_1111_1111 << 7 | (count - 37), 16),
    }
}

/// The length in `Lblock` bits, which is 3 at first and grows, and those that the number of passes needs (B.10.7.1).
fn length(block: &Coded, bits: &mut Bits) {
    let len = u32::try_from(block.bytes.len()).unwrap_or(u32::MAX);
    let of_passes = block.passes().max(1).ilog2();
    let needed = u32::BITS - len.leading_zeros();
    let grown = needed.saturating_sub(3 + of_passes);
    for _ in 0..grown {
        bits.put(true);
    }
    bits.put(false);
    bits.number(len, 3 + grown + of_passes);
}

/// Bits of a header: behind a byte FF the next has seven (B.10.1).
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    byte: u8,
    used: u32,
}

impl Bits {
    fn put(&mut self, bit: bool) {
        self.byte = self.byte << 1 | u8::from(bit);
        self.used += 1;
        let room = if self.bytes.last() == Some(&0xFF) {
            7
        } else {
            8
        };
        if self.used == room {
            self.bytes.push(self.byte);
            (self.byte, self.used) = (0, 0);
        }
    }

    fn number(&mut self, number: u32, count: u32) {
        for at in (0..count).rev() {
            self.put(number >> at & 1 == 1);
        }
    }

    /// Fills the last byte; it is not FF.
    fn finish(mut self) -> Vec<u8> {
        while self.used != 0 || self.bytes.last() == Some(&0xFF) {
            self.put(false);
        }
        self.bytes
    }
}

/// Numbers of a grid, each told as far as it is needed, and together where neighbours share them (B.10.2).
struct TagTree {
    /// From the leaves to the root: how many there are across, and the nodes.
    levels: Vec<(usize, Vec<Node>)>,
}

#[derive(Clone, Copy)]
struct Node {
    /// The least value of what is below.
    value: u32,
    /// It is known to be at least so much.
    told: u32,
    is_known: bool,
}

impl TagTree {
    fn new(across: usize, down: usize, leaves: Vec<u32>) -> Self {
        let node = |value| Node {
            value,
            told: 0,
            is_known: false,
        };
        let mut levels = vec![(across, leaves.into_iter().map(node).collect::<Vec<_>>())];
        let (mut across, mut down) = (across, down);
        while across * down > 1 {
            let above = (across.div_ceil(2), down.div_ceil(2));
            let mut nodes = vec![node(u32::MAX); above.0 * above.1];
            if let Some((_, below)) = levels.last() {
                for (at, child) in below.iter().enumerate() {
                    let parent = &mut nodes[at / across / 2 * above.0 + at % across / 2];
                    parent.value = parent.value.min(child.value);
                }
            }
            levels.push((above.0, nodes));
            (across, down) = above;
        }
        Self { levels }
    }

    /// Tells whether the number at `x`, `y` is below `threshold`, and which it is if so.
    fn write(&mut self, x: usize, y: usize, threshold: u32, bits: &mut Bits) {
        let mut at_least = 0;
        for (depth, (across, nodes)) in self.levels.iter_mut().enumerate().rev() {
            let node = &mut nodes[(y >> depth) * *across + (x >> depth)];
            at_least = node.told.max(at_least);
            while at_least < threshold {
                if at_least >= node.value {
                    if !node.is_known {
                        bits.put(true);
                        node.is_known = true;
                    }
                    break;
                }
                bits.put(false);
                at_least += 1;
            }
            node.told = at_least;
        }
    }
}
