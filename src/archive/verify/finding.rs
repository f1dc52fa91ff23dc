//! One thing that was found, and what to do about it.

use std::fmt;

/// What kind of thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// Rows lead to an object that is not there.
    Missing,
    /// An object is shorter than promised or does not end as it should.
    Torn,
    /// Bytes are there and are others.
    Corrupt,
    /// The index and a pack say different things.
    Mismatch,
    /// An object without rows, or a file in a pack that no row knows.
    Orphan,
    /// The kept columns of a study or a series are not what its instances say.
    Count,
    /// An object without rows that is newer than the index: about to be recorded, or stored after the index was copied.
    Newer,
}

impl What {
    /// In one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Torn => "torn",
            Self::Corrupt => "corrupt",
            Self::Mismatch => "mismatch",
            Self::Orphan => "orphan",
            Self::Count => "count",
            Self::Newer => "newer",
        }
    }

    /// Whether something is wrong then.
    pub fn is_wrong(self) -> bool {
        self != Self::Newer
    }

    /// What to do.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Missing | Self::Torn | Self::Corrupt => "bring the object back from a backup",
            Self::Mismatch => "keep the object; restore the index, or rebuild it with kura reindex",
            Self::Orphan => "nothing leads to it; the sweep removes it",
            Self::Count => {
                "lists show wrong numbers; restore the index, or rebuild it with kura reindex"
            }
            Self::Newer => "wait, or take it in with kura reindex --resume after a restore",
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that was found.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What kind of thing.
    pub what: What,
    /// The object; empty if it is about rows only.
    pub object: String,
    /// Code of the facility that owns it, as far as it is known.
    pub owner: String,
    /// Study Instance UID, where it is about one.
    pub study: Option<String>,
    /// Series Instance UID, where it is about one.
    pub series: Option<String>,
    /// SOP Instance UID, where it is about one.
    pub instance: Option<String>,
    /// A sentence for people, without patient data.
    pub text: String,
}

impl Finding {
    pub(super) fn new(what: What, object: &str, text: impl Into<String>) -> Self {
        Self {
            what,
            object: object.to_owned(),
            owner: String::new(),
            study: None,
            series: None,
            instance: None,
            text: text.into(),
        }
    }
}

impl fmt::Display for Finding {
    /// Eight columns with tabs in between; a dash where there is nothing to say.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dash = |text: &str| {
            if text.is_empty() {
                "-".to_owned()
            } else {
                text.to_owned()
            }
        };
        let uid = |uid: &Option<String>| uid.clone().unwrap_or_else(|| "-".to_owned());
        write!(
            f,
            "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}",
            self.what,
            dash(&self.object),
            dash(&self.owner),
            uid(&self.study),
            uid(&self.series),
            uid(&self.instance),
            self.text,
            self.what.advice()
        )
    }
}
