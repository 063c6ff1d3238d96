// SPDX-License-Identifier: Apache-2.0
//! Handing a namespace over: one owner offers, the other account accepts, and some days later
//! it is done. Until then either calls it off, and everybody who may read the namespace sees
//! what is to happen.

use chrono::TimeDelta;
use registry_schema::{
    Namespace, account::Role, namespace_identity::Transfer as Shown, transparency::Change,
    trust::policy::SignerPattern,
};
use serde_json::json;

use super::{
    ServiceError,
    access::{self, Caller},
    audit, continuity, epoch,
    identity::{self, IdentityError},
    log, signature,
};
use crate::{
    app::App,
    store::{self, Tx, transfers::Transfer},
};

fn shown(row: &Transfer) -> Shown {
    Shown {
        from: row.from_account.clone(),
        to: row.to_account.clone(),
        offered_at: row.offered_at,
        accepted_at: row.accepted_at,
        due_at: row.due_at,
    }
}

/// The transfer of a namespace that is not done, if there is one: its parties see every
/// offer, everybody else what was accepted.
///
/// # Errors
/// [`ServiceError::NamespaceUnknown`] for who may neither read the namespace nor is offered it.
pub async fn get(
    app: &App,
    caller: &Caller,
    namespace: &Namespace,
) -> Result<Option<Shown>, ServiceError> {
    let open = store::transfers::open(&app.db, namespace.as_str()).await?;
    let party = |row: &Transfer| {
        !caller.name().is_empty()
            && (row.to_account == caller.name() || row.from_account == caller.name())
    };
    if let Some(row) = open.as_ref().filter(|row| party(row)) {
        return Ok(Some(shown(row)));
    }
    identity::demand_read(app, caller, namespace).await?;
    let accepted = open.filter(|row| row.accepted_at.is_some() || caller.is_administrator());
    Ok(accepted.as_ref().map(shown))
}

/// Offers a namespace to another account.
///
/// # Errors
/// [`IdentityError::TransferOpen`]; [`ServiceError::AccountUnknown`]; the errors of
/// [`access::demand_owner`].
pub async fn offer(
    app: &App,
    caller: &Caller,
    namespace: &Namespace,
    to: &str,
) -> Result<Shown, ServiceError> {
    let name = namespace.as_str();
    access::demand_owner(app, caller, name, "hand the namespace over").await?;
    let from = access::demand_unlimited(app, caller)?.name.clone();
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    store::members::lock(&mut tx, name).await?;
    let account = store::accounts::find_in(&mut tx, to).await?;
    let usable = account.is_some_and(|row| !row.robot && row.disabled_at.is_none());
    if !usable || to == from {
        return Err(ServiceError::AccountUnknown(to.chars().take(100).collect()));
    }
    if store::transfers::open_in(&mut tx, name).await?.is_some() {
        return Err(IdentityError::TransferOpen(name.to_owned()).into());
    }
    let row = Transfer {
        id: app.random.id(now).to_string(),
        namespace: name.to_owned(),
        from_account: from,
        to_account: to.to_owned(),
        offered_at: now,
        accepted_at: None,
        due_at: None,
    };
    store::transfers::insert(&mut tx, &row).await?;
    let detail = json!({ "to": to });
    audit::append(app, &mut tx, caller, "transfer.offer", name, detail).await?;
    tx.commit().await?;
    Ok(shown(&row))
}

/// Accepts a namespace that was offered; it is handed over after some days.
///
/// # Errors
/// [`ServiceError::Anonymous`]; [`ServiceError::NamespaceUnknown`] for whom it was not offered.
pub async fn accept(
    app: &App,
    caller: &Caller,
    namespace: &Namespace,
) -> Result<Shown, ServiceError> {
    let account = caller.known(app)?.name.clone();
    let name = namespace.as_str();
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    let unknown = || ServiceError::NamespaceUnknown(name.to_owned());
    let open = store::transfers::open_in(&mut tx, name).await?;
    // A limited token takes no namespace over.
    let mut row = open
        .filter(|row| row.to_account == account && caller.scopes().is_none())
        .ok_or_else(unknown)?;
    if row.accepted_at.is_none() {
        let due = now + TimeDelta::hours(app.config.policy.transfer_hours.into());
        store::transfers::accept(&mut tx, &row.id, now, due).await?;
        (row.accepted_at, row.due_at) = (Some(now), Some(due));
        let detail = json!({"from": row.from_account, "due_at": due});
        audit::append(app, &mut tx, caller, "transfer.accept", name, detail).await?;
        tx.commit().await?;
    }
    Ok(shown(&row))
}

