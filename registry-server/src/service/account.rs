// SPDX-License-Identifier: Apache-2.0
//! Accounts: who may make them, what they are, how they end.

use registry_schema::account::{
    AccountChange, AccountDetail, Membership, NewAccount, NewIdentity, OwnAccount, PasswordChange,
};
use serde_json::json;

use super::{
    ServiceError,
    access::{self, Caller},
    audit, password,
};
use crate::{
    app::App,
    config_access::Registration,
    store::{self, Tx, accounts::Account as Row},
};

/// Longest account name, in bytes.
const MAX_ACCOUNT: usize = 64;
/// Most accounts on a page.
const PAGE: i64 = 1000;

/// Checks the name of a person's account. Robots have a `+` in theirs, so the two never meet.
pub(super) fn check_name(name: &str) -> Result<(), ServiceError> {
    let fits =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    if name.is_empty() || name.len() > MAX_ACCOUNT || !name.bytes().all(fits) {
        return Err(ServiceError::AccountName(
            name.chars().take(MAX_ACCOUNT).collect(),
        ));
    }
    Ok(())
}

/// Makes an account. Where registration is open, anybody may; else administrators.
///
/// # Errors
/// [`ServiceError::RegistrationClosed`], [`ServiceError::AccountName`],
/// [`ServiceError::AccountTaken`], [`ServiceError::Password`]; those of
/// [`access::demand_administrator`] for an administrator's account.
pub async fn create(
    app: &App,
    caller: &Caller,
    new: &NewAccount,
) -> Result<AccountDetail, ServiceError> {
    let free = app.config.access.registration == Registration::Open;
    if new.administrator || (!free && caller.is_administrator()) {
        access::demand_administrator(app, caller, "make accounts")?;
    } else if !free {
        return Err(ServiceError::RegistrationClosed);
    } else if new.password.is_none() {
        return Err(ServiceError::Password);
    }
    check_name(&new.name)?;
    let password = match &new.password {
        Some(text) => Some(password::hash(app, text).await?),
        None => None,
    };
    let row = Row {
        name: new.name.clone(),
        administrator: new.administrator,
        robot: false,
        password,
        disabled_at: None,
        created_at: app.clock.now(),
        reviewer: false,
    };
    let mut tx = app.db.begin().await?;
    insert(app, &mut tx, caller, &row).await?;
    tx.commit().await?;
    Ok(describe(row))
}

/// Adds an account and says so in the audit log.
pub(super) async fn insert(
    app: &App,
    tx: &mut Tx,
    caller: &Caller,
    row: &Row,
) -> Result<(), ServiceError> {
    if !store::accounts::insert(tx, row).await? {
        return Err(ServiceError::AccountTaken(row.name.clone()));
    }
    let detail = json!({ "administrator": row.administrator, "robot": row.robot });
    let subject = format!("account:{}", row.name);
    audit::append(app, tx, caller, "account.create", &subject, detail).await
}

fn describe(row: Row) -> AccountDetail {
    AccountDetail {
        name: row.name,
        administrator: row.administrator,
        robot: row.robot,
        password: row.password.is_some(),
        disabled_at: row.disabled_at,
        created_at: row.created_at,
        reviewer: row.reviewer,
    }
}

fn unknown(name: &str) -> ServiceError {
    ServiceError::AccountUnknown(name.chars().take(100).collect())
}

/// The caller's own account, with its namespaces.
///
/// # Errors
/// [`ServiceError::Anonymous`].
pub async fn own(app: &App, caller: &Caller) -> Result<OwnAccount, ServiceError> {
    let known = caller.known(app)?;
    let row = store::accounts::find(&app.db, &known.name).await?;
    let mut memberships = Vec::new();
    for (namespace, role) in store::members::of_account(&app.db, &known.name).await? {
        let allowed = access::right(app, caller, &namespace).await? > access::Right::None;
        if allowed {
            memberships.push(Membership {
                namespace: namespace.parse()?,
                role: role.parse()?,
            });
        }
    }
    Ok(OwnAccount {
        account: describe(row.ok_or_else(|| unknown(&known.name))?),
        memberships,
        credential: known.credential.to_string(),
        scopes: known.scopes.clone(),
    })
}

/// Up to 1000 accounts after `last`, by name.
///
/// # Errors
/// Those of [`access::demand_administrator`].
pub async fn list(
    app: &App,
    caller: &Caller,
    last: &str,
) -> Result<Vec<AccountDetail>, ServiceError> {
    access::demand_administrator(app, caller, "list accounts")?;
    let rows = store::accounts::list(&app.db, last, PAGE).await?;
    Ok(rows.into_iter().map(describe).collect())
}

