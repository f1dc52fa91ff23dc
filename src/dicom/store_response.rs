//! The answer to a store request as DICOM JSON (PS3.18 10.5.3.2, table 10.5.3-1; dicomweb.md 9.3).
//!
//! One object, written straight into bytes in the order of the tags: an answer may tell of a hundred thousand refusals.

use std::fmt::Write as _;

use time::OffsetDateTime;

use crate::model::{InstancePath, SopClassUid, SopInstanceUid, StudyUid, Timestamp};

/// The longest Error Comment (0000,0902), in characters: LO.
const MAX_COMMENT_CHARS: usize = 64;

/// What became of one part of a store request.
#[derive(Clone, Debug)]
pub enum StoreOutcome {
    /// Stored, now or before (T20, T21).
    Stored {
        /// Where it is from now on.
        path: InstancePath,
        /// SOP Class UID.
        sop_class: SopClassUid,
        /// Whether it is stored since now; not where the same bytes were there before.
        is_new: bool,
        /// Warning Reason (0008,1196) and a sentence for people, if something is odd (T32 to T35).
        warning: Option<(u16, String)>,
        /// What the index has otherwise than the object (T32).
        coerced: Option<Coerced>,
    },
    /// Not stored.
    Refused {
        /// Failure Reason (0008,1197).
        code: u16,
        /// A fragment for people without patient data, the tag and offset first (T47).
        text: String,
        /// SOP Class UID, as far as it is known.
        sop_class: Option<SopClassUid>,
        /// SOP Instance UID, as far as it is known.
        sop_instance: Option<SopInstanceUid>,
    },
}

/// A value of an object that the index could not take as it stands; the stored bytes keep it (T32).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coerced {
    /// Issuer of Patient ID (0010,0021) as the object says it; the index has one that belongs to nobody here.
    pub issuer_of_patient_id: String,
    /// When that was decided.
    pub at: Timestamp,
}

impl Coerced {
    /// (0400,0562) the moment of the modification, UTC.
    fn date_time(&self) -> String {
        let at = OffsetDateTime::from_unix_timestamp(self.at.seconds())
            .unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
        let (hour, minute, second) = at.to_hms();
        format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}+0000")
    }
}

/// Whether nothing was stored and everything was refused for one of `codes`.
pub fn is_all_refused(outcomes: &[StoreOutcome], codes: &[u16]) -> bool {
    !outcomes.is_empty()
        && outcomes.iter().all(|outcome| match outcome {
            StoreOutcome::Stored { .. } => false,
            StoreOutcome::Refused { code, .. } => codes.contains(code),
        })
}

impl StoreOutcome {
    /// Whether the instance is stored.
    pub fn is_stored(&self) -> bool {
        matches!(self, Self::Stored { .. })
    }
}

/// The status of the answer: 200 all stored without a warning, 202 stored with warnings or in part, 409 nothing stored (T40).
///
/// No outcome at all gives 409; a request without parts is refused before it comes to that.
pub fn status(outcomes: &[StoreOutcome]) -> u16 {
    let (mut stored, mut odd) = (false, false);
    for outcome in outcomes {
        match outcome {
            StoreOutcome::Stored { warning, .. } => {
                stored = true;
                odd |= warning.is_some();
            }
            StoreOutcome::Refused { .. } => odd = true,
        }
    }
    match (stored, odd) {
        (false, _) => 409,
        (true, true) => 202,
        (true, false) => 200,
    }
}

/// The study that all stored instances share; `None` if there are several or nothing was stored (T42, T53).
pub fn shared_study(outcomes: &[StoreOutcome]) -> Option<&StudyUid> {
    let mut studies = outcomes.iter().filter_map(|outcome| match outcome {
        StoreOutcome::Stored { path, .. } => Some(&path.study),
        StoreOutcome::Refused { .. } => None,
    });
    let first = studies.next()?;
    studies.all(|study| study == first).then_some(first)
}

