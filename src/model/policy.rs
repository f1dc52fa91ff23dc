//! What a facility takes and how much of it: the settings of its row, parsed once where the row is read.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::uid::{SopClassUid, UidError};

/// What a facility decides about what is stored into it. Everything absent means: no rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FacilityPolicy {
    /// SOP Class UIDs that are refused (T26).
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub refused_sop_classes: BTreeSet<String>,
    /// Transfer Syntax UIDs that are refused (T27).
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub refused_transfer_syntaxes: BTreeSet<String>,
    /// The longest instance, in bytes; wins over the limit of the server (T12).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_instance_bytes: Option<u64>,
    /// The longest body of one request, in bytes, expanded; wins over the limit of the server (T12).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_request_bytes: Option<u64>,
    /// Bytes that its instances may take in all (T29).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota_bytes: Option<u64>,
    /// What becomes of other content under a stored SOP Instance UID (T22).
    #[serde(skip_serializing_if = "OnConflict::is_default")]
    pub on_conflict: OnConflict,
    /// Binary values above so many bytes stand in metadata as links; of what is stored from now on (J31).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bulkdata_threshold: Option<u32>,
    /// What stands in metadata for longer binary values, where a request says nothing (J36).
    #[serde(skip_serializing_if = "BulkForm::is_default")]
    pub bulkdata: BulkForm,
    /// Whether names are matched fuzzily for its callers (Q58).
    #[serde(skip_serializing_if = "FuzzyMatching::is_default")]
    pub fuzzy_matching: FuzzyMatching,
    /// Whether its callers may have files written into the operator's folder (X06).
    #[serde(skip_serializing_if = "Export::is_default")]
    pub export: Export,
}

/// The highest threshold of a facility, in bytes: up to it every binary value of a series lies in its metadata.
const BULKDATA_THRESHOLD_MOST: u32 = 64 * 1024;

/// What stands in metadata for a binary value that is too long for them (J36).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BulkForm {
    /// Its address, a BulkDataURI.
    #[default]
    Uri,
    /// The value itself, an `InlineBinary`.
    Inline,
}

impl BulkForm {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// As requests, the command line and the row write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Uri => "uri",
            Self::Inline => "inline",
        }
    }

    /// Reads what `as_str` writes.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Uri, Self::Inline]
            .into_iter()
            .find(|form| form.as_str() == text)
    }
}

/// Whether `fuzzymatching=true` means anything (Q58).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FuzzyMatching {
    /// It does.
    #[default]
    On,
    /// Names are matched literally whatever is asked.
    Off,
}

/// Whether callers of a facility may have files written into the operator's folder (X06).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Export {
    /// They may not.
    #[default]
    Off,
    /// They may, what they may read.
    On,
}

impl Export {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// As the command line and the row write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::On => "on",
        }
    }
}

impl FuzzyMatching {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// As the command line and the row write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
        }
    }
}

/// What becomes of an instance whose SOP Instance UID is stored with other content (T22).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnConflict {
    /// It is refused with 0111; what is stored stays.
    #[default]
    Reject,
    /// It takes the place of what is stored.
    Replace,
    /// It becomes the current version; what is stored stays as an earlier one.
    KeepBothVersions,
}

impl OnConflict {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// As the command line and the row write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reject => "reject",
            Self::Replace => "replace",
            Self::KeepBothVersions => "keep-both-versions",
        }
    }
}

/// The keys, in the order in which they are shown; each is a field of [`FacilityPolicy`].
pub const POLICY_KEYS: [&str; 10] = [
    "refused_sop_classes",
    "refused_transfer_syntaxes",
    "max_instance_bytes",
    "max_request_bytes",
    "quota_bytes",
    "on_conflict",
    "bulkdata_threshold",
    "bulkdata",
    "fuzzy_matching",
    "export",
];

impl FacilityPolicy {
    /// Reads the settings of a facility's row, one JSON object. Keys of others are passed over.
    ///
    /// # Errors
    /// The words of the JSON reader, which name the key.
    pub fn of_settings(settings: &str) -> Result<Self, String> {
        serde_json::from_str(settings).map_err(|error| error.to_string())
    }

    /// Puts the policy into the settings of a facility's row; keys of others stay as they are.
    ///
    /// # Errors
    /// The words of the JSON reader, if `settings` is no object.
    pub fn into_settings(&self, settings: &str) -> Result<String, String> {
        let mut all: Map<String, Value> =
            serde_json::from_str(settings).map_err(|error| error.to_string())?;
        all.retain(|key, _| !POLICY_KEYS.contains(&&**key));
        if let Ok(Value::Object(own)) = serde_json::to_value(self) {
            all.extend(own);
        }
        Ok(Value::Object(all).to_string())
    }

