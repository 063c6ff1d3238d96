// SPDX-License-Identifier: Apache-2.0
//! What happens once, before the first request.

use chrono::Duration;
use serde_json::json;

use super::{ServiceError, access::Caller, account, audit, token};
use crate::{app::App, clock::Random, store, store::Db};

/// The account that the first start makes.
pub const ADMINISTRATOR: &str = "admin";
/// How long its token lasts: long enough to set the registry up, not for ever.
const FIRST_TOKEN_DAYS: i64 = 365;

/// A secret of this installation, made at the first start.
///
/// # Errors
/// [`ServiceError::Store`].
pub async fn secret(db: &Db, random: &Random, name: &str) -> Result<String, ServiceError> {
    if let Some(secret) = store::settings::find(db, name).await? {
        return Ok(secret);
    }
    let mut tx = db.begin().await?;
    store::settings::insert(&mut tx, name, &hex::encode(random.bytes::<32>())).await?;
    tx.commit().await?;
    // Another replica may have been first: what is stored counts.
    store::settings::find(db, name)
        .await?
        .ok_or(ServiceError::Unavailable(
            "a secret was not kept by the database",
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
    };
    let console = Caller::console();
    let mut tx = app.db.begin().await?;
    account::insert(app, &mut tx, &console, &row).await?;
    let end = Some(now + Duration::days(FIRST_TOKEN_DAYS));
    let (text, token) =
        token::add(app, &mut tx, ADMINISTRATOR, "first start", None, end, None).await?;
    let detail = json!({ "token": token.hash, "label": token.label, "expires_at": end });
    audit::append(
        app,
        &mut tx,
        &console,
        "token.issue",
        "account:admin",
        detail,
    )
    .await?;
    tx.commit().await?;
    Ok(Some(text))
}
