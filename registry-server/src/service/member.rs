// SPDX-License-Identifier: Apache-2.0
//! Members of namespaces.

use registry_schema::{
    Namespace,
    account::{Member, Role},
};
use serde_json::json;

use super::{
    ServiceError,
    access::{self, Caller, Right},
    audit, log,
};
use crate::{
    app::App,
    store::{self, Tx},
};

/// The members of a namespace, by name: for its members.
///
/// # Errors
/// [`ServiceError::Anonymous`]; [`ServiceError::NamespaceUnknown`] for who may not read it;
/// [`ServiceError::Forbidden`] for who is no member.
pub async fn list(
    app: &App,
    caller: &Caller,
    namespace: &Namespace,
) -> Result<Vec<Member>, ServiceError> {
    let (account, name) = (caller.known(app)?, namespace.as_str());
    let right = access::right(app, caller, name).await?;
    if right == Right::None {
        return Err(ServiceError::NamespaceUnknown(name.to_owned()));
    }
    let members = store::members::list(&app.db, name).await?;
    let belongs = members.iter().any(|member| member.account == account.name);
    let unlimited = caller.allows_all(registry_schema::scope::ScopeAction::Pull, name);
    if !unlimited || !(belongs || account.administrator) {
        return Err(ServiceError::Forbidden {
            account: account.name.clone(),
            action: "see members",
            namespace: name.to_owned(),
        });
    }
    let member = |row: store::members::Member| {
        Ok(Member {
            role: row.role.parse()?,
            account: row.account,
            since: row.added_at,
        })
    };
    members.into_iter().map(member).collect()
}

/// Gives an account a role, also instead of another.
///
/// # Errors
/// Those of [`access::demand_owner`]; [`ServiceError::AccountUnknown`];
/// [`ServiceError::LastOwner`].
pub async fn set(
    app: &App,
    caller: &Caller,
    namespace: &Namespace,
    account: &str,
    role: Role,
) -> Result<Member, ServiceError> {
    access::demand_owner(app, caller, namespace.as_str(), "change members").await?;
    let mut tx = app.db.begin().await?;
    lock(&mut tx, namespace).await?;
    let found = store::accounts::find_in(&mut tx, account).await?;
    if found.is_none_or(|row| row.robot) {
        return Err(ServiceError::AccountUnknown(
            account.chars().take(100).collect(),
        ));
    }
    if role != Role::Owner {
        keep_an_owner(&mut tx, namespace, account).await?;
    }
    let (name, now) = (namespace.as_str(), app.clock.now());
    let before = role_in(&mut tx, name, account).await?;
    store::namespaces::set_member(&mut tx, name, account, role.as_str(), now).await?;
    log::role(app, &mut tx, namespace, before, Some(role)).await?;
    let detail = json!({ "account": account, "role": role });
    audit::append(app, &mut tx, caller, "member.set", name, detail).await?;
    tx.commit().await?;
    log::settle(app).await;
    Ok(Member {
        account: account.to_owned(),
        role,
        since: now,
    })
}

/// Takes an account's role away. A member may leave; others are removed by owners.
///
/// # Errors
/// Those of [`access::demand_owner`]; [`ServiceError::MemberUnknown`];
/// [`ServiceError::LastOwner`].
pub async fn remove(
    app: &App,
    caller: &Caller,
    namespace: &Namespace,
    account: &str,
) -> Result<(), ServiceError> {
    let name = namespace.as_str();
    let leaves = caller.name() == account && caller.scopes().is_none();
    if !leaves {
        access::demand_owner(app, caller, name, "change members").await?;
    }
    let unknown = || ServiceError::MemberUnknown {
        namespace: name.to_owned(),
        account: account.chars().take(100).collect(),
    };
    let mut tx = app.db.begin().await?;
    lock(&mut tx, namespace).await?;
    let robot = store::accounts::find_in(&mut tx, account).await?;
    if robot.is_none_or(|row| row.robot) {
        return Err(unknown());
    }
    keep_an_owner(&mut tx, namespace, account).await?;
    let before = role_in(&mut tx, name, account).await?;
    if !store::members::remove(&mut tx, name, account).await? {
        // Who asks about itself may not be allowed to know that the namespace exists.
        return Err(if leaves {
            ServiceError::NamespaceUnknown(name.to_owned())
        } else {
            unknown()
        });
    }
    log::role(app, &mut tx, namespace, before, None).await?;
    let detail = json!({ "account": account });
    audit::append(app, &mut tx, caller, "member.remove", name, detail).await?;
    tx.commit().await?;
    log::settle(app).await;
    Ok(())
}

async fn role_in(
    tx: &mut Tx,
    namespace: &str,
    account: &str,
) -> Result<Option<Role>, ServiceError> {
    let role = store::members::role_in(tx, namespace, account).await?;
    Ok(role.map(|role| role.parse()).transpose()?)
}

async fn lock(tx: &mut Tx, namespace: &Namespace) -> Result<(), ServiceError> {
    if store::members::lock(tx, namespace.as_str()).await? {
        Ok(())
    } else {
        Err(ServiceError::NamespaceUnknown(namespace.to_string()))
    }
}

/// Refuses what would leave a namespace without an owner.
async fn keep_an_owner(
    tx: &mut Tx,
    namespace: &Namespace,
    account: &str,
) -> Result<(), ServiceError> {
    let name = namespace.as_str();
    let is_owner = store::members::role_in(tx, name, account).await?.as_deref() == Some("owner");
    if is_owner && store::members::other_owners(tx, name, account).await? == 0 {
        return Err(ServiceError::LastOwner {
            namespace: name.to_owned(),
            account: account.to_owned(),
        });
    }
    Ok(())
}
