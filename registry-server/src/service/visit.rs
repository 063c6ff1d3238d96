// SPDX-License-Identifier: Apache-2.0
//! Sessions of the web pages. They count there and nowhere else: neither `/v2` nor the API
//! looks at a cookie.

use chrono::Duration;
use registry_schema::Digest;
use serde_json::json;

use super::{
    ServiceError,
    access::{Account, Caller, Credential},
    audit,
};
use crate::{app::App, store};

/// How long a session lasts, in hours.
pub const HOURS: i64 = 12;

/// A session that goes on.
#[derive(Debug, Clone)]
pub struct Session {
    /// Who it is.
    pub caller: Caller,
    /// What every form of the session must send along.
    pub csrf: String,
}

fn hash(secret: &str) -> String {
    Digest::sha256(secret.as_bytes()).hex().to_owned()
}

/// What a form must send along to prove that a page of ours made it: derived from a secret in
/// a cookie, which no other site can read.
pub fn csrf(secret: &str) -> String {
    hash(&format!("csrf {secret}"))
}

/// A secret for a cookie.
pub fn secret(app: &App) -> String {
    hex::encode(app.random.bytes::<32>())
}

/// Begins a session for who has just logged in, and ends the one it came with. Gives the
/// secret for the cookie: always a new one, so that nobody can prepare it.
///
/// # Errors
/// [`ServiceError::Store`].
pub async fn begin(
    app: &App,
    caller: &Caller,
    former: Option<&str>,
) -> Result<String, ServiceError> {
    let account = caller.known(app)?;
    let (text, now) = (secret(app), app.clock.now());
    let mut tx = app.db.begin().await?;
    store::sessions::forget(&mut tx, now).await?;
    if let Some(former) = former {
        store::sessions::end(&mut tx, &hash(former), now).await?;
    }
    let mut end = now + Duration::hours(HOURS);
    if let Credential::Token { expires_at, .. } = &account.credential {
        end = expires_at.map_or(end, |ends| ends.min(end));
    }
    let token = account.token_hash();
    store::sessions::insert(&mut tx, &hash(&text), &account.name, token, now, end).await?;
    let subject = format!("account:{}", account.name);
    audit::append(app, &mut tx, caller, "session.begin", &subject, json!({})).await?;
    tx.commit().await?;
    Ok(text)
}

/// The session of a cookie, if it goes on.
///
/// # Errors
/// [`ServiceError::Store`].
pub async fn find(app: &App, secret: &str) -> Result<Option<Session>, ServiceError> {
    let found = store::sessions::find(&app.db, &hash(secret)).await?;
    let live = found.filter(|session| session.expires_at > app.clock.now());
    Ok(live.map(|session| Session {
        caller: Caller {
            account: Some(Account {
                name: session.account,
                administrator: session.administrator,
                credential: Credential::Session,
                scopes: None,
            }),
            grants: None,
        },
        csrf: csrf(secret),
    }))
}

/// Ends a session. One that is over already stays so.
///
/// # Errors
/// [`ServiceError::Store`].
pub async fn end(app: &App, caller: &Caller, secret: &str) -> Result<(), ServiceError> {
    let mut tx = app.db.begin().await?;
    if store::sessions::end(&mut tx, &hash(secret), app.clock.now()).await? {
        let subject = format!("account:{}", caller.name());
        audit::append(app, &mut tx, caller, "session.end", &subject, json!({})).await?;
        tx.commit().await?;
    }
    Ok(())
}
