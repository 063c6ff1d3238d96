// SPDX-License-Identifier: Apache-2.0
//! `GET /api/v1/audit`

use axum::{
    Json,
    extract::{Query, State},
};
use http::StatusCode;
use registry_schema::{Namespace, audit::AuditPage};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::App;
use crate::http::error::Failure;
use crate::service::{access::Caller, audit};

/// The parameters of the audit log.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// Only the entries of this namespace, which its owners may read.
    #[param(value_type = Option<String>)]
    namespace: Option<Namespace>,
    /// Entries before this number, newest first.
    before: Option<i64>,
    /// Entries after this number, oldest first.
    after: Option<i64>,
    /// How many, 1 to 1000.
    limit: Option<i64>,
}

/// Audit log
///
/// Every change of state, newest first unless `after` is given.
#[utoipa::path(get, path = "/audit", tag = "audit", params(Parameters),
    responses((status = 200, body = AuditPage)))]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(parameters): Query<Parameters>,
) -> Result<Json<AuditPage>, Failure> {
    let from = match (parameters.before, parameters.after) {
        (None, None) => audit::From::End,
        (Some(at), None) => audit::From::Before(at),
        (None, Some(at)) => audit::From::After(at),
        (Some(_), Some(_)) => {
            let detail = "give `before` or `after`, not both";
            return Err(Failure::new(
                StatusCode::BAD_REQUEST,
                "query-invalid",
                "UNSUPPORTED",
                detail,
            ));
        }
    };
    let limit = parameters.limit.unwrap_or(audit::PAGE);
    let page = audit::page(&app, &caller, parameters.namespace.as_ref(), from, limit).await?;
    Ok(Json(page))
}
