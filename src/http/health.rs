//! Health: whether the process lives, and whether it can work.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpResponse, get};

use super::Kura;
use crate::error::{Error, Kind, Result};
use crate::index::{Index, SchemaState};

/// What does not answer by then does not work: whoever asks has a limit of its own.
const WITHIN: Duration = Duration::from_secs(2);

/// The process answers.
#[utoipa::path(
    tag = "health",
    operation_id = "live",
    responses((status = 200, content_type = "text/plain", body = String, description = "The process answers")),
    security(())
)]
#[get("/health/live")]
pub(super) async fn live() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body("good\n")
}

/// Database, store and schema are as they should be, and the process is not about to stop.
#[utoipa::path(
    tag = "health",
    operation_id = "ready",
    responses(
        (status = 200, content_type = "text/plain", body = String, description = "Every part works; one line a part: `database good`"),
        (status = 503, content_type = "text/plain", body = String, description = "A part does not: `storage failed`, or the process is `stopping`")
    ),
    security(())
)]
#[get("/health/ready")]
pub(super) async fn ready(kura: Kura) -> HttpResponse {
    let index = kura.archive.index();
    let (database, schema, storage) = futures::join!(
        works(index.health()),
        works(is_current(index)),
        works(kura.archive.vault().health())
    );
    let is_stopping = kura.stopping.is_cancelled();
    let word = |works: bool| if works { "good" } else { "failed" };
    let mut lines = format!(
        "database {}\nstorage {}\nschema {}\n",
        word(database),
        word(storage),
        word(schema)
    );
    if is_stopping {
        lines.push_str("process stopping\n");
    }
    let is_ready = database && storage && schema && !is_stopping;
    let mut answer = HttpResponse::build(if is_ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    });
    if !is_ready {
        answer.insert_header((RETRY_AFTER, super::problem::RETRY_AFTER_S));
    }
    answer
        .content_type("text/plain; charset=utf-8")
        .insert_header(("cache-control", "no-store"))
        .body(lines)
}

async fn is_current(index: &Index) -> Result<()> {
    match index.schema_state().await? {
        SchemaState::Current => Ok(()),
        SchemaState::Older { .. } | SchemaState::Newer { .. } => {
            Err(Error::new(Kind::Unavailable, "the schema is another one"))
        }
    }
}

/// Whether a part answers in time; why not is for the log.
async fn works(check: impl Future<Output = Result<()>>) -> bool {
    match tokio::time::timeout(WITHIN, check).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(causes = crate::error::causes(&error), "not ready");
            false
        }
        Err(_) => {
            tracing::warn!("not ready: a part did not answer within {WITHIN:?}");
            false
        }
    }
}
