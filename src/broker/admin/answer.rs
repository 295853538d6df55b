//! Answers in Pulsar's forms.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use serde_json::json;

use crate::error::{Error, ErrorKind};

/// A refusal: the status, and the reason as text.
pub struct Refusal(pub StatusCode, pub String);

pub type Answer = Result<Response, Refusal>;

impl Refusal {
    pub fn new(status: u16, reason: impl Into<String>) -> Self {
        Self(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), reason.into())
    }

    pub fn respond(self) -> Response {
        with_status(self.0, &json!({ "reason": self.1 }))
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let status = match error.kind() {
            ErrorKind::TopicNotFound | ErrorKind::SubscriptionNotFound | ErrorKind::ConsumerNotFound => 404,
            ErrorKind::InvalidTopic | ErrorKind::InvalidOption => 412,
            ErrorKind::NotAllowed | ErrorKind::IncompatibleSchema | ErrorKind::ConsumerBusy => 409,
            ErrorKind::Authentication => 401,
            ErrorKind::Authorization => 403,
            ErrorKind::ServiceNotReady | ErrorKind::Closed => 503,
            _ => 500,
        };
        Self::new(status, error.to_string())
    }
}

/// A value as JSON.
#[allow(clippy::unnecessary_wraps, reason = "how a handler ends")]
pub fn json(value: &impl Serialize) -> Answer {
    Ok(with_status(StatusCode::OK, value))
}

pub fn with_status(status: StatusCode, value: &impl Serialize) -> Response {
    let text = serde_json::to_vec(value).unwrap_or_default();
    typed(status, text, "application/json")
}

pub fn typed(status: StatusCode, bytes: Vec<u8>, kind: &'static str) -> Response {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Done, and nothing to say.
#[allow(clippy::unnecessary_wraps, reason = "how a handler ends")]
pub fn done() -> Answer {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}