/// The body of the answer, items in the order of the parts (T41 to T47, T50). `base_url` is that of the DICOMweb resources,
/// without a slash at its end.
pub fn build(base_url: &str, outcomes: &[StoreOutcome]) -> Vec<u8> {
    let mut body = Body {
        base_url,
        text: String::with_capacity(outcomes.len().saturating_mul(300).saturating_add(200)),
    };
    body.text.push('{');
    match shared_study(outcomes) {
        Some(study) => body.element("00081190", "UR", |b| {
            b.url(&[("/studies/", study.as_str())]);
        }),
        None => body.text.push_str("\"00081190\":{\"vr\":\"UR\"}"),
    }
    body.sequence(
        "00081198",
        outcomes.iter().filter_map(identified),
        Body::failure,
    );
    body.sequence(
        "00081199",
        outcomes.iter().filter_map(stored),
        Body::reference,
    );
    body.sequence(
        "0008119A",
        outcomes.iter().filter_map(unidentified),
        Body::failure,
    );
    body.text.push('}');
    body.text.into_bytes()
}

struct Refusal<'a> {
    code: u16,
    text: &'a str,
    /// SOP class and instance; `None` where nothing is known of what it was to be.
    identity: Option<(&'a str, &'a str)>,
}

struct Reference<'a> {
    path: &'a InstancePath,
    sop_class: &'a SopClassUid,
    warning: Option<(u16, &'a str)>,
    coerced: Option<&'a Coerced>,
}

fn refusal(outcome: &StoreOutcome) -> Option<Refusal<'_>> {
    let StoreOutcome::Refused {
        code,
        text,
        sop_class,
        sop_instance,
    } = outcome
    else {
        return None;
    };
    let class = sop_class.as_ref().map(SopClassUid::as_str);
    let instance = sop_instance.as_ref().map(SopInstanceUid::as_str);
    let known = class.is_some() || instance.is_some();
    Some(Refusal {
        code: *code,
        text,
        identity: known.then(|| (class.unwrap_or_default(), instance.unwrap_or_default())),
    })
}

/// A refused part that says what it is (T44).
fn identified(outcome: &StoreOutcome) -> Option<Refusal<'_>> {
    refusal(outcome).filter(|refusal| refusal.identity.is_some())
}

/// A refused part that is nothing known (T45).
fn unidentified(outcome: &StoreOutcome) -> Option<Refusal<'_>> {
    refusal(outcome).filter(|refusal| refusal.identity.is_none())
}

fn stored(outcome: &StoreOutcome) -> Option<Reference<'_>> {
    match outcome {
        StoreOutcome::Stored {
            path,
            sop_class,
            warning,
            coerced,
            ..
        } => Some(Reference {
            path,
            sop_class,
            warning: warning.as_ref().map(|(code, text)| (*code, text.as_str())),
            coerced: coerced.as_ref(),
        }),
        StoreOutcome::Refused { .. } => None,
    }
}

/// What fits into a comment, without half a word at its end.
fn cut_at_word(comment: &str) -> &str {
    let Some((end, next)) = comment.char_indices().nth(MAX_COMMENT_CHARS) else {
        return comment;
    };
    let cut = comment.get(..end).unwrap_or_default();
    match cut.rsplit_once(' ') {
        Some((words, _)) if next != ' ' => words,
        _ => cut,
    }
}

struct Body<'a> {
    base_url: &'a str,
    text: String,
}

