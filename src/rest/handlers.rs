//! The routes of `/batch`.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::{self, Data, Path, Payload, Query, ServiceConfig, resource},
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    auth::Asking,
    body::BatchBody,
    error::{misshapen, refused, unreadable},
    payload::read_body,
    precondition,
    problem::ProblemDocument,
    view::BatchView,
};
use crate::{
    config::Limits,
    domain::{
        access::Caller,
        id::{BatchId, TenantId},
        list::{BatchFilter, Order},
        page::{self, Keyed, ListKind, MAX_PAGE, Page, PageArgs},
        problem::{At, Problem, ProblemCode, Segment, keep},
    },
    services::{BatchGraph, Error, Parts, Replacement, Services},
};

/// The routes.
pub fn routes(config: &mut ServiceConfig) {
    let all = async |request: HttpRequest| ProblemDocument::method_not_allowed(&request, "GET, HEAD, POST");
    let one =
        async |request: HttpRequest| ProblemDocument::method_not_allowed(&request, "GET, HEAD, PUT, DELETE");
    config
        .service(resource(["/batch", "/batch/"]).get(list).post(create).default_service(web::to(all)))
        .service(resource("/batch/{id}").get(read).put(replace).delete(remove).default_service(web::to(one)));
}

#[derive(Deserialize)]
struct ListParameters {
    limit: Option<String>,
    cursor: Option<String>,
    tenant_id: Option<String>,
}

async fn list(request: HttpRequest, asking: Asking, services: Data<Services>) -> HttpResponse {
    let parameters = match Query::<ListParameters>::from_query(request.query_string()) {
        Ok(parameters) => parameters.into_inner(),
        Err(error) => return unreadable(StatusCode::BAD_REQUEST, "BAD_REQUEST", &error.to_string()),
    };
    asking.answer(&services, list_page(parameters, &asking.caller, &services).await)
}

async fn list_page(
    parameters: ListParameters,
    caller: &Caller,
    services: &Services,
) -> Result<HttpResponse, Error> {
    let ListParameters { limit, cursor, tenant_id } = parameters;
    let at = At::Root;
    let mut problems = Vec::new();
    let parse_tenant = |id: String| keep(TenantId::parse(&id, &at.field("tenant_id")), &mut problems);
    let tenant = tenant_id.and_then(parse_tenant);
    let limit = limit.map_or(MAX_PAGE as i32, |limit| limit.parse().unwrap_or(-1));
    let args = PageArgs { first: Some(limit), after: cursor, ..PageArgs::default() };
    let page = Page::parse(&args, ListKind::Batches, Order::NEWEST)
        .map_err(|found| problems.extend(found.into_iter().map(renamed)));
    let page = match page {
        Ok(page) if problems.is_empty() => page,
        _ => return Err(problems.into()),
    };
    let filter = BatchFilter { tenant_id: tenant, ..BatchFilter::default() };
    let slice = services.batches(caller, &filter, &page, Parts::DEFINITION).await?;

    let mut response = HttpResponse::Ok();
    if let (true, Some(last)) = (slice.has_next, slice.rows.last()) {
        let cursor = page::encode(&last.batch.key(page.order), ListKind::Batches, page.order);
        let tenant = tenant.map(|tenant| format!("&tenant_id={tenant}")).unwrap_or_default();
        let next = format!("</batch?limit={limit}&cursor={cursor}{tenant}>; rel=\"next\"");
        response.insert_header((header::LINK, next));
    }
    let batches: Vec<BatchView> = slice.rows.iter().map(|graph| BatchView::new(graph)).collect();
    Ok(response.json(batches))
}

/// A problem with a page, under the names that REST has for its parameters.
fn renamed(problem: Problem) -> Problem {
    let rename = |segment| match segment {
        Segment::Field("first") => Segment::Field("limit"),
        Segment::Field("after") => Segment::Field("cursor"),
        other => other,
    };
    Problem { path: problem.path.into_iter().map(rename).collect(), ..problem }
}