    /// Sets one key as the command line writes it: UIDs between commas, bytes with or without a unit (`64M`, `2G`), a word;
    /// nothing takes the rule back.
    ///
    /// # Errors
    /// What the key takes, or which keys there are.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let bytes = || bytes(value).map_err(|takes| format!("{key} takes {takes}"));
        match key {
            "refused_sop_classes" => self.refused_sop_classes = uids(key, value)?,
            "refused_transfer_syntaxes" => self.refused_transfer_syntaxes = uids(key, value)?,
            "max_instance_bytes" => self.max_instance_bytes = bytes()?,
            "max_request_bytes" => self.max_request_bytes = bytes()?,
            "quota_bytes" => self.quota_bytes = bytes()?,
            "on_conflict" => self.on_conflict = on_conflict(value)?,
            "bulkdata_threshold" => self.bulkdata_threshold = threshold(value)?,
            "bulkdata" => self.bulkdata = bulk_form(value)?,
            "fuzzy_matching" => self.fuzzy_matching = fuzzy_matching(value)?,
            "export" => self.export = export(value)?,
            _ => {
                return Err(format!(
                    "no key {key}: there are {}",
                    POLICY_KEYS.join(", ")
                ));
            }
        }
        Ok(())
    }

    /// The value of a key as [`FacilityPolicy::set`] takes it; empty where there is no rule.
    pub fn shown(&self, key: &str) -> String {
        let list = |uids: &BTreeSet<String>| uids.iter().cloned().collect::<Vec<_>>().join(",");
        let bytes = |limit: Option<u64>| limit.map(|limit| limit.to_string()).unwrap_or_default();
        match key {
            "refused_sop_classes" => list(&self.refused_sop_classes),
            "refused_transfer_syntaxes" => list(&self.refused_transfer_syntaxes),
            "max_instance_bytes" => bytes(self.max_instance_bytes),
            "max_request_bytes" => bytes(self.max_request_bytes),
            "quota_bytes" => bytes(self.quota_bytes),
            "on_conflict" => self.on_conflict.as_str().to_owned(),
            "bulkdata_threshold" => {
                let threshold = self.bulkdata_threshold.map(|bytes| bytes.to_string());
                threshold.unwrap_or_default()
            }
            "bulkdata" => self.bulkdata.as_str().to_owned(),
            "fuzzy_matching" => self.fuzzy_matching.as_str().to_owned(),
            "export" => self.export.as_str().to_owned(),
            _ => String::new(),
        }
    }
}

fn uids(key: &str, value: &str) -> Result<BTreeSet<String>, String> {
    let named = value
        .split(',')
        .map(str::trim)
        .filter(|uid| !uid.is_empty());
    // A transfer syntax is named by a UID of the same form.
    let checked = named.map(|uid| SopClassUid::parse(uid).map(|uid| uid.as_str().to_owned()));
    checked
        .collect::<Result<_, UidError>>()
        .map_err(|error| format!("{key} takes UIDs between commas: one of them {error}"))
}

/// Reads `1048576`, `64M` or `2G` (powers of 1024); nothing is `None`.
fn bytes(text: &str) -> Result<Option<u64>, &'static str> {
    const TAKES: &str = "a number of bytes above 0, or one with K, M, G or T";
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 30),
        Some(b'T' | b't') => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    let is_plain = digits.bytes().all(|b| b.is_ascii_digit());
    let count: Option<u64> = digits.parse().ok().filter(|count| is_plain && *count > 0);
    // The database keeps lengths signed.
    let bytes = count.and_then(|count| count.checked_mul(1 << shift));
    let bytes = bytes.filter(|bytes| i64::try_from(*bytes).is_ok());
    bytes.map(Some).ok_or(TAKES)
}

fn on_conflict(value: &str) -> Result<OnConflict, String> {
    if value.is_empty() {
        return Ok(OnConflict::default());
    }
    let all = [
        OnConflict::Reject,
        OnConflict::Replace,
        OnConflict::KeepBothVersions,
    ];
    all.into_iter()
        .find(|choice| choice.as_str() == value)
        .ok_or_else(|| "on_conflict takes reject, replace or keep-both-versions".to_owned())
}

