//! Issuer of Accession Number Sequence (0008,0051) of a stored head, in the names that a search may give it (mint.md Q11).

use serde_json::Value;

const SEQUENCE: &str = "00080051";
/// Local Namespace Entity ID and Universal Entity ID.
const NAMES: [&str; 2] = ["00400031", "00400032"];

/// The names of the issuer, as the object has them. `head` is DICOM JSON; what is none has no issuer.
pub fn of_accession_number(head: &[u8]) -> Vec<String> {
    // Most heads are read no further than this.
    if memchr::memmem::find(head, SEQUENCE.as_bytes()).is_none() {
        return Vec::new();
    }
    let Ok(head) = serde_json::from_slice::<Value>(head) else {
        return Vec::new();
    };
    let value = |set: &Value, tag: &str| set.get(tag)?.get("Value")?.get(0).cloned();
    let Some(item) = value(&head, SEQUENCE) else {
        return Vec::new();
    };
    let names = NAMES.into_iter().filter_map(|tag| value(&item, tag));
    names
        .filter_map(|name| name.as_str().map(|name| name.trim().to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mint_q02_q11_an_issuer_has_a_local_and_a_universal_name() {
        let check = |head: &str, expected: &[&str]| {
            assert_eq!(of_accession_number(head.as_bytes()), expected, "{head}");
        };
        let item =
            r#"{"00400031":{"vr":"UT","Value":["RIS"]},"00400032":{"vr":"UT","Value":["1.2.3"]}}"#;
        check(
            &format!(r#"{{"00080051":{{"vr":"SQ","Value":[{item}]}}}}"#),
            &["RIS", "1.2.3"],
        );
        check(r#"{"00080051":{"vr":"SQ","Value":[{}]}}"#, &[]);
        check(r#"{"00080051":{"vr":"SQ"}}"#, &[]);
        check(r#"{"00080050":{"vr":"SH","Value":["00080051"]}}"#, &[]);
        check("{00080051", &[]);
    }
}
