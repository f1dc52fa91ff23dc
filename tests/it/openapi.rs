//! The `OpenAPI` document equals `openapi/kura.json`, and is served with its page without the outside.

use std::path::Path;

use serde_json::Value;

use crate::harness::{Server, server};

#[test]
fn the_document_is_the_one_in_the_repository() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/kura.json");
    let document = server::kura(&std::env::temp_dir(), &["openapi"]);
    if std::env::var_os("KURA_BLESS").is_some() {
        std::fs::write(&path, &document).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        document == kept,
        "the document has changed: KURA_BLESS=1 cargo test openapi"
    );
}

#[test]
fn every_operation_says_what_generators_need() {
    let document: Value =
        serde_json::from_str(&server::kura(&std::env::temp_dir(), &["openapi"])).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["license"]["identifier"], "Apache-2.0");
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let at = format!("{method} {path}");
            assert!(operation["operationId"].is_string(), "{at} has an id");
            assert!(operation["summary"].is_string(), "{at} has a summary");
            assert!(operation["tags"][0].is_string(), "{at} has a tag");
            assert!(
                operation["security"].is_array(),
                "{at} says who may call it"
            );
            for (status, response) in operation["responses"].as_object().unwrap() {
                let description = response["description"].as_str().unwrap_or_default();
                assert!(!description.is_empty(), "{at} describes {status}");
            }
            let named: Vec<&str> = path
                .split('{')
                .skip(1)
                .filter_map(|rest| rest.split('}').next())
                .collect();
            let declared = operation["parameters"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            for name in named {
                assert!(
                    declared.iter().any(|p| p["name"] == name),
                    "{at} declares {name}"
                );
            }
        }
    }
}

#[test]
fn every_shape_that_is_named_is_there() {
    let text = server::kura(&std::env::temp_dir(), &["openapi"]);
    let document: Value = serde_json::from_str(&text).unwrap();
    for named in text.split("\"$ref\": \"#").skip(1) {
        let pointer = named.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}

#[tokio::test]
async fn the_document_and_its_page_are_served_without_a_token() {
    let server = Server::start();
    let offered = server.get("/openapi.json", "").await.json();
    let kept = server::kura(&std::env::temp_dir(), &["openapi"]);
    assert_eq!(offered, serde_json::from_str::<Value>(&kept).unwrap());
    let page = server.get("/docs", "").await;
    assert_eq!(page.status, 200, "{}", page.text());
    assert!(
        !page.text().contains("https://"),
        "nothing is loaded from elsewhere"
    );
    let script = server.get("/docs/swagger-ui-bundle.js", "").await;
    assert_eq!(script.status, 200);
    assert_eq!(server.get("/", "").await.status, 200);
}
