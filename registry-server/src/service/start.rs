// SPDX-License-Identifier: Apache-2.0
//! What happens once, before the first request.

use chrono::{DateTime, Duration, Utc};
use serde_json::json;

use super::{ServiceError, access::Caller, account, audit, token};
use crate::{
    app::App,
    clock::Random,
    store::{self, Db, Tx, tokens::Token},
};

/// The account that the first start makes.
pub const ADMINISTRATOR: &str = "admin";
/// How long its token lasts: long enough to set the registry up, not for ever.
const FIRST_TOKEN_DAYS: i64 = 365;

/// A secret of this installation, made at the first start.
///
/// # Errors
/// [`ServiceError::Store`].
pub async fn secret(db: &Db, random: &Random, name: &str) -> Result<String, ServiceError> {
    fixed(db, name, &hex::encode(random.bytes::<32>())).await
}

/// What is fixed at the first start: `value`, unless an earlier start fixed another.
///
/// # Errors
/// [`ServiceError::Store`].
pub async fn fixed(db: &Db, name: &str, value: &str) -> Result<String, ServiceError> {
    if let Some(found) = store::settings::find(db, name).await? {
        return Ok(found);
    }
    let mut tx = db.begin().await?;
    store::settings::insert(&mut tx, name, value).await?;
    tx.commit().await?;
    // Another replica may have been first: what is stored counts.
    store::settings::find(db, name)
        .await?
        .ok_or(ServiceError::Unavailable(
            "a setting was not kept by the database",
        ))
}

/// Makes the administrator's account and first token if there is no account at all.
///
/// # Errors
/// [`ServiceError::Store`].
pub async fn first_token(app: &App) -> Result<Option<String>, ServiceError> {
    if store::accounts::count(&app.db).await? > 0 {
        return Ok(None);
    }
    let now = app.clock.now();
    let row = store::accounts::Account {
        name: ADMINISTRATOR.to_owned(),
        administrator: true,
        robot: false,
        password: None,
        disabled_at: None,
        created_at: now,
        reviewer: false,
    };
    let console = Caller::console();
    let mut tx = app.db.begin().await?;
    account::insert(app, &mut tx, &console, &row).await?;
    let end = Some(now + Duration::days(FIRST_TOKEN_DAYS));
    let (text, token) =
        token::add(app, &mut tx, ADMINISTRATOR, "first start", None, end, None).await?;
    issued(app, &mut tx, &token).await?;
    tx.commit().await?;
    Ok(Some(text))
}

/// Says in the audit log that whoever may run this program has made a token.
async fn issued(app: &App, tx: &mut Tx, token: &Token) -> Result<(), ServiceError> {
    let (console, subject) = (Caller::console(), format!("account:{}", token.account));
    let detail = json!({
        "token": token.hash,
        "label": token.label,
        "expires_at": token.expires_at,
    });
    audit::append(app, tx, &console, "token.issue", &subject, detail).await
}

/// A token for an administrator who had none left.
#[derive(Debug)]
pub struct WayBack {
    /// Whose it is.
    pub account: String,
    /// Its text, which is nowhere else.
    pub token: String,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
}

/// Makes a token for the administrator `name`, or for the first that is enabled.
///
/// # Errors
/// [`ServiceError::NotAdministrator`] if `name` is none, or is disabled;
/// [`ServiceError::Store`].
pub async fn way_back(app: &App, name: Option<&str>, hours: u32) -> Result<WayBack, ServiceError> {
    let name = name.unwrap_or_default();
    let expires_at = app.clock.now() + Duration::hours(hours.into());
    let mut tx = app.db.begin().await?;
    let found = store::accounts::first_administrator(&mut tx, name).await?;
    let account = found.ok_or_else(|| ServiceError::NotAdministrator {
        account: name.chars().take(100).collect(),
        action: "come back in this way, if they are enabled",
    })?;
    let (label, end) = ("made on the console", Some(expires_at));
    let (text, token) = token::add(app, &mut tx, &account, label, None, end, None).await?;
    issued(app, &mut tx, &token).await?;
    tx.commit().await?;
    Ok(WayBack {
        account,
        token: text,
        expires_at,
    })
}
