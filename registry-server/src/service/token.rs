// SPDX-License-Identifier: Apache-2.0
//! API tokens: prefixed, checksummed, hashed at rest, shown once, limited, and ending.

use chrono::{DateTime, Duration, Utc};
use registry_schema::{
    Digest,
    account::{NewToken, NewTokenAnswer, TokenDetail},
    scope::{self, Scope, ScopeAction},
};
use serde_json::json;

use super::{
    ServiceError,
    access::{self, Account, Caller, Credential},
    audit, bearer,
};
use crate::{
    app::App,
    store::{self, StoreError, Tx, tokens::Token},
};

pub use super::bearer::{BEARER_SECONDS, Bearer, BearerKey, grant};

/// What every API token begins with, so that scanners find leaked ones.
pub const PREFIX: &str = "bpfpkg_";
/// Longest label, in characters.
const MAX_LABEL: usize = 100;
/// How exactly the last use of a token is noted: a write for every request would be too many.
const USE_MINUTES: i64 = 10;
/// How long a token is still listed after its end.
const LISTED_DAYS: i64 = 30;

/// The hash under which a token is kept.
fn hash(text: &str) -> String {
    Digest::sha256(text.as_bytes()).hex().to_owned()
}

/// Makes a token's text: prefix, 24 random bytes, and a check sum by which a mistyped
/// one is recognised without asking the database.
fn mint(app_random: &crate::clock::Random) -> String {
    let secret = hex::encode(app_random.bytes::<24>());
    let check = &hash(&secret)[..8];
    format!("{PREFIX}{secret}{check}")
}

fn well_formed(text: &str) -> bool {
    text.strip_prefix(PREFIX).is_some_and(|rest| {
        rest.len() == 56 && rest.is_ascii() && hash(&rest[..48])[..8] == rest[48..]
    })
}

/// Issues an API token, never wider and never longer than what the caller came with.
///
/// # Errors
/// [`ServiceError::Anonymous`]; [`ServiceError::TokenRequest`] for a label, a number of days or
/// scopes that cannot be; [`ServiceError::NotAdministrator`] if it is for somebody else;
/// [`ServiceError::TokenScope`] if the caller's own token is narrower;
/// [`ServiceError::AccountUnknown`].
pub async fn issue(
    app: &App,
    caller: &Caller,
    new: &NewToken,
) -> Result<NewTokenAnswer, ServiceError> {
    let known = caller.known(app)?;
    let name = new.account.as_deref().unwrap_or(&known.name);
    if name != known.name {
        access::demand_administrator(app, caller, "issue tokens for others")?;
    }
    check(app, new)?;
    narrower(caller, &new.scopes)?;
    let now = app.clock.now();
    let days = new.days.unwrap_or(app.config.access.max_token_days);
    let mut expires_at = now + Duration::days(days.into());
    let mut parent = None;
    if let Credential::Token {
        hash,
        expires_at: own,
        ..
    } = &known.credential
    {
        expires_at = own.map_or(expires_at, |own| own.min(expires_at));
        parent = Some(hash.clone());
    }
    let mut tx = app.db.begin().await?;
    let account = store::accounts::find_in(&mut tx, name).await?;
    if account.is_none_or(|row| row.robot) {
        return Err(ServiceError::AccountUnknown(
            name.chars().take(100).collect(),
        ));
    }
    let scopes = (!new.scopes.is_empty()).then_some(new.scopes.as_slice());
    let (text, token) = add(
        app,
        &mut tx,
        name,
        &new.label,
        scopes,
        Some(expires_at),
        parent,
    )
    .await?;
    let detail = json!({
        "token": token.hash,
        "label": new.label,
        "scopes": new.scopes,
        "expires_at": expires_at,
    });
    audit::append(
        app,
        &mut tx,
        caller,
        "token.issue",
        &format!("account:{name}"),
        detail,
    )
    .await?;
    tx.commit().await?;
    Ok(NewTokenAnswer {
        token: text,
        detail: describe(token)?,
    })
}

fn check(app: &App, new: &NewToken) -> Result<(), ServiceError> {
    let longest = app.config.access.max_token_days;
    let label = new.label.chars().count();
    if label == 0 || label > MAX_LABEL || new.label.chars().any(char::is_control) {
        return Err(ServiceError::TokenRequest(format!(
            "a token's label has 1 to {MAX_LABEL} printable characters, this one {label}"
        )));
    }
    if let Some(days) = new.days.filter(|days| *days == 0 || *days > longest) {
        return Err(ServiceError::TokenRequest(format!(
            "a token of {days} days is not possible; here they last 1 to {longest}"
        )));
    }
    let (count, most) = (new.scopes.len(), scope::MAX_SCOPES);
    if count > most {
        return Err(ServiceError::TokenRequest(format!(
            "a token has at most {most} scopes, this one {count}"
        )));
    }
    Ok(())
}

