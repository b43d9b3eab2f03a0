//! Errors outside of GraphQL, as RFC 9457 problem documents.

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::{StatusCode, header},
};
use serde::Serialize;

/// What was wrong with a request.
#[derive(Debug, Serialize)]
pub struct ProblemDocument {
    /// What kind of problem it is. There is no page to read about it, so it is `about:blank`, which
    /// says that the title is that of the status.
    r#type: &'static str,
    /// The status in words.
    title: &'static str,
    /// The status as a number.
    status: u16,
    /// What was wrong, and what would be right.
    detail: String,
    /// What kind of problem it is, for programs.
    code: &'static str,
    /// Everything that was wrong with the input, each with its place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Item>,
}

/// One thing that was wrong with the input.
#[derive(Debug, Serialize)]
pub struct Item {
    /// What kind of problem it is, for programs.
    pub code: &'static str,
    /// What is wrong and what would be right.
    pub message: String,
    /// The place in the input that caused it.
    pub path: Vec<String>,
}

impl ProblemDocument {
    /// A problem with the request as a whole.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self {
            r#type: "about:blank",
            title,
            status: status.as_u16(),
            detail: detail.into(),
            code,
            errors: Vec::new(),
        }
    }

    /// The same, with everything that was wrong with the input.
    pub fn with(self, errors: Vec<Item>) -> Self {
        Self { errors, ..self }
    }

    /// The response.
    pub fn response(&self) -> HttpResponse {
        self.build(HttpResponse::build(StatusCode::from_u16(self.status).unwrap_or_default()))
    }

    /// The response to a method that a route does not have.
    pub fn method_not_allowed(request: &HttpRequest, allowed: &'static str) -> HttpResponse {
        let detail = format!("{} does not work here; what does is {allowed}", request.method());
        let document = Self::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", detail);
        let mut response = HttpResponse::MethodNotAllowed();
        response.insert_header((header::ALLOW, allowed));
        document.build(response)
    }

    /// The same, on a response whose head has something already.
    pub(super) fn build(&self, mut response: HttpResponseBuilder) -> HttpResponse {
        let body = serde_json::to_vec(self).unwrap_or_default();
        response.content_type("application/problem+json").body(body)
    }
}

/// The response to any other method where there is only something to get.
pub async fn only_get(request: HttpRequest) -> HttpResponse {
    ProblemDocument::method_not_allowed(&request, "GET, HEAD")
}

/// The response to a path that leads nowhere.
pub async fn unknown_route(request: HttpRequest) -> HttpResponse {
    let detail = format!(
        "there is nothing at {}; /graphql, /graphiql, /schema.graphql and /batch are there",
        request.path()
    );
    ProblemDocument::new(StatusCode::NOT_FOUND, "NOT_FOUND", detail).response()
}
