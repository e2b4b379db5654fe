//! `GET /docs/`: Swagger UI over `/openapi.json`. Its files are part of this program.

use std::sync::Arc;

use axum::extract::Path;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use utoipa_swagger_ui::Config;

use crate::problem::Problem;

/// The page runs its own scripts and asks this service alone. It sets styles on its elements.
const PAGE: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; \
     connect-src 'self'; frame-ancestors 'none'",
);

/// `GET /docs`: the page's own references are relative to `/docs/`.
pub async fn without_slash() -> Redirect {
    Redirect::permanent("/docs/")
}

/// `GET /docs/`.
pub async fn page() -> Response {
    answer("index.html")
}

/// `GET /docs/{file}`.
pub async fn file(Path(file): Path<String>) -> Response {
    answer(&file)
}

fn answer(path: &str) -> Response {
    let config = Config::new(["/openapi.json"]).try_it_out_enabled(true);
    match utoipa_swagger_ui::serve(path, Arc::new(config)) {
        Ok(Some(found)) => {
            let kind = HeaderValue::from_str(&found.content_type);
            let headers: [(HeaderName, HeaderValue); 3] = [
                (header::CONTENT_SECURITY_POLICY, PAGE),
                (
                    header::CONTENT_TYPE,
                    kind.unwrap_or(HeaderValue::from_static("application/octet-stream")),
                ),
                (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            ];
            (headers, found.bytes.into_owned()).into_response()
        }
        Ok(None) => Problem::not_found().into_response(),
        Err(error) => {
            tracing::error!(%error, "cannot prepare the documentation page");
            Problem::internal().into_response()
        }
    }
}
