// SPDX-License-Identifier: Apache-2.0
//! Namespaces and their keys.

use registry_schema::{
    Namespace,
    account::{NamespaceChange, Role},
    api::{NamespaceDetail, NamespaceKey, Visibility},
    lookalike::skeleton,
    scope::ScopeAction,
    signature::{Fingerprint, PublicKey},
    transparency::Change,
};

use serde_json::json;

use super::{
    ServiceError,
    access::{self, Caller, Right},
    audit,
    identity::{self, IdentityError},
    log, names,
};
use crate::{
    app::App,
    store::{self, StoreError, namespaces::Key},
};

/// Names that a path of the product or a tag has taken.
const RESERVED: [&str; 10] = [
    "api", "v2", "token", "search", "packages", "static", "log", "account", "admin", "library",
];

/// Makes a namespace whose owner is the caller.
///
/// # Errors
/// [`ServiceError::Anonymous`], [`ServiceError::NamespaceTaken`].
pub async fn create(
    app: &App,
    caller: &Caller,
    name: &Namespace,
    visibility: Visibility,
) -> Result<NamespaceDetail, ServiceError> {
    let account = caller.known(app)?;
    if !caller.allows_all(ScopeAction::Manage, name.as_str()) {
        return Err(ServiceError::TokenScope {
            needed: format!("{name}/*:manage"),
        });
    }
    let look = skeleton(name.as_str());
    if RESERVED.iter().any(|reserved| skeleton(reserved) == look) {
        return Err(ServiceError::NamespaceTaken(name.to_string()));
    }
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    let word = word(visibility);
    names::give_namespace(app, &mut tx, name).await?;
    if !store::namespaces::insert(&mut tx, name.as_str(), word, &account.name, now).await? {
        return Err(ServiceError::NamespaceTaken(name.to_string()));
    }
    store::namespaces::set_member(&mut tx, name.as_str(), &account.name, "owner", now).await?;
    log::role(app, &mut tx, name, None, Some(Role::Owner)).await?;
    let detail = json!({ "visibility": word });
    audit::append(
        app,
        &mut tx,
        caller,
        "namespace.create",
        name.as_str(),
        detail,
    )
    .await?;
    tx.commit().await?;
    log::settle(app).await;
    Ok(NamespaceDetail {
        name: name.clone(),
        visibility,
        created_at: now,
        packages: 0,
        threshold: 1,
    })
}

const fn word(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::Public => "public",
        Visibility::Private => "private",
    }
}

/// Changes who may read a namespace. What the search index knows of its packages follows.
///
/// # Errors
/// Those of [`access::demand_owner`].
pub async fn change(
    app: &App,
    caller: &Caller,
    name: &Namespace,
    change: &NamespaceChange,
) -> Result<NamespaceDetail, ServiceError> {
    access::demand_owner(app, caller, name.as_str(), "change visibility").await?;
    if let Some(visibility) = change.visibility {
        let word = word(visibility);
        let mut tx = app.db.begin().await?;
        store::namespaces::set_visibility(&mut tx, name.as_str(), word).await?;
        let now = app.clock.now();
        for package in store::namespaces::packages(&mut tx, name.as_str()).await? {
            store::changes::append(&mut tx, &package, now).await?;
        }
        let detail = json!({ "visibility": word });
        audit::append(
            app,
            &mut tx,
            caller,
            "namespace.change",
            name.as_str(),
            detail,
        )
        .await?;
        tx.commit().await?;
        // What waited because nobody else could see the namespace.
        log::settle(app).await;
    }
    if let Some(threshold) = change.threshold {
        identity::set_threshold(app, caller, name, threshold).await?;
    }
    get(app, caller, name).await
}

/// Deletes a namespace that holds no repositories. Its name is never given again.
///
/// # Errors
/// Those of [`access::demand_owner`]; [`ServiceError::NamespaceUsed`].
pub async fn delete(app: &App, caller: &Caller, name: &Namespace) -> Result<(), ServiceError> {
    access::demand_owner(app, caller, name.as_str(), "delete the namespace").await?;
    let mut tx = app.db.begin().await?;
    if !store::namespaces::delete(&mut tx, name.as_str(), app.clock.now()).await? {
        return Err(ServiceError::NamespaceUsed(name.to_string()));
    }
    let detail = json!({});
    audit::append(
        app,
        &mut tx,
        caller,
        "namespace.delete",
        name.as_str(),
        detail,
    )
    .await?;
    Ok(tx.commit().await?)
}

/// The namespaces that the caller may read, by name.
///
/// # Errors
/// [`ServiceError::Store`].
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<NamespaceDetail>, ServiceError> {
    let mut readable = Vec::new();
    for namespace in store::namespaces::list(&app.db).await? {
        if access::right(app, caller, &namespace.name).await? >= Right::Read {
            readable.push(detail(&namespace)?);
        }
    }
    Ok(readable)
}

/// One namespace.
///
/// # Errors
/// [`ServiceError::NamespaceUnknown`], also if the caller may not read it.
pub async fn get(
    app: &App,
    caller: &Caller,
    name: &Namespace,
) -> Result<NamespaceDetail, ServiceError> {
    demand_read(app, caller, name).await?;
    let found = store::namespaces::find(&app.db, name.as_str()).await?;
    let found = found.ok_or_else(|| ServiceError::NamespaceUnknown(name.to_string()))?;
    detail(&found)
}

