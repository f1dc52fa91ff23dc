//! Scans of one component into coefficients: sequential ones, and the four kinds of progressive ones
//! (ISO/IEC 10918-1 annexes F.2 and G.2).

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use super::huffman::{Bits, Table};
use crate::dicom::codec::{CodecError, Result};

/// The coefficients of a block in zigzag order.
pub(super) type Block = [i32; 64];

/// What a scan header says (B.2.3).
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan {
    /// First and last coefficient.
    start: usize,
    end: usize,
    /// The bit that is sent; `refines` if an earlier scan sent higher ones.
    low: u8,
    refines: bool,
    is_progressive: bool,
    dc: usize,
    ac: usize,
}

/// The tables that hold when a scan begins.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) dc: [Option<Table>; 4],
    pub(super) ac: [Option<Table>; 4],
    /// Blocks between two restart markers; 0 for none.
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
    /// Reads a scan header; only scans of one component are read.
    pub(super) fn parse(body: &[u8], is_progressive: bool) -> Result<Self> {
        let [1, _, tables, start, end, approximation] = *body else {
            return Err(CodecError::damaged(
                "a scan header is none of one component",
            ));
        };
        let (start, end) = if is_progressive {
            (start, end)
        } else {
            (0, 63)
        };
        if start > end || end > 63 || (is_progressive && start == 0 && end != 0) {
            return Err(CodecError::damaged("a scan has no such coefficients"));
        }
        Ok(Self {
            start: usize::from(start),
            end: usize::from(end),
            low: if is_progressive {
                approximation & 0x0F
            } else {
                0
            },
            refines: is_progressive && approximation >> 4 != 0,
            is_progressive,
            dc: usize::from(tables >> 4),
            ac: usize::from(tables & 0x0F),
        })
    }

    /// Reads the scan into `blocks`.
    pub(super) fn read(&self, tables: &Tables, coded: &[u8], blocks: &mut [Block]) -> Result<()> {
        let mut bits = Bits::of(coded);
        let mut state = State::default();
        for (number, block) in blocks.iter_mut().enumerate() {
            let is_restart = number.checked_rem(tables.restart_interval) == Some(0);
            if is_restart && number > 0 {
                bits.restart();
                state = State::default();
            } else if bits.is_over() && state.end_of_band == 0 {
                return Err(CodecError::damaged("it ends before its last block"));
            }
            self.block(tables, &mut bits, &mut state, block)?;
        }
        Ok(())
    }

    fn block(
        &self,
        tables: &Tables,
        bits: &mut Bits<'_>,
        state: &mut State,
        block: &mut Block,
    ) -> Result<()> {
        if self.start == 0 {
            self.dc(tables, bits, state, block)?;
        }
        if self.end == 0 {
            return Ok(());
        }
        let table = tables.ac.get(self.ac).and_then(Option::as_ref);
        let table = table.ok_or_else(missing)?;
        if self.refines {
            self.refine(table, bits, state, block)
        } else {
            self.first(table, bits, state, block)
        }
    }

    fn dc(
        &self,
        tables: &Tables,
        bits: &mut Bits<'_>,
        state: &mut State,
        block: &mut Block,
    ) -> Result<()> {
        let [dc, ..] = block;
        if self.refines {
            *dc |= bits.number(1) << self.low;
            return Ok(());
        }
        let table = tables.dc.get(self.dc).and_then(Option::as_ref);
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
#[derive(Debug, Default)]
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
