//! What this server offers (PS3.18 8.9, dicomweb.md 11.1): made from the routes, the tables of attributes and transfer
//! syntaxes, and the limits, which docs/conformance.md is made from too.

use std::fmt::Write as _;

use actix_web::http::header::{CACHE_CONTROL, VARY};
use actix_web::{HttpRequest, HttpResponse, get, options};
use serde_json::{Value, json};

use crate::dicom::dictionary::TABLE;
use crate::dicom::query::{MAX_INSTANCES, MAX_STUDIES, PAGE_INSTANCES, PAGE_STUDIES};
use crate::error::Result;
use crate::http::accept::{Accept, Offer};
use crate::http::problem::{Problem, VARY_BY};
use crate::http::{Kura, openapi};
use crate::index::search::MORE_BOUND;
use crate::model::TransferSyntax;

const ROOT: &str = "/dicomweb";
const JSON: &str = "application/json";
const WADL: &str = "application/vnd.sun.wadl+xml";

/// List what is offered.
#[utoipa::path(tag = "capabilities", operation_id = "capabilities", responses((status = 200, content_type = "application/json", body = Object, description = "Resources, media types, transfer syntaxes, query keys and limits"), (status = 406, content_type = "application/problem+json", body = Problem, description = "Neither JSON nor WADL is accepted")), security(()))]
#[get("")]
pub(crate) async fn get_root(
    kura: Kura,
    accept: Accept,
    request: HttpRequest,
) -> Result<HttpResponse> {
    answer(&kura, &accept, &request)
}

/// List what is offered, as the standard asks for it.
#[utoipa::path(tag = "capabilities", operation_id = "capabilitiesByOptions", responses((status = 200, content_type = "application/json", body = Object, description = "Resources, media types, transfer syntaxes, query keys and limits"), (status = 406, content_type = "application/problem+json", body = Problem, description = "Neither JSON nor WADL is accepted")), security(()))]
#[options("")]
pub(crate) async fn options_root(
    kura: Kura,
    accept: Accept,
    request: HttpRequest,
) -> Result<HttpResponse> {
    answer(&kura, &accept, &request)
}

fn answer(kura: &Kura, accept: &Accept, request: &HttpRequest) -> Result<HttpResponse> {
    let offers = [Offer::single(JSON), Offer::single(WADL)];
    let is_wadl = accept.choose(&offers)?.media_type == WADL;
    let root = kura.urls(request).root();
    let document = serde_json::to_value(openapi::document()).unwrap_or_default();
    let resources = resources(&document);
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header((VARY, VARY_BY))
        .insert_header(("Allow", "GET, HEAD, OPTIONS"));
    if is_wadl {
        return Ok(response.content_type(WADL).body(wadl(&root, &resources)));
    }
    Ok(response.json(capabilities(kura, &root, &resources)))
}

/// One route of DICOMweb.
struct Resource<'a> {
    path: &'a str,
    methods: Vec<(String, &'a Value)>,
}

fn resources(document: &Value) -> Vec<Resource<'_>> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths
        .filter_map(|(path, item)| {
            let path = path.strip_prefix(ROOT)?;
            let methods = item.as_object().into_iter().flatten();
            let methods = methods
                .filter(|(_, operation)| operation["operationId"].is_string())
                .map(|(name, operation)| (name.to_uppercase(), operation));
            Some(Resource {
                path: if path.is_empty() { "/" } else { path },
                methods: methods.collect(),
            })
        })
        .collect()
}

/// What an operation gives where it succeeds.
fn media_types(operation: &Value) -> Vec<&str> {
    let responses = operation["responses"].as_object().into_iter().flatten();
    let mut types: Vec<&str> = responses
        .filter(|(status, _)| status.starts_with('2'))
        .flat_map(|(_, response)| response["content"].as_object().into_iter().flatten())
        .map(|(media_type, _)| media_type.as_str())
        .collect();
    types.sort_unstable();
    types.dedup();
    types
}

fn capabilities(kura: &Kura, root: &str, resources: &[Resource<'_>]) -> Value {
    let resources: Vec<Value> = resources
        .iter()
        .map(|resource| {
            let methods: Vec<Value> = resource
                .methods
                .iter()
                .map(|(name, operation)| {
                    json!({
                        "name": name,
                        "service": operation["tags"][0],
                        "operation": operation["operationId"],
                        "mediaTypes": media_types(operation),
                    })
                })
                .collect();
            json!({"path": resource.path, "methods": methods})
        })
        .collect();
    let syntaxes = TransferSyntax::all().iter().map(|syntax| {
        json!({"uid": syntax.uid, "name": syntax.name, "mediaType": syntax.media_type, "lossy": syntax.lossy})
    });
    let keys = TABLE.iter().map(|row| {
        json!({
            "level": format!("{:?}", row.level).to_lowercase(),
            "tag": format!("{:04X}{:04X}", row.tag.group(), row.tag.element()),
            "keyword": row.keyword,
            "vr": row.vr.to_string(),
            "matching": format!("{:?}", row.matching).to_lowercase(),
        })
    });
    let stores = kura.archive.limits();
    json!({
        "name": "kura",
        "version": env!("CARGO_PKG_VERSION"),
        "root": root,
        "description": "docs/conformance.md says the same for people",
        "resources": resources,
        "transferSyntaxes": syntaxes.collect::<Vec<_>>(),
        "queryKeys": keys.collect::<Vec<_>>(),
        "characterSets": ["utf-8"],
        "limits": {
            "studiesDefault": PAGE_STUDIES,
            "studiesMaximum": MAX_STUDIES,
            "seriesDefault": PAGE_INSTANCES,
            "seriesMaximum": MAX_STUDIES,
            "instancesDefault": PAGE_INSTANCES,
            "instancesMaximum": MAX_INSTANCES,
            "offsetMaximum": null,
            "additionalResultsCountedTo": MORE_BOUND,
            "requestTargetBytes": kura.limits.request_line_bytes,
            "headerBytes": kura.limits.header_bytes,
            "storeRequestBytes": stores.request_bytes,
            "storeExpandedBytes": stores.expanded_bytes,
            "storeParts": stores.parts,
            "instanceBytes": stores.instance_bytes,
            "frameBytes": 512_u32 << 20,
            "viewportPixels": 8192,
        },
    })
}

/// The resources in the Web Application Description Language, as far as PS3.18 8.9.4 asks for it.
fn wadl(root: &str, resources: &[Resource<'_>]) -> String {
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
        <application xmlns=\"http://wadl.dev.java.net/2009/02\">\n"
        .to_owned();
    // Base and paths hold no character that XML writes otherwise; media types hold quotation marks.
    writeln!(text, "<resources base=\"{root}/\">").expect("a String takes everything");
    for resource in resources {
        let path = resource.path.trim_start_matches('/');
        writeln!(text, "<resource path=\"{path}\">").expect("a String");
        for (name, operation) in &resource.methods {
            let id = operation["operationId"].as_str().unwrap_or_default();
            writeln!(text, "<method name=\"{name}\" id=\"{id}\">").expect("a String");
            for media_type in media_types(operation) {
                let media_type = media_type.replace('"', "&quot;");
                writeln!(
                    text,
                    "<response status=\"200\"><representation mediaType=\"{media_type}\"/></response>"
                )
                .expect("a String");
            }
            text.push_str("</method>\n");
        }
        text.push_str("</resource>\n");
    }
    text.push_str("</resources>\n</application>\n");
    text
}
