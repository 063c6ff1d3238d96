// SPDX-License-Identifier: Apache-2.0
//! API tokens (long-lived, hashed at rest) and bearer tokens (minutes, signed).

use chrono::{DateTime, Duration, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use registry_schema::{Digest, name::RepositoryName};
use serde::{Deserialize, Serialize};

use super::{
    ServiceError,
    access::{self, Account, Caller, Credential, Grant, Right},
};
use crate::{app::App, store};

/// What every API token begins with, so that scanners find leaked ones.
pub const PREFIX: &str = "bpfpkg_";
/// How long a bearer token lasts, in seconds.
pub const BEARER_SECONDS: i64 = 600;
/// Most scopes that one token request may ask for.
const MAX_SCOPES: usize = 50;
/// Longest account name, in bytes.
const MAX_ACCOUNT: usize = 64;

/// The key that signs bearer tokens.
pub struct BearerKey {
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl BearerKey {
    /// Makes the key from its secret bytes.
    pub fn new(secret: &[u8]) -> Self {
        Self {
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
        }
    }
}

/// What a bearer token says.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    /// The account; empty for anonymous.
    sub: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: String,
    access: Vec<Grant>,
    /// The hash of the API token behind it, so that revoking that one ends this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// A bearer token as the token endpoint gives it.
#[derive(Debug, Clone)]
pub struct Bearer {
    /// The token's text.
    pub text: String,
    /// When it was issued.
    pub issued_at: DateTime<Utc>,
}

/// An API token, the only time its text is known.
#[derive(Debug, Clone)]
pub struct IssuedToken {
    /// The text to give to the user, once.
    pub text: String,
    /// Its hash, by which it is listed and revoked.
    pub hash: String,
}

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

/// Issues an API token for `account`, which is made if it does not exist.
///
/// # Errors
/// [`ServiceError::AccountName`], [`ServiceError::NotAdministrator`] if the caller issues
/// for somebody else without being one, [`ServiceError::Store`].
pub async fn issue(
    app: &App,
    caller: &Caller,
    account: &str,
    label: &str,
    expires_at: Option<DateTime<Utc>>,
) -> Result<IssuedToken, ServiceError> {
    let known = caller.known(app)?;
    if known.name != account && !known.administrator {
        return Err(ServiceError::NotAdministrator {
            account: known.name.clone(),
            action: "issue tokens for others",
        });
    }
    issue_unchecked(app, account, false, label, expires_at).await
}

/// Issues a token without asking who wants it: for the first start.
pub(super) async fn issue_unchecked(
    app: &App,
    account: &str,
    administrator: bool,
    label: &str,
    expires_at: Option<DateTime<Utc>>,
) -> Result<IssuedToken, ServiceError> {
    let fits =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    if account.is_empty() || account.len() > MAX_ACCOUNT || !account.bytes().all(fits) {
        return Err(ServiceError::AccountName(
            account.chars().take(MAX_ACCOUNT).collect(),
        ));
    }
    let text = mint(&app.random);
    let hash = hash(&text);
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    store::accounts::insert(&mut tx, account, administrator, now).await?;
    store::tokens::insert(&mut tx, &hash, account, label, now, expires_at).await?;
    tx.commit().await?;
    Ok(IssuedToken { text, hash })
}

/// Revokes one of the caller's tokens; `false` if there is no such token.
///
/// # Errors
/// [`ServiceError::Anonymous`], [`ServiceError::Store`].
pub async fn revoke(app: &App, caller: &Caller, hash: &str) -> Result<bool, ServiceError> {
    let account = caller.known(app)?;
    let mut tx = app.db.begin().await?;
    let revoked = store::tokens::revoke(&mut tx, hash, &account.name, app.clock.now()).await?;
    tx.commit().await?;
    Ok(revoked)
}

/// The caller's tokens, oldest first.
///
/// # Errors
/// [`ServiceError::Anonymous`], [`ServiceError::Store`].
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<store::tokens::Token>, ServiceError> {
    Ok(store::tokens::list(&app.db, &caller.known(app)?.name).await?)
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

async fn live(app: &App, hash: &str) -> Result<Account, ServiceError> {
    let token = store::tokens::find(&app.db, hash)
        .await?
        .ok_or(ServiceError::BadCredentials)?;
    let expired = token.expires_at.is_some_and(|end| end <= app.clock.now());
    if expired || token.revoked_at.is_some() {
        return Err(ServiceError::BadCredentials);
    }
    Ok(Account {
        name: token.account,
        administrator: token.administrator,
        credential: Credential::Token {
            hash: token.hash,
            label: token.label,
        },
    })
}

/// Recognises whatever stands behind `Authorization: Bearer`: an API token, or a token of
/// the token endpoint.
///
/// # Errors
/// [`ServiceError::BadCredentials`]; [`ServiceError::Store`].
pub async fn recognise_bearer(app: &App, text: &str) -> Result<Caller, ServiceError> {
    if text.starts_with(PREFIX) {
        return recognise(app, text).await;
    }
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_audience(&[app.host()]);
    validation.set_issuer(&[app.host()]);
    // The injected clock decides, below, not the one of the machine.
    validation.validate_exp = false;
    let claims = jsonwebtoken::decode::<Claims>(text, &app.bearer.decoding, &validation)
        .map_err(|_| ServiceError::BadCredentials)?
        .claims;
    let now = app.clock.now().timestamp();
    if now >= claims.exp || now + 60 < claims.nbf {
        return Err(ServiceError::BadCredentials);
    }
    let account = match claims.token {
        Some(hash) => Some(live(app, &hash).await?),
        None => None,
    };
    Ok(Caller {
        account,
        grants: Some(claims.access),
    })
}

/// Gives a bearer token for the asked scopes, cut down to what the caller may do. Asking
/// for more, or for nonsense, is no error: the token just does not allow it.
///
/// # Errors
/// [`ServiceError::Store`]; [`ServiceError::Unavailable`] if signing fails.
pub async fn grant(app: &App, caller: &Caller, scopes: &[String]) -> Result<Bearer, ServiceError> {
    let mut access = Vec::new();
    for scope in scopes
        .iter()
        .flat_map(|scope| scope.split_whitespace())
        .take(MAX_SCOPES)
    {
        access.extend(grant_for(app, caller, scope).await?);
    }
    let now = app.clock.now();
    let claims = Claims {
        iss: app.host().to_owned(),
        aud: app.host().to_owned(),
        sub: caller.name().to_owned(),
        iat: now.timestamp(),
        nbf: now.timestamp(),
        exp: (now + Duration::seconds(BEARER_SECONDS)).timestamp(),
        jti: app.random.id(now).to_string(),
        access,
        token: caller.account.as_ref().and_then(Account::token_hash),
    };
    let text = jsonwebtoken::encode(
        &Header::new(Algorithm::HS256),
        &claims,
        &app.bearer.encoding,
    )
    .map_err(|_| ServiceError::Unavailable("bearer tokens cannot be signed"))?;
    Ok(Bearer {
        text,
        issued_at: now,
    })
}

/// What of one scope, `repository:NAME:ACTION,ACTION`, the caller gets.
async fn grant_for(app: &App, caller: &Caller, scope: &str) -> Result<Option<Grant>, ServiceError> {
    // From both ends: a name may hold a colon if a client put a port into it.
    let Some((kind, rest)) = scope.split_once(':') else {
        return Ok(None);
    };
    let Some((name, words)) = rest.rsplit_once(':') else {
        return Ok(None);
    };
    if kind == "registry" && name == "catalog" {
        let actions = vec!["*".to_owned()];
        return Ok(Some(Grant {
            kind: kind.to_owned(),
            name: name.to_owned(),
            actions,
        }));
    }
    let Ok(repository) = name.parse::<RepositoryName>() else {
        return Ok(None);
    };
    if kind != "repository" {
        return Ok(None);
    }
    let right = access::right(app, caller, repository.namespace()).await?;
    let asked = |word: &str| words.split(',').any(|asked| asked == word || asked == "*");
    let mut actions = Vec::new();
    if right >= Right::Read && asked("pull") {
        actions.push("pull".to_owned());
    }
    for word in ["push", "delete"] {
        if right >= Right::Write && asked(word) {
            actions.push(word.to_owned());
        }
    }
    Ok(Some(Grant {
        kind: kind.to_owned(),
        name: name.to_owned(),
        actions,
    }))
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