fn threshold(value: &str) -> Result<Option<u32>, String> {
    if value.is_empty() {
        return Ok(None);
    }
    let is_plain = value.bytes().all(|b| b.is_ascii_digit());
    let bytes = value
        .parse()
        .ok()
        .filter(|bytes| *bytes <= BULKDATA_THRESHOLD_MOST);
    bytes.filter(|_| is_plain).map(Some).ok_or_else(|| {
        format!("bulkdata_threshold takes a number of bytes from 0 to {BULKDATA_THRESHOLD_MOST}")
    })
}

fn bulk_form(value: &str) -> Result<BulkForm, String> {
    match value {
        "" => Ok(BulkForm::default()),
        value => BulkForm::parse(value).ok_or_else(|| "bulkdata takes uri or inline".to_owned()),
    }
}

fn fuzzy_matching(value: &str) -> Result<FuzzyMatching, String> {
    match value {
        "" | "on" => Ok(FuzzyMatching::On),
        "off" => Ok(FuzzyMatching::Off),
        _ => Err("fuzzy_matching takes on or off".to_owned()),
    }
}

fn export(value: &str) -> Result<Export, String> {
    match value {
        "" | "off" => Ok(Export::Off),
        "on" => Ok(Export::On),
        _ => Err("export takes on or off".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(pairs: &[(&str, &str)]) -> Result<FacilityPolicy, String> {
        let mut policy = FacilityPolicy::default();
        for (key, value) in pairs {
            policy.set(key, value)?;
        }
        Ok(policy)
    }

    #[test]
    fn the_keys_are_the_fields_and_each_shows_what_sets_it() {
        let pairs = [
            ("refused_sop_classes", "1.2.3,1.2.4"),
            ("refused_transfer_syntaxes", "1.2.840.10008.1.2.2"),
            ("max_instance_bytes", "1048576"),
            ("max_request_bytes", "5"),
            ("quota_bytes", "7"),
            ("on_conflict", "keep-both-versions"),
            ("bulkdata_threshold", "0"),
            ("bulkdata", "inline"),
            ("fuzzy_matching", "off"),
            ("export", "on"),
        ];
        let policy = set(&pairs).unwrap();
        let written = serde_json::to_value(&policy).unwrap();
        let mut fields: Vec<_> = written.as_object().unwrap().keys().cloned().collect();
        let mut keys = POLICY_KEYS.to_vec();
        fields.sort();
        keys.sort_unstable();
        assert_eq!(fields, keys);
        assert_eq!(pairs.map(|(key, _)| key), POLICY_KEYS);
        for (key, value) in pairs {
            assert_eq!(policy.shown(key), value);
        }
        let settings = policy.into_settings("{}").unwrap();
        assert_eq!(FacilityPolicy::of_settings(&settings).unwrap(), policy);
    }

    #[test]
    fn keys_of_others_stay_and_a_rule_that_is_taken_back_is_gone() {
        let settings = r#"{"colour":"blue","quota_bytes":5}"#;
        let mut policy = FacilityPolicy::of_settings(settings).unwrap();
        assert_eq!(policy.quota_bytes, Some(5));
        policy.set("quota_bytes", "").unwrap();
        assert_eq!(
            policy.into_settings(settings).unwrap(),
            r#"{"colour":"blue"}"#
        );
        assert_eq!(policy, FacilityPolicy::default());
    }

    #[test]
    fn bytes_are_read_with_a_unit() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(bytes(text).ok().flatten(), expected, "{text}");
        };
        check("1", Some(1));
        check("64M", Some(64 << 20));
        check("2g", Some(2 << 30));
        check("1T", Some(1 << 40));
        for refused in ["0", "-1", "+1", "1.5G", "M", "1MB", "9999999999T", "１"] {
            check(refused, None);
        }
        assert_eq!(bytes(""), Ok(None));
    }

    #[test]
    fn what_is_wrong_names_its_key() {
        for (key, value) in [
            ("refused_sop_classes", "CT"),
            ("refused_transfer_syntaxes", "1..2"),
            ("quota_bytes", "many"),
            ("on_conflict", "perhaps"),
            ("bulkdata_threshold", "65537"),
            ("bulkdata_threshold", "+1"),
            ("bulkdata", "array"),
            ("fuzzy_matching", "true"),
            ("export", "perhaps"),
            ("colour", "blue"),
        ] {
            let error = set(&[(key, value)]).unwrap_err();
            assert!(error.contains(key), "{error}");
        }
        assert!(FacilityPolicy::of_settings("5").is_err());
        assert!(FacilityPolicy::of_settings(r#"{"quota_bytes":"5"}"#).is_err());
    }
}
