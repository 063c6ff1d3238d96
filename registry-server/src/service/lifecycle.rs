// SPDX-License-Identifier: Apache-2.0
//! What publishers say later of what they published: yank, deprecate, and take it back.
//!
//! A yanked version is never chosen, and stays as it was for those who name it. Advice
//! against a version changes nothing but what is said beside it.

use registry_schema::{
    Digest, PackageName, Version,
    api::{Deprecation, NewDeprecation},
    name::RepositoryName,
    notice::{MAX_NOTICE, Notice},
    transparency::Change,
};
use serde_json::{Value, json};

use super::{
    ServiceError,
    access::{self, Action, Caller},
    audit, identity, log,
};
use crate::{
    app::App,
    store::{self, Tx},
};

/// Withdraws a version: `latest` and ranges pass it over from now on.
///
/// # Errors
/// [`ServiceError::VersionUnknown`]; the errors of [`access::demand`] for yanking.
pub async fn yank(
    app: &App,
    caller: &Caller,
    package: &PackageName,
    version: &Version,
    reason: &Notice,
) -> Result<(), ServiceError> {
    let mut change = Begun::begin(app, caller, package, Some(version)).await?;
    let now = app.clock.now();
    store::lifecycle::yank(&mut change.tx, package, version, reason, now).await?;
    let said = Change::Yank {
        package: package.clone(),
        version: version.clone(),
    };
    change
        .commit("version.yank", json!({ "reason": reason }), said)
        .await
}

/// Withdraws a version, for a reason that is not its publisher's wish, in a transaction of
/// somebody who may. A reason that is too long is cut.
pub(super) async fn withdraw(
    app: &App,
    tx: &mut Tx,
    caller: &Caller,
    package: PackageName,
    version: Version,
    reason: &str,
) -> Result<(), ServiceError> {
    let reason = &reason[..reason.floor_char_boundary(MAX_NOTICE)];
    let Ok(notice) = reason.parse() else {
        return Ok(());
    };
    let now = app.clock.now();
    store::lifecycle::yank(tx, &package, &version, &notice, now).await?;
    store::changes::append(tx, &package, now).await?;
    let subject = format!("{package}:{version}");
    log::say(app, tx, Change::Yank { package, version }).await?;
    let detail = json!({ "reason": reason });
    audit::append(app, tx, caller, "version.yank", &subject, detail).await
}

/// Takes the withdrawal of a version back.
///
/// # Errors
/// As [`yank`]; [`ServiceError::StaysWithdrawn`] if it is revoked.
pub async fn unyank(
    app: &App,
    caller: &Caller,
    package: &PackageName,
    version: &Version,
) -> Result<(), ServiceError> {
    let mut change = Begun::begin(app, caller, package, Some(version)).await?;
    if store::trust::is_revoked(&mut change.tx, package, version).await? {
        return Err(ServiceError::StaysWithdrawn {
            package: package.clone(),
            version: version.clone(),
        });
    }
    store::lifecycle::unyank(&mut change.tx, package, version).await?;
    if app.config.policy.is_public() {
        identity::demand_backed(&mut change.tx, package, version).await?;
    }
    let said = Change::Unyank {
        package: package.clone(),
        version: version.clone(),
    };
    change.commit("version.unyank", json!({}), said).await
}

/// Advises against a version, or against all of a package.
///
/// # Errors
/// [`ServiceError::VersionUnknown`], [`ServiceError::RepositoryUnknown`]; the errors of
/// [`access::demand`] for yanking.
pub async fn deprecate(
    app: &App,
    caller: &Caller,
    package: &PackageName,
    version: Option<&Version>,
    new: &NewDeprecation,
) -> Result<Deprecation, ServiceError> {
    let mut change = Begun::begin(app, caller, package, version).await?;
    let since = app.clock.now();
    store::lifecycle::deprecate(&mut change.tx, package, version, new, since).await?;
    let action = version.map_or("package.deprecate", |_| "version.deprecate");
    let said = Change::Deprecate {
        package: package.clone(),
        version: version.cloned(),
    };
    change.commit(action, json!(new), said).await?;
    Ok(Deprecation {
        message: new.message.clone(),
        replacement: new.replacement.clone(),
        since,
    })
}

