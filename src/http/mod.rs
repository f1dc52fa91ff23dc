//! Door: HTTP. How requests arrive and answers leave; what is done in between is asked of the layers below.

pub mod accept;
pub mod api;
pub mod caller;
pub mod compress;
pub mod conditional;
pub mod cors;
mod counted;
mod credential;
pub mod data_sets;
pub mod dicomweb;
mod digest;
pub mod expand;
mod health;
mod http2;
pub mod limits;
mod log;
pub mod media_type;
mod methods;
pub mod metrics;
pub mod mint;
pub mod multipart;
pub mod openapi;
pub mod page;
pub mod precondition;
pub mod problem;
pub mod ranges;
pub mod respond;
pub mod server;
pub mod tar;
mod traced;
pub mod urls;
pub mod viewer;
mod wait;
pub mod warning;
pub mod zip;

use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::{NormalizePath, from_fn};
use actix_web::{App, HttpRequest, web};
use tokio_util::sync::CancellationToken;
use utoipa_swagger_ui::SwaggerUi;

use self::caller::Gate;
use self::cors::Origins;
use self::dicomweb::rendered::Thumbnails;
use self::limits::{InFlight, RequestLimits};
use self::metrics::Metrics;
use self::urls::{Address, BulkLinks, Urls};
use self::viewer::Viewer;
use crate::archive::Archive;
use crate::archive::shown::Links;
use crate::auth::Seal;

/// All that a handler can reach.
#[derive(Clone, Debug)]
pub struct State {
    /// The archive.
    pub archive: Archive,
    /// Seals the cursors of searches.
    pub cursors: Arc<Seal>,
    address: Address,
    limits: RequestLimits,
    origins: Origins,
    /// Part of every boundary that can be told from a tag.
    boundaries: [u8; 32],
    in_flight: InFlight,
    metrics: Option<Metrics>,
    /// Whether there is a place for exports.
    has_exports: bool,
    /// Thumbnails that were made before.
    thumbnails: Thumbnails,
    /// Cancelled when the process is told to stop.
    stopping: CancellationToken,
}

/// The state as a handler gets it.
pub type Kura = web::Data<State>;

impl State {
    /// Puts the state together; `boundaries` is a secret.
    pub fn new(archive: Archive, cursors: Seal, boundaries: [u8; 32], address: Address) -> Self {
        Self {
            archive,
            cursors: Arc::new(cursors),
            address,
            limits: RequestLimits::default(),
            origins: Origins::default(),
            boundaries,
            in_flight: InFlight::default(),
            metrics: None,
            has_exports: false,
            thumbnails: Thumbnails::default(),
            stopping: CancellationToken::new(),
        }
    }

    /// The same with what an operator decides: limits, whether there are metrics to be read, and when it is time to stop.
    #[must_use]
    pub fn operated(
        mut self,
        limits: RequestLimits,
        metrics: Option<Metrics>,
        stopping: CancellationToken,
    ) -> Self {
        self.limits = limits;
        self.metrics = metrics;
        self.stopping = stopping;
        self
    }

    /// The same for pages of `origins`.
    #[must_use]
    pub fn with_origins(mut self, origins: Origins) -> Self {
        self.origins = origins;
        self
    }

    /// The same with a place for exports, or without one.
    #[must_use]
    pub fn with_exports(mut self, has_exports: bool) -> Self {
        self.has_exports = has_exports;
        self
    }

    /// The same behind another address.
    #[must_use]
    pub fn at(&self, address: Address) -> Self {
        Self {
            address,
            ..self.clone()
        }
    }

    /// The addresses as the caller of `request` sees them (A30).
    pub fn urls(&self, request: &HttpRequest) -> Urls {
        Urls::of(request, &self.address)
    }

    /// Where the links of metadata lead in the answer to `request` (J40, J41).
    pub fn bulk_links(&self, request: &HttpRequest) -> Links {
        match (self.address.bulk_links, urls::up_from(request)) {
            (BulkLinks::Relative, Some(up)) => Links::From(up.to_owned()),
            (BulkLinks::Relative, None) | (BulkLinks::Absolute, _) => {
                Links::Under(self.urls(request).root())
            }
        }
    }
}

/// The application with all its routes; with the viewer's pages in place of our own where there is one.
pub fn app(
    state: Kura,
    gate: web::Data<Gate>,
    viewer: Option<Viewer>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    let (app, document) = openapi::collect();
    app.app_data(state)
        .app_data(gate)
        .app_data(web::Data::new(openapi::Allowed::of_all(&document)))
        .route("/openapi.json", web::get().to(openapi::serve))
        .service(web::redirect("/docs", "/docs/index.html"))
        .service(SwaggerUi::new("/docs/{_:.*}").config(openapi::swagger()))
        .configure(move |config| match viewer {
            Some(viewer) => viewer.routes(config),
            None => page::routes(config),
        })
        .default_service(web::to(openapi::no_such_route))
        .wrap(from_fn(compress::answer))
        .wrap(from_fn(conditional::answer))
        .wrap(from_fn(methods::answer))
        // R30: a path may end in a slash.
        .wrap(NormalizePath::trim())
        .wrap(from_fn(urls::note_slashes))
        .wrap(from_fn(limits::keep))
        .wrap(from_fn(problem::finish))
        .wrap(from_fn(cors::preflight))
        .wrap(from_fn(log::request))
        .wrap(from_fn(cors::headers))
}
