//! MINT under `/mint`: whole studies (MINT chapters 2 to 16).

pub mod exact;

use utoipa_actix_web::service_config::ServiceConfig;

/// Hangs the routes in.
pub fn routes(config: &mut ServiceConfig<'_>) {
    exact::routes(config);
}
