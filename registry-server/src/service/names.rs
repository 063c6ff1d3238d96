// SPDX-License-Identifier: Apache-2.0
//! Names: each is given once, for ever, and none that cannot be told from one that was given.
//! A name that is only like a known one is given, and that is said beside it.

use chrono::TimeDelta;
use registry_schema::{
    Namespace, PackageName,
    lookalike::{likeness, skeleton},
};

use super::ServiceError;
use crate::{
    app::App,
    store::{self, Tx},
};

/// How many known packages a new name is compared with.
const KNOWN: i64 = 3000;
/// Most things that are said of a name.
const MAX_NOTES: usize = 5;
/// The setting that says that the names of before this table were written into it.
const WRITTEN: &str = "names-written";

/// Gives a namespace its name.
///
/// # Errors
/// [`ServiceError::NamespaceTaken`]; [`ServiceError::NameLooksLike`].
pub(super) async fn give_namespace(
    app: &App,
    tx: &mut Tx,
    name: &Namespace,
) -> Result<(), ServiceError> {
    let (text, look) = (name.as_str(), skeleton(name.as_str()));
    if store::names::give(tx, ("", &look, text), &[], app.clock.now()).await? {
        return Ok(());
    }
    let given = store::names::find(tx, "", &look).await?.unwrap_or_default();
    if given == text {
        return Err(ServiceError::NamespaceTaken(name.to_string()));
    }
    // Only what everybody may see is named.
    let found = store::namespaces::find(&app.db, &given).await?;
    let public = found.is_some_and(|namespace| namespace.visibility == "public");
    Err(ServiceError::NameLooksLike {
        name: name.to_string(),
        given: public.then_some(given),
    })
}

/// Gives a package its name when it is published for the first time; says what it is like.
///
/// # Errors
/// [`ServiceError::NameLooksLike`].
pub(super) async fn give_package(
    app: &App,
    tx: &mut Tx,
    package: &PackageName,
) -> Result<Vec<String>, ServiceError> {
    let (scope, name) = (package.namespace().as_str(), package.name());
    let look = skeleton(name);
    match store::names::find(tx, scope, &look).await? {
        Some(given) if given == name => return Ok(store::names::notes(&app.db, package).await?),
        Some(given) => {
            return Err(ServiceError::NameLooksLike {
                name: package.to_string(),
                // Whoever publishes here may see what is published here.
                given: Some(format!("{scope}/{given}")),
            });
        }
        None => {}
    }
    let now = app.clock.now();
    let since = now - TimeDelta::days(app.config.policy.proof_days.into());
    let known = store::names::known(tx, scope, since, KNOWN).await?;
    let notes: Vec<String> = known
        .iter()
        .filter_map(|known| {
            let likeness = likeness(package, known)?;
            Some(format!("its name {} {known}", likeness.words()))
        })
        .take(MAX_NOTES)
        .collect();
    store::names::give(tx, (scope, &look, name), &notes, now).await?;
    Ok(notes)
}

/// Writes down the names that were given before there was a table of them, once.
///
/// # Errors
/// [`ServiceError::Store`].
pub async fn write_down(app: &App) -> Result<(), ServiceError> {
    if store::settings::find(&app.db, WRITTEN).await?.is_some() {
        return Ok(());
    }
    let mut tx = app.db.begin().await?;
    for (scope, name, since) in store::names::all(&mut tx).await? {
        store::names::give(&mut tx, (&scope, &skeleton(&name), &name), &[], since).await?;
    }
    store::settings::insert(&mut tx, WRITTEN, "yes").await?;
    Ok(tx.commit().await?)
}
