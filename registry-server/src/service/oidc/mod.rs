// SPDX-License-Identifier: Apache-2.0
//! OpenID Connect: publish tokens for CI jobs that a provider vouches for, and logins of
//! people.

mod login;
mod provider;

use chrono::{DateTime, Duration, Utc};
use registry_schema::{
    Digest,
    account::NewTokenAnswer,
    scope::{self, Scope},
};
use serde_json::json;

use self::provider::Claims;
use super::{
    ServiceError,
    access::{Account, Caller, Credential},
    audit, proof, publisher, token,
};
use crate::{
    app::App,
    store::{self, trusted_publishers::TrustedPublisher},
};

pub use login::{Begun, begin, finish};
pub use provider::Providers;

/// How long an exchanged token lasts, in minutes.
pub const MINUTES: i64 = 30;

/// Whether a text looks like an ID token rather than a password.
pub fn is_id_token(text: &str) -> bool {
    text.starts_with("ey") && text.split('.').count() == 3
}

/// An ID token after all checks, and whom it speaks for.
struct Checked {
    issuer: String,
    subject: String,
    jti: String,
    ends: DateTime<Utc>,
    publisher: TrustedPublisher,
}

/// Checks an ID token and finds the trusted publisher that it speaks for; `namespace` decides
/// where several do.
async fn check(app: &App, text: &str, namespace: &str) -> Result<Checked, ServiceError> {
    let issuer = provider::issuer(text).ok_or(ServiceError::IdToken("it is malformed"))?;
    if !app.config.access.oidc_issuers.contains(&issuer) {
        return Err(ServiceError::IdToken(
            "its issuer is not one that this registry believes",
        ));
    }
    let audience = [app.host(), app.origin()];
    let claims = provider::verify(app, text, &issuer, &audience).await?;
    let subject = claims.text("sub").unwrap_or_default();
    let trusted = store::trusted_publishers::by_issuer(&app.db, &issuer).await?;
    let mut fitting = Vec::new();
    for one in trusted {
        if fits(&one, &subject, &claims)? {
            fitting.push(one);
        }
    }
    if fitting.len() > 1 {
        fitting.retain(|one| one.namespace == namespace);
    }
    let publisher = match (fitting.pop(), fitting.is_empty()) {
        (Some(one), true) => one,
        (None, _) => return Err(ServiceError::IdToken("no namespace trusts its subject")),
        (Some(_), false) => {
            return Err(ServiceError::IdToken(
                "several trusted publishers of the namespace fit it; make their subjects differ",
            ));
        }
    };
    // A token without identifier is its own.
    let own = || Digest::sha256(text.as_bytes()).to_string();
    let ends = DateTime::from_timestamp(claims.expires(), 0);
    Ok(Checked {
        jti: claims.text("jti").unwrap_or_else(own),
        ends: ends.ok_or(ServiceError::IdToken("its end is no moment"))?,
        issuer,
        subject,
        publisher,
    })
}

fn fits(one: &TrustedPublisher, subject: &str, claims: &Claims) -> Result<bool, ServiceError> {
    let wanted = publisher::claims_of(one)?;
    let has = |(name, pattern): (&String, &String)| {
        let text = claims.text(name);
        text.is_some_and(|text| scope::matches(pattern, &text))
    };
    Ok(scope::matches(&one.subject, subject) && wanted.iter().all(has))
}

/// Gives a publish token for an ID token, which counts once.
///
/// # Errors
/// [`ServiceError::IdToken`], [`ServiceError::Provider`], [`ServiceError::Store`].
pub async fn exchange(
    app: &App,
    text: &str,
    namespace: Option<&str>,
) -> Result<NewTokenAnswer, ServiceError> {
    let checked = check(app, text, namespace.unwrap_or_default()).await?;
    let named = namespace == Some(checked.publisher.namespace.as_str());
    let (issuer, subject) = (checked.issuer.clone(), checked.subject.clone());
    let given = give(app, checked, false).await?;
    if let Some(namespace) = namespace.filter(|_| named) {
        let mut tx = app.db.begin().await?;
        proof::seen(app, &mut tx, namespace, &issuer, &subject).await?;
        tx.commit().await?;
    }
    Ok(given)
}

async fn give(app: &App, checked: Checked, direct: bool) -> Result<NewTokenAnswer, ServiceError> {
    let Checked {
        issuer,
        subject,
        jti,
        ends,
        publisher,
    } = checked;
    let now = app.clock.now();
    let expires_at = now + Duration::minutes(MINUTES);
    let (namespace, packages) = (&publisher.namespace, &publisher.packages);
    let scope: Scope = format!("{namespace}/{packages}:pull,push").parse()?;
    let label: String = format!("{issuer} {subject}").chars().take(300).collect();
    let mut tx = app.db.begin().await?;
    let scopes = [scope];
    let (text, row) = token::add(
        app,
        &mut tx,
        &publisher.account,
        &label,
        Some(&scopes),
        Some(expires_at),
        None,
    )
    .await?;
    store::trusted_publishers::forget(&mut tx, now).await?;
    let until = expires_at.max(ends + Duration::minutes(MINUTES));
    if !store::trusted_publishers::take(&mut tx, &issuer, &jti, &row.hash, direct, until).await? {
        return Err(ServiceError::IdToken("it was exchanged before"));
    }
    let robot = Caller {
        account: Some(Account {
            name: publisher.account.clone(),
            administrator: false,
            credential: Credential::Token {
                hash: row.hash.clone(),
                label,
                expires_at: Some(expires_at),
            },
            scopes: None,
        }),
        grants: None,
    };
    let detail = json!({
        "publisher": publisher.name,
        "issuer": issuer,
        "subject": subject,
        "jti": jti,
        "token": row.hash,
    });
    audit::append(app, &mut tx, &robot, "token.exchange", namespace, detail).await?;
    tx.commit().await?;
    Ok(NewTokenAnswer {
        token: text,
        detail: token::describe(row)?,
    })
}

/// Recognises an ID token that came as a password, as `docker login` keeps one. The first use
/// exchanges it; until that token ends, the same ID token stands for it.
///
/// # Errors
/// As for [`exchange`].
pub async fn recognise(app: &App, name: &str, text: &str) -> Result<Caller, ServiceError> {
    let checked = check(app, text, name).await?;
    let (issuer, jti) = (checked.issuer.clone(), checked.jti.clone());
    let mut taken = store::trusted_publishers::taken(&app.db, &issuer, &jti).await?;
    if taken.is_none() {
        match give(app, checked, true).await {
            Ok(given) => taken = Some(given.detail.id),
            // Another request of the same client may have been first.
            Err(ServiceError::IdToken(reason)) => {
                taken = store::trusted_publishers::taken(&app.db, &issuer, &jti).await?;
                if taken.is_none() {
                    return Err(ServiceError::IdToken(reason));
                }
            }
            Err(error) => return Err(error),
        }
    }
    let hash = taken.unwrap_or_default();
    Ok(Caller {
        account: Some(token::live(app, &hash).await?),
        grants: None,
    })
}
