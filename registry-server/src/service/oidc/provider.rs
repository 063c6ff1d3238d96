// SPDX-License-Identifier: Apache-2.0
//! OIDC providers: what they say of themselves, their keys, and ID tokens that they signed.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time,
};

use chrono::{DateTime, Duration, Utc};
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation,
    jwk::{Jwk, JwkSet, PublicKeyUse},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use url::{Host, Url};

use crate::{app::App, service::ServiceError};

/// Largest answer of a provider, in bytes.
const MAX_ANSWER: usize = 256 * 1024;
/// Largest ID token, in bytes.
const MAX_TOKEN: usize = 16 * 1024;
/// How long a provider may take for one answer.
const PATIENCE: time::Duration = time::Duration::from_secs(5);
/// How long keys are kept.
const KEEP_MINUTES: i64 = 60;
/// How soon keys are fetched again because a token names one that is not among them: else
/// anybody could have us ask the provider for every request.
const AGAIN_SECONDS: i64 = 60;
/// How far the provider's clock may be from ours.
const SKEW_SECONDS: i64 = 60;
/// Signatures that prove something: no `none`, and no shared secrets.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// What a provider says of itself.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Discovery {
    issuer: String,
    jwks_uri: Url,
    pub(super) authorization_endpoint: Option<Url>,
    pub(super) token_endpoint: Option<Url>,
}

#[derive(Clone)]
struct Known {
    discovery: Arc<Discovery>,
    keys: Arc<JwkSet>,
    fetched_at: DateTime<Utc>,
}

/// The providers that were asked, with their answers.
pub struct Providers {
    http: reqwest::Client,
    known: Mutex<HashMap<String, Known>>,
}

impl Providers {
    /// Nobody was asked yet.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`] if there can be no HTTP client.
    pub fn new() -> Result<Self, ServiceError> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(PATIENCE)
            .timeout(PATIENCE)
            .build()
            .map_err(|_| ServiceError::Unavailable("no HTTP client can be made"))?;
        Ok(Self {
            http,
            known: Mutex::default(),
        })
    }

    pub(super) const fn http(&self) -> &reqwest::Client {
        &self.http
    }

    async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<T, ServiceError> {
        answer(self.http.get(safe(url)?).send().await).await
    }

    /// Discovery and keys of a provider. `fresh` demands keys that were fetched just now.
    async fn find(&self, app: &App, issuer: &str, fresh: bool) -> Result<Known, ServiceError> {
        let now = app.clock.now();
        let keep = if fresh {
            Duration::seconds(AGAIN_SECONDS)
        } else {
            Duration::minutes(KEEP_MINUTES)
        };
        let known = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.get(issuer).cloned()
        };
        if let Some(known) = known
            && now - known.fetched_at < keep
        {
            return Ok(known);
        }
        let place = format!("{issuer}/.well-known/openid-configuration");
        let place = place
            .parse()
            .map_err(|_| unusable("its issuer is no URL"))?;
        let discovery: Discovery = self.get(place).await?;
        if discovery.issuer != issuer {
            return Err(unusable("it calls itself by another name"));
        }
        let keys: JwkSet = self.get(discovery.jwks_uri.clone()).await?;
        let known = Known {
            discovery: Arc::new(discovery),
            keys: Arc::new(keys),
            fetched_at: now,
        };
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(issuer.to_owned(), known.clone());
        Ok(known)
    }
}

/// What a provider says of itself.
pub(super) async fn discovery(app: &App, issuer: &str) -> Result<Arc<Discovery>, ServiceError> {
    Ok(app.providers.find(app, issuer, false).await?.discovery)
}

/// Reads a JSON answer no further than it may be long.
pub(super) async fn answer<T: DeserializeOwned>(
    response: Result<reqwest::Response, reqwest::Error>,
) -> Result<T, ServiceError> {
    let failed = |_| unusable("it does not answer");
    let mut response = response.map_err(failed)?;
    if !response.status().is_success() {
        return Err(unusable("it answers with an error"));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if bytes.len() + chunk.len() > MAX_ANSWER {
            return Err(unusable("its answer is too long"));
        }
        bytes.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&bytes).map_err(|_| unusable("its answer makes no sense"))
}

