// SPDX-License-Identifier: Apache-2.0
//! What of a repository is shown to whom, where a version waits for signatures or review.
//!
//! Under the policy `public` readers see published versions, what these lead to, and what
//! refers to them; all else looks as if it were not there. Who may push to the namespace, and
//! who reviews, sees everything.

use registry_schema::{Digest, name::RepositoryName};

use super::{
    ServiceError,
    access::{Caller, Right, Standing},
};
use crate::{app::App, store};

/// What a caller sees of a repository that it may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// Everything, as everybody does.
    Open,
    /// Everything, also what waits.
    Inside,
    /// What is published.
    Outside,
}

/// What a caller with this standing sees.
///
/// # Errors
/// [`ServiceError::Store`].
pub(super) async fn view(
    app: &App,
    caller: &Caller,
    standing: Standing,
) -> Result<View, ServiceError> {
    if !app.config.policy.is_public() {
        return Ok(View::Open);
    }
    if standing.right >= Right::Write || is_reviewer(app, caller).await? {
        return Ok(View::Inside);
    }
    Ok(View::Outside)
}

/// Whether the caller may decide about what waits for review.
///
/// # Errors
/// [`ServiceError::Store`].
pub(super) async fn is_reviewer(app: &App, caller: &Caller) -> Result<bool, ServiceError> {
    let Some(account) = caller.account.as_ref() else {
        return Ok(false);
    };
    if !caller.allows_all(registry_schema::scope::ScopeAction::Admin, "") {
        return Ok(false);
    }
    Ok(account.administrator || store::visible::is_reviewer(&app.db, &account.name).await?)
}

/// Whether everybody who may read the repository sees this manifest or blob of it. That it
/// is there at all is another question.
///
/// # Errors
/// [`ServiceError::Store`].
pub(super) async fn is_shown(
    app: &App,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<bool, ServiceError> {
    if !app.config.policy.is_public() {
        return Ok(true);
    }
    Ok(store::visible::is_published(&app.db, repository, digest).await?)
}
