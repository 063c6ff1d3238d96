// SPDX-License-Identifier: Apache-2.0
//! Stars: one per account and package, none for one's own.

use registry_schema::PackageName;
use registry_schema::api::Stars;

use super::read::{demand_read, latest, repository, versions};
use crate::app::App;
use crate::service::ServiceError;
use crate::service::access::Caller;
use crate::store;

/// How many stars a package has, and whether the caller gave one.
///
/// # Errors
/// [`ServiceError::RepositoryUnknown`], also if the caller may not read it.
pub async fn stars(app: &App, caller: &Caller, name: &PackageName) -> Result<Stars, ServiceError> {
    demand_read(app, caller, name).await?;
    // Also of a package that only waits, for who sees it.
    if versions(app, caller, name).await?.is_empty() {
        return Err(ServiceError::RepositoryUnknown(repository(name)?));
    }
    count(app, caller, name).await
}

/// Gives the caller's star. A second one changes nothing.
///
/// # Errors
/// [`ServiceError::Anonymous`]; [`ServiceError::RepositoryUnknown`];
/// [`ServiceError::OwnPackage`] if the caller belongs to the package's namespace.
pub async fn give(app: &App, caller: &Caller, name: &PackageName) -> Result<Stars, ServiceError> {
    let account = caller.known(app)?;
    demand_known(app, caller, name).await?;
    let published = store::catalogue::versions(&app.db, name).await?;
    let latest = latest(&published).map(|listed| listed.version.clone());
    let latest = latest.ok_or(ServiceError::RepositoryUnknown(repository(name)?))?;
    if store::namespaces::role(&app.db, name.namespace().as_str(), &account.name)
        .await?
        .is_some()
    {
        return Err(ServiceError::OwnPackage {
            account: account.name.clone(),
            package: name.clone(),
        });
    }
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    if store::catalogue::star(&mut tx, name, &account.name, &latest, now).await? {
        store::changes::append(&mut tx, name, now).await?;
        tx.commit().await?;
    }
    count(app, caller, name).await
}

/// Takes the caller's star back. Where there is none, nothing changes.
///
/// # Errors
/// [`ServiceError::Anonymous`]; [`ServiceError::RepositoryUnknown`].
pub async fn take_back(
    app: &App,
    caller: &Caller,
    name: &PackageName,
) -> Result<Stars, ServiceError> {
    let account = caller.known(app)?;
    demand_known(app, caller, name).await?;
    let mut tx = app.db.begin().await?;
    if store::catalogue::unstar(&mut tx, name, &account.name).await? {
        store::changes::append(&mut tx, name, app.clock.now()).await?;
        tx.commit().await?;
    }
    count(app, caller, name).await
}

async fn demand_known(app: &App, caller: &Caller, name: &PackageName) -> Result<(), ServiceError> {
    demand_read(app, caller, name).await?;
    if store::catalogue::versions(&app.db, name).await?.is_empty() {
        return Err(ServiceError::RepositoryUnknown(repository(name)?));
    }
    Ok(())
}

async fn count(app: &App, caller: &Caller, name: &PackageName) -> Result<Stars, ServiceError> {
    let stars = store::catalogue::stars(&app.db, name).await?;
    let starred = match &caller.account {
        Some(account) => store::catalogue::starred(&app.db, name, &account.name).await?,
        None => false,
    };
    Ok(Stars { stars, starred })
}
