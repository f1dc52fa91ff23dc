//! MINT under `/mint`: search, metadata, binary items, change log (MINT 1 as its reference server 1.2 speaks it, and what
//! MINT 16 adds). One file a resource; `asked` reads what query strings say.

mod asked;
mod attributes;
mod bundle;
mod changelog;
pub mod exact;
mod feed;
mod form;
mod framing;
mod items;
mod jobs;
pub mod legacy;
mod metadata;
mod paths;
mod root;
mod search;
pub mod shapes;
mod study;
mod types;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpResponse, HttpResponseBuilder, web};
use utoipa_actix_web::service_config::ServiceConfig;

/// XML, in the one encoding that there is: readers without a charset would take it for another (MINT N09).
const XML: &str = "text/xml;charset=UTF-8";

/// Hangs the routes in.
pub fn routes(config: &mut ServiceConfig<'_>) {
    studies(config);
    exact::routes(config);
}

/// Those of studies as documents and items, without the exact form.
fn studies(config: &mut ServiceConfig<'_>) {
    config
        // Routes are tried one after the other: what viewers ask for all the time comes first.
        .service(items::retrieve)
        .route("", web::get().to(root::entry))
        .service(search::search)
        .service(changelog::of_archive)
        .service(types::list)
        .service(types::dictionary)
        .service(jobs::create)
        .service(jobs::update)
        .service(jobs::status)
        .service(study::root)
        .service(study::delete)
        .service(changelog::of_study)
        .service(bundle::retrieve)
        .service(metadata::change)
        .service(metadata::metadata)
        .service(metadata::metadata_as)
        .service(metadata::summary)
        .service(metadata::summary_as);
}

/// An answer that is a document.
fn xml(response: &mut HttpResponseBuilder, document: Vec<u8>) -> HttpResponse {
    response.insert_header((CONTENT_TYPE, XML)).body(document)
}