fn unusable(reason: &'static str) -> ServiceError {
    ServiceError::Provider(reason)
}

/// An address to ask: encrypted, or on this machine.
pub(super) fn safe(url: Url) -> Result<Url, ServiceError> {
    let local = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if url.scheme() == "https" || (url.scheme() == "http" && local) {
        Ok(url)
    } else {
        Err(unusable("it wants to be asked without encryption"))
    }
}

fn refused(reason: &'static str) -> ServiceError {
    ServiceError::IdToken(reason)
}

/// What an ID token says, after its signature, issuer, audience and dates were checked.
#[derive(Debug, Clone)]
pub(super) struct Claims(Map<String, Value>);

impl Claims {
    /// A claim as text; numbers and truth values as JSON writes them.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        match self.0.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(value) => Some(value.to_string()),
            _ => None,
        }
    }

    fn seconds(&self, name: &str) -> Option<i64> {
        self.0.get(name)?.as_i64()
    }

    /// When the token ends, in seconds since 1970.
    pub(super) fn expires(&self) -> i64 {
        self.seconds("exp").unwrap_or(0)
    }
}

/// The issuer that a token names, before anything of it was checked.
pub(super) fn issuer(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Issuer {
        iss: String,
    }
    if token.len() > MAX_TOKEN {
        return None;
    }
    let claims = jsonwebtoken::dangerous::insecure_decode::<Issuer>(token).ok()?;
    Some(claims.claims.iss)
}

/// Checks an ID token.
///
/// # Errors
/// [`ServiceError::IdToken`] with what is wrong; [`ServiceError::Provider`].
pub(super) async fn verify(
    app: &App,
    token: &str,
    issuer: &str,
    audience: &[&str],
) -> Result<Claims, ServiceError> {
    let header = jsonwebtoken::decode_header(token).map_err(|_| refused("it is malformed"))?;
    if token.len() > MAX_TOKEN || !ALGORITHMS.contains(&header.alg) {
        return Err(refused("its signature is of a kind that proves nothing"));
    }
    let fits = |key: &&Jwk| {
        let named = header.kid.is_none() || key.common.key_id == header.kid;
        let signs = key.common.public_key_use.as_ref();
        let signs = signs.is_none_or(|usage| *usage == PublicKeyUse::Signature);
        let algorithm = key
            .common
            .key_algorithm
            .map(|algorithm| algorithm.to_string());
        let agrees = algorithm.is_none_or(|name| name == format!("{:?}", header.alg));
        named && signs && agrees
    };
    let mut known = app.providers.find(app, issuer, false).await?;
    if !known.keys.keys.iter().any(|key| fits(&key)) {
        known = app.providers.find(app, issuer, true).await?;
    }
    let key = known.keys.keys.iter().find(fits);
    let key = key.ok_or_else(|| refused("the provider has no such key"))?;
    let key = DecodingKey::from_jwk(key).map_err(|_| refused("the provider's key is unusable"))?;
    let mut validation = Validation::new(header.alg);
    validation.set_audience(audience);
    validation.set_issuer(&[issuer]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // The injected clock decides, below, not the one of the machine.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    let claims = jsonwebtoken::decode::<Map<String, Value>>(token, &key, &validation)
        .map_err(|_| refused("its signature, issuer or audience is wrong"))?;
    let claims = Claims(claims.claims);
    let now = app.clock.now().timestamp();
    let begun = |name| {
        claims
            .seconds(name)
            .is_none_or(|at| at <= now + SKEW_SECONDS)
    };
    if claims.expires() + SKEW_SECONDS <= now {
        return Err(refused("it has expired"));
    }
    if !begun("nbf") || !begun("iat") {
        return Err(refused("it is not valid yet"));
    }
    Ok(claims)
}
