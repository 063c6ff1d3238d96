// SPDX-License-Identifier: Apache-2.0
//! Who may do what: the only place that decides it.

use std::fmt;

use chrono::{DateTime, Utc};
use registry_schema::{
    account::Role,
    name::RepositoryName,
    scope::{Scope, ScopeAction},
};

use super::ServiceError;
use crate::{
    app::App,
    store::{self, StoreError},
};

/// Who sends a request.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// The account, if one is logged in.
    pub account: Option<Account>,
    /// What the bearer token is limited to; `None` for credentials that carry no scope.
    pub grants: Option<Vec<Grant>>,
}

/// A logged-in account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Whether it may do everything.
    pub administrator: bool,
    /// What it proved itself with.
    pub credential: Credential,
    /// What that credential is limited to; `None` if to nothing.
    pub scopes: Option<Vec<Scope>>,
}

impl Account {
    /// The hash of the API token it came with, if it came with one.
    pub fn token_hash(&self) -> Option<&str> {
        match &self.credential {
            Credential::Token { hash, .. } => Some(hash),
            _ => None,
        }
    }
}

/// What an account proved itself with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// An API token.
    Token {
        /// The hash that it is kept under.
        hash: String,
        /// What its owner calls it.
        label: String,
        /// When it ends.
        expires_at: Option<DateTime<Utc>>,
    },
    /// A password.
    Password {
        /// Tells this password from the next.
        stamp: String,
    },
    /// A client certificate.
    Certificate {
        /// `uri`, `dns`, `email` or `spki`.
        kind: String,
        /// The name in the certificate, or the hash of its key.
        value: String,
    },
    /// A cookie of the web pages.
    Session,
    /// Whoever may run this program on its data.
    Console,
}

/// For the audit log: which one it was, and never the secret.
impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token { hash, label, .. } => write!(f, "token {} {label}", &hash[..12]),
            Self::Password { .. } => f.write_str("password"),
            Self::Certificate { kind, value } => write!(f, "certificate {kind}:{value}"),
            Self::Session => f.write_str("session"),
            Self::Console => f.write_str("console"),
        }
    }
}

/// What a bearer token allows on one repository.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Grant {
    /// Always `repository`, or `registry` for the catalogue.
    #[serde(rename = "type")]
    pub kind: String,
    /// The repository.
    pub name: String,
    /// `pull`, `push`, `delete`.
    pub actions: Vec<String>,
}

/// What is done to a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Read.
    Pull,
    /// Write.
    Push,
    /// Remove.
    Delete,
    /// Withdraw a version, take that back, deprecate.
    Yank,
}

impl Action {
    /// The word used in scopes and messages.
    pub const fn as_str(self) -> &'static str {
        self.scope().as_str()
    }

    /// What a token must allow for it.
    const fn scope(self) -> ScopeAction {
        match self {
            Self::Pull => ScopeAction::Pull,
            Self::Push => ScopeAction::Push,
            Self::Delete => ScopeAction::Delete,
            Self::Yank => ScopeAction::Yank,
        }
    }

    /// What an account must be for it.
    pub(super) const fn right(self) -> Right {
        match self {
            Self::Pull => Right::Read,
            Self::Push => Right::Write,
            Self::Delete | Self::Yank => Right::Maintain,
        }
    }
}

/// What an account may do with a namespace, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Not even know that it exists.
    None,
    /// Pull.
    Read,
    /// Push.
    Write,
    /// Delete, yank, change keys and trusted publishers.
    Maintain,
    /// Change members and visibility, delete the namespace.
    Own,
}

impl From<Role> for Right {
    fn from(role: Role) -> Self {
        match role {
            Role::Viewer => Self::Read,
            Role::Publisher => Self::Write,
            Role::Maintainer => Self::Maintain,
            Role::Owner => Self::Own,
        }
    }
}

impl From<ScopeAction> for Right {
    fn from(action: ScopeAction) -> Self {
        match action {
            ScopeAction::Pull => Self::Read,
            ScopeAction::Push => Self::Write,
            ScopeAction::Delete | ScopeAction::Yank => Self::Maintain,
            ScopeAction::Manage => Self::Own,
            // Administration is of the registry, not of a namespace.
            ScopeAction::Admin => Self::None,
        }
    }
}

impl Caller {
    /// Whoever may run this program on its data, as the administrator.
    pub fn console() -> Self {
        Self {
            account: Some(Account {
                name: super::start::ADMINISTRATOR.to_owned(),
                administrator: true,
                credential: Credential::Console,
                scopes: None,
            }),
            grants: None,
        }
    }

    /// The name of the account, or the empty text.
    pub fn name(&self) -> &str {
        self.account.as_ref().map_or("", |account| &account.name)
    }

