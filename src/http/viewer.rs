//! OHIF at an address of its own (clients.md): its finished build from a folder, the configuration that makes it ask here, and
//! beside them every route of the archive, so that all it asks is of one origin and the session's cookie goes with it.

use std::path::{Path, PathBuf};

use actix_files::{Files, NamedFile};
use actix_web::dev::{ServiceRequest, ServiceResponse, fn_service};
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::middleware::DefaultHeaders;
use actix_web::{HttpResponse, web};

use crate::error::{Error, Result};

/// Scripts of this server only. OHIF compiles WebAssembly, makes workers and pictures of blobs, writes styles into elements,
/// and its page holds two short scripts. It frames stored PDF documents, and nobody may frame it.
const POLICY: &str = "default-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'; \
    script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval' blob:; worker-src 'self' blob:; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; media-src 'self' blob:; \
    frame-src 'self' blob:; object-src 'self' blob:";

/// The workers that decode tiles of slides make functions of texts. A worker goes by the policy of its own file, so that the
/// page keeps the stricter one.
const WORKERS: &str = "/dicom-microscopy-viewer";
const POLICY_OF_WORKERS: &str = "default-src 'none'; script-src 'self' 'unsafe-eval' 'wasm-unsafe-eval'; \
    connect-src 'self' data: blob:";

/// What OHIF reads before it starts.
const CONFIGURATION: &str = include_str!("../../web/ohif-config.js");
/// Where a reader without a session gets one.
const SIGN_IN: &str = include_str!("../../web/sign-in.html");
const SIGN_IN_SCRIPT: &str = include_str!("../../web/sign-in.js");

const STYLE: &str = include_str!("../../web/demo.css");
const ICON: &str = include_str!("../../web/icon.svg");

/// Below these nothing is OHIF's.
const OURS: [&str; 4] = ["/dicomweb", "/api/", "/health", "/metrics"];

/// Where the build lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Viewer {
    folder: PathBuf,
}

impl Viewer {
    /// The build in `folder`.
    ///
    /// # Errors
    /// `Kind::Invalid` if there is none.
    pub fn open(folder: &Path) -> Result<Self> {
        if folder.join("index.html").is_file() {
            let folder = folder.to_owned();
            return Ok(Self { folder });
        }
        let folder = folder.display();
        Err(Error::invalid(format!(
            "configuration: viewer.folder takes a folder with OHIF's build, and {folder} holds no index.html"
        )))
    }

    /// Adds its files. They need no token: they show nothing of anybody. A path that is no file is a page of OHIF's own.
    pub(super) fn routes(&self, config: &mut web::ServiceConfig) {
        let index = self.folder.join("index.html");
        let page = fn_service(move |request: ServiceRequest| {
            let index = index.clone();
            async move {
                let (request, _) = request.into_parts();
                if OURS.iter().any(|ours| request.path().starts_with(ours)) {
                    return Err(Error::not_found().into());
                }
                let file = NamedFile::open(&index)?;
                let response = file.into_response(&request);
                Ok(ServiceResponse::new(request, response))
            }
        });
        let files = Files::new("/", &self.folder)
            .index_file("index.html")
            .default_handler(page);
        let headers = |policy| {
            DefaultHeaders::new()
                .add((CONTENT_SECURITY_POLICY, policy))
                .add((X_CONTENT_TYPE_OPTIONS, "nosniff"))
                .add((REFERRER_POLICY, "same-origin"))
                .add((CACHE_CONTROL, "no-cache"))
        };
        let workers = self.folder.join(WORKERS.trim_start_matches('/'));
        config.service(
            web::scope(WORKERS)
                .wrap(headers(POLICY_OF_WORKERS))
                .service(Files::new("/", workers)),
        );
        config.service(
            web::scope("")
                .wrap(headers(POLICY))
                .service(text("/app-config.js", CONFIGURATION, "text/javascript"))
                .service(text("/sign-in", SIGN_IN, "text/html; charset=utf-8"))
                .service(text("/sign-in.js", SIGN_IN_SCRIPT, "text/javascript"))
                .service(text("/demo.css", STYLE, "text/css; charset=utf-8"))
                .service(text("/icon.svg", ICON, "image/svg+xml"))
                .service(files),
        );
    }
}

/// One text that is in the binary.
fn text(path: &str, body: &'static str, content_type: &'static str) -> actix_web::Resource {
    let respond = move || async move { HttpResponse::Ok().content_type(content_type).body(body) };
    web::resource(path)
        .route(web::get().to(respond))
        .route(web::head().to(respond))
}
