//! What comes back over HTTP: a status code, and always a body in JSON of `status` and `message`.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::contracts::{Answer, Unavailable};

/// The body of an answer.
#[derive(Debug, Serialize)]
struct Body {
    status: &'static str,
    message: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
}

fn answer(code: StatusCode, message: &'static str, reasons: Vec<String>) -> Response {
    let status = if code.is_success() { "accepted" } else { "error" };
    (code, Json(Body { status, message, reasons })).into_response()
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self {
            Self::Accepted => answer(StatusCode::ACCEPTED, "Processing started", Vec::new()),
            Self::Invalid(faults) => {
                answer(StatusCode::UNPROCESSABLE_ENTITY, "Validation failed", faults)
            }
            Self::Repeated => {
                let remedy = "choose another `id`, or ask for the status of this one".to_owned();
                answer(StatusCode::CONFLICT, "Request repeated", vec![remedy])
            }
        }
    }
}

/// Why a request was not taken in.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It is none.
    Malformed(JsonRejection),
    /// There is no request of this name.
    Unknown,
    /// Something is not there for now.
    Unavailable(Unavailable),
}

impl<E: Into<Unavailable>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Unavailable(error.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Malformed(why) => {
                answer(why.status(), "Validation failed", vec![why.body_text()])
            }
            Self::Unknown => answer(StatusCode::NOT_FOUND, "Request unknown", Vec::new()),
            Self::Unavailable(Unavailable(why)) => {
                let body =
                    answer(StatusCode::SERVICE_UNAVAILABLE, "Unavailable for now", vec![why]);
                ([(header::RETRY_AFTER, "5")], body).into_response()
            }
        }
    }
}