    /// The account, which must be logged in.
    ///
    /// # Errors
    /// [`ServiceError::Anonymous`].
    pub fn known(&self, app: &App) -> Result<&Account, ServiceError> {
        self.account
            .as_ref()
            .ok_or_else(|| ServiceError::Anonymous {
                host: app.host().to_owned(),
            })
    }

    /// Whether the caller is an administrator, whatever its token is limited to.
    pub fn is_administrator(&self) -> bool {
        self.account
            .as_ref()
            .is_some_and(|account| account.administrator)
    }

    /// What the caller's token is limited to, if to anything.
    pub(super) fn scopes(&self) -> Option<&[Scope]> {
        self.account.as_ref()?.scopes.as_deref()
    }

    /// Whether the token allows `action` in a repository; what is no limited token allows all.
    pub(super) fn allows(&self, action: ScopeAction, repository: &str) -> bool {
        let allows = |scope: &Scope| scope.allows(action, repository);
        self.scopes().is_none_or(|scopes| scopes.iter().any(allows))
    }

    /// Whether the token allows `action` in all of a namespace.
    pub(super) fn allows_all(&self, action: ScopeAction, namespace: &str) -> bool {
        let allows = |scope: &Scope| scope.allows_all(action, namespace);
        self.scopes().is_none_or(|scopes| scopes.iter().any(allows))
    }
}

/// What a caller may do with a namespace, and whether everybody may read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The caller's right.
    pub right: Right,
    /// Whether the namespace is public.
    pub public: bool,
}

/// The most that the caller's token allows anywhere in a namespace.
fn cap(caller: &Caller, namespace: &str) -> Right {
    let Some(scopes) = caller.scopes() else {
        return Right::Own;
    };
    let here = scopes.iter().filter(|scope| scope.touches(namespace));
    let rights = here
        .flat_map(Scope::actions)
        .map(|action| Right::from(*action));
    rights.max().unwrap_or(Right::None)
}

/// What the caller may do with a namespace; [`Right::None`] if there is no such namespace.
///
/// # Errors
/// [`ServiceError::Store`].
pub async fn standing(
    app: &App,
    caller: &Caller,
    namespace: &str,
) -> Result<Standing, ServiceError> {
    let nothing = Standing {
        right: Right::None,
        public: false,
    };
    let found = store::members::standing(&app.db, namespace, caller.name()).await?;
    let Some((visibility, role)) = found else {
        return Ok(nothing);
    };
    let public = visibility == "public";
    let right = match &caller.account {
        Some(account) if account.administrator => Right::Own,
        _ => role.map_or(Ok(Right::None), |role| right_of(&role))?,
    };
    let everybody = if public { Right::Read } else { Right::None };
    Ok(Standing {
        right: right.min(cap(caller, namespace)).max(everybody),
        public,
    })
}

fn right_of(role: &str) -> Result<Right, StoreError> {
    let role: Role =
        role.parse().map_err(
            |error: registry_schema::account::RoleError| StoreError::Corrupt {
                table: "namespace_members",
                column: "role",
                value: role.to_owned(),
                reason: error.to_string(),
            },
        )?;
    Ok(role.into())
}

/// The right alone, as [`standing`] finds it.
///
/// # Errors
/// [`ServiceError::Store`].
pub async fn right(app: &App, caller: &Caller, namespace: &str) -> Result<Right, ServiceError> {
    Ok(standing(app, caller, namespace).await?.right)
}

/// The namespaces beside the public ones that the caller may read as a whole; `None` if all.
///
/// # Errors
/// [`ServiceError::Store`].
pub async fn readable(app: &App, caller: &Caller) -> Result<Option<Vec<String>>, ServiceError> {
    let Some(account) = &caller.account else {
        return Ok(Some(Vec::new()));
    };
    let mut names = match (account.administrator, &account.scopes) {
        (true, None) => return Ok(None),
        (true, Some(_)) => {
            let all = store::namespaces::list(&app.db).await?;
            all.into_iter().map(|namespace| namespace.name).collect()
        }
        (false, _) => store::catalogue::namespaces_of(&app.db, &account.name).await?,
    };
    names.retain(|name: &String| caller.allows_all(ScopeAction::Pull, name));
    Ok(Some(names))
}

/// Whether the caller may read a repository.
///
/// # Errors
/// [`ServiceError::Store`].
pub async fn may_read(app: &App, caller: &Caller, repository: &str) -> Result<bool, ServiceError> {
    let namespace = repository.split('/').next().unwrap_or_default();
    let standing = standing(app, caller, namespace).await?;
    let allowed = standing.public || caller.allows(ScopeAction::Pull, repository);
    Ok(standing.right >= Right::Read && allowed)
}

