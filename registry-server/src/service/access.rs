// SPDX-License-Identifier: Apache-2.0
//! Who may do what: the only place that decides it.

use std::fmt;

use registry_schema::name::RepositoryName;

use super::ServiceError;
use crate::{app::App, store};

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
}

impl Account {
    /// The hash of the API token it came with, if it came with one.
    pub fn token_hash(&self) -> Option<String> {
        match &self.credential {
            Credential::Token { hash, .. } => Some(hash.clone()),
            Credential::Console => None,
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
    },
    /// Whoever may run this program on its data.
    Console,
}

/// For the audit log: which one it was, and never the secret.
impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token { hash, label } => write!(f, "token {} {label}", &hash[..12]),
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
}

impl Action {
    /// The word used in scopes and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
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
    /// Push and delete.
    Write,
    /// Change members and keys.
    Own,
}

impl Caller {
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

    /// Whether the caller is an administrator.
    pub fn is_administrator(&self) -> bool {
        self.account
            .as_ref()
            .is_some_and(|account| account.administrator)
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

/// What the caller may do with a namespace; [`Right::None`] if there is no such namespace.
///
/// # Errors
/// [`ServiceError::Store`].
pub async fn standing(
    app: &App,
    caller: &Caller,
    namespace: &str,
) -> Result<Standing, ServiceError> {
    let Some(found) = store::namespaces::find(&app.db, namespace).await? else {
        return Ok(Standing {
            right: Right::None,
            public: false,
        });
    };
    let public = found.visibility == "public";
    let right = match &caller.account {
        Some(account) if account.administrator => Right::Own,
        Some(account) => {
            match store::namespaces::role(&app.db, namespace, &account.name)
                .await?
                .as_deref()
            {
                Some("owner") => Right::Own,
                Some("publisher") => Right::Write,
                Some("reader") => Right::Read,
                _ => Right::None,
            }
        }
        None => Right::None,
    };
    Ok(Standing {
        right: right.max(if public { Right::Read } else { Right::None }),
        public,
    })
}

/// The right alone, as [`standing`] finds it.
///
/// # Errors
/// [`ServiceError::Store`].
pub async fn right(app: &App, caller: &Caller, namespace: &str) -> Result<Right, ServiceError> {
    Ok(standing(app, caller, namespace).await?.right)
}

/// Demands that the caller owns a namespace.
///
/// # Errors
/// [`ServiceError::Anonymous`], [`ServiceError::NamespaceUnknown`] if the caller may not
/// even read it, [`ServiceError::Forbidden`].
pub async fn demand_owner(
    app: &App,
    caller: &Caller,
    namespace: &str,
    action: &'static str,
) -> Result<(), ServiceError> {
    let account = caller.known(app)?;
    match right(app, caller, namespace).await? {
        Right::Own => Ok(()),
        Right::None => Err(ServiceError::NamespaceUnknown(namespace.to_owned())),
        Right::Read | Right::Write => Err(ServiceError::Forbidden {
            account: account.name.clone(),
            action,
            namespace: namespace.to_owned(),
        }),
    }
}

/// Demands that the caller is an administrator.
///
/// # Errors
/// [`ServiceError::Anonymous`], [`ServiceError::NotAdministrator`].
pub fn demand_administrator(
    app: &App,
    caller: &Caller,
    action: &'static str,
) -> Result<(), ServiceError> {
    let account = caller.known(app)?;
    if account.administrator {
        return Ok(());
    }
    Err(ServiceError::NotAdministrator {
        account: account.name.clone(),
        action,
    })
}

/// Demands that the caller may do `action` in `repository`: by the rights of the account
/// as they are now, and by the scope of the bearer token.
///
/// # Errors
/// [`ServiceError::Anonymous`] if logging in might help; for known accounts
/// [`ServiceError::NamespaceUnknown`] or [`ServiceError::RepositoryUnknown`] without the
/// right to read, [`ServiceError::Forbidden`] with it, [`ServiceError::Scope`].
pub async fn demand(
    app: &App,
    caller: &Caller,
    repository: &RepositoryName,
    action: Action,
) -> Result<Standing, ServiceError> {
    let needed = if action == Action::Pull {
        Right::Read
    } else {
        Right::Write
    };
    let standing = standing(app, caller, repository.namespace()).await?;
    if standing.right < needed {
        // Private and missing look alike to who may not read.
        let account = caller.known(app)?;
        return Err(match (standing.right, action) {
            (Right::None, Action::Pull) => ServiceError::RepositoryUnknown(repository.clone()),
            (Right::None, _) => ServiceError::NamespaceUnknown(repository.namespace().to_owned()),
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
    if covered || (action == Action::Pull && standing.public) {
        Ok(standing)
    } else {
        Err(ServiceError::Scope {
            repository: repository.clone(),
            action: action.as_str(),
        })
    }
}
