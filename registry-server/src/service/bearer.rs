// SPDX-License-Identifier: Apache-2.0
//! Bearer tokens of the token endpoint: minutes long, signed, good under `/v2` only.

use chrono::{DateTime, Duration, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use registry_schema::{name::RepositoryName, scope::ScopeAction};
use serde::{Deserialize, Serialize};

use super::{
    ServiceError,
    access::{self, Account, Action, Caller, Credential, Grant},
    certificate, password, token,
};
use crate::{app::App, store};

/// How long a bearer token lasts, in seconds.
pub const BEARER_SECONDS: i64 = 600;
/// Most scopes that one token request may ask for.
const MAX_SCOPES: usize = 50;

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
    /// What was shown to get it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proof: Option<Proof>,
}

/// What was shown for a bearer token: when it stops being good, so does the bearer token.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Proof {
    Token(String),
    Password(String),
    Certificate(String, String),
}

/// A bearer token as the token endpoint gives it.
#[derive(Debug, Clone)]
pub struct Bearer {
    /// The token's text.
    pub text: String,
    /// When it was issued.
    pub issued_at: DateTime<Utc>,
}

fn proof(account: &Account) -> Option<Proof> {
    match account.credential.clone() {
        Credential::Token { hash, .. } => Some(Proof::Token(hash)),
        Credential::Password { stamp } => Some(Proof::Password(stamp)),
        Credential::Certificate { kind, value } => Some(Proof::Certificate(kind, value)),
        Credential::Session | Credential::Console => None,
    }
}

/// The account behind a bearer token, if what was shown for it is still good.
async fn still(app: &App, name: &str, proof: Proof) -> Result<Account, ServiceError> {
    let account = match proof {
        Proof::Token(hash) => token::live(app, &hash).await?,
        Proof::Certificate(kind, value) => certificate::account(app, &kind, &value)
            .await?
            .ok_or(ServiceError::BadCredentials)?,
        Proof::Password(stamp) => {
            let row = store::accounts::find(&app.db, name).await?;
            let row = row.filter(|row| row.disabled_at.is_none());
            let row = row.ok_or(ServiceError::BadCredentials)?;
            let now = row.password.as_deref().map(password::stamp);
            if now.as_ref() != Some(&stamp) {
                return Err(ServiceError::BadCredentials);
            }
            Account {
                name: row.name,
                administrator: row.administrator,
                credential: Credential::Password { stamp },
                scopes: None,
            }
        }
    };
    if account.name == name {
        Ok(account)
    } else {
        Err(ServiceError::BadCredentials)
    }
}

/// Recognises a bearer token.
///
/// # Errors
/// [`ServiceError::BadCredentials`]; [`ServiceError::Store`].
pub async fn recognise(app: &App, text: &str) -> Result<Caller, ServiceError> {
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
    let account = match claims.proof {
        Some(proof) => Some(still(app, &claims.sub, proof).await?),
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
    let proof = caller.account.as_ref().and_then(proof);
    let claims = Claims {
        iss: app.host().to_owned(),
        aud: app.host().to_owned(),
        sub: proof
            .as_ref()
            .map_or_else(String::new, |_| caller.name().to_owned()),
        iat: now.timestamp(),
        nbf: now.timestamp(),
        exp: (now + Duration::seconds(BEARER_SECONDS)).timestamp(),
        jti: app.random.id(now).to_string(),
        access,
        proof,
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
    let standing = access::standing(app, caller, repository.namespace()).await?;
    let asked = |word: &str| words.split(',').any(|asked| asked == word || asked == "*");
    let mut actions = Vec::new();
    for (action, scope) in [
        (Action::Pull, ScopeAction::Pull),
        (Action::Push, ScopeAction::Push),
        (Action::Delete, ScopeAction::Delete),
    ] {
        let free = action == Action::Pull && standing.public;
        let may = standing.right >= action.right();
        if may && asked(action.as_str()) && (free || caller.allows(scope, name)) {
            actions.push(action.as_str().to_owned());
        }
    }
    Ok(Some(Grant {
        kind: kind.to_owned(),
        name: name.to_owned(),
        actions,
    }))
}
