//! Palettes: a colour for a stored value (PS3.3 C.7.6.3.1.5 to C.7.6.3.1.6, C.7.9).

use super::head::Set;
use super::lut::Lut;
use super::real::level;
use crate::model::Tag;

/// Descriptor, data, and data in segments of red, green and blue.
const CHANNELS: [(Tag, Tag, Tag); 3] = [
    (
        Tag(0x0028, 0x1101),
        Tag(0x0028, 0x1201),
        Tag(0x0028, 0x1221),
    ),
    (
        Tag(0x0028, 0x1102),
        Tag(0x0028, 0x1202),
        Tag(0x0028, 0x1222),
    ),
    (
        Tag(0x0028, 0x1103),
        Tag(0x0028, 0x1203),
        Tag(0x0028, 0x1223),
    ),
];

/// Three tables.
#[derive(Clone, Debug)]
pub(super) struct Palette([Lut; 3]);

impl Palette {
    /// That of a data set.
    pub(super) fn of(set: &Set<'_>) -> Option<Self> {
        let channel = |(descriptor, data, segments)| {
            Lut::read(set, descriptor, data)
                .or_else(|| Lut::read_segmented(set, descriptor, segments))
                .map(Lut::into_color)
        };
        let [red, green, blue] = CHANNELS.map(channel);
        Some(Self([red?, green?, blue?]))
    }

    /// The colour of a value.
    pub(super) fn color(&self, value: f64) -> [u8; 3] {
        let Self(channels) = self;
        [0, 1, 2].map(|at: usize| level(channels[at].at(value) / channels[at].top()))
    }

    /// The colour of a shade, 0 to 1: its entries are spread over all shades.
    pub(super) fn color_of(&self, shade: f64) -> [u8; 3] {
        let Self(channels) = self;
        [0, 1, 2].map(|at: usize| level(channels[at].share(shade)))
    }

    /// The first value that has a colour of its own: in a supplemental palette grey ones lie below.
    pub(super) fn first(&self) -> f64 {
        self.0[0].first()
    }
}