/// Takes the advice against a version, or against all of a package, back. Where there is
/// none, nothing changes.
///
/// # Errors
/// As [`deprecate`].
pub async fn restore(
    app: &App,
    caller: &Caller,
    package: &PackageName,
    version: Option<&Version>,
) -> Result<(), ServiceError> {
    let mut change = Begun::begin(app, caller, package, version).await?;
    if !store::lifecycle::restore(&mut change.tx, package, version).await? {
        return Ok(());
    }
    let action = version.map_or("package.restore", |_| "version.restore");
    let said = Change::Restore {
        package: package.clone(),
        version: version.cloned(),
    };
    change.commit(action, json!({}), said).await
}

/// A change about to be made by somebody who may.
struct Begun<'a> {
    app: &'a App,
    caller: &'a Caller,
    package: &'a PackageName,
    version: Option<&'a Version>,
    tx: Tx,
}

impl<'a> Begun<'a> {
    async fn begin(
        app: &'a App,
        caller: &'a Caller,
        package: &'a PackageName,
        version: Option<&'a Version>,
    ) -> Result<Self, ServiceError> {
        access::demand(app, caller, &RepositoryName::from(package), Action::Yank).await?;
        let mut tx = app.db.begin().await?;
        if !store::packages::exists(&mut tx, package).await? {
            return Err(ServiceError::RepositoryUnknown(package.into()));
        }
        if let Some(version) = version
            && store::packages::index_of(&mut tx, package, version)
                .await?
                .is_none()
        {
            return Err(ServiceError::VersionUnknown {
                package: package.clone(),
                version: version.clone(),
            });
        }
        Ok(Self {
            app,
            caller,
            package,
            version,
            tx,
        })
    }

    /// Ends a change that search, pages and both logs must show.
    async fn commit(
        mut self,
        action: &'static str,
        detail: Value,
        said: Change,
    ) -> Result<(), ServiceError> {
        let (app, package) = (self.app, self.package);
        store::changes::append(&mut self.tx, package, app.clock.now()).await?;
        let subject = match self.version {
            Some(version) => format!("{package}:{version}"),
            None => package.to_string(),
        };
        log::say(app, &mut self.tx, said).await?;
        audit::append(app, &mut self.tx, self.caller, action, &subject, detail).await?;
        self.tx.commit().await?;
        log::settle(app).await;
        Ok(())
    }
}

/// A version as somebody who pulls it must see it.
#[derive(Debug, Clone)]
pub struct Pulled {
    /// The version.
    pub version: Version,
    /// What its publisher says of it, a sentence each.
    pub warnings: Vec<String>,
}

/// The version whose index is `digest`, if there is one, and what is said of it.
///
/// # Errors
/// [`ServiceError::Store`].
pub(super) async fn pulled(
    app: &App,
    package: &PackageName,
    digest: &Digest,
) -> Result<Option<Pulled>, ServiceError> {
    let Some(found) = store::lifecycle::pulled(&app.db, package, digest).await? else {
        return Ok(None);
    };
    let (version, mut warnings) = (found.version, Vec::new());
    if let Some(reason) = found.yanked {
        warnings.push(format!(
            "{package} {version} was yanked by its publisher: {reason}"
        ));
    }
    if found.deprecated {
        let advice = store::lifecycle::deprecations(&app.db, package).await?;
        let one = advice.of(&version);
        warnings.extend(one.map(|one| sentence(&format!("{package} {version}"), one)));
        let all = advice.package.as_ref();
        warnings.extend(all.map(|all| sentence(&package.to_string(), all)));
    }
    Ok(Some(Pulled { version, warnings }))
}

fn sentence(what: &str, advice: &Deprecation) -> String {
    let message = &advice.message;
    match &advice.replacement {
        Some(replacement) => format!("{what} is deprecated: {message}; use {replacement} instead"),
        None => format!("{what} is deprecated: {message}"),
    }
}