/// Refuses scopes that the caller's own token does not cover.
fn narrower(caller: &Caller, scopes: &[Scope]) -> Result<(), ServiceError> {
    let Some(own) = caller.scopes() else {
        return Ok(());
    };
    if scopes.is_empty() {
        return Err(ServiceError::TokenScope {
            needed: "no scopes".to_owned(),
        });
    }
    match scopes.iter().find(|scope| !scope::covered(scope, own)) {
        Some(wider) => Err(ServiceError::TokenScope {
            needed: wider.to_string(),
        }),
        None => Ok(()),
    }
}

/// Adds a token and gives its text.
pub(super) async fn add(
    app: &App,
    tx: &mut Tx,
    account: &str,
    label: &str,
    scopes: Option<&[Scope]>,
    expires_at: Option<DateTime<Utc>>,
    parent: Option<String>,
) -> Result<(String, Token), ServiceError> {
    let text = mint(&app.random);
    let scopes = scopes.map(|scopes| json!(scopes).to_string());
    let token = Token {
        hash: hash(&text),
        account: account.to_owned(),
        label: label.to_owned(),
        scopes,
        created_at: app.clock.now(),
        expires_at,
        last_used_at: None,
        revoked_at: None,
        parent,
    };
    store::tokens::insert(tx, &token).await?;
    Ok((text, token))
}

/// Revokes one of the caller's tokens, or as an administrator anybody's, with all that were
/// made with it.
///
/// # Errors
/// [`ServiceError::Anonymous`]; [`ServiceError::TokenScope`] if the caller's token is limited
/// and this is another; [`ServiceError::TokenUnknown`].
pub async fn revoke(app: &App, caller: &Caller, id: &str) -> Result<(), ServiceError> {
    let account = caller.known(app)?;
    let unknown = || ServiceError::TokenUnknown(id.chars().take(64).collect());
    let itself = account.token_hash() == Some(id);
    if !itself {
        access::demand_unlimited(app, caller)?;
    }
    let found = store::tokens::find(&app.db, id)
        .await?
        .ok_or_else(unknown)?;
    let owner = found.token.account;
    if owner != account.name && access::demand_administrator(app, caller, "revoke").is_err() {
        return Err(unknown());
    }
    let mut tx = app.db.begin().await?;
    if !store::tokens::revoke(&mut tx, id, &owner, app.clock.now()).await? {
        return Err(unknown());
    }
    let detail = json!({ "token": id, "label": found.token.label });
    audit::append(
        app,
        &mut tx,
        caller,
        "token.revoke",
        &format!("account:{owner}"),
        detail,
    )
    .await?;
    Ok(tx.commit().await?)
}

/// Forgets what ended: sessions, logins and exchanges at once, tokens after they were listed
/// as ended for a while. What they did stays in the audit log.
///
/// # Errors
/// [`ServiceError::Store`].
pub async fn sweep(app: &App) -> Result<(), ServiceError> {
    let now = app.clock.now();
    let mut tx = app.db.begin_relaxed().await?;
    store::sessions::forget(&mut tx, now).await?;
    store::trusted_publishers::forget(&mut tx, now).await?;
    let mut forgotten = 0;
    // The youngest of a family go first.
    loop {
        let gone = store::tokens::forget(&mut tx, now - Duration::days(LISTED_DAYS)).await?;
        if gone == 0 {
            break;
        }
        forgotten += gone;
    }
    tx.commit().await?;
    if forgotten > 0 {
        tracing::info!(forgotten, "forgot tokens that have ended");
    }
    Ok(())
}

/// The tokens of an account, oldest first: the caller's, or as an administrator anybody's.
///
/// # Errors
/// [`ServiceError::Anonymous`], [`ServiceError::NotAdministrator`],
/// [`ServiceError::TokenScope`] if the caller's token is limited.
pub async fn list(
    app: &App,
    caller: &Caller,
    account: Option<&str>,
) -> Result<Vec<TokenDetail>, ServiceError> {
    let known = access::demand_unlimited(app, caller)?;
    let name = account.unwrap_or(&known.name);
    if name != known.name {
        access::demand_administrator(app, caller, "see the tokens of others")?;
    }
    let tokens = store::tokens::list(&app.db, name).await?;
    tokens.into_iter().map(describe).collect()
}

