//! The levels of the model of the real world, and the classes of objects that rights distinguish.

/// A level of the information model (PS3.4 C.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// A study, with the patient's attributes.
    Study,
    /// A series.
    Series,
    /// An instance.
    Instance,
}

/// The class of an object, by which scopes and disclosures choose (sharing.md 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Anything with pixels.
    Image,
    /// Structured reports that are neither reports for people nor dose.
    Sr,
    /// Encapsulated documents that are read as reports.
    Report,
    /// Radiation dose reports.
    Dose,
    /// Presentation states and key object selections.
    PrKo,
    /// All else.
    Other,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 6] = [
        Self::Image,
        Self::Sr,
        Self::Report,
        Self::Dose,
        Self::PrKo,
        Self::Other,
    ];

    /// The bit of the class in a [`ClassMask`].
    pub fn bit(self) -> i32 {
        match self {
            Self::Image => 1,
            Self::Sr => 2,
            Self::Report => 4,
            Self::Dose => 8,
            Self::PrKo => 16,
            Self::Other => 32,
        }
    }

    /// The class of a SOP Class (PS3.4 B.5); `has_pixels` decides for classes that are not named here.
    pub fn of(sop_class_uid: &str, has_pixels: bool) -> Self {
        const STORAGE: &str = "1.2.840.10008.5.1.4.1.1.";
        let Some(tail) = sop_class_uid.strip_prefix(STORAGE) else {
            return if has_pixels { Self::Image } else { Self::Other };
        };
        match tail {
            // X-Ray, Radiopharmaceutical, Patient and Enhanced X-Ray Radiation Dose SR.
            "88.67" | "88.68" | "88.73" | "88.76" => Self::Dose,
            "88.59" => Self::PrKo,
            // Encapsulated PDF and CDA are documents for people; STL, OBJ and MTL (104.3 to 104.5) are not.
            "104.1" | "104.2" => Self::Report,
            _ if tail.starts_with("88.") => Self::Sr,
            _ if tail.starts_with("11.") => Self::PrKo,
            _ if has_pixels => Self::Image,
            _ => Self::Other,
        }
    }
}

/// A set of classes, as the database keeps it: the sum of their bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ClassMask(pub i32);

impl ClassMask {
    /// The set with `class` added.
    #[must_use]
    pub fn with(self, class: Class) -> Self {
        Self(self.0 | class.bit())
    }

    /// Whether `class` is in the set.
    pub fn contains(self, class: Class) -> bool {
        self.0 & class.bit() != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_follows_from_the_sop_class() {
        let of = |tail: &str, pixels| Class::of(&format!("1.2.840.10008.5.1.4.1.1.{tail}"), pixels);
        assert_eq!(of("2", true), Class::Image);
        assert_eq!(of("88.33", false), Class::Sr);
        assert_eq!(of("88.67", false), Class::Dose);
        assert_eq!(of("88.59", false), Class::PrKo);
        assert_eq!(of("11.1", false), Class::PrKo);
        assert_eq!(of("104.1", false), Class::Report);
        assert_eq!(of("104.3", false), Class::Other);
        assert_eq!(of("481.3", false), Class::Other);
        assert_eq!(Class::of("1.3.12.2.1107.5.9.1", true), Class::Image);
    }
}
