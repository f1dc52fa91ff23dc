//! The plain page at `/`: what is served here, and the studies a token may see.
//!
//! Static files in the binary. They know nothing: the page asks `/dicomweb` like any other caller, with the token its
//! reader pastes. No file loads anything from elsewhere, so it works in a hospital network.

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::{HttpResponse, web};

/// Scripts, styles and requests to this server only; nobody may frame the page.
const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'";

struct Asset {
    path: &'static str,
    content_type: &'static str,
    body: &'static str,
}

static ASSETS: &[Asset] = &[
    Asset {
        path: "/",
        content_type: "text/html; charset=utf-8",
        body: include_str!("../../web/index.html"),
    },
    Asset {
        path: "/demo.css",
        content_type: "text/css; charset=utf-8",
        body: include_str!("../../web/demo.css"),
    },
    Asset {
        path: "/demo.js",
        content_type: "text/javascript; charset=utf-8",
        body: include_str!("../../web/demo.js"),
    },
    Asset {
        path: "/icon.svg",
        content_type: "image/svg+xml",
        body: include_str!("../../web/icon.svg"),
    },
];

/// Adds the page and its files. They need no token: they show nothing of anybody.
pub fn routes(config: &mut web::ServiceConfig) {
    for asset in ASSETS {
        config.route(
            asset.path,
            web::get().to(move || async move { respond(asset) }),
        );
    }
}

/// Where they are.
pub(super) fn paths() -> impl Iterator<Item = &'static str> {
    ASSETS.iter().map(|asset| asset.path)
}

fn respond(asset: &Asset) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(asset.content_type)
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(asset.body)
}

#[cfg(test)]
mod tests {
    use actix_web::body::MessageBody;
    use actix_web::http::{Method, StatusCode};
    use actix_web::{App, test};

    use super::*;

    async fn check(method: Method, path: &str, status: StatusCode, content_type: &str) {
        let app = test::init_service(App::new().configure(routes)).await;
        let request = test::TestRequest::default().method(method).uri(path);
        let response = test::call_service(&app, request.to_request()).await;
        assert_eq!(response.status(), status, "{path}");
        if status != StatusCode::OK {
            return;
        }
        let headers = response.headers();
        assert_eq!(headers.get("content-type").unwrap(), content_type);
        assert_eq!(headers.get(X_CONTENT_TYPE_OPTIONS).unwrap(), "nosniff");
        let policy = headers.get(CONTENT_SECURITY_POLICY).unwrap();
        assert!(policy.to_str().unwrap().starts_with("default-src 'self';"));
        assert!(
            response
                .into_body()
                .try_into_bytes()
                .is_ok_and(|b| !b.is_empty())
        );
    }

    #[actix_web::test]
    async fn the_page_and_its_files_are_served_with_their_types() {
        check(Method::GET, "/", StatusCode::OK, "text/html; charset=utf-8").await;
        let css = "text/css; charset=utf-8";
        check(Method::GET, "/demo.css", StatusCode::OK, css).await;
        let script = "text/javascript; charset=utf-8";
        check(Method::GET, "/demo.js", StatusCode::OK, script).await;
    }

    #[actix_web::test]
    async fn nothing_else_is_served() {
        for path in ["/demo.map", "/index.html", "/../Cargo.toml", "//"] {
            check(Method::GET, path, StatusCode::NOT_FOUND, "").await;
        }
    }

    #[test]
    async fn no_file_asks_another_host_or_writes_script_into_the_page() {
        for asset in ASSETS {
            // The name of the SVG vocabulary is no address that is asked.
            let body = asset.body.replace("http://www.w3.org/2000/svg", "");
            for foreign in [
                "http://",
                "https://",
                "//cdn",
                "<style",
                "onclick=",
                "innerHTML",
            ] {
                assert!(!body.contains(foreign), "{}: {foreign}", asset.path);
            }
        }
    }
}
