// SPDX-License-Identifier: Apache-2.0
//! Logins of people through a provider: authorization code with PKCE, state and nonce.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::Duration;
use registry_schema::{Digest, account::NewIdentity};
use serde::Deserialize;
use url::Url;

use super::provider::{self, Claims};
use crate::{
    app::App,
    config_access::Registration,
    service::{
        ServiceError,
        access::{Account, Caller, Credential},
        account,
    },
    store::{self, accounts::Account as Row, sessions::Login},
};

/// How long the provider may take, in minutes.
const MINUTES: i64 = 10;

/// A login that has begun.
#[derive(Debug, Clone)]
pub struct Begun {
    /// Where the browser goes.
    pub url: Url,
    /// What it must bring back, and what its cookie must hold.
    pub state: String,
}

#[derive(Deserialize)]
struct Answer {
    id_token: String,
}

fn refused(reason: &'static str) -> ServiceError {
    ServiceError::IdToken(reason)
}

/// The provider's issuer and our name there.
fn configured(app: &App) -> Result<(&str, &str), ServiceError> {
    let (issuer, client) = (
        &app.config.access.login_issuer,
        &app.config.access.login_client_id,
    );
    let both = issuer.as_deref().zip(client.as_deref());
    both.ok_or(ServiceError::IdToken("this registry has no login provider"))
}

fn callback(app: &App) -> String {
    format!("{}/login/callback", app.origin())
}

/// Begins a login.
///
/// # Errors
/// [`ServiceError::IdToken`] if there is no provider; [`ServiceError::Provider`].
pub async fn begin(app: &App) -> Result<Begun, ServiceError> {
    let (issuer, client) = configured(app)?;
    let discovery = provider::discovery(app, issuer).await?;
    let missing = ServiceError::Provider("it has no address for logins");
    let mut url = provider::safe(discovery.authorization_endpoint.clone().ok_or(missing)?)?;
    let secret = || BASE64_URL_SAFE_NO_PAD.encode(app.random.bytes::<32>());
    let (state, login) = (
        secret(),
        Login {
            nonce: secret(),
            verifier: secret(),
            expires_at: app.clock.now() + Duration::minutes(MINUTES),
        },
    );
    let challenge = Digest::sha256(login.verifier.as_bytes());
    let challenge = hex::decode(challenge.hex()).unwrap_or_default();
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", client)
        .append_pair("redirect_uri", &callback(app))
        .append_pair("scope", "openid profile email")
        .append_pair("state", &state)
        .append_pair("nonce", &login.nonce)
        .append_pair("code_challenge", &BASE64_URL_SAFE_NO_PAD.encode(challenge))
        .append_pair("code_challenge_method", "S256");
    let mut tx = app.db.begin().await?;
    store::sessions::begin_login(&mut tx, &state, &login).await?;
    tx.commit().await?;
    Ok(Begun { url, state })
}

/// Ends a login: `cookie` is what the browser kept, `state` and `code` what it brought back.
///
/// # Errors
/// [`ServiceError::IdToken`] with what is wrong; [`ServiceError::Provider`];
/// [`ServiceError::RegistrationClosed`] if the identity is no account, and may not become one.
pub async fn finish(
    app: &App,
    cookie: Option<&str>,
    state: &str,
    code: &str,
) -> Result<Caller, ServiceError> {
    let (issuer, client) = configured(app)?;
    if cookie != Some(state) {
        return Err(refused(
            "the login was begun by another browser; begin again",
        ));
    }
    let mut tx = app.db.begin().await?;
    let login = store::sessions::take_login(&mut tx, state).await?;
    tx.commit().await?;
    let login = login.filter(|login| login.expires_at > app.clock.now());
    let login = login.ok_or(refused("the login took too long, or is over; begin again"))?;
    let text = redeem(app, issuer, client, code, &login.verifier).await?;
    let claims = provider::verify(app, &text, issuer, &[client]).await?;
    if claims.text("nonce").as_deref() != Some(login.nonce.as_str()) {
        return Err(refused("it answers another login"));
    }
    let name = account_of(app, issuer, &claims).await?;
    let row = store::accounts::find(&app.db, &name).await?;
    let row = row.filter(|row| row.disabled_at.is_none());
    let row = row.ok_or(ServiceError::BadCredentials)?;
    Ok(Caller {
        account: Some(Account {
            name: row.name,
            administrator: row.administrator,
            credential: Credential::Session,
            scopes: None,
        }),
        grants: None,
    })
}

/// Gets the ID token for a code.
async fn redeem(
    app: &App,
    issuer: &str,
    client: &str,
    code: &str,
    verifier: &str,
) -> Result<String, ServiceError> {
    let discovery = provider::discovery(app, issuer).await?;
    let missing = ServiceError::Provider("it has no address for tokens");
    let url = provider::safe(discovery.token_endpoint.clone().ok_or(missing)?)?;
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "authorization_code")
        .append_pair("code", code)
        .append_pair("redirect_uri", &callback(app))
        .append_pair("client_id", client)
        .append_pair("code_verifier", verifier)
        .finish();
    let request = app
        .providers
        .http()
        .post(url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form);
    let request = match &app.config.access.login_client_secret_file {
        Some(path) => {
            let unreadable = ServiceError::Provider("our secret for it cannot be read");
            let secret = tokio::fs::read_to_string(path)
                .await
                .map_err(|_| unreadable)?;
            request.basic_auth(client, Some(secret.trim()))
        }
        None => request,
    };
    let answer: Answer = provider::answer(request.send().await).await?;
    Ok(answer.id_token)
}

/// The account of an identity; a new one where the registry makes accounts for its provider's
/// people.
async fn account_of(app: &App, issuer: &str, claims: &Claims) -> Result<String, ServiceError> {
    let subject = claims.text("sub").unwrap_or_default();
    if let Some(name) = store::accounts::linked(&app.db, issuer, &subject).await? {
        return Ok(name);
    }
    if app.config.access.registration == Registration::Closed {
        return Err(ServiceError::IdentityUnknown {
            issuer: issuer.to_owned(),
            subject: subject.chars().take(200).collect(),
        });
    }
    let mail = claims.text("email");
    let mail = mail.as_deref().and_then(|mail| mail.split('@').next());
    let name = claims.text("preferred_username");
    let name = name.as_deref().or(mail).unwrap_or(&subject).to_lowercase();
    account::check_name(&name)?;
    let row = Row {
        name: name.clone(),
        administrator: false,
        robot: false,
        password: None,
        disabled_at: None,
        created_at: app.clock.now(),
        reviewer: false,
    };
    let identity = NewIdentity {
        issuer: issuer.to_owned(),
        subject,
    };
    let nobody = Caller::default();
    let mut tx = app.db.begin().await?;
    account::insert(app, &mut tx, &nobody, &row).await?;
    account::linked(app, &mut tx, &nobody, &name, &identity).await?;
    tx.commit().await?;
    Ok(name)
}