/// One account.
///
/// # Errors
/// Those of [`access::demand_administrator`]; [`ServiceError::AccountUnknown`].
pub async fn get(app: &App, caller: &Caller, name: &str) -> Result<AccountDetail, ServiceError> {
    access::demand_administrator(app, caller, "look at accounts")?;
    let row = store::accounts::find(&app.db, name).await?;
    row.map(describe).ok_or_else(|| unknown(name))
}

/// Disables or enables an account, makes it an administrator or takes that back, or gives it
/// another password. What it was logged in with ends where that matters.
///
/// # Errors
/// Those of [`access::demand_administrator`]; [`ServiceError::AccountUnknown`];
/// [`ServiceError::LastAdministrator`]; [`ServiceError::Password`].
pub async fn change(
    app: &App,
    caller: &Caller,
    name: &str,
    change: &AccountChange,
) -> Result<AccountDetail, ServiceError> {
    access::demand_administrator(app, caller, "change accounts")?;
    let password = match &change.password {
        Some(text) => Some(password::hash(app, text).await?),
        None => None,
    };
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    let row = store::accounts::find_in(&mut tx, name).await?;
    let mut row = row.ok_or_else(|| unknown(name))?;
    let raised = change.administrator == Some(true) || change.reviewer == Some(true);
    if row.robot && (password.is_some() || raised) {
        return Err(unknown(name));
    }
    match change.disabled {
        Some(true) => row.disabled_at = row.disabled_at.or(Some(now)),
        Some(false) => row.disabled_at = None,
        None => {}
    }
    row.administrator = change.administrator.unwrap_or(row.administrator);
    row.reviewer = change.reviewer.unwrap_or(row.reviewer);
    let new_password = password.is_some();
    row.password = password.or(row.password);
    let powerless = row.disabled_at.is_some() || !row.administrator;
    store::accounts::update(&mut tx, &row).await?;
    if powerless && store::accounts::other_administrators(&mut tx, "").await? == 0 {
        return Err(ServiceError::LastAdministrator(name.to_owned()));
    }
    if new_password || row.disabled_at.is_some() {
        store::sessions::end_all(&mut tx, name, now).await?;
    }
    let detail = json!({
        "disabled": change.disabled,
        "administrator": change.administrator,
        "reviewer": change.reviewer,
        "password": new_password,
    });
    let subject = format!("account:{name}");
    audit::append(app, &mut tx, caller, "account.change", &subject, detail).await?;
    tx.commit().await?;
    Ok(describe(row))
}

/// Changes the caller's password: the old one must be right, and every session ends.
///
/// # Errors
/// Those of [`access::demand_unlimited`]; [`ServiceError::BadCredentials`];
/// [`ServiceError::Password`].
pub async fn change_password(
    app: &App,
    caller: &Caller,
    change: &PasswordChange,
) -> Result<(), ServiceError> {
    let name = access::demand_unlimited(app, caller)?.name.clone();
    let row = store::accounts::find(&app.db, &name).await?;
    let row = row.ok_or_else(|| unknown(&name))?;
    if row.password.is_some() {
        password::recognise(app, &name, change.old.as_deref().unwrap_or_default()).await?;
    }
    let password = Some(password::hash(app, &change.new).await?);
    let mut tx = app.db.begin().await?;
    store::accounts::update(&mut tx, &Row { password, ..row }).await?;
    store::sessions::end_all(&mut tx, &name, app.clock.now()).await?;
    let subject = format!("account:{name}");
    audit::append(
        app,
        &mut tx,
        caller,
        "account.password",
        &subject,
        json!({}),
    )
    .await?;
    Ok(tx.commit().await?)
}

/// Links an identity of the login provider to an account.
///
/// # Errors
/// Those of [`access::demand_administrator`]; [`ServiceError::AccountUnknown`];
/// [`ServiceError::IdentityTaken`].
pub async fn link(
    app: &App,
    caller: &Caller,
    name: &str,
    identity: &NewIdentity,
) -> Result<(), ServiceError> {
    access::demand_administrator(app, caller, "link identities")?;
    let mut tx = app.db.begin().await?;
    let row = store::accounts::find_in(&mut tx, name).await?;
    if row.is_none_or(|row| row.robot) {
        return Err(unknown(name));
    }
    linked(app, &mut tx, caller, name, identity).await?;
    Ok(tx.commit().await?)
}

/// Notes the link and says so in the audit log.
pub(super) async fn linked(
    app: &App,
    tx: &mut Tx,
    caller: &Caller,
    name: &str,
    identity: &NewIdentity,
) -> Result<(), ServiceError> {
    let NewIdentity { issuer, subject } = identity;
    if !store::accounts::link(tx, issuer, subject, name, app.clock.now()).await? {
        return Err(ServiceError::IdentityTaken(
            subject.chars().take(200).collect(),
        ));
    }
    let detail = json!({ "issuer": issuer, "subject": subject });
    audit::append(
        app,
        tx,
        caller,
        "account.link",
        &format!("account:{name}"),
        detail,
    )
    .await
}
