// SPDX-License-Identifier: Apache-2.0
//! What happens once, before the first request.

use super::{ServiceError, token};
use crate::{app::App, clock::Random, store, store::Db};

/// The account that the first start makes.
pub const ADMINISTRATOR: &str = "admin";

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
    let issued = token::issue_unchecked(app, ADMINISTRATOR, true, "first start", None).await?;
    Ok(Some(issued.text))
}