pub(super) fn describe(token: Token) -> Result<TokenDetail, ServiceError> {
    Ok(TokenDetail {
        scopes: scopes_of(token.scopes.as_deref())?,
        id: token.hash,
        label: token.label,
        created_at: token.created_at,
        expires_at: token.expires_at,
        last_used_at: token.last_used_at,
        revoked_at: token.revoked_at,
    })
}

fn scopes_of(text: Option<&str>) -> Result<Option<Vec<Scope>>, StoreError> {
    let parse = |text: &str| {
        serde_json::from_str(text).map_err(|error| StoreError::Corrupt {
            table: "tokens",
            column: "scopes",
            value: text.to_owned(),
            reason: error.to_string(),
        })
    };
    text.map(parse).transpose()
}

/// Recognises an API token, as a password or as a bearer token.
///
/// # Errors
/// [`ServiceError::BadCredentials`], the same for every reason; [`ServiceError::Store`].
pub async fn recognise(app: &App, text: &str) -> Result<Caller, ServiceError> {
    if !well_formed(text) {
        return Err(ServiceError::BadCredentials);
    }
    Ok(Caller {
        account: Some(live(app, &hash(text)).await?),
        grants: None,
    })
}

/// The account of a token that is good now.
pub(super) async fn live(app: &App, hash: &str) -> Result<Account, ServiceError> {
    let holder = store::tokens::find(&app.db, hash)
        .await?
        .ok_or(ServiceError::BadCredentials)?;
    let (token, now) = (holder.token, app.clock.now());
    let expired = token.expires_at.is_some_and(|end| end <= now);
    if expired || token.revoked_at.is_some() || holder.disabled_at.is_some() {
        return Err(ServiceError::BadCredentials);
    }
    let noted = |at| now - at < Duration::minutes(USE_MINUTES);
    if !token.last_used_at.is_some_and(noted) {
        // Nobody waits for it: who may read may do so also while nothing can be written.
        let (app, hash) = (app.clone(), hash.to_owned());
        tokio::spawn(async move {
            if let Err(error) = note_use(&app, &hash, now).await {
                tracing::warn!(%error, "the use of a token was not noted");
            }
        });
    }
    Ok(Account {
        scopes: scopes_of(token.scopes.as_deref())?,
        name: token.account,
        administrator: holder.administrator,
        credential: Credential::Token {
            hash: token.hash,
            label: token.label,
            expires_at: token.expires_at,
        },
    })
}

async fn note_use(app: &App, hash: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
    let mut tx = app.db.begin_relaxed().await?;
    store::tokens::used(&mut tx, hash, now).await?;
    tx.commit().await
}

/// Recognises whatever stands behind `Authorization: Bearer`: an API token, or a token of
/// the token endpoint where that is good.
///
/// # Errors
/// [`ServiceError::BadCredentials`]; [`ServiceError::Store`].
pub async fn recognise_bearer(app: &App, text: &str, oci: bool) -> Result<Caller, ServiceError> {
    if text.starts_with(PREFIX) {
        recognise(app, text).await
    } else if oci {
        bearer::recognise(app, text).await
    } else {
        Err(ServiceError::BadCredentials)
    }
}

/// Gives a token that an OCI client keeps instead of a password, for the `refresh_token` of the
/// token endpoint: it may pull, push and delete as far as the caller may.
///
/// # Errors
/// As for [`issue`].
pub async fn refresh(app: &App, caller: &Caller, client: &str) -> Result<String, ServiceError> {
    let everything =
        [ScopeAction::Pull, ScopeAction::Push, ScopeAction::Delete].map(ScopeAction::as_str);
    let scopes = match caller.scopes() {
        Some(own) => own.to_vec(),
        None => vec![format!("*:{}", everything.join(",")).parse()?],
    };
    let client: String = client
        .chars()
        .filter(|c| !c.is_control())
        .take(60)
        .collect();
    let new = NewToken {
        label: format!("kept by {client}"),
        scopes,
        days: None,
        account: None,
    };
    Ok(issue(app, caller, &new).await?.token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Random;

    #[test]
    fn a_mistyped_token_is_recognised_before_the_database() {
        let token = mint(&Random::seeded(1));
        assert!(well_formed(&token), "{token}");
        let mut typo = token.clone().into_bytes();
        typo[10] = if typo[10] == b'0' { b'1' } else { b'0' };
        assert!(!well_formed(&String::from_utf8(typo).expect("ascii")));
        for text in ["", PREFIX, "bpfpkg_é", &token[1..], &format!("{token}0")] {
            assert!(!well_formed(text), "{text}");
        }
    }
}
