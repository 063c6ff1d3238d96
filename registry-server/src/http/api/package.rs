// SPDX-License-Identifier: Apache-2.0
//! `GET /api/v1/packages/{namespace}/{name}` and its versions.

use axum::{Json, extract::State};
use registry_schema::api::{PackageDetail, VersionDetail};

use crate::app::App;
use crate::http::error::Failure;
use crate::http::extract::{PackagePath, VersionPath};
use crate::service::{access::Caller, catalogue};

/// `GET …/{name}`
pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    PackagePath(name): PackagePath,
) -> Result<Json<PackageDetail>, Failure> {
    Ok(Json(catalogue::package(&app, &caller, &name).await?))
}

/// `GET …/{name}/versions/{version}`
pub(super) async fn version(
    State(app): State<App>,
    caller: Caller,
    VersionPath(name, version): VersionPath,
) -> Result<Json<VersionDetail>, Failure> {
    Ok(Json(
        catalogue::version(&app, &caller, &name, &version).await?,
    ))
}
