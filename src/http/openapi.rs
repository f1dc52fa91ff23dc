//! The `OpenAPI` document, collected from the routes, and what follows from it: its page, and which methods a path knows.

use std::collections::BTreeSet;

use actix_web::body::MessageBody;
use actix_web::dev::{ResourceDef, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::header::ALLOW;
use actix_web::{App, HttpRequest, HttpResponse, web};
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_actix_web::AppExt;
use utoipa_actix_web::scope::scope;
use utoipa_swagger_ui::Config;

use super::dicomweb::counts::Count;
use super::dicomweb::shapes::{Binary, DataSet, DicomAttribute};
use super::mint::shapes::XmlDocument;
use super::problem::Problem;
use super::{api, dicomweb, health, metrics, mint, page};
use crate::error::{Error, Result};

/// The methods that there are. HEAD goes with GET, OPTIONS with everything.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Where the document is served.
const DOCUMENT: &str = "/openapi.json";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "kura",
        description = "A vendor-neutral archive for the medical images of a group of hospitals. A token acts for one facility; \
                       what that facility may not see does not exist for it.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    servers((url = "/", description = "this server")),
    components(schemas(Count, DataSet, DicomAttribute, Binary, XmlDocument, Problem)),
    modifiers(&Bearer)
)]
struct Frame;

/// How callers sign in: by a token, or by the session that was made from one.
struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .build();
        let components = document.components.get_or_insert_with(Default::default);
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
        let session = ApiKey::Cookie(ApiKeyValue::new("__Host-kura-session"));
        components.add_security_scheme("session", SecurityScheme::ApiKey(session));
    }
}

/// The routes and the document that describes them, from one registration.
pub(super) fn collect() -> (
    App<
        impl ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<impl MessageBody>,
            Error = actix_web::Error,
            InitError = (),
        >,
    >,
    utoipa::openapi::OpenApi,
) {
    App::new()
        .into_utoipa_app()
        .openapi(Frame::openapi())
        .service(health::live)
        .service(health::ready)
        .service(metrics::metrics)
        .service(scope("/dicomweb").configure(dicomweb::routes))
        .service(scope("/mint").configure(mint::routes))
        .service(scope("/api/v1").configure(api::routes))
        .split_for_parts()
}

/// The document.
pub fn document() -> utoipa::openapi::OpenApi {
    collect().1
}

/// Serves the document.
pub(super) async fn serve() -> HttpResponse {
    HttpResponse::Ok().json(document())
}

/// How the page of the document is set up: from files in the binary, nothing is loaded from elsewhere.
pub(super) fn swagger() -> Config<'static> {
    Config::from(DOCUMENT)
}

/// The paths of the document and their methods.
#[derive(Debug)]
pub(super) struct Allowed {
    /// Which of [`METHODS`] a path takes.
    methods: Vec<(ResourceDef, [bool; METHODS.len()])>,
    /// The segments of all paths that are no parameters.
    words: BTreeSet<String>,
}

impl Allowed {
    /// Reads them off the document.
    ///
    /// `pages` are paths that it does not describe, which can be read.
    pub(super) fn of<'a>(
        document: &utoipa::openapi::OpenApi,
        pages: impl Iterator<Item = &'a str>,
    ) -> Self {
        let paths = document.paths.paths.iter().map(|(path, item)| {
            let known = [
                item.get.is_some(),
                item.get.is_some(),
                item.post.is_some(),
                item.put.is_some(),
                item.patch.is_some(),
                item.delete.is_some(),
                true,
            ];
            (ResourceDef::new(path.as_str()), known)
        });
        let pages = pages.map(|path| {
            let known = [true, true, false, false, false, false, true];
            (ResourceDef::new(path), known)
        });
        let segments = document.paths.paths.keys().flat_map(|path| path.split('/'));
        Self {
            methods: paths.chain(pages).collect(),
            words: segments
                .filter(|segment| !segment.is_empty() && !segment.contains('{'))
                .chain(["docs", "openapi.json"])
                .map(str::to_owned)
                .collect(),
        }
    }

    /// Those of the whole interface: what the document does not describe are pages, and itself.
    pub(super) fn of_all(document: &utoipa::openapi::OpenApi) -> Self {
        let pages = page::paths().chain([DOCUMENT, "/docs", "/docs/{file}", "/mint"]);
        Self::of(document, pages)
    }

    /// Whether a segment of a path is one of ours, as it stands in the document.
    pub(super) fn has_word(&self, segment: &str) -> bool {
        self.words.contains(segment)
    }

    /// What a path allows, as `Allow` lists it; `None` if there is no such path.
    pub(super) fn on(&self, path: &str) -> Option<String> {
        let fitting: Vec<_> = self
            .methods
            .iter()
            .filter(|(pattern, _)| pattern.is_match(path))
            .collect();
        // A word is itself before it is a name: `/studies/count` is no study.
        let names_of = |pattern: &ResourceDef| {
            let pattern = pattern.pattern().unwrap_or_default();
            pattern.matches('{').count()
        };
        let fewest = fitting.iter().map(|(pattern, _)| names_of(pattern)).min();
        let known: Vec<_> = fitting
            .iter()
            .filter(|(pattern, _)| Some(names_of(pattern)) == fewest)
            .map(|(_, known)| known)
            .collect();
        let is_known = |at: usize| known.iter().any(|known| known.get(at) == Some(&true));
        let names = METHODS.iter().enumerate();
        let names: Vec<&str> = names
            .filter(|(at, _)| is_known(*at))
            .map(|(_, name)| *name)
            .collect();
        (!names.is_empty()).then(|| names.join(", "))
    }
}

/// What no route takes: 405 with `Allow` where the path is known (R31), else 404.
pub(super) async fn no_such_route(
    request: HttpRequest,
    allowed: web::Data<Allowed>,
) -> Result<HttpResponse> {
    match allowed.on(request.match_info().as_str()) {
        None => Err(Error::not_found()),
        Some(methods) => Ok(HttpResponse::MethodNotAllowed()
            .insert_header((ALLOW, methods))
            .finish()),
    }
}
