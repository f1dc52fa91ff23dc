//! Rows of DICOM JSON that a file of its own shows (dicomweb.md 5.1 to 5.3).

use serde_json::{Value, json};

use crate::harness::{Server, instance};

const AT: &str = "/studies/1.1/series/1.1.1/instances/1.1.1.1";

fn each(value: &Value, of: &mut impl FnMut(&serde_json::Map<String, Value>)) {
    match value {
        Value::Object(members) => {
            of(members);
            members.values().for_each(|member| each(member, of));
        }
        Value::Array(values) => values.iter().for_each(|value| each(value, of)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn j04_j15_j31_j32_j33_j34_j44_each_value_has_its_form() {
    let server = Server::start();
    let token = server.reader("F001");
    let long = "text ".repeat(14_000);
    let points = vec!["1.5"; 9000].join("\\");
    let file = instance("1")
        .uids("1.1", "1.1.1", "1.1.1.1")
        .text(0x0009_0010, "LO", "ACME")
        .bytes(0x0009_1001, "OB", vec![7; 1024])
        .bytes(0x0009_1002, "OB", vec![7; 1026])
        .bytes(
            0x0028_0009,
            "AT",
            vec![0x18, 0, 0x63, 0x10, 0x28, 0, 0x0A, 0],
        )
        .bytes(0x0028_1201, "OW", vec![1; 512])
        .bytes(0x0028_1202, "OW", vec![1; 2048])
        .bytes(0x0028_2000, "OB", vec![2; 3000])
        .bytes(0x3006_0050, "DS", points.into_bytes())
        .bytes(0x4008_010B, "UT", long.clone().into_bytes())
        .bytes(0x6000_3000, "OW", vec![3; 2048])
        .file();
    server.stored(&token, &[file]).await;
    let text = server.get(&format!("{AT}/metadata"), &token).await.text();
    let metadata: Value = serde_json::from_str(&text).unwrap();
    each(&metadata, &mut |members| {
        if members.contains_key("vr") {
            let others = members.keys().filter(|name| *name != "vr").count();
            assert!(others <= 1, "J04: {members:?}");
        }
    });
    let (members, firsts) = (
        text.matches("\"vr\":").count(),
        text.matches("{\"vr\":").count(),
    );
    assert_eq!(members, firsts, "J04: vr comes first");
    let head = &metadata[0];
    assert_eq!(
        head["00280009"]["Value"],
        json!(["00181063", "0028000A"]),
        "J15"
    );
    for (tag, form) in [
        ("00091001", "InlineBinary"),
        ("00091002", "BulkDataURI"),
        ("00281201", "InlineBinary"),
        ("00281202", "BulkDataURI"),
        ("00282000", "BulkDataURI"),
        ("30060050", "Value"),
        ("4008010B", "BulkDataURI"),
        ("60003000", "BulkDataURI"),
        ("7FE00010", "BulkDataURI"),
    ] {
        assert!(head[tag].get(form).is_some(), "{tag} {form}");
    }
    assert_eq!(
        head["30060050"]["Value"].as_array().unwrap().len(),
        9000,
        "J34"
    );
    // J44: neither has nor needs a query; one that a client appends does no harm.
    let uri = head["4008010B"]["BulkDataURI"].as_str().unwrap();
    assert!(!uri.contains('?'));
    let path = uri.strip_prefix(&server.base).unwrap();
    for path in [path.to_owned(), format!("{path}?accept=text/plain")] {
        let value = server.get(&path, &token).await;
        assert_eq!(
            (value.status, value.body.len()),
            (200, long.len()),
            "{path}"
        );
    }
}