fn detail(row: &store::namespaces::Namespace) -> Result<NamespaceDetail, ServiceError> {
    let corrupt = |reason: String| StoreError::Corrupt {
        table: "namespaces",
        column: "name",
        value: row.name.clone(),
        reason,
    };
    let name = row
        .name
        .parse()
        .map_err(|error| corrupt(format!("{error}")))?;
    let visibility = if row.visibility == "public" {
        Visibility::Public
    } else {
        Visibility::Private
    };
    let packages = u64::try_from(row.packages).unwrap_or(0);
    Ok(NamespaceDetail {
        name,
        visibility,
        created_at: row.created_at,
        packages,
        threshold: u64::try_from(row.threshold).unwrap_or(1),
    })
}

async fn demand_read(app: &App, caller: &Caller, name: &Namespace) -> Result<(), ServiceError> {
    if access::right(app, caller, name.as_str()).await? >= Right::Read {
        Ok(())
    } else {
        Err(ServiceError::NamespaceUnknown(name.to_string()))
    }
}

/// The keys of a namespace that count today, oldest first, with the evidence for each.
///
/// # Errors
/// [`ServiceError::NamespaceUnknown`], also if the caller may not read it.
pub async fn keys(
    app: &App,
    caller: &Caller,
    name: &Namespace,
) -> Result<Vec<NamespaceKey>, ServiceError> {
    demand_read(app, caller, name).await?;
    let mut keys = Vec::new();
    for key in store::namespaces::keys(&app.db, name.as_str()).await? {
        keys.push(evidence(app, name, key).await?);
    }
    Ok(keys)
}

async fn evidence(app: &App, name: &Namespace, key: Key) -> Result<NamespaceKey, ServiceError> {
    let versions_signed =
        store::signatures::signed_by(&app.db, name.as_str(), &key.fingerprint).await?;
    Ok(NamespaceKey {
        fingerprint: key.fingerprint.parse()?,
        pem: key.pem,
        registered_at: key.added_at,
        registered_by: key.added_by,
        versions_signed,
        revoked: identity::revoked(key.revoked_since, key.revocation, key.revocation_reason),
    })
}

/// Registers a key, and looks again at the signatures that arrived before it. A key that
/// is registered already stays as it is.
///
/// # Errors
/// [`ServiceError::Signature`] if the PEM holds no usable key; the errors of
/// [`access::demand_maintainer`].
pub async fn add_key(
    app: &App,
    caller: &Caller,
    name: &Namespace,
    pem: &str,
) -> Result<NamespaceKey, ServiceError> {
    access::demand_maintainer(app, caller, name.as_str(), "add keys").await?;
    let key = PublicKey::from_pem(pem)?;
    let fingerprint = key.fingerprint();
    let row = Key {
        fingerprint: fingerprint.to_string(),
        pem: key.to_pem(),
        added_at: app.clock.now(),
        added_by: caller.name().to_owned(),
        revoked_since: None,
        revocation: None,
        revocation_reason: None,
    };
    let mut tx = app.db.begin().await?;
    if store::namespaces::add_key(&mut tx, name.as_str(), &row).await? {
        super::signature::review(app, &mut tx, caller, name).await?;
        let said = Change::IdentityAdd {
            namespace: name.clone(),
            identity: fingerprint.into(),
            continuity: None,
        };
        log::say(app, &mut tx, said).await?;
        let detail = json!({ "fingerprint": row.fingerprint });
        audit::append(app, &mut tx, caller, "key.add", name.as_str(), detail).await?;
        tx.commit().await?;
        log::settle(app).await;
    }
    let keys = keys(app, caller, name).await?;
    let found = keys.into_iter().find(|key| key.fingerprint == fingerprint);
    if found.as_ref().is_some_and(|key| key.revoked.is_some()) {
        return Err(IdentityError::Revoked(fingerprint.into()).into());
    }
    found.ok_or_else(|| ServiceError::KeyUnknown {
        namespace: name.to_string(),
        fingerprint,
    })
}

/// Removes a key: its signatures no longer count.
///
/// # Errors
/// [`ServiceError::KeyUnknown`]; the errors of [`access::demand_maintainer`].
pub async fn remove_key(
    app: &App,
    caller: &Caller,
    name: &Namespace,
    fingerprint: &Fingerprint,
) -> Result<(), ServiceError> {
    access::demand_maintainer(app, caller, name.as_str(), "remove keys").await?;
    let mut tx = app.db.begin().await?;
    let text = fingerprint.to_string();
    if !store::namespaces::remove_key(&mut tx, name.as_str(), &text, app.clock.now()).await? {
        return Err(ServiceError::KeyUnknown {
            namespace: name.to_string(),
            fingerprint: *fingerprint,
        });
    }
    super::signature::review(app, &mut tx, caller, name).await?;
    let said = Change::IdentityRemove {
        namespace: name.clone(),
        identity: (*fingerprint).into(),
    };
    log::say(app, &mut tx, said).await?;
    let detail = json!({ "fingerprint": text });
    audit::append(app, &mut tx, caller, "key.remove", name.as_str(), detail).await?;
    tx.commit().await?;
    log::settle(app).await;
    Ok(())
}