/// Demands a right over a whole namespace, for which a limited token needs `manage`.
async fn demand_right(
    app: &App,
    caller: &Caller,
    namespace: &str,
    needed: Right,
    action: &'static str,
) -> Result<(), ServiceError> {
    let account = caller.known(app)?;
    let right = right(app, caller, namespace).await?;
    if right == Right::None {
        return Err(ServiceError::NamespaceUnknown(namespace.to_owned()));
    }
    if !caller.allows_all(ScopeAction::Manage, namespace) {
        return Err(ServiceError::TokenScope {
            needed: format!("{namespace}/*:manage"),
        });
    }
    if right < needed {
        return Err(ServiceError::Forbidden {
            account: account.name.clone(),
            action,
            namespace: namespace.to_owned(),
        });
    }
    Ok(())
}

/// Demands that the caller owns a namespace.
///
/// # Errors
/// [`ServiceError::Anonymous`], [`ServiceError::NamespaceUnknown`] if the caller may not
/// even read it, [`ServiceError::TokenScope`], [`ServiceError::Forbidden`].
pub async fn demand_owner(
    app: &App,
    caller: &Caller,
    namespace: &str,
    action: &'static str,
) -> Result<(), ServiceError> {
    demand_right(app, caller, namespace, Right::Own, action).await
}

/// Demands that the caller maintains a namespace.
///
/// # Errors
/// As for [`demand_owner`].
pub async fn demand_maintainer(
    app: &App,
    caller: &Caller,
    namespace: &str,
    action: &'static str,
) -> Result<(), ServiceError> {
    demand_right(app, caller, namespace, Right::Maintain, action).await
}

/// Demands that the caller is an administrator, with a token that may be used as one.
///
/// # Errors
/// [`ServiceError::Anonymous`], [`ServiceError::NotAdministrator`],
/// [`ServiceError::TokenScope`].
pub fn demand_administrator(
    app: &App,
    caller: &Caller,
    action: &'static str,
) -> Result<(), ServiceError> {
    let account = caller.known(app)?;
    if !account.administrator {
        return Err(ServiceError::NotAdministrator {
            account: account.name.clone(),
            action,
        });
    }
    if !caller.allows_all(ScopeAction::Admin, "") {
        return Err(ServiceError::TokenScope {
            needed: "*:admin".to_owned(),
        });
    }
    Ok(())
}

/// Demands a credential that may do all that the account may: for what would let a limited
/// token get rid of its limits.
///
/// # Errors
/// [`ServiceError::Anonymous`], [`ServiceError::TokenScope`].
pub fn demand_unlimited<'a>(app: &App, caller: &'a Caller) -> Result<&'a Account, ServiceError> {
    let account = caller.known(app)?;
    if account.scopes.is_some() {
        return Err(ServiceError::TokenScope {
            needed: "no scopes".to_owned(),
        });
    }
    Ok(account)
}

/// Demands that the caller may do `action` in `repository`: by the rights of the account
/// as they are now, by the scopes of its API token, and by those of the bearer token.
///
/// # Errors
/// [`ServiceError::Anonymous`] if logging in might help; for known accounts
/// [`ServiceError::NamespaceUnknown`] or [`ServiceError::RepositoryUnknown`] without the
/// right to read, [`ServiceError::Forbidden`] or [`ServiceError::TokenScope`] with it,
/// [`ServiceError::Scope`].
pub async fn demand(
    app: &App,
    caller: &Caller,
    repository: &RepositoryName,
    action: Action,
) -> Result<Standing, ServiceError> {
    let standing = standing(app, caller, repository.namespace()).await?;
    let free = action == Action::Pull && standing.public;
    let allowed = free || caller.allows(action.scope(), repository.as_str());
    if standing.right < action.right() || !allowed {
        // Private and missing look alike to who may not read.
        let account = caller.known(app)?;
        let hidden = standing.right == Right::None;
        return Err(match action {
            Action::Pull if hidden => ServiceError::RepositoryUnknown(repository.clone()),
            _ if hidden => ServiceError::NamespaceUnknown(repository.namespace().to_owned()),
            _ if !allowed => ServiceError::TokenScope {
                needed: format!("{repository}:{}", action.as_str()),
            },
            _ => ServiceError::Forbidden {
                account: account.name.clone(),
                action: action.as_str(),
                namespace: repository.namespace().to_owned(),
            },
        });
    }
    let covered = caller.grants.as_ref().is_none_or(|grants| {
        grants.iter().any(|grant| {
            grant.kind == "repository"
                && grant.name == repository.as_str()
                && grant.actions.iter().any(|word| word == action.as_str())
        })
    });
    // What everybody may read needs no scope: some clients reuse a token across repositories.
    if covered || free {
        Ok(standing)
    } else {
        Err(ServiceError::Scope {
            repository: repository.clone(),
            action: action.as_str(),
        })
    }
}
