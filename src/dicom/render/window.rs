//! From modality values to shades: windows and lookup tables of values of interest (PS3.3 C.11.2), and what stands in for
//! them where there are none.

use super::lut::Lut;

/// The shape of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// The one for whole numbers, half a value off (C.11.2.1.2.1).
    Linear,
    /// The exact one (C.11.2.1.3.2).
    LinearExact,
    /// The curve without ends (C.11.2.1.3.1).
    Sigmoid,
}

impl Function {
    /// Reads VOI LUT Function, or its spelling in a query; LINEAR where nothing is said, or nothing that is known.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text.trim().to_ascii_lowercase().as_str() {
            "linear" => Self::Linear,
            "linear-exact" | "linear_exact" => Self::LinearExact,
            "sigmoid" => Self::Sigmoid,
            _ => return None,
        })
    }
}

/// A window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Its middle, in modality values.
    pub center: f64,
    /// Its width, in modality values.
    pub width: f64,
    /// Its shape.
    pub function: Function,
}

impl Window {
    /// Whether the width is one that its shape allows: at least 1 for LINEAR, more than 0 for the others.
    pub fn is_allowed(&self) -> bool {
        let least = self.width >= 1.0 && self.function == Function::Linear;
        let positive = self.width > 0.0 && self.function != Function::Linear;
        self.center.is_finite() && self.width.is_finite() && (least || positive)
    }

    /// The shade of a modality value, 0 to 1.
    fn shade(&self, value: f64) -> f64 {
        let Self { center, width, .. } = *self;
        match self.function {
            Function::Linear => {
                let (middle, span) = (center - 0.5, width - 1.0);
                if value <= middle - span / 2.0 {
                    0.0
                } else if value > middle + span / 2.0 {
                    1.0
                } else {
                    (value - middle) / span + 0.5
                }
            }
            Function::LinearExact => ((value - center) / width + 0.5).clamp(0.0, 1.0),
            Function::Sigmoid => 1.0 / (1.0 + (-4.0 * (value - center) / width).exp()),
        }
    }
}

/// What makes shades of modality values.
#[derive(Clone, Debug)]
pub(super) enum Voi {
    /// A window.
    Window(Window),
    /// A table.
    Table(Lut),
    /// The range from the first value, black, to the second, white.
    Range(f64, f64),
}

impl Voi {
    /// The shade of a modality value, 0 to 1.
    pub(super) fn shade(&self, value: f64) -> f64 {
        match self {
            Self::Window(window) => window.shade(value),
            Self::Table(table) => table.at(value) / table.top(),
            Self::Range(low, high) if high > low => ((value - low) / (high - low)).clamp(0.0, 1.0),
            // A frame of one value: black for zero, else in the middle.
            Self::Range(low, _) => {
                if *low == 0.0 {
                    0.0
                } else {
                    0.5
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(function: Function, center: f64, width: f64, values: &[(f64, f64)]) {
        let window = Window {
            center,
            width,
            function,
        };
        assert!(window.is_allowed());
        for (value, shade) in values {
            let found = window.shade(*value);
            assert!((found - shade).abs() < 1e-9, "{window:?} {value}: {found}");
        }
    }

    /// The examples of PS3.3 C.11.2.1.2.1: center 2048 and width 4096 maps 0 to 4095; width 1 is a threshold.
    #[test]
    fn g07_windows_are_those_of_the_standard() {
        use Function::{Linear, LinearExact, Sigmoid};
        check(
            Linear,
            2048.0,
            4096.0,
            &[(-1.0, 0.0), (0.0, 0.0), (4095.0, 1.0), (5000.0, 1.0)],
        );
        check(
            Linear,
            0.0,
            100.0,
            &[(-50.0, 0.0), (49.0, 1.0), (-0.5, 0.5)],
        );
        check(
            Linear,
            10.0,
            1.0,
            &[(9.0, 0.0), (9.5, 0.0), (9.6, 1.0), (10.0, 1.0)],
        );
        check(
            LinearExact,
            2048.0,
            4096.0,
            &[(0.0, 0.0), (2048.0, 0.5), (4096.0, 1.0)],
        );
        check(
            Sigmoid,
            0.0,
            4.0,
            &[
                (0.0, 0.5),
                (1e9, 1.0),
                (-1e9, 0.0),
                (1.0, 0.731_058_578_630_005),
            ],
        );
    }

    #[test]
    fn g06_a_width_has_to_fit_its_shape() {
        let window = |width, function| Window {
            center: 0.0,
            width,
            function,
        };
        assert!(!window(0.9, Function::Linear).is_allowed());
        assert!(window(0.1, Function::LinearExact).is_allowed());
        assert!(!window(0.0, Function::Sigmoid).is_allowed());
        assert!(!window(f64::NAN, Function::Sigmoid).is_allowed());
        assert!(!window(f64::INFINITY, Function::Linear).is_allowed());
    }

    #[test]
    fn a_frame_of_one_value_has_one_shade() {
        let found = [0.0, 7.0].map(|value| Voi::Range(value, value).shade(value));
        assert!((found[0], found[1]) == (0.0, 0.5));
    }
}
