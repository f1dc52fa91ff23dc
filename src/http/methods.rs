//! What every resource answers beside its own methods: HEAD, which is GET without its body (Q115), and OPTIONS, which says
//! what there is (A02).

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{ALLOW, RANGE};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};
use bytes::Bytes;

use super::openapi::Allowed;

/// Where OPTIONS is a resource of its own (A01).
const CAPABILITIES: &str = "/dicomweb";

/// Answers OPTIONS where the path is known, and asks GET for HEAD. What OPTIONS says is the same for everybody, so it
/// asks for no token.
pub(super) async fn answer<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let path = request.match_info().as_str();
    if request.method() == Method::OPTIONS && path != CAPABILITIES {
        let allowed = request.app_data::<web::Data<Allowed>>();
        if let Some(methods) = allowed.and_then(|allowed| allowed.on(path)) {
            let answer = HttpResponse::NoContent()
                .insert_header((ALLOW, methods))
                .finish();
            return Ok(request.into_response(answer).map_into_left_body());
        }
    }
    let is_head = request.method() == Method::HEAD;
    if is_head {
        request.head_mut().method = Method::GET;
        // Ranges are of GET (RFC 9110 14.2).
        request.headers_mut().remove(RANGE);
    }
    let response = next.call(request).await?;
    if is_head {
        let unsent = |_: &mut _, body: B| Unsent(body.size());
        return Ok(response
            .map_body(unsent)
            .map_into_left_body()
            .map_into_right_body());
    }
    Ok(response.map_into_right_body().map_into_right_body())
}

/// A body of which the length is told and nothing is read.
struct Unsent(BodySize);

impl MessageBody for Unsent {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        self.0
    }

    fn poll_next(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(None)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::App;
    use actix_web::body::SizedStream;
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, call_service, init_service};

    use super::*;

    #[actix_web::test]
    async fn q115_a_body_is_not_read_for_head() {
        async fn long() -> HttpResponse {
            let never = futures::stream::poll_fn(|_| -> Poll<Option<Result<Bytes, Error>>> {
                panic!("it is read")
            });
            HttpResponse::Ok().body(SizedStream::new(1 << 40, never))
        }
        let app = App::new()
            .route("/long", web::get().to(long))
            .wrap(from_fn(answer));
        let app = init_service(app).await;
        let request = TestRequest::default().method(Method::HEAD).uri("/long");
        let answer = call_service(&app, request.to_request()).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.response().body().size(), BodySize::Sized(1 << 40));
        let body = actix_web::body::to_bytes(answer.into_body()).await;
        assert!(body.is_ok_and(|body| body.is_empty()));
    }
}
