//! DICOMweb under `/dicomweb` (PS3.18): search, retrieve, store.

mod brought;
pub mod bulkdata;
pub mod bulkdata_of;
pub mod capabilities;
pub mod counts;
pub mod export;
pub mod frames;
pub mod metadata;
mod paths;
pub mod patients;
pub mod pixeldata;
mod pixels;
pub mod qido;
pub mod remove;
pub mod rendered;
pub mod shapes;
pub mod stow;
mod stow_data_sets;
mod unbuilt;
pub mod wado;
pub mod wado_uri;
mod zipped;

pub use self::pixels::for_any as sent_for_any;

use actix_web::web;
use utoipa_actix_web::service_config::ServiceConfig;

/// Hangs the routes in.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        // Routes are tried one after the other: what viewers ask for all the time comes first.
        .service(frames::retrieve_frames)
        .service(rendered::of_frames)
        // Before what the root itself answers: the guard lets through what asks for an object (U08).
        .route(
            "",
            web::get().guard(wado_uri::IsObject).to(wado_uri::answer),
        )
        .service(capabilities::get_root)
        .service(capabilities::options_root)
        // Before what would take `count` for a UID.
        .service(counts::of_studies)
        .service(counts::of_series)
        .service(counts::of_instances)
        .service(counts::series_of_study)
        .service(counts::instances_of_study)
        .service(counts::instances_of_series)
        .service(patients::search_patients)
        .service(export::create_export)
        .service(export::show_operation)
        .route(unbuilt::OF_STUDY, web::get().to(unbuilt::of_study))
        .route(unbuilt::OF_SERIES, web::get().to(unbuilt::of_series))
        .service(qido::search_studies)
        .service(qido::search_series)
        .service(qido::search_instances)
        .service(qido::search_series_of_study)
        .service(qido::search_instances_of_study)
        .service(qido::search_instances_of_series)
        .service(stow::store)
        .service(stow::store_into_study)
        .service(wado_uri::retrieve)
        .service(wado::retrieve_study)
        .service(wado::retrieve_series)
        .service(wado::retrieve_instance)
        .service(metadata::of_study)
        .service(metadata::of_series)
        .service(metadata::of_instance)
        .route(frames::WITHOUT_LIST, web::get().to(frames::no_list))
        .service(bulkdata::retrieve_bulkdata)
        .service(rendered::of_study)
        .service(rendered::of_series)
        .service(rendered::of_instance)
        .service(rendered::thumbnail::of_study)
        .service(rendered::thumbnail::of_series)
        .service(rendered::thumbnail::of_instance)
        .service(rendered::thumbnail::of_frames)
        .service(bulkdata_of::of_study)
        .service(bulkdata_of::of_series)
        .service(bulkdata_of::of_instance)
        .service(pixeldata::of_study)
        .service(pixeldata::of_series)
        .service(pixeldata::of_instance)
        .service(remove::delete_study)
        .service(remove::delete_series)
        .service(remove::delete_instance)
        .service(remove::reject_study)
        .service(remove::reject_series)
        .service(remove::reject_instance);
}