/// Calls a transfer off: for owners of the namespace and for whom it was offered.
///
/// # Errors
/// [`IdentityError::NoTransfer`]; the errors of [`access::demand_owner`].
pub async fn cancel(app: &App, caller: &Caller, namespace: &Namespace) -> Result<(), ServiceError> {
    let name = namespace.as_str();
    let open = store::transfers::open(&app.db, name).await?;
    let offered = |row: &Transfer| row.to_account == caller.name() && caller.scopes().is_none();
    if !open.as_ref().is_some_and(offered) {
        access::demand_owner(app, caller, name, "call the transfer off").await?;
    }
    let mut tx = app.db.begin().await?;
    let open = store::transfers::open_in(&mut tx, name).await?;
    let row = open.ok_or_else(|| IdentityError::NoTransfer(name.to_owned()))?;
    store::transfers::cancel(&mut tx, &row.id, app.clock.now()).await?;
    let detail = json!({"from": row.from_account, "to": row.to_account});
    audit::append(app, &mut tx, caller, "transfer.cancel", name, detail).await?;
    Ok(tx.commit().await?)
}

/// Does the transfers that are due.
///
/// # Errors
/// [`ServiceError::Store`]; what was done so far stays so.
pub async fn run(app: &App) -> Result<(), ServiceError> {
    for name in store::transfers::due(&app.db, app.clock.now()).await? {
        let namespace: Namespace = name.parse()?;
        complete(app, &namespace).await?;
        log::settle(app).await;
    }
    Ok(())
}

/// Makes the new account the only member. The old identities sign no more, unless one of them
/// has named who goes on.
async fn complete(app: &App, namespace: &Namespace) -> Result<(), ServiceError> {
    let (name, now) = (namespace.as_str(), app.clock.now());
    let nobody = Caller::default();
    let mut tx = app.db.begin().await?;
    store::members::lock(&mut tx, name).await?;
    let open = store::transfers::open_in(&mut tx, name).await?;
    let Some(row) = open.filter(|row| row.due_at.is_some_and(|due| due <= now)) else {
        return Ok(());
    };
    let vouched = continuity::vouched_between(&mut tx, namespace, row.offered_at, now).await?;
    store::transfers::complete(&mut tx, &row.id, vouched, now).await?;
    store::transfers::clear(&mut tx, name).await?;
    let owner = Role::Owner.as_str();
    store::namespaces::set_member(&mut tx, name, &row.to_account, owner, now).await?;
    if !vouched {
        end_identities(app, &mut tx, namespace, &row).await?;
    }
    signature::review(app, &mut tx, &nobody, namespace).await?;
    for package in store::namespaces::packages(&mut tx, name).await? {
        epoch::renew(app, &mut tx, &nobody, &package).await?;
    }
    let change = Change::OwnerTransfer {
        namespace: namespace.clone(),
    };
    log::say(app, &mut tx, change).await?;
    let detail = json!({"from": row.from_account, "to": row.to_account, "vouched": vouched});
    audit::append(app, &mut tx, &nobody, "transfer.complete", name, detail).await?;
    Ok(tx.commit().await?)
}

/// Ends the identities that were bound before the offer: the new owner did not choose them.
async fn end_identities(
    app: &App,
    tx: &mut Tx,
    namespace: &Namespace,
    row: &Transfer,
) -> Result<(), ServiceError> {
    let name = namespace.as_str();
    let mut old = Vec::new();
    for key in store::namespaces::keys_in(tx, name).await? {
        if key.added_at < row.offered_at && key.revoked_since.is_none() {
            old.push(SignerPattern::Key(key.fingerprint.parse()?));
        }
    }
    for one in store::identities::list_in(tx, name).await? {
        if one.added_at < row.offered_at && one.revoked_since.is_none() {
            let text = format!("oidc:{}#{}", one.issuer, one.subject);
            old.extend(text.parse::<SignerPattern>().ok());
        }
    }
    let due = row.due_at.unwrap_or(row.offered_at);
    let nobody = Caller::default();
    for identity in old {
        let note = "the namespace was handed over";
        identity::supersede(app, tx, &nobody, namespace, identity, due, note).await?;
    }
    Ok(())
}
