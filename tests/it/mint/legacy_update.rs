//! Updates over the legacy listener: uploaders that find a study there add to it (MINT 12.1), within the scopes that the operator
//! gave (MINT F03, F05).

use super::create::{DOCUMENT, STUDY, document, form, items, made};
use super::legacy::{get, path_of, post, start};
use super::update::{changed, failed, field, of_instance, small};
use super::values;
use crate::harness::Answer;
use crate::harness::wire::Wire;

const SEARCH: &str = "/MINTServer/studies?studyInstanceUID=2.25.70010&patientID=0042-7";

/// A new instance, as it comes without pixels.
const ADDED: &str = "<attr tag=\"00080016\" vr=\"UI\" val=\"1.2.840.10008.5.1.4.1.1.2\"/>\
                     <attr tag=\"00080018\" vr=\"UI\" val=\"2.25.70109\"/><attr tag=\"00200013\" vr=\"IS\" val=\"9\"/>";

fn create(base: &str) -> String {
    let mut fields = vec![document(DOCUMENT)];
    fields.extend(items());
    let answer = post(&mut Wire::to(base), base, "createstudy", &form(&fields));
    made(&get(base, path_of(&answer.header("location"))))
}

/// Sends an update of what a search finds, and gives its job.
fn update(base: &str, text: &str) -> Answer {
    let found = get(base, SEARCH);
    let [uuid, version] = ["studyUUID", "version"].map(|name| values(&found, name).remove(0));
    let body = form(&[
        field("studyUUID", &uuid),
        field("oldVersion", &version),
        document(text),
    ]);
    let answer = post(&mut Wire::to(base), base, "updatestudy", &body);
    assert_eq!(answer.status, 303, "{}", answer.text());
    let location = answer.header("location");
    assert!(location.starts_with(base), "{location}");
    get(base, path_of(&location))
}

#[test]
fn mint_f05_f03_an_uploader_adds_and_only_who_may_correct_replaces() {
    let add = small("", "", "", &of_instance("2.25.70109", ADDED));
    let replace = small("<attr tag=\"00080050\" vr=\"SH\" val=\"K-9\"/>", "", "", "");
    let exclude = small(
        "",
        "",
        "",
        "<instance sopInstanceUID=\"2.25.70101\" transferSyntaxUID=\"1.2.840.10008.1.2.1\" exclude=\"true\"/>",
    );
    for (scopes, may_correct) in [
        (",scopes=[\"dicom.read\",\"dicom.write\"]", false),
        (
            ",scopes=[\"dicom.read\",\"dicom.write\",\"dicom.correct\"]",
            true,
        ),
    ] {
        let (_server, base) = start(scopes);
        let uuid = create(&base);
        changed(&update(&base, &add), "1");
        let replaced = update(&base, &replace);
        if may_correct {
            changed(&replaced, "2");
        } else {
            let reason = failed(&replaced);
            assert!(reason.contains("dicom.correct"), "{reason}");
        }
        // To delete is nobody's there.
        let reason = failed(&update(&base, &exclude));
        assert!(reason.contains("dicom.delete"), "{reason}");
        let summary = get(&base, &format!("/MINTServer/studies/{uuid}/DICOM/summary"));
        assert_eq!(values(&summary, "studyInstanceUID"), [STUDY]);
        assert_eq!(values(&summary, "instanceCount")[0], "4");
    }
}

#[test]
fn mint_f05_f03_who_reads_there_changes_nothing() {
    let (server, base) = start("");
    let body = form(&[field("studyUUID", "x"), document(DOCUMENT)]);
    let answer = post(&mut Wire::to(&base), &base, "updatestudy", &body);
    assert_eq!(answer.status, 403, "{}", answer.text());
    drop(server);
}