async fn read(
    request: HttpRequest,
    asking: Asking,
    id: Path<String>,
    services: Data<Services>,
) -> HttpResponse {
    asking.answer(&services, read_one(&request, &asking.caller, &id, &services).await)
}

async fn read_one(
    request: &HttpRequest,
    caller: &Caller,
    id: &str,
    services: &Services,
) -> Result<HttpResponse, Error> {
    let scope = caller.may_read()?;
    let id = parse(id)?;
    let mut found = services.batches_by_id(scope, &[id], Parts::DEFINITION).await?;
    let graph = found.remove(&id).ok_or_else(|| {
        At::Root.field("id").problem(ProblemCode::NotFound, "there is no batch with this id")
    })?;
    if precondition::is_known(request, &graph.batch) {
        return Ok(HttpResponse::NotModified().insert_header(precondition::etag(&graph.batch)).finish());
    }
    Ok(shown(StatusCode::OK, &graph))
}

async fn create(
    request: HttpRequest,
    asking: Asking,
    payload: Payload,
    services: Data<Services>,
    limits: Data<Limits>,
) -> HttpResponse {
    let BatchBody { id, mut draft } = match read_batch(&request, payload, &limits).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    if id.is_some() {
        let problem =
            At::Root.field("id").problem(ProblemCode::ReadOnly, "the system gives the id; leave it out");
        return refused(problem.into());
    }
    match request.headers().get("idempotency-key").map(|key| str::from_utf8(key.as_bytes())).transpose() {
        Ok(key) => draft.idempotency_key = key.map(ToOwned::to_owned),
        Err(_) => {
            let at = At::Root.field("idempotency_key");
            return refused(at.problem(ProblemCode::InvalidCharacter, "this is not UTF-8").into());
        }
    }
    let created = services.create_batch(&asking.caller, draft).await.map(|graph| {
        let mut response = shown(StatusCode::CREATED, &graph);
        if let Ok(location) = header::HeaderValue::from_str(&format!("/batch/{}", graph.batch.id)) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    });
    asking.answer(&services, created)
}

async fn replace(
    request: HttpRequest,
    asking: Asking,
    id: Path<String>,
    payload: Payload,
    services: Data<Services>,
    limits: Data<Limits>,
) -> HttpResponse {
    let body = match read_batch(&request, payload, &limits).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    if body.id.is_some_and(|repeated| repeated != *id) {
        let message = "this is not the id of the batch at this address; ids never change";
        return refused(At::Root.field("id").problem(ProblemCode::ReadOnly, message).into());
    }
    let replacement = Replacement { expected: precondition::expected(&request), draft: body.draft };
    let replaced = async { services.replace_batch(&asking.caller, parse(&id)?, replacement).await };
    asking.answer(&services, replaced.await.map(|graph| shown(StatusCode::OK, &graph)))
}

async fn remove(
    request: HttpRequest,
    asking: Asking,
    id: Path<String>,
    services: Data<Services>,
) -> HttpResponse {
    let expected = precondition::expected(&request);
    let removed = async { services.delete_batch(&asking.caller, parse(&id)?, expected).await };
    asking.answer(&services, removed.await.map(|graph| shown(StatusCode::OK, &graph)))
}

/// A batch, with the tag of its version.
fn shown(status: StatusCode, graph: &BatchGraph) -> HttpResponse {
    HttpResponse::build(status).insert_header(precondition::etag(&graph.batch)).json(BatchView::new(graph))
}

fn parse(id: &str) -> Result<BatchId, Error> {
    Ok(BatchId::parse(id, &At::Root.field("id"))?)
}

async fn read_batch(
    request: &HttpRequest,
    payload: Payload,
    limits: &Limits,
) -> Result<BatchBody, HttpResponse> {
    let bytes = read_body(request, payload, limits).await.map_err(|unread| {
        let (status, code, detail) = unread.told("batch", limits);
        unreadable(status, code, &detail)
    })?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| {
        unreadable(StatusCode::BAD_REQUEST, "MALFORMED_JSON", &format!("the body is not JSON: {error}"))
    })?;
    BatchBody::read(value).map_err(misshapen)
}
