//! Scans into coefficients: sequential ones, and the four kinds of progressive ones, of one component or of several
//! (ISO/IEC 10918-1 annexes A.2, F.2 and G.2).

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use super::huffman::{Bits, Table};
use crate::dicom::codec::{CodecError, Result};

/// The coefficients of a block in zigzag order.
pub(super) type Block = [i32; 64];

/// The blocks of one component of a frame.
#[derive(Debug)]
pub(super) struct Plane {
    /// Its identifier.
    pub(super) id: u8,
    /// Blocks of it in a unit that components share, across and down: its sampling factors.
    pub(super) factors: (usize, usize),
    /// The number of its quantization table.
    pub(super) quantization: usize,
    /// Blocks that hold samples, across and down.
    pub(super) size: (usize, usize),
    /// Blocks in a row, those beyond the edge included.
    pub(super) stride: usize,
    /// The blocks.
    pub(super) blocks: Vec<Block>,
}

/// One component in a scan: its place in the frame, and the numbers of its tables.
#[derive(Clone, Copy, Debug)]
struct Part {
    component: usize,
    dc: usize,
    ac: usize,
}

/// What a scan header says (B.2.3).
#[derive(Clone, Debug)]
pub(super) struct Scan {
    parts: Vec<Part>,
    /// First and last coefficient.
    start: usize,
    end: usize,
    /// The bit that is sent; `refines` if an earlier scan sent higher ones.
    low: u8,
    refines: bool,
    is_progressive: bool,
}

/// The tables that hold when a scan begins.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) dc: [Option<Table>; 4],
    pub(super) ac: [Option<Table>; 4],
    /// Units between two restart markers; 0 for none.
    pub(super) restart_interval: usize,
}

impl Tables {
    /// Takes the tables of a DHT segment.
    pub(super) fn take(&mut self, mut body: &[u8]) -> Result<()> {
        while let [which, rest @ ..] = body {
            let (table, rest) = Table::parse(rest)?;
            let class = if which >> 4 == 0 {
                &mut self.dc
            } else {
                &mut self.ac
            };
            if let Some(slot) = class.get_mut(usize::from(which & 0x0F)) {
                *slot = Some(table);
            }
            body = rest;
        }
        Ok(())
    }
}

impl Scan {
    /// Reads a scan header of a frame of these components.
    pub(super) fn parse(body: &[u8], planes: &[Plane], is_progressive: bool) -> Result<Self> {
        let damaged = || CodecError::damaged("a scan header is none of this frame");
        let (count, body) = body.split_first().ok_or_else(damaged)?;
        let named = usize::from(*count).saturating_mul(2);
        let (named, rest) = body.split_at_checked(named).ok_or_else(damaged)?;
        let part = |pair: &[u8]| match *pair {
            [id, tables] => Some(Part {
                component: planes.iter().position(|plane| plane.id == id)?,
                dc: usize::from(tables >> 4),
                ac: usize::from(tables & 0x0F),
            }),
            _ => None,
        };
        // Grey frames may name their one component as they like.
        let part = |pair: &[u8]| match (planes, pair) {
            ([plane], [_, tables]) => part(&[plane.id, *tables]),
            _ => part(pair),
        };
        let parts: Option<Vec<Part>> = named.chunks_exact(2).map(part).collect();
        let parts = parts
            .filter(|parts| !parts.is_empty())
            .ok_or_else(damaged)?;
        let [start, end, approximation] = *rest else {
            return Err(damaged());
        };
        let (start, end) = if is_progressive {
            (start, end)
        } else {
            (0, 63)
        };
        if start > end || end > 63 || (is_progressive && start == 0 && end != 0) {
            return Err(CodecError::damaged("a scan has no such coefficients"));
        }
        if is_progressive && start > 0 && parts.len() > 1 {
            return Err(damaged());
        }
        Ok(Self {
            parts,
            start: usize::from(start),
            end: usize::from(end),
            low: if is_progressive {
                approximation & 0x0F
            } else {
                0
            },
            refines: is_progressive && approximation >> 4 != 0,
            is_progressive,
        })
    }

    /// Reads the scan into the blocks of a frame of so many shared units across and down.
    pub(super) fn read(
        &self,
        tables: &Tables,
        coded: &[u8],
        planes: &mut [Plane],
        (across, down): (usize, usize),
    ) -> Result<()> {
        let mut bits = Bits::of(coded);
        let mut states = vec![State::default(); self.parts.len()];
        // One component alone comes block by block, without those beyond the edge (A.2.2).
        let alone = match self.parts.as_slice() {
            [part] => planes.get(part.component).map(|plane| plane.size),
            _ => None,
        };
        let (across, down) = alone.unwrap_or((across, down));
        for number in 0..across.saturating_mul(down) {
            let is_restart = number.checked_rem(tables.restart_interval) == Some(0);
            let in_band = states.iter().any(|state| state.end_of_band > 0);
            if is_restart && number > 0 {
                bits.restart();
                states.fill_with(State::default);
            } else if bits.is_over() && !in_band {
                return Err(CodecError::damaged("it ends before its last block"));
            }
            let unit = (
                number.checked_rem(across).unwrap_or(0),
                number.checked_div(across).unwrap_or(0),
            );
            for (part, state) in self.parts.iter().zip(&mut states) {
                let plane = planes.get_mut(part.component).ok_or_else(missing)?;
                let factors = if alone.is_some() {
                    (1, 1)
                } else {
                    plane.factors
                };
                for inner in 0..factors.0.saturating_mul(factors.1) {
                    let (x, y) = (
                        inner.checked_rem(factors.0).unwrap_or(0),
                        inner.checked_div(factors.0).unwrap_or(0),
                    );
                    let x = unit.0.saturating_mul(factors.0).saturating_add(x);
                    let y = unit.1.saturating_mul(factors.1).saturating_add(y);
                    let at = y.saturating_mul(plane.stride).saturating_add(x);
                    let block = plane.blocks.get_mut(at).ok_or_else(missing)?;
                    self.block(*part, tables, &mut bits, state, block)?;
                }
            }
        }
        Ok(())
    }

