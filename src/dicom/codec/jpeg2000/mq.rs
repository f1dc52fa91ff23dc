//! The MQ coder: an arithmetic coder of decisions, each in a context that learns (ISO/IEC 15444-1 Annex C).

/// Contexts of the coefficient bit models (Table D.7).
pub(super) const CONTEXTS: usize = 19;
/// The context of runs of coefficients that are all insignificant.
pub(super) const RUN_LENGTH: usize = 17;
/// The context of decisions that are as likely as not.
pub(super) const UNIFORM: usize = 18;

/// A row of Table C.2.
struct State {
    /// The probability of the less probable symbol, Qe.
    probability: u32,
    /// The state after the more probable symbol.
    after_more: u8,
    /// The state after the less probable symbol.
    after_less: u8,
    /// Whether the less probable symbol becomes the more probable one.
    switches: bool,
}

const fn state(probability: u32, after_more: u8, after_less: u8, switches: u8) -> State {
    State {
        probability,
        after_more,
        after_less,
        switches: switches == 1,
    }
}

/// Table C.2.
#[rustfmt::skip]
static STATES: [State; 47] = [
    state(0x5601, 1, 1, 1), state(0x3401, 2, 6, 0), state(0x1801, 3, 9, 0), state(0x0AC1, 4, 12, 0),
    state(0x0521, 5, 29, 0), state(0x0221, 38, 33, 0), state(0x5601, 7, 6, 1), state(0x5401, 8, 14, 0),
    state(0x4801, 9, 14, 0), state(0x3801, 10, 14, 0), state(0x3001, 11, 17, 0), state(0x2401, 12, 18, 0),
    state(0x1C01, 13, 20, 0), state(0x1601, 29, 21, 0), state(0x5601, 15, 14, 1), state(0x5401, 16, 14, 0),
    state(0x5101, 17, 15, 0), state(0x4801, 18, 16, 0), state(0x3801, 19, 17, 0), state(0x3401, 20, 18, 0),
    state(0x3001, 21, 19, 0), state(0x2801, 22, 19, 0), state(0x2401, 23, 20, 0), state(0x2201, 24, 21, 0),
    state(0x1C01, 25, 22, 0), state(0x1801, 26, 23, 0), state(0x1601, 27, 24, 0), state(0x1401, 28, 25, 0),
    state(0x1201, 29, 26, 0), state(0x1101, 30, 27, 0), state(0x0AC1, 31, 28, 0), state(0x09C1, 32, 29, 0),
    state(0x08A1, 33, 30, 0), state(0x0521, 34, 31, 0), state(0x0441, 35, 32, 0), state(0x02A1, 36, 33, 0),
    state(0x0221, 37, 34, 0), state(0x0141, 38, 35, 0), state(0x0111, 39, 36, 0), state(0x0085, 40, 37, 0),
    state(0x0049, 41, 38, 0), state(0x0025, 42, 39, 0), state(0x0015, 43, 40, 0), state(0x0009, 44, 41, 0),
    state(0x0005, 45, 42, 0), state(0x0001, 45, 43, 0), state(0x5601, 46, 46, 0),
];

/// What a context has learned.
#[derive(Clone, Copy, Default)]
struct Context {
    state: u8,
    more_probable: u8,
}

/// The encoder of one code block. Names of registers are those of C.2.
pub(super) struct Encoder {
    contexts: [Context; CONTEXTS],
    /// The interval.
    a: u32,
    /// Its base, with the bits that leave next at the top.
    c: u32,
    /// Shifts until a byte leaves.
    ct: u32,
    /// The bytes, behind one that stands for what was before (BPST - 1 of Figure C.10).
    bytes: Vec<u8>,
}

impl Encoder {
    /// Before the first decision, contexts as in Table D.7.
    pub(super) fn new() -> Self {
        let mut contexts = [Context::default(); CONTEXTS];
        contexts[0].state = 4;
        contexts[RUN_LENGTH].state = 3;
        contexts[UNIFORM].state = 46;
        Self {
            contexts,
            a: 0x8000,
            c: 0,
            ct: 12,
            bytes: vec![0],
        }
    }

    /// Codes a decision (Figures C.3 to C.7).
    #[inline]
    pub(super) fn encode(&mut self, context: usize, decision: u32) {
        let now = &mut self.contexts[context];
        let state = &STATES[usize::from(now.state)];
        self.a -= state.probability;
        if decision == u32::from(now.more_probable) {
            if self.a & 0x8000 != 0 {
                self.c += state.probability;
                return;
            }
            // The conditional exchange: the larger part goes to the more probable symbol.
            if self.a < state.probability {
                self.a = state.probability;
            } else {
                self.c += state.probability;
            }
            now.state = state.after_more;
        } else {
            if self.a < state.probability {
                self.c += state.probability;
            } else {
                self.a = state.probability;
            }
            if state.switches {
                now.more_probable ^= 1;
            }
            now.state = state.after_less;
        }
        self.renormalize();
    }

    /// Figure C.8.
    fn renormalize(&mut self) {
        loop {
            self.a <<= 1;
            self.c <<= 1;
            self.ct -= 1;
            if self.ct == 0 {
                self.byte_out();
            }
            if self.a & 0x8000 != 0 {
                return;
            }
        }
    }

    /// Figure C.9: behind a byte FF the next has seven bits, so that no marker comes about.
    fn byte_out(&mut self) {
        let last = self.bytes.last_mut();
        let carries = self.c >= 0x800_0000;
        let is_stuffed = last.is_some_and(|last| {
            if *last != 0xFF && carries {
                *last += 1;
                self.c &= 0x7FF_FFFF;
            }
            *last == 0xFF
        });
        let shift = if is_stuffed { 20 } else { 19 };
        self.bytes.push((self.c >> shift).to_le_bytes()[0]);
        self.c &= (1 << shift) - 1;
        self.ct = if is_stuffed { 7 } else { 8 };
    }

    /// Ends the code (Figure C.11) and gives its bytes.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let end = self.c + self.a;
        self.c |= 0xFFFF;
        if self.c >= end {
            self.c -= 0x8000;
        }
        for _ in 0..2 {
            self.c <<= self.ct;
            self.byte_out();
        }
        if self.bytes.last() == Some(&0xFF) {
            self.bytes.pop();
        }
        self.bytes.remove(0);
        self.bytes
    }
}
