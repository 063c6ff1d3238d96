// SPDX-License-Identifier: Apache-2.0
//! `POST /packages/{namespace}/{name}/star`

use axum::{
    body::Bytes,
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use http::HeaderMap;

use super::{Fields, Visitor};
use crate::app::App;
use crate::http::error::Failure;
use crate::http::extract::PackagePath;
use crate::service::{access::Caller, catalogue};

/// Gives the visitor's star, or takes it back.
pub(super) async fn change(
    State(app): State<App>,
    visitor: Visitor,
    caller: Caller,
    PackagePath(name): PackagePath,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    let fields = Fields::read(&app, &headers, &body, &visitor.csrf)?;
    if fields.get("take") == "back" {
        catalogue::take_back(&app, &caller, &name).await?;
    } else {
        catalogue::give(&app, &caller, &name).await?;
    }
    Ok(Redirect::to(&format!("/packages/{name}")).into_response())
}