    fn block(
        &self,
        part: Part,
        tables: &Tables,
        bits: &mut Bits<'_>,
        state: &mut State,
        block: &mut Block,
    ) -> Result<()> {
        if self.start == 0 {
            let table = tables.dc.get(part.dc).and_then(Option::as_ref);
            self.dc(table, bits, state, block)?;
        }
        if self.end == 0 {
            return Ok(());
        }
        let table = tables.ac.get(part.ac).and_then(Option::as_ref);
        let table = table.ok_or_else(missing)?;
        if self.refines {
            self.refine(table, bits, state, block)
        } else {
            self.first(table, bits, state, block)
        }
    }

    fn dc(
        &self,
        table: Option<&Table>,
        bits: &mut Bits<'_>,
        state: &mut State,
        block: &mut Block,
    ) -> Result<()> {
        let [dc, ..] = block;
        if self.refines {
            *dc |= bits.number(1) << self.low;
            return Ok(());
        }
        let size = table.ok_or_else(missing)?.read(bits)?;
        if size > 16 {
            return Err(CodecError::damaged("a coefficient has too many bits"));
        }
        state.prediction = state.prediction.wrapping_add(bits.signed(size));
        *dc = state.prediction << self.low;
        Ok(())
    }

    /// Coefficients sent for the first time (F.2.2.2, G.1.2.2).
    fn first(
        &self,
        table: &Table,
        bits: &mut Bits<'_>,
        state: &mut State,
        block: &mut Block,
    ) -> Result<()> {
        if state.end_of_band > 0 {
            state.end_of_band = state.end_of_band.saturating_sub(1);
            return Ok(());
        }
        let mut at = self.start.max(1);
        while at <= self.end {
            let symbol = table.read(bits)?;
            let (run, size) = (symbol >> 4, symbol & 0x0F);
            match (run, size) {
                (15, 0) => at = at.saturating_add(16),
                (run, 0) => {
                    if self.is_progressive {
                        let more = bits.number(run);
                        state.end_of_band = (1_u32 << run)
                            .saturating_add(more.unsigned_abs())
                            .saturating_sub(1);
                    }
                    return Ok(());
                }
                (run, size) => {
                    at = at.saturating_add(usize::from(run));
                    let place = block.get_mut(at).filter(|_| at <= self.end);
                    let place =
                        place.ok_or_else(|| CodecError::damaged("a run leaves its block"))?;
                    *place = bits.signed(size) << self.low;
                    at = at.saturating_add(1);
                }
            }
        }
        Ok(())
    }

    /// One more bit for coefficients sent before (G.1.2.3).
    fn refine(
        &self,
        table: &Table,
        bits: &mut Bits<'_>,
        state: &mut State,
        block: &mut Block,
    ) -> Result<()> {
        let one = 1_i32 << self.low;
        let mut at = self.start.max(1);
        while at <= self.end && state.end_of_band == 0 {
            let symbol = table.read(bits)?;
            let (mut run, size) = (symbol >> 4, symbol & 0x0F);
            let new = match size {
                0 if run < 15 => {
                    state.end_of_band =
                        (1_u32 << run).saturating_add(bits.number(run).unsigned_abs());
                    break;
                }
                0 => 0,
                _ if bits.bit() == 1 => one,
                _ => one.wrapping_neg(),
            };
            // Over the coefficients that are not zero, to the place behind `run` zeros.
            while let Some(place) = block.get_mut(at).filter(|_| at <= self.end) {
                at = at.saturating_add(1);
                if *place != 0 {
                    correct(place, one, bits);
                } else if run == 0 {
                    *place = new;
                    break;
                } else {
                    run = run.saturating_sub(1);
                }
            }
        }
        if state.end_of_band > 0 {
            for place in block.get_mut(at..=self.end).into_iter().flatten() {
                if *place != 0 {
                    correct(place, one, bits);
                }
            }
            state.end_of_band = state.end_of_band.saturating_sub(1);
        }
        Ok(())
    }
}

/// What one block leaves to the next.
#[derive(Clone, Debug, Default)]
struct State {
    prediction: i32,
    /// Blocks that have no further coefficients in this band.
    end_of_band: u32,
}

/// A bit that makes a coefficient larger, away from zero.
fn correct(place: &mut i32, one: i32, bits: &mut Bits<'_>) {
    if bits.bit() == 1 && *place & one == 0 {
        *place = place.wrapping_add(if *place > 0 { one } else { one.wrapping_neg() });
    }
}

fn missing() -> CodecError {
    CodecError::damaged("a Huffman table is missing")
}
