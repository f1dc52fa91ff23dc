//! Which context a decision belongs to, by what is known of the neighbours (ISO/IEC 15444-1 D.3.1 and D.3.2); tables over the
//! flags of `block`.

use super::block::{
    Band, EAST, NORTH, NORTH_EAST, NORTH_WEST, SOUTH, SOUTH_EAST, SOUTH_WEST, WEST,
};

/// Contexts of significance by the eight neighbours, in bands that are low across.
pub(super) static LOW: [u8; 256] = significances(Band::LowHigh);
/// The same in bands that are high across and low down.
pub(super) static HIGH_LOW: [u8; 256] = significances(Band::HighLow);
/// The same in bands that are high both ways.
pub(super) static HIGH_HIGH: [u8; 256] = significances(Band::HighHigh);
/// Contexts of signs, and whether the sign is turned around: by the four nearest neighbours, and their signs four bits higher.
pub(super) static SIGNS: [(u8, bool); 256] = signs();

const fn significances(band: Band) -> [u8; 256] {
    let mut contexts = [0; 256];
    let mut flags = 0_u16;
    while flags < 256 {
        let across = (flags & (WEST | EAST)).count_ones();
        let down = (flags & (NORTH | SOUTH)).count_ones();
        let diagonal = flags & (NORTH_WEST | NORTH_EAST | SOUTH_WEST | SOUTH_EAST);
        contexts[flags as usize] = significance(band, across, down, diagonal.count_ones());
        flags += 1;
    }
    contexts
}

/// Table D.1.
const fn significance(band: Band, across: u32, down: u32, diagonal: u32) -> u8 {
    let (first, second) = match band {
        Band::LowLow | Band::LowHigh => (across, down),
        Band::HighLow => (down, across),
        Band::HighHigh => {
            return match (diagonal, across + down) {
                (0, 0) => 0,
                (0, 1) => 1,
                (0, _) => 2,
                (1, 0) => 3,
                (1, 1) => 4,
                (1, _) => 5,
                (2, 0) => 6,
                (2, _) => 7,
                _ => 8,
            };
        }
    };
    match (first, second, diagonal) {
        (0, 0, 0) => 0,
        (0, 0, 1) => 1,
        (0, 0, _) => 2,
        (0, 1, _) => 3,
        (0, _, _) => 4,
        (1, 0, 0) => 5,
        (1, 0, _) => 6,
        (1, _, _) => 7,
        _ => 8,
    }
}

const fn signs() -> [(u8, bool); 256] {
    let mut contexts = [(0, false); 256];
    let mut flags = 0_u16;
    while flags < 256 {
        let across = contribution(flags, WEST) + contribution(flags, EAST);
        let down = contribution(flags, NORTH) + contribution(flags, SOUTH);
        contexts[flags as usize] = sign(across.signum(), down.signum());
        flags += 1;
    }
    contexts
}

/// Table D.2.
const fn contribution(flags: u16, neighbor: u16) -> i32 {
    if flags & neighbor == 0 {
        0
    } else if flags & (neighbor << 4) == 0 {
        1
    } else {
        -1
    }
}

/// Table D.3.
const fn sign(across: i32, down: i32) -> (u8, bool) {
    match (across, down) {
        (1, 1) => (13, false),
        (1, 0) => (12, false),
        (1, _) => (11, false),
        (0, 1) => (10, false),
        (0, 0) => (9, false),
        (0, _) => (10, true),
        (_, 1) => (11, true),
        (_, 0) => (12, true),
        (_, _) => (13, true),
    }
}