impl Body<'_> {
    /// A sequence at the top level, left out when it would be empty (T43 to T45).
    fn sequence<T>(&mut self, tag: &str, items: impl Iterator<Item = T>, item: fn(&mut Self, &T)) {
        let mut empty = true;
        for one in items {
            if empty {
                self.text.push_str(",\"");
                self.text.push_str(tag);
                self.text.push_str("\":{\"vr\":\"SQ\",\"Value\":[");
            } else {
                self.text.push(',');
            }
            empty = false;
            self.text.push('{');
            item(self, &one);
            self.text.push('}');
        }
        if !empty {
            self.text.push_str("]}");
        }
    }

    fn reference(&mut self, reference: &Reference<'_>) {
        let Reference {
            path,
            sop_class,
            warning,
            coerced,
        } = reference;
        if let Some((_, comment)) = warning {
            self.comment(comment);
        }
        self.uid("00081150", sop_class.as_str());
        self.text.push(',');
        self.uid("00081155", path.instance.as_str());
        self.text.push(',');
        self.element("00081190", "UR", |body| {
            body.url(&[
                ("/studies/", path.study.as_str()),
                ("/series/", path.series.as_str()),
                ("/instances/", path.instance.as_str()),
            ]);
        });
        if let Some((code, _)) = warning {
            self.text.push(',');
            self.reason("00081196", *code);
        }
        if let Some(coerced) = coerced {
            self.original_attributes(coerced);
        }
    }

    /// Original Attributes Sequence (PS3.3 C.12.1.1.9): what the object says where the index says something else.
    fn original_attributes(&mut self, coerced: &Coerced) {
        self.text.push(',');
        self.element("04000561", "SQ", |body| {
            body.text.push('{');
            body.element("04000550", "SQ", |body| {
                body.text.push('{');
                body.element("00100021", "LO", |body| {
                    body.string(&coerced.issuer_of_patient_id);
                });
                body.text.push('}');
            });
            for (tag, vr, value) in [
                ("04000562", "DT", coerced.date_time().as_str()),
                ("04000563", "LO", "kura"),
                ("04000565", "CS", "COERCE"),
            ] {
                body.text.push(',');
                body.element(tag, vr, |body| body.string(value));
                if tag == "04000563" {
                    // Source of Previous Values: not known, and of type 2.
                    body.text.push_str(",\"04000564\":{\"vr\":\"LO\"}");
                }
            }
            body.text.push('}');
        });
    }

    fn failure(&mut self, refusal: &Refusal<'_>) {
        self.comment(refusal.text);
        if let Some((class, instance)) = refusal.identity {
            self.uid("00081150", class);
            self.text.push(',');
            self.uid("00081155", instance);
            self.text.push(',');
        }
        self.reason("00081197", refusal.code);
    }

    /// Error Comment, and the comma behind it; nothing where there is nothing to say.
    fn comment(&mut self, comment: &str) {
        let cut = cut_at_word(comment);
        // A backslash would make it two values, and controls are not allowed in LO.
        let cut = cut.replace(|c: char| c == '\\' || c.is_control(), " ");
        let cut = cut.trim();
        if cut.is_empty() {
            return;
        }
        self.element("00000902", "LO", |body| body.string(cut));
        self.text.push(',');
    }

    /// A UID, present and empty where it is not known.
    fn uid(&mut self, tag: &str, uid: &str) {
        if uid.is_empty() {
            self.text.push('"');
            self.text.push_str(tag);
            self.text.push_str("\":{\"vr\":\"UI\"}");
        } else {
            self.element(tag, "UI", |body| body.string(uid));
        }
    }

    fn reason(&mut self, tag: &str, code: u16) {
        self.element(tag, "US", |body| {
            write!(body.text, "{code}").expect("a String takes everything");
        });
    }

    fn element(&mut self, tag: &str, vr: &str, value: impl FnOnce(&mut Self)) {
        for piece in ["\"", tag, "\":{\"vr\":\"", vr, "\",\"Value\":["] {
            self.text.push_str(piece);
        }
        value(self);
        self.text.push_str("]}");
    }

    fn string(&mut self, text: &str) {
        let json = serde_json::to_string(text).expect("a text is always JSON");
        self.text.push_str(&json);
    }

    /// A URL below the base.
    fn url(&mut self, steps: &[(&str, &str)]) {
        let mut url = self.base_url.to_owned();
        for (step, uid) in steps {
            url.push_str(step);
            url.push_str(uid);
        }
        self.string(&url);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::SeriesUid;

    fn stored(study: &str, instance: &str) -> StoreOutcome {
        StoreOutcome::Stored {
            path: InstancePath {
                study: StudyUid::parse(study).unwrap(),
                series: SeriesUid::parse("1.2").unwrap(),
                instance: SopInstanceUid::parse(instance).unwrap(),
            },
            sop_class: SopClassUid::parse("1.2.840.10008.5.1.4.1.1.2").unwrap(),
            is_new: true,
            warning: None,
            coerced: None,
        }
    }

    fn odd(study: &str, instance: &str) -> StoreOutcome {
        let mut outcome = stored(study, instance);
        if let StoreOutcome::Stored { warning, .. } = &mut outcome {
            *warning = Some((45063, "(0008,0020) StudyDate: no date".into()));
        }
        outcome
    }

    fn refused(text: &str, class: Option<&str>, instance: Option<&str>) -> StoreOutcome {
        StoreOutcome::Refused {
            code: 49152,
            text: text.into(),
            sop_class: class.map(|uid| SopClassUid::parse(uid).unwrap()),
            sop_instance: instance.map(|uid| SopInstanceUid::parse(uid).unwrap()),
        }
    }

    fn answer(outcomes: &[StoreOutcome]) -> Value {
        serde_json::from_slice(&build("https://x/dicom-web", outcomes)).unwrap()
    }

    #[test]
    fn t40_the_status_tells_all_some_or_none() {
        let bad = || refused("", None, None);
        assert_eq!(status(&[stored("1.1", "1")]), 200);
        assert_eq!(status(&[stored("1.1", "1"), odd("1.1", "2")]), 202);
        assert_eq!(status(&[bad(), stored("1.1", "1")]), 202);
        assert_eq!(status(&[bad(), bad()]), 409);
        assert_eq!(status(&[]), 409);
    }

    #[test]
    fn t41_the_body_is_one_object_with_what_applies() {
        let url = "https://x/dicom-web/studies/1.1";
        assert_eq!(
            answer(&[stored("1.1", "1.9")]),
            json!({
                "00081190": {"vr": "UR", "Value": [url]},
                "00081199": {"vr": "SQ", "Value": [{
                    "00081150": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]},
                    "00081155": {"vr": "UI", "Value": ["1.9"]},
                    "00081190": {"vr": "UR", "Value": [format!("{url}/series/1.2/instances/1.9")]},
                }]},
            })
        );
    }

    #[test]
    fn t42_the_url_of_the_study_is_empty_unless_all_share_one() {
        let empty = json!({"vr": "UR"});
        assert_eq!(
            answer(&[stored("1.1", "1"), stored("1.2", "2")])["00081190"],
            empty
        );
        assert_eq!(answer(&[refused("", None, None)])["00081190"], empty);
        let shared = [refused("", None, None), stored("1.1", "1"), odd("1.1", "2")];
        assert_ne!(answer(&shared)["00081190"], empty);
    }

    #[test]
    fn t44_an_identified_failure_has_what_is_known() {
        let outcomes = [
            refused("value of (0028,0010) Rows is cut", Some("1.5"), None),
            refused("", None, Some("1.6")),
        ];
        let json = answer(&outcomes);
        assert_eq!(
            json["00081198"]["Value"],
            json!([
                {
                    "00000902": {"vr": "LO", "Value": ["value of (0028,0010) Rows is cut"]},
                    "00081150": {"vr": "UI", "Value": ["1.5"]},
                    "00081155": {"vr": "UI"},
                    "00081197": {"vr": "US", "Value": [49152]},
                },
                {
                    "00081150": {"vr": "UI"},
                    "00081155": {"vr": "UI", "Value": ["1.6"]},
                    "00081197": {"vr": "US", "Value": [49152]},
                },
            ])
        );
        assert!(json.get("00081199").is_none() && json.get("0008119A").is_none());
    }

    #[test]
    fn t45_what_is_not_dicom_is_an_other_failure() {
        let json = answer(&[refused("no DICOM file", None, None)]);
        assert_eq!(
            json["0008119A"]["Value"][0]["00081197"]["Value"],
            json!([49152])
        );
        assert!(json.get("00081198").is_none());
    }

    #[test]
    fn t46_the_reason_of_a_warning_is_a_number() {
        let json = answer(&[odd("1.1", "1")]);
        assert_eq!(
            json["00081199"]["Value"][0]["00081196"]["Value"],
            json!([45063])
        );
    }

    #[test]
    fn t47_a_comment_is_cut_at_64_characters_and_injects_nothing() {
        let comment = |text: &str| {
            let json = answer(&[refused(text, None, None)]);
            json["0008119A"]["Value"][0]["00000902"]["Value"].clone()
        };
        assert_eq!(comment(&"値".repeat(70)), json!(["値".repeat(64)]));
        let words = format!("{} word", "a".repeat(60));
        assert_eq!(comment(&words), json!(["a".repeat(60)]));
        assert_eq!(comment(&words[1..]), json!([words[1..]]));
        assert_eq!(comment("a\"},\\b\r\nc"), json!(["a\"}, b  c"]));
        assert_eq!(comment(" \r"), Value::Null);
    }

    #[test]
    fn t50_items_stand_in_the_order_of_the_parts() {
        let outcomes: Vec<_> = (0..500)
            .map(|i| match i % 2 {
                0 => stored("1.1", &format!("1.{i}")),
                _ => refused("", None, Some(&format!("1.{i}"))),
            })
            .collect();
        let json = answer(&outcomes);
        for (tag, first) in [("00081199", 0), ("00081198", 1)] {
            for (at, item) in json[tag]["Value"].as_array().unwrap().iter().enumerate() {
                assert_eq!(
                    item["00081155"]["Value"][0],
                    format!("1.{}", first + 2 * at)
                );
            }
        }
    }
}
