// SPDX-License-Identifier: Apache-2.0
//! Trusted publishers: whom a namespace lets publish on the word of an OIDC provider.

use std::collections::BTreeMap;

use registry_schema::{
    Namespace,
    account::{NewTrustedPublisher, Role, TrustedPublisher},
    scope::Scope,
};
use serde_json::json;

use super::{
    ServiceError,
    access::{self, Caller},
    account, audit, log,
};
use crate::{
    app::App,
    store::{self, StoreError, accounts::Account, trusted_publishers::TrustedPublisher as Row},
};

/// Longest pattern, in bytes, and most claims.
const MAX_PATTERN: usize = 512;
const MAX_CLAIMS: usize = 16;

/// The patterns of claims that a row holds.
pub(super) fn claims_of(row: &Row) -> Result<BTreeMap<String, String>, StoreError> {
    serde_json::from_str(&row.claims).map_err(|error| StoreError::Corrupt {
        table: "trusted_publishers",
        column: "claims",
        value: row.claims.clone(),
        reason: error.to_string(),
    })
}

fn describe(row: Row) -> Result<TrustedPublisher, ServiceError> {
    Ok(TrustedPublisher {
        rule: NewTrustedPublisher {
            claims: claims_of(&row)?,
            name: row.name,
            issuer: row.issuer,
            subject: row.subject,
            packages: row.packages,
        },
        account: row.account,
        added_by: row.added_by,
        added_at: row.added_at,
    })
}

/// The trusted publishers of a namespace, by name.
///
/// # Errors
/// Those of [`access::demand_maintainer`].
pub async fn list(
    app: &App,
    caller: &Caller,
    namespace: &Namespace,
) -> Result<Vec<TrustedPublisher>, ServiceError> {
    let name = namespace.as_str();
    access::demand_maintainer(app, caller, name, "see trusted publishers").await?;
    let rows = store::trusted_publishers::list(&app.db, name).await?;
    rows.into_iter().map(describe).collect()
}

fn check(app: &App, namespace: &Namespace, new: &NewTrustedPublisher) -> Result<(), ServiceError> {
    account::check_name(&new.name)?;
    let _: Scope = format!("{namespace}/{}:pull,push", new.packages).parse()?;
    if !app.config.access.oidc_issuers.contains(&new.issuer) {
        return Err(ServiceError::IssuerUnknown {
            issuer: new.issuer.chars().take(200).collect(),
            believed: app.config.access.oidc_issuers.join(", "),
        });
    }
    let short = |text: &String| !text.is_empty() && text.len() <= MAX_PATTERN;
    let says_something = |text: &String| text.chars().any(|c| c != '*');
    let patterns = || new.claims.values().chain([&new.subject]);
    let fits = new.claims.len() <= MAX_CLAIMS
        && new.claims.keys().all(short)
        && patterns().all(short)
        && patterns().any(says_something);
    if fits {
        Ok(())
    } else {
        Err(ServiceError::PublisherRule)
    }
}

/// Lets who an issuer vouches for publish in a namespace.
///
/// # Errors
/// Those of [`access::demand_maintainer`]; [`ServiceError::IssuerUnknown`],
/// [`ServiceError::PublisherRule`], [`ServiceError::PublisherTaken`].
pub async fn add(
    app: &App,
    caller: &Caller,
    namespace: &Namespace,
    new: &NewTrustedPublisher,
) -> Result<TrustedPublisher, ServiceError> {
    let name = namespace.as_str();
    access::demand_maintainer(app, caller, name, "add trusted publishers").await?;
    check(app, namespace, new)?;
    let now = app.clock.now();
    let robot = Account {
        name: format!("{name}+{}", new.name),
        administrator: false,
        robot: true,
        password: None,
        disabled_at: None,
        created_at: now,
        reviewer: false,
    };
    let row = Row {
        account: robot.name.clone(),
        namespace: name.to_owned(),
        name: new.name.clone(),
        issuer: new.issuer.clone(),
        subject: new.subject.clone(),
        claims: json!(new.claims).to_string(),
        packages: new.packages.clone(),
        added_at: now,
        added_by: caller.name().to_owned(),
    };
    let mut tx = app.db.begin().await?;
    if !store::accounts::insert(&mut tx, &robot).await? {
        // The robot of an earlier one of the same name works again.
        store::accounts::update(&mut tx, &robot).await?;
    }
    if !store::trusted_publishers::insert(&mut tx, &row).await? {
        return Err(ServiceError::PublisherTaken {
            namespace: name.to_owned(),
            name: row.name,
        });
    }
    let role = Role::Publisher;
    store::namespaces::set_member(&mut tx, name, &robot.name, role.as_str(), now).await?;
    log::role(app, &mut tx, namespace, None, Some(role)).await?;
    let detail = json!({ "publisher": new });
    audit::append(app, &mut tx, caller, "publisher.add", name, detail).await?;
    tx.commit().await?;
    log::settle(app).await;
    describe(row)
}

/// Takes the trust back; tokens that were given for it end at once.
///
/// # Errors
/// Those of [`access::demand_maintainer`]; [`ServiceError::PublisherUnknown`].
pub async fn remove(
    app: &App,
    caller: &Caller,
    namespace: &Namespace,
    publisher: &str,
) -> Result<(), ServiceError> {
    let name = namespace.as_str();
    access::demand_maintainer(app, caller, name, "remove trusted publishers").await?;
    let unknown = || ServiceError::PublisherUnknown {
        namespace: name.to_owned(),
        name: publisher.chars().take(100).collect(),
    };
    let robot = format!("{name}+{publisher}");
    let mut tx = app.db.begin().await?;
    if !store::trusted_publishers::delete(&mut tx, &robot).await? {
        return Err(unknown());
    }
    store::members::remove(&mut tx, name, &robot).await?;
    log::role(app, &mut tx, namespace, Some(Role::Publisher), None).await?;
    if let Some(mut row) = store::accounts::find_in(&mut tx, &robot).await? {
        row.disabled_at = Some(app.clock.now());
        store::accounts::update(&mut tx, &row).await?;
    }
    let detail = json!({ "publisher": publisher });
    audit::append(app, &mut tx, caller, "publisher.remove", name, detail).await?;
    tx.commit().await?;
    log::settle(app).await;
    Ok(())
}
